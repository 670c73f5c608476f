// The tables to train on, of which the page does not say how much text they have where finding that out takes long: here
// it is asked for, once they are seen.
import { byId, freshPage } from "./dom.js";

export async function fillTables() {
  const tables = byId("tables"), { url } = tables?.dataset ?? {};
  if (!url || tables.hasAttribute("aria-busy") || tables.closest("details:not([open])")) return;
  tables.setAttribute("aria-busy", "true");  // the style says so, too
  const part = (await freshPage(url))?.getElementById("tables");
  tables.removeAttribute("aria-busy");
  if (part) byId("tables")?.replaceWith(part);
}

document.addEventListener("toggle", fillTables, true);  // it does not bubble
fillTables();
