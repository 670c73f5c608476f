"""The small line of scores in a cell of a table, the chart of two runs beside each other, and JSON for
scripts. static/chart.js draws a run's chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

Score = tuple[float, float]  # seconds of training, bits per byte
Point = tuple[float, float]  # in a plot: from its left, from its top
# The sizes of the plot of two runs, in its own units: on a phone they are pixels.
WIDE, NARROW = (520, 230), (304, 220)
FONT = {WIDE: 8, NARROW: 12}  # the size of their letters in static/compare.css
LABELS = {1: 6.6, 2: 3.4}  # how wide "Run 12: 3.175" is in one line and in two, in sizes of its letters
NEAR = 7  # how near a label comes to a line
# Seconds from which an axis of time is in a unit, the seconds of that unit, and its name.
UNITS = ((7200, 3600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))


class Label(NamedTuple):
    """Where a label begins, on the baseline of its first line, and how many lines it has."""

    left: float
    base: float
    lines: int


def sparkline(values: Sequence[float]) -> str:
    """A small line for a table's cell, as SVG: the best score so far, as a run that begins another model is
    not getting worse. Empty for fewer than two values."""
    if len(values) < 2:
        return ""
    values = list(accumulate(values, min))
    low, high = min(values), max(values)
    points = " ".join(
        f"{i / (len(values) - 1) * 98 + 1:.1f},{23 - (value - low) / ((high - low) or 1) * 22:.1f}"
        for i, value in enumerate(values)
    )
    return (
        f'<svg class="sparkline" viewBox="0 0 100 24" aria-hidden="true"><polyline points="{points}"/></svg>'
    )


def two_lines(a: Sequence[Score], b: Sequence[Score], size: tuple[int, int] = WIDE) -> dict[str, Any] | None:
    """The points of the scores of two runs in a plot of `size`, the places and labels of round numbers
    on its axes, time across and bits per byte upwards, and the label of a single score, where there is room
    for it. None if neither run has two scores."""
    if len(a) < 2 and len(b) < 2:
        return None
    bits, last = [bpb for _, bpb in (*a, *b)], max(seconds for seconds, _ in (*a, *b))
    per_unit, unit = next((size, name) for least, size, name in UNITS if last >= least)
    across, up = round_ticks(0, last / per_unit), round_ticks(min(bits), max(bits))
    x, y = size[0] / (across[-1] * per_unit), size[1] / (up[-1] - up[0])
    digits = max(0, *(len(f"{tick:g}".partition(".")[2]) for tick in up))
    sides = [[(round(s * x, 1), round((up[-1] - bpb) * y, 1)) for s, bpb in side] for side in (a, b)]
    return {
        "sides": sides,
        "single": [
            _beside(one[0], other, size) if len(one) == 1 else None for one, other in (sides, sides[::-1])
        ],
        "across": [(round(tick * per_unit * x, 1), f"{tick:g}") for tick in across],
        "up": [(round((up[-1] - tick) * y, 1), f"{tick:.{digits}f}") for tick in up],
        "unit": unit,
        "second": x,  # how far to the right it is
        "size": size,
    }


def _beside(point: Point, line: Sequence[Point], size: tuple[int, int]) -> Label | None:
    """The label of a single point: beside, below or above it, in one line or in two, where it is nearer to
    its point than to the line of the other run. None if there is no such place: the legend has it then."""
    (x, y), parts = point, [i / 50 for i in range(51)]
    other = [(x1 + (x2 - x1) * i, y1 + (y2 - y1) * i) for (x1, y1), (x2, y2) in pairwise(line) for i in parts]
    for lines, letters in LABELS.items():
        width, height = letters * FONT[size], 1.2 * lines * FONT[size]
        inside, middle = min(max(x - width / 2, 0), size[0] - width), y - height / 2
        for left, top in (x + 9, middle), (x - 9 - width, middle), (inside, y + 8), (inside, y - 9 - height):
            box = (left, top, left + width, top + height)
            is_inside = left >= 0 and top >= 0 and box[2] <= size[0] and box[3] <= size[1]
            if is_inside and min(_away(box, each) for each in other) > max(NEAR, _away(box, point)):
                return Label(round(left, 1), round(top + FONT[size], 1), lines)
    return None


def _away(box: tuple[float, float, float, float], point: Point) -> float:
    """How far a point is from a box, which is given by its left, top, right and bottom."""
    left, top, right, bottom = box
    x, y = point
    return math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `count` of them: `ticks` of
    static/chart_math.js."""
    span = high - low if high - low > 1e-9 else max(abs(high), 1.0)
    size = 10.0 ** math.floor(math.log10(span / count))
    step = next(size * m for m in (1, 2, 5, 10) if span / (size * m) <= count)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def for_script(value: Any) -> str:
    """JSON that can stand inside a <script>: no text in it can end that element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
