"""The small line of scores in a cell of a table, the chart of two runs beside each other, and JSON for
scripts. static/chart.js draws a run's chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

Score = tuple[float, float]  # seconds of training, bits per byte
Point = tuple[float, float]  # in a plot: from its left, from its top
# The sizes of the plot of two runs, in its own units: on a phone they are pixels.
WIDE, NARROW = (520, 230), (304, 220)
LABEL = (86, 12)  # the width and height of "Run 12: 3.175"
NEAR = 7  # how near a label comes to a line
# Seconds from which an axis of time is in a unit, the seconds of that unit, and its name.
UNITS = ((7200, 3600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))


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
    on its axes, time across and bits per byte upwards, and where the label of a single score begins. None if
    neither run has two scores."""
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
        "size": size,
    }


def _beside(point: Point, line: Sequence[Point], size: tuple[int, int]) -> Point:
    """Where the label of a single point begins, on its baseline: beside, above or below it, where the line of
    the other run does not cross it."""
    (x, y), (width, height) = point, LABEL
    inside = min(max(x - width / 2, 0), size[0] - width)
    places = [(x + 9, y + 4), (x - 9 - width, y + 4)]
    places += [(inside, y + down) for down in (-9, 19, -20, 30)]
    crossed = [
        (x1 + (x2 - x1) * i / 50, y1 + (y2 - y1) * i / 50)
        for (x1, y1), (x2, y2) in pairwise(line)
        for i in range(51)
    ]

    def is_free(left: float, base: float) -> bool:
        return (
            0 <= left <= size[0] - width
            and 0 <= base <= size[1]
            and not any(
                left - NEAR < px < left + width + NEAR and base - height - NEAR < py < base + NEAR
                for px, py in crossed
            )
        )

    left, base = next((place for place in places if is_free(*place)), places[0])
    return round(left, 1), round(base, 1)


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
