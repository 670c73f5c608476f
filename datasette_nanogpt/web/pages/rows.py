"""The page of the most and least typical rows of a table, and the links that lead there."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

from datasette.utils import urlsafe_components
from datasette.utils.asgi import Forbidden, NotFound, Response

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError

from ...registry import row_scores as typical
from .. import forms as start
from ..permissions import may, models_of_table, origin_of_model, origin_of_run
from ..score_rows import refuse_view
from . import views

SHOWN_ROWS = 50
MOST_ROWS = 1000
EXCERPT = 120  # characters shown of a row


@views.page
async def rows_page(datasette, request):
    """GET: the rows, sorted. POST: queue the run that scores them."""
    db, table = await views.table_of(datasette, request)
    home = views.home_of(datasette)
    models = await models_of_table(datasette, request.actor, db.name, table)
    try:
        form = await views.posted(request) if request.method == "POST" else {}
    except NanogptError as ex:
        return Response.json({"ok": False, "error": str(ex)}, status=400)
    checkpoint = await _chosen(home, db, table, models, request.args.get("model") or form.get("model"))
    origin = checkpoint and origin_of_model(datasette, checkpoint.meta)
    may_score = await may(datasette, request.actor, "nanogpt-generate", origin)
    error = None
    if request.method == "POST":
        if not may_score:
            raise Forbidden("Scoring rows with a model needs the permission nanogpt-generate")
        try:
            return await _score(datasette, request, db, table, checkpoint, origin)
        except NanogptError as ex:
            error = str(ex)
    context: dict[str, Any] = {"error": error, "database": db.name, "table": table}
    context |= {"models": [model.name for model in models], "model": None, "may_score": may_score}
    if checkpoint:
        context |= await _figures(datasette, request, db, table, checkpoint)
        context |= {"is_view": await db.view_exists(table)}
        context["command"] = await _command(db, table, checkpoint, may_score)
    if views.wants_json(request) or views.said_json(request):
        return Response.json({"ok": error is None, **context}, status=400 if error else 200)
    context["link"] = functools.partial(views.rows_url, datasette, db.name, table)
    return await views.render(datasette, request, "nanogpt_rows.html", context, 400 if error else 200)


async def _command(db, table: str, checkpoint: Checkpoint, whole_path: bool) -> str:
    """The same in a terminal. A view's rows have no key to save their scores under."""
    file = _file(db) if whole_path else Path(_file(db)).name
    words = ["llm", "nanogpt", "score", checkpoint.name, "--db", file, "--table", table]
    return shlex.join(words if await db.view_exists(table) else [*words, "--save-table", "scores"])


async def _chosen(home: Path, db, table: str, models: list[Checkpoint], name: str | None):
    """The model of that name, else one that has scored the rows, else the last trained one."""
    if name:
        found = next((model for model in models if model.name == name), None)
        if found is None:
            raise NotFound(f"There is no such model of {table}")
        return found
    for model in models:
        if (await asyncio.to_thread(typical.scorings, home, model.name, _file(db), table))[0]:
            return model
    return models[0] if models else None


def _file(db) -> str:
    return start.location(str(db.path))


async def _score(datasette, request, db, table, checkpoint, origin):
    from ...data.model_rows import open_rows

    limits = start.Limits.of(datasette)
    # In a process of its own, so it is found out now what that could not read.
    source = await asyncio.to_thread(open_rows, checkpoint, _file(db), table)
    refuse_view(source.keys, table)
    settings = {"database": _file(db), "table": list(origin.tables), "name": checkpoint.name}
    settings["minutes"] = limits.max_minutes
    return await views.enqueue(datasette, request, settings, limits, table, request.args.get("row"))


async def _figures(datasette, request, db, table, checkpoint) -> dict[str, Any]:
    """What the page shows of one model."""
    home, args = views.home_of(datasette), request.args
    kept, last = await asyncio.to_thread(typical.scorings, home, checkpoint.name, _file(db), table)
    # Whoever may see the model now need not have been allowed to see all that it was trained on then.
    kept, last = [await _if_seen(datasette, request, run) for run in (kept, last)]
    by = "least" if args.get("_sort_desc") == "bits_per_byte" else "most"
    size, number = (_whole(args.get(key), least) for key, least in (("_size", SHOWN_ROWS), ("page", 1)))
    size = min(size, MOST_ROWS)
    told = {"model": checkpoint.name, "run": last and views.told_run(last[0], last[1])}
    told |= {"scored": None, "rows": [], "by": by, "page": number, "pages": 0}
    asked = args.get("row")
    told["row"] = {"row": asked} if asked else None
    if not kept:
        return told
    run, _ = kept
    rows, count = await asyncio.to_thread(typical.page, home, run["id"], by, number, size)
    one = await asyncio.to_thread(typical.figure, home, run["id"], asked) if asked else None
    everything = rows + ([one or told["row"]] if asked else [])
    texts = await asyncio.to_thread(_texts, checkpoint, _file(db), table, [row["row"] for row in everything])
    for row, text in zip(everything, texts, strict=True):
        row["url"] = row["row"] and str(datasette.urls.row(db.name, table, row["row"]))
        row["changed"] = text is not None and "digest" in row and typical.digest(text) != row["digest"]
        row["text"] = text and " ".join(text.split())[:EXCERPT]
        for key in ("run", "id", "digest"):
            row.pop(key, None)
    told |= {"rows": rows, "pages": math.ceil(count / size), "size": size, "count": count}
    told["scored"] = {"id": run["id"], "ended": run["ended"], **json.loads(run["plan"])}
    told["stale"] = told["scored"]["version"] != checkpoint.version
    told["cut"] = told["scored"]["scored"] + sum(told["scored"]["skipped"].values()) < told["scored"]["rows"]
    if one:
        told["row"] = one | {"page": math.ceil(one["rank"] / size)}
    return told


async def _if_seen(datasette, request, run):
    if run is None:
        return None
    origin = origin_of_run(datasette, run)
    if not await may(datasette, request.actor, "view-table", origin):
        return None
    return await views.for_actor(datasette, request.actor, run, origin), origin


def _whole(text: str | None, default: int) -> int:
    """A whole number from 1, from an address."""
    return max(1, int(text)) if text and text.isdecimal() and len(text) < 10 else default


def _texts(checkpoint: Checkpoint, database: str, table: str, rows: list[str | None]) -> list[str | None]:
    """The text of each row as the model reads it; None where it cannot be had."""
    from ...data.model_rows import open_rows

    try:
        source = open_rows(checkpoint, database, table)
        found = source.texts_of([urlsafe_components(row) for row in rows if row])
        return [next(found) if row else None for row in rows]
    except NanogptError:
        return [None] * len(rows)


# ---- The links


async def row_link(datasette: Any, actor: Any, database: str, table: str, row: Any) -> list[dict[str, str]]:
    """What the menu of a row gets, where a model was trained on its table."""
    if not await _worth_a_look(datasette, actor, database, table):
        return []
    keys = await datasette.get_database(database).primary_keys(table) or ["rowid"]
    path = typical.row_path([row[key] for key in keys])
    if path is None:
        return []
    return [
        {
            "href": views.rows_url(datasette, database, table, row=path),
            "label": "How typical is this row?",
            "description": "Its bits per byte under the GPT of this table, and its rank.",
        }
    ]


async def table_link(datasette: Any, actor: Any, database: str, table: str) -> list[dict[str, str]]:
    if not await _worth_a_look(datasette, actor, database, table):
        return []
    return [
        {
            "href": views.rows_url(datasette, database, table),
            "label": "Most and least typical rows",
            "description": "Sorted by how well the GPT of this table predicts them.",
        }
    ]


async def _worth_a_look(datasette, actor, database: str, table: str) -> bool:
    """Whether there are figures, or may be if the actor asks for them."""
    db = datasette.get_database(database)
    if not db.path or not os.path.exists(db.path) or await db.view_exists(table):
        return False
    for model in await models_of_table(datasette, actor, database, table):
        if await may(datasette, actor, "nanogpt-generate", origin_of_model(datasette, model.meta)):
            return True
        home = datasette._nanogpt.home
        if (await asyncio.to_thread(typical.scorings, home, model.name, _file(db), table))[0]:
            return True
    return False
