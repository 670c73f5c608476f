"""Runs that are asked for in the browser: a queue in the registry, a worker a server, a child a run.

A run trains a model, or scores the rows of a table with one. One at a time on one home, whoever started
it: two would only slow each other. Which server does a queued run is settled by one transaction, so two
servers on one home never do it twice.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint, read_safetensors_header
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.locks import is_training

from ..formatting import utc_now
from .runs import open_registry

POLL_SECONDS = 1.0  # between looks at the queue, which other servers fill as well
SILENT_SECONDS = 15.0  # without a sign of life and without its model's lock, a run is dead
SHUTDOWN_SECONDS = 8.0  # for the child to save what it has, of the 10 that a shutdown may take
YIELDING = 10  # of 19: how nice training is to the rest of the machine
UNDER_WAY = ("preparing", "running")
OVER = ("finished", "stopped", "failed", "interrupted")


# ---- The registry, as the server uses it

_ready: dict[Path, int] = {}  # home -> inode of its registry, once migrated


@contextmanager
def registry(home: Path, create: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection of one's own, committed at the end. Raises NanogptError where there is none to be had."""
    file = home / "nanogpt.db"
    if not create and not file.exists():
        raise NanogptError(f"Nothing was trained yet in {home}")
    if not file.exists() or _ready.get(home) != file.stat().st_ino:
        open_registry(home).close()
        _ready[home] = file.stat().st_ino
    with closing(sqlite3.connect(file, timeout=30)) as db, db:
        db.row_factory = sqlite3.Row
        yield db


def runs(home: Path, where: str = "1", *values: Any) -> list[dict[str, Any]]:
    """Runs as dicts, the newest first."""
    try:
        with registry(home) as db:
            found = db.execute(f"select * from runs where {where} order by id desc", values)
            return [as_told(db, row) for row in found]
    except NanogptError:
        return []


def as_told(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A run, and where it waits, after which one."""
    run = dict(row)
    if run["status"] == "queued":
        before = "select id from runs where status in (?, ?) or (status = 'queued' and id < ?) "
        before += "order by status = 'queued' desc, id desc limit 1"
        found = db.execute(before, [*UNDER_WAY, run["id"]]).fetchone()
        run["note"] = f"after run {found[0]}" if found else None
    return run


def find_run(home: Path, id: int) -> dict[str, Any] | None:
    return next(iter(runs(home, "id = ?", id)), None)


def enqueue(
    home: Path, database: str, settings: dict[str, Any], actor: Any, most: int, scored: str | None = None
) -> int:
    """Put a run at the end of the queue; its id. `settings` are those of `TrainOptions.given()`.

    With `scored`, the rows of that table are scored by the model of that name; `table` of the settings is
    still what the model was trained on. Raises NanogptError where `most` are waiting already, or one for
    the same.
    """
    tables = settings.get("table", ())
    trained = settings.get("sql") or (tables if isinstance(tables, str) else ", ".join(tables))
    row = {
        "kind": "score" if scored else "train",
        "name": settings["name"],
        "database": database,
        "table": scored or trained,
        "status": "queued",
        "started": utc_now(),
        "heartbeat": time.time(),
        "stop_requested": 0,
        "settings": json.dumps(settings),
        "actor": json.dumps(actor),
    }
    with registry(home, create=True) as db:
        db.execute("begin immediate")
        others = db.execute("select * from runs where status in ('queued', ?, ?)", UNDER_WAY).fetchall()
        waiting = [other for other in others if other["status"] == "queued"]
        if len(waiting) >= most:
            raise NanogptError(f"{len(waiting)} runs are waiting already: stop one of them, or try later")
        same = ("kind", "name", "database", "table") if scored else ("kind", "name")
        for other in waiting if scored else others:
            if all(row[key] == other[key] for key in same):
                if scored:
                    raise NanogptError(f"The rows of {scored} wait to be scored already")
                where = "waiting" if other in waiting else "under way"
                raise NanogptError(f"A run named {row['name']} is {where} already: choose another name")
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        return db.execute(f"insert into runs ({names}) values ({marks})", list(row.values())).lastrowid


def claim(home: Path) -> int | None:
    """The next run to train, now ours; None while there is none, or while another one is under way."""
    mark_dead(home)
    if not runs(home, "status = 'queued'"):
        return None
    with registry(home) as db:
        db.execute("begin immediate")
        if db.execute("select 1 from runs where status in (?, ?)", UNDER_WAY).fetchone():
            return None
        found = db.execute("select min(id) from runs where status = 'queued'").fetchone()[0]
        change = (
            "update runs set status = 'preparing', note = 'starting', started = ?, heartbeat = ?, pid = null"
        )
        db.execute(change + " where id = ?", [utc_now(), time.time(), found])
        return found


def mark_dead(home: Path) -> None:
    """Mark as interrupted what seems to be under way, but shows no sign of life."""
    for run in runs(home, "status in (?, ?) and heartbeat < ?", *UNDER_WAY, time.time() - SILENT_SECONDS):
        if run["kind"] == "score" or not is_training(home / run["name"]):
            told = "Its process gives no sign of life: it was killed, or the computer was switched off."
            end(home, run["id"], "interrupted", told)


def end(home: Path, run: int, status: str, error: str | None = None) -> None:
    """Note how a run ended, unless it did that itself."""
    with registry(home) as db:
        change = (
            "update runs set status = ?, error = ?, ended = ?, note = null "
            "where id = ? and status in ('queued', ?, ?)"
        )
        db.execute(change, [status, error, utc_now(), run, *UNDER_WAY])


def ask_to_stop(home: Path, run: int, how: int) -> None:
    """Ask a run to stop: 1 anneals, 2 saves at once. One that waits is taken out of the queue."""
    with registry(home) as db:
        db.execute("update runs set stop_requested = max(stop_requested, ?) where id = ?", [how, run])
        change = "update runs set status = 'stopped', ended = ? where id = ? and status = 'queued'"
        db.execute(change, [utc_now(), run])


def forget(home: Path, run: int) -> None:
    """Delete what is known of a run. Its model stays."""
    with registry(home) as db:
        if not db.execute(
            "delete from runs where id = ? and status not in (?, ?)", [run, *UNDER_WAY]
        ).rowcount:
            raise NanogptError("A run that is under way cannot be deleted: stop it first")
        for table in ("metrics", "samples", "scores"):
            db.execute(f"delete from {table} where run = ?", [run])


def resumable(home: Path, run: dict[str, Any], most: float) -> float | None:
    """How many minutes to offer for going on with a run: what is left, or 3, at most `most`. None where it
    cannot. What is kept is of the last run with a score: one that ended before that replaced nothing."""
    theirs = "val_bpb is not null or json_extract(settings, '$.resume')"
    where = f"name = ? and kind = 'train' and ({theirs} or status in ('queued', ?, ?))"
    latest = next(iter(runs(home, where, run["name"], *UNDER_WAY)), None)
    state = home / run["name"] / "training" / "state.safetensors"
    if run["status"] not in OVER or not latest or latest["id"] != run["id"] or not state.exists():
        return None
    given = _minutes_given(home, run)
    left = given - kept_state(home, run["name"]).get("seconds", 0.0) / 60
    return min(round(left, 1) if left > 0.1 and run["status"] != "finished" else 3.0, most)


def _minutes_given(home: Path, run: dict[str, Any]) -> float:
    """What a run was to take, as asked or else as its model knows it; 0 where steps alone were limited."""
    settings = {}
    with suppress(NanogptError):
        settings = read_checkpoint(home / run["name"]).meta.get("settings") or {}
    asked = json.loads(run["settings"]).get("minutes")
    return asked or settings.get("run_minutes") or settings.get("minutes") or 0.0


def kept_state(home: Path, name: str) -> dict[str, Any]:
    """Where a resume goes on: `step`, `seconds` and more; empty where nobody knows."""
    with suppress(OSError, ValueError, KeyError):
        header = read_safetensors_header(home / name / "training" / "state.safetensors")
        return json.loads(header["__metadata__"]["at"])
    return {}


def settings_to_resume(home: Path, run: dict[str, Any], minutes: str, most: float) -> dict[str, Any]:
    """The settings of a run that goes on with another one for so many minutes more."""
    offered = resumable(home, run, most)
    if offered is None:
        raise NanogptError(
            "This run cannot be resumed: it is not the last one of its model, or nothing was saved"
        )
    try:
        more = float(minutes or offered)
    except ValueError:
        more = 0.0
    if not 0 < more <= most:
        raise NanogptError(f"Minutes must be more than 0 and at most {most:g}")
    old = json.loads(run["settings"])
    settings = {"database": run["database"]} | {key: old[key] for key in ("table", "sql") if key in old}
    done, given = kept_state(home, run["name"]).get("seconds", 0.0) / 60, _minutes_given(home, run)
    # What is left, which was offered in tenths, is no more than the run was given: its plan stays.
    rest = run["status"] != "finished" and more == round(given - done, 1)
    total = given if rest else math.ceil((done + more) * 10) / 10
    return {**settings, "name": run["name"], "resume": True, "minutes": total}
