// Follows a run: asks the server each second for new figures.
import { Chart } from "./chart.js";
import { savePng, saveSvg } from "./chart_file.js";
import { byId, element, freshPage, setText } from "./dom.js";
import { addSample, openStrip } from "./strip.js";

const EVERY = 1000, HIDDEN = 10000;  // milliseconds between questions: in general, and in a hidden tab
const MAX_SLOWDOWN = 8;  // how many times longer the wait becomes while the server does not answer
const MAX_ROWS = 3000;  // how many rows of figures are kept
const OTHER_POINTS = 300;  // how many points the line of another run has

const address = location.pathname.replace(/\/$/, "") + ".json";
const live = JSON.parse(byId("live").textContent);
const { someone } = live;
let { run, next, metrics } = live;
const chart = new Chart(live.known);
let timer = null, asking = false, failures = 0;

// ---- What changes each second

// Shows a text in its place, which is hidden while there is none.
function showText(id, text) {
  setText(byId(id), text);
  if (byId(id)) byId(id).hidden = !text;
}

function showState() {
  const { number, unit, fell, left } = run.headline;
  setText(byId("status"), run.state);
  showText("stage", run.stage);
  showText("pace", ["preparing", "ending"].includes(run.phase) ? "" : run.pace);  // the parts say it
  if (number) showText("number", number);
  showText("unit", unit);
  showText("fell", fell);
  showText("left", left);
  showText("waits-left", run.waits_left);
  showText("slow", run.slow);
  if (byId("progress") && run.bar !== null) byId("progress").value = run.bar;  // else it is indeterminate
  byId("parts")?.replaceChildren(...run.parts.map(partItem));
  byId("levels").replaceChildren(...run.levels.map(levelItem));
  byId("levels").hidden = byId("levels-caption").hidden = !run.levels.length;
  const wrote = byId("newest-text").hasAttribute("tabindex");
  if (!wrote) showText("newest-text", run.unwritten);
  if (run.phase !== "preparing") byId("examples")?.remove();
  if (run.over) byId("newest-text").style.minHeight = "";  // no more texts follow, and the page below changes anyway
  document.querySelector("#keys .val").hidden = !metrics.some((row) => row[4] !== null);
  byId("newest").hidden = !wrote && !run.unwritten;
  byId("figures").hidden = run.phase === "queued" || (run.over && !metrics.length);
  if (byId("awaited")) byId("chart").className = `awaited ${run.phase}`;
}

// A part of the work before or after training: its name and its count.
function partItem({ label, state, count }) {
  const item = element("li", `${label} `, { className: state });
  item.append(element("span", count));
  return item;
}

// A level of scores: what texts with such a score read like. The run is at the level whose state is "now".
function levelItem({ label, state }) {
  const item = element("li", "", { className: state });
  item.append(element("span", label));
  if (state === "now") item.ariaCurrent = "step";
  return item;
}

function showConnection(text) {
  byId("connection").textContent = text;
  byId("connection").hidden = !text;
}

// A run that continues after its server was lost repeats some steps, whose earlier figures are dropped. Of more than
// MAX_ROWS, every second row and all scores are kept: the chart is drawn anew each second, and has no more pixels.
function addMetrics(rows) {
  while (metrics.length && metrics.at(-1)[1] > rows[0][1]) metrics.pop();
  metrics.push(...rows);
  if (metrics.length > MAX_ROWS) metrics = metrics.filter((row, i) => i % 2 === 0 || row[4] !== null || i === metrics.length - 1);
}

// What the chart has room for: the rest of the run, and its models that were not begun.
function expect() {
  const [, model, of] = /^model (\d+) of (\d+)$/.exec(run.model ?? "") ?? [];
  const begins = Number(model) + 1;
  chart.progress = run.phase === "running" ? run.progress : null;
  chart.toCome = run.phase !== "running" || !(begins <= of) ? "" : begins < of ? `models ${begins} to ${of}, to come` : `model ${of}, to come`;
}

function show(answer) {
  const before = run;
  ({ run, next } = answer);
  expect();
  if (answer.metrics.length) {
    addMetrics(answer.metrics);
    chart.show(metrics);
  }
  answer.samples.forEach(addSample);
  showState();
  const changed = ["phase", "status", "stop_requested"].some((key) => run[key] !== before[key]);
  const firstScore = run.headline.number && (!before.headline.number || (run.val_bpb !== null && before.val_bpb === null));
  const modelAppeared = answer.samples.length > 0 && byId("model").dataset.model !== "this";
  const nextInQueue = run.waits_for !== before.waits_for;
  if (changed || firstScore || modelAppeared || nextInQueue) refresh();
}

// ---- What changes seldom

// The links, the buttons and the settings.
async function refresh() {
  const page = await freshPage();
  if (!page) {
    setTimeout(refresh, 2000);
    return;
  }
  const focused = ["actions", "verdict", "more", "settings"].some((id) => byId(id).contains(document.activeElement));
  for (const id of ["model", "lead", "actions", "verdict", "more", "known", "scores", "settings"]) replacePart(id, page.getElementById(id));
  const controls = "a, input:not([type=hidden]), button, summary";
  if (focused) document.querySelector(`:is(#actions, #verdict, #more, #settings) :is(${controls})`)?.focus();  // the keyboard stays there
  refreshOthers(page.getElementById("others"));
  chart.known = JSON.parse(page.getElementById("live").textContent).known;
  chart.draw();
}

// Replaces a part of the page. If it was open, it stays open.
function replacePart(id, part) {
  if (!part) return;
  if (byId(id).open) part.open = true;
  byId(id).replaceWith(part);
}

// ---- Asking

// The figures since the last answer; null if this run may no longer be seen.
async function fetchAnswer() {
  const response = await fetch(`${address}?after=${next}`, { cache: "no-store" });
  if (response.status === 404 || response.status === 403) return null;
  if (!response.ok) throw new Error(response.status, { cause: (await response.json().catch(() => ({}))).error });
  return response.json();
}

// Shows why the run can no longer be seen. A server that was started again may have forgotten who had logged in.
async function showWhyGone() {
  const actor = await fetch(actorAddress()).then((answer) => answer.json()).catch(() => null);
  const loggedOut = someone && actor && !actor.actor;
  showConnection(loggedOut
    ? "You are no longer logged in: the server was started again, or your login has run out. The run itself may go on. Log in again, then reload this page."
    : "This run was deleted, or you may no longer see it.");
}

const actorAddress = () => address.replace(/\/-\/nanogpt\/.*/, "/-/actor.json");

async function ask() {
  if (asking) return;
  clearTimeout(timer);
  asking = true;
  try {
    const answer = await fetchAnswer();
    if (!answer) {
      await showWhyGone();
      return;
    }
    show(answer);
    failures = 0;
    showConnection("");
  } catch ({ cause }) {  // what the server says, such as that it is busy
    failures += 1;
    showConnection(failures < 2 ? "" : cause ? `${cause}.` : "The connection is lost. Trying again.");
  } finally {
    asking = false;
  }
  if (!run.over) timer = setTimeout(ask, (document.hidden ? HIDDEN : EVERY) * Math.min(2 ** failures, MAX_SLOWDOWN));
}

function askNow() {
  if (!run.over && !document.hidden) ask();
}

// ---- Other runs, and the chart as a file

async function compare({ value, checked }) {
  if (!checked) return chart.compare(value, null);
  const response = await fetch(address.replace(/\d+\.json$/, `${value}.json?points=${OTHER_POINTS}`)).catch(() => null);
  if (response?.ok) chart.compare(value, (await response.json()).metrics);
}

function showOthers() {
  for (const box of document.querySelectorAll("input.other")) {
    box.hidden = false;
    box.addEventListener("change", () => compare(box));
    if (box.checked || chart.others.has(box.value)) compare(box);
  }
}

// Which runs have the same held-out rows is known once this one has read its text. What somebody chose stays.
function refreshOthers(part) {
  const shown = byId("others");
  if (!part || !shown || shown.contains(document.activeElement)) return;
  for (const box of part.querySelectorAll("input.other")) {
    const before = shown.querySelector(`input.other[value="${box.value}"]`);
    if (before && before.checked !== before.defaultChecked) box.checked = before.checked;
  }
  replacePart("others", part);
  showOthers();
}

// "1 more minute", as the page has it for the number that it offers
document.addEventListener("input", ({ target }) => {
  if (target.id === "more-minutes") byId("more-unit").textContent = Number(target.value) === 1 ? "more minute" : "more minutes";
});

showOthers();
const fileName = (kind) => `${run.name}-run-${run.id}.${kind}`;
byId("save-svg").addEventListener("click", () => saveSvg(byId("chart").querySelector("svg"), fileName("svg")));
byId("save-png").addEventListener("click", () => savePng(byId("chart").querySelector("svg"), fileName("png")));

document.addEventListener("visibilitychange", askNow);
window.addEventListener("online", askNow);
expect();
chart.show(metrics);
openStrip(live.samples.at(-1));
if (!run.over) timer = setTimeout(ask, EVERY / 2);
