// The tables to train on, which the page shows without figures where these take long: here they are asked for.
import { freshPage } from "./fresh_page.js";

export async function fillTables() {
  const url = document.getElementById("tables")?.dataset.url;
  if (!url) return;
  const part = (await freshPage(url))?.getElementById("tables");
  if (part) document.getElementById("tables")?.replaceWith(part);
}

fillTables();
