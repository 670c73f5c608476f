"""To which table the numbers in a column lead: by a foreign key, else by the name of the column."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from .column_names import words_of
from .sample import SAMPLE_ROWS
from .source import Source
from .sqlite import primary_key, quote, schema_of

MIN_LED = 0.9  # of the numbers must lead to a row, where only a name says so


class Link(NamedTuple):
    """A row of `table`, by its `key`."""

    table: str
    key: str


def link_of(db: sqlite3.Connection, source: Source, column: str) -> Link | None:
    """Where a column leads; `book` and `book_id` lead to the rows of `book` or `books` with these numbers."""
    schema = schema_of(db)
    tables = schema.table_names()
    if source.table not in tables:
        return None
    for key in schema.table(source.table).foreign_keys:
        if key.column == column and key.other_table != source.table and key.other_table in tables:
            return Link(key.other_table, key.other_column) if key.other_column else None
    words = words_of(column)
    words = words[:-1] if words[-1] in ("id", "fk") and words[1:] else words
    names = (words, (*words[:-1], f"{words[-1]}s"), (*words[:-1], f"{words[-1].removesuffix('y')}ies"))
    for table in tables:
        keys = primary_key(db, table)
        if words_of(table) in names and table != source.table and len(keys) == 1:
            link = Link(table, keys[0])
            return link if _leads(db, source, column, link) else None
    return None


def _leads(db: sqlite3.Connection, source: Source, column: str, link: Link) -> bool:
    ids = list({row[column] for row in source.sample if row[column] is not None})[:SAMPLE_ROWS]
    if not ids or not all(isinstance(value, int) for value in ids):
        return False
    marks = ", ".join("?" * len(ids))
    sql = f"select count(*) from {quote(link.table)} where {quote(link.key)} in ({marks})"
    (count,) = db.execute(sql, ids).fetchone()
    return bool(count >= MIN_LED * len(ids))
