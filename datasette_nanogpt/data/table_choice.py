"""Which table is meant by somebody who names none: the only one with text, else a list of those that have."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..formatting import shown_name, text_size, train_words
from .columns import NoTextError, PackedError
from .datasette_client import DatasetteClient
from .open_source import NO_TEXTS, open_source
from .remote import write_rows
from .sample import SAMPLE_CHARS
from .source import Source
from .sqlite import connect, database_path, list_names, quote_column, schema_of
from .tables import is_copy, is_of_tools, user_tables

Open = Callable[[str], Source]  # a table by its name

COPY_WEIGHT = 0.1  # what a byte of a table counts that is named as the copy of another table
# What a byte of a view counts: it has the text of a table again, but no order and no keys of rows.
VIEW_WEIGHT = 0.8
# A table with less than this fraction of the text of the table with the most is not worth training on beside
# it: its rows are names of tags or authors, say.
MIN_WORTH = 0.05
LOOKING_SECONDS = 5.0  # how long to look at the tables
WHOLE_ROWS = 1000  # rows whose values are measured whole
FIRST_ROWS = 100  # of a table on the web, one request each
MAX_LISTED = 20  # tables, a line each


class _Found(NamedTuple):
    """What is in a table: about how many bytes of text."""

    name: str
    rows: int
    size: float
    weight: float

    @property
    def worth(self) -> float:
        return self.size * self.weight

    def __str__(self) -> str:
        return f"{shown_name(self.name)} ({counted(self.rows, 'row')}, about {text_size(self.size)})"


class _Look:
    """The tables of a database that were looked at, the views among them in `views`."""

    def __init__(self, database: str, names: Sequence[str], views: Collection[str], open_: Open) -> None:
        self.database, self.names = database, names
        self.packed: list[str] = []  # with text that cannot be read
        self.without: list[str] = []  # without text
        self.unread: list[str] = []  # without rows, or that cannot be opened
        self.empty: list[str] = []  # those of them that have no rows
        self.indexes: list[
            str
        ] = []  # what is said of full-text indexes without texts, which are among them, too
        self.is_whole = True  # all were looked at
        weight = {name: VIEW_WEIGHT if name in views else 1.0 for name in self.names}
        weight |= {name: weight[name] * COPY_WEIGHT for name in self.names if is_copy(name)}
        found = (each._replace(weight=weight[each.name]) for each in self._tables(open_))
        self.found = sorted(found, key=lambda each: -each.worth)

    def _tables(self, open_: Open) -> Iterator[_Found]:
        began = time.monotonic()
        for name in self.names:
            if time.monotonic() - began > LOOKING_SECONDS:
                self.is_whole = False
                return
            size = 0.0
            try:
                source = open_(name)
                documents, _ = source.read_sample()
                size = sum(len(text.encode()) for text in documents)
                size *= source.row_count / max(len(source.sample), 1) * _whole(source)
            except NoTextError as error:
                self.packed += [name] if isinstance(error, PackedError) else []
            except NanogptError as error:
                self.unread.append(name)
                code = error.problems[0].code if isinstance(error, InvalidOptions) else ""
                self.empty += [name] if code == "no_rows" else []
                self.indexes += [str(error)] if code == NO_TEXTS else []
                continue
            if size:
                yield _Found(name, source.row_count, size, 1.0)
            else:
                self.without.append(name)


def _whole(source: Source) -> float:
    """How many times as long the values of a source's text are as their beginnings, which its sample has."""
    cut = [
        quote_column(column)
        for column in source.body
        if any(isinstance(value := row[column], str) and len(value) == SAMPLE_CHARS for row in source.sample)
    ]
    if not cut:
        return 1.0
    lengths = " + ".join(f"ifnull(length({column}), 0)" for column in cut)
    begun = " + ".join(f"ifnull(min(length({column}), {SAMPLE_CHARS}), 0)" for column in cut)
    some = f"(select {', '.join(cut)} from {source.from_sql} limit {WHOLE_ROWS})"
    with connect(source.database) as db:
        whole, beginnings = db.execute(f"select sum({lengths}), sum({begun}) from {some}").fetchone()
    return float(whole or 0) / beginnings if beginnings else 1.0


def only_table(database: str, typed: Sequence[str] = ()) -> tuple[str, str]:
    """The only table or view of a file with text that is worth training on, and a sentence that says so.

    Raises InvalidOptions where there are several or none, with the tables and a command to type, with the
    options that were `typed` before.
    """
    with connect(database_path(database)) as db:
        names, views = user_tables(db, database), schema_of(db).view_names()
    return _only(_Look(database, names, views, partial(open_source, database)), typed)


def only_remote_table(url: str, token: str | None, typed: Sequence[str] = ()) -> tuple[str, str]:
    """The same for a database of a Datasette on the web. Of each table the first rows are looked at."""
    client = DatasetteClient(url, token)
    contents = client.contents()
    if not contents:
        databases = client.databases()
        message = (
            f"{url} is a Datasette: give the address of a database, such as {list_names(databases)}."
            if databases
            else "Name the table to train on, or give a query, or the address of a table's page: "
            "https://HOST/DATABASE/TABLE."
        )
        raise InvalidOptions([Problem("table", "required", message)])
    rows, views = contents
    names = [name for name in (*rows, *views) if not is_of_tools(name)] or [*rows, *views]
    # There may be time for some of them only: the tables with the most rows first.
    names.sort(key=lambda name: -rows.get(name, 0))
    with tempfile.TemporaryDirectory(prefix="nanogpt-sample-") as folder:
        look = _Look(url, names, views, partial(_open_beginning, client, Path(folder) / "first.db"))
        return _only(look, typed)


def _open_beginning(client: DatasetteClient, path: Path, table: str) -> Source:
    """The first rows of a table, in a file of their own; `row_count` is that of the table."""
    page = client.beginning(table, FIRST_ROWS)
    path.unlink(missing_ok=True)
    write_rows(path, table, page.rows)
    return replace(open_source(str(path), table), row_count=max(page.total, len(page.rows)))


def _only(look: _Look, typed: Sequence[str]) -> tuple[str, str]:
    most = max((each.worth for each in look.found), default=0.0)
    worth = [each for each in look.found if each.worth >= MIN_WORTH * most]
    worth = [each for each in worth if not is_copy(each.name)] or worth
    if len(worth) != 1 or look.packed or not look.is_whole:
        raise InvalidOptions([Problem("table", "required", _which(look, typed))])
    (table,), less = worth, [str(each) for each in look.found if each not in worth]
    others = f": there is less, or a copy, in {list_names(less)}" if less else ""
    if not look.names[1:]:
        return table.name, f"{shown_name(table.name)} is the only table of {look.database}."
    only = f"{shown_name(table.name)} is the only table of {look.database} with much text{others}."
    return table.name, f"{only} To train on another one, name it."


def _which(look: _Look, typed: Sequence[str]) -> str:
    """The message for somebody who has to name a table."""
    has = f"{look.database} has: {list_names(look.names)}."
    packed = ""
    if look.packed:
        packed = (
            f"What is in {list_names(look.packed)} has to be unpacked or decoded first: name it to see how."
        )
    if not look.found:
        if look.empty == look.names:
            return _all_empty(look)
        if look.indexes and len(look.indexes) + len(look.empty) == len(look.names):
            return f"There is nothing to train on. {look.indexes[0]}"
        command = _command(look, (look.without or look.names)[0], typed)
        if len(look.without) + len(look.empty) == len(look.names) and not look.packed:
            are = "is" if len(look.empty) == 1 else "are"
            empty = f"{list_names(look.empty)} {are} empty. " if look.empty else ""
            which = "the others" if look.empty else "them"
            return (
                f"There is nothing to learn to write from. {has} {empty}None of {which} has a column of "
                "text: they have numbers, dates, codes or labels, as databases of sensors, accounts and "
                f"settings do. To see what the columns of one have: {command}"
            )
        example = f"For example: {command}"
        return " ".join(filter(None, ["Name the table to train on.", has, packed, example]))
    lines = [f"Name the table to train on. {look.database} has text in:", *_columns(look.found[:MAX_LISTED])]
    if more := [each.name for each in look.found[MAX_LISTED:]]:
        lines.append(f"and in {list_names(more)}.")
    if rest := [name for name in (*look.without, *look.unread) if name not in look.packed]:
        lines.append(f"Without text: {list_names(rest)}.")
    if not look.is_whole:
        seen = {each.name for each in look.found} | {*look.without, *look.unread}
        rest = [name for name in look.names if name not in seen]
        lines.append(f"Not looked at, as it takes too long to look at all tables: {list_names(rest)}.")
    lines += [packed] if packed else []
    best = look.found[0]
    own = " of its own" if best.size < max(each.size for each in look.found) else ""
    return "\n".join([*lines, f"The one with the most text{own}: {_command(look, best.name, typed)}"])


def _all_empty(look: _Look) -> str:
    which = f"all tables of {look.database} are empty ({list_names(look.names)}). Fill one of them first."
    if not look.names[1:]:
        which = f"{shown_name(look.names[0])}, the only table of {look.database}, is empty. Fill it first."
    return f"There is nothing to train on: {which}"


def _columns(found: Sequence[_Found]) -> list[str]:
    names = max(len(shown_name(each.name)) for each in found)
    rows = max(len(f"{each.rows:,}") for each in found)
    return [
        f"  {shown_name(each.name):{names}}  {each.rows:>{rows},} {'row ' if each.rows == 1 else 'rows'}"
        f"  {'about ' + text_size(each.size):>16}"
        for each in found
    ]


def _command(look: _Look, table: str, typed: Sequence[str]) -> str:
    return shlex.join(train_words(look.database, [table], typed))
