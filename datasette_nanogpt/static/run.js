// Follows a run: asks the server each second for what is new. All text goes through textContent.
import { Chart } from "./chart.js";

const EVERY = 1000, HIDDEN = 10000;  // milliseconds between questions, and in a tab that nobody looks at
const MAX_SLOWDOWN = 8;  // how many times longer the wait becomes while the server does not answer

const byId = (id) => document.getElementById(id);
const address = location.pathname.replace(/\/$/, "") + ".json";
const { run: firstRun, metrics, axes: firstAxes, next: firstNext, earlier } = JSON.parse(byId("live").textContent);
const chart = new Chart(earlier);
let run = firstRun, axes = firstAxes, next = firstNext;
let timer = null, asking = false, failures = 0;

// A screen reader reads the status aloud each time it is set, so it is set only when it changes.
function showStatus() {
  if (byId("status").textContent !== run.state) byId("status").textContent = run.state;
  byId("pace").textContent = run.pace;
  byId("progress").value = run.progress ?? 0;
}

function showConnection(text) {
  byId("connection").textContent = text;
  byId("connection").hidden = !text;
}

function sampleArticle({ step, val_bpb, sample }) {
  const article = document.createElement("article");
  const heading = document.createElement("h3"), text = document.createElement("p");
  const score = val_bpb === null ? "" : `: ${val_bpb.toFixed(3)} bits per byte`;
  heading.textContent = `Step ${step.toLocaleString("en")}${score}`;
  text.className = "text";
  text.textContent = sample;
  article.append(heading, text);
  return article;
}

// Shows the last sample, unless somebody has scrolled back to read an earlier one.
function addSample(sample) {
  const box = byId("samples"), atEnd = box.scrollWidth - box.clientWidth - box.scrollLeft < 40;
  box.append(sampleArticle(sample));
  box.tabIndex = 0;
  if (atEnd) box.scrollLeft = box.scrollWidth;
}

function show(answer) {
  const before = run;
  ({ run, next } = answer);
  showStatus();
  if (answer.metrics.length) {
    metrics.push(...answer.metrics);
    axes = answer.axes;
    chart.show(metrics, axes);
  }
  answer.samples.forEach(addSample);
  const changed = run.status !== before.status || run.stop_requested !== before.stop_requested;
  const modelAppeared = answer.samples.length > 0 && byId("model").dataset.model !== "this";
  if (changed || modelAppeared) refresh();
}

// The links, the buttons and the settings come from the server: they are taken from a new copy of this page.
async function refresh() {
  const response = await fetch(location.href).catch(() => null);
  if (!response?.ok) {
    setTimeout(refresh, 2000);
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ["model", "actions", "verdict", "settings"]) replacePart(id, page.getElementById(id));
}

// The keyboard stays where it was.
function replacePart(id, part) {
  if (!part) return;
  const focused = byId(id).contains(document.activeElement);
  byId(id).replaceWith(part);
  if (focused) byId(id).querySelector("input, button, summary")?.focus();
}

// What is new since the last answer; null if this run may no longer be seen.
async function fetchAnswer() {
  const question = new URLSearchParams({ ...(axes && { extent: axes.extent }), after: next });
  const response = await fetch(`${address}?${question}`, { cache: "no-store" });
  if (response.status === 404 || response.status === 403) return null;
  if (!response.ok) throw new Error(response.status);
  return response.json();
}

async function ask() {
  if (asking) return;
  clearTimeout(timer);
  asking = true;
  try {
    const answer = await fetchAnswer();
    if (!answer) {
      showConnection("This run was deleted, or you may no longer see it.");
      return;
    }
    show(answer);
    failures = 0;
    showConnection("");
  } catch {
    failures += 1;
    showConnection(failures < 2 ? "" : "The connection is lost. Trying again.");
  } finally {
    asking = false;
  }
  if (!run.over) timer = setTimeout(ask, (document.hidden ? HIDDEN : EVERY) * Math.min(2 ** failures, MAX_SLOWDOWN));
}

function askNow() {
  if (!run.over && !document.hidden) ask();
}

document.addEventListener("visibilitychange", askNow);
window.addEventListener("online", askNow);
chart.show(metrics, axes);
if (!run.over) timer = setTimeout(ask, EVERY / 2);
