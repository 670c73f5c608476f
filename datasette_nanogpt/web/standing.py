"""Where one row stands among all rows with a score, from the most typical to the least: in words, and on a
scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ONE_SIDE = 0.6  # a row that is beyond more than this part of the others is said to lie on that side of them


def standing(scored: Mapping[str, Any], count: int) -> dict[str, Any]:
    """`standing`, a sentence without its full stop, and `on_scale`, from 0 for the most typical row to 1, of
    a row as `row_scores.figure` has it, among `count` rows with a score."""
    others, better, worse = count - 1, scored["rank"] - 1, scored["worse"]
    if not others:
        return {"standing": "The only row with a score", "on_scale": 0.5}
    if worse == others:
        words = f"The most typical of all {count:,} rows with a score"
    elif better == others:
        words = f"The least typical of all {count:,} rows with a score"
    elif worse > ONE_SIDE * others:
        words = f"More typical than {_percent(worse, others)} of the other rows"
    elif better > ONE_SIDE * others:
        words = f"Less typical than {_percent(better, others)} of the other rows"
    else:
        words = "About as typical as most of the other rows"
    return {"standing": words, "on_scale": (others + better - worse) / (2 * others)}


def _percent(part: int, whole: int) -> str:
    """Rounded down: only the first and the last row are beyond all others."""
    return f"{100 * part // whole}%"
