// The texts on a model's page: how they are shown, their buttons, and how they are stored.
import { byId, element } from "./dom.js";
import { colouredSpans } from "./surprise.js";

const MAX_TEXTS = 40;  // how many texts, or pairs of them, stay on the page
const LONGEST_PROMPT = 1000;  // how many characters of a prompt are shown. Of a longer one,
const SHOWN_PROMPT = 300;  // so many characters at its end are shown, and the others are folded away
const LONGEST_LINK = 2000;  // how many characters of an address every browser and server accepts
const box = byId("texts");
const shelf = `nanogpt texts ${location.pathname}`;
const pairs = [];  // the texts that are written together, usually one, the newest first
let view = "copied";

function button(label, name, onclick) {
  const made = element("button", label, { type: "button", className: "core", ariaLabel: name });
  made.addEventListener("click", onclick);
  return made;
}

function passageLink(text, { words, url }) {
  const link = element("a", text, { className: "copied", title: `${words} words of a row` });
  if (url) link.href = url;
  return link;
}

// The text, or a part of it, with its copied passages as links to their rows.
function underlined({ text, copied }, from = 0, to = text.length) {
  const characters = Array.from(text);  // the server counts characters, not UTF-16 units
  const [first, last] = [from, to].map((end) => Array.from(text.slice(0, end)).length), parts = [];
  let end = first;
  for (const passage of copied?.passages ?? []) {
    const [begins, ends] = [Math.max(passage.start, first), Math.min(passage.end, last)];
    if (begins >= ends) continue;
    parts.push(characters.slice(end, begins).join(""), passageLink(characters.slice(begins, ends).join(""), passage));
    end = ends;
  }
  return [...parts, characters.slice(end, last).join("")];
}

// One text. `data` is JSON with:
//   values: title, prompt and settings; seed; model, path, version: the model that wrote it; of: a row's address
//   begins: the prompt, after the given columns; columns: its columns; rest: the beginning of its last column
//   text, tokens, outcome, copied: the result; kept: whether it was kept
export class Text {
  constructor(data, actions) {
    this.data = { text: "", tokens: [], outcome: "", copied: null, kept: false, ...data };
    this.text = element("div", "", { className: "text" });
    this.body = element("span");
    this.from = null;  // where the shown text begins in the whole one
    this.facts = element("p", "", { className: "hint" });
    this.row = element("dl", "", { className: "row" });
    this.article = element("article");
    const parts = this.data.of ? [this.facts, this.text] : [this.text, this.facts];  // a row is looked up for its score
    this.article.append(...this.head(), this.row, ...parts, this.buttons(actions));
    this.show();
  }

  get title() {
    return this.data.values.title ? `${this.data.values.title.trim()}\n\n` : "";
  }

  get begins() {
    return this.data.begins ?? this.data.values.prompt;
  }

  get whole() {
    return this.begins + this.data.text;
  }

  // Where the last column begins in the whole text; 0 if the text has no columns, or has not got to the last one.
  get last() {
    const rest = this.data.columns && this.data.rest?.trimStart();
    return rest ? this.whole.lastIndexOf(rest) : 0;
  }

  head() {
    const { label, of } = this.data, heading = element("h2");
    heading.append(of ? element("a", label, { href: of }) : label);
    return [heading];
  }

  // What was given, in bold, without what is before `from` in the whole text. Of a long prompt all but the end is folded.
  given(from) {
    const given = from ? this.begins.slice(from) : this.title + this.begins;
    const cut = given.length > LONGEST_PROMPT ? given.length - SHOWN_PROMPT : 0, end = element("strong", given.slice(cut));
    if (!cut) return [end];
    const all = element("details", "", { className: "begins" });
    all.append(element("summary", `${given.length.toLocaleString("en")} characters of the prompt`), element("strong", given.slice(0, cut)));
    return [all, end];
  }

  buttons({ again, goOn, copy, keep }) {
    const { label, of } = this.data, made = element("p", "", { className: "buttons controls" });
    if (of) {
      made.append(button("Continue", `Continue ${label}`, () => goOn(this)));
      return made;
    }
    const kept = this.keeps = button("Keep", `Keep ${label}`, async ({ target }) => {
      if (await keep(this)) this.markKept(target);
    });
    if (this.data.kept) this.markKept(kept);
    made.append(
      button("Again", `Write again as ${label}`, () => again(this)),
      button("Continue", `Continue ${label}`, () => goOn(this)),
      button("Copy", `Copy ${label}`, () => copy(this)),
      ...this.link(), kept,
    );
    return made;
  }

  // A link that writes the same again; none if the prompt is too long for a link.
  link() {
    const { values, seed, path, label } = this.data;
    const address = `${path}?${queryOf({ ...values, seed, samples: 1 })}`;
    if (address.length > LONGEST_LINK) return [];
    return [element("a", "Link", { className: "secondary", href: address, ariaLabel: `Link to ${label}` })];
  }

  markKept(kept) {
    this.data.kept = true;
    Object.assign(kept, { textContent: "Kept", disabled: true });
    store();
    markAbove();
  }

  append(text, tokens) {
    this.data.text += text;
    this.data.tokens.push(...tokens);
    this.show();
  }

  set(changes) {
    Object.assign(this.data, changes);
    this.show();
  }

  show() {
    const { copied, outcome, seed, model, values, of, tokens } = this.data;
    const surprise = view === "surprise" && tokens.length;
    const from = surprise ? 0 : this.last;  // the columns before the last one stand above the text
    if (from !== this.from) this.text.replaceChildren(...this.given(this.from = from), this.body);
    const start = Math.max(0, from - this.begins.length), end = this.data.text.trimEnd().length;  // no empty lines at the end
    this.body.replaceChildren(...(surprise ? colouredSpans({ ...this.data, begins: this.begins }) : underlined(this.data, start, Math.max(start, end))));
    // What the heading says of one of two texts is not said again.
    const made = [model, `temperature ${values.temperature}`].filter((part) => !(this.data.differs ?? "").split(", ").includes(part));
    const facts = of ? [] : [`${made.length ? `${made.join(", ")}, seed` : "Seed"} ${seed}.`];
    if (outcome) facts.push(outcome);
    if (copied) facts.push(describeCopied(copied));
    this.facts.textContent = facts.join(" ");
    this.row.replaceChildren(...(from ? this.rowParts() : []));
  }

  // The columns of the text, and which of them the model has filled in.
  rowParts() {
    const parts = [], begun = this.begins.length;
    let end = 0;
    for (const [name, value] of Object.entries(this.data.columns)) {
      if (!value?.trim()) continue;
      const part = element("div"), heading = element("dt", name), shown = element("dd", value.trim());
      const at = this.whole.indexOf(value.trim(), end);
      end = Math.max(end, at + value.trim().length);
      shown.classList.toggle("lines", value.trim().includes("\n"));
      if (this.data.values[`set.${name}`]) part.className = "given";
      else heading.append(element("span", ", by the model"));
      if (at >= begun) shown.replaceChildren(...underlined(this.data, at - begun, end - begun));
      part.append(heading, shown);
      parts.push(part);
    }
    return parts;
  }
}

// The query of an address that fills in these values, without those that are empty.
export function queryOf(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ""));
}

function describeCopied({ fraction, longest, rows, all_rows: allRows }) {
  const some = allRows === false && `the first ${rows.toLocaleString("en")} rows`;  // there was no time to compare more
  if (!longest) return some ? `Nothing in it is copied from ${some}; the others were not compared.` : "Nothing in it is copied.";
  const percent = fraction < 0.005 ? "Less than 1" : Math.round(fraction * 100);
  return `${percent}% of its words are copied, the longest passage has ${longest} word${longest === 1 ? "" : "s"}${some ? `; only ${some} were compared` : ""}.`;
}

// ---- All of them

// Adds texts that belong side by side, above the others.
export function addTexts(texts) {
  const row = element("div", "", { className: texts.length > 1 ? "pair" : "single" });
  row.append(...texts.map((text) => text.article));
  box.prepend(row);
  pairs.unshift({ texts, row });
  for (const { row: old } of pairs.splice(MAX_TEXTS)) old.remove();
  showSwitch();
}

export function removeText(text) {
  text.article.remove();
  const at = pairs.findIndex(({ texts }) => texts.includes(text));
  if (at < 0) return;
  pairs[at].texts.splice(pairs[at].texts.indexOf(text), 1);
  if (!pairs[at].texts.length) pairs.splice(at, 1)[0].row.remove();
  showSwitch();
}

export function clearTexts() {
  pairs.length = 0;
  box.replaceChildren();
  showSwitch();
  store();
}

// Lets the text `whole`, which was removed from those that are kept, be kept again.
export function markRemoved(whole) {
  for (const text of pairs.flatMap(({ texts }) => texts)) {
    if (!text.data.kept || (text.title + text.whole).trimEnd() !== whole.trimEnd()) continue;
    text.data.kept = false;
    Object.assign(text.keeps, { textContent: "Keep", disabled: false });
  }
  store();
}

// Among the kept texts, does not show those again that stand above them: it says there that they do.
export function markAbove() {
  const kept = pairs.flatMap(({ texts }) => texts).filter(({ data }) => data.kept);
  const labels = new Map(kept.map((text) => [(text.title + text.whole).trimEnd(), text.data.label]));
  for (const { dataset, parentElement } of document.querySelectorAll("#kept .copy")) {
    const article = parentElement.closest("article"), label = labels.get(dataset.text.trimEnd());
    article.classList.toggle("shown-above", Boolean(label));
    article.querySelector(".above")?.remove();
    if (label) article.querySelector(".hint").prepend(element("span", `It stands above, as ${label}. `, { className: "above" }));
  }
}

// What is shown of the texts can be chosen where there are any. Of rows of the table nothing is copied: they are coloured.
function showSwitch() {
  markAbove();
  const shown = byId("view");
  shown.hidden = !pairs.length;
  shown.classList.toggle("only-rows", view === "surprise" && pairs.every(({ texts }) => texts.every(({ data }) => data.of)));
}

export function showAs(name) {
  view = name;
  showSwitch();
  for (const { texts } of pairs) texts.forEach((text) => text.show());
}

// Stores the texts in this tab, where they are found again after following a passage to its row and coming back.
export function store() {
  try {
    sessionStorage.setItem(shelf, JSON.stringify({ view, pairs: pairs.map(({ texts }) => texts.map(({ data }) => data)) }));
  } catch {  // there is not enough room, or the browser does not allow it
    sessionStorage.removeItem?.(shelf);
  }
}

// The number of the last text; 0 if there is none.
export function lastNumber() {
  return Math.max(0, ...pairs.flatMap(({ texts }) => texts.map(({ data }) => data.number ?? 0)));
}

// Shows the stored texts, and returns the view: "copied" or "surprise".
export function restore(actions) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(shelf));
    view = stored?.view ?? view;
    for (const texts of stored?.pairs.reverse() ?? []) addTexts(texts.map((data) => new Text(data, actions)));
  } catch {  // an earlier version of this script stored them
    clearTexts();
  }
  return view;
}
