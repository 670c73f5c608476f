"""The chart of a run: its numbers, and the same as SVG for those who have no JavaScript."""

from __future__ import annotations

import json
import math
import sqlite3
from html import escape
from pathlib import Path
from typing import Any

from ..registry.db import registry

POINTS = 500  # of a line, at first: a chart is not wider
EARLIER = 3  # runs of the same model that stand faint behind
WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 12, 36


def metrics(db: sqlite3.Connection, run: int, after: int = 0, points: int | None = None) -> list[list[Any]]:
    """[id, step, seconds, train_bpb, val_bpb] of a run after metric number `after`; every score among them,
    and of the rest no more than about `points`."""
    # 9e999 is infinity, which JSON does not know.
    select = "select id, step, seconds, nullif(train_bpb, 9e999), nullif(val_bpb, 9e999) from metrics"
    rows = [list(row) for row in db.execute(select + " where run = ? and id > ? order by id", [run, after])]
    every = max(1, math.ceil(len(rows) / points)) if points else 1
    return [row for i, row in enumerate(rows) if i % every == 0 or row[4] is not None or i == len(rows) - 1]


def samples(db: sqlite3.Connection, run: int, after: int = 0) -> list[dict[str, Any]]:
    select = "select id, step, nullif(val_bpb, 9e999) as val_bpb, sample from samples"
    found = db.execute(select + " where run = ? and id > ? order by id", [run, after])
    return [dict(row) for row in found]


def earlier(home: Path, run: dict[str, Any]) -> list[list[list[Any]]]:
    """The scores of the last runs of the same model and table before this one, as `metrics` has them."""
    with registry(home) as db:
        found = db.execute(
            'select id from runs where name = ? and database = ? and "table" = ? and id < ? '
            "and kind = 'train' order by id desc limit ?",
            [run["name"], run["database"], run["table"], run["id"], EARLIER],
        ).fetchall()
        lines = [[row for row in metrics(db, id) if row[4] is not None] for (id,) in found]
    return [line for line in lines if line]


def svg(rows: list[list[Any]], behind: list[list[list[Any]]]) -> str:
    """Bits per byte against steps. Ends in nothing where there is nothing to draw."""
    train = [(row[1], row[3]) for row in rows if row[3] is not None]
    val = [(row[1], row[4]) for row in rows if row[4] is not None]
    lines = [("earlier", [(row[1], row[4]) for row in line]) for line in behind]
    lines += [("train", train), ("val", val)]
    everything = [point for _, line in lines for point in line]
    if not everything:
        return ""
    x_ticks = ticks(0, max(x for x, _ in everything))
    y_ticks = ticks(min(y for _, y in everything), max(y for _, y in everything))
    x0, x1, y0, y1 = x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1]

    def at(x: float, y: float) -> str:
        across = LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        down = TOP + (y1 - y) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    told = f"Validation: {val[-1][1]:.3f} bits per byte after {val[-1][0]:,} steps" if val else "No score yet"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">']
    for x in x_ticks:
        here = at(x, y0).split(",")[0]
        parts.append(f'<text x="{here}" y="{HEIGHT - 18}" text-anchor="middle">{x:,.0f}</text>')
    for y in y_ticks:
        here = at(x0, y).split(",")[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{here}" y2="{here}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{float(here) + 4:.1f}" text-anchor="end">{y:.4g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 2}" text-anchor="middle">steps</text>')
    for kind, line in lines:
        if line:
            points = " ".join(at(x, y) for x, y in line)
            parts.append(f'<polyline class="{kind}" points="{points}"/>')
        for x, y in (at(*point).split(",") for point in (line if kind == "val" or len(line) == 1 else ())):
            parts.append(f'<circle class="{kind}" r="3" cx="{x}" cy="{y}"/>')
    return "".join([*parts, "</svg>"])


def sparkline(values: list[float]) -> str:
    """A small line for a table's cell."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    points = " ".join(
        f"{i / (len(values) - 1) * 98 + 1:.1f},{23 - (v - low) / ((high - low) or 1) * 22:.1f}"
        for i, v in enumerate(values)
    )
    return (
        f'<svg class="sparkline" viewBox="0 0 100 24" aria-hidden="true"><polyline points="{points}"/></svg>'
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    span = (high - low) or abs(high) or 1.0
    size = 10 ** math.floor(math.log10(span / about))
    step = next(size * m for m in (1, 2, 5, 10) if span / (size * m) <= about)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def for_script(value: Any) -> str:
    """JSON that may stand inside a <script>, whatever text is in it."""
    told = json.dumps(value, allow_nan=False, ensure_ascii=True)
    return told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
