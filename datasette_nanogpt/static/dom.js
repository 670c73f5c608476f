// What the scripts of several pages share. All text goes through textContent, so that nothing that a model wrote, or
// that a row says, is read as HTML.

export const byId = (id) => document.getElementById(id);

// A new element with this text, and with properties such as className.
export function element(name, textContent = "", properties = {}) {
  return Object.assign(document.createElement(name), { textContent, ...properties });
}

// A screen reader reads a status aloud each time it is set, so it is set only when it changes.
export function setText(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

// Opens everything that is folded around a place.
export function unfold(place) {
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
}

// Elements with commas between them.
export function listed(elements) {
  return elements.flatMap((each, i) => (i ? [", ", each] : [each]));
}

// Whoever does not like things to move has things jump to their places.
export function scrollBehavior() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
}

// A page as a new document, from which scripts take the parts that the server makes; null if the server does not answer
// with one.
export async function freshPage(address = location.href) {
  const response = await fetch(address).catch(() => null);
  return response?.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
}
