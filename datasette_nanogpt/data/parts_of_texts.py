"""Whether rows with the same value are all of a text, as lines are, or only taken from it, as highlights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .chat_stamps import LOG_LEVELS
from .column_names import TAKEN, words_of
from .sample import BLOCKS
from .source import Source
from .sqlite import quote

# Words of tables and of columns of text whose rows somebody took from longer texts, or says about something:
# they are read in no order, and none answers another.
_SAID_OF = ("review", "rating", "testimonial", "favorite", "favourite")
_SELECTIONS = TAKEN | {word + end for word in _SAID_OF for end in ("", "s")}
_FIELDS = tuple((word, "id") for word in ("field", "element", "attribute", "property"))
MAX_DISTINCT = 0.7  # different values per row, at most, of a column that says which text a row is of
# Rows are all of a text if this fraction of the steps from one number to the next are the same (lines may be
# missing), or if they last for this fraction of the time from the first one to the last (there are pauses).
MIN_DENSE, MIN_COVERED = 0.6, 0.5
_NUMBER = re.compile(r"0|[1-9]\d{0,7}")  # in a column of text; longer ones are times and keys
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:[.,]\d{1,6})?)")
ENDS = frozenset(["end", "stop", "to", "until", "finish", "duration", "dur", "length"])


def are_selections(source: Source) -> bool:
    """Whether rows are highlights, quotes, reviews or the like, by the names of the table and the text."""
    words = {word for name in (source.table, *source.body) for word in words_of(name)}
    return not _SELECTIONS.isdisjoint(words)


def are_logs(source: Source) -> bool:
    """Whether a column says how grave each row is, as programs log: rows of one thread answer no other."""
    return any(
        len(found := {str(value).strip().lower() for value in values_of(source, column)}) > 1
        and found <= LOG_LEVELS
        for column in source.columns
    )


def are_fields(source: Source) -> bool:
    """Whether each row is the value of a field: a title, a date or a description of the same thing."""
    return any(words_of(column)[-2:] in _FIELDS for column in source.columns)


def are_whole(source: Source, group: Sequence[str], order: str) -> bool:
    """Whether the rows of each group seem to be all of a text: their numbers go on by the same step, or each
    lasts until about the next one begins."""
    starts = numbers_of([row[order] for row in source.sample])
    groups = [[row[column] for column in group] for row in source.sample]
    together = [i for i, (a, b) in enumerate(pairwise(groups)) if a == b] if starts else []
    steps = {i: round(starts[i + 1] - starts[i], 6) for i in together}
    if steps and Counter(steps.values()).most_common(1)[0][1] >= MIN_DENSE * len(steps):
        return True
    # The sample is from several places of the table, and the longest steps are those between these places.
    missing = BLOCKS if len(source.sample) < source.row_count else 0
    near = sorted(together, key=lambda i: steps[i])[: max(len(together) - missing, 0)]
    times = sum(steps[i] for i in near)
    for column in source.columns:
        if column == order or ENDS.isdisjoint(words_of(column)):
            continue
        ends = numbers_of([row[column] for row in source.sample])
        if times and ends:
            # The end of a row, or how long it lasts.
            lasting = (ends[i] - starts[i] if ends[i] >= starts[i] else ends[i] for i in near)
            return sum(lasting) >= MIN_COVERED * times
    return False


def values_of(source: Source, *columns: str) -> list[Any]:
    """The values of a column in the rows of the sample, or of several as tuples; numbers that are text as
    numbers."""
    values = [_with_numbers([row[column] for row in source.sample]) for column in columns]
    return list(zip(*values, strict=True)) if len(columns) > 1 else values[0]


def _with_numbers(values: list[Any]) -> list[Any]:
    are_numbers = bool(values) and all(isinstance(each, str) and _NUMBER.fullmatch(each) for each in values)
    return [int(each) for each in values] if are_numbers else values


def in_order(source: Source, column: str) -> str:
    """SQL that sorts rows by a column: numbers that are text as numbers, or 10 would come before 9."""
    are_numbers = isinstance(source.sample[0][column], str) and isinstance(values_of(source, column)[0], int)
    return f"cast({quote(column)} as integer)" if are_numbers else column


def repeats(values: Sequence[Any]) -> bool:
    """Whether several rows have the same value, but not all."""
    filled = [value for value in values if value not in (None, "")]
    return 1 < len(set(filled)) <= MAX_DISTINCT * len(filled) and not are_fractions(filled)


def are_together(values: Sequence[Any]) -> bool:
    """Whether the rows with the same value follow each other."""
    return 1 + sum(a != b for a, b in pairwise(values)) == len(set(values))


def is_level(values: Sequence[Any]) -> bool:
    """Whether several rows have the same value, and follow each other."""
    return repeats(values) and are_together(values)


def are_fractions(values: Sequence[object]) -> bool:
    """Whether values are numbers from 0 to 1: a progress, which says where in a text something is."""
    filled = [value for value in values if value not in (None, "")]
    are_floats = any(isinstance(value, float) and value % 1 for value in filled)
    return are_floats and all(isinstance(value, int | float) and 0 <= value <= 1 for value in filled)


def numbers_of(values: Sequence[object]) -> list[float]:
    """Values as numbers, times of a clock in seconds ("00:01:30,500"); [] where any is neither. Times must
    all be as long, so that SQLite sorts them as people do."""
    if all(isinstance(value, int | float) for value in values):
        return [float(value) for value in values if isinstance(value, int | float)]
    clocks = [_CLOCK.fullmatch(value) if isinstance(value, str) else None for value in values]
    if len({len(clock[0]) for clock in clocks if clock}) != 1:
        return []
    times = [
        int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))
        for clock in clocks
        if clock
    ]
    return times if len(times) == len(values) else []
