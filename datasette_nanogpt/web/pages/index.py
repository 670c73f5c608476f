"""The page of all runs and models that one may see: /-/nanogpt."""

from __future__ import annotations

from datasette import Request, Response
from datasette.app import Datasette

from ..responses import render, wants_json
from ..shown_models import models_as_json
from ..shown_runs import sparklines, visible_runs
from ..state import state_of


async def index_page(datasette: Datasette, request: Request) -> Response:
    lists = {
        "runs": await visible_runs(datasette, request.actor),
        "models": await models_as_json(datasette, request.actor),
    }
    if wants_json(request):
        return Response.json({"ok": True, **lists})
    lines = await sparklines(state_of(datasette).home, lists["runs"])
    return await render(datasette, request, "nanogpt_index.html", {**lists, "lines": lines})
