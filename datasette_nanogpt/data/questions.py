"""Questions of a survey that are in another table than their answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand
from .column_names import QUESTIONS, named, words_of
from .open_source import open_source
from .source import QUERY, Source
from .sqlite import column_names, connect, primary_key, quote, schema_of

MAX_QUESTIONS = 0.5  # per row: with more of them it is not many answers to each
MIN_LED = 0.5  # of the numbers in a column must lead to a question
_TABLES = frozenset(["question", "questions", "prompt", "prompts", "item", "items", "field", "fields"])


def linked_questions(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the questions of answers, which are in another table, with a command that reads each
    before its answer. The caller may see all tables."""
    if source.template or source.grouping or source.where or source.table == QUERY or not source.body:
        return
    if named(QUESTIONS, list(source.body)):
        return
    for column in source.columns:
        ids = {row[column] for row in source.sample if row[column] is not None}
        words = words_of(column)
        if column in source.text_columns or _TABLES.isdisjoint(words) or not ids:
            continue
        found = _question(source, column)
        if found and len(ids) <= MAX_QUESTIONS * len(source.sample):
            table, key, question = found
            here, there = quote(source.table), quote(table)
            texts = [f"{here}.{quote(name)}" for name in (source.title, *source.body) if name]
            join = f"left join {there} on {here}.{quote(column)} = {there}.{quote(key)}"
            sql = f"select {there}.{quote(question)} as question, {', '.join(texts)} from {here} {join}"
            options = ["--title", source.title or ""]
            options += [word for name in ("question", *source.body) for word in ("--body", name)]
            told = f"The questions that these rows answer may be in {table} ({question})."
            yield f"{told} To read each before its answer: {command.with_query(sql, *options)}"
            return


def _question(source: Source, column: str) -> tuple[str, str, str] | None:
    """The table, its key and its questions to which a column leads, by a foreign key or its name."""
    with connect(source.database) as db:
        schema = schema_of(db)
        tables = schema.table_names()
        keys = schema.table(source.table).foreign_keys if source.table in tables else []
        leads = [(key.other_table, key.other_column) for key in keys if key.column == column]
        if not leads:
            stem = words_of(column)[-2:-1] if words_of(column)[-1] in ("id", "fk") else words_of(column)[-1:]
            named_so = (t for t in tables if words_of(t)[-1] in {form for w in stem for form in (w, f"{w}s")})
            other = next((t for t in named_so if t != source.table and len(primary_key(db, t)) == 1), "")
            leads = [(other, primary_key(db, other)[0])] if other else []
        if not leads or leads[0][0] == source.table or leads[0][0] not in tables or not leads[0][1]:
            return None
        table, key = leads[0]
        if not _leads(db, source, column, table, str(key)):
            return None
        names = column_names(db, quote(table))
    try:
        found = open_source(str(source.database), table)
    except NanogptError:
        return None
    texts = [found.title, *found.body] if found.title else [*found.body]
    asked = [*named((*QUESTIONS, "text", "title", "label", "name"), texts), *texts]
    return (table, str(key), asked[0]) if asked and asked[0] in names else None


def _leads(db: sqlite3.Connection, source: Source, column: str, table: str, key: str) -> bool:
    ids = list({row[column] for row in source.sample if row[column] is not None})[:200]
    marks = ", ".join("?" * len(ids))
    sql = f"select count(*) from {quote(table)} where {quote(key)} in ({marks})"
    (count,) = db.execute(sql, ids).fetchone()
    return count >= MIN_LED * len(ids)
