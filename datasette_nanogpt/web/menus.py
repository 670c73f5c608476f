"""The links in the menus of Datasette's own pages, and the address of the page of typical rows."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
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

from ..data.column_content import Column as Content
from ..data.corpus import location
from ..data.sqlite import quote
from ..registry import row_scores
from ..registry.db import RegistryError, patience
from .permissions import Actor, Origin, may_anywhere, models_of_table, models_to_write_with
from .shown_models import best_first
from .state import state_of
from .threads import REGISTRY_SECONDS, in_thread

Link = dict[str, str]  # href, label, description
WRITERS = 3  # models in the menu of a table, the best ones; its own page has all
AT_ONCE_SECONDS = 0.1  # how long to wait for a locked registry that a menu can do without
# `filled_columns` looks at so many rows, reads so many characters of a value, and shows so many of them.
FIRST_ROWS, READ, SHOWN = 50, 200, 30
EMPTY_MS = 50  # the time limit for finding a first row, or counting all, each time a page or a menu is made


def rows_url(
    datasette: Datasette, database: str, table: str, model: str | None = None, **arguments: Any
) -> str:
    """The address of the page of the most and least typical rows of a table."""
    return _address(datasette.urls.table(database, table) + "/-/nanogpt/rows", model=model, **arguments)


def model_url(datasette: Datasette, model: str, **arguments: Any) -> str:
    """The address of a model's page."""
    return _address(datasette.urls.path("/-/nanogpt/models/" + quote_part(model, safe="")), **arguments)


def _address(path: str, **arguments: Any) -> str:
    query = urlencode({key: value for key, value in arguments.items() if value})
    return f"{path}?{query}" if query else path


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


async def filled_columns(db: Database, table: str, names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """For each column that is filled in the first rows of a table, the beginning of a value, and whether its
    values are keys. Without any where that takes too long."""
    beginnings = ", ".join(f"substr({quote(name)}, 1, {READ})" for name in names)
    try:
        select = f"select {beginnings} from {quote(table)} limit {FIRST_ROWS}"
        found = (await db.execute(select, custom_time_limit=EMPTY_MS)).rows
    except (QueryInterrupted, sqlite3.Error):
        return {}
    columns = [Content(name, [row[i] for row in found]) for i, name in enumerate(names)]
    return {
        column.name: (_beginning(column.texts[0]), column.what == "keys" or column.are_short_keys)
        for column in columns
        if column.texts
    }


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[:SHOWN] + "…"


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
    """The links in the menu of a table with a model: write with the best ones, the list of all if there are
    more, and the page of typical rows."""
    models = await models_of_table(datasette, actor, database, table)
    writers = best_first(await models_to_write_with(datasette, actor, models))
    links = [
        {
            "href": model_url(datasette, model.name),
            "label": f"Write with {model.name}",
            "description": _about(model),
        }
        for model in writers[:WRITERS]
    ]
    if len(writers) > WRITERS:
        links.append(
            {
                "href": datasette.urls.table(database, table) + "/-/nanogpt#models",
                "label": f"All {len(writers)} models of this table",
                "description": "With their scores, the last one first.",
            }
        )
    if name := await _model_of_rows(datasette, database, table, models, writers):
        links.append(
            {
                "href": rows_url(datasette, database, table, name),
                "label": "Most and least typical rows",
                "description": f"Sorted by how well {name} predicts them.",
            }
        )
    return links


def _about(model: Checkpoint) -> str:
    """What tells a model of a table from the others."""
    score, lines = model.meta.get("score"), (model.meta.get("verdict") or {}).get("lines") or {}
    if not score:
        return "A GPT of this table."
    like = lines.get("reads like")
    return f"{score['val_bpb']:.3f} bits per byte" + (f": {like}." if like else ".")


async def row_links(datasette: Datasette, actor: Actor, database: str, table: str, row: Any) -> list[Link]:
    """The links in the menu of a row whose table has a model."""
    models = await models_of_table(datasette, actor, database, table)
    writers = best_first(await models_to_write_with(datasette, actor, models))
    scorer = await _model_of_rows(datasette, database, table, models, writers)
    if not scorer:
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
            "href": rows_url(datasette, database, table, scorer, row=path),
            "label": "How typical is this row?",
            "description": f"How well {scorer} predicts it, among all rows.",
        },
    ]


async def _model_of_rows(
    datasette: Datasette,
    database: str,
    table: str,
    models: Sequence[tuple[Checkpoint, Origin]],
    writers: Sequence[Checkpoint],
) -> str:
    """The name of the model whose page of typical rows is linked: the best that has scored the table's rows,
    or else the best that the actor may have them scored with, which the permission to write with a model
    (`writers`) includes. "" if there is neither."""
    db = datasette.get_database(database)
    if not models or not db.path or await db.view_exists(table):
        return ""
    if not await in_thread(os.path.exists, db.path):
        return ""
    home, file, scored_by = state_of(datasette).home, location(str(db.path)), set[str]()
    # The page with this menu is not ours: it must not fail, nor wait where there is a model to name anyway.
    with suppress(RegistryError), patience(AT_ONCE_SECONDS if writers else REGISTRY_SECONDS):
        scored_by = await in_thread(row_scores.scored_by, home, file, table)
    ranked = best_first([model for model, _ in models])
    scored = next((model.name for model in ranked if model.name in scored_by), "")
    return scored or (writers[0].name if writers else "")
