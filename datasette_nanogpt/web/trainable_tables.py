"""The tables that the list of models offers to train on, with how much text each has."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from datasette.app import Datasette
from datasette.database import Database, QueryInterrupted

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError

from ..data.sqlite import quote
from ..data.table_choice import COPY_WEIGHT
from ..data.tables import is_copy
from ..formatting import text_size
from .estimate import estimate
from .forms import settings_from_form
from .menus import Link, train_link
from .permissions import Actor
from .state import state_of
from .table_rows import Modified, TableRows
from .target import Target
from .threads import read_database

TABLES, LOOKED_AT = 6, 40  # tables that are shown, and of how many at most
LOOKING_SECONDS = 0.3  # how long the page waits for the figures; then a script asks for them
WORDS_MS = 100  # the time limit for counting the words of a table
SIZE_MS = 500  # the one for measuring the rows of a table that is shown, and for counting them
# The first rows of a table, and characters of each value, whose words are counted.
WORDS_ROWS, WORDS_CHARS = 100, 2000
LITTLE_BYTES, LITTLE_ROWS = 3000, 1000  # a table of less than both may have too little text to train on
MANY = "more rows than are quickly counted"


@dataclass
class Figures:
    """What was found out about a table; None is not known yet."""

    words: float | None = None
    size: str | None = None  # its rows and how much text they have
    refused: str = ""  # why it has too little text to train on


@lru_cache(maxsize=1000)
def _known(path: str, table: str, modified: Modified) -> Figures:
    """The figures of a table, which are forgotten when its file has changed."""
    return Figures()


async def tables_at_once(datasette: Datasette, actor: Actor) -> tuple[list[Link], bool]:
    """The tables for the page, and whether they are those of `tables_with_figures`. Where these take longer
    than LOOKING_SECONDS they are the first ones, without figures."""
    with suppress(TimeoutError):
        return await asyncio.wait_for(tables_with_figures(datasette, actor), LOOKING_SECONDS), True
    links: list[Link] = []
    async for link, _ in _offered(datasette, actor):
        links.append(link)
        if len(links) == TABLES:
            break
    return links, False


async def tables_with_figures(datasette: Datasette, actor: Actor) -> list[Link]:
    """The TABLES tables with the most words of those that may have text and that the actor may train on, of
    the first LOOKED_AT ones: href, table, database, size, and `refused` if there is too little text."""
    found = [(await _words(db, link["table"]), link, db) async for link, db in _offered(datasette, actor)]
    found.sort(key=lambda each: -each[0])  # tables with as many stay in their order
    return [link | await _size(datasette, db, link["table"]) for _, link, db in found[:TABLES]]


async def _offered(datasette: Datasette, actor: Actor) -> AsyncIterator[tuple[Link, Database]]:
    """The tables that can be trained on, of the first LOOKED_AT that Datasette lists."""
    looked_at = 0
    for name, db in list(datasette.databases.items()):
        hidden = set(await db.hidden_table_names())
        for table in await db.table_names():
            if table in hidden:
                continue
            if looked_at == LOOKED_AT:
                return
            looked_at += 1
            for link in await train_link(datasette, actor, name, table, None):
                yield {"href": link["href"], "table": table, "database": name}, db


def _figures(db: Database, table: str) -> Figures:
    rows = TableRows(db.path, db.is_memory, table)
    return _known(str(db.path), table, rows.modified())


async def _words(db: Database, table: str) -> float:
    """About how many words a table has, by its first rows; a copy of another table counts less, as it does
    where the command names the table with the most text. 0 where that takes too long to find out."""
    known = _figures(db, table)
    if known.words is not None:
        return known.words
    columns = [quote(column.name) for column in await db.table_column_details(table)]
    starts = [f"iif(typeof({c}) = 'text', substr({c}, 1, {WORDS_CHARS}), '')" for c in columns]
    spaces = " + ".join(f"length({start}) - length(replace({start}, ' ', ''))" for start in starts)
    mean = f"select avg({spaces}) from (select * from {quote(table)} limit {WORDS_ROWS})"
    words = 0.0
    with suppress(QueryInterrupted, sqlite3.Error):
        select = f"select ({mean}) * count(*) from {quote(table)}"
        (counted_words,) = (await db.execute(select, custom_time_limit=WORDS_MS)).first()
        words = float(counted_words or 0) * (COPY_WEIGHT if is_copy(table) else 1)
    known.words = words  # only now: a page that waits no longer is cancelled on the way
    return words


async def _size(datasette: Datasette, db: Database, table: str) -> Link:
    """How many rows a table has and how many bytes of text they store, and if that is little why it is too
    little to train on, as the form says it."""
    known = _figures(db, table)
    if known.size is not None:
        return {"size": known.size, "refused": known.refused}
    columns = [quote(column.name) for column in await db.table_column_details(table)]
    lengths = " + ".join(f"iif(typeof({c}) = 'text', length(cast({c} as blob)), 0)" for c in columns)
    rows, n_bytes = None, None
    for size in (f"sum({lengths})", "null"):
        select = f"select count(*), {size} from {quote(table)}"
        with suppress(QueryInterrupted, sqlite3.Error):
            rows, n_bytes = (await db.execute(select, custom_time_limit=SIZE_MS)).first()
            break
    if rows and rows < LITTLE_ROWS and (n_bytes or 0) < LITTLE_BYTES:
        known.refused = await _why_too_little(datasette, db, table)
    text = f", {text_size(n_bytes)} of text" if n_bytes and not known.refused else ""
    known.size = MANY if rows is None else f"{counted(rows, 'row')}{text}"
    return {"size": known.size, "refused": known.refused}


async def _why_too_little(datasette: Datasette, db: Database, table: str) -> str:
    """Why the form would refuse a small table; "" if it would not, or not for its size."""
    state = state_of(datasette)
    target = Target(state.home, state.limits, db.path, db.is_memory, table, frozenset())
    try:
        settings = await read_database(settings_from_form, target, {}, None)
        return (await read_database(estimate, target, settings))["refused"] or ""
    except NanogptError:  # it has no text to be found, say: a column of it can be chosen in the form
        return ""
