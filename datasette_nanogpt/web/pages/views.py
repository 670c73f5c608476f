"""The pages, each with its JSON beside it. Every route asks `access` before it tells anything."""

from __future__ import annotations

import asyncio
import csv
import functools
import io
import json
import os
import re
import shlex
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlencode

from datasette.resources import DatabaseResource, TableResource
from datasette.utils import tilde_decode
from datasette.utils.asgi import AsgiStream, Forbidden, NotFound, Response

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import valid_name

from ...formatting import duration
from ...hookspecs import document_hook
from ...registry import queue
from .. import chart, filters
from .. import forms as start
from .. import playground as play
from .. import polling as news
from ..permissions import Origin, may, origin_of_model, origin_of_run, visible_models

SHOWN_RUNS = 100
RUN_FIELDS = (
    "id kind name status started ended step progress eta tokens_per_second memory val_bpb error note"
    " stop_requested"
)


def home_of(datasette):
    return datasette._nanogpt.home


def page(view):
    """A view whose NotFound is answered here. Raised on, it would cost Datasette a second where rich is
    installed, for a traceback with all locals."""

    @functools.wraps(view)
    async def answered(datasette, request):
        try:
            return await view(datasette, request)
        except NotFound as ex:
            if wants_json(request) or said_json(request):
                return Response.error(str(ex), 404)
            context = {"title": "Not found", "error": str(ex), "ok": False, "status": 404}
            return await render(datasette, request, "error.html", context, 404)

    return answered


def wants_json(request) -> bool:
    return request.url_vars.get("format") == "json"


async def render(datasette, request, template, context, status=200):
    return Response.html(await datasette.render_template(template, context, request=request), status=status)


def told_run(run: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """What anyone who may see a run is told of it: no paths, no process ids."""
    told = {field: run[field] for field in RUN_FIELDS.split()}
    told |= {"database": origin.database, "table": run["table"], "over": run["status"] in queue.OVER}
    return told | dict(zip(("state", "pace"), in_words(run), strict=True))


def in_words(run: dict[str, Any]) -> tuple[str, str]:
    """What a run is at, as a screen reader tells it when it changes, and what changes every second."""
    status, note, pace = run["status"], run["note"], []
    if status in queue.UNDER_WAY:
        pace, note = [note.rstrip(".")] if note else [], None
        if run["stop_requested"]:
            scoring = run["kind"] == "train" and status == "running" and not pace
            status, note = "stopping", "the score under way ends first" if scoring else None
    state = f"{status}: {note}" if note else status
    if run["model"] and run["status"] not in queue.OVER:
        state += f", {run['model']}"
    if run["val_bpb"] is not None:
        state += f", best {run['val_bpb']:.3f} bits per byte"
    if run["step"]:
        pace.append(f"step {run['step']:,}")
    if run["status"] not in queue.OVER:
        if run["tokens_per_second"]:
            pace.append(f"{run['tokens_per_second']:,.0f} tokens/s")
        if run["memory"]:
            pace.append(f"{run['memory'] / 1e6:,.0f} MB of memory at most")
        if run["eta"]:
            pace.append(f"about {duration(run['eta'])} left")
    told = ", ".join(pace)
    return state, told[:1].upper() + told[1:]


def change_of(run: dict[str, Any]) -> str:
    """The permission that stopping, resuming and deleting a run needs."""
    return "nanogpt-train" if run["kind"] == "train" else "nanogpt-generate"


async def for_actor(datasette, actor, run, origin) -> dict[str, Any]:
    """A run as the actor may see it. An error may name folders: it is for those who can act on it."""
    if run["error"] and not await may(datasette, actor, change_of(run), origin):
        return {**run, "error": None}
    return run


def wrote(run: dict[str, Any], checkpoint: Checkpoint) -> bool:
    """Whether a model is the one that this run made, not of an earlier or a later run of the same name."""
    updated = (checkpoint.meta.get("training") or {}).get("updated") or ""
    return run["status"] != "queued" and run["started"] <= updated <= (run["ended"] or updated)


async def visible_runs(datasette, request, where="1", *values) -> list[dict[str, Any]]:
    """The newest runs that the actor may see, and their origins."""
    found = []
    for run in await asyncio.to_thread(queue.runs, home_of(datasette), where, *values):
        origin = origin_of_run(datasette, run)
        if await may(datasette, request.actor, "view-table", origin):
            found.append((await for_actor(datasette, request.actor, run, origin), origin))
        if len(found) == SHOWN_RUNS:
            break
    return found


async def told_models(datasette, request, of: Origin | None = None) -> list[dict[str, Any]]:
    """The models that the actor may see, those of one origin or all."""
    told = []
    for checkpoint, origin in await visible_models(datasette, request.actor, lambda o: of in (None, o)):
        source, score = (checkpoint.meta.get(key) or {} for key in ("source", "score"))
        told.append(
            {
                "name": checkpoint.name,
                "database": origin.database,
                "table": source.get("table"),
                "rows": source.get("rows"),
                "parameters": checkpoint.config.parameters,
                "val_bpb": score.get("val_bpb"),
                "trained": (checkpoint.meta.get("training") or {}).get("updated"),
            }
        )
    return told


# ---- All runs and models


async def index_page(datasette, request):
    found = await visible_runs(datasette, request)
    models = await told_models(datasette, request)
    runs = [told_run(*pair) for pair in found]
    if wants_json(request):
        return Response.json({"ok": True, "runs": runs, "models": models})
    lines = await asyncio.to_thread(_sparklines, home_of(datasette), [run["id"] for run in runs])
    return await render(
        datasette, request, "nanogpt_index.html", {"runs": runs, "models": models, "lines": lines}
    )


def _sparklines(home, ids) -> dict[int, str]:
    if not ids:
        return {}
    scores: dict[int, list[float]] = {}
    marks = ", ".join("?" * len(ids))
    with queue.registry(home) as db:
        select = (
            f"select run, val_bpb from metrics where val_bpb is not null and run in ({marks}) order by id"
        )
        for run, bpb in db.execute(select, ids):
            scores.setdefault(run, []).append(bpb)
    return {run: chart.sparkline(values) for run, values in scores.items()}


# ---- The page of a table: what was trained on it, and the form that starts a run


async def table_of(datasette, request) -> tuple[Any, str]:
    """The database and the table, or view, of a URL, which the actor may see."""
    database, table = (tilde_decode(request.url_vars[key]) for key in ("database", "table"))
    db = next((db for db in datasette.databases.values() if db.route == database), None)
    # The permission first: whether a private table exists is nobody's business.
    resource = TableResource(db.name if db else database, table)
    await datasette.ensure_permission(action="view-table", resource=resource, actor=request.actor)
    if db is None or not (await db.table_exists(table) or await db.view_exists(table)):
        raise NotFound(f"There is no table {table}")
    return db, table


@page
async def table_page(datasette, request):
    db, table = await table_of(datasette, request)
    database, resource = db.name, TableResource(db.name, table)
    may_train = await datasette.allowed(action="nanogpt-train", resource=resource, actor=request.actor)
    may_sql = await datasette.allowed(
        action="execute-sql", resource=DatabaseResource(database), actor=request.actor
    )
    here = Origin(database, (table,))
    home, limits = home_of(datasette), start.Limits.of(datasette)
    columns = await db.table_columns(table)
    offer, estimate, error, wrong = None, None, None, []
    fields = start.form_defaults(limits)
    posting = request.method == "POST"
    if posting and not may_train:
        raise Forbidden("Training on this table needs the permission nanogpt-train")
    if may_train:
        where, carried, left_out = None, "", []
        target = start.Target(home, limits, db.path, db.is_memory, table)
        try:
            where, carried, left_out = await filters.rows_to_train_on(
                datasette, request, database, table, columns
            )
            if posting:
                fields |= await posted(request)
                if fields.get("where") and not may_sql:
                    raise Forbidden("An SQL condition needs the permission execute-sql")
            settings = await asyncio.to_thread(start.settings_from_form, target, fields, where)
            if posting and not fields.get("estimate"):
                return await enqueue(datasette, request, settings, limits)
        except NanogptError as ex:
            error, wrong = str(ex), getattr(ex, "fields", [])
        # What could not be read a moment ago is not tried again: it may have taken all the time there is.
        readable = {key: value for key, value in fields.items() if key != "where" or key not in wrong}
        try:
            if wrong != [""]:
                offer, estimate = await asyncio.to_thread(
                    start.offer_and_estimate, target, where, carried, readable
                )
                offer |= {"left_out": left_out}
        except NanogptError as ex:
            error = error or start.in_words_of_the_form(ex)
    status = 400 if error else 200
    if fields.get("estimate") and said_json(request):
        told = {"ok": error is None, "error": error, "estimate": estimate, "offer": offer}
        return Response.json(told, status=status)
    found = await visible_runs(datasette, request, '"table" = ?', table)
    runs = [told_run(run, origin) for run, origin in found if origin == here]
    context = {"runs": runs, "models": await told_models(datasette, request, here), "error": error}
    if wants_json(request) or said_json(request):
        told = {"ok": error is None, **context, "offer": offer, "estimate": estimate}
        return Response.json(told, status=status)
    context |= {"database": database, "table": table, "columns": columns, "offer": offer, "fields": fields}
    context |= {"estimate": estimate and estimate["text"], "wrong": wrong, "query": request.query_string}
    context |= {"may_train": may_train, "may_sql": may_sql, "limits": limits}
    context |= {"sizes": start.CHOICES["size"], "labels": start.LABELS, "numbers": start.NUMBERS}
    folded = start.LABELS.keys() - {"minutes", "size", "name"}
    context |= {"advanced": any(fields.get(key) or key in wrong for key in folded)}
    context |= {"lines": await asyncio.to_thread(_sparklines, home, [run["id"] for run in runs])}
    return await render(datasette, request, "nanogpt_table.html", context, status)


async def enqueue(datasette, request, settings, limits, scored=None, row=None):
    """Queue a run, and go to its page. With `scored`, a table, it scores its rows; `row` was asked about."""
    of = (home_of(datasette), settings["database"], settings, request.actor, limits.max_queued, scored)
    run = await asyncio.to_thread(queue.enqueue, *of)
    datasette._nanogpt.woken.set()
    query = "?" + urlencode({"row": row}) if row else ""
    return done(datasette, request, f"/-/nanogpt/runs/{run}{query}", {"run": run})


def said_json(request) -> bool:
    return (request.headers.get("content-type") or "").startswith("application/json")


async def posted(request) -> dict[str, Any]:
    if not said_json(request):
        return await request.post_vars()
    try:
        found = await request.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NanogptError("The body must be a JSON object")
    return found


def done(datasette, request, path: str, told: dict[str, Any]) -> Response:
    """After a POST: to the page of what was changed, or the same as JSON."""
    url = datasette.urls.path(path)
    return Response.json({"ok": True, "url": url, **told}) if said_json(request) else Response.redirect(url)


# ---- One run


async def run_of(datasette, request, run, change=False) -> Origin:
    """The origin of a run. One that the actor may not see is not there; to `change` it needs more."""
    origin = origin_of_run(datasette, run) if run else None
    if not await may(datasette, request.actor, "view-table", origin):
        raise NotFound("There is no such run")
    if change and not await may(datasette, request.actor, change_of(run), origin):
        raise Forbidden(f"This needs the permission {change_of(run)}")
    return origin


@page
async def run_page(datasette, request):
    id, home = int(request.url_vars["run"]), home_of(datasette)
    if wants_json(request):
        place = re.fullmatch(r"(\d{1,15})\.(\d{1,15})", request.args.get("after") or "0.0")
        found = await datasette._nanogpt.news.after(id, tuple(map(int, place.groups())) if place else (0, 0))
    else:
        found = await asyncio.to_thread(news.read, home, id, points=chart.POINTS)
    run = found and found["row"]
    origin = await run_of(datasette, request, run)
    if run["kind"] == "score" and not wants_json(request):
        of = (origin.database, run["table"], run["name"])
        return Response.redirect(rows_url(datasette, *of, row=request.args.get("row")))
    run = await for_actor(datasette, request.actor, run, origin)
    live = {"run": told_run(run, origin), **{key: found[key] for key in ("metrics", "samples", "next")}}
    if wants_json(request):
        return Response.json({"ok": True, **live}, headers={"cache-control": "no-store"})
    behind, most = await asyncio.to_thread(chart.earlier, home, run), start.Limits.of(datasette).max_minutes
    may_train = await may(datasette, request.actor, "nanogpt-train", origin)
    checkpoint = await asyncio.to_thread(found_model, home, run["name"])
    ours = checkpoint and origin_of_model(datasette, checkpoint.meta) == origin
    context = {
        **live,
        "model": "this" if ours and wrote(run, checkpoint) else "another" if ours else None,
        "svg": chart.svg(live["metrics"], behind),
        "earlier": behind,
        "origin": origin,
        "live": chart.for_script({**live, "samples": [], "earlier": behind}),
        "plan": json.loads(run["plan"] or "{}"),
        "settings": told_settings(json.loads(run["settings"]), may_train),
        "may_train": may_train,
        "command": command_line(run, datasette.plugins_dir) if may_train else None,
        "more_minutes": await asyncio.to_thread(queue.resumable, home, run, most) if may_train else None,
        "kept_step": (await asyncio.to_thread(queue.kept_state, home, run["name"])).get("step"),
    }
    return await render(datasette, request, "nanogpt_run.html", context)


def found_model(home, name: str) -> Checkpoint | None:
    """The model of that name; None where there is none, or nobody knows whose it is."""
    with suppress(NanogptError):
        return read_checkpoint(home / name) if valid_name(name) else None
    return None


def told_settings(settings: dict[str, Any], may_train: bool) -> dict[str, str]:
    """Settings of a run, as the form calls them. SQL may name tables and values that are private."""
    told, untold = {}, ("database", "token") + (() if may_train else ("where", "sql"))
    for key, value in settings.items():
        if key not in untold:
            label = start.LABELS.get(key, key.replace("_", " ")).lower()
            value = "yes" if value is True else f"{value:g}" if isinstance(value, float) else value
            told[label] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return told


@page
async def run_csv(datasette, request):
    id, home = int(request.url_vars["run"]), home_of(datasette)
    await run_of(datasette, request, await asyncio.to_thread(queue.find_run, home, id))
    return Response.text(
        await asyncio.to_thread(_csv, home, id),
        headers={"content-disposition": f'attachment; filename="nanogpt-run-{id}.csv"'},
    )


def _csv(home, run: int) -> str:
    columns = "step seconds train_loss train_bpb val_loss val_bpb learning_rate tokens_per_second mfu memory"
    out = io.StringIO()
    with queue.registry(home) as db:
        select = f"select {columns.replace(' ', ', ')} from metrics where run = ? order by id"
        csv.writer(out).writerows([columns.split(), *map(tuple, db.execute(select, [run]))])
    return out.getvalue()


def rows_url(datasette, database: str, table: str, model: str | None = None, **more: Any) -> str:
    """The page of the most and least typical rows of a table."""
    query = urlencode({key: value for key, value in {"model": model, **more}.items() if value})
    return datasette.urls.table(database, table) + "/-/nanogpt/rows" + (f"?{query}" if query else "")


def command_line(run: dict[str, Any], plugins_dir: str | None = None) -> str:
    """What to type in a terminal to do the same again. A plugin in `plugins_dir` may have had a say in it."""
    settings = json.loads(run["settings"])
    tables = settings.pop("table", ())
    words = ["datasette", "nanogpt-train", settings.pop("database", run["database"])]
    words += [tables] if isinstance(tables, str) else tables
    for option, value in settings.items():
        flag = "--" + option.replace("_", "-")
        for one in value if isinstance(value, list) else [value]:
            words += [flag] if one is True else [flag, str(one)]
    if plugins_dir and document_hook():
        words += ["--plugins-dir", os.path.abspath(plugins_dir)]
    return shlex.join(words)


@page
async def run_change(datasette, request):
    """POST: stop, stop-now, resume, delete."""
    if request.method != "POST":
        return Response.text("POST only", status=405, headers={"allow": "POST"})
    id, home, change = int(request.url_vars["run"]), home_of(datasette), request.url_vars["change"]
    run = await asyncio.to_thread(queue.find_run, home, id)
    await run_of(datasette, request, run, change=True)
    path = f"/-/nanogpt/runs/{id}" + (f"?{request.query_string}" if request.query_string else "")
    try:
        if change in ("stop", "stop-now"):
            await asyncio.to_thread(queue.ask_to_stop, home, id, 2 if change == "stop-now" else 1)
        elif change == "delete":
            await asyncio.to_thread(queue.forget, home, id)
            path = "/-/nanogpt"
            if not said_json(request):
                datasette.add_message(request, f"The record of run {id}, {run['name']}, was deleted")
        else:
            limits = start.Limits.of(datasette)
            minutes = (await posted(request)).get("minutes") or ""
            settings = await asyncio.to_thread(
                queue.settings_to_resume, home, run, str(minutes), limits.max_minutes
            )
            return await enqueue(datasette, request, settings, limits)
        datasette._nanogpt.news.forget()
    except NanogptError as ex:
        if said_json(request):
            return Response.json({"ok": False, "error": str(ex)}, status=400)
        datasette.add_message(request, str(ex), datasette.ERROR)
    return done(datasette, request, path, {"run": id})


# ---- Writing with a model


@page
async def model_page(datasette, request):
    """GET: the playground. POST: text as it comes, a JSON object a line."""
    home, name, limits = (
        home_of(datasette),
        unquote(tilde_decode(request.url_vars["model"])),  # written either way: names have no % in them
        start.Limits.of(datasette),
    )
    checkpoint = await asyncio.to_thread(found_model, home, name)
    origin = checkpoint and origin_of_model(datasette, checkpoint.meta)
    if not await may(datasette, request.actor, "view-table", origin):
        raise NotFound("There is no such model")
    may_write = await may(datasette, request.actor, "nanogpt-generate", origin)
    if request.method == "POST":
        if not may_write:
            raise Forbidden("Writing with this model needs the permission nanogpt-generate")
        return await write(datasette, request, checkpoint, origin, limits)
    error = None
    try:
        settings = play.read_settings({key: request.args[key] for key in request.args}, limits.max_tokens)
    except NanogptError as ex:
        error, settings = str(ex), play.read_settings({}, limits.max_tokens)
    meta = checkpoint.meta
    told = {
        "name": name,
        "database": origin.database,
        "table": meta["source"]["table"],
        "rows": meta["source"].get("rows"),
        "parameters": checkpoint.config.parameters,
        "context": checkpoint.config.block_size,
        "vocabulary": checkpoint.config.vocab_size,
        "score": meta.get("score"),
    }
    if wants_json(request):
        return Response.json({"ok": True, "model": told})
    context = {"model": told, "fields": settings, "settings": play.SETTINGS, "error": error}
    context |= {"may_write": may_write, "limits": limits, "origin": origin}
    context |= {"llm": play.llm_line(name, settings), "python": play.python_lines(name, settings)}
    return await render(datasette, request, "nanogpt_model.html", context)


async def write(datasette, request, checkpoint, origin, limits):
    try:
        settings = play.read_settings(await posted(request), limits.max_tokens)
    except NanogptError as ex:
        return Response.json({"ok": False, "error": str(ex)}, status=400)
    worker = datasette._nanogpt
    busy = "Others are writing just now: try again in a moment"
    if worker.writing >= limits.max_generations:
        return Response.json({"ok": False, "error": busy}, status=429, headers={"retry-after": "5"})

    async def stream(writer):
        async def tell(event):
            await writer.write(json.dumps(event) + "\n")

        if worker.writing >= limits.max_generations:
            return await tell({"error": busy})
        texts: list[str] = []
        seed = None
        gone = asyncio.create_task(until_gone(request))
        worker.writing += 1
        events = play.in_slices(play.pieces(checkpoint.path, settings))
        try:
            async for some in events:
                if gone.done():
                    return
                for event in some:
                    if "sample" in event:
                        texts.append("")
                        seed = event["seed"] if seed is None else seed
                    else:
                        texts[-1] += event["text"]
                    await tell(event)
            # The prompt is what a person wrote: only what the model wrote is looked for.
            found, looked, all_of_them = await asyncio.to_thread(play.find_recited, checkpoint, texts)
            for i, one in enumerate(found):
                await tell({"recited": i, **play.told_recited(one, datasette, origin.database)})
            same = (checkpoint.name, settings | {"seed": seed})
            lines = {"llm": play.llm_line(*same), "python": play.python_lines(*same)}
            await tell({"done": True, "rows": looked, "all_rows": all_of_them, **lines})
        except NanogptError as ex:
            await tell({"error": str(ex)})
        finally:
            await events.aclose()
            worker.writing -= 1
            gone.cancel()

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return AsgiStream(stream, headers=headers, content_type="application/x-ndjson; charset=utf-8")


async def until_gone(request) -> None:
    """Until the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
