"""Memorization: passages of a text that a table has word for word."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import regex

from llm_nanogpt.words import SPACELESS

MIN_WORDS = 8  # the shortest passage; in scripts without spaces two characters count as a word
# After this time the search of a large table ends, and the result says how much was searched. Programs that
# write to the database may have to wait for the search, and most give up after 5 s.
SECONDS = 4.0

# Characters of scripts without spaces, and their punctuation, are compared one by one, other text by words.
_SPACELESS = rf"{SPACELESS}\u3000-\u303f\uff00-\uffef"
_UNIT = regex.compile(rf"[{_SPACELESS}]\p{{M}}*|[^\s{_SPACELESS}]+")
_CHARACTER = regex.compile(rf"[{_SPACELESS}]")


@dataclass(frozen=True)
class Passage:
    """`text[start:end]` is in the row with the primary key `keys`: column -> value, {} in a view."""

    start: int
    end: int
    words: int
    table: str
    keys: dict[str, Any]


@dataclass(frozen=True)
class Memorized:
    """The passages of one text."""

    passages: list[Passage]  # from first to last, none over another
    words: int  # of the text

    @property
    def fraction(self) -> float:
        """Fraction of the text's words that are in passages."""
        return min(1.0, sum(p.words for p in self.passages) / self.words) if self.words else 0.0

    @property
    def longest(self) -> int:
        """Words of the longest passage."""
        return max((p.words for p in self.passages), default=0)


class SearchResult(NamedTuple):
    """What `find_memorized` found in each text, and in how many rows it looked."""

    texts: list[Memorized]
    rows: int
    complete: bool  # whether these were all rows


class _Units:
    """A text as the units that are compared, words and single characters, and how much each counts."""

    def __init__(self, text: str):
        if text.isascii() or not _CHARACTER.search(text):
            self.units, halves = text.split(), None
        else:
            self.units = _UNIT.findall(text)
            halves = [1 if _CHARACTER.match(unit) else 2 for unit in self.units]
        # Half words before each unit, and before the end.
        self.before = range(0, 2 * len(self.units) + 1, 2) if halves is None else [0, *accumulate(halves)]

    def passage(self, at: int) -> tuple[str, ...] | None:
        """The shortest passage that begins at a unit, None if the text is too short for one."""
        end = bisect_left(self.before, self.before[at] + 2 * MIN_WORDS)
        return tuple(self.units[at:end]) if end < len(self.before) else None

    def words(self, start: int, end: int) -> int:
        """The words of some units, rounded up: a character of a script without spaces is half of one."""
        return -((self.before[start] - self.before[end]) // 2)


class _Match(NamedTuple):
    units: int
    table: str
    keys: dict[str, Any]


class _Matcher:
    """Compares documents with all texts at once, and keeps the longest match that begins at each unit."""

    def __init__(self, texts: Sequence[_Units]):
        self.texts = [text.units for text in texts]
        # Where each shortest passage begins (text, unit), and the first units, as most units begin none.
        self.starts: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for number, text in enumerate(texts):
            for begin in range(len(text.units)):
                if passage := text.passage(begin):
                    self.starts.setdefault(passage, []).append((number, begin))
        self.first_units = {passage[0] for passage in self.starts}
        self.best: list[dict[int, _Match]] = [{} for _ in texts]

    def search(self, rows: Iterable[tuple[str, dict[str, Any], str]]) -> Iterator[int]:
        """Look for the texts in every row. Yields the number of rows begun, often, so that the caller can
        stop."""
        for count, (table, keys, document) in enumerate(rows, 1):
            for lengths in self._matches(_Units(document)):
                for (number, begin), n in lengths.items():
                    best = self.best[number].get(begin)
                    if best is None or n > best.units:
                        self.best[number][begin] = _Match(n, table, keys)
                yield count
            yield count

    def _matches(self, document: _Units) -> Iterator[dict[tuple[int, int], int]]:
        """For each unit of a row that may begin a match: place in the texts (text, unit) -> units that
        match."""
        # Matches that begin at the unit before: the same one less its first unit begins here. Without them
        # each word repeated in text and row would be compared with all that follow, over and over.
        before: dict[tuple[int, int], int] = {}
        row = document.units
        for at, unit in enumerate(row):
            if unit not in self.first_units:
                before = {}
                continue
            here = {}
            passage = document.passage(at) or ()
            for number, begin in self.starts.get(passage, ()):
                text, n = self.texts[number], max(len(passage), before.get((number, begin - 1), 0) - 1)
                while begin + n < len(text) and at + n < len(row) and text[begin + n] == row[at + n]:
                    n += 1
                here[number, begin] = n
            yield here
            before = here


def find_memorized(texts: Sequence[str], rows: Iterable[tuple[str, dict[str, Any], str]]) -> SearchResult:
    """Look for passages of each text in `rows`: (table, keys, document). Spacing does not matter.

    Memory does not grow with the table: each document is searched once, for all texts together.
    """
    units = [_Units(text) for text in texts]
    matcher = _Matcher(units)
    deadline, searched, complete = time.monotonic() + SECONDS, 0, True
    for count in matcher.search(rows if matcher.starts else ()):
        searched = count
        if time.monotonic() > deadline:
            complete = False
            break
    memorized = [_cover(*args) for args in zip(texts, units, matcher.best, strict=True)]
    return SearchResult(memorized, searched, complete)


def _cover(text: str, units: _Units, best: dict[int, _Match]) -> Memorized:
    """From left to right the longest passage at each place; units become places in the text again."""
    spans, place = [], 0
    for unit in units.units:
        start = text.index(unit, place)
        place = start + len(unit)
        spans.append((start, place))
    passages, at = [], 0
    while at < len(spans):
        if match := best.get(at):
            end = at + match.units
            words = units.words(at, end)
            passages.append(Passage(spans[at][0], spans[end - 1][1], words, match.table, match.keys))
            at = end
        else:
            at += 1
    return Memorized(passages, units.words(0, len(spans)))
