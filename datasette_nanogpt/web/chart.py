"""The small line of scores in a cell of a table, and JSON for scripts. static/chart.js draws a run's
chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


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
    """JSON that can stand inside a <script>: no text in it can end that element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
