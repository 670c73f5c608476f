"""Runs of numbers and signs: a text that is written has hardly longer ones than the rows of its table.

Where anything may come next, as within "9d2b780a-6d70-1", a small model does not find its way back to words,
and DRY sees no repetition. A run is what stands between two words of at least two letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from ..words import SPACELESS
from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

USUAL, RARE = 0.97, 0.99  # of the runs of the rows are shorter
STRENGTH = 2.0  # nats that a token loses at a length that is rare: benchmarks/LOG.md, "Capitals and echoes"

_WORDS = regex.compile(rf"(?V1)\p{{L}}\p{{M}}*\p{{L}}[\p{{L}}\p{{M}}]*|[{SPACELESS}]\p{{M}}*")


def split_at_words(text: str) -> list[str]:
    """What stands between the words of at least two letters, empty strings among it."""
    return _WORDS.split(text)


def run_lengths(texts: Iterable[str]) -> Lengths | None:
    """How long the runs of `texts` are; None where these have no words."""
    parts = (split_at_words(text) for text in texts)
    return measure_lengths([len(run) for some in parts if len(some) > 1 for run in some if run], USUAL, RARE)


def is_sign(text: str) -> bool:
    """Whether a token is no word, nor part of a character."""
    return bool(text) and not _WORDS.search(text) and "\N{REPLACEMENT CHARACTER}" not in text


@lru_cache(2**14)
def _after_words(text: str) -> int | None:
    """How many characters stand after the last word of a token's text; None if it has no word."""
    *words, after = split_at_words(text)
    return len(after) if words else None


class SignRun:
    """The run that a text ends in, and what goes on with it. What the prompt ends in does not count.

    `signs` and `letters` (V,) of bool are the tokenizer's `signs` and `begins_with_letter`.
    """

    def __init__(self, signs: np.ndarray, letters: np.ndarray, lengths: Lengths) -> None:
        self._signs, self._letters, self._lengths = signs, letters, lengths
        self._length, self._after_letter = 0, False

    def add(self, text: str) -> None:
        if not text:  # part of a character
            return
        if (after := _after_words(text)) is not None:
            self._length = after
        elif self._after_letter and text[0].isalpha():
            self._length = len(text) - 1
        else:
            self._length += len(text)
        self._after_letter = text[-1].isalpha()

    def penalise(self, logits: np.ndarray) -> None:
        """Make what would lengthen the run less likely, in `logits` (V,) of the next token."""
        beyond = self._lengths.beyond(self._length)
        if beyond <= 0:
            return
        import numpy as np

        goes_on = self._signs
        if self._after_letter:
            goes_on = goes_on & ~self._letters
        logits -= goes_on * np.float32(STRENGTH * beyond)  # seven times as fast as an index
