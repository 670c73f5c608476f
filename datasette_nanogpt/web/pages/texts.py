"""Actions on texts of a model: /-/nanogpt/models/<name>/copied, /surprise, /keep and /texts/<id>/remove. All
are POST, for those who may write with the model."""

from __future__ import annotations

from typing import Any

from datasette import Request, Response
from datasette.app import Datasette

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError

from ...registry.kept_texts import keep_text, remove_text
from .. import play_settings, playground
from ..menus import model_url
from ..permissions import Origin
from ..responses import TRY_LATER, json_error, page, posted, sent_json
from ..shown_models import require_model
from ..state import state_of
from ..template_columns import written_columns
from ..threads import UNAVAILABLE, in_thread, read_database
from .model import BUSY


@page("POST")
async def text_change(datasette: Datasette, request: Request) -> Response:
    """The body is a form or a JSON object with a `text`. The answer is JSON; if a browser removed a text with
    a form, it is a redirect to the page of the model, with what the address had filled in."""
    checkpoint, origin = await require_model(datasette, request, write=True)
    form = await posted(request)
    change, home = request.url_vars["change"], state_of(datasette).home
    try:
        if change == "copied":
            answer = await _copied(datasette, checkpoint, origin, form)
        elif change == "surprise":
            state = state_of(datasette)
            if state.writing >= state.limits.max_generations:
                return json_error(BUSY, 429, TRY_LATER)
            state.writing += 1
            try:
                work = in_thread(playground.surprise, checkpoint.path, str(form.get("text") or ""))
                answer = await state.unless_stopping(work)
            finally:
                state.writing -= 1
        elif change == "keep":
            text = _text_to_keep(datasette, checkpoint, form)
            answer = {"text": await in_thread(keep_text, home, text, request.actor)}
        else:
            await in_thread(remove_text, home, checkpoint.name, int(request.url_vars["text"]))
            answer = {}
    except UNAVAILABLE:
        raise
    except NanogptError as ex:
        return json_error(str(ex))
    if not sent_json(request) and change.endswith("remove"):
        query = f"?{request.query_string}" if request.query_string else ""
        return Response.redirect(f"{model_url(datasette, checkpoint.name)}{query}#kept")
    return Response.json({"ok": True, **answer})


async def _copied(
    datasette: Datasette, checkpoint: Checkpoint, origin: Origin, form: dict[str, Any]
) -> dict[str, Any]:
    """The copied passages of a text, for one that was stopped, and its columns, if it has any."""
    settings, text = _settings(datasette, form), str(form.get("text") or "")
    row = written_columns(checkpoint, settings, text)
    result = await state_of(datasette).unless_stopping(
        read_database(playground.find_copied, checkpoint, [text])
    )
    found = playground.memorized_as_json(result.texts[0], datasette, origin.database)
    return {**found, "rows": result.rows, "all_rows": result.complete, **row}


def _settings(datasette: Datasette, form: dict[str, Any]) -> dict[str, Any]:
    return play_settings.read_settings(form, state_of(datasette).limits.max_tokens)


def _text_to_keep(datasette: Datasette, checkpoint: Checkpoint, form: dict[str, Any]) -> dict[str, Any]:
    """The row of kept_texts for a posted text. Raises NanogptError for invalid settings or an empty text."""
    settings = _settings(datasette, form)
    if not form.get("text"):
        raise NanogptError("There is no text to keep")
    row = written_columns(checkpoint, settings, str(form["text"]))
    if row:
        settings |= {key: row[key] for key in ("begins", "columns")}
        rest = (row["rest"] or "").lstrip()
        settings["last"] = (row["begins"] + str(form["text"])).rfind(rest) if rest else 0
    return {
        "model": checkpoint.name,
        "version": str(form.get("version") or checkpoint.version),
        "text": str(form["text"]),
        **{name: settings.pop(name) for name in ("title", "prompt", "seed")},
        "settings": settings,
    }
