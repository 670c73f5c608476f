"""Memorization: passages of a text that a table has word for word."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MIN_WORDS = 8  # of a passage
# After this time the rest of a large table is not searched, and the result says how much was. Programs that
# write to the database may have to wait meanwhile, and most give up after 5 s.
SECONDS = 4.0


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
        """Of the text's words, the fraction that is in passages."""
        return sum(p.words for p in self.passages) / self.words if self.words else 0.0

    @property
    def longest(self) -> int:
        """Words of the longest passage."""
        return max((p.words for p in self.passages), default=0)


class SearchResult(NamedTuple):
    """What `find_memorized` found in each text, and in how many rows it looked."""

    texts: list[Memorized]
    rows: int
    complete: bool  # whether these were all rows


class _Match(NamedTuple):
    words: int
    table: str
    keys: dict[str, Any]


class _Matcher:
    """Compares documents with all texts at once, and keeps the longest match that begins at each word."""

    def __init__(self, texts: Sequence[list[str]]):
        self.texts = texts  # each as words
        # Where each run of MIN_WORDS words begins (text, word), and the first words, as most words begin
        # none.
        self.starts: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for number, words in enumerate(texts):
            for begin in range(len(words) - MIN_WORDS + 1):
                self.starts.setdefault(tuple(words[begin : begin + MIN_WORDS]), []).append((number, begin))
        self.first_words = {run[0] for run in self.starts}
        self.best: list[dict[int, _Match]] = [{} for _ in texts]

    def search(self, rows: Iterable[tuple[str, dict[str, Any], str]]) -> Iterator[int]:
        """Look for the texts in every row. Yields the number of rows begun, often, so that the caller can
        stop."""
        for count, (table, keys, document) in enumerate(rows, 1):
            for lengths in self._matches(document.split()):
                for (number, begin), n in lengths.items():
                    best = self.best[number].get(begin)
                    if best is None or n > best.words:
                        self.best[number][begin] = _Match(n, table, keys)
                yield count
            yield count

    def _matches(self, row: list[str]) -> Iterator[dict[tuple[int, int], int]]:
        """For each word of a row that may begin a match: place in the texts (text, word) -> words that
        match."""
        # Matches that begin at the word before: the same one less its first word begins here. Without them
        # each word repeated in text and row would be compared with all that follow, over and over.
        before: dict[tuple[int, int], int] = {}
        for at, word in enumerate(row):
            if word not in self.first_words:
                before = {}
                continue
            here = {}
            for number, begin in self.starts.get(tuple(row[at : at + MIN_WORDS]), ()):
                text, n = self.texts[number], max(MIN_WORDS, before.get((number, begin - 1), 0) - 1)
                while begin + n < len(text) and at + n < len(row) and text[begin + n] == row[at + n]:
                    n += 1
                here[number, begin] = n
            yield here
            before = here


def find_memorized(texts: Sequence[str], rows: Iterable[tuple[str, dict[str, Any], str]]) -> SearchResult:
    """Look for passages of each text in `rows`: (table, keys, document). Spacing does not matter.

    Memory does not grow with the table: each document is searched once, for all texts together.
    """
    words = [text.split() for text in texts]
    matcher = _Matcher(words)
    deadline, searched, complete = time.monotonic() + SECONDS, 0, True
    for count in matcher.search(rows if matcher.starts else ()):
        searched = count
        if time.monotonic() > deadline:
            complete = False
            break
    memorized = [_cover(*args) for args in zip(texts, words, matcher.best, strict=True)]
    return SearchResult(memorized, searched, complete)


def _cover(text: str, words: list[str], best: dict[int, _Match]) -> Memorized:
    """From left to right the longest passage at each place; words become places in the text again."""
    spans, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        spans.append((start, place))
    passages, at = [], 0
    while at < len(words):
        if match := best.get(at):
            start, end = spans[at][0], spans[at + match.words - 1][1]
            passages.append(Passage(start, end, match.words, match.table, match.keys))
            at += match.words
        else:
            at += 1
    return Memorized(passages, len(words))
