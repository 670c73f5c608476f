// Follows a run: asks for what is new since the last answer, and draws the chart. All text goes through textContent.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("live").textContent);
  const address = location.pathname.replace(/\/$/, "") + ".json";
  let { run, metrics, next } = data;
  let timer = null, waiting = false, failures = 0;

  // ---- The chart

  const W = 720, H = 300, LEFT = 48, RIGHT = 24, TOP = 12, BOTTOM = 36;
  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const ticks = (low, high) => {
    const span = high - low || Math.abs(high) || 1;
    const size = 10 ** Math.floor(Math.log10(span / 5));
    const step = [1, 2, 5, 10].map((m) => size * m).find((s) => span / s <= 5);
    const first = Math.floor(low / step), last = Math.max(Math.ceil(high / step), first + 1);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  };
  let points = [];  // [x, train, val] as drawn, for reading values
  let across = null;
  let place = null;  // of the point that is read; while null, the last one
  const chart = byId("chart");

  function draw() {
    const time = byId("time").checked, log = byId("log").checked;
    const x = time ? 2 : 1, height = log ? Math.log10 : (v) => v;
    const line = (rows, column) => rows.filter((r) => r[column] !== null).map((r) => [r[x], height(r[column])]);
    const lines = data.earlier.map((rows) => ["earlier", line(rows, 4)]);
    lines.push(["train", line(metrics, 3)], ["val", line(metrics, 4)]);
    const all = lines.flatMap(([, l]) => l);
    if (!all.length) return;
    const most = (i) => all.reduce((m, p) => Math.max(m, p[i]), -Infinity);
    const xs = ticks(0, most(0)), ys = ticks(all.reduce((m, p) => Math.min(m, p[1]), Infinity), most(1));
    across = (v) => LEFT + (v - xs[0]) / (xs.at(-1) - xs[0]) * (W - LEFT - RIGHT);
    const down = (v) => TOP + (ys.at(-1) - v) / (ys.at(-1) - ys[0]) * (H - TOP - BOTTOM);
    const last = metrics.findLast((r) => r[4] !== null);
    const told = last ? `Validation: ${last[4].toFixed(3)} bits per byte after ${last[1]} steps` : "No score yet";
    const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": told });
    for (const v of xs) svg.append(node("text", { x: across(v), y: H - 18, "text-anchor": "middle" }, v.toLocaleString()));
    for (const v of ys) {
      svg.append(node("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: down(v), y2: down(v) }));
      const label = +(log ? 10 ** v : v).toPrecision(3);
      svg.append(node("text", { x: LEFT - 6, y: down(v) + 4, "text-anchor": "end" }, label));
    }
    svg.append(node("text", { x: (LEFT + W) / 2, y: H - 2, "text-anchor": "middle" }, time ? "seconds" : "steps"));
    for (const [kind, l] of lines) {
      svg.append(node("polyline", { class: kind, points: l.map(([a, b]) => `${across(a)},${down(b)}`).join(" ") }));
      const dots = kind === "val" || l.length === 1 ? l : [];
      for (const [a, b] of dots) svg.append(node("circle", { class: kind, r: 3, cx: across(a), cy: down(b) }));
    }
    svg.append(node("line", { class: "cursor", x1: 0, x2: 0, y1: TOP, y2: H - BOTTOM, visibility: "hidden" }));
    points = metrics.map((r) => [r[x], r[3], r[4]]);
    chart.replaceChildren(svg);
    const end = points.length - 1;
    if (end < 0) return;
    Object.assign(chart, { tabIndex: 0, role: "slider", ariaLabel: "Chart", ariaValueMin: 0, ariaValueMax: end });
    read(Math.min(place ?? end, end));
  }

  function read(i) {
    const near = points[i], cursor = chart.querySelector(".cursor");
    for (const end of ["x1", "x2"]) cursor?.setAttribute(end, across(near[0]));
    cursor?.setAttribute("visibility", place === null ? "hidden" : "visible");
    const unit = byId("time").checked ? "s" : "steps";
    const value = near[2] !== null ? `validation ${near[2].toFixed(3)}` : `training ${near[1]?.toFixed(3) ?? "?"}`;
    const told = `${Math.round(near[0]).toLocaleString()} ${unit}: ${value}`;
    byId("reading").textContent = told;
    Object.assign(chart, { ariaValueNow: i, ariaValueText: told });
  }

  chart.addEventListener("pointermove", (event) => {
    const svg = chart.firstElementChild;
    if (!svg || !points.length) return;
    const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * W / box.width;
    const far = points.map((p) => Math.abs(across(p[0]) - at));
    read(place = far.indexOf(far.reduce((a, b) => Math.min(a, b))));
  });
  chart.addEventListener("keydown", (event) => {
    const last = points.length - 1, at = place ?? last;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    read(place = Math.max(0, Math.min(to, last)));
  });
  // From then on it stays: a screen reader would tell each new value.
  chart.addEventListener("focus", () => read(place ??= points.length - 1));
  for (const id of ["log", "time"]) byId(id).addEventListener("change", draw);
  byId("choices").hidden = false;

  // ---- What is new

  function show(answer) {
    const before = run;
    ({ run, next } = answer);
    metrics.push(...answer.metrics);
    // A screen reader tells the status when it changes; the pace changes every second.
    if (byId("status").textContent !== run.state) byId("status").textContent = run.state;
    byId("pace").textContent = run.pace;
    byId("progress").value = run.progress ?? 0;
    for (const { step, val_bpb, sample } of answer.samples) {
      const article = document.createElement("article"), head = document.createElement("h3");
      head.textContent = `Step ${step.toLocaleString()}` + (val_bpb === null ? "" : `: ${val_bpb.toFixed(3)} bits per byte`);
      const text = document.createElement("p");
      text.className = "text";
      text.textContent = sample;
      article.append(head, text);
      const box = byId("samples"), atEnd = box.scrollWidth - box.clientWidth - box.scrollLeft < 40;
      box.append(article);
      box.tabIndex = 0;
      if (atEnd) box.scrollLeft = box.scrollWidth;  // who reads an earlier one is not carried away
    }
    if (answer.metrics.length) draw();
    const changed = run.status !== before.status || run.stop_requested !== before.stop_requested;
    if (changed || answer.samples.length && byId("model").dataset.model !== "this") refresh();
  }

  // The links, the buttons and the settings are the server's: take them from a fresh copy of this page.
  async function refresh() {
    const response = await fetch(location.href).catch(() => null);
    if (!response?.ok) return void setTimeout(refresh, 2000);  // else the buttons would stay those of before
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const id of ["model", "actions", "settings"]) {
      const fresh = page.getElementById(id);
      const focused = byId(id).contains(document.activeElement);
      if (fresh) byId(id).replaceWith(fresh);
      if (focused) byId(id).querySelector("input, button, summary")?.focus();
    }
  }

  async function look() {
    if (waiting) return;
    clearTimeout(timer);
    waiting = true;
    try {
      const response = await fetch(`${address}?after=${next}`, { cache: "no-store" });
      if (response.status === 404 || response.status === 403) {
        byId("connection").textContent = "This run is no longer to be seen.";
        byId("connection").hidden = false;
        return;
      }
      if (!response.ok) throw new Error(response.status);
      show(await response.json());
      failures = 0;
      byId("connection").hidden = true;
    } catch {
      failures += 1;
      byId("connection").textContent = "The connection is lost. Trying again.";
      byId("connection").hidden = failures < 2;
    } finally {
      waiting = false;
    }
    if (!run.over) timer = setTimeout(look, (document.hidden ? 10000 : 1000) * Math.min(2 ** failures, 8));
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && !run.over) look(); });
  window.addEventListener("online", () => { if (!run.over) look(); });
  draw();
  if (!run.over) timer = setTimeout(look, 500);
})();
