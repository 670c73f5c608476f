"""To which table the numbers in a column lead, and which tables lead to a row: by a foreign key, else by the
name of the column."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .column_names import KEY_WORDS, TITLES, named, words_of
from .sample import SAMPLE_ROWS, Value
from .source import Source
from .sqlite import column_names, primary_key, quote, schema_of
from .tables import readable_tables

MIN_LED = 0.9  # of the numbers must lead to a row, where only a name says so
MIN_OF_THINGS = 0.5  # of keys that begin with what they are of: an archive may lack some
_ENTITY = ("entity", "id")
_THING = re.compile(r"t[1-6]_[0-9a-z]{2,12}")
MIN_THING, MIN_PREFIX = 3, 2  # letters of what a table is of, and of the name of a program before it
MAX_LEADING = 1.1  # rows that lead to one row, where each has one of its own


class Link(NamedTuple):
    """A row of `table`, by its `key`, which is what follows the first `cut` characters of a value; `by_name`:
    nothing but names says so."""

    table: str
    key: str
    cut: int = 0
    by_name: bool = False


def link_of(db: sqlite3.Connection, source: Source, column: str) -> Link | None:
    """Where a column leads; `book` and `book_id` lead to the rows of `book` or `books` with these numbers."""
    schema = schema_of(db)
    tables = readable_tables(db)
    if source.table not in tables:
        return None
    for key in schema.table(source.table).foreign_keys:
        if key.column == column and key.other_table != source.table and key.other_table in tables:
            return Link(key.other_table, key.other_column) if key.other_column else None
    words = words_of(column)
    if words == _ENTITY:
        return _entity(db, source, column)
    if column in source.columns and all(_THING.fullmatch(str(row[column])) for row in source.sample):
        return _thing(db, source, column)
    words = words[:-1] if words[-1] in ("id", "fk") and words[1:] else words
    words = _words_of_kind(source, words) or words
    names = (words, (*words[:-1], f"{words[-1]}s"), (*words[:-1], f"{words[-1].removesuffix('y')}ies"))
    for table in tables:
        keys = primary_key(db, table)
        if words_of(table) in names and table != source.table and len(keys) == 1:
            link = Link(table, keys[0])
            return link if _leads(db, source, column, link) else None
    if words_of(column) in (("parent",), ("parent", "id")):
        return _parent(db, source, column, tables)
    found = _of_same_name(db, source, column, tables) or link_by_prefix(db, source.table, column, tables)
    return found if found and (not found.by_name or _leads(db, source, column, found)) else None


def link_by_prefix(db: sqlite3.Connection, table: str, column: str, tables: Sequence[str]) -> Link | None:
    """Where a column leads by its name, where the names of all tables begin with that of a program:
    `bug_id` of `mantis_bugnote_table` to `mantis_bug_table`, `issueid` of `jiraaction` to `jiraissue`."""
    here, name = ("".join(words_of(each)) for each in (table, column))
    thing = name.removesuffix("id")
    for other in tables if thing != name and len(thing) >= MIN_THING else ():
        there = "".join(words_of(other))
        stems = (there.removesuffix(end) for end in ("tables", "table", "s", "") if there.endswith(end))
        prefixes = [stem.removesuffix(thing) for stem in stems if stem.endswith(thing)]
        keys = primary_key(db, other) if other != table else ()
        if len(keys) == 1 and any(len(p) >= MIN_PREFIX and here.startswith(p) for p in prefixes):
            return Link(other, keys[0], by_name=True)
    return None


def _parent(db: sqlite3.Connection, source: Source, column: str, tables: Sequence[str]) -> Link | None:
    """Where the parent of a row is that is of another table, whose name is the first of its own: `Case` and
    `CaseComment`."""
    ids = list(dict.fromkeys(row[column] for row in source.sample if row[column] is not None))
    first = words_of(source.table)[0].removesuffix("s")
    for table in tables if ids else ():
        words = words_of(table)
        if table == source.table or len(words) > 1 or words[0].removesuffix("s") != first:
            continue
        keys = [name for name in column_names(db, quote(table)) if words_of(name) == ("id",)]
        if keys and _is_one_each(db, ids, link := Link(table, keys[0])):
            return link
    return None


def _of_same_name(db: sqlite3.Connection, source: Source, column: str, tables: Sequence[str]) -> Link | None:
    """Where a column leads that another table has by the same name, with a row for each of its values:
    `movieID` in the lines and the titles of movies."""
    words = words_of(column)
    ids = list(dict.fromkeys(row[column] for row in source.sample if row.get(column) is not None))
    if not ids or len(words) < 2 or words[-1] not in KEY_WORDS or 2 * len(ids) > len(source.sample):
        return None
    for table in tables:
        others = column_names(db, quote(table)) if table != source.table else []
        for key in (name for name in others if words_of(name) == words):
            if _is_one_each(db, ids, link := Link(table, key)):
                return link
    return None


def _thing(db: sqlite3.Connection, source: Source, column: str) -> Link | None:
    """Where a column of Reddit's leads, whose keys begin with what they are of: `t3_1abcd` to the key 1abcd,
    or to the whole of it, in the table of posts."""
    ids = list(dict.fromkeys(str(row[column]) for row in source.sample))[:SAMPLE_ROWS]
    marks = ", ".join("?" * len(ids))
    for table in readable_tables(db):
        names = [name for name in column_names(db, quote(table)) if words_of(name)[-1] in ("id", "name")]
        for name in names if table != source.table else ():
            for cut in (0, len("t3_")):
                sql = f"select count(*) from {quote(table)} where {quote(name)} in ({marks})"
                (count,) = db.execute(sql, [each[cut:] for each in ids]).fetchone()
                if len(ids) * MIN_OF_THINGS <= count <= len(ids):
                    return Link(table, name, cut)
    return None


def _words_of_kind(source: Source, words: tuple[str, ...]) -> tuple[str, ...]:
    """What the column beside an id says it is of: `journalized_type` is "Issue" where `journalized_id` leads
    to `issues`. Nothing where it says different things."""
    beside = [column for column in source.columns if words_of(column) == (*words, "type")]
    kinds = {row[beside[0]] for row in source.sample} if beside else set()
    (kind,) = kinds if len(kinds) == 1 else (None,)
    return words_of(kind) if isinstance(kind, str) else ()


def _entity(db: sqlite3.Connection, source: Source, column: str) -> Link | None:
    """Where a column `entity_id` leads: in Drupal the body of each node is in `node__body`, and the title in
    `node_field_data`, once for each language. In older ones `entity_type` says that it is of `node`."""
    ids = [row[column] for row in source.sample if row[column] is not None]
    kin = {words_of(source.table)[0], *_words_of_kind(source, _ENTITY[:1])}
    for table in readable_tables(db):
        keys = primary_key(db, table)
        is_kin = table != source.table and words_of(table)[0] in kin
        if is_kin and keys and named(TITLES, column_names(db, quote(table)), table):
            link = Link(table, keys[0])
            if _leads(db, source, column, link) and _is_one_each(db, list(dict.fromkeys(ids)), link):
                return link
    return None


def _leads(db: sqlite3.Connection, source: Source, column: str, link: Link) -> bool:
    ids = list({row[column] for row in source.sample if row[column] is not None})[:SAMPLE_ROWS]
    if not ids or not all(isinstance(value, int) for value in ids):
        return False
    marks = ", ".join("?" * len(ids))
    sql = f"select count(*) from {quote(link.table)} where {quote(link.key)} in ({marks})"
    (count,) = db.execute(sql, ids).fetchone()
    return bool(count >= MIN_LED * len(ids))


def links_to(db: sqlite3.Connection, source: Source) -> Iterator[Link]:
    """The tables of which one row each leads to a row of the source: `note`, with titles and the numbers of
    their texts, to `blob`. The key of a Link is the column that leads there."""
    schema = schema_of(db)
    keys = primary_key(db, source.table) if source.table in schema.table_names() else ()
    if len(keys) != 1 or keys[0] not in source.columns:
        return
    names = {words_of(keys[0])} if len(words_of(keys[0])) > 1 else set(_ids_of(source.table))
    for table in readable_tables(db):
        if table == source.table:
            continue
        leading = {key.column for key in schema.table(table).foreign_keys if key.other_table == source.table}
        columns = column_names(db, quote(table))
        for column in [c for c in columns if c in leading or words_of(c) in names]:
            if _is_one_each(db, [row[keys[0]] for row in source.sample], Link(table, column)):
                yield Link(table, column)


def _ids_of(table: str) -> Iterator[tuple[str, ...]]:
    """What columns may be called that lead to a table: `bug_text_id` for `mantis_bug_text_table`, where all
    tables begin with the name of a program."""
    words = words_of(table)
    yield (*words, "id")
    words = words[:-1] if words[-1] in ("table", "tbl") else words
    for first in range(max(1, len(words) - 1)):
        yield (*words[first:], "id")


def _is_one_each(db: sqlite3.Connection, ids: list[Value], link: Link) -> bool:
    """Whether nearly all `ids` have a row that leads to them, and hardly any has several."""
    key, marks = quote(link.key), ", ".join("?" * len(ids[:SAMPLE_ROWS]))
    sql = f"select count(*), count(distinct {key}) from {quote(link.table)} where {key} in ({marks})"
    count, different = db.execute(sql, ids[:SAMPLE_ROWS]).fetchone()
    return different >= MIN_LED * len(ids[:SAMPLE_ROWS]) and count <= MAX_LEADING * different
