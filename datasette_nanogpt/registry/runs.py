"""The run registry, `<home>/nanogpt.db`: what was trained, from what, and how it went.

The command line, the browser and `llm nanogpt` learn about a run from here and from nowhere else. It is
a plain SQLite file in WAL mode: `datasette ~/.../nanogpt.db` opens it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.errors import NanogptError

from ..formatting import utc_now

if TYPE_CHECKING:
    from sqlite_utils import Database

    from ..events import Evaluation, Step

HEARTBEAT_SECONDS = 2.0  # a running process writes its heartbeat this often


def open_registry(home: Path) -> Database:
    """The registry, created and migrated if need be. Raises NanogptError where it cannot be written."""
    from sqlite_utils import Database

    try:
        home.mkdir(parents=True, exist_ok=True)
        # A run writes a few rows a second and waits for another writer rather than fail.
        db = Database(sqlite3.connect(home / "nanogpt.db", timeout=30, check_same_thread=False))
        db.enable_wal()
        # A server and its pages, or two commands, may meet here on a home that is new.
        db.execute("begin immediate")
        _migrations().apply(db)
        db.conn.commit()
    except (OSError, sqlite3.Error) as ex:
        raise NanogptError(
            f"Cannot write in {home} ({ex}): set NANOGPT_HOME to a folder that you own"
        ) from ex
    return db


def _migrations():
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("datasette-nanogpt")

    @migrations()
    def m001_runs(db):
        db["runs"].create(
            {
                "id": int,
                "name": str,  # of the model
                "database": str,  # absolute path
                "table": str,
                "status": str,  # queued, preparing, running, finished, stopped, failed, interrupted
                "started": str,  # UTC, ISO 8601
                "ended": str,
                "heartbeat": float,  # Unix time of the last sign of life
                "pid": int,
                "stop_requested": int,  # 0, 1 anneal, 2 at once; set by anyone, read by the run
                "settings": str,  # JSON: everything the run was started with
                "plan": str,  # JSON: rows, bytes, tokens, parameters, device, ...
                "step": int,
                "progress": float,  # 0 to 1
                "eta": float,  # seconds
                "tokens_per_second": float,
                "val_bpb": float,  # best so far
                "error": str,
            },
            pk="id",
            defaults={"stop_requested": 0},
        )
        db["metrics"].create(
            {
                "id": int,
                "run": int,
                "step": int,
                "seconds": float,
                "train_loss": float,  # nats a token
                "train_bpb": float,
                "val_loss": float,
                "val_bpb": float,
                "learning_rate": float,
                "tokens_per_second": float,
            },
            pk="id",
            foreign_keys=[("run", "runs", "id")],
        )
        db["metrics"].create_index(["run", "step"])
        db["samples"].create(
            {"id": int, "run": int, "step": int, "val_bpb": float, "sample": str},
            pk="id",
            foreign_keys=[("run", "runs", "id")],
        )
        db["samples"].create_index(["run", "step"])

    @migrations()
    def m002_queue(db):
        db["runs"].add_column("actor", str)  # JSON: who asked for it in the browser
        db["runs"].add_column("note", str)  # what it is at just now, for people

    @migrations()
    def m003_mfu(db):
        db["metrics"].add_column("mfu", float)  # share of the machine's speed, see speed.py

    @migrations()
    def m004_news(db):
        # Of (run, step) SQLite read a run's whole history for what came after one id; ids stand in order in
        # an index of the run alone.
        for table in ("metrics", "samples"):
            db.execute(f"drop index if exists idx_{table}_run_step")
            db[table].create_index(["run"])

    @migrations()
    def m005_rows(db):
        db["runs"].add_column("kind", str, not_null_default="train")  # or score: of the rows of a table
        for table in ("runs", "metrics"):
            db[table].add_column("memory", int)  # bytes, the most that the process had so far
        db["scores"].create(
            {
                "id": int,
                "run": int,
                "row": str,  # its primary key, as in Datasette's addresses; null where it has none of these
                "bits_per_byte": float,
                "bytes": int,
                "tokens": int,
                "seen": str,  # in training: trained, held out, new; null where nobody knows
                "digest": bytes,  # of the text that was scored
            },
            pk="id",
            foreign_keys=[("run", "runs", "id")],
        )
        db["scores"].create_index(["run", "bits_per_byte"])
        db["scores"].create_index(["run", "row"])

    @migrations()
    def m006_models(db):
        db["runs"].add_column("model", str)  # which of the run's is in training: "model 2 of 4"

    return migrations


class Run:
    """One run's rows. Written by the training process alone, but for `stop_requested`."""

    def __init__(
        self,
        home: Path,
        name: str,
        database: str,
        table: str,
        settings: dict[str, Any],
        queued: int | None = None,
    ):
        """A new run, or the one that stands in the queue as number `queued`."""
        self.db = open_registry(home)
        # Whoever starts a run holds the lock on its model, so others that seem to be running are dead.
        self.db.execute(
            "update runs set status = 'interrupted', ended = ?, note = null, error = 'It was killed.' "
            "where name = ? and status in ('preparing', 'running') and kind = 'train' and id is not ?",
            [utc_now(), name, queued],
        )
        row = {
            "name": name,
            "database": database,
            "table": table,
            "status": "preparing",
            "started": utc_now(),
            "heartbeat": time.time(),
            "pid": os.getpid(),
            "settings": json.dumps(settings),
        }
        self.id: int = queued or self.db["runs"].insert(row).last_pk
        if queued:
            self.db["runs"].update(queued, row)
        self._beat = 0.0
        self._told: dict[str, Any] = {}  # of the last step

    def update(self, **values: Any) -> None:
        self._beat = time.monotonic()
        self.db["runs"].update(self.id, {**values, "heartbeat": time.time()})

    def stop_requested(self) -> int:
        """What was asked of the run by others. Gives a sign of life, too."""
        if time.monotonic() - self._beat >= HEARTBEAT_SECONDS:
            self.update()
        return self.db.execute("select stop_requested from runs where id = ?", [self.id]).fetchone()[0]

    def step(self, event: Step) -> None:
        names = "step seconds train_loss train_bpb learning_rate tokens_per_second mfu memory"
        self._insert("metrics", event, names)
        self._told = _fields(event, "step progress eta tokens_per_second memory")
        if time.monotonic() - self._beat >= HEARTBEAT_SECONDS:
            self.update(**self._told)

    def evaluation(self, event: Evaluation) -> None:
        self._insert("metrics", event, "step seconds val_loss val_bpb")
        self._insert("samples", event, "step val_bpb sample")
        best = {"val_bpb": event.val_bpb} if event.best else {}
        self.update(**self._told | best | {"step": event.step})

    def _insert(self, table: str, event: Any, names: str) -> None:
        self.db[table].insert({"run": self.id, **_fields(event, names)})

    def end(self, status: str, error: str | None = None) -> None:
        self.update(status=status, ended=utc_now(), error=error, note=None)
        self.db.close()


def _fields(event: Any, names: str) -> dict[str, Any]:
    return {name: getattr(event, name) for name in names.split()}
