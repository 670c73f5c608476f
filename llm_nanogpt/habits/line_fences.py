"""Fences that stand at the start of a line: where the rows have none within a line, a text has none either.

A small model closes a code block that is open for long (`fences.py`) wherever it happens to be, even in the
middle of a line of code: `bucket="A` and three backticks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from .fences import FENCES

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

# Followed where the rows have so many of a kind, and at least this fraction of them begins a line: of those
# in markdown 98.6%. Docstrings often end within a line.
FEWEST, BEGINS = 40, 0.97
NEVER = 100.0  # nats: more than what closes a fence gains
_INDENT = " \t>"  # a quotation's lines begin with the last of these


def fences_within_line(line: str, fence: str) -> int:
    """How many fences of a line have something before them in it."""
    before, *others = line.split(fence)
    return len(others) if before.strip(_INDENT) else max(0, len(others) - 1)


def line_fences(texts: Iterable[str]) -> tuple[str, ...]:
    """The kinds of fences that hardly ever stand within a line."""
    total: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in (line for text in texts for line in text.split("\n")):
        for fence in (fence for fence in FENCES if fence in line):
            total[fence] += line.count(fence)
            within[fence] += fences_within_line(line, fence)
    return tuple(f for f in FENCES if total[f] >= FEWEST and within[f] <= (1 - BEGINS) * total[f])


@lru_cache(4)
def tokens_within_line(tokenizer: Vocabulary, fences: tuple[str, ...], begun: bool) -> np.ndarray:
    """Ids of the tokens that have a fence within a line, (n,). `begun`: whether they stand in a line."""
    import numpy as np

    some = []
    for i, text in enumerate(tokenizer.texts):
        if not any(fence in text for fence in fences):  # nearly all
            continue
        lines = f"{'x' * begun}{text}".split("\n")
        if any(fences_within_line(line, fence) for line in lines for fence in fences):
            some.append(i)
    return np.array(some, np.intp)


class LineFences:
    """Whether the line that a text ends in has begun, so that no fence may follow. A prompt's line counts."""

    def __init__(self, tokenizer: Vocabulary, fences: tuple[str, ...], prompt: str) -> None:
        self._never = [tokens_within_line(tokenizer, fences, begun) for begun in (False, True)]
        self._begun = False
        self.add(prompt)

    def add(self, text: str) -> None:
        _, broken, rest = text.rpartition("\n")
        self._begun = bool(rest.strip(_INDENT)) or (self._begun and not broken)

    def penalise(self, logits: np.ndarray) -> None:
        """Make fences within a line most unlikely, in `logits` (V,) of the next token."""
        logits[self._never[self._begun]] -= NEVER
