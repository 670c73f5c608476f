"""The playground of a model, /-/nanogpt/models/<name>: text is written in the browser as it is generated."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from datasette import Request, Response
from datasette.app import Datasette
from datasette.utils import urlsafe_components
from datasette.utils.asgi import AsgiStream

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.titles import split_title

from ...data.memorization import MIN_WORDS
from ...data.model_rows import has_titles, open_rows
from ...registry import row_scores
from ...registry.kept_texts import kept_texts
from .. import play_settings, playground
from ..for_visitors import reading_for_visitors
from ..menus import rows_url
from ..permissions import Origin, may, models_to_write_with, visible_models
from ..prompts import asks_for_title, prompts_to_try
from ..responses import TRY_LATER, json_error, page, posted, render, sent_json, until_gone, wants_json
from ..shown_models import last_texts, require_model
from ..standing import standing
from ..state import state_of
from ..template_columns import Column, columns_to_set, last_column
from ..threads import in_thread, read_database

log = logging.getLogger("datasette_nanogpt")
BUSY = "Too many texts are being written at the moment: try again shortly"
SEND_SECONDS = 20.0  # how long a client may take to read a line: only few texts are written at once
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
SHOWN_TEXTS = 50  # how many kept texts are shown
# The settings that are folded away until one of them is set. A seed does not count: every text's link has
# one.
FOLDED = (*(key for key in play_settings.SETTINGS if key not in ("temperature", "seed")), "stop")
ROW_CHARACTERS = 50_000  # how much of a row can be continued or coloured


@page("GET", "POST")
async def model_page(datasette: Datasette, request: Request) -> Response | AsgiStream:
    """GET: the playground. A POST of a form by a browser is the same, for a prompt that is too long for an
    address. Any other POST: text as it is generated, one JSON object a line."""
    may_post = request.method == "POST"
    checkpoint, origin = await require_model(datasette, request, write=may_post)
    form = await posted(request) if may_post else {key: request.args[key] for key in request.args}
    navigates = "text/html" in (request.headers.get("accept") or "") and not sent_json(request)
    if may_post and not navigates:
        return await _write(datasette, request, checkpoint, origin, form)
    home = state_of(datasette).home
    model = _model_as_json(checkpoint, origin)
    texts = await in_thread(kept_texts, home, checkpoint.name, SHOWN_TEXTS)
    if wants_json(request):
        return Response.json({"ok": True, "model": model, "texts": texts})
    last = await last_texts(datasette, home, [model])
    context = {"model": model, "origin": origin, "kept": [_as_shown(text) for text in texts]}
    context["wrote"] = last.get(checkpoint.name)
    context |= await _playground(datasette, request, checkpoint, origin, form)
    return await render(datasette, request, "nanogpt_model.html", context)


def _as_shown(text: dict[str, Any]) -> dict[str, Any]:
    """A kept text with the query of an address that writes it again, "" if that is too long, the `whole` of
    it as it is copied, and what it `begins` with. The columns before the last one are not in that if they are
    listed above it, as `columns`."""
    settings = text["settings"]
    begins, last = settings.get("begins") or text["prompt"], settings.get("last") or 0
    shown = {"begins": begins[last:], "text": text["text"][max(0, last - len(begins)) :]}
    columns = {name: value for name, value in (settings.get("columns") or {}).items() if last and value}
    whole = (f"{text['title'].strip()}\n\n" if text["title"] else "") + begins + text["text"]
    link = play_settings.link({**settings, **text})
    return text | shown | {"whole": whole, "columns": columns, "link": link}


async def _playground(
    datasette: Datasette, request: Request, checkpoint: Checkpoint, origin: Origin, form: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields to write with. A wrong value in a link is replaced by its default, and the others are
    kept."""
    limits = state_of(datasette).limits
    settings, problems = play_settings.read_link(form, limits.max_tokens)
    wrong = {problem.field: f"{problem.message}." for problem in problems}
    errors: list[str] = []
    columns = await in_thread(columns_to_set, checkpoint)
    errors += _only_columns(settings, columns, checkpoint)
    row, row_error = await _row_of_address(datasette, checkpoint, origin, request)
    errors += [row_error] if row_error else []
    if row and row["show"] != "surprise":
        settings["prompt"] = row["text"]
    elif row:
        row["standing"] = await in_thread(_standing, state_of(datasette).home, checkpoint, row)
        place = {"model": checkpoint.name, "row": row["row"]}
        row["place"] = rows_url(datasette, origin.database, row["table"], **place)
    may_write = await may(datasette, request.actor, "nanogpt-generate", origin)
    return {
        "fields": settings,
        "stop_lines": play_settings.as_lines(settings["stop"]),
        "has_titles": asks_for_title(checkpoint),
        "columns": columns,
        "last_column": last_column(checkpoint) if columns else "",
        "settings": play_settings.SETTINGS,
        "groups": play_settings.GROUPS,
        "wrong": wrong,
        "more": "seed" in wrong or _is_set(FOLDED, settings, wrong, limits.max_tokens),
        "rare": _is_set(play_settings.RARE, settings, wrong, limits.max_tokens),
        "error": "\n".join(errors),
        "row": row,
        "verdict": ((checkpoint.meta.get("verdict") or {}).get("lines") or {}).get("reads like"),
        "may_write": may_write,
        "others": await _others(datasette, request, checkpoint) if may_write else [],
        "prompts": await in_thread(prompts_to_try, checkpoint) if may_write else [],
        "copied_words": MIN_WORDS,
        "limits": limits,
        "llm": play_settings.llm_line(checkpoint.name, settings),
        "python": play_settings.python_lines(checkpoint.name, settings),
    }


def _is_set(
    fields: Iterable[str], settings: Mapping[str, Any], wrong: Mapping[str, str], max_tokens: int
) -> bool:
    """Whether one of these fields differs from its default, or is wrong."""
    return any(key in wrong or settings[key] != play_settings.default_of(key, max_tokens) for key in fields)


def _only_columns(settings: dict[str, Any], columns: list[Column], checkpoint: Checkpoint) -> list[str]:
    """Keep the columns in a link that the model has, and return a message for each of the others. A title is
    one of them, if the model has a column of that name; the column of the titles is the title, if the page
    has a field for it."""
    if asks_for_title(checkpoint):
        for name in ("title", (checkpoint.meta.get("source") or {}).get("title") or "title"):
            given = settings["set"].pop(name, "")
            settings["title"] = settings["title"] or given
    names = [column.name for column in columns]
    if "title" in names and settings["title"]:
        settings["set"] = {"title": settings["title"], **settings["set"]}
        settings["title"] = ""
    unknown = [name for name in settings["set"] if name not in names]
    for name in unknown:
        del settings["set"][name]
    return [f"The texts of this model have no column {name} that can be set." for name in unknown]


async def _others(datasette: Datasette, request: Request, checkpoint: Checkpoint) -> list[str]:
    """The names of the other models that the actor may write with."""
    models = await visible_models(datasette, request.actor, lambda _: True)
    others = await models_to_write_with(datasette, request.actor, models)
    return [other.name for other in others if other.name != checkpoint.name]


async def _row_of_address(
    datasette: Datasette, checkpoint: Checkpoint, origin: Origin, request: Request
) -> tuple[dict[str, Any] | None, str]:
    """The row to continue or colour, `?table=…&row=…`, as the model reads it, and what is wrong with it. Only
    rows of the model's own tables are read."""
    table, key = request.args.get("table"), request.args.get("row")
    if not table or not key:
        return None, ""
    if table not in origin.tables:
        return None, f"{table} is no table of this model."

    def read() -> str | None:
        database = checkpoint.meta["source"]["database"]
        with reading_for_visitors(database):
            source = open_rows(checkpoint, database, table)
            return next(source.documents_by_key([urlsafe_components(key)]))

    try:
        text = await read_database(read)
    except NanogptError as ex:
        return None, str(ex)
    if not text:
        return None, f"There is no text in row {key} of {table}."
    url = str(datasette.urls.row(origin.database, table, key))
    show = request.args.get("show") or ""
    row = {"table": table, "row": key, "url": url, "text": text[:ROW_CHARACTERS], "show": show}
    title = split_title(row["text"])[0] if has_titles(checkpoint, table) else ""
    return row | {"title": " ".join(title.split())}, ""


def _standing(home: Path, checkpoint: Checkpoint, row: Mapping[str, Any]) -> str:
    """Where a row stands among all, as the list of rows says it; "" where it has no score, or has changed
    since then."""
    database = checkpoint.meta["source"]["database"]
    run, _ = row_scores.scorings(home, checkpoint.name, database, row["table"])
    scored = row_scores.figure(home, run["id"], row["row"]) if run else None
    if not run or not scored or scored["digest"] != row_scores.digest(row["text"]):
        return ""
    return str(standing(scored, row_scores.count(home, run["id"]))["standing"])


def _model_as_json(checkpoint: Checkpoint, origin: Origin) -> dict[str, Any]:
    source = checkpoint.meta["source"]
    return {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "database": origin.database,
        "table": source.get("table"),
        "rows": source.get("rows"),
        "parameters": checkpoint.config.parameters,
        "context": checkpoint.config.block_size,
        "vocabulary": checkpoint.config.vocab_size,
        "score": checkpoint.meta.get("score"),
    }


async def _write(
    datasette: Datasette, request: Request, checkpoint: Checkpoint, origin: Origin, form: Mapping[str, Any]
) -> Response | AsgiStream:
    state = state_of(datasette)
    try:
        settings = play_settings.read_settings(form, state.limits.max_tokens)
    except InvalidOptions as ex:
        problems = [{"field": problem.field, "message": problem.message} for problem in ex.problems]
        return Response.json({"ok": False, "error": str(ex), "problems": problems}, status=400)
    if state.writing >= state.limits.max_generations:
        return json_error(BUSY, 429, TRY_LATER)

    async def stream(writer: Any) -> None:
        async def send(event: dict[str, Any]) -> None:
            await writer.write(json.dumps(event) + "\n")

        if state.writing >= state.limits.max_generations:
            return await send({"error": BUSY})
        gone = asyncio.create_task(until_gone(request))
        state.writing += 1
        events = playground.write_and_compare(checkpoint, settings, datasette, origin.database)
        try:
            while not gone.done():
                event = await state.unless_stopping(_next_event(events, gone))
                if event is None:
                    return
                await asyncio.wait_for(send(event), SEND_SECONDS)
        except TimeoutError:
            return  # a client that reads so slowly would make others wait
        except NanogptError as ex:
            await send({"error": str(ex)})
        except Exception as ex:  # without a message the text would just end
            log.exception("Writing with %s failed", checkpoint.name)
            await send(
                {"error": f"This should not have happened: {type(ex).__name__}. The server's log has more"}
            )
        finally:
            await events.aclose()
            state.writing -= 1
            gone.cancel()

    return AsgiStream(stream, headers=STREAM_HEADERS, content_type="application/x-ndjson; charset=utf-8")


async def _next_event(
    events: AsyncIterator[playground.Event], gone: asyncio.Future[None]
) -> playground.Event | None:
    """The next event; None at the end, or as soon as the client is `gone`: looking for copied passages may
    take seconds, and whoever writes anew must not wait for a place until that is over."""
    step = asyncio.ensure_future(_or_none(events))
    either: set[asyncio.Future[Any]] = {step, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return step.result() if step.done() else None
    finally:
        step.cancel()
        await asyncio.wait({step})  # else the events could not be closed


async def _or_none(events: AsyncIterator[playground.Event]) -> playground.Event | None:
    return await anext(events, None)
