// The computations of a run's chart: round ticks, scales, smoothing, and where one model ends and the next begins.
// Nothing here touches the page.
//
// A row of metrics is [id, step, seconds, train_bpb, val_bpb, model], with null for no figure.

export const STEP = 1, SECONDS = 2, TRAIN = 3, VALIDATION = 4, MODEL = 5;

// Round numbers from at most `low` to at least `high`, about `count` of them.
export function ticks(low, high, count = 5) {
  const span = high - low > 1e-9 ? high - low : Math.max(Math.abs(high), 1);
  const size = 10 ** Math.floor(Math.log10(span / count));
  const step = size * [1, 2, 5, 10].find((m) => span / (size * m) <= count);
  const first = Math.floor(low / step + 1e-9), last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// A scale from values to pixels. `start` and `end` are the pixels of the lowest and the highest tick.
export function scale(low, high, [start, end], { count = 5, logarithmic = false } = {}) {
  const values = logarithmic ? ticks(low, high, count).filter((value) => value > 0) : ticks(low, high, count);
  if (logarithmic) values[0] = Math.min(values[0], low);
  const of = logarithmic ? (value) => Math.log(Math.max(value, 1e-6)) : (value) => value;
  const first = of(values[0]), last = of(values.at(-1));
  return { values, place: (value) => start + (of(value) - first) / (last - first || 1) * (end - start) };
}

// The number of the model that a row is about.
export const modelOf = (row) => row[MODEL] ?? 1;

// The rows of each model of the run.
export function pieces(rows) {
  const all = new Map();
  for (const row of rows) {
    const model = modelOf(row);
    if (!all.has(model)) all.set(model, []);
    all.get(model).push(row);
  }
  return [...all.values()];
}

const JOINED = 0;  // the number of the model that is made of others (registry/metrics.py)

// What the model of each piece is called, and in few characters, where there is little room.
export const namesOf = (models) => models.map(([row]) => modelOf(row) === JOINED ? "the joined model" : `model ${modelOf(row)}`);
export const shortNamesOf = (models) => models.map(([row]) => modelOf(row) === JOINED ? "joined" : String(modelOf(row)));

const FAINTEST = 0.01;  // the weight from which on a figure does not count in an average

// The moving average of one model's training figures, in which each has `weight` times the weight of the one that is
// nearer: a `weight` of 0 changes nothing. At the end it is TensorBoard's. Before, it also counts figures that came
// later, so that it runs through the middle of a curve that falls, not above it; it begins with the first figure, as it
// counts no more later ones than earlier ones. Returns [row, value] for each row that has a training figure.
export function smoothed(rows, weight) {
  const shown = rows.filter((row) => row[TRAIN] !== null);
  const reach = weight ? Math.ceil(Math.log(FAINTEST) / Math.log(weight)) : 0;
  return shown.map((row, i) => {
    let sum = 0, weights = 0;
    const last = Math.min(shown.length - 1, i + Math.min(i, reach));
    for (let at = Math.max(0, i - reach); at <= last; at += 1) {
      const of = weight ** Math.abs(at - i);
      sum += of * shown[at][TRAIN];
      weights += of;
    }
    return [row, sum / weights];
  });
}

const MIN_SPAN = 1;  // bits per byte: in a shorter axis, noise would look like getting worse

// The lowest and the highest value that the axis must show: of the scores, of the known scores, and of the first model's
// line after its first score or after a tenth of the steps, whichever is earlier. At the upper end the noise of single
// windows and the falls at the beginning of models do not count: the first score of a model may leave the axis if it
// would more than double it. null if there is nothing to show.
export function extent({ lines, smooth, known }) {
  const scores = lines.flatMap(pieces).map((rows) => rows.map((row) => row[VALIDATION]).filter((bpb) => bpb !== null));
  const own = lines[0]?.find((row) => row[VALIDATION] !== null);
  const from = Math.min(own?.[STEP] ?? 0, (lines[0]?.at(-1)?.[STEP] ?? 0) / 10);
  const settled = smooth.filter(([row]) => row[STEP] >= from && modelOf(row) === modelOf(lines[0][0])).map(([, bpb]) => bpb);
  const after = (bpbs, i) => i || bpbs.length > 2 ? 1 : 0;  // where the scores begin that are not of a fall
  const shown = [...settled, ...scores.flatMap((bpbs, i) => bpbs.slice(after(bpbs, i)))];
  const first = scores.flatMap((bpbs, i) => bpbs.slice(0, after(bpbs, i)));
  if (!shown.length) shown.push(...first);
  if (!shown.length) return null;
  const raw = lines[0].filter((row) => row[TRAIN] !== null && row[STEP] >= from).map((row) => row[TRAIN]);
  const low = Math.min(...shown, ...first, ...known, ...raw), settledHigh = Math.max(...shown, ...known);
  const limit = settledHigh + Math.max(settledHigh - low, MIN_SPAN);
  const high = Math.max(settledHigh, ...first.filter((bpb) => bpb <= limit));
  const more = Math.max(0, MIN_SPAN - (high - low)) / 2;
  return [Math.max(0, low - more), high + more];
}

const SETTLED = 3;  // so many values running must be below the top where a line begins: noise comes back above it

// The rows of a line from where its values are not above `highest` any more.
export function below(rows, value, highest) {
  const first = rows.findIndex((_, i) => rows.slice(i, i + SETTLED).every((row) => value(row) <= highest));
  return first < 0 ? [] : rows.slice(first);
}

// The smoothed line of the rows that are drawn, `smooth` being what smooths. Those above `highest` count as if they
// were there: as they are, they would keep the average above all that are below it, and without them it would begin with
// the noise of a single figure, and not at the top, where the line comes from.
export function smoothedBelow(rows, smooth, highest) {
  const all = rows.filter((row) => row[TRAIN] !== null), drawn = below(all, (row) => row[TRAIN], highest);
  const lowered = all.map((row) => Object.assign([...row], { [TRAIN]: Math.min(row[TRAIN], highest) }));
  return smooth(lowered).slice(all.length - drawn.length).map(([, value], i) => [drawn[i], value]);
}

// The rows with scores of a line that are above `highest` before the line comes below it.
export function firstAbove(rows, highest) {
  const scored = rows.filter((row) => row[VALIDATION] !== null);
  return scored.slice(0, scored.length - below(scored, (row) => row[VALIDATION], highest).length);
}

// Where labels begin that are to be at `tops` and are so high, if none may cover another one or leave `from` to `to`:
// they are moved down as far as they must, and back up from the lower end.
export function apart(tops, heights, [from, to]) {
  const order = tops.map((_, i) => i).sort((a, b) => tops[a] - tops[b]), found = [...tops];
  let edge = from;
  for (const i of order) {
    found[i] = Math.max(tops[i], edge);
    edge = found[i] + heights[i];
  }
  edge = to;
  for (const i of order.reverse()) {
    found[i] = Math.min(found[i], edge - heights[i]);
    edge = found[i];
  }
  return found;
}

// A number of seconds in the unit that suits the whole axis.
export function timeUnit(seconds) {
  return [[7200, 3600, "hours"], [180, 60, "minutes"]].find(([from]) => seconds >= from)?.slice(1) ?? [1, "seconds"];
}
