// The newest text that a run wrote, and those before it side by side, the oldest first. The strip opens at its end, and is
// as high as those that are seen.
import { byId, element, scrollBehavior } from "./dom.js";

const box = byId("samples");
const AT_END = 40;  // pixels
let newest = null;

function sampleArticle({ step, model, val_bpb, sample }) {
  const score = val_bpb === null ? "" : `: ${val_bpb.toFixed(3)} bits per byte`;
  const place = model ? `${model[0].toUpperCase()}${model.slice(1)}, step` : "Step";
  const heading = (step ? `${place} ${step.toLocaleString("en")}` : "Before the first step") + score;
  const article = element("article");
  article.append(element("h3", heading), element("p", sample.trimEnd(), { className: "text" }));
  return article;
}

// Shows a new text, and the one before it in the strip, unless somebody has scrolled back to read an earlier one.
export function addSample(sample) {
  const atEnd = box.scrollWidth - box.clientWidth - box.scrollLeft < AT_END;
  if (newest) {
    const article = sampleArticle(newest);
    article.dataset.step = newest.step ?? 0;
    box.append(article);
    box.tabIndex = 0;
  }
  newest = sample;
  byId("newest-heading").textContent = `What ${sample.model || "it"} wrote ${sample.step ? `at step ${sample.step.toLocaleString("en")}` : "before its first step"}`;
  const text = byId("newest-text");
  text.style.minHeight = `${text.offsetHeight}px`;  // a shorter text moves nothing that is below it
  Object.assign(text, { textContent: sample.sample.trimEnd(), tabIndex: 0, role: "group" });
  byId("written").hidden = !box.children.length;
  if (atEnd) toEnd();
  showPlace();
}

const toEnd = () => box.scrollTo({ left: box.scrollWidth, behavior: "instant" });

// How far the beginning of a text is from that of the next one, in pixels.
function stride() {
  const [first, second] = box.children;
  return second ? second.offsetLeft - first.offsetLeft : box.clientWidth;
}

// Says which texts are seen, and makes the strip as high as they are.
function showPlace() {
  const texts = [...box.children], wide = box.scrollWidth - box.clientWidth > 1;
  byId("turn").hidden = !wide;
  if (!texts.length || !box.clientWidth) return;
  const first = Math.min(Math.round(box.scrollLeft / stride()), texts.length - 1);
  const seen = texts.slice(first, first + Math.max(1, Math.round(box.clientWidth / stride())));
  const step = (text) => Number(text.dataset.step).toLocaleString("en");
  const from = step(seen[0]), to = step(seen.at(-1));
  byId("shown").textContent = `${seen.length > 1 ? `steps ${from} to ${to}` : `step ${from}`} of ${step(texts.at(-1))}`;
  byId("earlier").disabled = first === 0;
  byId("later").disabled = seen.at(-1) === texts.at(-1);
  const height = Math.max(...seen.map((text) => text.offsetHeight)) + box.offsetHeight - box.clientHeight;
  box.style.height = wide ? `${height}px` : "";
}

function turn(texts) {
  box.scrollBy({ left: texts * stride(), behavior: scrollBehavior() });
}

// `last` is the newest text of the page as it was opened, if there is one.
export function openStrip(last) {
  newest = last ?? null;
  let atEnd = true, width = box.clientWidth;
  box.addEventListener("scroll", () => {
    if (width === box.clientWidth) atEnd = box.scrollWidth - box.clientWidth - box.scrollLeft < AT_END;
    showPlace();
  });
  new ResizeObserver(() => {  // such as when a phone is turned
    width = box.clientWidth;
    if (atEnd) toEnd();
    showPlace();
  }).observe(byId("written"));
  byId("earlier").addEventListener("click", () => turn(-1));
  byId("later").addEventListener("click", () => turn(1));
  toEnd();
  showPlace();
}
