"""The page of the most and least typical rows of a table, /<database>/<table>/-/nanogpt/rows."""

from __future__ import annotations

import functools
import math
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import Forbidden, NotFound, Request, Response
from datasette.app import Datasette
from datasette.database import Database
from datasette.utils import urlsafe_components

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.titles import split_title

from ...data.corpus import location
from ...data.model_rows import has_titles, open_rows
from ...data.source import Source
from ...formatting import duration, text_size
from ...registry import row_scores
from ...registry.runs import plan_of
from ..for_visitors import reading_for_visitors
from ..menus import row_count, rows_url
from ..permissions import Origin, may, models_of_table, origin_of_model, origin_of_run, table_of_request
from ..responses import changed, page, posted, refusal, render, sent_json, wants_json, whole_number
from ..score_rows import check_has_keys
from ..shown_models import best_first
from ..shown_runs import as_seen_by, enqueue, run_as_json
from ..standing import standing
from ..state import state_of
from ..threads import UNAVAILABLE, in_thread, read_database

SHOWN_ROWS = 20  # how many rows a page has, unless the address says _size
AROUND = 5  # how many rows are shown before and after one that is asked for
MAX_ROWS = 1000  # the most rows of a page
EXCERPT = 120  # how many characters of a row, and of its title, are shown
# Bytes times parameters that are scored in a second, a guess for two cores until something was scored here:
# 10 GFLOP/s of numpy, with three bytes in a token and two operations a parameter.
SCORING_SPEED = 1.5e10


@page("GET", "POST")
async def rows_page(datasette: Datasette, request: Request) -> Response:
    """GET: the rows, sorted. POST: queue the run that scores them."""
    db, table = await table_of_request(datasette, request)
    models = [model for model, _ in await models_of_table(datasette, request.actor, db.name, table)]
    form = await posted(request) if request.method == "POST" else {}
    name = request.args.get("model") or str(form.get("model") or "")
    checkpoint = await _chosen_model(state_of(datasette).home, db, table, models, name)
    origin = origin_of_model(datasette, checkpoint.meta) if checkpoint else None
    may_score = await may(datasette, request.actor, "nanogpt-generate", origin)
    error, status, headers = None, 200, dict[str, str]()
    if request.method == "POST":
        if not checkpoint or not origin or not may_score:
            raise Forbidden("Scoring rows with a model needs the permission nanogpt-generate")
        try:
            run = await _enqueue_scoring(datasette, request, db, table, checkpoint, origin)
            row = request.args.get("row")
            path = f"/-/nanogpt/runs/{run}" + (f"?{urlencode({'row': row})}" if row else "")
            return changed(datasette, request, path, {"run": run})
        except UNAVAILABLE:
            raise
        except NanogptError as ex:
            error, (status, headers) = str(ex), refusal(ex)
    context: dict[str, Any] = {"error": error, "database": db.name, "table": table}
    context |= {"models": [model.name for model in models], "model": None, "may_score": may_score}
    if checkpoint:
        context |= await _scores(datasette, request, db, table, checkpoint)
        context["is_view"] = await db.view_exists(table)
        context["command"] = await _command(db, table, checkpoint, may_score)
    if wants_json(request) or sent_json(request):
        return Response.json({"ok": error is None, **context}, status=status, headers=headers)
    context["link"] = functools.partial(rows_url, datasette, db.name, table)
    size = _Choice.of(request).size
    context["sized"] = {} if size == SHOWN_ROWS else {"_size": size}  # in links to other pages
    return await render(datasette, request, "nanogpt_rows.html", context, status, headers)


async def _command(db: Database, table: str, checkpoint: Checkpoint, whole_path: bool) -> str:
    """The command that scores the rows in a terminal. Those of a view have no key to save their scores
    under."""
    file = _file(db) if whole_path else Path(_file(db)).name
    words = ["llm", "nanogpt", "score", checkpoint.name, "--db", file, "--table", table]
    return shlex.join(words if await db.view_exists(table) else [*words, "--save-table", "scores"])


async def _chosen_model(
    home: Path, db: Database, table: str, models: list[Checkpoint], name: str | None
) -> Checkpoint | None:
    """The model of that name; without a name, the best one, as `best_first` has it, of those that have scored
    the rows, or else of all.
    Raises NotFound for a name that is not among the models."""
    if name:
        model = next((model for model in models if model.name == name), None)
        if model is None:
            raise NotFound(f"There is no such model of {table}")
        return model
    models = best_first(models)
    for model in models:
        if (await in_thread(row_scores.scorings, home, model.name, _file(db), table))[0]:
            return model
    return models[0] if models else None


def _file(db: Database) -> str:
    return location(str(db.path))


async def _enqueue_scoring(
    datasette: Datasette, request: Request, db: Database, table: str, checkpoint: Checkpoint, origin: Origin
) -> int:
    """Queue the run that scores the rows, and return its id. Raises NanogptError if they cannot be read."""

    def open_them() -> Source:
        with reading_for_visitors(_file(db)):
            return open_rows(checkpoint, _file(db), table)

    # Another process will score them, but the message should come now.
    source = await state_of(datasette).unless_stopping(read_database(open_them))
    check_has_keys(source.keys, table)
    settings = {
        "database": _file(db),
        "table": list(origin.tables),
        "name": checkpoint.name,
        "minutes": state_of(datasette).limits.max_minutes,
    }
    return await enqueue(datasette, request.actor, settings, table)


@dataclass(frozen=True)
class _Choice:
    """The rows that an address asks for."""

    by: str  # "most" or "least" typical first
    page: int | None  # from 1; None for the one with the `row`, or else the first
    size: int  # rows on a page
    row: str | None  # one row, by its primary key, whose rank is asked for

    @classmethod
    def of(cls, request: Request) -> _Choice:
        args = request.args
        by = "most" if args.get("_sort") == "bits_per_byte" else "least"
        size = min(whole_number(args.get("_size"), SHOWN_ROWS), MAX_ROWS)
        number = whole_number(args.get("page"), 1) if args.get("page") else None
        return cls(by, number, size, args.get("row"))


async def _scores(
    datasette: Datasette, request: Request, db: Database, table: str, checkpoint: Checkpoint
) -> dict[str, Any]:
    """What the page shows of one model."""
    home, choice = state_of(datasette).home, _Choice.of(request)
    runs = await in_thread(row_scores.scorings, home, checkpoint.name, _file(db), table)
    # The model may have had other tables at the time of a scoring, which the actor may not see.
    kept, last = [await _if_visible(datasette, request, run) for run in runs]
    shown: dict[str, Any] = {"model": checkpoint.name, "run": last and run_as_json(*last)}
    shown["estimate"] = await in_thread(_estimate, home, checkpoint, await row_count(db, table))
    number = choice.page or 1
    shown |= {"scored": None, "rows": [], "by": choice.by, "page": number, "pages": 0, "partial": False}
    shown["row"] = {"row": choice.row} if choice.row else None
    if not kept:
        return shown
    run, _ = kept
    count = await in_thread(row_scores.count, home, run["id"])
    pages = math.ceil(count / choice.size)
    if choice.row:
        scored = await in_thread(row_scores.figure, home, run["id"], choice.row, choice.by)
        if scored:
            page_of_it = math.ceil(scored["place"] / choice.size)
            shown["row"] = scored | standing(scored, count) | {"page": page_of_it}
            number = choice.page or shown["row"]["page"]
    number = min(number, max(1, pages))
    start, size = choice.size * (number - 1), choice.size
    if around := choice.page is None and shown["row"] and shown["row"].get("place"):
        start, size = max(0, around - 1 - AROUND), AROUND + min(around, AROUND + 1)
    rows = await in_thread(row_scores.page, home, run["id"], choice.by, start, size)
    await _add_texts(datasette, db, table, checkpoint, [*rows, *filter(None, [shown["row"]])])
    lowest, middle, highest = await in_thread(row_scores.spread, home, run["id"], count)
    plan = plan_of(run)
    return shown | {
        "rows": rows,
        "page": number,
        "pages": pages,
        "size": size,
        "around": bool(around),  # one row is asked for, and these are those around it: no page of the list
        "count": count,
        "lowest": lowest,
        "middle": middle,
        "highest": highest,
        "flattered": await in_thread(row_scores.flattered, home, run["id"]),
        "has_titles": any(row["title"] for row in rows),
        "partial": run["status"] in row_scores.GOES_ON,
        "scored": {"id": run["id"], "ended": run["ended"], "status": run["status"], **plan},
        "stale": plan["version"] != checkpoint.version,
        "cut": plan["scored"] + sum(plan["skipped"].values()) < plan["rows"],
    }


async def _add_texts(
    datasette: Datasette, db: Database, table: str, checkpoint: Checkpoint, rows: list[dict[str, Any]]
) -> None:
    """Add to each row its address, the beginning of its text, and whether that has changed since."""
    keys = [row["row"] for row in rows]
    texts: list[str | None] = [None] * len(rows)
    with suppress(NanogptError):  # the scores can be shown without texts
        texts = await read_database(_texts, checkpoint, _file(db), table, keys)
    titled = has_titles(checkpoint, table)
    for row, text in zip(rows, texts, strict=True):
        row["url"] = row["row"] and str(datasette.urls.row(db.name, table, row["row"]))
        row["changed"] = text is not None and "digest" in row and row_scores.digest(text) != row["digest"]
        title, body = split_title(text or "") if titled else ("", text or "")
        row["title"], row["excerpt"] = _excerpt(title), _excerpt(body)
        row["text"] = text and " ".join(text.split())[:EXCERPT]
        for key in ("run", "id", "digest"):
            row.pop(key, None)


def _excerpt(text: str) -> str:
    """The beginning of a text on one line, cut at a word."""
    line = " ".join(text[: 10 * EXCERPT].split())
    return line if len(line) <= EXCERPT else line[:EXCERPT].rsplit(" ", 1)[0] + " …"


def _estimate(home: Path, checkpoint: Checkpoint, count: int | None) -> str:
    """How much there is to score and how long that takes; "" if the model does not know its rows.
    `count`: the rows of the table now, if that is known."""
    rows = (checkpoint.meta.get("source") or {}).get("rows")
    size = (checkpoint.meta.get("corpus") or {}).get("bytes")
    if not rows or not size:
        return ""
    speed = row_scores.scoring_speed(home)
    seconds = size * checkpoint.config.parameters / (speed or SCORING_SPEED)
    than = "as fast as the last scoring here" if speed else "on two cores"
    about = "" if rows == count else "About "
    return f"{about}{rows:,} rows, {text_size(size)} of text: it takes about {duration(seconds)}, {than}."


async def _if_visible(
    datasette: Datasette, request: Request, run: dict[str, Any] | None
) -> tuple[dict[str, Any], Origin] | None:
    origin = origin_of_run(datasette, run) if run else None
    if not run or not origin or not await may(datasette, request.actor, "view-table", origin):
        return None
    return await as_seen_by(datasette, request.actor, run, origin), origin


def _texts(checkpoint: Checkpoint, database: str, table: str, rows: list[str | None]) -> list[str | None]:
    """The text of each row as the model reads it; None if it cannot be read."""
    source = open_rows(checkpoint, database, table)
    texts = source.documents_by_key([urlsafe_components(row) for row in rows if row])
    return [next(texts) if row else None for row in rows]
