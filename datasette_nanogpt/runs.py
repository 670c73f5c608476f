"""The run registry, `<home>/nanogpt.db`: what was trained, from what, and how it went.

The command line, the browser and `llm nanogpt` learn about a run from here and from nowhere else. It is
a plain SQLite file in WAL mode: `datasette ~/.../nanogpt.db` opens it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.errors import NanogptError

if TYPE_CHECKING:
    from sqlite_utils import Database

HEARTBEAT_SECONDS = 2.0  # a running process writes its heartbeat this often


def utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def open_registry(home: Path) -> Database:
    """The registry, created and migrated if need be. Raises NanogptError where it cannot be written."""
    from sqlite_utils import Database

    try:
        home.mkdir(parents=True, exist_ok=True)
        # A run writes a few rows a second and waits for another writer rather than fail.
        db = Database(sqlite3.connect(home / "nanogpt.db", timeout=30, check_same_thread=False))
        db.enable_wal()
        _migrations().apply(db)
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
                "status": str,  # preparing, running, finished, stopped, failed
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
            {"id": int, "run": int, "step": int, "val_bpb": float, "text": str},
            pk="id",
            foreign_keys=[("run", "runs", "id")],
        )
        db["samples"].create_index(["run", "step"])

    return migrations


class Run:
    """One run's rows. Written by the training process alone, but for `stop_requested`."""

    def __init__(self, home: Path, name: str, database: str, table: str, settings: dict[str, Any]):
        self.db = open_registry(home)
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
        self.id: int = self.db["runs"].insert(row).last_pk
        self._beat = 0.0

    def update(self, **values: Any) -> None:
        self.db["runs"].update(self.id, {**values, "heartbeat": time.time()})

    def beat(self, **values: Any) -> int:
        """Note progress, at most every HEARTBEAT_SECONDS; returns `stop_requested`."""
        if time.monotonic() - self._beat >= HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.update(**values)
        return self.db.execute("select stop_requested from runs where id = ?", [self.id]).fetchone()[0]

    def metric(self, **values: Any) -> None:
        self.db["metrics"].insert({"run": self.id, **values})

    def sample(self, **values: Any) -> None:
        self.db["samples"].insert({"run": self.id, **values})

    def end(self, status: str, error: str | None = None) -> None:
        self.update(status=status, ended=utc_now(), error=error)
        self.db.close()
