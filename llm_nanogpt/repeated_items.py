"""Repeated items: the same item of a list, line or sentence twice running is as rare in a text as in rows.

`import pytest` twice, `name, name`: DRY (`repetition.py`) lets pass what is so short. What would complete an
item that was just said becomes less likely, and so does what would end one that is complete again.
benchmarks/LOG.md, "The same again", has the figures.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from .vocabulary import Vocabulary

# An item of so many letters or more is compared with so many before it.
LETTERS, DISTANCE = 4, 2
# Followed where the rows have so many items, and at most this fraction of them again: prose, code and notes
# have 0 to 1.6%. Songs have more, and so have rows that are lists.
FEWEST, AGAIN = 200, 0.03
# Nats: what completes an item that was just said loses so many, and what ends it then so many.
COMPLETES, ENDS = 3.0, 6.0
PROMPT = 500  # characters at its end that are looked at

_BETWEEN = re.compile(r"[\n,;]|(?<=[.!?])\s")
_MARKS = " \t-*+.)([]\"'0123456789"


def items(text: str) -> list[str]:
    """The items of `text` that are long enough, case folded, without the marks and numbers around them."""
    stripped = (item.strip(_MARKS).casefold() for item in _BETWEEN.split(text))
    return [item for item in stripped if len(item) >= LETTERS]


def is_again(some: Sequence[str], at: int) -> bool:
    """Whether the item at that place stands among the DISTANCE before it."""
    return some[at] in some[max(0, at - DISTANCE) : at]


def items_again(texts: Iterable[str]) -> float | None:
    """The fraction of the items of `texts` that are said again; None where there are too few to tell."""
    total = again = 0
    for text in texts:
        some = items(text)
        total += len(some)
        again += sum(is_again(some, at) for at in range(len(some)))
    return round(again / total, 4) if total >= FEWEST else None


class TokenItems(NamedTuple):
    """Of a vocabulary: ids by the letters of a token, and those that end an item, or the text, (n,)."""

    ids: dict[bytes, np.ndarray]
    ends: np.ndarray


def letters(piece: bytes) -> bytes:
    """A token's bytes without spaces and marks around them, in small letters as far as ASCII goes."""
    return piece.strip(b" \t\r\n-*+.)([]\"',;").lower()


def ends_item(piece: bytes) -> bool:
    return any(mark in piece for mark in (b"\n", b",", b";"))


@lru_cache(4)
def items_of_tokens(tokenizer: Vocabulary) -> TokenItems:
    import numpy as np

    ids: dict[bytes, list[int]] = {}
    ends = [tokenizer.eot]
    for token in range(tokenizer.n_vocab):
        piece = tokenizer.token_bytes(token)
        if ends_item(piece):
            ends.append(token)
        elif key := letters(piece):
            ids.setdefault(key, []).append(token)
    return TokenItems({key: np.array(some, np.intp) for key, some in ids.items()}, np.array(ends, np.intp))


class RepeatedItem:
    """The item that a text ends in, and those before it. What the prompt ends in counts."""

    def __init__(self, tokenizer: Vocabulary, prompt: str) -> None:
        self._tokens = items_of_tokens(tokenizer)
        self._said: deque[tuple[bytes, ...]] = deque(maxlen=DISTANCE)
        self._item: list[bytes] = []  # the letters of its tokens
        self._sentence_ended = False
        for token in tokenizer.encode(prompt[-PROMPT:]):
            self.add(tokenizer.token_bytes(token))

    def add(self, piece: bytes) -> None:
        if ends_item(piece) or (self._sentence_ended and piece[:1].isspace()):
            if sum(map(len, self._item)) >= LETTERS:
                self._said.append(tuple(self._item))
            self._item = []
        if (key := letters(piece)) and not ends_item(piece):
            self._item.append(key)
        self._sentence_ended = piece.endswith((b".", b"!", b"?"))

    def penalised(self, logits: np.ndarray) -> np.ndarray:
        """`logits` (V,) of the next token, or a copy in which what says an item again is less likely."""
        so_far, length = tuple(self._item), len(self._item)
        losses = []
        for said in set(self._said):
            if said[:length] == so_far:
                if len(said) == length:
                    losses.append((self._tokens.ends, ENDS))
                elif len(said) == length + 1 and said[-1] in self._tokens.ids:
                    losses.append((self._tokens.ids[said[-1]], COMPLETES))
        if not losses:
            return logits
        logits = logits.copy()
        for ids, nats in losses:
            logits[ids[ids < len(logits)]] -= nats
        return logits
