"""Strings without spaces: a text that is written has hardly longer ones than the rows of its table.

Within an address or a hash nearly any letter, number or sign may come next, and a small model does not see
where it ends. Where rows have no spaces, as in Chinese, their strings are long, and so may be those of texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

USUAL, RARE = 0.99, 0.997  # of the strings of the rows are shorter
# Nats that a token loses at a length that is rare: LOG.md, "Brackets, strings and short texts".
STRENGTH = 2.0


def string_lengths(texts: Iterable[str]) -> Lengths | None:
    return measure_lengths([len(string) for text in texts for string in text.split()], USUAL, RARE)


def is_unbroken(text: str) -> bool:
    """Whether a token has no space in it, so that a string goes on with it."""
    return bool(text) and not any(map(str.isspace, text))


class Unbroken:
    """The string that a text ends in, and what goes on with it. What the prompt ends in does not count.

    `unbroken` (V,) of bool are the tokenizer's.
    """

    def __init__(self, unbroken: np.ndarray, lengths: Lengths) -> None:
        self._unbroken, self._lengths = unbroken, lengths
        self._length = 0

    def add(self, text: str) -> None:
        for character in text:
            self._length = 0 if character.isspace() else self._length + 1

    def penalise(self, logits: np.ndarray) -> None:
        """Make what lengthens the string less likely, in `logits` (V,) of the next token."""
        beyond = self._lengths.beyond(self._length)
        if beyond > 0:
            import numpy as np

            logits -= self._unbroken * np.float32(STRENGTH * beyond)
