"""The queue of runs that were started in the browser.

In one home only one run is done at a time: two would only slow each other down. One transaction decides which
server does a queued run, so two servers never both do it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..formatting import utc_now
from .db import registry
from .run_log import run_log_name
from .runs import UNDER_WAY, find_runs, mark_dead_runs
from .statements import insert, update_run
from .waiting import begin


class QueueFullError(NanogptError):
    """As many runs wait as the server allows: that is its state, and no mistake in what was asked."""


def enqueue(
    home: Path,
    database: str,
    settings: dict[str, Any],
    actor: Any,
    limit: int,
    scored: str | None = None,
) -> int:
    """Put a run at the end of the queue. Returns its id.

    `settings` are those of `TrainOptions.given()`, and `actor` is Datasette's, as JSON. With
    `scored`, the rows of that table are scored by the model of that name; `table` of the settings is still
    what the model was trained on. Raises QueueFullError if `limit` runs are waiting already, NanogptError if
    one that scores the same rows is, and InvalidOptions if a run of that name waits or is under way.
    """
    tables = settings.get("table", ())
    trained_on = settings.get("sql") or (tables if isinstance(tables, str) else ", ".join(tables))
    row = {
        "kind": "score" if scored else "train",
        "name": settings["name"],
        "database": database,
        "table": scored or trained_on,
        "status": "queued",
        "started": utc_now(),
        "heartbeat": time.time(),
        "stop_requested": 0,
        "settings": json.dumps(settings),
        "actor": json.dumps(actor),
    }
    with registry(home, create=True) as db:
        begin(db)
        unfinished = db.execute(
            "select kind, name, database, \"table\", status from runs where status in ('queued', ?, ?)",
            UNDER_WAY,
        )
        _refuse_if_full_or_there(row, [dict(other) for other in unfinished], limit)
        return insert(db, "runs", row)


def _refuse_if_full_or_there(row: dict[str, Any], unfinished: list[dict[str, Any]], limit: int) -> None:
    waiting = [other for other in unfinished if other["status"] == "queued"]
    if len(waiting) >= limit:
        runs_are = "run is" if len(waiting) == 1 else "runs are"
        raise QueueFullError(f"{len(waiting)} {runs_are} waiting already: stop one of them, or try later")
    if row["kind"] == "score":
        same = ("kind", "name", "database", "table")
        if any(all(row[key] == other[key] for key in same) for other in waiting):
            raise NanogptError(f"The rows of {row['table']} are waiting to be scored already")
        return
    for other in unfinished:
        if (other["kind"], other["name"]) == ("train", row["name"]):
            state = "waiting" if other["status"] == "queued" else "under way"
            message = f"A run named {row['name']} is {state} already: choose another name"
            raise InvalidOptions([Problem("name", "taken", message)])


def claim(home: Path) -> int | None:
    """Take the next run out of the queue, trainings before scorings. Returns its id; None if there is none,
    or if another run is under way."""
    mark_dead_runs(home)
    if not find_runs(home, "status = 'queued'"):
        return None
    with registry(home) as db:
        begin(db)
        if db.execute("select 1 from runs where status in (?, ?)", UNDER_WAY).fetchone():
            return None
        first = "select id from runs where status = 'queued' order by kind = 'score', id limit 1"
        row = db.execute(first).fetchone()
        run = row["id"] if row else None
        if run is not None:
            claimed = {
                "status": "preparing",
                "note": "starting",
                "started": utc_now(),
                "heartbeat": time.time(),
                "pid": None,
                "process": None,
                "log": run_log_name(run),
            }
            update_run(db, run, claimed)
        return run


def training_waits(db: sqlite3.Connection) -> bool:
    """Whether a training is queued: a scoring gives way to it."""
    return db.execute("select 1 from runs where status = 'queued' and kind = 'train'").fetchone() is not None


def beat(home: Path, run: int, process: str | None) -> int:
    """Write the heartbeat of a run, whose own process may be too busy to do so. Returns its stop request: 0,
    1 or 2. `process` is the `process_id` of the run's process.
    """
    with registry(home) as db:
        update_run(db, run, {"heartbeat": time.time(), "process": process})
        asked = db.execute("select stop_requested from runs where id = ?", [run]).fetchone()
    return int(asked["stop_requested"]) if asked else 2  # its record was deleted: nobody waits for it


def ask_to_stop(home: Path, run: int, request: int) -> None:
    """Ask a run to stop: 1 anneals, 2 saves at once. One that waits is taken out of the queue."""
    with registry(home) as db:
        asked = "update runs set stop_requested = max(stop_requested, ?), goes_on = null where id = ?"
        db.execute(asked, [request, run])
        db.execute(
            "update runs set status = 'stopped', ended = ? where id = ? and status = 'queued'",
            [utc_now(), run],
        )


def interrupt(home: Path, run: int) -> None:
    """Record that a claimed run was cut short by its server, not stopped by a person.

    A run that had not begun to train goes back to the queue; others are resumed by the next server
    (restart.py).
    """
    with registry(home) as db:
        db.execute(
            "update runs set status = 'queued', stop_requested = 0, note = null, ended = null, error = null "
            "where id = ? and step is null and status in ('stopped', ?, ?)",
            [run, *UNDER_WAY],
        )
        db.execute(
            "update runs set status = 'interrupted', stop_requested = 0, note = null, goes_on = 1, "
            "error = ?, ended = ifnull(ended, ?) where id = ? and status in ('stopped', ?, ?)",
            ["The server stopped during this run.", utc_now(), run, *UNDER_WAY],
        )
