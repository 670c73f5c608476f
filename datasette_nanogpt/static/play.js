// Writes with a model: shows text as it is generated, then which passages were copied from the table.
// All text goes through textContent.
const byId = (id) => document.getElementById(id);
const form = byId("write");
let controller = null;  // of the request under way

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

function button(label, name, onclick) {
  const made = element("button", label, { type: "button", className: "core", ariaLabel: name });
  made.addEventListener("click", onclick);
  return made;
}

function showState(text) {
  byId("state").textContent = text;
}

async function copy(text, paragraph) {
  try {
    await navigator.clipboard.writeText(text);
    showState("Copied.");
  } catch {  // browsers let a page copy only if it comes by https or from this computer
    getSelection().selectAllChildren(paragraph);
    showState("Selected: copy it with Ctrl+C.");
  }
}

function continueFrom(text) {
  byId("prompt").value = text;
  form.requestSubmit();
}

// Adds an empty text with its buttons. Returns what is filled in later: `body` is what the model writes.
function addText(number, seed, values) {
  const body = element("span", ""), paragraph = element("p", "", { className: "text" });
  const title = values.title ? `${values.title}\n\n` : "";
  paragraph.append(element("strong", title + values.prompt), body);
  const facts = element("p", `Seed ${seed}`, { className: "hint" });
  const whole = () => values.prompt + body.textContent;
  const query = new URLSearchParams({ ...values, seed, samples: 1 });
  const buttons = element("p", "");
  buttons.append(
    button("Copy", `Copy text ${number + 1}`, () => copy(title + whole(), paragraph)), " ",
    button("Continue", `Continue text ${number + 1}`, () => continueFrom(whole())), " ",
    element("a", "Link to this text", { href: `?${query}` }),
  );
  const article = element("article", "");
  article.append(element("h2", `Text ${number + 1}`), paragraph, facts, buttons);
  byId("texts").append(article);
  return { seed, body, facts };
}

function passageLink(text, { words, url }) {
  const link = element("a", text, { className: "copied", title: `${words} words of a row` });
  if (url) link.href = url;
  return link;
}

// Shows the text again, with its copied passages as links to their rows.
function underline({ body, facts }, { passages, fraction, longest }) {
  const characters = Array.from(body.textContent);  // the server counts characters, not UTF-16 units
  const parts = [];
  let end = 0;
  for (const passage of passages) {
    parts.push(characters.slice(end, passage.start).join(""));
    parts.push(passageLink(characters.slice(passage.start, passage.end).join(""), passage));
    end = passage.end;
  }
  parts.push(characters.slice(end).join(""));
  body.replaceChildren(...parts);
  facts.textContent += `. ${Math.round(fraction * 100)}% of its words are copied, the longest passage has ${longest} words`;
}

// The JSON objects of an answer, each as soon as its line is there.
async function* jsonLines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function request(values, signal) {
  const response = await fetch(location.pathname, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(values),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

function showEvent(event, texts, values) {
  if ("error" in event) throw new Error(event.error);
  if ("sample" in event) texts.push(addText(event.sample, event.seed, values));
  else if ("text" in event) texts.at(-1).body.textContent += event.text;
  else if ("copied" in event) underline(texts[event.copied], event);
  else if (event.done) finish(event, texts[0].seed, values);
}

function finish({ llm, python, rows, all_rows: allRows }, seed, values) {
  byId("llm").textContent = llm;
  byId("python").textContent = python;
  byId("underlined").hidden = false;
  // Whoever follows a passage and comes back can write the same again.
  history.replaceState(null, "", "?" + new URLSearchParams({ ...values, seed }));
  showState(allRows ? "Done." : `Done. The texts were compared with the first ${rows.toLocaleString("en")} rows only.`);
}

// The texts are read aloud when they are whole, not word by word.
function begin() {
  byId("stop").hidden = false;
  if (byId("texts").contains(document.activeElement)) byId("stop").focus();  // the pressed button goes away
  byId("texts").replaceChildren();
  byId("texts").setAttribute("aria-busy", "true");
  showState("Writing…");
}

function end() {
  if (document.activeElement === byId("stop")) form.querySelector("[type=submit]").focus();
  byId("stop").hidden = true;
  byId("texts").setAttribute("aria-busy", "false");
}

async function write(event) {
  event.preventDefault();
  controller?.abort();
  const mine = controller = new AbortController();
  const values = Object.fromEntries(new FormData(form)), texts = [];
  begin();
  try {
    const response = await request(values, mine.signal);
    for await (const event of jsonLines(response)) showEvent(event, texts, values);
  } catch (error) {
    if (mine === controller) showState(error.name === "AbortError" ? "Stopped." : error.message);
  }
  if (mine === controller) end();
}

if (form) {
  form.addEventListener("submit", write);
  byId("stop").addEventListener("click", () => controller?.abort());
}
