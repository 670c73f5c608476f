"""How texts start: a text that is written starts as the rows of its table do, with a capital, a sign or so.

A model sees the start of a row once for hundreds of other tokens, so one that has learned little begins in
the middle of a sentence: " de la piscina" where every row begins with "Acta".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from ..vocabulary import Vocabulary, ids_where

if TYPE_CHECKING:
    import numpy as np

FEWEST = 50  # rows: of fewer, nobody knows what is rare
RARE = 0.01  # of the rows: they start with a kind of character that fewer of them start with
STRENGTH = 6.0  # nats that such a start loses


def kind_of_start(text: str) -> str:
    """The kind of the first character: "capital", "letter" (any other), "digit", or the character itself."""
    first = text[:1]
    if first.isalpha():
        return "capital" if first.isupper() else "letter"
    return "digit" if first.isnumeric() else first


def common_starts(texts: Iterable[str]) -> tuple[str, ...]:
    """The kinds that `texts` start with, sorted; none where they are too few to tell."""
    kinds = Counter(map(kind_of_start, texts))
    total = kinds.total()
    return tuple(sorted(k for k, n in kinds.items() if n >= RARE * total)) if total >= FEWEST else ()


@lru_cache(4)
def rare_tokens(tokenizer: Vocabulary, kinds: tuple[str, ...]) -> np.ndarray:
    """Ids of the tokens that start with another kind of character, (n,). Those that start with a part of a
    character may be anything."""
    common = {*kinds, "\N{REPLACEMENT CHARACTER}"}
    return ids_where(tokenizer, lambda token: kind_of_start(token) not in common)


class Start:
    """What a text that has no prompt starts with."""

    def __init__(self, tokenizer: Vocabulary, kinds: tuple[str, ...]) -> None:
        self._rare, self._begun = rare_tokens(tokenizer, kinds), False

    def add(self, text: str) -> None:
        self._begun = True

    def penalise(self, logits: np.ndarray) -> None:
        """Make rare starts less likely, in `logits` (V,) of the first token."""
        if not self._begun:
            logits[self._rare] -= STRENGTH
