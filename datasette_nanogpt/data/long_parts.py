"""Longer rows that are parts of a whole: pages of a book, paragraphs of a chapter, pieces of a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .column_names import named, words_of
from .parts_of_texts import numbers_of, repeats, values_of
from .source import Source
from .speakers import SPEAKERS, names_a_thing

# Words in names of columns that number the parts of a whole, from the largest parts to the smallest.
_LEVELS = (
    *("volume", "book", "part", "act", "canto", "chapter", "scene", "article", "section", "subsection"),
    *("page", "pageno", "folio", "leaf", "paragraph", "para", "stanza", "verse", "chunk", "segment"),
    *("passage",),
)
_TIMES = frozenset(["date", "time", "at", "created", "updated", "modified", "year"])
_OTHERS = _TIMES | {"id", "count", "words", "tokens"}
# The highest number of a part, as a fraction of the number of rows: if it is higher, there is only one whole.
MAX_PART = 0.8
# Rows show the order of their parts if this fraction of them follow another row of the same whole; then this
# fraction of these must have a higher number than the row before.
MIN_TOGETHER, MIN_RISING = 0.5, 0.9


def find_long_parts(source: Source) -> tuple[list[str], str | None]:
    """The columns that have the same values in all parts of a whole, and the column that numbers the parts;
    [] and None if there are none.

    The latter has a name that says so, and no two rows of a whole have the same number. Parts with titles of
    their own are texts by themselves.
    """
    if source.has_titles and not (source.title and repeats(values_of(source, source.title))):
        return [], None
    others = [column for column in source.columns if column not in source.body]
    places = sorted((column for column in others if _numbers_parts(source, column)), key=_rank)
    if not places:
        return [], None
    *outer, inner = places
    outer = [place for place in outer if values_of(source, place) != values_of(source, inner)]
    if not outer and max(numbers_of(values_of(source, inner))) > MAX_PART * source.row_count:
        return [], None
    for label in [*_wholes(source, [column for column in others if column not in places]), ""]:
        group = [*filter(None, [label]), *outer]
        if group and repeats(values_of(source, *group)) and _are_numbered(source, group, inner):
            return group, inner
    return [], None


def find_number(source: Source, group: Sequence[str]) -> str | None:
    """The column that numbers the parts of each whole, where `group` says which rows these are."""
    others = [column for column in source.columns if column not in (*source.text_columns, *group)]
    places = sorted((column for column in others if _numbers_parts(source, column)), key=_rank)
    return next((place for place in reversed(places) if _have_own_numbers(source, group, place)), None)


def _rank(column: str) -> tuple[int, int]:
    """A key to sort by: from the largest parts to the smallest, and the shortest name last."""
    return _level(column), -len(words_of(column))


def _level(column: str) -> int:
    """How small the parts are that a column numbers, by its name; -1 if it says nothing of parts."""
    return max((_LEVELS.index(word) for word in words_of(column) if word in _LEVELS), default=-1)


def _numbers_parts(source: Source, column: str) -> bool:
    words = words_of(column)
    if _level(column) < 0 or not _OTHERS.isdisjoint(words):
        return False
    values = values_of(source, column)
    return all(isinstance(value, int) and value >= 0 for value in values) and len({*values}) > 1


def _wholes(source: Source, columns: Sequence[str]) -> list[str]:
    """Columns that may say of what a row is a part, that with the most different values first."""
    speakers = [column for column in named(SPEAKERS, columns) if not names_a_thing(column)]
    labels = [
        column
        for column in columns
        if column not in speakers
        and _TIMES.isdisjoint(words_of(column))
        and repeats(values := values_of(source, column))
        and all(isinstance(value, str | int) for value in values)
    ]
    return sorted(labels, key=lambda column: -len({*values_of(source, column)}))


def _are_numbered(source: Source, group: Sequence[str], place: str) -> bool:
    """Whether no two rows of a whole have the same number, and it rises where they follow each other."""
    if not _have_own_numbers(source, group, place):
        return False
    keys, numbers = values_of(source, *group), values_of(source, place)
    steps = list(zip(pairwise(keys), pairwise(numbers), strict=True))
    rising = [a < b for (one, other), (a, b) in steps if one == other]
    are_together = len(rising) > MIN_TOGETHER * len(steps)
    return not are_together or sum(rising) >= MIN_RISING * len(rising)


def _have_own_numbers(source: Source, group: Sequence[str], place: str) -> bool:
    """Whether no two rows of a whole have the same number."""
    keys = values_of(source, *group, place)
    return len({*keys}) == len(keys)
