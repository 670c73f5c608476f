"""What is written and what is recited: passages of a text that stand word for word in a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WORDS = 8  # a passage has at least so many
# After which a large table is left, and it is told how much of it was looked at. Whoever wants to write to
# the database meanwhile may have to wait, and most programs give up after 5 s.
SECONDS = 4.0


@dataclass(frozen=True)
class Passage:
    """`text[start:end]` stands in the row with the primary key `keys`: column -> value, {} in a view."""

    start: int
    end: int
    words: int
    table: str
    keys: dict[str, Any]


@dataclass(frozen=True)
class Recited:
    """What was found in one text."""

    passages: list[Passage]  # from first to last, none over another
    words: int  # of the text

    @property
    def share(self) -> float:
        """Of the words, how many are in passages."""
        return sum(p.words for p in self.passages) / self.words if self.words else 0.0

    @property
    def longest(self) -> int:
        return max((p.words for p in self.passages), default=0)


def recited(
    texts: Sequence[str], rows: Iterable[tuple[str, dict[str, Any], str]]
) -> tuple[list[Recited], int, bool]:
    """Look for passages of each text in `rows`: (table, keys, document). Spacing does not matter.

    Memory does not grow with the table: each document is looked through once, for all texts together. Returns
    what was found, how many rows were looked at, and whether these were all.
    """
    words = [text.split() for text in texts]
    # Where each run of WORDS words begins, and by its first word, as most words begin none.
    starts: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for number, of_text in enumerate(words):
        for at in range(len(of_text) - WORDS + 1):
            starts.setdefault(tuple(of_text[at : at + WORDS]), []).append((number, at))
    first = {run[0] for run in starts}
    # The longest match that begins at each word: (words, table, keys).
    best: list[dict[int, tuple[int, str, dict]]] = [{} for _ in texts]
    end, looked, all_of_them = time.monotonic() + SECONDS, 0, True
    for table, keys, document in rows if starts else ():
        looked += 1
        row = document.split()
        # Matches that begin at the word before: the same one less its first word begins here. Without them
        # each word repeated in text and row would be compared with all that follow, over and over.
        before: dict[tuple[int, int], int] = {}
        for at, word in enumerate(row):
            if word not in first:
                before = {}
                continue
            here = {}
            for number, begin in starts.get(tuple(row[at : at + WORDS]), ()):
                of_text, n = words[number], max(WORDS, before.get((number, begin - 1), 0) - 1)
                while begin + n < len(of_text) and at + n < len(row) and of_text[begin + n] == row[at + n]:
                    n += 1
                here[number, begin] = n
                if n > best[number].get(begin, (0,))[0]:
                    best[number][begin] = (n, table, keys)
            before = here
            if time.monotonic() > end:
                break
        if time.monotonic() > end:
            all_of_them = False
            break
    return [_chosen(*args) for args in zip(texts, words, best, strict=True)], looked, all_of_them


def _chosen(text: str, words: list[str], best: dict[int, tuple[int, str, dict]]) -> Recited:
    """From left to right the longest passage at each place. Words become places in the text again."""
    spans, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        spans.append((start, place))
    passages, at = [], 0
    while at < len(words):
        if at in best:
            n, table, keys = best[at]
            passages.append(Passage(spans[at][0], spans[at + n - 1][1], n, table, keys))
            at += n
        else:
            at += 1
    return Recited(passages, len(words))
