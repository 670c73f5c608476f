"""The playground of a model, /-/nanogpt/models/<name>: text is written in the browser as it is generated."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

from datasette import Forbidden, NotFound, Request, Response
from datasette.app import Datasette
from datasette.utils import tilde_decode
from datasette.utils.asgi import AsgiStream

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError

from ...data.memorization import MIN_WORDS
from .. import playground
from ..permissions import NOWHERE, Origin, may, origin_of_model
from ..responses import json_error, page, posted, render, wants_json
from ..shown_models import find_model
from ..state import state_of
from ..threads import in_thread

BUSY = "Too many texts are being written at the moment: try again shortly"
SEND_SECONDS = 20.0  # for a reader to take a line: of those who write at once there may be few
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@page
async def model_page(datasette: Datasette, request: Request) -> Response | AsgiStream:
    """GET: the playground. POST: text as it is generated, a JSON object a line."""
    state = state_of(datasette)
    # The name may be percent-encoded or tilde-encoded: no name of a model has a % in it.
    name = unquote(tilde_decode(request.url_vars["model"]))
    checkpoint = await in_thread(find_model, state.home, name)
    origin = checkpoint and origin_of_model(datasette, checkpoint.meta)
    # Of a model that is not there, and of one that is shown to nobody, the same is asked.
    allowed = await may(datasette, request.actor, "view-table", origin or NOWHERE)
    if not checkpoint or not origin or not allowed:
        raise NotFound("There is no such model")
    may_write = await may(datasette, request.actor, "nanogpt-generate", origin)
    if request.method == "POST":
        if not may_write:
            raise Forbidden("Writing with this model needs the permission nanogpt-generate")
        return await _write(datasette, request, checkpoint, origin)
    model = _model_as_json(checkpoint, origin)
    if wants_json(request):
        return Response.json({"ok": True, "model": model})
    error, limit = None, state.limits.max_tokens
    try:
        settings = playground.read_settings({key: request.args[key] for key in request.args}, limit)
    except NanogptError as ex:
        error, settings = str(ex), playground.read_settings({}, limit)
    context = {
        "model": model,
        "fields": settings,
        "has_titles": checkpoint.config.titles,
        "settings": playground.SETTINGS,
        "error": error,
        "may_write": may_write,
        "copied_words": MIN_WORDS,
        "limits": state.limits,
        "origin": origin,
        "llm": playground.llm_line(name, settings),
        "python": playground.python_lines(name, settings),
    }
    return await render(datasette, request, "nanogpt_model.html", context)


def _model_as_json(checkpoint: Checkpoint, origin: Origin) -> dict[str, Any]:
    source = checkpoint.meta["source"]
    return {
        "name": checkpoint.name,
        "database": origin.database,
        "table": source["table"],
        "rows": source.get("rows"),
        "parameters": checkpoint.config.parameters,
        "context": checkpoint.config.block_size,
        "vocabulary": checkpoint.config.vocab_size,
        "score": checkpoint.meta.get("score"),
    }


async def _write(
    datasette: Datasette, request: Request, checkpoint: Checkpoint, origin: Origin
) -> Response | AsgiStream:
    state = state_of(datasette)
    try:
        settings = playground.read_settings(await posted(request), state.limits.max_tokens)
    except NanogptError as ex:
        return json_error(str(ex))
    if state.writing >= state.limits.max_generations:
        return json_error(BUSY, 429, {"retry-after": "5"})

    async def stream(writer: Any) -> None:
        async def send(event: dict[str, Any]) -> None:
            await writer.write(json.dumps(event) + "\n")

        if state.writing >= state.limits.max_generations:
            return await send({"error": BUSY})
        gone = asyncio.create_task(_until_gone(request))
        state.writing += 1
        events = playground.write_and_compare(checkpoint, settings, datasette, origin.database)
        try:
            while not gone.done():
                event = await state.unless_stopping(anext(events, None))
                if event is None:
                    return
                await asyncio.wait_for(send(event), SEND_SECONDS)
        except TimeoutError:
            return  # whoever reads so slowly makes others wait
        except NanogptError as ex:
            await send({"error": str(ex)})
        finally:
            await events.aclose()
            state.writing -= 1
            gone.cancel()

    return AsgiStream(stream, headers=STREAM_HEADERS, content_type="application/x-ndjson; charset=utf-8")


async def _until_gone(request: Request) -> None:
    """Return when the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
