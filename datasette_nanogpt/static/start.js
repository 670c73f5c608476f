// Keeps what the page shows beside the form up to date, with answers of the server: the rows and the estimate.
import { byId, element, listed, setText, unfold } from "./dom.js";

const form = byId("train");
const BUSY = 503;  // status
const SOON = 300, RETRY = 5000;  // milliseconds until the next question
let timer = null, questions = 0;
let follows = false;  // whether the minutes are those that are recommended: nobody has chosen any

// The answer, or null if the server is too busy or cannot be reached.
async function fetchEstimate() {
  const response = await fetch(location.href, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), estimate: 1 }),
  });
  return response.status === BUSY ? null : response.json().catch(() => ({}));
}

const bold = (text) => element("strong", text);

function showOffer(offer) {
  byId("offer").replaceChildren(...offer.parts.map((part, i) => (i % 2 ? bold(part) : part)));
  byId("what").hidden = byId("how").hidden = !offer.texts.length;
  form.classList.toggle("no-text", !offer.texts.length);
  if (byId("why-not")) byId("why-not").hidden = Boolean(offer.texts.length);
  byId("texts").replaceChildren(...offer.texts.map((text, i) => showRow(text, offer.captions[i])));
  byId("remarks").replaceChildren(...offer.remarks.map((remark) => element("li", remark)));
}

// A row as it will be read, or the rows of a group, which the caption names.
function showRow(text, caption) {
  const figure = element("figure");
  if (caption) figure.append(element("figcaption", caption, { className: "hint" }));
  figure.append(element("p", text, { className: "text" }));
  return figure;
}

// Shows a message in a place, whose box is hidden without one.
function showMessage(place, box, text) {
  const message = text.replace(/[^.!?]$/, "$&.");
  setText(place, message);
  box.hidden = !message;
}

// Shows below the heading that there is little text: that in bold, what it means after a colon.
function showLittle(text) {
  const notice = byId("notice"), before = notice.textContent;
  showMessage(notice, byId("little"), text);
  const message = notice.textContent, colon = message.indexOf(": ");
  if (message !== before) notice.replaceChildren(...(colon < 0 ? [bold(message)] : [bold(message.slice(0, colon)), message.slice(colon)]));
}

// Shows each problem beside its field, and opens the folded fields if one of them is wrong. Returns the other messages.
function showProblems(problems) {
  for (const place of form.querySelectorAll(".field-error")) {
    const field = place.id.replace(/-error$/, "");
    place.textContent = problems.filter((problem) => problem.field === field).map(({ message }) => message).join(". ");
    const input = byId(field);
    if (place.textContent) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
    if (place.textContent) unfold(place);
  }
  const named = (problem) => byId(`${problem.field}-error`);
  return problems.filter((problem) => !named(problem)).map(({ message }) => message).join(". ");
}

// Says beside Start which fields are wrong, each a link to it.
function showBlocked(problems) {
  const fields = [...new Set(problems.map(({ field }) => field))].filter((field) => field && byId(field));
  const label = (field) => form.querySelector(`label[for="${field}"]`).textContent;
  const links = fields.map((field) => element("a", label(field), { href: `#${field}` }));
  const place = byId("blocked");
  place.hidden = !links.length;
  if (byId("wrong")) byId("wrong").hidden = !links.length;  // it was said of the form as it was sent
  if (links.length) place.replaceChildren("Cannot start yet: see ", ...listed(links), ".");
}

function showCards({ cards = [], alike = "", why = "", recommended, unfolded }) {
  byId("alike").textContent = alike;
  const chosen = cards.find(({ minutes }) => minutes === Number(form.elements.minutes.value));
  byId("expect").textContent = chosen?.outlook ?? "";
  byId("example").textContent = chosen?.example ?? "";
  byId("example").hidden = !chosen?.example;
  byId("score").textContent = chosen?.score ?? "";
  byId("held-out").hidden = !chosen?.range;
  fold(unfolded ?? form.querySelectorAll(".card").length);
  form.querySelectorAll(".card").forEach((card, i) => {
    card.querySelector(".brings").textContent = cards[i]?.brings ?? "";
    card.querySelector(".why").textContent = cards[i] && cards[i].minutes === recommended ? why : "";
  });
}

// Puts all cards but the first `unfolded` ones into one. What is in its place is not moved, as it may have the focus.
function fold(unfolded) {
  const longer = form.querySelector(".longer"), all = [...form.querySelectorAll(".card")];
  const apart = all.length - longer.querySelectorAll(".card").length;
  if (apart < unfolded) longer.before(...all.slice(apart, unfolded));
  else if (apart > unfolded) longer.querySelector("#alike").after(...all.slice(unfolded, apart));
}

// What the planner chooses where a field is left empty.
function showAutomatic(field, number) {
  field.placeholder = number === undefined ? "auto" : `auto: ${number.toLocaleString("en", { maximumFractionDigits: 6 })}`;  // or two in words
}

async function update() {
  const question = ++questions;
  const answer = await fetchEstimate().catch(() => null);
  if (question !== questions) return;  // the form has changed since
  if (!answer) {
    timer = setTimeout(update, RETRY);
    return;
  }
  const { error, problems, offer, estimate } = answer;
  const { minutes } = form.elements;
  if (follows && offer?.recommended && Number(minutes.value) !== offer.recommended) {
    minutes.value = offer.recommended;
    await update();
    return;
  }
  const general = showProblems(problems ?? []) || (problems?.length ? "" : error);
  showBlocked(problems ?? []);
  byId("estimate").textContent = estimate?.text ?? "";
  byId("brief").textContent = estimate?.brief ?? "";
  byId("figures").hidden = !estimate?.text;
  for (const option of byId("size").options) option.textContent = estimate?.sizes[option.value] ?? option.textContent;
  if (offer) showCards(offer);
  if (offer && !error) showOffer(offer);
  // What is said below the heading is said again where fields have changed, as long as nothing can be started.
  showMessage(byId("warning"), byId("warning"), general || estimate?.refused || "");
  if (estimate) showLittle(estimate.refused || estimate.warning || "");
  byId("start").disabled = Boolean(estimate?.refused);
  if (!estimate) return;
  for (const field of form.querySelectorAll(".numbers input")) showAutomatic(field, estimate.auto[field.name]);
}

function updateSoon() {
  questions += 1;  // an answer that is still under way would be of the form as it was
  clearTimeout(timer);
  timer = setTimeout(update, SOON);
}

// Another size is no longer the one that the page began with. Choosing a model to replace fills in its name. Typing another name means that no model is replaced.
function keepNameAndChoice({ target }) {
  const { name, replace } = form.elements;
  if (target === replace) name.value = replace.value || name.defaultValue;
  else if (target.id === "size" && byId("smaller")) byId("smaller").hidden = true;
  else if (target === name && replace && replace.value !== name.value) replace.value = "";
}

// Whether a field differs from what the server sent: somebody was faster than this script, or the browser restored it.
function isFilledIn({ type, value, defaultValue, checked, defaultChecked, options }) {
  if (["submit", "button"].includes(type)) return false;
  if (type === "radio" || type === "checkbox") return checked !== defaultChecked;
  if (options) return [...options].some((option) => option.selected !== option.defaultSelected && option.value);
  return value !== defaultValue;
}

// Without text, an example stands in the empty field of the template: this button takes it.
function useExample() {
  const { template } = form.elements;
  template.value ||= template.dataset.example ?? "";
  template.dispatchEvent(new Event("input", { bubbles: true }));
  template.focus({ preventScroll: true });  // the button goes away
  scrollTo(0, 0);  // where the rows will stand
}

if (form) {
  const likeThis = byId("like-this");
  if (likeThis) {
    likeThis.hidden = false;
    likeThis.addEventListener("click", useExample);
  }
  byId("again").hidden = true;  // this button is for pages without JavaScript
  follows = "follows" in form.querySelector(".cards").dataset && ![...form.querySelectorAll("[name=minutes]")].some(isFilledIn);
  form.addEventListener("input", ({ target }) => {
    if (target.name === "minutes") follows = false;
  });
  form.addEventListener("input", keepNameAndChoice);
  form.addEventListener("input", updateSoon);
  document.addEventListener("click", ({ target }) => {
    const field = byId(target.closest("section.content a[href^='#']")?.hash.slice(1));
    if (!field) return;
    unfold(field);
    setTimeout(() => field.focus());  // once it has been scrolled to
  });
  if ([...form.elements].some(isFilledIn)) update();
}
