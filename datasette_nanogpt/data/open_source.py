"""Opening the rows of a table or a query: their columns, what a document is, how many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.suggestions import did_you_mean
from llm_nanogpt.template import Template

from ..formatting import shown_name
from .column_content import Column, columns_of, repeats_title, says_the_same
from .column_names import is_question
from .columns import choose_columns, missing_columns
from .conversations import Grouping, open_grouping, several_in_a_group
from .cue_columns import is_of_cues
from .mail_columns import is_mail
from .markup import CUES
from .sample import Relation, read_sample
from .source import ALL_ROWS, QUERY, Selection, Source
from .speakers import find_speaker, may_be_author, speak_for_several_rows
from .sqlite import (
    column_names,
    connect,
    database_path,
    explain_sql,
    find_name,
    list_names,
    order_by,
    primary_key,
    quote,
    rowid_name,
    unique_columns,
)
from .tables import find_table, why_without_texts
from .text_kinds import TextKind, are_pieces, are_with_underscores, are_words

T = TypeVar("T")
NO_TEXTS = "no_texts"  # the code of a full-text index without texts


def open_source(database: str, table: str, selection: Selection = ALL_ROWS) -> Source:
    """Find a table's rows and the columns to read; reads a bounded sample, and counts the rows.

    With `selection.sql` the rows are those of the query, and `table` is only what it is called. Raises
    InvalidOptions for whatever makes the table unfit to train on, NanogptError where the file cannot be read.
    """
    path = database_path(database)
    with connect(path) as db:
        sql, where = selection.sql, selection.where
        if sql is None:
            table = find_table(db, database, table)
            if why := why_without_texts(db, table):
                raise InvalidOptions([Problem("table", NO_TEXTS, f"The full-text index {table!r} {why}")])
            description, from_sql = f"Table {table!r}", quote(table)
        else:
            sql = sql.strip().rstrip(";")
            description, from_sql = "The query", f"({sql}\n)"  # the line break ends a comment in `sql`
        with explain_sql("sql", sql):
            columns = column_names(db, from_sql)
        from_sql += f" where ({where}\n)" if where else ""
        relation = Relation(table, description, columns, from_sql, database)
        relation = replace(relation, row_count=_count_rows(db, relation, sql, where))
        order, rowid = "", None
        keys: tuple[str, ...] = ()
        unique: set[str] = set()
        if sql is None:
            order, keys, unique = order_by(db, table), primary_key(db, table), unique_columns(db, table)
            rowid = None if where else rowid_name(db, table)
        template, grouping = _open_text(db, relation, selection)
        sample = read_sample(db, replace(relation, rowid=rowid))
        found = columns_of(sample, selection.text)
        title, body, speaker = selection.title, selection.body, None
        offered = found
        if template:
            title, body = "", template.columns
        elif grouping:
            offered, speaker = _without_speaker(found, [title or "", *body], grouping)
            if speaker and may_be_author(speaker) and not several_in_a_group(db, relation, grouping, speaker):
                speaker = None
    choice = choose_columns(relation, offered, title, body, unique)
    kinds = _kinds(found, choice.body, [choice.title, speaker], selection.text is None and is_mail(found))
    if not body:
        kinds |= {c.name: replace(kinds[c.name], instead=True) for c in _said_again(found, choice.body)}
    return Source(
        path,
        table,
        columns,
        choice.title,
        choice.body,
        kinds,
        relation.row_count,
        from_sql,
        grouping.sql_order(order) if grouping else order,
        keys,
        left_out=choice.left_out,
        sample=[dict(zip(sample, values, strict=True)) for values in zip(*sample.values(), strict=True)],
        template=template,
        grouping=grouping,
        speaker=speaker,
        where=where or None,
        typed_database=database,
        columns_given=bool(selection.body),
    )


def _without_speaker(
    columns: Sequence[Column], given: Sequence[str], grouping: Grouping
) -> tuple[list[Column], str | None]:
    """The columns in which title and text of a group can be, and the one that says who wrote each row. Those
    that are `given` as title and text are among the first."""
    rest = [c for c in columns if c.name not in grouping.columns or find_name(c.name, given)]
    speaker = find_speaker([c for c in rest if not find_name(c.name, given)])
    return [c for c in rest if c.name != speaker], speaker


def _said_again(columns: Sequence[Column], body: Sequence[str]) -> list[Column]:
    """The columns of the text that say the same as one before them, and are read where that one is empty."""
    by_name = {column.name: column for column in columns}
    parts = [by_name[name] for name in body]
    return [part for i, part in enumerate(parts) if any(says_the_same(part, other) for other in parts[:i])]


def _kinds(
    columns: Sequence[Column], body: Sequence[str], lines: Sequence[str | None], of_mail: bool
) -> dict[str, TextKind]:
    """How the text of columns is read. `lines` are those of one line: the title and who wrote a row, None
    where there is no such column. `of_mail`: the text is that of mail."""
    kinds: dict[str, TextKind] = {}
    for column in (c for c in columns if c.name in body):
        is_words = len(body) == 1 and are_words(column.texts)
        kind = replace(column.kind, pieces=are_pieces(column.texts), words=is_words)
        if column.text_format is None and is_of_cues(column, columns):
            kind = replace(kind, format="plain", entities=False, markup=CUES)
        if of_mail and not kind.is_embedded and not kind.data:
            kind = replace(kind, replies=True)
        if is_question(column.name):
            kind = replace(kind, question=" ".join(column.name.split()))
        kinds[column.name] = kind
    first = next((c for c in columns if c.name == next(iter(body), None)), None)
    title = next((c for c in columns if c.name == lines[0]), None)
    if first and title and repeats_title(first, title):
        kinds[first.name] = replace(kinds[first.name], title_again=True)
    of_lines = {c.name: replace(c, text_format=None).kind for c in columns if c.name in lines}
    if title and are_with_underscores(title.texts):
        of_lines[title.name] = replace(of_lines[title.name], underscores=True)
    for speaker in (c for c in columns if c.name == lines[1]):
        of_lines[speaker.name] = replace(of_lines[speaker.name], turns=speak_for_several_rows(speaker.values))
    return kinds | of_lines


def _open_text(
    db: sqlite3.Connection, relation: Relation, selection: Selection
) -> tuple[Template | None, Grouping | None]:
    """What a selection says of the text of a row, and of the rows of a document. Raises InvalidOptions with
    everything that is wrong with either."""
    problems: list[Problem] = []

    def attempt(open_: Callable[[], T]) -> T | None:
        try:
            return open_()
        except InvalidOptions as error:
            problems.extend(error.problems)
            return None

    template = attempt(lambda: Template(selection.template or "")) if selection.template else None
    grouping = attempt(lambda: open_grouping(db, relation, selection.group_by, selection.order_by))
    missing = (
        [name for name in template.columns if find_name(name, relation.columns) is None] if template else []
    )
    if missing:
        message = (
            f"{relation.description} has no column {list_names(missing)}, which the template names. "
            f"The columns are: {list_names(relation.columns)}.{did_you_mean(missing, relation.columns)}"
        )
        problems.append(Problem("template", "missing_column", message))
    if problems:
        raise InvalidOptions(problems)
    return template, grouping


def _count_rows(db: sqlite3.Connection, relation: Relation, sql: str | None, where: str | None) -> int:
    """How many rows there are. Raises InvalidOptions if there are none."""
    # The query alone was tried before: what fails now is the condition, if there is one.
    with explain_sql("sql", sql), explain_sql("where", where, f" {relation.its_columns}", relation.columns):
        (count,) = db.execute(f"select count(*) from {relation.from_sql}").fetchone()
    if count:
        return count
    if where:
        of = "the query" if sql else shown_name(relation.name)
        message = f"No row of {of} matches the condition {where!r}: try another one."
        problem = Problem("where", "no_rows", message)
    elif sql:
        problem = Problem("sql", "no_rows", "The query returns no rows: try another one.")
    else:
        message = f"{relation.description} is empty: fill it first, or choose another table."
        problem = Problem("table", "no_rows", message)
    raise InvalidOptions([problem])


def open_sources(database: str, tables: Sequence[str], selection: Selection = ALL_ROWS) -> list[Source]:
    """A Source for each of `tables`, or the one of `selection.sql`; of the columns that `selection` names
    each table uses those that it has.

    Raises InvalidOptions with everything that is wrong, a Problem each.
    """
    if len(tables) < 2:
        return [open_source(database, tables[0] if tables else QUERY, selection)]
    columns: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    with connect(database_path(database)) as db:
        for table in tables:
            try:
                columns[table] = column_names(db, quote(find_table(db, database, table)))
            except InvalidOptions as error:
                problems += error.problems
    everywhere = list(dict.fromkeys(name for names in columns.values() for name in names))
    missing = missing_columns("The tables have", everywhere, selection.title, selection.body)
    if missing and not problems:
        problems += missing
    sources = []
    for table, names in columns.items() if not missing else ():
        title = selection.title
        if title and not find_name(title, names):
            title = None
        own = replace(
            selection,
            title=title,
            body=[name for name in selection.body if find_name(name, names) is not None],
        )
        try:
            sources.append(open_source(database, table, own))
        except InvalidOptions as error:
            problems += error.problems
    if problems:
        raise InvalidOptions(problems)
    return sources
