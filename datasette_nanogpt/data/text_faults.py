"""What jars in a text, and whether texts of a model have it more often than rows do.

Most of it is also in some rows: code has long lines, and a row that is cut has brackets open. So what a model
wrote is compared with rows that are cut at the same length, by Fisher's exact test.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from llm_nanogpt.habits.fences import fences
from llm_nanogpt.habits.repeated_items import is_again, items
from llm_nanogpt.habits.starts import kind_of_start
from llm_nanogpt.words import joined_words

# A line is too long if it is so many characters longer than all but this fraction of the rows' lines.
LINES_SHORTER, LINE_SPARE = 0.997, 8
RARE = 0.02  # of the rows: where fewer of them start or end with a kind of character, that is odd


@dataclass(frozen=True)
class Usual:
    """What is usual in the rows of a table.

    line      characters; longer lines are too long. None: there are no lines
    joined    the words with apostrophes, folded as `joined_words` has them
    starts    kinds of characters that rows start with, as `kind_of_start` has them
    ends      those that they end in, as `_end_of` has them
    """

    line: int | None
    joined: Container[str]
    starts: frozenset[str]
    ends: frozenset[str]


def measure_usual(rows: Sequence[str], joined: Container[str] | None = None) -> Usual:
    """Of whole `rows`. `joined` are the words with apostrophes, if they are known."""
    lengths = [len(line) for row in rows for line in row.split("\n") if line]
    line = int(np.quantile(lengths, LINES_SHORTER, method="higher")) + LINE_SPARE if lengths else None
    starts, ends = (
        frozenset(kind for kind, count in Counter(kinds).items() if count >= RARE * len(rows))
        for kinds in (map(kind_of_start, rows), map(_end_of, rows))
    )
    return Usual(
        line=line,
        joined=frozenset(word for row in rows for word in joined_words(row)) if joined is None else joined,
        starts=starts,
        ends=ends,
    )


def has_long_line(text: str, usual: Usual) -> bool:
    return usual.line is not None and max(map(len, text.split("\n"))) > usual.line


def has_new_joined_word(text: str, usual: Usual) -> bool:
    """Whether it has a word with an apostrophe that no row has: "sudden't"."""
    return any(word not in usual.joined for word in joined_words(text))


def has_odd_start(text: str, usual: Usual) -> bool:
    """Whether a text starts with a kind of character that hardly a row starts with."""
    return kind_of_start(text) not in usual.starts


def has_odd_end(text: str, usual: Usual) -> bool:
    """Whether a text that is not cut ends in a kind of character that hardly a row ends in."""
    return _end_of(text) not in usual.ends


def has_open_fence(text: str) -> bool:
    """Whether it leaves a docstring or a block of code open."""
    return any(length is None for _, length in fences(text))


def has_odd_quotes(text: str) -> bool:
    """Whether it has an odd number of double quotes."""
    return text.count('"') % 2 == 1


def repeats_item(text: str) -> bool:
    """Whether an item of a list, a sentence or a line stands again next to itself, or one item later."""
    some = items(text)
    return any(is_again(some, at) for at in range(len(some)))


def _end_of(text: str) -> str:
    kind = kind_of_start(text.rstrip()[-1:])
    return "letter" if kind == "capital" else kind


def chance_of_more(some: int, texts: int, others: int, other_texts: int) -> float:
    """How likely it is that at least `some` of `texts` have what `others` of `other_texts` have, if both have
    it equally often: Fisher's exact test, one-sided."""
    total, having = texts + other_texts, some + others
    ways = (
        math.comb(having, k) * math.comb(total - having, texts - k)
        for k in range(some, min(texts, having) + 1)
    )
    return sum(ways) / math.comb(total, texts)
