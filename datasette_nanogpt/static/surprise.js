// A text with each token coloured by how much it surprised the model, and what else was likely there.
import { byId, element } from "./dom.js";

const BITS = [2, 4, 6, 9, 12];  // where the next colour begins; most tokens have about four bits
const SHOWN = 60;  // how many characters of a token the explanation shows
const PART = "(part of a character)";
const MARGIN = 16;  // pixels between the explanation, its text and the edge of the window

const NARROW = matchMedia("(max-width: 640px)"), TOUCH = matchMedia("(hover: none)");
const described = new WeakMap();  // span -> its token: text, bits, likely
const tooltip = byId("likely"), about = byId("likely-about");

function level(bits) {
  return BITS.filter((from) => bits >= from).length;
}

// A letter of a script that has spaces between words. A token that begins with one, after another, goes on with a word.
const LETTER = /^(?![\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}])\p{L}/u;

// A token in quotes, as the explanation names it. The space before a word is left out; other spaces and line breaks are made
// visible, and bytes that are not a whole character are described. Dots say that the token goes on with a word, which the
// character `before` it is a part of.
function named(text, before) {
  if (text === "<|endoftext|>") return "the end of the text";
  const word = text.trim() ? text.replace(/^ | $/g, "") : text.replaceAll(" ", "␣");
  const shown = word.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  if (/^\ufffd+$/.test(word)) return PART;
  const goesOn = LETTER.test(text) && LETTER.test(before);
  return `“${goesOn ? "…" : ""}${shown.slice(0, SHOWN).replace(/\ufffd+/g, PART)}”`;
}

// A probability in percent, with at least one digit that is not 0: 22%, 0.3% or 0.04%.
function percent(probability) {
  if (probability < 0.0001) return "under 0.01%";
  const digits = probability >= 0.01 ? 0 : probability >= 0.001 ? 1 : 2;
  return `${(100 * probability).toFixed(digits)}%`;
}

// A line of the explanation: a name, a note, and a bar of the probability.
function line(name, note, probability) {
  const made = element("p"), bar = element("i");
  bar.style.width = `${Math.round(100 * probability)}%`;
  made.append(name, " ", element("span", note), bar);
  return made;
}

// The explanation of a token: how surprising it was, and the likely tokens, each with a bar of its probability.
function describe({ text, before, bits, likely }) {
  const others = likely.filter(([other]) => other !== text);
  return [
    line(element("strong", `${named(text, before)}:`), `${percent(2 ** -bits)} likely (${bits.toFixed(1)} bits)`, 2 ** -bits),
    element("div", "What else was likely:"),
    ...others.map(([other, p]) => line(named(other, before), percent(p), p)),
  ];
}

// The spans of a text, a colour for each token, and what the tokens do not cover. A token is [end, bits, likely]: where it
// ends in the text, in characters, its bits, and the likeliest tokens. `begins` is what stands before the text.
export function colouredSpans({ text, tokens, begins = "" }) {
  const characters = Array.from(text), spans = [];
  let start = 0, carried = 0;  // bits of tokens that end within a character: they count for the token that completes it
  for (const [end, bits, likely] of tokens) {
    carried += bits;
    if (end <= start || start >= characters.length) continue;
    const span = element("span", characters.slice(start, end).join(""));
    // Where a line breaks before a word, the space that belongs to its token takes no room. After other white space it does.
    const before = characters[start - 1] ?? begins.slice(-1), breaks = /^ \S+$/.test(span.textContent) && start && /\S/.test(before);
    span.className = `token s${level(carried)}${breaks ? " breaks" : ""}`;
    span.tabIndex = spans.length ? -1 : 0;
    described.set(span, { text: span.textContent, before, bits: carried, likely });
    spans.push(span);
    [start, carried] = [end, 0];
  }
  return [...spans, characters.slice(start).join("")];
}

function show(token) {
  about.replaceChildren(...describe(described.get(token)));
  tooltip.hidden = false;
  token.setAttribute("aria-describedby", about.id);
  token.classList.add("explained");
  place(token);
}

// The lines and buttons of an article as rectangles, which the explanation must not cover.
function linesOf(article) {
  const rects = [...article.querySelectorAll(".controls > *")].map((button) => button.getBoundingClientRect());
  for (const part of article.querySelectorAll(".text, .hint, h2, dl")) {
    const range = document.createRange();
    range.selectNodeContents(part);
    rects.push(...range.getClientRects());
  }
  return rects;
}

// The explanation stands right beside the lines around the token, and covers nothing of the text. Where there is no room
// for that, it is docked to an edge of the window.
function place(token) {
  tooltip.className = tooltip.style.left = tooltip.style.top = "";
  const at = token.getBoundingClientRect(), article = token.closest("article"), { offsetWidth: width, offsetHeight: height } = tooltip;
  const end = article.querySelector(".text").getBoundingClientRect();
  const lowest = Math.min(innerHeight - MARGIN, Math.max(end.bottom, end.top + height));
  const top = Math.max(MARGIN, Math.min(at.top, lowest - height));
  const beside = linesOf(article).filter((line) => line.bottom > top && line.top < top + height);
  const left = Math.max(...beside.map(({ right }) => right), at.right) + MARGIN;
  if (left + width + MARGIN <= document.documentElement.clientWidth && !token.closest(".pair")) {
    tooltip.style.left = `${left + scrollX}px`;
    tooltip.style.top = `${top + scrollY}px`;
    // A line leads there from the end of the token's own line: below the words it would look like an underline.
    const middle = (at.top + at.bottom) / 2, own = beside.filter((line) => line.top < middle && line.bottom > middle);
    tooltip.style.setProperty("--reach", `${left - Math.max(...own.map(({ right }) => right), at.right) - 4}px`);
    tooltip.style.setProperty("--at", `${middle - top}px`);
    return;
  }
  tooltip.className = "docked";
  document.body.classList.add("explained");  // from now on there is room below the last line, to scroll it above the panel
  const hidden = at.bottom - tooltip.getBoundingClientRect().top;
  if (hidden <= -MARGIN) return;
  if (NARROW.matches) scrollBy(0, hidden + MARGIN);
  else tooltip.classList.add("above");  // scrolling would move another token under the pointer
}

function hide() {
  tooltip.hidden = true;
  const token = document.querySelector(".token[aria-describedby]");
  token?.removeAttribute("aria-describedby");
  token?.classList.remove("explained");
}

// The arrow keys move from token to token. Only one token of a text is a stop of the Tab key.
function move(event) {
  const token = event.target.closest(".token");
  if (!token) return;
  const to = { ArrowRight: (at) => at + 1, ArrowLeft: (at) => at - 1, Home: () => 0, End: (at, last) => last }[event.key];
  if (to && go(token, to)) event.preventDefault();
}

// Moves the focus to another token of the same text. `to` gets the number of this token and of the last one, and returns
// that of the other. False if there is no such token.
function go(token, to) {
  const tokens = [...token.parentElement.querySelectorAll(".token")];
  const next = tokens[to(tokens.indexOf(token), tokens.length - 1)];
  if (!next) return false;
  token.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  return true;
}

// Shows the explanation of the token under the pointer or the focus, for all coloured texts in an element.
export function explainIn(element) {
  for (const name of ["mouseover", "focusin", "click"]) {
    element.addEventListener(name, ({ target }) => {
      const token = target.closest(".token");
      hide();
      if (token) show(token);
    });
  }
  element.addEventListener("focusout", hide);
  element.addEventListener("mouseleave", () => { if (!TOUCH.matches) hide(); });  // a finger on the panel is no pointer that leaves
  element.addEventListener("keydown", move);
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });  // also where the pointer opened it
  byId("likely-close").addEventListener("click", hide);
  for (const [id, by] of [["likely-before", -1], ["likely-next", 1]]) {  // a finger is wider than many tokens
    const button = byId(id);
    button.addEventListener("pointerdown", (event) => event.preventDefault());  // the focus stays, else the panel would go
    button.addEventListener("click", () => {
      const token = document.querySelector(".token.explained");
      if (token) go(token, (at) => at + by);
    });
  }
}
