"""Questions of a survey that are in another table than their answers."""

from __future__ import annotations

from collections.abc import Iterator

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand
from .column_names import QUESTIONS, named, words_of
from .links import link_of
from .open_source import open_source
from .source import QUERY, Source
from .sqlite import column_names, connect, quote

MAX_QUESTIONS = 0.5  # per row: with more of them it is not many answers to each
_TABLES = frozenset(["question", "questions", "prompt", "prompts", "item", "items", "field", "fields"])


def linked_questions(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the questions of answers, which are in another table, with a command that reads each
    before its answer. Only for a caller who may see all tables."""
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
        link = link_of(db, source, column)
        names = column_names(db, quote(link.table)) if link else ()
    if not link:
        return None
    try:
        found = open_source(str(source.database), link.table)
    except NanogptError:
        return None
    texts = [found.title, *found.body] if found.title else [*found.body]
    asked = [*named((*QUESTIONS, "text", "title", "label", "name"), texts), *texts]
    return (link.table, link.key, asked[0]) if asked and asked[0] in names else None
