"""Whether rows with the same value are all of a text, as lines are, or only taken from it, as highlights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from .column_names import words_of
from .source import Source

# Words of tables and of columns of text whose rows somebody took from longer texts, or says about something:
# they are read in no order, and none answers another.
_TAKEN = ("highlight", "annotation", "bookmark", "clipping", "excerpt", "quote", "quotation", "flashcard")
_SAID_OF = ("review", "rating", "testimonial", "favorite", "favourite")
_SELECTIONS = frozenset(word + end for word in (*_TAKEN, *_SAID_OF) for end in ("", "s"))
MIN_DENSE = 0.6  # the fraction of steps from one number to the next that are the same: lines may be missing
MIN_COVERED = 0.5  # of the time from the first row of a text to its last, by the rows: there are pauses
_ENDS = frozenset(["end", "stop", "to", "until", "finish", "duration", "dur", "length"])


def are_selections(source: Source) -> bool:
    """Whether rows are highlights, quotes, reviews or the like, by the names of the table and the text."""
    words = {word for name in (source.table, *source.body) for word in words_of(name)}
    return not _SELECTIONS.isdisjoint(words)


def are_whole(source: Source, group: Sequence[str], order: str) -> bool:
    """Whether the rows of each group seem to be all of a text: their numbers go on by the same step, or each
    lasts until about the next one begins."""
    rows = [([row[column] for column in group], row[order], row) for row in source.sample]
    together = [(a, b) for a, b in pairwise(rows) if a[0] == b[0]]
    steps = Counter(step for a, b in together if (step := _difference(a[1], b[1])) is not None)
    if steps and steps.most_common(1)[0][1] >= MIN_DENSE * steps.total():
        return True
    times = sum(steps.elements())
    for column in source.columns:
        if column == order or _ENDS.isdisjoint(words_of(column)):
            continue
        lasting = [_lasts(row[order], row[column]) for (_, _, row), _ in together]
        if times and all(each is not None for each in lasting):
            return sum(filter(None, lasting)) >= MIN_COVERED * times
    return False


def are_fractions(values: Sequence[object]) -> bool:
    """Whether values are numbers from 0 to 1: a progress, which says where in a text something is."""
    filled = [value for value in values if value not in (None, "")]
    are_floats = any(isinstance(value, float) and value % 1 for value in filled)
    return are_floats and all(isinstance(value, int | float) and 0 <= value <= 1 for value in filled)


def _difference(value: object, following: object) -> float | None:
    if not (isinstance(value, int | float) and isinstance(following, int | float)):
        return None
    return round(float(following - value), 6)


def _lasts(start: object, end: object) -> float | None:
    """How long a row lasts; `end` is when it ends, or how long it lasts."""
    if not (isinstance(start, int | float) and isinstance(end, int | float)):
        return None
    return float(end - start if end >= start else end)
