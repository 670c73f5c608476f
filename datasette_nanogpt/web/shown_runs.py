"""Runs as the pages show them, and which runs an actor may see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasette import Forbidden, NotFound, Request
from datasette.app import Datasette

from ..formatting import duration, seconds_between, time_left, utc_now
from ..registry import queue
from ..registry.db import registry
from ..registry.metrics import scores_of_runs
from ..registry.runs import OVER, REFUSED, UNDER_WAY, find_run, find_runs
from . import chart
from .permissions import NOWHERE, Actor, Origin, may, origin_of_run
from .run_phases import last_part
from .run_states import short_reason
from .state import state_of
from .threads import in_thread

SHOWN_RUNS = 50
RUN_FIELDS = (
    "id kind name status started ended step progress eta tokens_per_second memory val_bpb error note"
    " stop_requested"
)


def run_as_json(run: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """The figures of a run for everybody who may see it: no paths, no process ids."""
    (state, pace), ending = describe_run(run), last_part(run) is not None
    return {
        **{field: run[field] for field in RUN_FIELDS.split()},
        "progress": 1.0 if ending else run["progress"],  # its time, or its last step, is over
        "database": origin.database,
        "table": run["table"],
        "over": run["status"] in OVER and not run["goes_on"],
        "ending": ending,  # nothing is left to stop
        "verdict": verdict_of(run),
        "reason": short_reason(run),
        "state": state,
        "pace": pace,
    }


def verdict_of(run: dict[str, Any], may_train: bool = False) -> dict[str, str]:
    """What a run's score means: heading -> sentence. The command names a file: only who may train sees it."""
    lines: dict[str, str] = json.loads(run["verdict"] or "{}")
    return {heading: line for heading, line in lines.items() if may_train or heading != "next"}


def describe_run(run: dict[str, Any]) -> tuple[str, str]:
    """What a run is doing: what a screen reader reads aloud as it changes, and what changes every second."""
    status, note, pace = run["status"], run["note"], []
    over, ending = status in OVER, last_part(run)
    if status in UNDER_WAY:
        pace, note = [note.rstrip(".")] if note and note != ending else [], None
        if ending:
            status, note = "finishing", ending
        elif run["stop_requested"]:
            scoring = run["kind"] == "train" and status == "running" and not pace
            status, note = "stopping", "the current scoring finishes first" if scoring else None
        elif run["kind"] == "train" and status == "running" and not run["step"]:
            note, pace = _before_the_first_step(run)
    if status == "stopped" and run["kind"] == "train":
        nothing = run["val_bpb"] is None
        note = "there was nothing to keep yet" if nothing else "what it had learned is kept"
    if status == "queued" and not note:
        note = "it starts in a moment"
    if run["goes_on"]:
        note = "it goes on by itself as soon as the server is there again"
    state = f"{status}: {note}" if note else status
    if run["model"] and not over and not ending:
        state += f", {run['model']}"
    if run["step"]:
        pace.append(f"step {run['step']:,}")
    if run["tokens_per_second"] and not over and not ending:
        pace.append(f"{run['tokens_per_second']:,.0f} tokens/s")
    if run["memory"] and not over:
        pace.append(f"up to {run['memory'] / 1e6:,.0f} MB of memory")
    if run["eta"] is not None and not over and not ending:
        pace.insert(0, time_left(run["eta"]))  # first, as people wait for it
    if run.get("starts"):
        pace.append(f"starts {run['starts']}")
    words = ", ".join(pace)
    return state, words[:1].upper() + words[1:]


def _before_the_first_step(run: dict[str, Any]) -> tuple[str, list[str]]:
    """What a run does between its preparation and the first step that it reports, and how far it is."""
    note = (run["note"] or "").rstrip(".")
    what, _, percent = note.partition(", ")
    if note and (not percent or percent.endswith("%")) and ". " not in what:
        return what, [percent] if percent else []
    if note:  # one or two sentences
        return "first steps", [note]
    if not run["started"] or run["restarts"]:
        return "first steps", []
    seconds = max(0.0, seconds_between(run["started"], utc_now()))
    return "first steps", [f"{duration(seconds)} since the start"]


def permission_to_change(run: dict[str, Any]) -> str:
    """The permission that stopping, resuming and deleting a run needs."""
    return "nanogpt-train" if run["kind"] == "train" else "nanogpt-generate"


async def as_seen_by(
    datasette: Datasette, actor: Actor, run: dict[str, Any], origin: Origin
) -> dict[str, Any]:
    """A run as the actor may see it. An error may name folders, so it is only for those who may change it. A
    queued run waits for one that is named, and tells when it starts, if the actor may see that, too."""
    if run["error"] and not await may(datasette, actor, permission_to_change(run), origin):
        run = {**run, "error": None}
    if run.get("before"):
        before = await in_thread(find_run, state_of(datasette).home, run["before"])
        other = origin_of_run(datasette, before) if before else None
        if before and other and await may(datasette, actor, "view-table", other):
            run = {**run, "note": f"after {_what(before)}", "starts": _starts_after(before)}
    return run


def _what(run: dict[str, Any]) -> str:
    return f"{run['name']} has scored its rows" if run["kind"] == "score" else str(run["name"])


def _starts_after(run: dict[str, Any]) -> str:
    """When a run starts that waits for this one: "in about 5 minutes"; "" where nobody knows."""
    if run["status"] != "running" or run["eta"] is None or last_part(run):
        return ""
    return f"in {time_left(run['eta']).removesuffix(' left')}"


async def require_run(
    datasette: Datasette, request: Request, run: dict[str, Any] | None, change: bool = False
) -> tuple[dict[str, Any], Origin]:
    """The run and its origin. Raises NotFound if there is none or the actor may not see it, and Forbidden if
    the actor wants to `change` it and may not."""
    origin = origin_of_run(datasette, run) if run else None
    # The same permission is checked for a run that does not exist, so that the two cannot be told apart.
    allowed = await may(datasette, request.actor, "view-table", origin or NOWHERE)
    if run is None or origin is None or not allowed:
        raise NotFound("There is no such run")
    if change and not await may(datasette, request.actor, permission_to_change(run), origin):
        raise Forbidden(f"This needs the permission {permission_to_change(run)}")
    return run, origin


async def visible_runs(datasette: Datasette, actor: Actor, of: Origin | None = None) -> list[dict[str, Any]]:
    """The newest runs that the actor may see, as JSON: all of them, or those of one origin. Those that a
    terminal was told cannot be, before they began, are left out: they never ran."""
    where, values = ('"table" = ?', [", ".join(of.tables)]) if of else ("1", [])
    where += f" and cause is not '{REFUSED}'"
    shown: list[dict[str, Any]] = []
    allowed: dict[Origin, bool] = {}
    before, home = 2**62, state_of(datasette).home
    while len(shown) < SHOWN_RUNS:
        page = f"{where} and id in (select id from runs where {where} and id < ? order by id desc limit ?)"
        runs = await in_thread(find_runs, home, page, *values, *values, before, SHOWN_RUNS)
        for run in runs:
            origin = origin_of_run(datasette, run)
            if not origin or of not in (None, origin):
                continue
            if origin not in allowed:
                allowed[origin] = await may(datasette, actor, "view-table", origin)
            if allowed[origin] and len(shown) < SHOWN_RUNS:
                shown.append(run_as_json(await as_seen_by(datasette, actor, run, origin), origin))
        if len(runs) < SHOWN_RUNS:
            break
        before = runs[-1]["id"]
    return shown


async def sparklines(home: Path, runs: list[dict[str, Any]]) -> dict[int, str]:
    """A small line of the scores of each run, as SVG, by the run's id."""

    def read() -> dict[int, list[float]]:
        with registry(home) as db:
            return scores_of_runs(db, [run["id"] for run in runs])

    scores = await in_thread(read) if runs else {}
    return {run: chart.sparkline(values) for run, values in scores.items()}


async def enqueue(
    datasette: Datasette, actor: Actor, settings: dict[str, Any], scored: str | None = None
) -> int:
    """Queue a run, wake the worker, and return the run's id. With `scored`, the name of a table, the run
    scores the rows of that table. Raises NanogptError if it is not accepted."""
    state = state_of(datasette)
    run = await in_thread(
        queue.enqueue,
        *(state.home, settings["database"], settings, actor, state.limits.max_queued),
        scored,
    )
    state.worker.woken.set()
    return run
