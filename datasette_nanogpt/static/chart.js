// The chart of a run: bits per byte against steps or seconds.
//
// Rows of metrics are [id, step, seconds, train_bpb, val_bpb]. The server works out the axes, those of its own SVG
// among them (chart.py): an axis is a list of ticks, [value, pixels, label]. All text goes through textContent.

const TRAIN = 3, VALIDATION = 4;  // columns of a row

const byId = (id) => document.getElementById(id);

function svgNode(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Where a value stands on an axis, in pixels.
function place(axis, value) {
  const [first, start] = axis[0], [last, end] = axis.at(-1);
  return start + (value - first) / (last - first) * (end - start);
}

function gridNodes(across, up, unit) {
  const left = across[0][1], right = across.at(-1)[1], bottom = up[0][1];
  const nodes = across.map(([, x, label]) => svgNode("text", { x, y: bottom + 18, "text-anchor": "middle" }, label));
  for (const [, y, label] of up) {
    nodes.push(svgNode("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    nodes.push(svgNode("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, label));
  }
  const middle = (left + right) / 2;
  return [...nodes, svgNode("text", { x: middle, y: bottom + 34, "text-anchor": "middle" }, unit)];
}

// A line, with a dot for each score; a line of a single point would not show without one.
function lineNodes(kind, places) {
  const nodes = [svgNode("polyline", { class: kind, points: places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ") })];
  const dots = kind === "val" || places.length === 1 ? places : [];
  return [...nodes, ...dots.map(([cx, cy]) => svgNode("circle", { class: kind, r: 3, cx, cy }))];
}

function summary(metrics) {
  const last = metrics.findLast((row) => row[VALIDATION] !== null);
  return last ? `Validation: ${last[VALIDATION].toFixed(3)} bits per byte after ${last[1].toLocaleString("en")} steps` : "No score yet";
}

export class Chart {
  constructor(earlier) {
    this.box = byId("chart");
    this.earlier = earlier;  // rows of earlier runs of the same model
    this.metrics = [];
    this.axes = null;
    this.chosen = null;  // the number of the row that is read; null: the last one
    this.box.addEventListener("pointermove", (event) => this.readNearest(event));
    this.box.addEventListener("keydown", (event) => this.readByKey(event));
    // Once focused, the chosen row stays: a screen reader would read each new value aloud.
    this.box.addEventListener("focus", () => this.read(this.chosen ?? this.metrics.length - 1));
    for (const id of ["log", "time"]) byId(id).addEventListener("change", () => this.draw());
    byId("choices").hidden = false;
  }

  show(metrics, axes) {
    Object.assign(this, { metrics, axes });
    this.draw();
  }

  get byTime() { return byId("time").checked; }

  // Where a row stands across the chart, in pixels.
  across(row) {
    return this.byTime ? place(this.axes.seconds, row[2]) : place(this.axes.steps, row[1]);
  }

  places(rows, column) {
    const log = byId("log").checked, up = log ? this.axes.log : this.axes.linear;
    return rows.filter((row) => row[column] !== null)
      .map((row) => [this.across(row), place(up, log ? Math.log10(row[column]) : row[column])]);
  }

  draw() {
    if (!this.axes) return;
    const { width, height, steps, seconds, linear, log } = this.axes;
    const across = this.byTime ? seconds : steps, up = byId("log").checked ? log : linear;
    const svg = svgNode("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary(this.metrics) });
    svg.append(...gridNodes(across, up, this.byTime ? "seconds" : "steps"));
    for (const rows of this.earlier) svg.append(...lineNodes("earlier", this.places(rows, VALIDATION)));
    svg.append(...lineNodes("train", this.places(this.metrics, TRAIN)));
    svg.append(...lineNodes("val", this.places(this.metrics, VALIDATION)));
    svg.append(svgNode("line", { class: "cursor", x1: 0, x2: 0, y1: up.at(-1)[1], y2: up[0][1], visibility: "hidden" }));
    this.box.replaceChildren(svg);
    this.describe();
  }

  // Makes the chart something that the keyboard can move through, and tells the value of the chosen row.
  describe() {
    const last = this.metrics.length - 1;
    if (last < 0) return;
    Object.assign(this.box, { tabIndex: 0, role: "slider", ariaLabel: "Chart", ariaValueMin: 0, ariaValueMax: last });
    this.tell(Math.min(this.chosen ?? last, last));
  }

  // Chooses a row, by its number, and tells its value.
  read(number) {
    if (!this.axes || number < 0) return;
    this.chosen = number;
    this.tell(number);
  }

  tell(number) {
    const row = this.metrics[number], cursor = this.box.querySelector(".cursor");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, this.across(row));
    cursor.setAttribute("visibility", this.chosen === null ? "hidden" : "visible");
    const [, step, seconds, train, validation] = row;
    const value = validation !== null ? `validation ${validation.toFixed(3)}` : `training ${train?.toFixed(3) ?? "?"}`;
    const at = this.byTime ? `${Math.round(seconds).toLocaleString("en")} s` : `Step ${step.toLocaleString("en")}`;
    byId("reading").textContent = `${at}: ${value}`;
    Object.assign(this.box, { ariaValueNow: number, ariaValueText: `${at}: ${value}` });
  }

  readNearest(event) {
    const svg = this.box.firstElementChild;
    if (!svg || !this.axes || !this.metrics.length) return;
    const box = svg.getBoundingClientRect();
    const pointer = (event.clientX - box.left) * this.axes.width / box.width;
    let nearest = 0, distance = Infinity;
    this.metrics.forEach((row, number) => {
      const away = Math.abs(this.across(row) - pointer);
      if (away < distance) [nearest, distance] = [number, away];
    });
    this.read(nearest);
  }

  readByKey(event) {
    const last = this.metrics.length - 1, at = this.chosen ?? last;
    const moves = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: last };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    this.read(Math.max(0, Math.min(moves[event.key], last)));
  }
}
