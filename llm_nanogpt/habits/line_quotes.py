"""Single quotes around strings, and backticks around code: a text closes those it opens, in the same line.

A mark opens where no letter is before it and no space after it, and closes where no space is before it and no
letter after it; between letters it is an apostrophe. Where the rows have it otherwise, as in "'tis" or in
quotations over several lines, it is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from ..vocabulary import Vocabulary, ids_where
from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

MARKS = SINGLE_QUOTE, BACKTICK = "'", "`"
_OPENS = {m: re.compile(rf"(?<![\w{m}\\]){m}(?=[^\s{m}])") for m in MARKS}
_CLOSES = {m: re.compile(rf"(?<![\s{m}\\]){m}(?![\w{m}])") for m in MARKS}
# A mark is kept to if the rows close so many, and leave at most this fraction of them open in their line. In
# code, notes and messages 1 to 8% of the single quotes are left open, in speeches and chapters of books 70%.
FEWEST, LEFT_OPEN = 50, 0.1
# The usual and the rare length of what is within a pair: these fractions of those in the rows are shorter, as
# with brackets.
USUAL, RARE = 0.9, 0.97
# Nats: so much less likely is the end of the line while a mark is open; so much likelier is what closes it at
# the rare length.
UNCLOSED, STRENGTH = 6.0, 2.0


def quoted(line: str, mark: str) -> Iterator[int | None]:
    """How many characters stand within each pair of these marks of a line; None: it is not closed."""
    return (None if end is None else end - begin for begin, end in _pairs(line, mark))


def _pairs(line: str, mark: str) -> Iterator[tuple[int, int | None]]:
    """Where the text within each pair of these marks begins and ends; None as the end if it is not closed."""
    at = 0
    while opened := _OPENS[mark].search(line, at):
        closed = _CLOSES[mark].search(line, opened.end())
        yield opened.end(), closed.start() if closed else None
        if closed is None:
            return
        at = closed.end()


def quoted_lengths(texts: Iterable[str], mark: str) -> Lengths | None:
    """How much the rows have within these marks; None where they have few, or often leave them open."""
    lengths: list[int] = []
    left_open = 0
    for line in (line for text in texts if mark in text for line in text.split("\n") if mark in line):
        for length in quoted(line, mark):
            if length is None:
                left_open += 1
            else:
                lengths.append(length)
    if len(lengths) < FEWEST or left_open > LEFT_OPEN * (len(lengths) + left_open):
        return None
    return measure_lengths(lengths, USUAL, RARE)


@lru_cache(8)
def closing_tokens(tokenizer: Vocabulary, mark: str) -> np.ndarray:
    """Ids of the tokens that begin with a mark that closes, (n,)."""
    return ids_where(tokenizer, _CLOSES[mark].match)


@lru_cache(8)
def unclosed_tokens(tokenizer: Vocabulary, mark: str) -> np.ndarray:
    """Ids of the tokens that end a line, or the text, and do not begin with a mark that closes, (n,)."""
    import numpy as np

    ends = {*tokenizer.line_breaks.tolist(), tokenizer.eot}  # np.setdiff1d would import 20 ms of numpy
    return np.array(sorted(ends.difference(closing_tokens(tokenizer, mark).tolist())), np.intp)


class LineQuotes:
    """Whether the line that a text ends in has a mark open. Those of the prompt's line count."""

    def __init__(self, tokenizer: Vocabulary, mark: str, lengths: Lengths, prompt: str) -> None:
        self._mark, self._lengths = mark, lengths
        self._closing, self._unclosed = closing_tokens(tokenizer, mark), unclosed_tokens(tokenizer, mark)
        self._line = prompt[prompt.rfind("\n") + 1 :]
        self._open_at = self._last_opened()

    def add(self, text: str) -> None:
        marked = self._mark in text or self._line.endswith(self._mark)
        if "\n" in text:
            self._line, marked = text[text.rfind("\n") + 1 :], True
        else:
            self._line += text
        if marked:
            self._open_at = self._last_opened()

    def _last_opened(self) -> int | None:
        """Where the text begins that stands after the mark which is open at the end of the line."""
        return next((begin for begin, end in _pairs(self._line, self._mark) if end is None), None)

    def penalise(self, logits: np.ndarray) -> None:
        """Make what closes the quote more likely, in `logits` (V,) of the next token."""
        if self._open_at is None:
            return
        logits[self._unclosed] -= UNCLOSED
        beyond = self._lengths.beyond(len(self._line) - self._open_at)
        if beyond > 0:
            logits[self._closing] += STRENGTH * beyond
