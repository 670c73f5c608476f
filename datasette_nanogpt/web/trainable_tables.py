"""The tables that the list of models offers to train on, with how much text each has."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from datasette.app import Datasette
from datasette.database import Database, QueryInterrupted

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError

from ..data.columns import NoTextError
from ..data.sqlite import quote
from ..data.table_choice import COPY_WEIGHT
from ..data.tables import is_copy
from ..formatting import text_size
from ..training.expectation import LITTLE_TEXT
from .estimate import offer_and_estimate
from .menus import Link, train_link
from .permissions import Actor
from .state import state_of
from .table_rows import Modified, TableRows, measure_rows
from .target import Target
from .threads import read_database

TABLES, LOOKED_AT = 6, 40  # tables that are shown, and of how many at most
LOOKING_SECONDS = 0.3  # how long the page waits for the figures; then a script asks for them,
READING_SECONDS = 10.0  # and waits for so long: 2 MB of HTML take 0.6 s of an idle processor
ENOUGH_BYTES = 4 * LITTLE_TEXT  # of text, in which there are more than LITTLE_TEXT letters in any script
WORDS_MS = 100  # the time limit for counting the words of a table
# The first rows of a table, and characters of each value, whose words are counted.
WORDS_ROWS, WORDS_CHARS = 100, 2000
Table = tuple[Link, Database]


@dataclass
class Figures:
    """What was found out about a table; None is not known yet."""

    words: float | None = None
    rows: int | None = None
    told: Link | None = None  # what its card says, see `_told`


@lru_cache(maxsize=1000)
def _known(path: str, table: str, modified: Modified) -> Figures:
    """The figures of a table, which are forgotten when its file has changed."""
    return Figures()


async def tables_at_once(datasette: Datasette, actor: Actor, folded: bool) -> tuple[list[Link], bool]:
    """The tables for the page, and whether they are those of `tables_with_figures`. Where these take longer
    than LOOKING_SECONDS they are the first ones, without figures. While they are `folded` away nothing is
    read for them: who opens them asks for the figures that are not known."""
    with suppress(TimeoutError):
        if not folded:
            return await asyncio.wait_for(tables_with_figures(datasette, actor), LOOKING_SECONDS), True
        found = await asyncio.wait_for(_most_words(datasette, actor), LOOKING_SECONDS)
        known = [_figures(db, link["table"]).told for link, db in found]
        all_known = None not in known
        links = [
            link | (told if told and all_known else _counted(db, link))
            for (link, db), told in zip(found, known, strict=True)
        ]
        return links, all_known
    links = []
    async for link, _ in _offered(datasette, actor):
        links.append(link)
        if len(links) == TABLES:
            break
    return links, False


async def tables_with_figures(datasette: Datasette, actor: Actor) -> list[Link]:
    """The TABLES tables with the most words of those that may have text and that the actor may train on, of
    the first LOOKED_AT ones: href, table, database, and what `_told` says of them."""
    links, end = [], time.monotonic() + READING_SECONDS
    for link, db in await _most_words(datasette, actor):
        left = max(0.0, end - time.monotonic())
        try:
            told = await asyncio.wait_for(_told(datasette, db, link), left)
        except TimeoutError:
            told = _counted(db, link)
        links.append(link | told)
    return links


async def _most_words(datasette: Datasette, actor: Actor) -> list[Table]:
    found = [(await _words(db, link["table"]), link, db) async for link, db in _offered(datasette, actor)]
    found.sort(key=lambda each: -each[0])  # tables with as many stay in their order
    return [(link, db) for _, link, db in found[:TABLES]]


async def _offered(datasette: Datasette, actor: Actor) -> AsyncIterator[Table]:
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
        select = f"select ({mean}) * count(*), count(*) from {quote(table)}"
        counted_words, known.rows = (await db.execute(select, custom_time_limit=WORDS_MS)).first()
        words = float(counted_words or 0) * (COPY_WEIGHT if is_copy(table) else 1)
    known.words = words  # only now: a page that waits no longer is cancelled on the way
    return words


def _counted(db: Database, link: Link) -> Link:
    """How many rows a table has, if that was quickly counted."""
    rows = _figures(db, link["table"]).rows
    return {} if rows is None else {"size": counted(rows, "row")}


async def _told(datasette: Datasette, db: Database, link: Link) -> Link:
    """What a card says of a table, as its form does: `size`, how many rows and how much text it has; and why
    there is too little to train on (`refused`), that there is little (`warning`), or that a column has to be
    chosen (`choose`)."""
    known, state = _figures(db, link["table"]), state_of(datasette)
    if known.told is not None:
        return known.told
    target = Target(state.home, state.limits, db.path, db.is_memory, link["table"], frozenset())
    told = _counted(db, link)
    try:
        modified = target.rows.modified()
        rows, n_bytes = await state.read_once(measure_rows, str(db.path), link["table"], modified)
        told = {"size": counted(rows, "row")}
        little = await read_database(_little, target) if n_bytes < ENOUGH_BYTES else {}
        if not little:
            told["size"] += f", {text_size(n_bytes)} of text"
        told |= little  # which begins with how much it is
    except NoTextError as ex:
        choose = "no column of plain text" if ex.reasons else "no text found"
        told = {"size": ", ".join(filter(None, (told.get("size"), choose))), "choose": choose}
    except NanogptError:  # it cannot be read now, say
        return told
    known.told = told
    return told


def _little(target: Target) -> Link:
    """What the form of a table says of too little text, or of little; {} where it has enough."""
    _, estimate = offer_and_estimate(target, None, "", {})
    said = {key: estimate[key] for key in ("refused", "warning") if estimate[key]} if estimate else {}
    return {"refused": said["refused"]} if "refused" in said else said
