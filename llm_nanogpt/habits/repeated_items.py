"""Repeated items: the same item of a list, line or sentence twice running is as rare in a text as in rows.

DRY (`repetition.py`) allows repetitions that are as short as `name, name`, or a second `import pytest`. Here,
what would complete an item that was just said becomes less likely, and so does what would end such an item
once it is complete.
benchmarks/LOG.md, "The same again", has the figures.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..words import fold

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

# An item of at least so many letters is compared with so many items before it.
LETTERS, DISTANCE = 4, 2
# Rows are kept to if they have so many items, and say at most this fraction of them again: in prose, code and
# notes that is 0 to 1.6%, in songs and in rows that are lists more.
FEWEST, AGAIN = 200, 0.03
# Nats: so much less likely is what completes an item that was just said, and so much what ends it then.
COMPLETES, ENDS = 3.0, 6.0
PROMPT = 500  # characters at the end of the prompt that count

_ENDS = frozenset("\n,;")
_BETWEEN = re.compile(r"[\n,;]|(?<=[.!?])\s")
_MARKS = " \t-*+.)([]\"'0123456789"


def items(text: str) -> list[str]:
    """The items of `text` that are long enough, case folded, without the marks and numbers around them."""
    stripped = (fold(item.strip(_MARKS)) for item in _BETWEEN.split(text))
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


class Part(NamedTuple):
    """What a token adds to an item: its letters, without spaces and marks around them; and whether it ends
    the item, begins with a space, or ends a sentence."""

    letters: str
    ends_item: bool
    begins_with_space: bool
    ends_sentence: bool


@lru_cache(2**14)
def part_of_item(text: str) -> Part:
    ends = not _ENDS.isdisjoint(text)
    letters = "" if ends else fold(text.strip(" \t\r-*+.)([]\"'"))
    return Part(letters, ends, text[:1].isspace(), text.endswith((".", "!", "?")))


class TokenItems(NamedTuple):
    """The ids of a vocabulary by the letters of their tokens, and (n,) those that end an item or the text."""

    ids: dict[str, np.ndarray]
    ends: np.ndarray


@lru_cache(4)
def items_of_tokens(tokenizer: Vocabulary) -> TokenItems:
    import numpy as np

    ids: dict[str, list[int]] = {}
    ends = [tokenizer.eot]
    for token in range(tokenizer.n_vocab):
        part = part_of_item(tokenizer.token_bytes(token).decode("utf-8", "ignore"))
        if part.ends_item:
            ends.append(token)
        elif part.letters:
            ids.setdefault(part.letters, []).append(token)
    return TokenItems({key: np.array(some, np.intp) for key, some in ids.items()}, np.array(ends, np.intp))


class RepeatedItem:
    """The item that a text ends in, and those before it. What the prompt ends in counts."""

    def __init__(self, tokenizer: Vocabulary, prompt: str) -> None:
        self._tokens = items_of_tokens(tokenizer)
        self._said: deque[tuple[str, ...]] = deque(maxlen=DISTANCE)
        self._item: tuple[str, ...] = ()  # the letters of its tokens
        self._sentence_ended = False
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        for token in tokenizer.encode(prompt[-PROMPT:]):
            self.add(decoder.decode(tokenizer.token_bytes(token)))

    def add(self, text: str) -> None:
        part = part_of_item(text)
        if part.ends_item or (self._sentence_ended and part.begins_with_space):
            if sum(map(len, self._item)) >= LETTERS:
                self._said.append(self._item)
            self._item = ()
        if part.letters:
            self._item += (part.letters,)
        self._sentence_ended = part.ends_sentence

    def penalise(self, logits: np.ndarray) -> None:
        """Make what says an item again less likely, in `logits` (V,) of the next token."""
        length = len(self._item)
        for said in set(self._said):
            if said[:length] == self._item:
                if len(said) == length:
                    ids, nats = self._tokens.ends, ENDS
                elif len(said) == length + 1 and said[-1] in self._tokens.ids:
                    ids, nats = self._tokens.ids[said[-1]], COMPLETES
                else:
                    continue
                logits[ids] -= nats
