"""The small line of scores in a cell of a table, the chart of two runs beside each other, and JSON for
scripts. static/chart.js draws a run's chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

Score = tuple[float, float]  # seconds of training, bits per byte
WIDTH, HEIGHT = 520, 230  # the size of the chart of two runs, in its own units
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


def two_lines(a: Sequence[Score], b: Sequence[Score]) -> dict[str, Any] | None:
    """The points of the scores of two runs in a chart of `size`, and the places and labels of round numbers
    on its axes: time across, bits per byte upwards. None if neither run has two scores."""
    if len(a) < 2 and len(b) < 2:
        return None
    bits, last = [bpb for _, bpb in (*a, *b)], max(seconds for seconds, _ in (*a, *b))
    per_unit, unit = next((size, name) for least, size, name in UNITS if last >= least)
    across, up = round_ticks(0, last / per_unit), round_ticks(min(bits), max(bits))
    x, y = WIDTH / (across[-1] * per_unit), HEIGHT / (up[-1] - up[0])
    digits = max(0, *(len(f"{tick:g}".partition(".")[2]) for tick in up))
    return {
        "sides": [[(round(s * x, 1), round((up[-1] - bpb) * y, 1)) for s, bpb in side] for side in (a, b)],
        "across": [(round(tick * per_unit * x, 1), f"{tick:g}") for tick in across],
        "up": [(round((up[-1] - tick) * y, 1), f"{tick:.{digits}f}") for tick in up],
        "unit": unit,
        "size": (WIDTH, HEIGHT),
    }


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
