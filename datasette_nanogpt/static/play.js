// Writes with a model: shows texts as they are generated, their copied passages, and how surprising each token was.
import { byId, element, freshPage, listed, scrollBehavior, unfold } from "./dom.js";
import { explainIn } from "./surprise.js";
import { Text, addTexts, clearTexts, lastNumber, markAbove, markRemoved, queryOf, removeText, restore, showAs, store } from "./texts.js";

const form = byId("write");
const here = form?.getAttribute("action");
let controller = null;  // aborts the request that is under way
const COLUMN = "set.";  // the name of a column's field is this and the name of the column
// The fields that say what a text is about, all of them empty.
const NOTHING = Object.fromEntries(
  [...(form?.elements ?? [])].map(({ name }) => name).filter((name) => ["title", "prompt"].includes(name) || name.startsWith(COLUMN)).map((name) => [name, ""]),
);

// Says beside Write what is under way. `heard`: it is only read aloud, because the page shows it already.
function showState(text, heard = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("visually-hidden", heard);
}

async function post(path, values, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(values),
    signal,
  });
  if (!response.ok) {
    const { error, problems } = await response.json().catch(() => ({}));
    throw Object.assign(new Error(error ?? `Error ${response.status}`), { problems });
  }
  return response;
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

// Shows each problem beside its field, and opens what is folded around it.
function showProblems(problems = []) {
  for (const place of form.querySelectorAll(".field-error")) {
    const field = byId(place.id.replace(/-error$/, ""));
    place.textContent = problems.filter((problem) => problem.field === field.id).map(({ message }) => message).join(". ");
    field.toggleAttribute("aria-invalid", Boolean(place.textContent));
    if (!place.textContent) continue;
    unfold(field);
    form.querySelector("[aria-invalid]").focus();
  }
}

// Names the wrong fields beside Write, as links to them.
function showWrong(problems) {
  const label = (field) => form.querySelector(`label[for="${field}"]`)?.textContent ?? field;
  const links = problems.map(({ field }) => element("a", label(field), { href: `#${field}` }));
  showState("");
  byId("state").replaceChildren("Nothing was written. Wrong: ", ...listed(links), ".");
}

// ---- What can be done with a text

function copy(text) {
  return copyFrom(text.article, text.title + text.whole);
}

async function copyFrom(article, text) {
  try {
    await navigator.clipboard.writeText(text);
    showState("Copied.");
  } catch {  // browsers let a page copy only if it comes over https or from this computer
    article.classList.remove("shown-above");  // what is hidden cannot be selected
    getSelection().selectAllChildren(article.querySelector(".text"));
    showState("Selected: copy it with Ctrl+C.");
  }
}

// Copies a kept text. It listens on what is around them, as the kept texts are replaced whenever another one is kept.
function copyKept({ target }) {
  if (target.matches("#kept .copy")) copyFrom(target.closest("article"), target.dataset.text);
}

// Removes a kept text without another page, on which the fields would be empty.
async function removeKept(event) {
  const { target } = event;
  if (!target.matches("#kept form")) return;
  event.preventDefault();
  try {
    await post(target.action, {});
  } catch (error) {
    showState(error.message);
    return;
  }
  markRemoved(target.closest("article").querySelector(".copy").dataset.text);
  await refreshKept();
  showState("Removed.", true);
  byId("kept").querySelector("input[type=submit]")?.focus({ preventScroll: true });
}

async function keep(text) {
  const { values, seed, version, path } = text.data;
  try {
    await post(`${path}/keep`, { ...values, seed, version, text: text.data.text });
  } catch (error) {
    showState(error.message);
    return false;
  }
  showState("Kept. It is listed below the texts.");
  if (path === here) await refreshKept();
  return true;
}

async function refreshKept() {
  const page = await freshPage(here);
  if (!page) return;
  byId("kept").replaceWith(page.getElementById("kept"));
  markAbove();
}

function fill(values) {
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements[name];
    if (field) field.value = value;
  }
  form.querySelectorAll("[type=range]").forEach(showDegree);
}

function again(text) {
  fill({ ...text.data.values, seed: "" });
  form.requestSubmit();
}

// A text with given columns is continued in its last column, so that the columns still steer it.
function goOn(text) {
  const { values, columns, rest } = text.data;
  const set = Object.keys(values).some((name) => name.startsWith(COLUMN) && values[name]);
  if (set && rest && Object.values(columns).every((value) => value !== null)) {
    fill({ ...asFields(columns), prompt: text.whole.slice(text.whole.lastIndexOf(rest)), seed: "" });
  } else {
    fill({ ...NOTHING, title: values.title ?? "", prompt: text.whole, seed: "" });
  }
  form.requestSubmit();
}

function asFields(columns) {
  return Object.fromEntries(Object.entries(columns).map(([name, value]) => [COLUMN + name, value]));
}

const actions = { again, goOn, copy, keep };

// ---- Writing

// One or two writers, each with its model and values, and two with what tells them apart. Each writes a column of texts.
function writers(values) {
  const first = { path: here, model: form.dataset.model, version: form.dataset.version, values };
  if (!byId("twice").checked) return [first];
  const { value: path, selectedOptions } = byId("beside_model");
  const version = path === here ? form.dataset.version : "";
  const beside = { ...values, temperature: byId("beside_temperature").value };
  const second = { path, model: selectedOptions[0].textContent, version, values: beside };
  return [first, second].map((writer) => ({ ...writer, differs: differences(writer, first, second) }));
}

// What one of two writers has that the other has not, in words; "" where both are the same.
function differences({ model, values: { temperature } }, first, second) {
  const parts = first.model === second.model ? [] : [model];
  if (Number(first.values.temperature) !== Number(second.values.temperature)) parts.push(`temperature ${temperature}`);
  return parts.join(", ");
}

// Writes one column of texts. Those of the second column stand beside those of the first.
async function writeColumn(writer, columns, signal) {
  const mine = [];
  columns.push(mine);
  const seed = columns[0][0]?.data.seed;
  const response = await post(writer.path, { ...writer.values, ...(seed !== undefined && { seed }) }, signal);
  for await (const event of jsonLines(response)) {
    if ("error" in event) throw new Error(event.error);
    if ("sample" in event) {
      if (byId("stop").hidden) begin();
      mine.push(begun(event, writer, columns));
    } else if ("text" in event) mine.at(-1).append(event.text, event.tokens);
    else if ("ended" in event) {
      mine[event.ended].set(withColumns({ outcome: event.outcome }, event));
      if (mine.length >= (Number(writer.values.samples) || 1)) compare();
    } else if ("copied" in event) mine[event.copied].set({ copied: event });
    else if (event.done) finish(event, mine, columns.length === 1);
  }
}

function withColumns(changes, { columns, rest }) {
  return columns ? { ...changes, columns, rest } : changes;
}

function begun({ sample, seed, begins }, writer, columns) {
  const beside = columns.length > 1 && columns[0][sample];
  const number = beside ? beside.data.number : lastNumber() + 1;
  const label = `Text ${number}` + (writer.differs ? `, ${writer.differs}` : beside ? ", written again" : "");
  const text = new Text({ ...writer, seed, begins, label, number }, actions);
  if (beside) {
    const row = beside.article.parentElement;
    row.className = "pair";
    row.append(text.article);
    beside.partners.push(text);
  } else {
    text.partners = [text];
    addTexts(text.partners);
    bringIntoView(text.article);
  }
  return text;
}

// Scrolls to a new text that begins below the visible part, or above it: whoever changes settings has scrolled down.
function bringIntoView(article) {
  const { top } = article.getBoundingClientRect();
  if (top >= form.querySelector(".write").getBoundingClientRect().bottom && top < innerHeight * 0.75) return;
  article.scrollIntoView({ block: "start", behavior: scrollBehavior() });
}

function finish({ llm, python, rows, all_rows: allRows }, texts, isFirst) {
  texts.forEach((text) => text.set({ copied: { ...text.data.copied, rows, all_rows: allRows } }));
  if (!isFirst) return;
  byId("llm").textContent = llm;
  byId("python").textContent = python;
}

// Puts the values into the address, so that a person who comes back to the page can write the same text again. A prompt
// that is too long for an address is left out.
function remember(values, seed) {
  const address = `?${queryOf({ ...values, seed })}`;
  history.replaceState(null, "", address.length < 2000 ? address : here);
}

// The texts are read aloud when they are whole, not word by word.
function begin() {
  showStop(true);
  byId("shortcut").hidden = true;
  byId("texts").setAttribute("aria-busy", "true");
  showState("Writing…");
}

// All that was asked for is written, so there is nothing to stop any more.
function compare() {
  showStop(false);
  showState("Looking for copied passages…");
}

function showStop(shown) {
  if (!shown && document.activeElement === byId("stop")) form.querySelector("[type=submit]").focus();
  byId("stop").hidden = !shown;
}

function end() {
  showStop(false);
  byId("texts").setAttribute("aria-busy", "false");
  store();
}

// The text that was written before Stop is compared with the table as well.
async function compareStopped(text) {
  if (!text.data.text) removeText(text);  // nothing was written yet
  if (text.data.copied || !text.data.text) return;
  text.set({ outcome: text.data.outcome || "You stopped it." });  // an earlier text may have ended by itself
  const { path, values, text: written } = text.data;
  const answer = await post(`${path}/copied`, { ...values, text: written }).catch(() => null);
  if (answer) {
    const copied = await answer.json();
    text.set(withColumns({ copied }, copied));
  }
  store();
}

async function write(event) {
  event.preventDefault();
  controller?.abort();
  const mine = controller = new AbortController();
  const values = Object.fromEntries(new FormData(form)), columns = [];
  begin();
  showProblems();
  if (narrow.matches && byId("twice").checked) byId("beside").open = false;  // the texts are below it
  try {
    for (const writer of writers(values)) await writeColumn(writer, columns, mine.signal);
    showState("Done.", true);
    remember(values, columns[0][0].data.seed);
  } catch (error) {
    if (mine === controller) showState(error.name === "AbortError" ? "Stopped." : error.message);
    showProblems(error.problems);
    if (mine === controller && error.problems?.length) showWrong(error.problems);
    columns.flat().forEach(compareStopped);
  }
  if (mine === controller) end();
}

// ---- A row of the table, coloured

async function colourRow({ row, table, url }) {
  const text = byId("row-text").textContent, label = `Row ${row} of ${table}`;
  showState(`Reading ${label}…`);
  try {
    const answer = await (await post(`${here}/surprise`, { text })).json();
    const values = { title: "", prompt: "" }, { tokens, outcome } = answer;
    addTexts([new Text({ values, text, label, of: url, tokens, outcome }, actions)]);
    showState("");
  } catch (error) {
    showState(error.message);
  }
  history.replaceState(null, "", here);  // else the row would be added again when the page is opened again
  store();
}

// ---- The page

// In a narrow window the settings stand between Write and the texts, in a wide one beside both. Their order on the page
// is that of the keyboard, too, which an order in the styles would not be.
const narrow = matchMedia("(max-width: 899.9px)");

function placeSettings() {
  form.querySelector(narrow.matches ? ".write" : ".what").after(byId("how"));
}

const DEGREES = [[0.01, "always the likeliest"], [0.6, "careful"], [0.75, "rather careful"], [0.86, "the usual"], [1.05, "lively"], [Infinity, "wild"]];

function showDegree(slider) {
  const words = DEGREES.find(([below]) => slider.value < below)[1];
  slider.nextElementSibling.nextElementSibling.value = `${slider.value}, ${words}`;
  slider.setAttribute("aria-valuetext", `${slider.value}, ${words}`);
}

function choose(view) {
  document.querySelector(`[name=view][value=${view}]`).checked = true;
  for (const hint of document.querySelectorAll("#view [data-view]")) hint.hidden = hint.dataset.view !== view;
  showAs(view);
  store();
}

// Folded away, it still says what it does.
function sayBeside() {
  const { selectedOptions } = byId("beside_model"), open = byId("beside").open;
  const what = `, also with ${selectedOptions[0].textContent} at ${byId("beside_temperature").value}`;
  byId("beside").querySelector("summary").textContent = `Side by side${byId("twice").checked && !open ? what : ""}`;
}

function tryPrompt({ target }) {
  if (!target.dataset.fields) return;
  fill({ ...NOTHING, ...JSON.parse(target.dataset.fields), seed: "" });
  form.requestSubmit();
}

if (form) {
  placeSettings();
  narrow.addEventListener("change", placeSettings);
  form.addEventListener("submit", write);
  form.addEventListener("input", sayBeside);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  byId("stop").addEventListener("click", () => controller?.abort());
  byId("clear").addEventListener("click", clearTexts);
  byId("prompts")?.addEventListener("click", tryPrompt);
  document.querySelector(".rest").addEventListener("click", copyKept);
  document.querySelector(".rest").addEventListener("submit", removeKept);
  byId("view").addEventListener("change", ({ target }) => choose(target.value));
  for (const slider of form.querySelectorAll("[type=range]")) {
    showDegree(slider);
    slider.addEventListener("input", () => showDegree(slider));
  }
  for (const id of ["beside_model", "beside_temperature"]) {
    byId(id).addEventListener("input", () => { byId("twice").checked = true; });
  }
  byId("beside").addEventListener("toggle", sayBeside);
  explainIn(byId("texts"));
  const view = restore(actions);
  choose(form.dataset.show === "surprise" ? "surprise" : view);
  byId("prompt").scrollTop = byId("prompt").scrollHeight;  // show the end of the prompt, where the model continues
  if (byId("row-text")) colourRow(form.dataset);
  else if (form.dataset.row && byId("prompt").value) form.requestSubmit();
}
