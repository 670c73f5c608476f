// Writes with a model: text as it comes, then what of it is recited. All text goes through textContent.
(() => {
  const form = document.getElementById("write");
  if (!form) return;
  const byId = (id) => document.getElementById(id);
  const make = (name, text, properties = {}) => Object.assign(document.createElement(name), { textContent: text, ...properties });
  let control = null;

  function sample(number, seed, values) {
    const article = make("article", ""), all = make("p", "", { className: "text" });
    const body = make("span", "");
    all.append(make("strong", values.prompt), body);
    const facts = make("p", `Seed ${seed}`, { className: "hint" });
    const own = { ...values, seed, samples: 1 };
    const copy = make("button", "Copy", { type: "button", className: "core", ariaLabel: `Copy text ${number + 1}` });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(values.prompt + body.textContent);
        byId("state").textContent = "Copied.";
      } catch {  // browsers copy from https and from this computer alone
        getSelection().selectAllChildren(all);
        byId("state").textContent = "Selected: copy it with Ctrl+C.";
      }
    });
    const on = make("button", "Continue", { type: "button", className: "core", ariaLabel: `Continue text ${number + 1}` });
    on.addEventListener("click", () => {
      byId("prompt").value = values.prompt + body.textContent;
      form.requestSubmit();
    });
    const share = make("a", "Link to this text", { href: "?" + new URLSearchParams(own) });
    const buttons = make("p", "");
    buttons.append(copy, " ", on, " ", share);
    article.append(make("h2", `Text ${number + 1}`), all, facts, buttons);
    byId("texts").append(article);
    return { seed, body, facts };
  }

  // The text again, with its recited passages as links to their rows.
  function underline({ body, facts }, found) {
    const text = [...body.textContent.matchAll(/[^]/gu)].map((m) => m[0]);  // places are counted in characters
    const parts = [];
    let at = 0;
    for (const { start, end, words, url } of found.passages) {
      parts.push(text.slice(at, start).join(""));
      const passage = make("a", text.slice(start, end).join(""), { className: "recited", title: `${words} words of a row` });
      if (url) passage.href = url;
      parts.push(passage);
      at = end;
    }
    parts.push(text.slice(at).join(""));
    body.replaceChildren(...parts);
    facts.textContent += `. ${Math.round(found.share * 100)}% of its words recited, the longest passage ${found.longest} words`;
  }

  async function* lines(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const found = (rest + value).split("\n");
      rest = found.pop();
      for (const line of found) yield JSON.parse(line);
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    control?.abort();
    const own = control = new AbortController();
    const values = Object.fromEntries(new FormData(form));
    const state = byId("state"), shown = [];
    byId("stop").hidden = false;
    if (byId("texts").contains(document.activeElement)) byId("stop").focus();  // what was pressed goes
    byId("texts").replaceChildren();
    byId("texts").setAttribute("aria-busy", "true");  // read out when it is whole, not word by word
    state.textContent = "Writing…";
    try {
      const response = await fetch(location.pathname, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(values),
        signal: own.signal,
      });
      if (!response.ok) throw new Error((await response.json()).error);
      for await (const told of lines(response)) {
        if ("sample" in told) shown.push(sample(told.sample, told.seed, values));
        else if ("text" in told) shown.at(-1).body.textContent += told.text;
        else if ("recited" in told) underline(shown[told.recited], told);
        else if ("error" in told) throw new Error(told.error);
        else if (told.done) {
          for (const id of ["llm", "python"]) byId(id).textContent = told[id];
          byId("underlined").hidden = false;
          // Whoever follows a passage and comes back has what it takes to write this again.
          history.replaceState(null, "", "?" + new URLSearchParams({ ...values, seed: shown[0].seed }));
          state.textContent = told.all_rows ? "Done." : `Done. Compared with the first ${told.rows} rows alone.`;
        }
      }
    } catch (error) {
      if (own === control) state.textContent = error.name === "AbortError" ? "Stopped." : error.message;
    }
    if (own === control) {
      if (document.activeElement === byId("stop")) form.querySelector("[type=submit]").focus();
      byId("stop").hidden = true;
      byId("texts").setAttribute("aria-busy", "false");
    }
  });
  byId("stop").addEventListener("click", () => control?.abort());
})();
