"""Spaces between words: a text has several in a row only where its table's rows do.

Numbers and emoji come after a space that is a token of its own, and most words have theirs before them. A
small model that has written the former goes on with the latter: "it is at  raining".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

# Followed where the rows have so many spaces, and at most one run of them in so many.
# LOG.md, "Double spaces".
FEWEST, ONE_OF = 500, 1000
STRENGTH = 6.0  # nats that a second space loses

_RUN = re.compile(r"(?<=\S)  +")


def has_space_runs(texts: Iterable[str]) -> bool:
    """Whether the rows have runs of spaces within their lines, or there are too few spaces to tell. What a
    line is indented by does not count."""
    total = runs = 0
    for text in texts:
        total += text.count(" ")
        runs += len(_RUN.findall(text))
    return total < FEWEST or runs * ONE_OF > total


@lru_cache(4)
def tokens_with_spaces(tokenizer: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the tokens that begin with a space, and of those that begin with two, (n,) each."""
    import numpy as np

    tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.n_vocab)]
    one, two = ([i for i, token in enumerate(tokens) if token.startswith(b" " * n)] for n in (1, 2))
    return np.array(one, np.intp), np.array(two, np.intp)


class Spaces:
    """The space that a text ends in, if any. A prompt's counts."""

    def __init__(self, tokenizer: Vocabulary, prompt: str) -> None:
        self._one, self._two = tokens_with_spaces(tokenizer)
        self._held_back = self._one[:0]
        self._begun = False  # whether the line has more than spaces
        self.add(prompt)

    def add(self, text: str) -> None:
        _, broken, rest = text.rpartition("\n")
        self._begun = bool(rest.strip(" ")) or (self._begun and not broken)
        if not self._begun:
            self._held_back = self._one[:0]
        elif text:  # "" is part of a character
            self._held_back = self._one if text.endswith(" ") else self._two

    def penalise(self, logits: np.ndarray) -> None:
        """Make a second space less likely, in `logits` (V,) of the next token."""
        if len(self._held_back):
            logits[self._held_back] -= STRENGTH
