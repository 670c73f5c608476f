"""Runs in the registry: recording a run, and reading, ending and deleting the records.

A run trains a model (kind "train"), or scores the rows of a table with one (kind "score").
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.locks import is_training

from ..events import Evaluation, Step
from ..formatting import utc_now
from .db import (
    BUSY_SECONDS,
    NoRegistryError,
    open_registry,
    registry,
    registry_error,
    telling_of_wait,
)
from .outbox import Outbox
from .pending import delete_rows
from .process_id import is_alive, process_id
from .run_log import log, run_log_name
from .statements import insert, update_run
from .waiting import begin

if TYPE_CHECKING:
    import numpy as np

UNDER_WAY = ("preparing", "running")
OVER = ("finished", "stopped", "failed", "interrupted")
# In the column `cause`: memory ran out; another model has its name; the learning rate was too high; or a
# terminal was told, before the run began, that it cannot be.
MEMORY, NAME, DIVERGED, REFUSED = "memory", "name", "diverged", "refused"
# What is recorded of each Step, and what the run's own row has of the last one.
FIGURES = (
    *("step", "seconds", "train_loss", "train_bpb", "learning_rate"),
    *("tokens_per_second", "mfu", "memory"),
)
LAST_FIGURES = ("step", "progress", "eta", "tokens_per_second", "memory")
MOST_DOCUMENTS = 5000  # held-out documents whose bits are recorded: 60 kB
_UNDER_WAY = ("status in (?, ?)", *UNDER_WAY)  # as find_runs takes it
HEARTBEAT_SECONDS = 2.0  # a running process writes its heartbeat this often
SILENT_SECONDS = 15.0  # after which a run without heartbeat and lock is dead, if its process is not known


# ---- Reading


def find_runs(home: Path, where: str = "1", *values: Any) -> list[dict[str, Any]]:
    """The runs that meet an SQL condition, as dicts of their columns, the newest first. Raises RegistryError
    if there may be some, but the registry cannot be read, as while somebody has it locked."""
    try:
        with registry(home) as db:
            rows = db.execute(f"select * from runs where {where} order by id desc", values)
            return [run_as_dict(db, row) for row in rows]
    except NoRegistryError:
        return []


def find_run(home: Path, run: int) -> dict[str, Any] | None:
    """The run of that number, as `find_runs` returns it."""
    return next(iter(find_runs(home, "id = ?", run)), None)


def run_as_dict(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A run's columns. The note of a queued run says which run is `before` it."""
    run = dict(row)
    if run["status"] == "queued":
        # Trainings are done before scorings, whenever these were asked for.
        earlier = "id < ? and kind = 'train'" if run["kind"] == "train" else "(id < ? or kind = 'train')"
        before = db.execute(
            f"select id from runs where status in (?, ?) or (status = 'queued' and {earlier}) "
            "order by status = 'queued' desc, kind = 'score' desc, id desc limit 1",
            [*UNDER_WAY, run["id"]],
        ).fetchone()
        run["before"] = before["id"] if before else None
        run["note"] = f"after run {before['id']}" if before else None
    return run


def settings_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was started with."""
    settings: dict[str, Any] = json.loads(run["settings"] or "{}")
    return settings


def plan_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """An `events.Prepared` for a training, the result so far for a scoring; empty before."""
    plan: dict[str, Any] = json.loads(run["plan"] or "{}")
    return plan


def is_resumed(run: Mapping[str, Any]) -> bool:
    """Whether a run goes on with an earlier one."""
    return bool(settings_of(run).get("resume"))


# ---- Which runs are under way


def mark_dead_runs(home: Path) -> None:
    """Mark as interrupted every run under way whose process is gone, if the registry can be written."""
    if not os.access(home, os.W_OK):
        return
    dead = [run for run in find_runs(home, *_UNDER_WAY) if not _is_alive(home, run)]
    _interrupt(home, dead)
    # Runs of a server are restarted, those of a terminal are not.
    if servers := [run["id"] for run in dead if run["actor"] and not run["stop_requested"]]:
        with registry(home) as db:
            marks = ", ".join("?" * len(servers))
            dead_still = f"id in ({marks}) and status = 'interrupted'"
            db.execute(f"update runs set goes_on = 1 where {dead_still}", servers)


def _mark_replaced_runs(home: Path, name: str, by: int | None) -> None:
    """Mark every run that seems to train the model `name`, other than run `by`, as interrupted. The caller
    holds the model's lock for `by`, so those runs have lost it."""
    others = find_runs(home, *_UNDER_WAY)
    _interrupt(home, [r for r in others if r["kind"] == "train" and r["name"] == name and r["id"] != by])


def _is_alive(home: Path, run: dict[str, Any]) -> bool:
    """Whether a process works on this run. If that cannot be looked up, its heartbeat decides, or the lock of
    its model, which a training holds as long as it lives and a scoring never does."""
    alive = is_alive(run["process"])
    if alive is not None:
        return alive
    # A heartbeat in the future does not count either: the clock has been set back since.
    if abs((run["heartbeat"] or 0.0) - time.time()) <= SILENT_SECONDS:
        return True
    return run["kind"] == "train" and is_training(home / run["name"])


def _interrupt(home: Path, runs: list[dict[str, Any]]) -> None:
    # SIGKILL ends a process at once, and leaves no record.
    why = (
        "Its process is gone: another program or a person ended it, the computer was switched off, or a full "
        "disk kept it from recording its end."
    )
    for run in runs:
        end_run(home, run["id"], "interrupted", why)


# ---- Ending and deleting


def end_run(home: Path, run: int, status: str, error: str | None = None, cause: str | None = None) -> None:
    """Record how a run ended, unless it has recorded that itself. The `cause` is MEMORY, say, or unknown."""
    with registry(home) as db:
        db.execute(
            "update runs set status = ?, error = ?, cause = ?, ended = ?, note = null "
            "where id = ? and status in ('queued', ?, ?)",
            [status, error, cause, utc_now(), run, *UNDER_WAY],
        )


def delete_run(home: Path, run: int) -> None:
    """Delete everything recorded about a run, and its log. Its model stays.

    Raises NanogptError if the run is under way.
    """
    if not delete_runs(home, "id = ?", [run]):
        raise NanogptError("A run that is under way cannot be deleted: stop it first")


def delete_runs(home: Path, where: str, values: Sequence[Any]) -> int:
    """Delete the runs that meet an SQL condition and are not under way. Returns how many there were."""
    with registry(home) as db:
        begin(db)  # a server must not start one of them in between
        logs = delete_rows(db, where, values)
    for each in logs:
        (home / each).unlink(missing_ok=True)
    return len(logs)


# ---- Writing


class Run:
    """The record of a training run. Only the run's process writes it, except for `stop_requested`."""

    def __init__(
        self,
        home: Path,
        name: str,
        database: str,
        table: str,
        settings: dict[str, Any],
        queued: int | None = None,
    ):
        """Record a new run, or continue the record of the queued run number `queued`.

        The caller holds the lock of the model `name`.
        """
        row = {
            "name": name,
            "database": database,
            "table": table,
            "status": "preparing",
            "started": utc_now(),
            "heartbeat": time.time(),
            "pid": os.getpid(),
            "process": process_id(),
            "settings": json.dumps(settings),
        }
        self.home = home
        _mark_replaced_runs(home, name, by=queued)
        try:
            with telling_of_wait(home):
                db = open_registry(home, create=True)
                with db:
                    begin(db)
                    if queued:
                        _check_name(db, queued, name)
                    self.id = queued or insert(db, "runs", row)
                    update_run(db, self.id, row | {"log": run_log_name(self.id)})
                    row = dict(db.execute("select * from runs where id = ?", [self.id]).fetchone())
            self._outbox = Outbox(home, db, row)
        except (sqlite3.Error, OSError) as ex:
            raise registry_error(home, ex) from ex
        self._last_beat = 0.0
        self._last_step: dict[str, Any] = {}
        self.model = 1  # the number of the one in training

    @property
    def starts_on_a_page(self) -> bool:
        """Whether somebody began the run on a page just now: it is neither of a terminal nor goes on after
        its server was lost."""
        return bool(self._outbox.row.get("actor")) and not self._outbox.row.get("restarts")

    def update(self, **values: Any) -> None:
        """Change columns of the run's row, and its heartbeat."""
        self._last_beat = time.monotonic()
        self._outbox.update({**values, "heartbeat": time.time()})
        self._outbox.send()

    def stop_requested(self) -> int:
        """The stop request of others: 0, 1 to anneal, 2 to stop at once. Updates the heartbeat, too."""
        if time.monotonic() - self._last_beat >= HEARTBEAT_SECONDS:
            self.update()
        return self._outbox.stop_requested()

    def notes(self) -> Iterator[str]:
        """Sentences about the registry itself: that it cannot be written, or can be again."""
        while self._outbox.notes:
            yield self._outbox.notes.pop(0)

    def step(self, event: Step) -> None:
        """Record where the run is."""
        figures = {figure: getattr(event, figure) for figure in FIGURES}
        self._outbox.add("metrics", figures | {"model": self.model})
        self._last_step = {column: getattr(event, column) for column in LAST_FIGURES}
        if time.monotonic() - self._last_beat >= HEARTBEAT_SECONDS:
            self.update(**self._last_step)
        else:
            self._outbox.send()

    def evaluation(self, event: Evaluation, model: int | None = None) -> None:
        """Record a score and the text written beside it, of the model in training or of that number."""
        score = {"step": event.step, "val_bpb": event.val_bpb}
        figures = {"seconds": event.seconds, "val_loss": event.val_loss}
        figures["model"] = self.model if model is None else model
        self._outbox.add("metrics", {**score, **figures})
        self._outbox.add("samples", {**score, "sample": event.sample})
        best = {"val_bpb": event.val_bpb} if event.best else {}
        self.update(**{**self._last_step, **best, "step": event.step})

    def first_text(self, text: str) -> None:
        """Record what the model writes before its first step."""
        self._outbox.add("samples", {"step": 0, "val_bpb": None, "sample": text})

    def documents(self, bits: np.ndarray, sizes: np.ndarray) -> None:
        """Record the bits and bytes of the first held-out documents, (documents,) each, for comparisons."""
        n = min(len(bits), MOST_DOCUMENTS)
        if n:
            lists = {"bits": bits[:n].round(1).tolist(), "bytes": sizes[:n].astype(int).tolist()}
            self._outbox.add("documents", {key: json.dumps(values) for key, values in lists.items()})
            self._outbox.send()

    def end(self, status: str, error: str | None = None, cause: str | None = None) -> None:
        """Record how the run ended, and close the record. The `cause` is MEMORY, say, or unknown."""
        ended = {"status": status, "ended": utc_now(), "error": error, "cause": cause, "note": None}
        self._outbox.update(ended)
        self._outbox.send(BUSY_SECONDS, now=True)
        if not self._outbox.close():
            log.warning(f"nanogpt.db still cannot be written: {self._outbox.left}")


def _check_name(db: sqlite3.Connection, run: int, name: str) -> None:
    """Raise NanogptError if the model of a queued run was renamed after the run was looked up."""
    row = db.execute("select name from runs where id = ?", [run]).fetchone()
    if row and row["name"] != name:
        raise NanogptError(f"{name} was renamed to {row['name']} just as this run began: start it again")
