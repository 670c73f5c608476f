"""Scoring every row of a table with its model, in the child process of a server's worker."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.errors import NanogptError

from ..registry.db import insert, open_registry, update_run
from ..registry.process_id import process_id
from ..registry.row_scores import delete_earlier, digest, row_path
from ..registry.run_log import log
from ..registry.runs import end_run

if TYPE_CHECKING:
    from ..data.model_rows import ScoredRow
    from ..data.source import Source
    from ..training.lr_schedule import Stop

REPORT_SECONDS = 1.0  # between writes to the registry
# To wait for others who have it locked, while rows are scored: what was not written is written the next time.
BUSY_SECONDS = 1.0
# To wait for them when all is scored, and between attempts.
PATIENCE_SECONDS, RETRY_SECONDS = 600.0, 1.0
NO_CHARACTER = "without a character the model knows"  # why a row is left out


def score_rows(home: Path, run: dict[str, Any], stop: Stop) -> None:
    """Score every row of the table that the queued `run` names. Whoever stops it keeps what was scored.

    Raises NanogptError if the rows cannot be read or none has text.
    """
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.score import Totals

    from ..data.model_rows import open_rows, score_each_row

    opened = open_model(home / run["name"], "cpu")
    source = open_rows(opened.checkpoint, run["database"], run["table"])
    check_has_keys(source.keys, run["table"])
    limit = 60 * (json.loads(run["settings"]).get("minutes") or float("inf"))  # seconds
    record, totals, status = Recorder(home, run["id"], source), Totals(), "finished"
    for row in score_each_row(opened, source):
        if not row.score.bytes:
            source.skipped[NO_CHARACTER] += 1
            continue
        record.add(row)
        totals.add(row.split or "unknown", row.score)
        stop.ask(record.report_if_due())
        if stop.requests or record.seconds() > limit:
            status = "stopped"
            break
    if not record.scored:
        raise NanogptError(f"No row of {run['table']} has text to score")
    version = opened.checkpoint.version
    plan = {
        "version": version,
        # Of conversations those that have no text were not counted, only their rows.
        "rows": source.row_count if not source.grouping else _documents(source, record, status),
        "scored": record.scored,
        "skipped": dict(source.skipped),
        "seen": totals.as_json(),
    }
    patiently(lambda: record.write(eta=0.0, note=None, plan=json.dumps(plan)))
    if status == "finished":
        patiently(lambda: delete_earlier(home, run, version))
    patiently(lambda: end_run(home, run["id"], status))
    log.info("%s: %s", status, json.dumps(plan))


def patiently(write: Callable[[], object]) -> None:
    """Write to the registry as soon as whoever has it locked is done. Raises NanogptError or sqlite3.Error
    after PATIENCE_SECONDS: it may be gone for good."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            write()
            return
        except (NanogptError, sqlite3.Error) as ex:
            if time.monotonic() > deadline:
                raise
            log.warning("Waiting to write the last scores: %s", ex)
            time.sleep(RETRY_SECONDS)


def _documents(source: Source, record: Recorder, status: str) -> int:
    known = record.scored if status == "finished" else source.document_count
    return known + source.skipped.total()


def check_has_keys(keys: Sequence[str], table: str) -> None:
    """Raise NanogptError for a view, whose rows have no primary key."""
    if not keys:
        raise NanogptError(f"{table} is a view: its rows have no key to keep their figures under")


class Recorder:
    """Writes scores to the registry, about once a second, and how far the run is."""

    def __init__(self, home: Path, run: int, source: Source):
        self.home, self.run, self.source = home, run, source
        self.scored = 0
        self._waiting: list[dict[str, Any]] = []  # not yet written
        self._started = self._last_report = time.monotonic()
        self._restarted = True  # the scores of a server that stopped during this run are still to be deleted
        self.report()

    def seconds(self) -> float:
        """How long this has been going on."""
        return time.monotonic() - self._started

    def add(self, row: ScoredRow) -> None:
        """Take up the score of a row."""
        self.scored += 1
        self._waiting.append(
            {
                "run": self.run,
                "row": row_path([*row.keys.values()]),
                "bits_per_byte": row.score.bits_per_byte,
                "bytes": row.score.bytes,
                "tokens": len(row.score.tokens),
                "seen": row.split,
                "digest": digest(row.text),
            }
        )

    def report_if_due(self) -> int:
        """`report()` if the last one was a second ago, else 0."""
        return self.report() if time.monotonic() - self._last_report >= REPORT_SECONDS else 0

    def report(self, **last: Any) -> int:
        """Write what is new, and with it the columns in `last`. What was asked of the run: 0, 1 or 2.

        If somebody has the registry locked, it is kept for the next time.
        """
        try:
            return self.write(**last)
        except (NanogptError, sqlite3.Error) as ex:
            log.warning("The scores are kept until they can be written: %s", ex)
            return 0
        finally:
            self._last_report = time.monotonic()

    def write(self, **last: Any) -> int:
        """The same. Raises NanogptError or sqlite3.Error where it cannot be written."""
        grouped = self.source.grouping
        read = self.scored + (0 if grouped else self.source.skipped.total())
        total = self.source.document_count
        fraction = read / max(total, 1)
        progress = {
            "status": "running",
            "pid": os.getpid(),
            "process": process_id(),
            "heartbeat": time.time(),
            "progress": min(fraction, 1.0),
            "eta": self.seconds() / fraction * (1 - fraction) if fraction else None,
            "note": f"{self.scored:,} of {total:,} {'conversations' if grouped else 'rows'}",
        }
        with closing(open_registry(self.home, wait=BUSY_SECONDS)) as db, db:
            if self._restarted:
                db.execute("delete from scores where run = ?", [self.run])
            for row in self._waiting:
                insert(db, "scores", row)
            update_run(db, self.run, progress | last)
            asked = db.execute("select stop_requested from runs where id = ?", [self.run]).fetchone()
        self._waiting.clear()
        self._restarted = False
        return asked["stop_requested"] if asked else 2  # its record was deleted: nobody waits for it
