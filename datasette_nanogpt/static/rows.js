// While rows are scored: shows the progress and the results so far, and reloads the page at the end.
import { byId, freshPage, setText } from "./dom.js";

const PARTIAL = 5;  // how many answers come between two updates of the results
const progress = byId("progress");
let answers = 0;

// Updates the results, but not while the keyboard's focus is in them.
async function refreshResults() {
  const results = byId("results");
  if (results.contains(document.activeElement)) return;
  const part = (await freshPage())?.getElementById("results");
  if (!part) return;
  const [before, after] = [results, part].map((place) => place.querySelector("#legend"));
  if (before && after) after.open = before.open;
  results.replaceWith(part);
}

async function follow() {
  try {
    const response = await fetch(progress.dataset.run, { cache: "no-store" });
    const { run, error } = await response.json();
    if (response.status >= 500) throw new Error("", { cause: error });
    if (!run || run.over) {
      location.reload();
      return;
    }
    const status = byId("status");
    setText(byId("status"), run.state === "running" ? status.dataset.running : run.state);
    setText(byId("pace"), run.pace);
    if (/left/.test(run.pace)) byId("estimate")?.remove();
    const stop = byId("stop-scoring");
    if (stop) stop.value = run.status === "queued" && run.note ? "Take out of the queue" : "Stop scoring";
    progress.value = run.progress ?? 0;
    answers += 1;
    if (answers % PARTIAL === 0 && !document.hidden && run.status === "running") await refreshResults();
  } catch ({ cause }) {  // what the server says, such as that it is busy
    setText(byId("status"), cause ? `${cause}.` : "The connection is lost. Trying again.");
  }
  setTimeout(follow, document.hidden ? 10000 : 1000);
}

if (progress) setTimeout(follow, 1000);
