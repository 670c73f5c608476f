"""Rows of what somebody may not mean to train on by another table: posts in private or deleted topics."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice

from .column_names import named
from .exclusions import Exclusion, among, exclusion, is_told, not_among
from .links import Link, link_of
from .sample import SAMPLE_ROWS
from .source import QUERY, Source
from .speakers import SPEAKERS
from .sqlite import column_names, connect, quote
from .unread_rows import unread_values

MAX_TOLD = 2  # columns of other tables


def unread_parents(source: Source) -> Iterator[Exclusion]:
    """Sentences about rows that lead to such a row of another table, by what a column of that one says.
    Only for a caller who may see all tables."""
    if source.table == QUERY or source.template or not source.sample:
        return
    with connect(source.database) as db:
        yield from islice(_all_told(db, source), MAX_TOLD)


def _all_told(db: sqlite3.Connection, source: Source) -> Iterator[Exclusion]:
    known: list[list[int]] = []
    for column in source.columns:
        # What became of the account of whoever wrote a row says nothing of the row.
        if column in source.text_columns or named(SPEAKERS, [column]):
            continue
        if not (link := link_of(db, source, column)):
            continue
        for name, condition, rows in _unread(db, source, column, link):
            if is_told(source, len(rows)) and rows not in known:
                known.append(rows)
                parents = f"select {quote(link.key)} from {quote(link.table)} where {condition}"
                told = f"{len(rows):,} {source.looked_at} are of {link.table} in which {name}"
                outside = f"ifnull({quote(column)}, '') not in ({parents})"
                yield exclusion(source, f"{told}. To leave these out", outside)


def _unread(
    db: sqlite3.Connection, source: Source, column: str, link: Link
) -> Iterator[tuple[str, str, list[int]]]:
    """What columns of the other table say, in words and in SQL, and the rows of the sample that it is said
    of."""
    ids = list(dict.fromkeys(row[column] for row in source.sample if row[column] is not None))[:SAMPLE_ROWS]
    marks = ", ".join("?" * len(ids))
    names = column_names(db, quote(link.table))
    sql = f"select * from {quote(link.table)} where {quote(link.key)} in ({marks})"
    there = [dict(zip(names, row, strict=True)) for row in db.execute(sql, ids)]
    for name in names:
        values = list(dict.fromkeys(row[name] for row in there))
        unread, is_since = unread_values(name, values)
        parents = {row[link.key] for row in there if row[name] in unread}
        rows = [i for i, row in enumerate(source.sample) if row[column] in parents]
        others = ["" if value is None else value for value in values if value not in unread]
        given = [value for value in unread if value is not None]
        if is_since:
            yield f"{name} is set", f"ifnull({quote(name)}, '') {not_among(others or [''])}", rows
        elif given:
            told = " or ".join(map(str, sorted(given, key=str)))
            yield f"{name} is {told}", f"{quote(name)} {among(sorted(given, key=str))}", rows
