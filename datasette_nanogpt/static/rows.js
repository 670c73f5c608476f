// While rows are scored: shows how far that has come, and reloads the page when it is over.
const progress = document.getElementById("progress");

// A screen reader reads the status aloud each time it is set, so it is set only when it changes.
function setText(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
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
  } catch {
    setText("status", "The connection is lost. Trying again.");
  }
  setTimeout(follow, document.hidden ? 10000 : 1000);
}

if (progress) setTimeout(follow, 1000);
