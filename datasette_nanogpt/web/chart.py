"""The chart of a run: its axes, which the browser uses as well, and an SVG for those without JavaScript.

Rows are metrics: [id, step, seconds, train_bpb, val_bpb], with None where there is no figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 300  # pixels of the SVG's viewBox
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 12, 36  # pixels between its edges and the axes
TICKS = 5  # of an axis, about

Row = Sequence[Any]
Points = list[tuple[float, float]]  # step, bits per byte
Extent = tuple[float, float, float, float]  # last step, last second, lowest and highest bits per byte
Axis = list[tuple[float, float, str]]  # its ticks: value, pixels from the left or the top, label
LIMIT = 1e12  # no figure in an extent is greater


def extent_of(rows: Iterable[Row], known: Extent | None = None) -> Extent | None:
    """What a chart of these rows must reach around, beside a `known` extent. None: nothing to draw."""
    extent = known
    for _, step, seconds, train_bpb, val_bpb in rows:
        for bpb in (train_bpb, val_bpb):
            if bpb is not None:
                last_step, last_second, low, high = extent or (0.0, 0.0, bpb, bpb)
                extent = (
                    max(last_step, step or 0),
                    max(last_second, seconds or 0),
                    min(low, bpb),
                    max(high, bpb),
                )
    return extent


def read_extent(text: str | None) -> Extent | None:
    """The `extent` of earlier axes, as a browser sends it back; None where it makes no sense."""
    try:
        step, seconds, low, high = (float(number) for number in (text or "").split(","))
    except ValueError:
        return None
    sensible = 0 <= step <= LIMIT and 0 <= seconds <= LIMIT and 0 <= low <= high <= LIMIT
    return (step, seconds, low, high) if sensible else None


def axes(extent: Extent | None) -> dict[str, Any] | None:
    """The axes of a chart, as JSON: `steps` and `seconds` across, `linear` and `log` up.

    The values of `log` are decimal logarithms. `extent` is what a browser sends back with its next question.
    """
    if extent is None:
        return None
    steps, seconds, low, high = extent
    tiny = 10**-6  # bits per byte: no logarithm is taken of 0
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "extent": ",".join(f"{number:g}" if number == int(number) else repr(number) for number in extent),
        "steps": _axis(ticks(0, steps), (LEFT, WIDTH - RIGHT), _count),
        "seconds": _axis(ticks(0, seconds), (LEFT, WIDTH - RIGHT), _count),
        "linear": _axis(ticks(low, high), (HEIGHT - BOTTOM, TOP), lambda value: f"{value:.4g}"),
        "log": _axis(
            ticks(math.log10(max(low, tiny)), math.log10(max(high, tiny))),
            (HEIGHT - BOTTOM, TOP),
            lambda value: f"{10**value:.3g}",
        ),
    }


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    span = high - low if high - low > 1e-9 else max(abs(high), 1.0)
    size = 10 ** math.floor(math.log10(span / TICKS))
    step = next(size * m for m in (1, 2, 5, 10) if span / (size * m) <= TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _axis(values: list[float], pixels: tuple[float, float], label: Callable[[float], str]) -> Axis:
    """Ticks at equal distances from the first of two `pixels` to the second."""
    start, end = pixels
    distance = (end - start) / (len(values) - 1)
    return [(value, start + i * distance, label(value)) for i, value in enumerate(values)]


def _count(value: float) -> str:
    """A number of steps or seconds, as a label."""
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def place(axis: Axis, value: float) -> float:
    """Where a value stands on an axis, in pixels."""
    (first, start, _), (last, end, _) = axis[0], axis[-1]
    return start + (value - first) / (last - first) * (end - start)


def svg(box: Mapping[str, Any] | None, rows: Sequence[Row], earlier: Sequence[Sequence[Row]]) -> str:
    """Bits per byte against steps, of this run and faintly of `earlier` ones. The axes of `box` reach around
    all of them. Empty where there is nothing to draw."""
    if box is None:
        return ""
    train: Points = [(row[1], row[3]) for row in rows if row[3] is not None]
    val: Points = [(row[1], row[4]) for row in rows if row[4] is not None]
    summary = "No score yet"
    if val:
        summary = f"Validation: {val[-1][1]:.3f} bits per byte after {val[-1][0]:,} steps"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}">']
    parts += _grid(box["steps"], box["linear"])
    for line in earlier:
        points = [(row[1], row[4]) for row in line if row[4] is not None]
        parts += _line("earlier", points, box["steps"], box["linear"])
    parts += _line("train", train, box["steps"], box["linear"])
    parts += _line("val", val, box["steps"], box["linear"])
    return "".join([*parts, "</svg>"])


def _grid(across: Axis, up: Axis) -> list[str]:
    parts = [
        f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{label}</text>' for _, x, label in across
    ]
    for _, y, label in up:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (LEFT + WIDTH) / 2
    return [*parts, f'<text x="{middle}" y="{HEIGHT - 2}" text-anchor="middle">steps</text>']


def _line(kind: str, points: Points, across: Axis, up: Axis) -> list[str]:
    """A line, with a dot for each score; a line of a single point would not show without one."""
    places = [(f"{place(across, x):.1f}", f"{place(up, y):.1f}") for x, y in points]
    if not places:
        return []
    dots = places if kind == "val" or len(places) == 1 else []
    return [
        f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>',
        *(f'<circle class="{kind}" r="3" cx="{x}" cy="{y}"/>' for x, y in dots),
    ]


def sparkline(values: Sequence[float]) -> str:
    """A small line for a table's cell, as SVG. Empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    points = " ".join(
        f"{i / (len(values) - 1) * 98 + 1:.1f},{23 - (value - low) / ((high - low) or 1) * 22:.1f}"
        for i, value in enumerate(values)
    )
    return (
        f'<svg class="sparkline" viewBox="0 0 100 24" aria-hidden="true"><polyline points="{points}"/></svg>'
    )


def for_script(value: Any) -> str:
    """JSON that may stand inside a <script>, whatever text is in it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
