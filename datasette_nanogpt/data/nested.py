"""Leaving out what may stand within its like: templates within templates, quotes within quotes."""

from __future__ import annotations

import re

MOST_LEVELS = 40


def without_nested(pattern: re.Pattern[str], text: str) -> str:
    """`text` without what `pattern` finds, which has none of its like within it: the innermost goes first."""
    for _ in range(MOST_LEVELS):
        text, count = pattern.subn("", text)
        if not count:
            break
    return text
