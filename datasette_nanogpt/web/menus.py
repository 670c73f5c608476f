"""The links in the menus of Datasette's own pages, and the address of the page of typical rows."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote as quote_part
from urllib.parse import urlencode

from datasette import Request
from datasette.app import Datasette
from datasette.database import Database, QueryInterrupted
from datasette.resources import TableResource
from datasette.utils import Column

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.counts import counted

from ..data.corpus import location
from ..data.sqlite import quote
from ..data.table_choice import COPY_WEIGHT
from ..data.tables import is_copy
from ..formatting import text_size
from ..registry import row_scores
from ..registry.db import RegistryError, patience
from .permissions import Actor, Origin, may_anywhere, models_of_table, models_to_write_with
from .state import state_of
from .threads import REGISTRY_SECONDS, in_thread

Link = dict[str, str]  # href, label, description
WRITERS = 3  # models in the menu of a table, the newest ones; GPTs in the main menu has all
TABLES, LOOKED_AT = 6, 40  # tables that are shown where there is no model yet, and of how many at most
LOOKING_MS = 300  # after so long no more tables are looked at, or measured
SIZE_MS = 50  # the time limit for measuring the rows of a table, and for counting them where that is too long
# The first rows of a table, and characters of each value, whose words are counted.
WORDS_ROWS, WORDS_CHARS = 100, 2000
EMPTY_MS = 50  # the time limit for finding a first row, or counting all, each time a page or a menu is made


def rows_url(
    datasette: Datasette, database: str, table: str, model: str | None = None, **arguments: Any
) -> str:
    """The address of the page of the most and least typical rows of a table."""
    query = urlencode({key: value for key, value in {"model": model, **arguments}.items() if value})
    return datasette.urls.table(database, table) + "/-/nanogpt/rows" + (f"?{query}" if query else "")


def model_url(datasette: Datasette, model: str, **arguments: Any) -> str:
    """The address of a model's page."""
    query = urlencode({key: value for key, value in arguments.items() if value})
    return datasette.urls.path("/-/nanogpt/models/" + quote_part(model, safe="")) + (
        f"?{query}" if query else ""
    )


async def index_link(datasette: Datasette, actor: Actor) -> list[Link]:
    """The link in the main menu, for those who may use any model or table."""
    try:
        allowed = await may_anywhere(datasette, actor)
    except QueryInterrupted:  # on a busy server; every page of Datasette has this menu, and goes on without
        allowed = False
    if not allowed:
        return []
    return [{"href": datasette.urls.path("/-/nanogpt"), "label": "GPTs"}]


async def train_link(
    datasette: Datasette, actor: Actor, database: str, table: str, request: Request | None
) -> list[Link]:
    """The link in the menu of a table that may have text. It carries the filters of the table's page."""
    resource = TableResource(database, table)
    if not await datasette.allowed(action="nanogpt-train", resource=resource, actor=actor):
        return []
    db = datasette.get_database(database)
    if not db.path or db.is_memory:  # the process that trains could not read it
        return []
    columns = await db.table_column_details(table)
    if not await _has_rows(db, table) or has_only_numbers(columns):
        return []
    query = f"?{request.query_string}" if request and request.query_string else ""
    return [
        {
            "href": datasette.urls.table(database, table) + "/-/nanogpt" + query,
            "label": "Train a GPT on this table",
            "description": "A small language model that writes like its rows.",
        }
    ]


def has_only_numbers(columns: Sequence[Column]) -> bool:
    """Whether no column of a table can have text, by their declared types."""
    return all(re.search("INT|REAL|FLOA|DOUB|BLOB|NUM", (column.type or "").upper()) for column in columns)


async def tables_to_train_on(datasette: Datasette, actor: Actor, sizes: bool) -> tuple[list[Link], int]:
    """The TABLES tables with the most words of those that may have text and that the actor may train on, of
    the first LOOKED_AT ones: href, table, database and, with `sizes`, size. And how many tables were looked
    at if that is not all of them, else 0. All of it takes about LOOKING_MS at most."""
    found: list[tuple[float, Link]] = []
    looked_at, all_of_them, began = 0, True, time.monotonic()
    async for name, db, table in _shown_tables(datasette):
        if looked_at == LOOKED_AT or (looked_at and _over(began)):
            all_of_them = False
            break
        looked_at += 1
        for link in await train_link(datasette, actor, name, table, None):
            one = {"href": link["href"], "table": table, "database": name}
            found.append((await _words(db, table), one))
    found.sort(key=lambda each: -each[0])  # tables with as many stay in their order
    links = [link for _, link in found[:TABLES]]
    if sizes:
        links = [one | {"size": "" if _over(began) else await _table_size(datasette, one)} for one in links]
    return links, 0 if all_of_them else looked_at


async def _shown_tables(datasette: Datasette) -> AsyncIterator[tuple[str, Database, str]]:
    """Each table that Datasette lists, with its database."""
    for name, db in list(datasette.databases.items()):
        hidden = set(await db.hidden_table_names())
        for table in await db.table_names():
            if table not in hidden:
                yield name, db, table


def _over(began: float) -> bool:
    """Whether the time for looking at tables is over."""
    return 1000 * (time.monotonic() - began) >= LOOKING_MS


async def _words(db: Database, table: str) -> float:
    """About how many words a table has, by its first rows; a copy of another table counts less, as it does
    where the command names the table with the most text. 0 where that takes too long to find out."""
    columns = [quote(column.name) for column in await db.table_column_details(table)]
    starts = [f"iif(typeof({c}) = 'text', substr({c}, 1, {WORDS_CHARS}), '')" for c in columns]
    spaces = " + ".join(f"length({start}) - length(replace({start}, ' ', ''))" for start in starts)
    mean = f"select avg({spaces}) from (select * from {quote(table)} limit {WORDS_ROWS})"
    try:
        select = f"select ({mean}) * count(*) from {quote(table)}"
        (words,) = (await db.execute(select, custom_time_limit=SIZE_MS)).first()
    except (QueryInterrupted, sqlite3.Error):
        return 0.0
    return (words or 0.0) * (COPY_WEIGHT if is_copy(table) else 1)


async def _table_size(datasette: Datasette, one: Link) -> str:
    """How many rows a table of `tables_to_train_on` has, and how many bytes of text they store; "" for what
    takes longer than SIZE_MS to find out."""
    db = datasette.get_database(one["database"])
    columns = [quote(column.name) for column in await db.table_column_details(one["table"])]
    lengths = " + ".join(f"iif(typeof({c}) = 'text', length(cast({c} as blob)), 0)" for c in columns)
    for size in (f"sum({lengths})", "null"):
        select = f"select count(*), {size} from {quote(one['table'])}"
        with suppress(QueryInterrupted, sqlite3.Error):
            rows, n_bytes = (await db.execute(select, custom_time_limit=SIZE_MS)).first()
            text = f", {text_size(n_bytes)} of text" if n_bytes else ""
            return f"{counted(rows, 'row')}{text}"
    return ""


async def _has_rows(db: Database, table: str) -> bool:
    """Whether a table has a row; true where that takes longer than EMPTY_MS to find out."""
    try:
        found = await db.execute(f"select 1 from {quote(table)} limit 1", custom_time_limit=EMPTY_MS)
    except (QueryInterrupted, sqlite3.Error):
        return True
    return bool(found.rows)


async def row_count(db: Database, table: str) -> int | None:
    """The rows of a table; None where it takes longer than EMPTY_MS to count them."""
    try:
        found = await db.execute(f"select count(*) from {quote(table)}", custom_time_limit=EMPTY_MS)
    except (QueryInterrupted, sqlite3.Error):
        return None
    return int(found.rows[0][0])


async def model_links(datasette: Datasette, actor: Actor, database: str, table: str) -> list[Link]:
    """The links in the menu of a table with a model: write with those that were trained last, and the
    page of typical rows."""
    models = await models_of_table(datasette, actor, database, table)
    writers = await models_to_write_with(datasette, actor, models)
    links = [
        {
            "href": model_url(datasette, model.name),
            "label": f"Write with {model.name}",
            "description": _about(model),
        }
        for model in writers[:WRITERS]
    ]
    if await _rows_page_has_something(datasette, database, table, models, writers):
        links.append(
            {
                "href": rows_url(datasette, database, table),
                "label": "Most and least typical rows",
                "description": "Sorted by how well the GPT of this table predicts them.",
            }
        )
    return links


def _about(model: Checkpoint) -> str:
    """What tells a model of a table from the others."""
    score, lines = model.meta.get("score"), (model.meta.get("verdict") or {}).get("lines") or {}
    if not score:
        return "The GPT of this table."
    like = lines.get("reads like")
    return f"{score['val_bpb']:.3f} bits per byte" + (f": {like}." if like else ".")


async def row_links(datasette: Datasette, actor: Actor, database: str, table: str, row: Any) -> list[Link]:
    """The links in the menu of a row whose table has a model."""
    models = await models_of_table(datasette, actor, database, table)
    writers = await models_to_write_with(datasette, actor, models)
    if not await _rows_page_has_something(datasette, database, table, models, writers):
        return []
    keys = await datasette.get_database(database).primary_keys(table) or ["rowid"]
    path = row_scores.row_path([row[key] for key in keys])
    if path is None:
        return []
    links = []
    if writers:
        which, name = {"table": table, "row": path}, writers[0].name
        links = [
            {
                "href": model_url(datasette, name, **which),
                "label": "Continue this row",
                "description": f"{name} goes on where its text ends.",
            },
            {
                "href": model_url(datasette, name, **which, show="surprise"),
                "label": "Colour by surprise",
                "description": f"Which words {name} did not expect.",
            },
        ]
    return [
        *links,
        {
            "href": rows_url(datasette, database, table, row=path),
            "label": "How typical is this row?",
            "description": "Its bits per byte under the GPT of this table, and its rank.",
        },
    ]


async def _rows_page_has_something(
    datasette: Datasette,
    database: str,
    table: str,
    models: Sequence[tuple[Checkpoint, Origin]],
    writers: Sequence[Checkpoint],
) -> bool:
    """Whether one of the table's models has scored its rows, or the actor may have them scored, which the
    permission to write with a model (`writers`) includes."""
    db = datasette.get_database(database)
    if not models or not db.path or await db.view_exists(table):
        return False
    if not await in_thread(os.path.exists, db.path):
        return False
    if writers:
        return True
    home, file = state_of(datasette).home, location(str(db.path))
    try:
        with patience(REGISTRY_SECONDS):
            scored_by = await in_thread(row_scores.scored_by, home, file, table)
    except RegistryError:  # the page with this menu is Datasette's, and must not fail
        return False
    return any(model.name in scored_by for model, _ in models)
