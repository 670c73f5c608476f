"""The page of all runs and models that one may see: /-/nanogpt."""

from __future__ import annotations

from datasette import Request, Response
from datasette.app import Datasette

from ..responses import render, wants_json
from ..shown_models import lines_written, models_as_json
from ..shown_runs import sparklines, visible_runs
from ..state import state_of
from ..under_way import runs_under_way


async def index_page(datasette: Datasette, request: Request) -> Response:
    """GET: the page; as JSON with `?now=1` only what runs or waits, of a table with `&database=…&table=…`."""
    if wants_json(request) and request.args.get("now"):
        of = request.args.get("database"), request.args.get("table")
        now = await runs_under_way(datasette, request.actor, *of)
        return Response.json({"ok": True, "runs": now}, headers={"cache-control": "no-store"})
    lists = {
        "runs": await visible_runs(datasette, request.actor),
        "models": await models_as_json(datasette, request.actor),
    }
    if wants_json(request):
        return Response.json({"ok": True, **lists})
    home = state_of(datasette).home
    context = {
        **lists,
        "now": await runs_under_way(datasette, request.actor),
        "lines": await sparklines(home, lists["runs"]),
        "written": await lines_written(datasette, home, lists["models"]),
    }
    return await render(datasette, request, "nanogpt_index.html", context)
