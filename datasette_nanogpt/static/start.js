// Keeps what the form comes to up to date: the rows, how they will be read, the estimate. The server says it.
const byId = (id) => document.getElementById(id);
const form = byId("train");
let timer = null, questions = 0;

async function fetchEstimate() {
  const response = await fetch(location.href, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), estimate: 1 }),
  });
  return response.json();
}

function showOffer(offer) {
  byId("offer").textContent = offer.text;
  byId("how").hidden = !offer.texts.length;
  const rows = offer.texts.map((textContent) =>
    Object.assign(document.createElement("p"), { className: "text", textContent }));
  byId("texts").replaceChildren(...rows);
  const remarks = offer.remarks.map((textContent) => Object.assign(document.createElement("li"), { textContent }));
  byId("remarks").replaceChildren(...remarks);
}

async function update() {
  const question = ++questions;
  const answer = await fetchEstimate().catch(() => ({}));
  if (question !== questions) return;  // the form has changed since
  byId("estimate").textContent = answer.error ?? answer.estimate?.text ?? "";
  if (answer.offer && !answer.error) showOffer(answer.offer);
}

function updateSoon() {
  clearTimeout(timer);
  timer = setTimeout(update, 300);
}

// Whether a field is not as the server sent it: somebody was faster than this script, or the browser remembers a form.
function isFilledIn({ type, value, defaultValue, checked, defaultChecked, options }) {
  if (type === "submit") return false;
  if (type === "radio" || type === "checkbox") return checked !== defaultChecked;
  if (options) return [...options].some((option) => option.selected !== option.defaultSelected && option.value);
  return value !== defaultValue;
}

if (form) {
  byId("again").hidden = true;  // it is for those without JavaScript
  form.addEventListener("input", updateSoon);
  if ([...form.elements].some(isFilledIn)) update();
}
