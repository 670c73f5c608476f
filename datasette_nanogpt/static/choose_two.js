// The list of runs: its button compares two of them, so it waits until two are ticked. Without JavaScript the server says
// so when it is pressed.

const ticked = (form) => form.querySelectorAll("input[name=run]:checked").length;

export function allowTwo() {
  for (const form of document.querySelectorAll("form.compare")) {
    const button = form.querySelector("input[type=submit]");
    if (button) button.disabled = ticked(form) !== 2;
  }
}

document.addEventListener("change", allowTwo);
window.addEventListener("pageshow", allowTwo);  // also when somebody comes back to what was ticked
allowTwo();
