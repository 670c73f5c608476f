// The chart of a run: bits per byte against steps or time, as SVG as wide as its place. Without JavaScript the page has
// the scores as a table. It is not drawn by a library, because keyboards and screen readers can read it, it follows
// forced colours, and it can be saved as SVG: a canvas can do none of that.
//
// Colours and widths of lines are in run.css.
import { STEP, SECONDS, TRAIN, VALIDATION, apart, below, extent, firstAbove, modelOf, namesOf, pieces, scale, shortNamesOf, smoothed, smoothedBelow, timeUnit } from "./chart_math.js";
import { byId } from "./dom.js";

const TOP = 18, RIGHT = 24, BOTTOM = 40, LEFT = 44, NARROW_LEFT = 32;  // pixels between the edges and the axes; at the right, at least
const MIN_WIDTH = 260, HEIGHT = 320, NARROW = 480, NARROW_HEIGHT = 280;
const CHARACTER = 6;  // about how many pixels a character of a label is wide
const LABEL_HEIGHT = 13;  // of a line of a label, in pixels
const GAP = 6;  // pixels between the end of a line and its label
const KINDS = ["val", "smooth", "train"];  // of lines, as the legend has them
const FEW = 20;  // so many training figures are not smoothed yet: metrics.py has the same number
const AHEAD = 3;  // the axis of a run that has just begun ends at so many times what it has done, or its curve would be a dot
const ARROW = "M-5,8 L0,1 L5,8 z";  // at the upper edge, where a line comes from above it

const count = (number) => number.toLocaleString("en");

function svgNode(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, typeof value === "number" ? Math.round(value * 10) / 10 : value);
  }
  node.append(...children);
  return node;
}

export class Chart {
  // `known`: scores to compare with, each {label, bpb}; the page has the names of their models.
  constructor(known) {
    this.box = byId("chart");
    this.known = known;
    this.metrics = [];
    this.others = new Map();  // the other runs that are shown: run -> rows with its scores
    this.progress = null;  // of the run, from 0 to 1, while it trains: the axis has room for the rest
    this.toCome = "";  // the names of the models of the run that were not begun
    this.chosen = null;  // the number of the row whose value is shown; null: the last row
    this.box.addEventListener("pointermove", (event) => this.readNearest(event));
    this.box.addEventListener("pointerdown", (event) => this.readNearest(event));
    this.box.addEventListener("keydown", (event) => this.readByKey(event));
    // Once focused, the chosen row stays: a screen reader would read each new value aloud.
    this.box.addEventListener("focus", () => this.read(this.chosen ?? this.metrics.length - 1));
    for (const id of ["log", "time"]) byId(id).addEventListener("change", () => this.draw());
    byId("smoothing").addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  show(metrics) {
    this.metrics = metrics;
    this.draw();
  }

  // Shows the scores of another run, or removes them if `rows` is null.
  compare(run, rows) {
    if (rows) this.others.set(run, rows.filter((row) => row[VALIDATION] !== null));
    else this.others.delete(run);
    this.draw();
  }

  get byTime() { return byId("time").checked; }

  at(row) { return row[this.byTime ? SECONDS : STEP] ?? 0; }

  // Computes the scales from all that is to be shown. False if there is nothing yet.
  measure() {
    this.models = pieces(this.metrics);
    const smoothing = Number(byId("smoothing").value);
    byId("smoothed").textContent = smoothing.toFixed(2);
    this.few = this.metrics.filter((row) => row[TRAIN] !== null).length < FEW;
    const smooth = (rows) => smoothed(rows, this.few ? 0 : smoothing);
    this.smooth = this.models.map(smooth);
    const lines = [this.metrics, ...this.others.values()];
    const range = extent({ lines, smooth: this.smooth.flat(), known: this.known.map(({ bpb }) => bpb) });
    if (!range) return false;
    const width = Math.max(this.box.clientWidth, MIN_WIDTH);
    const height = width < NARROW ? NARROW_HEIGHT : HEIGHT;
    const done = Math.max(...lines.flat().map((row) => this.at(row)), 10), now = this.metrics.length ? this.at(this.metrics.at(-1)) : 0;
    const last = Math.max(done, this.progress && !this.few ? Math.min(now / this.progress, AHEAD * now) : 0);
    const [unit, name] = this.byTime ? timeUnit(last) : [1, "steps"];
    this.beside = this.labelsBeside(width < NARROW);
    const right = width - Math.max(RIGHT, ...this.beside.flatMap(({ words }) => words.map((each) => CHARACTER * each.length + 2 * GAP)));
    const logarithmic = byId("log").checked;
    const up = scale(...range, [height - BOTTOM, TOP], { count: 5, logarithmic });
    const left = width < NARROW && !logarithmic ? NARROW_LEFT : LEFT;
    const across = scale(0, last / unit, [left, right], { count: width < NARROW ? 4 : 6 });
    const x = (row) => across.place(this.at(row) / unit);
    this.smooth = this.models.map((rows) => smoothedBelow(rows, smooth, up.values.at(-1)));
    Object.assign(this, { width, height, left, right, across, up, unit: name, x });
    return true;
  }

  draw() {
    if (!this.metrics.length || !this.measure()) return;
    const { width, height } = this;
    const svg = svgNode("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": this.summary(), class: this.few ? "few" : "" });
    const plot = svgNode("g", { "clip-path": "url(#plot)" });
    for (const nodes of [this.rules(), this.knownLines(), this.otherLines(), this.ownLines(), this.arrows()]) plot.append(...nodes);
    const inside = { x: this.left, y: TOP - 4, width: this.right - this.left + 4, height: height - TOP - BOTTOM + 8 };
    const clip = svgNode("clipPath", { id: "plot" }, svgNode("rect", inside));
    this.cursor = svgNode("line", { class: "cursor", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
    svg.append(clip, ...this.grid(), plot, ...this.labels(), this.cursor);
    this.box.classList.remove("awaited");
    this.box.replaceChildren(svg);
    byId("choices").hidden = byId("keys").hidden = false;
    this.describe();
    this.explain(svg);
  }

  // The legend has a dot for what is one.
  explain(svg) {
    const keys = byId("keys");
    keys.classList.toggle("few", this.few);
    keys.querySelector(".higher").hidden = !svg.querySelector(".arrow");
    keys.querySelector(".smooth").hidden = byId("smoothing").parentElement.hidden = this.few;
    for (const kind of KINDS) {
      const lines = [...svg.querySelectorAll(`polyline.${kind}`)];
      keys.querySelector(`.${kind}`).classList.toggle("single", lines.length > 0 && lines.every(({ points }) => points.length === 1));
    }
  }

  // Where lines come from above the axis, each with the value that it has there for the pointer.
  arrows() {
    const highest = this.up.values.at(-1), names = this.models.length > 1 ? namesOf(this.models) : ["This run"];
    const arrow = (kind, row, text) => svgNode("path", { class: `arrow ${kind}`, d: ARROW, transform: `translate(${this.x(row).toFixed(1)} ${TOP})` }, svgNode("title", {}, text));
    const scores = (rows, name, kind) => firstAbove(rows, highest).map((row) =>
      arrow(kind, row, `${name}: ${row[VALIDATION].toFixed(3)} bits per byte of held-out text at step ${count(row[STEP])}, above the chart`));
    const training = this.models.flatMap((rows, i) => {
      const all = rows.filter((row) => row[TRAIN] !== null), [first] = below(all, (row) => row[TRAIN], highest);
      return first && first !== all[0] ? [arrow("train", first, `${names[i]}: training begins at ${all[0][TRAIN].toFixed(3)} bits per byte, above the chart`)] : [];
    });
    const others = [...this.others].flatMap(([run, rows], i) => scores(rows, `Run ${run}`, `other-${i % 4}`));
    return [...training, ...this.models.flatMap((rows, i) => scores(rows, names[i], "val")), ...others];
  }

  summary() {
    const last = this.metrics.findLast((row) => row[VALIDATION] !== null);
    return last ? `Held-out text: ${last[VALIDATION].toFixed(3)} bits per byte after ${count(last[STEP])} steps` : "No score yet";
  }

  grid() {
    const { height, left, right, across, up } = this, bottom = height - BOTTOM, nodes = [];
    for (const value of across.values) {
      nodes.push(svgNode("text", { x: across.place(value), y: bottom + 16, "text-anchor": "middle" }, count(value)));
    }
    // As many decimals for each; the lowest value of a logarithmic axis is no round one.
    const shown = up.values.map((value) => String(Number(value.toPrecision(4)))), round = byId("log").checked ? shown.slice(1) : shown;
    const decimals = Math.max(0, ...round.map((text) => text.split(".")[1]?.length ?? 0));
    for (const [i, value] of up.values.entries()) {
      const y = up.place(value);
      nodes.push(svgNode("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
      nodes.push(svgNode("text", { x: left - GAP, y: y + 4, "text-anchor": "end" }, round.includes(shown[i]) ? value.toFixed(decimals) : shown[i]));
    }
    return [...nodes, svgNode("text", { x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle" }, this.unit)];
  }

  // Where the next model of the run begins.
  rules() {
    const rule = (x, kind) => svgNode("line", { class: kind, x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM });
    const begun = this.models.slice(1).map(([row]) => rule(this.x(row), "rule"));
    return this.toCome ? [...begun, rule(this.next(), "rule to-come")] : begun;
  }

  // About where the model that follows will begin: the one in training takes as long as the one before it, or longer.
  next() {
    const starts = this.models.map(([row]) => this.x(row)), [before, last] = [starts.at(-2) ?? this.left, starts.at(-1)];
    return Math.max(starts.length > 1 ? 2 * last - before : 0, this.x(this.metrics.at(-1)));
  }

  knownLines() {
    return this.known.map(({ bpb }) => {
      const y = this.up.place(bpb);
      return svgNode("line", { class: "known", x1: this.left, x2: this.right, y1: y, y2: y });
    });
  }

  otherLines() {
    return [...this.others.values()].flatMap((rows, i) =>
      pieces(rows).flatMap((piece) => this.line(`other other-${i % 4}`, piece, (row) => row[VALIDATION], true)));
  }

  ownLines() {
    const raw = this.models.flatMap((rows) => this.line("train", rows.filter((row) => row[TRAIN] !== null), (row) => row[TRAIN]));
    const smooth = this.few ? [] : this.smooth.flatMap((piece) => {
      const values = new Map(piece);
      return this.line("smooth", [...values.keys()], (row) => values.get(row));
    });
    const scores = this.models.flatMap((rows) => this.line("val", rows.filter((row) => row[VALIDATION] !== null), (row) => row[VALIDATION], true));
    return [...raw, ...smooth, ...scores];
  }

  // A line through rows, with dots if asked for, and always for a single point, which would not be visible. It begins
  // where it is below the top: what comes from above would seem to have begun elsewhere.
  line(kind, rows, value, dots = false) {
    const places = below(rows, value, this.up.values.at(-1)).map((row) => [this.x(row), this.up.place(value(row))]);
    if (!places.length) return [];
    const points = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    const circles = dots || places.length === 1 ? places : [];
    return [svgNode("polyline", { class: kind, points }), ...circles.map(([cx, cy]) => svgNode("circle", { class: kind, r: 3, cx, cy }))];
  }

  // What stands at the right of the plot, where no curve runs: the names of known scores and of other runs. Where there
  // is little room, their words are below each other.
  labelsBeside(isNarrow) {
    const known = this.known.map(({ label, bpb }) => ({ text: `${label} ${bpb.toFixed(3)}`, kind: "label", bpb }));
    const others = [...this.others].flatMap(([run, rows], i) =>
      rows.length ? [{ text: `run ${run}`, kind: `label other-${i % 4}`, bpb: rows.at(-1)[VALIDATION] }] : []);
    return [...known, ...others].map((label) => ({ ...label, words: isNarrow ? label.text.split(" ") : [label.text] }));
  }

  // The names of models above the plot, and those of lines at its right, as near to their lines as there is room.
  labels() {
    const starts = [...this.models.map((rows, i) => i ? this.x(rows[0]) : this.left), ...(this.toCome ? [this.next()] : [])];
    const toCome = this.toCome ? [this.toCome] : [], names = [...namesOf(this.models), ...toCome];
    const short = [...shortNamesOf(this.models), ...toCome];
    const models = names.length < 2 ? [] : names.flatMap((name, i) => {
      const room = (starts[i + 1] ?? this.right) - starts[i];
      const text = [name, short[i]].find((each) => CHARACTER * each.length + 6 < room);
      return text ? [svgNode("text", { class: "label", x: starts[i] + 4, y: TOP - 6 }, text)] : [];
    });
    const heights = this.beside.map(({ words }) => LABEL_HEIGHT * words.length);
    const tops = apart(this.beside.map(({ bpb }, i) => this.up.place(bpb) - heights[i] / 2), heights, [0, this.height - BOTTOM]);
    const beside = this.beside.flatMap(({ words, kind }, i) => words.map((text, line) =>
      svgNode("text", { class: kind, x: this.right + GAP, y: tops[i] + LABEL_HEIGHT * (line + 1) - 3 }, text)));
    return [...models, ...beside];
  }

  // Lets the keyboard move through the chart, and shows the value of the chosen row.
  describe() {
    const last = this.metrics.length - 1;
    if (last < 0) return;
    Object.assign(this.box, { tabIndex: 0, role: "slider", ariaLabel: "Chart", ariaValueMin: 0, ariaValueMax: last });
    this.showValue(Math.min(this.chosen ?? last, last));
  }

  // Chooses a row, by its number, and shows its value.
  read(number) {
    if (!this.cursor || number < 0) return;
    this.chosen = number;
    this.showValue(number);
  }

  showValue(number) {
    const row = this.metrics[number], { cursor, box } = this;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, this.x(row));
    cursor.setAttribute("visibility", this.chosen === null ? "hidden" : "visible");
    const text = this.textOf(row);
    byId("reading").textContent = text;
    Object.assign(box, { ariaValueNow: number, ariaValueText: text });
  }

  textOf(row) {
    const at = this.byTime ? `${count(Math.round(row[SECONDS]))} s` : `Step ${count(row[STEP])}`;
    const names = namesOf(this.models), own = modelOf(row);
    const model = names.length > 1 ? `, ${names[this.models.findIndex(([first]) => modelOf(first) === own)]}` : "";
    if (row[VALIDATION] !== null) return `${at}${model}: held-out text ${row[VALIDATION].toFixed(3)}`;
    const smooth = this.smooth.flat().find(([each]) => each === row);
    const average = smooth && !this.few && Number(byId("smoothing").value) ? `, smoothed ${smooth[1].toFixed(3)}` : "";
    return `${at}${model}: training ${row[TRAIN]?.toFixed(3) ?? "?"}${average}`;
  }

  readNearest(event) {
    const svg = this.box.querySelector("svg");
    if (!svg || !this.metrics.length) return;
    const box = svg.getBoundingClientRect();
    const pointer = (event.clientX - box.left) * this.width / box.width;
    let nearest = 0, distance = Infinity;
    this.metrics.forEach((row, number) => {
      const away = Math.abs(this.x(row) - pointer);
      if (away < distance) [nearest, distance] = [number, away];
    });
    this.read(nearest);
  }

  // The number of the next row with a score in a direction, or one beyond the last row.
  scoreFrom(at, direction) {
    let number = at + direction;
    while (this.metrics[number] && this.metrics[number][VALIDATION] === null) number += direction;
    return number;
  }

  readByKey(event) {
    const last = this.metrics.length - 1, at = this.chosen ?? last;
    const moves = {
      ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: last,
      PageDown: this.scoreFrom(at, -1), PageUp: this.scoreFrom(at, 1),
    };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    this.read(Math.max(0, Math.min(moves[event.key], last)));
  }
}
