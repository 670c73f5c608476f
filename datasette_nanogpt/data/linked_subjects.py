"""Titles of texts where a third table leads to both: in Apple's Mail each message has the number of its
subject, which is in one table, and of its summary, which is in another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..formatting import TrainCommand
from .column_names import words_of
from .linked_titles import title_of
from .sample import SAMPLE_ROWS
from .source import QUERY, Source
from .sqlite import column_names, connect, primary_key, quote
from .tables import readable_tables

MIN_LED = 0.8  # the fraction of the rows to which the third table must lead


def linked_subjects(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such titles, with a command that reads them. The caller may see all tables."""
    if source.has_titles or source.template or source.grouping or source.where or source.table == QUERY:
        return
    with connect(source.database) as db:
        keys = primary_key(db, source.table)
        if len(keys) != 1 or not source.body or any(keys[0] not in row for row in source.sample):
            return
        for between, column in _leading(db, source, keys[0]):
            if subject := _subject(db, source, between):
                yield _told(source, command, (keys[0], between, column), subject)
                return


def _leading(db: sqlite3.Connection, source: Source, key: str) -> Iterator[tuple[str, str]]:
    """The tables with a column that is named after the source and leads to most of its rows."""
    ids = [row[key] for row in source.sample][:SAMPLE_ROWS]
    marks = ", ".join("?" * len(ids))
    for table in readable_tables(db):
        for column in column_names(db, quote(table)) if table != source.table else ():
            if not _is_named_after(column, source.table):
                continue
            name = quote(column)
            sql = f"select count(distinct {name}) from {quote(table)} where {name} in ({marks})"
            (count,) = db.execute(sql, ids).fetchone()
            if count >= MIN_LED * len(ids) > 0:
                yield table, column


def _subject(db: sqlite3.Connection, source: Source, between: str) -> tuple[str, str, str, str] | None:
    """A column of the third table that is named after a table with titles, that table, its key and title."""
    others = [table for table in readable_tables(db) if table not in (source.table, between)]
    for column in column_names(db, quote(between)):
        for table in others:
            keys = primary_key(db, table)
            is_led_to = len(keys) == 1 and _is_named_after(column, table)
            if title := title_of(str(source.database), table) if is_led_to else None:
                return column, table, keys[0], title
    return None


def _is_named_after(column: str, table: str) -> bool:
    """`summary` or `summary_id`, and `summaries`."""
    words, (*first, last) = words_of(column), words_of(table)
    words = words[:-1] if words[-1] == "id" and words[1:] else words
    singulars = (
        last,
        last.removesuffix("s"),
        f"{last.removesuffix('ies')}y" if last.endswith("ies") else last,
    )
    return any(words == (*first, singular) for singular in singulars)


def _told(
    source: Source, command: TrainCommand, leading: tuple[str, str, str], subject: tuple[str, str, str, str]
) -> str:
    key, between, column = leading
    other, table, there, title = subject
    here, third, titles = quote(source.table), quote(between), quote(table)
    texts = ", ".join(f"{here}.{quote(name)}" for name in source.body)
    sql = (
        f"select distinct {titles}.{quote(title)} as title, {texts} from {here} join {third} on "
        f"{third}.{quote(column)} = {here}.{quote(key)} left join {titles} on {third}.{quote(other)} = "
        f"{titles}.{quote(there)}"
    )
    return (
        f"The titles of these rows may be in {table} ({title}), as {between} leads to both. To read them: "
        f"{command.with_query(sql, '--title', 'title')}"
    )
