// While rows are scored: tells how far that is, and takes the page anew when it is over.
(() => {
  const progress = document.getElementById("progress");
  if (!progress) return;
  const tell = (id, text) => {  // a screen reader reads the status out each time it is set
    const place = document.getElementById(id);
    if (place.textContent !== text) place.textContent = text;
  };
  const look = async () => {
    try {
      const { run } = await (await fetch(progress.dataset.run, { cache: "no-store" })).json();
      if (!run || run.over) return location.reload();
      tell("status", run.state);
      tell("pace", run.pace);
      progress.value = run.progress ?? 0;
    } catch {
      tell("status", "The connection is lost. Trying again.");
    }
    setTimeout(look, document.hidden ? 10000 : 1000);
  };
  setTimeout(look, 1000);
})();
