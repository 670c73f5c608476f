"""The answers of pages: HTML, JSON, CSV or a redirect; and the body of a POST."""

from __future__ import annotations

import asyncio
import csv
import functools
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from datasette import NotFound, Request, Response
from datasette.app import Datasette
from datasette.utils.asgi import AsgiStream, AsgiWriter

from llm_nanogpt.errors import NanogptError

from ..registry.db import RegistryError, RegistryLockedError, patience
from ..registry.queue import QueueFullError
from ..registry.run_log import log
from .threads import REGISTRY_SECONDS, BusyError

NO_REGISTRY = (
    "The record of runs and texts cannot be used at the moment: try again, or look in the server's log"
)
LOCKED = "The record of runs and texts is locked by another program at the moment: try again shortly"

# Seconds: the header of answers that a busy server gives, and of those while as many runs wait as it allows.
TRY_LATER = {"retry-after": "5"}
QUEUE_LATER = {"retry-after": "60"}

FORM_TYPE, JSON_TYPE = "application/x-www-form-urlencoded", "application/json"

View = Callable[[Datasette, Request], Awaitable[Response | AsgiStream]]


def page(*methods: str) -> Callable[[View], View]:
    """A view that answers these methods, and HEAD with GET, and others with 405; all, if none is given.

    Its NotFound, MalformedBodyError, BusyError and RegistryError are answered here. Where rich is installed,
    Datasette would spend a second on the traceback of each, with all local variables. A registry that
    another program has locked is waited for REGISTRY_SECONDS, then the answer is 503."""
    allowed = (*methods, "HEAD") if "GET" in methods else methods

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def answered(datasette: Datasette, request: Request) -> Response | AsgiStream:
            answer: tuple[int, str, str, Mapping[str, str]]
            try:
                if allowed and request.method not in allowed:
                    raise MethodNotAllowedError(
                        f"{request.method} is not possible here: {' or '.join(methods)} is"
                    )
                with patience(REGISTRY_SECONDS):
                    return await view(datasette, request)
            except MethodNotAllowedError as ex:
                answer = 405, "Method not allowed", str(ex), {"allow": ", ".join(allowed)}
            except NotFound as ex:
                answer = 404, "Not found", str(ex), {}
            except MalformedBodyError as ex:
                answer = 400, "Bad request", str(ex), {}
            except RegistryLockedError as ex:  # its message names folders: it is for the log only
                log.warning("%s: %s", request.path, ex)
                answer = 503, "Busy", LOCKED, TRY_LATER
            except RegistryError as ex:  # the same
                log.warning("%s: %s", request.path, ex)
                answer = 503, "Not available", NO_REGISTRY, {}
            except BusyError as ex:
                answer = 503, "Busy", str(ex), TRY_LATER
            return await _error(datasette, request, *answer)

        return answered

    return decorate


async def _error(
    datasette: Datasette, request: Request, status: int, title: str, error: str, headers: Mapping[str, str]
) -> Response:
    if wants_json(request) or sent_json(request):
        response = Response.error(error, status)
    else:
        context = {"title": title, "error": error, "ok": False, "status": status}
        response = await render(datasette, request, "error.html", context, status)
    response.headers.update(headers)
    return response


def wants_json(request: Request) -> bool:
    """Whether the address ends in .json."""
    return request.url_vars.get("format") == "json"


def sent_json(request: Request) -> bool:
    """Whether the body of a POST is JSON. Then the answer is JSON, too."""
    return _content_type(request) == JSON_TYPE


def _content_type(request: Request) -> str:
    return (request.headers.get("content-type") or FORM_TYPE).partition(";")[0].strip().lower()


def whole_number(text: str | None, default: int) -> int:
    """A whole number from 1 in an address; `default` if there is none that makes sense."""
    return max(1, int(text)) if text and text.isdecimal() and len(text) < 10 else default


class MethodNotAllowedError(NanogptError):
    """The method of a request is none of those of its page."""


class MalformedBodyError(NanogptError):
    """The body of a POST cannot be read."""


async def posted(request: Request) -> dict[str, str | float | None]:
    """The fields of a form, or of a JSON object. Raises MalformedBodyError if the body is neither, or if a
    field is neither text nor a number: read as a form, another body would have none, and start a run."""
    if _content_type(request) not in (FORM_TYPE, JSON_TYPE):
        raise MalformedBodyError(f"The body must be {JSON_TYPE} or {FORM_TYPE}")
    kind = "a JSON object" if sent_json(request) else "a form in UTF-8"
    try:
        body = await (request.json() if sent_json(request) else request.post_vars())
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
        body = None
    if not isinstance(body, dict):
        raise MalformedBodyError(f"The body must be {kind}")
    for key, value in body.items():
        if not isinstance(value, str | int | float | None) or not _is_unicode(f"{key}{value}"):
            raise MalformedBodyError(f"The field {key!a} must be text or a number")
    return body


def _is_unicode(text: str) -> bool:
    """Whether a text is free of lone surrogates, which JSON can hold and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


async def render(
    datasette: Datasette,
    request: Request,
    template: str,
    context: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    html = await datasette.render_template(template, context, request=request)
    return Response.html(html, status=status, headers=dict(headers or {}))


def json_error(message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> Response:
    return Response.json({"ok": False, "error": message}, status=status, headers=headers)


def refusal(ex: NanogptError) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer that says why something was not done: 400 for what is wrong
    with what was asked, but 503 for a full queue."""
    return (503, QUEUE_LATER) if isinstance(ex, QueueFullError) else (400, {})


def not_done(datasette: Datasette, request: Request, ex: NanogptError) -> Response | None:
    """Say why something was not done: in an answer to a program, or as a message on the page that comes next,
    with no answer of its own."""
    if sent_json(request):
        return json_error(str(ex), *refusal(ex))
    datasette.add_message(request, str(ex), datasette.ERROR)
    return None


async def until_gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def csv_file(
    request: Request, name: str, columns: Sequence[str], pages: AsyncIterator[Iterable[Sequence[Any]]]
) -> AsgiStream:
    """A CSV file that browsers save as `name`, sent in pages. Each page is read when the one before has been
    sent, so a slow client keeps one page in memory. Nothing is read for a client that has gone away."""

    async def write(writer: AsgiWriter) -> None:
        gone = asyncio.create_task(until_gone(request))
        try:
            await writer.write(_csv_lines([columns]))
            async for rows in pages:
                if gone.done():
                    return
                await writer.write(_csv_lines(rows))
        finally:
            gone.cancel()

    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return AsgiStream(write, headers=headers, content_type="text/csv; charset=utf-8")


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def changed(datasette: Datasette, request: Request, path: str, result: Mapping[str, Any]) -> Response:
    """The answer to a POST that changed something: a redirect to the page at `path`, or for a JSON body its
    address and the `result` as JSON."""
    url = datasette.urls.path(path)
    if sent_json(request):
        return Response.json({"ok": True, "url": url, **result})
    return Response.redirect(url)
