"""Texts among values of all sorts, of which another table says what each is: the abstracts in Zotero, the
descriptions in Omeka and DSpace. A row there is a thing, a field of it, and the value."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand
from .column_names import TITLES, is_credit, named, words_of
from .decode import as_text
from .exclusions import listed
from .sample import SAMPLE_ROWS
from .source import QUERY, Source
from .sqlite import column_names, connect, database_path, list_names, quote, schema_of
from .tables import readable_tables

MAX_FIELDS = 500  # that a program has for its things
MIN_WORDS = 8  # of half of the values of a field with texts: titles and names have fewer
MIN_TEXTS = 10  # in a field, and values of a field that are looked at
MIN_DIFFERENT = 0.5  # of the values of a field: fewer are what many things have in common
LONGEST_NAME = 60  # characters, of a field
# Words of columns with the number of a field, and with the name of one.
_FIELDS = frozenset(["field", "element", "attribute", "property"])
_NAMES = frozenset(["name", "label", "element", "title", "code", "key"])


class _Values(NamedTuple):
    """Where the values are: `table` has the columns of the thing and of the field; `value` is SQL, and `join`
    what it needs."""

    table: str
    thing: str
    field: str
    value: str
    join: str

    def rows(self, alias: str) -> str:
        """SQL after `from`, where `table` is called `alias`."""
        return f"{quote(self.table)} as {alias}{self.join.format(alias=alias)}"

    def value_of(self, alias: str) -> str:
        return self.value.format(alias=alias)


def field_values(source: Source, command: TrainCommand, others: bool = False) -> Iterator[str]:
    """A sentence about such texts in the table of a source, and also in the others where nobody named one,
    with the query that reads them. Only for a caller who may see all tables."""
    if source.table == QUERY or source.template or source.where or source.grouping:
        return
    with connect(source.database) as db:
        for table in readable_tables(db) if others else [source.table]:
            yield from _told_of(db, table, command)


def texts_among_values(database: str, table: str, command: TrainCommand) -> str:
    """The same of a table that cannot be read by itself, "" where there are none."""
    try:
        with connect(database_path(database)) as db:
            return next(_told_of(db, table, command), "")
    except NanogptError:
        return ""


def _told_of(db: sqlite3.Connection, table: str, command: TrainCommand) -> Iterator[str]:
    """A sentence about the texts among the values in a table."""
    for values in _values(db, table):
        names = _names_of_fields(db, values)
        texts = {key: name for key, name in names.items() if _has_texts(db, values, key, name)}
        if not texts or len(texts) == len(names):
            continue
        titles = named(TITLES, list(names.values()))
        title = next((key for name in titles[:1] for key in names if names[key] == name), None)
        (count,) = db.execute(
            f"select count(*) from {quote(values.table)} where {quote(values.field)} in ({listed([*texts])})"
        ).fetchone()
        told = (
            f"{table} has values of all sorts; text is in {count:,} of them ({list_names([*texts.values()])})"
        )
        yield f"{told}. To read these{' with their titles' if title else ''}: " + command.with_query(
            _query(db, values, texts, title)
        )
        return


def _query(db: sqlite3.Connection, values: _Values, texts: dict[int, str], title: int | None) -> str:
    name = next(iter(texts.values())) if len(texts) == 1 else "text"
    columns = [f"{values.value_of('t')} as {quote(name)}"]
    if title is not None:
        same = [values.thing, *_kind_of_thing(db, values)]
        is_same = " and ".join(f"o.{quote(c)} = t.{quote(c)}" for c in same)
        columns.insert(
            0,
            f"(select {values.value_of('o')} from {values.rows('o')} where {is_same} "
            f"and o.{quote(values.field)} = {title}) as title",
        )
    fields = f"t.{quote(values.field)} in ({listed([*texts])})"
    return f"select {', '.join(columns)} from {values.rows('t')} where {fields}"


# ---- Where values are


def _values(db: sqlite3.Connection, table: str) -> Iterator[_Values]:
    """The values of a table: its own, of which columns say the thing and the field, or those to which the
    rows of another table lead, which has these columns."""
    columns = column_names(db, quote(table))
    keys = schema_of(db).table(table).pks if table in schema_of(db).table_names() else []
    rest = [name for name in columns if name not in keys]
    texts = [name for name in rest if _is_value(name)]
    if len(keys) != 1 or len(texts) != 1:
        return
    (value,) = texts
    for thing, field in _things_and_fields(rest):
        yield _Values(table, thing, field, f"{{alias}}.{quote(value)}", "")
    for other in readable_tables(db) if len(rest) == 1 else ():
        names = [] if other == table else column_names(db, quote(other))
        leading = [name for name in names if words_of(name) == words_of(keys[0])]
        for thing, field in _things_and_fields([n for n in names if n not in leading]) if leading else ():
            there = f"{{alias}}v.{quote(value)}"
            key = f"{{alias}}v.{quote(keys[0])} = {{alias}}.{quote(leading[0])}"
            yield _Values(other, thing, field, there, f" join {quote(table)} as {{alias}}v on {key}")


def _is_value(name: str) -> bool:
    return not {"value", "text"}.isdisjoint(words_of(name)) and "id" not in words_of(name)


def _things_and_fields(columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of columns with the numbers of a thing and of a field."""
    ids = [name for name in columns if words_of(name)[-1] in ("id", "uuid")]
    fields = [name for name in ids if not _FIELDS.isdisjoint(words_of(name))]
    for field in fields:
        for thing in [name for name in ids if name not in fields]:
            yield thing, field


def _kind_of_thing(db: sqlite3.Connection, values: _Values) -> list[str]:
    """The column that says what a thing is, where several tables have things of the same numbers."""
    kind = (*words_of(values.thing)[:-1], "type")
    return [name for name in column_names(db, quote(values.table)) if words_of(name) == kind]


# ---- Fields


def _names_of_fields(db: sqlite3.Connection, values: _Values) -> dict[int, str]:
    """The fields that have values, with their names, {} where no table has these."""
    used = f"select distinct {quote(values.field)} from {quote(values.table)} limit {MAX_FIELDS}"
    ids = [key for (key,) in db.execute(used) if isinstance(key, int)]
    schema = schema_of(db)
    foreign = {key.column: key for key in schema.table(values.table).foreign_keys}
    tables = [foreign[values.field].other_table] if values.field in foreign else readable_tables(db)
    field = "".join(words_of(values.field)[:-1])
    for table in tables:
        keys = schema.table(table).pks if table in schema.table_names() else []
        is_of_fields = any("".join(words_of(table)).endswith(field + end) for end in ("", "s", "registry"))
        is_of_fields = is_of_fields or (len(keys) == 1 and words_of(keys[0]) == words_of(values.field))
        if table == values.table or len(keys) != 1 or not (is_of_fields or len(tables) == 1):
            continue
        for name in [c for c in column_names(db, quote(table)) if words_of(c)[-1] in _NAMES]:
            rows = db.execute(
                f"select {quote(keys[0])}, {quote(name)} from {quote(table)} limit {MAX_FIELDS}"
            ).fetchall()
            found = {key: str(label) for key, label in rows if key in ids and label}
            if len(found) > 1 and max(map(len, found.values())) <= LONGEST_NAME:
                return found
    return {}


def _has_texts(db: sqlite3.Connection, values: _Values, key: int, name: str) -> bool:
    """Whether most values of a field are sentences, which differ."""
    sql = f"select {values.value_of('t')} from {values.rows('t')} where t.{quote(values.field)} = ?"
    texts = [as_text(value) for (value,) in db.execute(f"{sql} limit {SAMPLE_ROWS}", [key])]
    if len(texts) < MIN_TEXTS or is_credit(name) or named(TITLES, [name]):
        return False
    is_prose = statistics.median(len(text.split()) for text in texts) >= MIN_WORDS
    return is_prose and len({*texts}) >= MIN_DIFFERENT * len(texts)
