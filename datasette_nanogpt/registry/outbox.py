"""Keeps what a run reports until the registry can be written.

nanogpt.db may be locked by someone's unsaved edit, deleted, overwritten, or emptied while a run trains. None
of that may end the training. What could not be written waits in memory and is written as soon as possible. If
that never happens, it is left in `<home>/.changes` for the next process that opens the registry.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from .db import open_registry, registry_file
from .pending import leave_for_later, write_run

PATIENCE_SECONDS = 2.0  # to wait for another writer while a run trains
RETRY_SECONDS = 5.0  # between attempts after a failure
CLOSED = -1  # stands for the number of a file that is not open
HEADER = b"SQLite format 3\0"  # how a database file begins
MAX_ROWS = 20_000  # the most rows that wait: three hours of steps


class Outbox:
    """The row of one run in `runs`, its rows in other tables, and which of all this is not written yet."""

    def __init__(self, home: Path, db: sqlite3.Connection, row: dict[str, Any]):
        """`row` has all columns of the run, which is in the registry that `db` has open."""
        self.home, self.db, self.row = home, db, row
        self.changed: set[str] = set()  # columns of the row
        self.rows: list[tuple[str, dict[str, Any]]] = []  # (table, values) to add
        self.notes: list[str] = []  # sentences for people that nobody has fetched yet
        self.failing = False
        self.left = ""  # what becomes of what waits when it is closed, for people
        self._next_attempt = 0.0
        self._open_file()

    def _open_file(self) -> None:
        """Open the registry's file beside the connection, to look at its header. It stays open as long as
        the connection does: when a process closes a file, it loses every lock that SQLite has on it, and the
        next program to leave the registry would delete the write-ahead log under the run."""
        self._fd = os.open(registry_file(self.home), os.O_RDONLY | os.O_CLOEXEC)
        self._inode = os.fstat(self._fd).st_ino

    def _close(self) -> None:
        with suppress(sqlite3.Error):
            self.db.close()
        # Once: the number may be that of another file afterwards. Nor is the inode known any more, which a
        # new registry may have again.
        fd, self._fd, self._inode = self._fd, CLOSED, CLOSED
        if fd != CLOSED:
            with suppress(OSError):
                os.close(fd)

    def update(self, values: dict[str, Any]) -> None:
        """Change columns of the run's row."""
        self.row |= values
        self.changed |= values.keys()

    def add(self, table: str, values: dict[str, Any]) -> None:
        """A row of metrics or samples."""
        self.rows.append((table, values))
        if len(self.rows) > MAX_ROWS:  # leave out every second step, but no score
            steps = (i for i, (_, row) in enumerate(self.rows) if row.get("val_bpb") is None)
            left_out = set(list(steps)[::2])
            self.rows = [row for i, row in enumerate(self.rows) if i not in left_out]

    def send(self, patience: float = PATIENCE_SECONDS, *, now: bool = False) -> bool:
        """Write what waits. After a failure this is tried only every few seconds, unless `now` is set.
        Returns whether everything is written."""
        if self.failing and not now and time.monotonic() < self._next_attempt:
            return False
        try:
            self._send(patience if now or not self.failing else 0.1)
        except (sqlite3.Error, OSError, NanogptError) as ex:
            self._next_attempt = time.monotonic() + RETRY_SECONDS
            if not self.failing:
                self.failing = True
                self.notes.append(
                    f"{registry_file(self.home)} cannot be written ({reason(ex)}): training goes on, and "
                    "what happens meanwhile is recorded when it can be."
                )
            return False
        if self.failing:
            self.failing = False
            self.notes.append(f"{registry_file(self.home)} can be written again: everything is recorded.")
        return True

    def _send(self, patience: float) -> None:
        file = registry_file(self.home)
        if not file.exists() or file.stat().st_ino != self._inode:  # deleted, or another one is there
            self._close()
            self.db = open_registry(self.home, create=True, wait=patience)
            self._open_file()
        if os.pread(self._fd, len(HEADER), 0) != HEADER:  # SQLite may not notice: it reads from its cache
            raise sqlite3.DatabaseError("it is not a database any more")
        self.db.execute(f"pragma busy_timeout = {int(1000 * patience)}")
        with self.db:
            self.db.execute("begin immediate")
            run, asked = write_run(self.db, self.row, self.changed, self.rows)
        self.row |= {"id": run, "stop_requested": max(asked, self.row.get("stop_requested") or 0)}
        self.changed.clear()
        self.rows.clear()

    def stop_requested(self) -> int:
        """The stop request for the run: 0, 1 or 2; the last known one while the registry cannot be read."""
        if not self.failing:
            with suppress(sqlite3.Error):
                select = "select stop_requested from runs where id = ?"
                if row := self.db.execute(select, [self.row["id"]]).fetchone():
                    self.row["stop_requested"] = max(row[0] or 0, self.row["stop_requested"] or 0)
        return int(self.row["stop_requested"] or 0)

    def close(self) -> bool:
        """Leave what waits to the next process that opens the registry. Returns whether nothing did."""
        self._close()
        if self.failing:
            try:
                leave_for_later(self.home, {"kind": "run", "row": self.row, "rows": self.rows})
                self.left = "the next process to open it records how this run ended"
            except OSError as ex:
                self.left = f"how this run ended is not recorded ({reason(ex)})"
        return not self.failing


def reason(ex: Exception) -> str:
    return (ex.strerror or str(ex)) if isinstance(ex, OSError) else str(ex)
