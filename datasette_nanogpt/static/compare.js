// Keeps the comparison with a run that is not over up to date: the server makes its parts anew.
import { byId, freshPage } from "./dom.js";

const EVERY = 10000;  // milliseconds between two looks: a score comes at most so often in runs that are worth comparing
const PARTS = ["outcome", "plot", "wrote", "figures"];

// Whether somebody is at a part, by keyboard or with a selection, which would be lost with it.
function inUse(part) {
  const selection = getSelection();
  return part.contains(document.activeElement) || (!selection.isCollapsed && selection.containsNode(part, true));
}

// Replaces a part that has changed; false if that must wait.
function replacePart(id, page) {
  const [old, part] = [byId(id), page.getElementById(id)];
  if (old.innerHTML === part.innerHTML) return true;
  if (inUse(old)) return false;
  old.replaceWith(part);
  sayThatItUpdates();
  return true;
}

function sayThatItUpdates() {
  const sentence = byId("by-itself");
  if (sentence) sentence.hidden = false;
}

async function refresh() {
  const page = document.hidden ? null : await freshPage();
  const replaced = page ? PARTS.map((id) => replacePart(id, page)) : [false];
  if (!replaced.every(Boolean) || page.getElementById("under-way")) setTimeout(refresh, EVERY);
}

sayThatItUpdates();
setTimeout(refresh, EVERY);
