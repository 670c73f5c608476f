"""The page of all runs and models that the actor may see: /-/nanogpt."""

from __future__ import annotations

import math

from datasette import Request, Response
from datasette.app import Datasette

from ..responses import page, render, wants_json, whole_number
from ..shown_models import ON_A_PAGE, first_line, last_texts, models_as_json, newest_first
from ..shown_runs import sparklines, visible_runs
from ..state import state_of
from ..trainable_tables import tables_at_once, tables_with_figures
from ..under_way import runs_under_way


@page("GET")
async def index_page(datasette: Datasette, request: Request) -> Response:
    """GET: the page; `?page=2` has older models, and `?_sort=bits_per_byte` the runs by their score. As JSON
    all runs and models, or with `?now=1` only the runs that are at work or wait, with `&database=…&table=…`
    only those of a table. With `?tables=1` the part of the page about the tables to train on, with all
    figures."""
    if wants_json(request) and request.args.get("now"):
        of = request.args.get("database"), request.args.get("table")
        now = await runs_under_way(datasette, request.actor, *of)
        return Response.json({"ok": True, "runs": now}, headers={"cache-control": "no-store"})
    if request.args.get("tables"):
        whole = {"trainable": await tables_with_figures(datasette, request.actor), "complete": True}
        return await render(datasette, request, "_nanogpt_tables.html", whole)
    lists = {
        "runs": await visible_runs(datasette, request.actor),
        "models": await models_as_json(datasette, request.actor),
    }
    if wants_json(request):
        return Response.json({"ok": True, **lists})
    home = state_of(datasette).home
    pages = max(1, math.ceil(len(lists["models"]) / ON_A_PAGE))
    number = min(whole_number(request.args.get("page"), 1), pages)
    models = newest_first(lists["models"])[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]
    now = await runs_under_way(datasette, request.actor)
    trainable, complete = await tables_at_once(datasette, request.actor, bool(models or now))
    texts = await last_texts(datasette, home, models)
    by_score, runs = request.args.get("_sort") == "bits_per_byte", lists["runs"]
    if by_score:  # those without one come last
        runs = sorted(runs, key=lambda run: (run["val_bpb"] is None, run["val_bpb"] or 0.0))
    context = {
        "runs": runs,
        "by_score": by_score,
        "models": models,
        "page": number,
        "pages": pages,
        "now": now,
        "trainable": trainable,
        "complete": complete,
        "lines": await sparklines(home, lists["runs"]),
        "written": {name: first_line(text) for name, text in texts.items()},
    }
    return await render(datasette, request, "nanogpt_index.html", context)
