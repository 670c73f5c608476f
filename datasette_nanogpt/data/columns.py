"""Which columns of a table are the title and the text, and what kind of text is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm_nanogpt.errors import InvalidOptions, Problem

from ..hookspecs import document_hook
from .sqlite import find_name, list_names, quote, unique_columns
from .text_kinds import SAMPLE_CHARS as TEXT_CHARS
from .text_kinds import TextKind, kind_of

# How titles and texts are usually named, best guess first; the case of letters does not matter. To add a
# guess, add its name here, and a row to `test_columns_are_found` in tests/test_source.py.
# Among the bodies are only names that always mean the text itself. A `description` is chosen when it is the
# longest column: beside a `readme` or a `transcript` it is the blurb.
COLUMN_GUESSES = {
    "title": ("title", "name", "headline", "subject"),
    "body": ("body", "content", "text", "html", "markdown", "body_html", "body_text", "message"),
}
# Read to choose columns: so many rows, and characters of each value.
SAMPLE_ROWS, SAMPLE_CHARS = 100, 5_000
JSON_CHARS = 200_000  # of a value of JSON, which cannot be recognised by its beginning


class NoTextError(InvalidOptions):
    """The columns that were looked at have no text: another column may have it."""

    def __init__(self, message: str):
        super().__init__([Problem("body", "no_text", message)])


@dataclass(frozen=True)
class Relation:
    """What columns are chosen from: a table, a view or a query, with its condition if it has one."""

    name: str  # of the table
    description: str  # for messages: "Table 'entry'" or "The query"
    columns: tuple[str, ...]
    from_sql: str  # what stands after `from`


def missing_columns(
    subject: str, columns: Sequence[str], title: str | None, body: Sequence[str]
) -> list[Problem]:
    """A Problem for the title and one for the body, if they name columns that do not exist.

    `subject` begins the message: "Table 'entry' has".
    """
    problems = []
    for field, names in (("title", [title] if title else []), ("body", body)):
        if missing := [name for name in names if not find_name(name, columns)]:
            message = f"{subject} no column {list_names(missing)}. The columns are: {list_names(columns)}."
            problems.append(Problem(field, "missing_column", message))
    return problems


def choose_columns(
    db: sqlite3.Connection, relation: Relation, title: str | None, body: Sequence[str]
) -> tuple[str | None, tuple[str, ...]]:
    """The title column, None for no title, and the body columns: those asked for, else those guessed.

    `title=""` asks for no title. The body is () where no column has text and a plugin writes the documents.
    Raises InvalidOptions for columns that do not exist, NoTextError where none has text.
    """
    columns = relation.columns
    if problems := missing_columns(f"{relation.description} has", columns, title, body):
        raise InvalidOptions(problems)
    body = tuple(dict.fromkeys(name for one in body if (name := find_name(one, columns))))
    title = find_name(title, columns) if title else title
    if body and title is not None:
        return title or None, body

    lengths = _prose_lengths(db, relation)
    guess_title = title is None
    if guess_title:
        title = _guess("title", [name for name in lengths if name not in body])
    if not body:
        others = {name: length for name, length in lengths.items() if name != title}
        text_column = _guess("body", others) or _longest(others)
        if not text_column and guess_title:
            text_column, title = title, None  # a title is all the text there is
        if not text_column and document_hook() is None:
            raise NoTextError(
                f"{relation.description} has no column of text. It has: {list_names(columns)}. "
                "Name the column to read as text, or choose another table."
            )
        body = (text_column,) if text_column else ()
    if guess_title and not title:
        title = _label_column(db, relation.name, [name for name in lengths if name not in body])
    return title or None, body


def _guess(field: str, columns: Iterable[str]) -> str | None:
    """The column with the best name for a title or a body."""
    columns = list(columns)
    return next((name for guess in COLUMN_GUESSES[field] if (name := find_name(guess, columns))), None)


def _longest(lengths: dict[str, float]) -> str | None:
    """The column with the most prose, None if none has any."""
    name = max(lengths, key=lambda name: lengths[name], default=None)
    return name if name is not None and lengths[name] else None


def _label_column(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> str | None:
    """The column that Datasette would label a row with: the only unique one of text."""
    unique = unique_columns(db, table)
    candidates = [name for name in columns if name in unique]
    return candidates[0] if len(candidates) == 1 else None


def _prose_lengths(db: sqlite3.Connection, relation: Relation) -> dict[str, float]:
    """Characters of prose a row, for each column that may hold text, in a sample.

    Addresses and JSON count as 0, however long they are, and so does a column without values.
    """
    starts = ", ".join(
        f"case when typeof({name}) = 'text' then substr({name}, 1, {SAMPLE_CHARS}) else {name} end"
        for name in map(quote, relation.columns)
    )
    sample = db.execute(f"select {starts} from {relation.from_sql} limit {SAMPLE_ROWS}").fetchall()
    lengths = {}
    for name, *column in zip(relation.columns, *sample, strict=True):
        values = [value for value in column if value is not None]
        texts = [value for value in values if isinstance(value, str)]
        if texts or not values:
            prose = (t for t in texts if not t.startswith(("http://", "https://", "{", "[")))
            lengths[name] = sum(map(len, prose)) / len(sample)
    return lengths


def kind_of_column(
    db: sqlite3.Connection, column: str, from_sql: str, text_format: str | None = None
) -> TextKind:
    """What kind of text a column has, by a sample. `text_format` is what somebody said, see `kind_of`."""
    name = quote(column)
    length = f"case when ltrim({name}) glob '[[{{]*' then {JSON_CHARS} else {TEXT_CHARS} end"
    values = db.execute(
        f"select substr({name}, 1, {length}) "
        f"from (select {name} from {from_sql}) where typeof({name}) = 'text' limit {SAMPLE_ROWS}"
    )
    return kind_of([value for (value,) in values if isinstance(value, str)], text_format)
