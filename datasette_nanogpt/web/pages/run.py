"""The page of one run, /-/nanogpt/runs/<id>, live, with its JSON and CSV, and the buttons that change it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from datasette import Request, Response
from datasette.app import Datasette
from datasette.utils.asgi import AsgiStream

from llm_nanogpt.changes import restore
from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError

from ...formatting import in_minutes, time_left
from ...hookspecs import document_hook
from ...registry import queue
from ...registry.db import registry, run_log_file
from ...registry.resume import minutes_to_offer, settings_to_resume
from ...registry.run_log import log_end
from ...registry.runs import MEMORY, NAME, OVER, delete_run, find_run, is_resumed, plan_of, settings_of
from ...training.busy_machine import slower_than
from ...training.expectation import examples
from ...training.next_step import BIGGER_MODEL
from ...training.options import command_of_run
from .. import chart, polling
from ..comparison import describe_settings, known_scores, other_runs
from ..disk_full import free_space
from ..first_score import when_scored
from ..headline import advice_of, busy_notice, verdict_below
from ..menus import rows_url
from ..permissions import Origin, may, origin_of_model, origin_of_run
from ..responses import (
    changed,
    csv_file,
    not_done,
    page,
    posted,
    render,
    sent_json,
    wants_json,
)
from ..run_offers import (
    broke_down,
    form_filled_in,
    goes_on,
    kept_model,
    longer,
    lower_rate,
    made_by,
    run_that_made,
    too_short,
    train_on,
    unused_minutes,
    why_gone,
)
from ..run_phases import last_part, phase_of
from ..run_states import (
    how_long,
    in_words_of_the_form,
    readable_log,
    replaced_a_better_model,
    slower_notice,
    state_as_json,
    what_it_replaces,
)
from ..shown_models import find_model
from ..shown_runs import as_seen_by, describe_run, enqueue, require_run, run_as_json, verdict_of
from ..smaller import memory_advice
from ..state import state_of
from ..threads import REGISTRY_SECONDS, UNAVAILABLE, in_thread

CHART_POINTS = 500  # how many points a line has when the page is opened: a chart has no more pixels
SCORES_IN_TABLE = 100  # how many of the last scores the table has
CSV_PAGE = 1000  # how many rows are read and sent at once
CSV_COLUMNS = "step seconds train_loss train_bpb val_loss val_bpb learning_rate tokens_per_second mfu memory"


@page("GET")
async def run_page(datasette: Datasette, request: Request) -> Response:
    """GET: the page. As JSON, all figures of the run; with `?after=`, the `next` of the last answer, only
    those that are new since then, and with `?points=` its line in about so many points."""
    run_id, state = int(request.url_vars["run"]), state_of(datasette)
    # The permission is checked first: a slow refusal would tell that there is such a run.
    await require_run(datasette, request, await in_thread(find_run, state.home, run_id))
    points = _points(request.args.get("points")) if wants_json(request) else CHART_POINTS
    if points:
        found = await in_thread(polling.read_run, state.home, run_id, (0, 0), points)
    else:
        found = await state.poller.poll(run_id, _place(request.args.get("after")))
    run, origin = await require_run(datasette, request, found and found["row"])
    if run["kind"] == "score" and not wants_json(request):
        path = rows_url(datasette, origin.database, run["table"], run["name"], row=request.args.get("row"))
        return Response.redirect(path)
    run = await as_seen_by(datasette, request.actor, run, origin)
    live = {**(found or {})}
    del live["row"]
    state_now = state_as_json(run, live.pop("first"), live.pop("training_bpb"), live.pop("last"))
    short = too_short(run, live["metrics"])
    # The time left has a place of its own.
    timeless = {**run, "eta": None, "starts": ""}
    pace = "" if short else how_long(run) if run["status"] in OVER else describe_run(timeless)[1]
    if state_now["phase"] == "running" and (slower := await in_thread(slower_than, state.home, run_id)):
        state_now["slow"] = slower_notice(run, str(slower))
    elif state_now["phase"] == "done":
        state_now["slow"] = busy_notice(verdict_of(run))
    if state_now["waits_for"]:
        before = await in_thread(find_run, state.home, state_now["waits_for"])
        state_now["waits_left"] = _left_of(before)
        state_now["waits_name"] = await _name_of(datasette, request, before)
    live["run"] = run_as_json(run, origin) | state_now | {"pace": pace, "too_short": short}
    if wants_json(request):
        return Response.json({"ok": True, **live}, headers={"cache-control": "no-store"})
    context = await _run_context(datasette, request, run, origin, live)
    return await render(datasette, request, "nanogpt_run.html", context)


async def _name_of(datasette: Datasette, request: Request, run: dict[str, Any] | None) -> str:
    """The name of another run; "" if it may not be seen."""
    origin = origin_of_run(datasette, run) if run else None
    seen = origin and await may(datasette, request.actor, "view-table", origin)
    return str(run["name"]) if run and seen else ""


def _left_of(run: dict[str, Any] | None) -> str:
    """How long the training of a run still takes; "" where nobody knows."""
    if not run or run["status"] != "running":
        return ""
    if last_part(run):
        return "it is finishing"
    return time_left(run["eta"]) if run["eta"] is not None else ""


def _place(after: str | None) -> polling.Place:
    """The last metric and the last sample that a page has; (0, 0) if `after` names none."""
    place = re.fullmatch(r"(\d{1,15})\.(\d{1,15})", after or "")
    return (int(place[1]), int(place[2])) if place else (0, 0)


def _points(text: str | None) -> int | None:
    """How many points of a line an address asks for, at most CHART_POINTS; None if it does not say."""
    return min(int(text), CHART_POINTS) if text and re.fullmatch(r"[1-9]\d{0,5}", text) else None


async def _run_context(
    datasette: Datasette, request: Request, run: dict[str, Any], origin: Origin, live: dict[str, Any]
) -> dict[str, Any]:
    """What the page shows; `live` is the part that is kept up to date in the browser."""
    state = state_of(datasette)
    may_train = await may(datasette, request.actor, "nanogpt-train", origin)
    checkpoint = await in_thread(find_model, state.home, run["name"])
    model = None
    if checkpoint and origin_of_model(datasette, checkpoint.meta) == origin:
        model = "this" if made_by(run, checkpoint) else "another"
    kept = await in_thread(kept_model, datasette, run, origin, checkpoint) if checkpoint and model else None
    others = await other_runs(datasette, run, origin, may_train)
    known = await known_scores(datasette, request.actor, run, origin, others)
    verdict = verdict_of(run, may_train)
    advice = advice_of(verdict)
    plan = plan_of(run)
    given = {key: value for key, value in settings_of(run).items() if key != "force"}
    script = {**live, "samples": live["samples"][-1:], "known": known, "someone": bool(request.actor)}
    return {
        **live,
        "model": model,
        "others": others,
        "known": known,
        "scores": [metric for metric in live["metrics"] if metric[4] is not None][-SCORES_IN_TABLE:],
        "origin": origin,
        "live": chart.for_script(script),
        "plan": plan,
        "settings": describe_settings({"name": run["name"]} | given, may_train),
        "may_train": may_train,
        "verdict": verdict_below(run, verdict),
        "advice": advice,
        "better_before": replaced_a_better_model(run) if model != "another" else "",
        "kept": kept,
        "other_run": await in_thread(run_that_made, state.home, checkpoint) if model == "another" else None,
        "replaces": await in_thread(what_it_replaces, state.home, run) if model == "another" else "",
        "awaited": when_scored(settings_of(run)),
        "examples": examples() if phase_of(run) == "preparing" and not is_resumed(run) else [],
        "error": broke_down(run)
        or free_space(run)
        or re.sub(r"(?<=[\w)])$", ".", in_words_of_the_form(run["error"] or "")),
        "restarts": run["restarts"],
        "given_minutes": in_minutes(given["minutes"]) if given.get("minutes") else "",
        "began": run["cause"] != NAME,
        "taken_by": await _has_the_name(datasette, request, checkpoint) if run["cause"] == NAME else None,
        **(await _for_trainers(datasette, run, origin, advice) if may_train else {}),
    }


async def _has_the_name(
    datasette: Datasette, request: Request, checkpoint: Checkpoint | None
) -> Origin | None:
    """The tables of the model that has a run's name, if there is one that somebody may see."""
    origin = origin_of_model(datasette, checkpoint.meta) if checkpoint else None
    return origin if origin and await may(datasette, request.actor, "view-table", origin) else None


async def _for_trainers(
    datasette: Datasette, run: dict[str, Any], origin: Origin, advice: dict[str, str]
) -> dict[str, Any]:
    """The parts of the page that name folders or change something: they are only for those who may train."""
    state = state_of(datasette)
    file = run_log_file(state.home, run["id"])
    again = await in_thread(form_filled_in, datasette, run, origin)
    return {
        "command": _command_line(run, datasette.plugins_dir),
        "log_file": file if await in_thread(file.exists) else None,
        "log": _log(run, await in_thread(log_end, file)) if phase_of(run) == "broken" else "",
        "log_open": run["status"] == "failed" and not run["cause"],  # there is no other way out
        "again": again,
        "goes_on": await in_thread(goes_on, state.home, run),
        "why_gone": await in_thread(why_gone, state.home, run),
        "memory": await in_thread(memory_advice, run) if run["cause"] == MEMORY else None,
        "unused": await in_thread(unused_minutes, state.home, run),
        "bigger": f"{again}&_bigger=1" if again and advice["why"] == BIGGER_MODEL else None,
        "longer": f"{again}&_minutes=1" if again and longer(run, state.limits.max_minutes) else None,
        "rate": lower_rate(run) if again else None,
        "rename": f"{again}&_name=1" if again and run["cause"] == NAME else None,
        "more_minutes": await in_thread(minutes_to_offer, state.home, run, state.limits.max_minutes),
        "train_on": await in_thread(train_on, state.home, run, advice, state.limits.max_minutes),
    }


def _log(run: dict[str, Any], end: str) -> str:
    """The end of a run's log, and the error itself where the page has it in other words."""
    lines = readable_log(end).rstrip()
    told = free_space(run) and run["error"] not in lines
    return f"{lines}\n{run['error']}" if told else lines


def _command_line(run: dict[str, Any], plugins_dir: str | None = None) -> str:
    """What to type in a terminal to do the same again. A plugin in `plugins_dir` may have a say in it."""
    command = command_of_run(run)
    if plugins_dir and document_hook():
        command += " " + shlex.join(["--plugins-dir", os.path.abspath(plugins_dir)])
    return command


@page("GET")
async def run_csv(datasette: Datasette, request: Request) -> AsgiStream:
    """Every metric of a run."""
    run_id, home = int(request.url_vars["run"]), state_of(datasette).home
    await require_run(datasette, request, await in_thread(find_run, home, run_id))

    async def pages() -> AsyncIterator[list[Sequence[Any]]]:
        last = 0
        while rows := await in_thread(_metrics_page, home, run_id, last):
            last = rows[-1][0]
            yield [row[1:] for row in rows]

    return csv_file(request, f"nanogpt-run-{run_id}.csv", CSV_COLUMNS.split(), pages())


def _metrics_page(home: Path, run: int, after: int) -> list[Sequence[Any]]:
    """The next metrics after the one with the id `after`: its id and CSV_COLUMNS."""
    columns = ", ".join(["id", *CSV_COLUMNS.split()])
    with registry(home, wait=REGISTRY_SECONDS) as db:  # `page` has returned by now
        select = (
            f"select {columns} from metrics where run = ? and id > ? and step is not null order by id limit ?"
        )
        return [tuple(row) for row in db.execute(select, [run, after, CSV_PAGE])]


@page("POST")
async def run_change(datasette: Datasette, request: Request) -> Response:
    """POST: stop, stop-now, resume or delete a run, or restore the model that is kept beside its own."""
    run_id, state, change = int(request.url_vars["run"]), state_of(datasette), request.url_vars["change"]
    found = await in_thread(find_run, state.home, run_id)
    run, origin = await require_run(datasette, request, found, change=True)
    form = await posted(request)
    path = f"/-/nanogpt/runs/{run_id}" + (f"?{request.query_string}" if request.query_string else "")
    try:
        if change == "resume":
            again = await _resume(datasette, request, run, str(form.get("minutes") or ""))
            return changed(datasette, request, f"/-/nanogpt/runs/{again}", {"run": again})
        if change == "restore":
            message = await in_thread(_restore, datasette, run, origin, form.get("which"))
            if not sent_json(request):
                datasette.add_message(request, message)
        elif change == "delete":
            await in_thread(delete_run, state.home, run_id)
            path = "/-/nanogpt"
            if not sent_json(request):
                datasette.add_message(request, f"The record of run {run_id}, {run['name']}, was deleted")
        else:
            await in_thread(queue.ask_to_stop, state.home, run_id, 2 if change == "stop-now" else 1)
        state.poller.forget()
    except UNAVAILABLE:
        raise
    except NanogptError as ex:
        if answer := not_done(datasette, request, ex):
            return answer
    return changed(datasette, request, path, {"run": run_id})


async def _resume(datasette: Datasette, request: Request, run: dict[str, Any], minutes: str) -> int:
    """Queue the run that continues this one, and return its id."""
    state = state_of(datasette)
    settings = await in_thread(settings_to_resume, state.home, run, minutes, state.limits.max_minutes)
    return await enqueue(datasette, request.actor, settings)


def _restore(datasette: Datasette, run: dict[str, Any], origin: Origin, which: str | float | None) -> str:
    """Swap the model in use with the kept one, if that is still the one that the page offered; what to tell
    about it. Raises NanogptError if there is none, or the model is being trained."""
    home = state_of(datasette).home
    in_use = find_model(home, run["name"])
    kept = kept_model(datasette, run, origin, in_use) if in_use else None
    if not kept or which not in (None, kept.which):
        raise NanogptError(f"There is nothing to bring back: {run['name']} has changed in the meantime")
    restore(home / run["name"])
    whose = "The better model" if kept.which == "better" else f"The model of run {run['id']}"
    return f"{whose} is back, as {run['name']}"
