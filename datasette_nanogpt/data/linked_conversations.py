"""What other tables say of messages: in which conversation each is, and the name of who wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..formatting import TrainCommand
from .column_content import columns_of
from .column_names import named, words_of
from .conversation_columns import CONVERSATIONS, are_ids, are_short, find_conversation
from .conversation_hints import suggestions
from .linked_titles import LinkedTitle, linked_title
from .own_messages import find_own
from .parts_of_texts import are_selections, in_order, repeats
from .row_order import find_order, find_place
from .sample import SAMPLE_ROWS, Value
from .shapes import shape_of
from .source import QUERY, Source
from .speakers import SPEAKERS, find_speaker_of, have_speakers, speakers_among
from .sqlite import column_names, connect, primary_key, quote, schema_of
from .tables import readable_tables

MIN_ROWS = 10  # in fewer rows than this nothing is remarked on
MIN_LED = 0.5  # the fraction of the rows that must lead to a row with a name
MAX_COLUMNS = 6  # of a table that only says which rows belong together
MAX_STEPS = 2e8  # rows of one table times rows of the other, where no index leads from one to the other
_PEOPLE = (
    "display_name",
    "full_name",
    "nickname",
    "name",
    "username",
    "user",
    "login",
    "handle",
    "email",
    "id",
)
# Tables of people by the last word of their names: numbers of who wrote a row may lead there.
_PEOPLE_TABLES = frozenset(
    [
        *("user", "users", "person", "persons", "people", "member", "members", "account", "accounts"),
        *("profile", "profiles", "author", "authors", "participant", "participants", "actor", "actors"),
        *("contact", "contacts", "identity", "identities"),
    ]
)
_OF_PEOPLE = ("jid", "contact", "person", "participant", "member", "with")  # and SPEAKERS


class Names(NamedTuple):
    """Where names are: the column that leads there, and what it leads to."""

    column: str
    table: str
    key: str
    name: str


def linked_conversations(source: Source, command: TrainCommand) -> Iterator[str]:
    """Sentences about such tables, each with what to type. Only for a caller who may see all."""
    if len(source.sample) < MIN_ROWS or not source.body or source.template or source.where:
        return
    if not source.keys or source.table == QUERY or are_selections(source):
        return
    group: list[str] = []
    order = find_order(source)
    with connect(source.database) as db:
        if source.grouping is None:
            group, order_of_group = find_conversation(source)
            order = order_of_group or order
            if not group and (about := _what_is_said_of(source)):
                yield from suggestions(source, about, about, order)
                group = [about]
            elif not group and are_short(source) and (linked := _linked_group(db, source)):
                yield from suggestions(source, *linked, order)
                group = [linked[0]]
        if source.grouping:
            group, order = [source.grouping.group_by], source.grouping.order_by
        if group:
            yield from _names_and_titles(db, source, command, group, order)


# ---- Which conversation a row is in


def _what_is_said_of(source: Source) -> str | None:
    """A column that leads to a table with titles, as that of bugs, of each of which several people said
    something."""
    if source.has_titles or not have_speakers(source) or not find_order(source):
        return None
    speakers = speakers_among(source.columns)
    for column in source.columns:
        values = [row[column] for row in source.sample]
        if column in (*source.text_columns, *speakers) or not repeats(values) or not are_ids(values):
            continue
        if 2 * len({*values}) > MIN_ROWS and not find_place(source, column) and linked_title(source, column):
            return column
    return None


def _linked_group(db: sqlite3.Connection, source: Source) -> tuple[str, str] | None:
    """SQL for the conversation of a row, by a table of pairs, and the name of what is the same; else a column
    that says with whom it is."""
    rowid = source.keys[0] if len(source.keys) == 1 else ""
    words = words_of(source.table)
    for table in readable_tables(db) if rowid else ():
        columns = column_names(db, quote(table))
        to_row = [c for c in columns if words_of(c) in (words, (*words, "id"))]
        to_group = [c for c in columns if c not in to_row and words_of(c)[0] in CONVERSATIONS]
        if table == source.table or len(columns) > MAX_COLUMNS or len(to_row) != 1 or not to_group:
            continue
        here = f"{quote(source.table)}.{quote(rowid)}"
        what, there, key = map(quote, (to_group[0], table, to_row[0]))
        sql = f"(select {what} from {there} where {key} = {here})"
        if _is_fast(db, source, table, sql):
            return sql, to_group[0]
    # A handle says with whom where a flag says who wrote; else it is that of whoever wrote, as of posts.
    handle = ("handle", "talker") if find_own(source) else ()
    with_whom = named((*handle, *_OF_PEOPLE), [c for c in source.columns if c not in source.body])
    values = [row[with_whom[0]] for row in source.sample] if with_whom else []
    return (with_whom[0], with_whom[0]) if 1 < len(set(values)) < len(values) / 2 else None


def _is_fast(db: sqlite3.Connection, source: Source, table: str, sql: str) -> bool:
    plan = db.execute(f"explain query plan select {sql} from {quote(source.table)}").fetchall()
    scans = any(step[3].startswith("SCAN") and table in step[3].split() for step in plan)
    (rows,) = db.execute(f"select count(*) from {quote(table)}").fetchone()
    return not scans or rows * source.row_count < MAX_STEPS


# ---- Who wrote it


def _names_and_titles(
    db: sqlite3.Connection, source: Source, command: TrainCommand, group: Sequence[str], order: str | None
) -> Iterator[str]:
    """A sentence with a query that has who wrote each row in a column `speaker`, and the title of the
    conversation."""
    here = quote(source.table)
    title = linked_title(source, group[0]) if len(group) == 1 and not source.has_titles else None
    speaker = None if source.speaker or find_speaker_of(source) else _speaker(db, source, title)
    if not speaker and not title:
        return
    told, what, columns, join = [], [], [f"{here}.*"], ""
    if speaker:
        columns.append(f"{speaker.sql} as speaker")
        told.append(speaker.told)
        what.append("who wrote it before each row")
        join += speaker.join
    if title:
        columns.append(f"{title.sql} as {title.alias(source)}")
        told.append(f"The titles of these texts may be in {title.table} ({title.title}).")
        what.append("the title above each text")
        join += title.join(source.table)
    by = " || ' ' || ".join(group)
    columns += [] if by in source.columns else [f"{by} as conversation"]
    sql = f"select {', '.join(columns)} from {here}{join}"
    options = ["--group-by", by if by in source.columns else "conversation"]
    options += ["--order-by", in_order(source, order)] if order else []
    options += ["--title", title.alias(source)] if title else []
    options += [word for name in source.body for word in ("--body", name)] if source.columns_given else []
    yield f"{' '.join(told)} To put {' and '.join(what)}: {command.with_query(sql, *options)}"


class _Speaker(NamedTuple):
    """SQL for who wrote a row, what it needs to be joined, and what is said of it."""

    sql: str
    join: str
    told: str


def _speaker(db: sqlite3.Connection, source: Source, title: LinkedTitle | None) -> _Speaker | None:
    here = quote(source.table)
    own = find_own(source)
    found = (name for name in _names(db, source) if not title or name.table != title.table)
    names = next(found, None)
    if not own and not names:
        return None
    join = ""
    if names:
        there, key = quote(names.table), f"{here}.{quote(names.column)}"
        who = f"{there}.{quote(names.name)}"
        join = f" left join {there} on {key} = {there}.{quote(names.key)}"
        told = f"The names of who wrote these rows may be in {names.table} ({names.name})."
    else:
        who, told = "'them'", own.told if own else ""
    who = f"case when {own.of(source.table)} then 'me' else {who} end" if own else who
    return _Speaker(who, join, told)


def _names(db: sqlite3.Connection, source: Source) -> Iterator[Names]:
    """Tables of people to which a column of numbers or ids leads, by a foreign key or by its name."""
    schema = schema_of(db)
    keys = {key.column: key for key in schema.table(source.table).foreign_keys}
    tables = [table for table in readable_tables(db) if table != source.table]
    for column in named((*SPEAKERS, *_OF_PEOPLE), [c for c in source.columns if c not in source.body]):
        ids = {row[column] for row in source.sample}
        if not any(isinstance(v, int) or shape_of(str(v)) in ("UUIDs", "hexadecimal", "keys") for v in ids):
            continue
        others = [keys[column].other_table] if column in keys else _tables_of(column, tables)
        for other in others:
            there = primary_key(db, other) if other in tables else ()
            if len(there) == 1 and (name := _name_in(db, other, there[0], ids)):
                yield Names(column, other, there[0], name)
                break


def _tables_of(column: str, tables: Sequence[str]) -> list[str]:
    """The tables of people to which a column may lead that has no foreign key: the one that its name names
    first, for `author_id` also any other."""
    words = words_of(column)
    named_so = [t for t in tables if {words_of(t)[-1], words_of(t)[-1].removesuffix("s")} & {*words}]
    is_author = bool(named(SPEAKERS, [column]))
    people = [t for t in tables if words_of(t)[-1] in _PEOPLE_TABLES] if is_author else []
    return list(dict.fromkeys([*named_so[:1], *people]))


def _name_in(db: sqlite3.Connection, table: str, key: str, ids: set[Value]) -> str | None:
    """The column with the names of people, if most `ids` lead to one that is no number."""
    marks = ", ".join("?" * min(len(ids), SAMPLE_ROWS))
    columns: Sequence[str] = column_names(db, quote(table))
    sql = f"select * from {quote(table)} where {quote(key)} in ({marks})"
    rows = db.execute(sql, list(ids)[:SAMPLE_ROWS]).fetchall()
    found = columns_of({name: [row[i] for row in rows] for i, name in enumerate(columns)})
    fits = [c.name for c in found if c.filled_rows >= MIN_LED * len(ids) and c.texts and c.what != "numbers"]
    return next(iter(named(_PEOPLE, [name for name in fits if name != key])), None)
