// While rows are scored: shows how far that has come, and what there is so far; reloads the page when it is over.
const PARTIAL = 5;  // seconds between two looks at the rows that were scored so far
const progress = document.getElementById("progress");
let looks = 0;

// A screen reader reads the status aloud each time it is set, so it is set only when it changes.
function setText(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

// The rows come from the server: they are taken from a new copy of this page. Nothing moves under somebody's keyboard.
async function refreshResults() {
  const results = document.getElementById("results");
  if (results.contains(document.activeElement)) return;
  const response = await fetch(location.href);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const part = page.getElementById("results");
  if (part) results.replaceWith(part);
}

async function follow() {
  try {
    const { run } = await (await fetch(progress.dataset.run, { cache: "no-store" })).json();
    if (!run || run.over) {
      location.reload();
      return;
    }
    setText("status", run.state);
    setText("pace", run.pace);
    progress.value = run.progress ?? 0;
    looks += 1;
    if (looks % PARTIAL === 0 && !document.hidden && run.status === "running") await refreshResults();
  } catch {
    setText("status", "The connection is lost. Trying again.");
  }
  setTimeout(follow, document.hidden ? 10000 : 1000);
}

if (progress) setTimeout(follow, 1000);
