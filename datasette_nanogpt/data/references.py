"""Rows that are numbered within a text by what they are cited as, in one column: Gen.1.1, Psalms 23:4."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .parts_of_texts import is_level, values_of
from .sample import BLOCKS
from .source import Source
from .sqlite import quote

# Letters, the number of a part, and that of a row in it; or an underscore before the latter. With one number
# it may be a key, without letters a date.
_REFERENCE = re.compile(
    r"(?=\d?[^\d]*[^\W\d])(.*\d.*[.:_/, -])(\d{1,4})|(?!\d{4}_\d\d_)(?P<text>[\d:/-]*\d_)(?P<number>\d{1,4})"
)
MIN_NEXT = 0.9  # the fraction of the rows of a text that must have the number after that of the row before
FIRST = frozenset([0, 1])  # the numbers with which texts begin


class Reference(NamedTuple):
    """The column, SQL for what the rows of a text have in common in it, and two of its values."""

    column: str
    sql: str
    examples: tuple[str, str]


def find_reference(source: Source) -> Reference | None:
    """The column that cites the rows of several texts one after the other, in the order of the table."""
    for column in source.columns:
        values = values_of(source, column)
        if column in source.text_columns or not all(isinstance(value, str) for value in values):
            continue
        places = [match for value in values if (match := _REFERENCE.fullmatch(value.strip()))]
        if len(places) == len(values) > 1 and _are_of_texts(source, places):
            return Reference(column, f"rtrim({quote(column)}, '0123456789')", (values[0], values[1]))
    return None


def _are_of_texts(source: Source, places: Sequence[re.Match[str]]) -> bool:
    """Whether the rows of each text follow each other, most with the next number, and each text begins with a
    first one."""
    texts = [place[1] or place["text"] for place in places]
    if not is_level(texts):
        return False
    numbers = [int(place[2] or place["number"]) for place in places]
    steps = list(zip(pairwise(texts), pairwise(numbers), strict=True))
    within = [b - a for (text, other), (a, b) in steps if text == other]
    begins = [number for (text, other), (_, number) in steps if text != other]
    gaps = BLOCKS if len(texts) < source.row_count else 0  # where the sample leaves out rows of the table
    are_first = sum(number in FIRST for number in begins) >= len(begins) - gaps
    return are_first and min(numbers) in FIRST and within.count(1) >= MIN_NEXT * len(within) - gaps
