"""The links in the menus of Datasette's own pages, and the address of the page of typical rows."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlencode

from datasette import Request
from datasette.app import Datasette
from datasette.resources import TableResource

from ..data.corpus import location
from ..registry import row_scores
from .permissions import Actor, may, may_anywhere, models_of_table, origin_of_model
from .state import state_of
from .threads import in_thread

Link = dict[str, str]  # href, label, description


def rows_url(
    datasette: Datasette, database: str, table: str, model: str | None = None, **arguments: Any
) -> str:
    """The address of the page of the most and least typical rows of a table."""
    query = urlencode({key: value for key, value in {"model": model, **arguments}.items() if value})
    return datasette.urls.table(database, table) + "/-/nanogpt/rows" + (f"?{query}" if query else "")


async def index_link(datasette: Datasette, actor: Actor) -> list[Link]:
    """For the main menu."""
    if not await may_anywhere(datasette, actor):
        return []
    return [{"href": datasette.urls.path("/-/nanogpt"), "label": "GPTs"}]


async def train_link(
    datasette: Datasette, actor: Actor, database: str, table: str, request: Request | None
) -> list[Link]:
    """For the menu of a table's page, where the table may have text. The filters in the address go along."""
    resource = TableResource(database, table)
    if not await datasette.allowed(action="nanogpt-train", resource=resource, actor=actor):
        return []
    columns = await datasette.get_database(database).table_column_details(table)
    if all(re.search("INT|REAL|FLOA|DOUB|BLOB|NUM", (column.type or "").upper()) for column in columns):
        return []
    query = f"?{request.query_string}" if request and request.query_string else ""
    return [
        {
            "href": datasette.urls.table(database, table) + "/-/nanogpt" + query,
            "label": "Train a GPT on this table",
            "description": "A small language model that writes like its rows.",
        }
    ]


async def rows_link(datasette: Datasette, actor: Actor, database: str, table: str) -> list[Link]:
    """For the menu of a table's page, where a model was trained on the table."""
    if not await _rows_page_has_something(datasette, actor, database, table):
        return []
    return [
        {
            "href": rows_url(datasette, database, table),
            "label": "Most and least typical rows",
            "description": "Sorted by how well the GPT of this table predicts them.",
        }
    ]


async def row_link(datasette: Datasette, actor: Actor, database: str, table: str, row: Any) -> list[Link]:
    """For the menu of a row, where a model was trained on its table."""
    if not await _rows_page_has_something(datasette, actor, database, table):
        return []
    keys = await datasette.get_database(database).primary_keys(table) or ["rowid"]
    path = row_scores.row_path([row[key] for key in keys])
    if path is None:
        return []
    return [
        {
            "href": rows_url(datasette, database, table, row=path),
            "label": "How typical is this row?",
            "description": "Its bits per byte under the GPT of this table, and its rank.",
        }
    ]


async def _rows_page_has_something(datasette: Datasette, actor: Actor, database: str, table: str) -> bool:
    """Whether there are scores, or the actor may ask for them."""
    db = datasette.get_database(database)
    if not db.path or await db.view_exists(table) or not await in_thread(os.path.exists, db.path):
        return False
    home, file = state_of(datasette).home, location(str(db.path))
    models = await models_of_table(datasette, actor, database, table)
    for origin in {origin_of_model(datasette, model.meta) for model in models}:
        if await may(datasette, actor, "nanogpt-generate", origin):
            return True
    scored_by = await in_thread(row_scores.scored_by, home, file, table) if models else set()
    return any(model.name in scored_by for model in models)
