"""Texts of what people said of things, where one table has the texts, another says of which thing each is,
and a third has the titles of the things: the notes on bugs in Mantis."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..formatting import TrainCommand
from .column_names import words_of
from .known_kinds import read_by_everybody
from .linked_titles import title_of
from .links import Link, link_by_prefix, links_to
from .row_order import ORDER_WORDS
from .source import QUERY, Source
from .sqlite import column_names, connect, primary_key, quote, schema_of
from .tables import readable_tables

MIN_SHARED = 1.2  # rows per thing, from which they are read as one text


def linked_notes(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such rows, with what reads all of one thing as one text, below its title. Only
    for a caller who may see all tables."""
    if source.has_titles or source.template or source.grouping or source.where or source.table == QUERY:
        return
    with connect(source.database) as db:
        keys = primary_key(db, source.table)
        found = [
            (of, column, link) for of in links_to(db, source) for column, link in _things(db, of, source)
        ]
        for of, column, link in found if len(keys) == 1 else ():
            if title := title_of(str(source.database), link.table):
                yield _told(db, source, command, of, (column, link, title))
                return


def _things(db: sqlite3.Connection, of: Link, source: Source) -> Iterator[tuple[str, Link]]:
    """The columns of a table that lead to things that several rows are about."""
    tables = [table for table in readable_tables(db) if table not in (source.table, of.table)]
    foreign = {key.column: key for key in schema_of(db).table(of.table).foreign_keys}
    for column in column_names(db, quote(of.table)):
        link = link_by_prefix(db, of.table, column, tables)
        if (to := foreign.get(column)) and to.other_table in tables and to.other_column:
            link = Link(to.other_table, to.other_column)
        if link and column != of.key:
            name = quote(column)
            sql = f"select count({name}), count(distinct {name}) from {quote(of.table)}"
            rows, things = db.execute(sql).fetchone()
            if rows >= MIN_SHARED * things > 1:
                yield column, link


def _told(
    db: sqlite3.Connection, source: Source, command: TrainCommand, of: Link, thing: tuple[str, Link, str]
) -> str:
    column, link, title = thing
    here, between, there = map(quote, (source.table, of.table, link.table))
    columns = column_names(db, between)
    texts = [f"{here}.{quote(name)}" for name in source.body]
    orders = [c for c in columns if not ORDER_WORDS.isdisjoint(words_of(c)) and "by" not in words_of(c)]
    orders = sorted(orders, key=lambda name: {"created", "submitted"}.isdisjoint(words_of(name)))
    order = orders[0] if orders else next(iter(primary_key(db, of.table)))
    key = quote(primary_key(db, source.table)[0])
    public = read_by_everybody(columns, between)
    sql = (
        f"select {there}.{quote(title)} as title, {', '.join(texts)}, {between}.{quote(column)}, "
        f"{between}.{quote(order)} from {here} join {between} on {between}.{quote(of.key)} = {here}.{key} "
        f"left join {there} on {between}.{quote(column)} = {there}.{quote(link.key)}"
    ) + (f" where {public}" if public else "")
    options = ["--group-by", column, "--order-by", order, "--title", "title"]
    without = ", without those that are private" if public else ""
    what = f"These rows are the texts of {of.table}, and {link.table} ({title}) may have the titles."
    told = f"{what} To read all with the same {column} as one text, below its title{without}"
    return f"{told}: {command.with_query(sql, *options)}"
