// While rows are scored: tells how far that is, and takes the page anew when it is over.
(() => {
  const progress = document.getElementById("progress");
  if (!progress) return;
  const look = async () => {
    try {
      const { run } = await (await fetch(progress.dataset.run, { cache: "no-store" })).json();
      if (!run || run.over) return location.reload();
      const parts = [run.note ? `${run.status}: ${run.note}` : run.status];
      if (run.eta) parts.push(`about ${Math.round(run.eta)} s left`);
      document.getElementById("status").textContent = parts.join(", ");
      progress.value = run.progress ?? 0;
    } catch {
      document.getElementById("status").textContent = "The connection is lost. Trying again.";
    }
    setTimeout(look, document.hidden ? 10000 : 1000);
  };
  setTimeout(look, 1000);
})();
