"""Titles that are in another table, to which a foreign key leads."""

from __future__ import annotations

from collections.abc import Iterator

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand
from .column_names import NAMES, TITLES, named, words_of
from .open_source import open_source
from .source import QUERY, Source
from .sqlite import connect, quote, schema_of

MIN_DISTINCT = 0.8  # the fraction of rows that lead to a row of their own: many comments have the same post


def linked_titles(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the first such titles, with a command that reads them; none where rows have titles."""
    if source.has_titles or source.template or source.grouping or source.where or source.table == QUERY:
        return
    with connect(source.database) as db:
        schema = schema_of(db)
        keys = schema.table(source.table).foreign_keys if source.table in schema.table_names() else []
    for key in keys:
        if key.column not in source.columns or not key.other_column or key.other_table == source.table:
            continue
        values = {row[key.column] for row in source.sample if row[key.column] is not None}
        if len(values) < MIN_DISTINCT * len(source.sample):
            continue
        if title := _title_of(str(source.database), key.other_table):
            here, there = quote(source.table), quote(key.other_table)
            texts = [f"{here}.{quote(name)}" for name in source.body]
            sql = (
                f"select {', '.join([f'{there}.{quote(title)}', *texts])} from {here} left join {there} "
                f"on {here}.{quote(key.column)} = {there}.{quote(key.other_column)}"
            )
            told = f"The titles of these rows may be in {key.other_table} ({title}). To read them"
            yield f"{told}: {command.with_query(sql)}"
            return


def _title_of(database: str, table: str) -> str | None:
    """The column of a table with a title, which may be all its text; not with the name of a person."""
    try:
        found = open_source(database, table)
    except NanogptError:
        return None
    labels = [found.title] if found.title else list(found.body[:1])
    titles = named(TITLES, labels, table)
    return next((title for title in titles if not set(words_of(title)) & set(NAMES)), None)
