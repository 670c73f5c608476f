"""What runs now or waits: on top of the list of all models, and as a slim bar on the page of a table."""

from __future__ import annotations

import re
from typing import Any

from datasette import Request
from datasette.app import Datasette

from ..registry.db import RegistryError, patience, registry_file
from ..registry.runs import UNDER_WAY, find_runs
from .permissions import Actor, Origin, may, origin_of_run
from .run_phases import last_part, parts_of
from .shown_runs import as_seen_by, describe_run, permission_to_change, run_as_json
from .state import state_of
from .threads import REGISTRY_SECONDS, in_thread

SHOWN = 20  # how many runs are listed: those at work, and the first that wait


async def runs_under_way(
    datasette: Datasette, actor: Actor, database: str | None = None, table: str | None = None
) -> list[dict[str, Any]]:
    """The runs that are at work or wait and that the actor may see, in the order of the queue: all of them,
    or those about one table. Each is JSON, with whether the actor `may_stop` it."""
    home, shown = state_of(datasette).home, []
    if not registry_file(home).exists():
        return []
    waiting = ("queued", *UNDER_WAY)
    for run in reversed(await in_thread(find_runs, home, "status in (?, ?, ?)", *waiting)):
        origin = origin_of_run(datasette, run)
        if not origin or not _concerns(origin, run["table"], database, table):
            continue
        if not await may(datasette, actor, "view-table", origin):
            continue
        may_stop = await may(datasette, actor, permission_to_change(run), origin)
        told = await as_seen_by(datasette, actor, run, origin)
        seen = run_as_json(told, origin)
        # Its memory is told on its page, and what it does after its last step is its state.
        percent = "".join(re.findall(r"\d+%$", run["note"] or ""))
        seen["bar"] = _fraction_done(run, percent)
        seen["pace"] = percent if last_part(run) else describe_run({**told, "memory": None})[1]
        url = datasette.urls.path(f"/-/nanogpt/runs/{run['id']}")
        shown.append(seen | {"may_stop": may_stop, "url": url})
    return sorted(shown, key=lambda run: (run["status"] == "queued", run["id"]))[:SHOWN]


def _fraction_done(run: dict[str, Any], percent: str) -> float | None:
    """How far a run is with what it does now, from 0 to 1; None where that is not known."""
    if last_part(run):
        return int(percent[:-1]) / 100 if percent else None
    if run["status"] == "preparing":
        return parts_of(run)[1] if run["kind"] == "train" else None
    progress: float | None = run["progress"]
    return progress


def _concerns(origin: Origin, of: str, database: str | None, table: str | None) -> bool:
    """Whether a run is about a table: `of` is what it reads, its `origin` what its model was trained on."""
    return table is None or (origin.database == database and table in (of, *origin.tables))


async def bar_of_table(datasette: Datasette, request: Request, database: str, table: str) -> str | None:
    """HTML for the top of a table's page; None where no run is about that table, or none can be read: the
    page is Datasette's, and must not fail."""
    try:
        with patience(REGISTRY_SECONDS):
            runs = await runs_under_way(datasette, request.actor, database, table)
    except RegistryError:
        return None
    if not runs:
        return None
    template = datasette.get_jinja_environment(request).get_template("_nanogpt_bar.html")
    urls = datasette.urls
    return await template.render_async(runs=runs, urls=urls, database=database, table=table)
