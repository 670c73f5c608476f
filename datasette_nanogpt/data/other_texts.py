"""Columns in which people wrote something beside the text, such as a note on a passage: how to read both."""

from __future__ import annotations

from collections.abc import Iterator

from ..formatting import shell_command
from .column_content import Column, columns_of, is_contained, says_the_same
from .column_names import BEFORE_BODY, TITLES, has_word, is_named, words_of
from .said import is_said
from .source import Source

MAX_TOLD = 3  # so many columns are named
# Words of columns that are read before the text.
_FIRST = frozenset(["spoiler", "warning", "cw", "question", "syllabus", "headnote", "headnotes", "preamble"])


def other_texts(source: Source, of: str) -> Iterator[str]:
    """A sentence about such columns, by the source's sample, with the options that read them. `of` is what a
    sentence calls the rows that were looked at, such as "rows"."""
    again = any(source.kinds[column].instead for column in source.body)
    if source.template or source.columns_given or not source.body or again:
        return
    columns = columns_of({name: [row[name] for row in source.sample] for name in source.columns})
    read = [column for column in columns if column.name in source.text_columns]
    found = [c for c in columns if c.name in source.left_out and is_said(c) and not _is_again(c, read)][
        :MAX_TOLD
    ]
    if not found:
        return
    first = [column.name for column in found if _comes_first(column.name)]
    last = [column.name for column in found if column.name not in first]
    # A title that was not found by its name would not be found beside other columns of text.
    is_found = not source.title or any(is_named(source.title, name) for name in TITLES)
    options = [] if is_found else ["--title", source.title or ""]
    options += [word for name in (*first, *source.body, *last) for word in ("--body", name)]
    counts = " and ".join(f"{column.name} ({len(column.texts):,} {of})" for column in found)
    yield f"There is other text in {counts}, which is not read. To read it, too: {shell_command(options)}"


def _comes_first(name: str) -> bool:
    before = (guess for guesses in BEFORE_BODY for guess in guesses)
    return not _FIRST.isdisjoint(words_of(name)) or any(
        has_word(name, g) or is_named(name, g) for g in before
    )


def _is_again(column: Column, read: list[Column]) -> bool:
    return any(says_the_same(column, other) or is_contained(column, other) for other in read)
