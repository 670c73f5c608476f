"""In which order the rows of one text stand, by the columns of their table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from . import translated_names
from .column_names import words_of
from .parts_of_texts import MAX_DISTINCT, are_fractions, are_together, numbers_of, values_of
from .sample import BLOCKS, Value
from .source import Source

# Words in names of columns that have the places of rows, and of those that have these or the time of each
# row. The best guess is the first.
PLACES = (
    *("position", "pos", "line", "lineno", "seq", "sequence", "number", "index", "idx", "order"),
    "ordinal",
)
_ORDERS = (
    *(*PLACES, "step", "start", "turn", "ts", "timestamp", "datetime", "time", "sent", "created", "date"),
    *("at", "when", "dateline", "originalarrivaltime", *translated_names.TIMES),
)
ORDER_WORDS = frozenset(_ORDERS)
MAX_UNORDERED = 0.1  # the fraction of the rows that may have no time, if another column has one in more rows
MIN_RISING = 5  # a sample with fewer steps from one row of a group to the next says nothing of their order
SMALLEST_TIME = 1e8  # seconds from 1970 or 2001: a smaller number is not a time
# A time in a column of text: a number that is at least as long as a year, or a date with the year first.
DIGITS = re.compile(r"\d{4,}(?:\.\d+)?")
DATE = re.compile(r"\d{4}-\d\d")


def row_number(source: Source) -> str | None:
    """The column of a view that has the id of a row of the table behind it."""
    for column in source.columns:
        numbers = values_of(source, column)
        are_ids = words_of(column)[-1] in ("id", "rowid") and len(set(numbers)) == len(numbers)
        if are_ids and all(isinstance(number, int) for number in numbers):
            return column
    return None


def find_order(source: Source) -> str | None:
    """The column that says when a row was written."""
    columns = [column for column in source.columns if "by" not in words_of(column)]  # created_by says by whom
    by_all = column_named(source, _ORDERS, _sorts_all, columns)
    return by_all or column_named(source, _ORDERS, _sorts, columns)


def _sorts_all(values: Sequence[Value]) -> bool:
    """Whether these values put nearly all rows in order. (In a backup of SMS, `date_sent` is 0 in one's own
    messages.)"""
    are_times = any(isinstance(value, int | float) and value > SMALLEST_TIME for value in values)
    missing = sum(value in (None, "") or (are_times and value == 0) for value in values)
    return missing <= MAX_UNORDERED * len(values) and _sorts(values)


def _sorts(values: Sequence[Value]) -> bool:
    """Whether SQLite sorts such values as people would: numbers, dates with the year first, and digits as
    text that is always as long."""
    if len(set(values)) < 2:
        return False
    digits = {len(v) for v in values if isinstance(v, str) and DIGITS.fullmatch(v)}
    if len(digits) == 1 and all(isinstance(v, str) and DIGITS.fullmatch(v) for v in values if v):
        return True
    return all(isinstance(value, int | float) or DATE.match(str(value)) for value in values if value)


def find_place(source: Source, group: str) -> str | None:
    """A column whose name says that it has the places of rows in their group: no two rows have the same, and
    the first is 0 or 1."""

    def fits(values: Sequence[Value]) -> bool:
        numbers = [value for value in values if isinstance(value, int)]
        pairs = set(zip(values_of(source, group), values, strict=True))
        are_low = len(numbers) == len(values) and min(numbers) in (0, 1)
        return are_low and len(pairs) == len(values) and len(set(numbers)) <= MAX_DISTINCT * len(values)

    return column_named(source, PLACES, fits)


def find_counter(source: Source, group: Sequence[str], columns: Sequence[str]) -> str | None:
    """The first of `find_counters`."""
    return next(find_counters(source, group, columns), None)


def find_counters(source: Source, group: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """The columns of numbers that rise from row to row of a group, and begin again in the next group. Where
    the sample leaves out rows of the table, the next number may be any."""
    keys = values_of(source, *group)
    if not are_together(keys):
        return
    gaps = BLOCKS if len(keys) < source.row_count else 0
    for column in columns:
        numbers = numbers_of(values_of(source, column))
        if column not in group and numbers and not are_fractions(numbers):
            steps = list(zip(pairwise(keys), pairwise(numbers), strict=True))
            rising = [last < number for (a, b), (last, number) in steps if a == b]
            again = [last >= number for (a, b), (last, number) in steps if a != b]
            exceptions = len(again) - sum(again)
            if all(rising) and exceptions <= gaps and (not gaps or _is_often(rising, again)):
                yield column


def _is_often(rising: Sequence[bool], again: Sequence[bool]) -> bool:
    """Whether a sample shows often enough that numbers rise within groups and begin again in the next."""
    return len(rising) >= MIN_RISING and 2 * sum(again) > len(again)


def find_rising(source: Source, group: Sequence[str], columns: Sequence[str]) -> str | None:
    """A column of numbers that rise from one row of a group to the next, in the order of the table."""
    keys = values_of(source, *group)
    for column in columns if are_together(keys) else ():
        numbers = numbers_of(values_of(source, column))
        steps = list(zip(pairwise(keys), pairwise(numbers), strict=True)) if numbers else []
        if column not in group and steps and all(a < b for (one, other), (a, b) in steps if one == other):
            return column
    return None


def column_named(
    source: Source,
    names: Sequence[str],
    fits: Callable[[Sequence[Value]], bool] = bool,
    among: Sequence[str] | None = None,
) -> str | None:
    """The column with one of these words in its name, the best word first, and with values that fit. It is
    not a column of text, and one of `among`, if that is given."""
    of_text = source.text_columns
    columns = [name for name in (source.columns if among is None else among) if name not in of_text]
    columns = [column for column in columns if fits(values_of(source, column))]
    words = {column: {*words_of(column), words_of(column)[-1].removesuffix("id")} for column in columns}
    return next((column for name in names for column in columns if name in words[column]), None)
