// Follows what runs now: on the list of all models, in the bar on a table's page, and above its form.
import { allowTwo } from "./choose_two.js";
import { byId, freshPage, setText } from "./dom.js";
import { fillTables } from "./tables.js";

// Milliseconds between questions: in general, in a hidden tab, and while nothing runs.
const EVERY = 1000, HIDDEN = 10000, IDLE = 5000;
const PARTS = ["now", "models-and-runs", "waits"];  // the parts of the page that change when a run begins or ends
let timer = null;

function ids(elements) {
  return [...elements].map((element) => element.dataset.run).join();
}

function show(card, run) {
  setText(card.querySelector("[data-of=state]"), run.state);
  setText(card.querySelector("[data-of=pace]"), run.pace);
  setText(card.querySelector("[data-of=score]"), run.val_bpb === null ? "" : `${run.val_bpb.toFixed(3)} bits per byte`);
  const stop = card.querySelector("form"), bar = card.querySelector("progress");
  if (stop) stop.hidden = run.ending;
  if (bar && run.bar === null) bar.removeAttribute("value");  // it moves without saying how far
  else if (bar) bar.value = run.bar;
}

async function refresh() {
  const page = await freshPage();
  if (!page) return;
  for (const id of PARTS) {
    const old = byId(id), part = page.getElementById(id);
    if (old && part) replacePart(old, part);
    else if (old) old.querySelectorAll(".now-card").forEach(showOver);
  }
}

// What was open stays open, and what was ticked stays ticked.
function replacePart(old, part) {
  for (const { id, value } of old.querySelectorAll("input:checked")) {
    const box = id ? part.querySelector(`#${id}`) : part.querySelector(`input[name=run][value="${value}"]`);
    if (box) box.checked = true;
  }
  for (const { id } of old.querySelectorAll("details[open]")) part.querySelector(`#${id}`)?.setAttribute("open", "");
  old.replaceWith(part);
  allowTwo();
  if (part.querySelector("#tables")) fillTables();
}

// On the page of a table the bar goes away with the last run; here it says so.
function showOver(card) {
  setText(card.querySelector("[data-of=state]"), "is over");
  setText(card.querySelector("[data-of=pace]"), "");
  card.querySelector("progress")?.remove();
}

async function follow() {
  const now = byId("now");
  if (!now) return;
  let wait = EVERY;
  try {
    const response = await fetch(now.dataset.url, { cache: "no-store" });
    const { runs } = await response.json();
    const cards = now.querySelectorAll(".now-card");
    if (ids(cards) === runs.map(({ id }) => String(id)).join()) runs.forEach((run, i) => show(cards[i], run));
    else await refresh();
    if (!runs.length) wait = byId(PARTS[1]) ? IDLE : 0;
  } catch {
    wait = IDLE;  // the connection is lost: it is tried again
  }
  if (wait) timer = setTimeout(follow, document.hidden ? HIDDEN : wait);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || timer === null) return;
  clearTimeout(timer);
  follow();
});
timer = setTimeout(follow, EVERY);
