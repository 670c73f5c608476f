"""Fences, three marks before and after several lines, as of a docstring or of code in markdown.

A text that is written closes those it opens, where its table's rows do. A small model forgets, some lines
on, that it is within one, and goes on with what comes after it. So once one is open for longer than is usual,
what closes it becomes more likely, and until then the end of the text is less likely.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

FENCES = ('"""', "'''", "```")
_ANY = re.compile("|".join(FENCES))
_MARK = re.compile(r"""["'`]""")  # what they are made of
# A kind of fence is kept to if the rows close so many, and leave at most this fraction of them open.
FEWEST, LEFT_OPEN = 20, 0.05
# The usual and the rare length of what is within a fence: these fractions of those in the rows are shorter
# (LOG.md, "Lines and apostrophes").
USUAL, RARE = 0.25, 0.5
# Nats: so much likelier is what closes a fence at the rare length; so much less likely is the end of the text
# while one is open.
STRENGTH, END = 4.0, 4.0


def fences(text: str) -> Iterator[tuple[str, int | None]]:
    """The fences of `text` in order, and how many characters each has within it; None: it is left open."""
    opened = None
    for match in _ANY.finditer(text):
        if opened is None:
            opened = match
        elif match[0] == opened[0]:
            yield match[0], match.start() - opened.end()
            opened = None
    if opened:
        yield opened[0], None


def fence_lengths(texts: Iterable[str]) -> dict[str, Lengths]:
    """The fences that the rows close nearly always, and how many characters they have within them."""
    lengths: defaultdict[str, list[int]] = defaultdict(list)
    left_open: Counter[str] = Counter()
    for fence, length in chain.from_iterable(map(fences, texts)):
        if length is None:
            left_open[fence] += 1
        else:
            lengths[fence].append(length)
    measured = {}
    for fence, some in sorted(lengths.items()):
        known = measure_lengths(some, USUAL, RARE)
        if known and len(some) >= FEWEST and left_open[fence] <= LEFT_OPEN * len(some):
            measured[fence] = known
    return measured


@lru_cache(4)
def tokens_with_one(tokenizer: Vocabulary, fence: str) -> np.ndarray:
    """Ids of the tokens that open or close a fence of this kind, sorted (n,)."""
    import numpy as np

    mark = fence.encode()
    ids = [i for i in range(tokenizer.n_vocab) if tokenizer.token_bytes(i).count(mark) == 1]
    return np.array(ids, dtype=np.intp)


class Fences:
    """Whether a text, as it is written, stands within a fence. What the prompt opens counts from its end."""

    def __init__(self, tokenizer: Vocabulary, lengths: Mapping[str, Lengths], prompt: str) -> None:
        self._tokenizer, self._lengths = tokenizer, lengths
        self._opened: str | None = None
        self._within = 0  # characters since it was opened
        self._tail = ""  # the last characters, if they may be the beginning of a fence
        self.add(prompt)
        self._within = 0

    def add(self, text: str) -> None:
        """Take in what was written next."""
        if not self._tail and not _MARK.search(text):
            self._within += len(text)
            return
        text, start = self._tail + text, 0
        self._within -= len(self._tail)
        for match in _ANY.finditer(text):
            if self._opened is None and match[0] in self._lengths:
                self._opened, self._within, start = match[0], 0, match.end()
            elif match[0] == self._opened:
                self._opened = None
                start = match.end()
        self._within += len(text) - start
        rest = text[start:]
        self._tail = next((rest[-n:] for n in (2, 1) if any(f[:n] == rest[-n:] for f in FENCES)), "")

    def penalise(self, logits: np.ndarray) -> None:
        """Make what closes the fence more likely, in `logits` (V,) of the next token."""
        if self._opened is None:
            return
        eot, ids = self._tokenizer.eot, tokens_with_one(self._tokenizer, self._opened)
        logits[eot] -= END
        beyond = self._lengths[self._opened].beyond(self._within)
        if beyond > 0:
            logits[ids] += STRENGTH * beyond
