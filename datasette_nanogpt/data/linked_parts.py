"""Wholes and their parts in two tables: recipes and their steps, stories and their chapters."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand, text_size
from .column_names import named, words_of
from .conversation_columns import are_short, find_conversation
from .linked_titles import LinkedTitle, linked_title
from .open_source import open_source
from .parts_of_texts import in_order, values_of
from .row_order import find_place
from .source import QUERY, Source
from .speakers import SPEAKERS
from .sqlite import column_names, connect, quote, schema_of

MIN_ROWS = 10  # of fewer rows than this nothing is said
MORE_TEXT = 3  # the parts must have so many times as much text as the rows that they belong to
MAX_DISTINCT = 0.7  # wholes per part, at most: else they are not parts of something


def linked_parts(source: Source, command: TrainCommand) -> Iterator[str]:
    """Sentences, each with what to type, about a table that has the text of these rows in several parts, or
    about one that has the titles of what these rows are parts of. Only for who may see all tables."""
    if source.table == QUERY or source.template or source.grouping or source.where:
        return
    if len(source.sample) < MIN_ROWS or not source.body:
        return
    yield from _parts(source, command)
    if not find_conversation(source)[0]:
        yield from _wholes(source, command)


# ---- Parts of these rows


def _parts(source: Source, command: TrainCommand) -> Iterator[str]:
    """About the table with the most text whose rows belong to these, if these are short."""
    if not are_short(source):
        return
    with connect(source.database) as db:
        leading = dict(_leading(db, source))
    most, found = MORE_TEXT * _size(source), ""
    for table, column in leading.items():
        try:
            size = _size(open_source(str(source.database), table))
        except NanogptError:
            continue
        if size > most:
            most, found = size, column
            told = f"{table}, which leads to these rows by {column}, has {text_size(size)} of text"
            typed = f"To train on that: {command.with_table(table)}"
    if found:
        yield f"{told}, more than they have: theirs may be there. {typed}"


def _leading(db: sqlite3.Connection, source: Source) -> Iterator[tuple[str, str]]:
    """The tables that lead to these rows by a foreign key or a name, and the column that does."""
    schema = schema_of(db)
    *others, last = words_of(source.table)
    names = {(*others, one, "id") for one in (last, last.removesuffix("s"), f"{last.removesuffix('ies')}y")}
    for table in schema.table_names():
        if table == source.table:
            continue
        try:
            foreign = schema.table(table).foreign_keys
            keys = [key.column or "" for key in foreign if key.other_table == source.table]
            named_so = [name for name in column_names(db, quote(table)) if words_of(name) in names]
        except sqlite3.OperationalError:  # a virtual table of an extension that is not here
            continue
        # A row that leads to its author is no part of the author.
        if columns := [name for name in (*keys, *named_so) if name and not named(SPEAKERS, [name])]:
            yield table, columns[0]


def _size(source: Source) -> float:
    """Bytes of text, by the sample."""
    documents, _ = source.read_sample()
    size = sum(len(document.encode()) for document in documents)
    return size * source.row_count / max(len(source.sample), 1)


# ---- What these rows are parts of


def _wholes(source: Source, command: TrainCommand) -> Iterator[str]:
    """About the table to which a column of these rows leads, if another column numbers them within it."""
    for column in source.columns:
        keys = [key for key in values_of(source, column) if key is not None]
        if column in source.text_columns or not 1 < len(set(keys)) <= MAX_DISTINCT * len(keys):
            continue
        place = find_place(source, column)
        title = linked_title(source, column) if place and place != column else None
        if place and title:
            yield from _describe_wholes(source, command, title, place)
            return


def _describe_wholes(source: Source, command: TrainCommand, title: LinkedTitle, place: str) -> Iterator[str]:
    """How to read all parts of a whole as one text, and, if parts have titles, each with both titles."""
    here = quote(source.table)
    alias = title.alias(source)
    whole = f"select {here}.*, {title.sql} as {alias} from {here}{title.join(source.table)}"
    options = ["--group-by", title.column, "--order-by", in_order(source, place), "--title", alias]
    yield (
        f"These rows are parts of {title.table} ({title.title}), in the order of {place}. To read all parts "
        f"of one as one text: {command.with_query(whole, *options)}"
    )
    if source.title:
        own = f"{here}.{quote(source.title)}"
        both = f"{title.sql} || ifnull(': ' || nullif({own}, ''), '') as title"
        texts = [f"{here}.{quote(name)}" for name in source.body]
        sql = f"select {', '.join([both, *texts])} from {here}{title.join(source.table)}"
        yield (
            f"To read each part by itself, with the title of {title.table} before its own: "
            f"{command.with_query(sql, '--title', 'title')}"
        )
