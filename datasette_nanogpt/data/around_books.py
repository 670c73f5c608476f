"""Rows of a file of Project Gutenberg before and after its book: the licence, and how to donate."""

from __future__ import annotations

from collections.abc import Iterator

from .decode import as_text
from .exclusions import Exclusion, exclusion
from .source import QUERY, Source
from .sqlite import connect, quote

_NAME = "PROJECT GUTENBERG"


def around_books(source: Source) -> Iterator[Exclusion]:
    """A sentence about such rows, with the option that leaves them out, where a table has one book in pieces,
    in their order."""
    if source.table == QUERY or source.grouping or len(source.keys) != 1 or len(source.body) != 1:
        return
    (key,), (column,) = source.keys, source.body
    are_numbers = all(isinstance(row.get(key, 0), int) for row in source.sample)
    if not are_numbers or not any(_NAME in as_text(row[column]).upper() for row in source.sample):
        return
    name, number = quote(column), quote(key)
    starts, ends = (f"{name} like '%*** {word} OF TH%{_NAME}%'" for word in ("START", "END"))
    sql = f"select total({starts}), total({ends}), max(case when {starts} then {number} end), "
    sql += f"max(case when {ends} then {number} end) from {source.from_sql}"
    with connect(source.database) as db:
        start_count, end_count, start, end = db.execute(sql).fetchone()
    if start_count == 1 and end_count <= 1 and (end is None or start < end):
        condition = f"{number} > {start}" + (f" and {number} < {end}" if end is not None else "")
        told = "Before and after the book are rows in which Project Gutenberg says what may be done with it"
        yield exclusion(source, f"{told}. To leave these out", condition)
