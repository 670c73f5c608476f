// Keeps the estimate beside the form up to date. What it comes to, the server says.
(() => {
  const form = document.getElementById("train");
  if (!form) return;
  const estimate = document.getElementById("estimate");
  let timer = null, asked = 0;

  async function ask() {
    const mine = ++asked;
    try {
      const response = await fetch(location.href, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...Object.fromEntries(new FormData(form)), estimate: 1 }),
      });
      const answer = await response.json();
      if (mine === asked) estimate.textContent = answer.ok ? answer.estimate.text : answer.error;
    } catch {
      if (mine === asked) estimate.textContent = "";
    }
  }

  document.getElementById("again").hidden = true;  // it is for those without JavaScript
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  });
})();
