// Keeps what the form comes to up to date: the rows, how they will be read, the estimate. The server says it.
(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("train");
  if (!form) return;
  let timer = null, asked = 0;

  async function ask() {
    const mine = ++asked;
    try {
      const response = await fetch(location.href, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), estimate: 1 }),
      });
      const { error, estimate, offer } = await response.json();
      if (mine !== asked) return;
      byId("estimate").textContent = error ?? estimate?.text ?? "";
      if (error) return;
      byId("offer").textContent = offer.text;
      byId("how").hidden = !offer.texts.length;
      const shown = offer.texts.map((textContent) =>
        Object.assign(document.createElement("p"), { className: "text", textContent }));
      byId("texts").replaceChildren(...shown);
    } catch {
      if (mine === asked) byId("estimate").textContent = "";
    }
  }

  byId("again").hidden = true;  // it is for those without JavaScript
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  });
})();
