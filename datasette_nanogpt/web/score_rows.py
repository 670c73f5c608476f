"""Scoring every row of a table with its model, in the child process of a server's worker.

Rows come in a scattered order, so that the rows scored so far are a fair sample of the table. A scoring gives
way to a training that waits: it returns to the queue, and later continues where it was.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.errors import NanogptError

from ..registry.db import registry
from ..registry.process_id import process_id
from ..registry.queue import training_waits
from ..registry.row_scores import delete_earlier, digest, row_path
from ..registry.run_log import log
from ..registry.runs import end_run, plan_of, settings_of
from ..registry.statements import insert, update_run

if TYPE_CHECKING:
    from llm_nanogpt.checkpoint import Checkpoint

    from ..data.model_rows import ScoredRow
    from ..data.source import Source
    from ..training.lr_schedule import Stop

REPORT_SECONDS = 1.0  # between writes to the registry
BUSY_SECONDS = 1.0  # to wait for a locked registry while rows are scored: what waits is written next time
# How long to wait for it when all rows are scored, and between attempts.
PATIENCE_SECONDS, RETRY_SECONDS = 600.0, 1.0
NO_CHARACTER = "without a character the model knows"  # a reason for leaving out a row


def score_rows(home: Path, run: dict[str, Any], stop: Stop) -> None:
    """Score every row of the table that the queued `run` names. If it is stopped, the scores so far are kept.

    Raises NanogptError if the rows cannot be read or none has text.
    """
    from llm_nanogpt.loading import open_model

    from ..data.model_rows import open_rows, score_each_row

    opened = open_model(home / run["name"], "cpu")
    source = open_rows(opened.checkpoint, run["database"], run["table"])
    check_has_keys(source.keys, run["table"])
    limit = 60 * (settings_of(run).get("minutes") or float("inf"))  # seconds
    record, status = Recorder(home, run, source, opened.checkpoint), "finished"
    for row in score_each_row(opened, source, scattered=True, skip=record.has):
        if not row.score.bytes:
            source.skipped[NO_CHARACTER] += 1
            continue
        record.add(row)
        stop.ask(record.report_if_due())
        if stop.requests or record.seconds() > limit:
            status = "stopped"
            break
        if record.training_waits:
            return record.give_way()
    if not record.scored:
        raise NanogptError(f"No row of {run['table']} has text to score")
    record.is_complete = status == "finished"
    _patiently(lambda: record.write(eta=0.0, note=None))
    if status == "finished":
        _patiently(lambda: delete_earlier(home, run, opened.checkpoint.version))
    _patiently(lambda: end_run(home, run["id"], status))
    log.info("%s: %s", status, record.plan())


def _patiently(write: Callable[[], object]) -> None:
    """Write to the registry as soon as no other process has it locked. Raises NanogptError after
    PATIENCE_SECONDS, because the disk may be gone for good."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            write()
            return
        except NanogptError as ex:
            if time.monotonic() > deadline:
                raise
            log.warning("Waiting to write the last scores: %s", ex)
            time.sleep(RETRY_SECONDS)


def check_has_keys(keys: Sequence[str], table: str) -> None:
    """Raise NanogptError for a view, whose rows have no primary key."""
    if not keys:
        raise NanogptError(f"{table} is a view: its rows have no key to keep their figures under")


class Recorder:
    """Writes scores and the progress of the run to the registry, about once a second."""

    def __init__(self, home: Path, run: dict[str, Any], source: Source, checkpoint: Checkpoint):
        """Begin, or continue after the rows that the run has scored before with the same weights."""
        from llm_nanogpt.score import Totals

        self.home, self.run, self.source = home, int(run["id"]), source
        self.version, self.parameters = checkpoint.version, checkpoint.config.parameters
        self.training_waits = self.is_complete = False
        self.totals = Totals()
        self._waiting: list[dict[str, Any]] = []  # scores that are not yet written
        before = plan_of(run).get("version")
        self._restarted = before != self.version  # scores by other weights are still to be deleted
        if not self._restarted:
            _patiently(self._take_up)
        self.scored = self._before = int(sum(kind[0] for kind in self.totals.kinds.values()))
        self._started = self._last_report = time.monotonic()
        self.report()

    def _take_up(self) -> None:
        """Add up the scores of the rows that were scored before."""
        sums = "select seen, count(*), sum(bits_per_byte * bytes), sum(bytes) from scores where run = ?"
        with registry(self.home, wait=BUSY_SECONDS) as db:
            for kind, rows, bits, size in db.execute(f"{sums} group by seen", [self.run]):
                self.totals.kinds[kind or "unknown"] = [rows, bits, size]

    def seconds(self) -> float:
        """Seconds since the scoring began or was continued."""
        return time.monotonic() - self._started

    def has(self, keys: dict[str, Any]) -> bool:
        """Whether the row with this key was scored before."""
        if not self._before:
            return False
        with registry(self.home, wait=BUSY_SECONDS) as db:
            select = "select 1 from scores where run = ? and row = ?"
            return db.execute(select, [self.run, row_path([*keys.values()])]).fetchone() is not None

    def add(self, row: ScoredRow) -> None:
        """Add the score of a row, to be written with the next report."""
        self.scored += 1
        self.totals.add(row.split or "unknown", row.score)
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

    def plan(self) -> str:
        """The result so far, as JSON."""
        rows = self.source.row_count
        if self.source.grouping:  # row_count has the rows of conversations, not the conversations
            known = self.scored if self.is_complete else self.source.document_count
            rows = known + self.source.skipped.total()
        return json.dumps(
            {
                "version": self.version,
                "parameters": self.parameters,
                "rows": rows,
                "scored": self.scored,
                "skipped": dict(self.source.skipped),
                "seen": self.totals.as_json(),
            }
        )

    def report_if_due(self) -> int:
        """`report()` if the last one is REPORT_SECONDS old, else 0."""
        return self.report() if time.monotonic() - self._last_report >= REPORT_SECONDS else 0

    def report(self, **last: Any) -> int:
        """Write the new scores, and the columns in `last`. Returns what was asked of the run: 0 nothing, 1 to
        stop, 2 to stop now.

        If another process has the registry locked, they are kept for the next time.
        """
        try:
            return self.write(**last)
        except NanogptError as ex:
            log.warning("The scores are kept until they can be written: %s", ex)
            return 0
        finally:
            self._last_report = time.monotonic()

    def write(self, **last: Any) -> int:
        """The same, but raises NanogptError if the registry cannot be written."""
        grouped = self.source.grouping
        read = self.scored + (0 if grouped else self.source.skipped.total())
        total = self.source.document_count
        new, left = read - self._before, total - read
        progress = {
            "status": "running",
            "pid": os.getpid(),
            "process": process_id(),
            "heartbeat": time.time(),
            "progress": min(read / max(total, 1), 1.0),
            "eta": self.seconds() / new * left if new > 0 and left >= 0 else None,
            "note": f"{self.scored:,} of {total:,} {'conversations' if grouped else 'rows'}",
        }
        if self.scored:
            progress["plan"] = self.plan()
        with registry(self.home, wait=BUSY_SECONDS) as db:
            if self._restarted:
                db.execute("delete from scores where run = ?", [self.run])
            for row in self._waiting:
                insert(db, "scores", row)
            update_run(db, self.run, progress | last)
            asked = db.execute("select stop_requested from runs where id = ?", [self.run]).fetchone()
            self.training_waits = training_waits(db)
        self._waiting.clear()
        self._restarted = False
        return asked["stop_requested"] if asked else 2  # if its record was deleted, nobody waits for it

    def give_way(self) -> None:
        """Go back to the queue. Trainings come before scorings there."""
        _patiently(lambda: self.write(status="queued", pid=None, process=None, note=None, eta=None))
        log.info("Gives way to a training, after %d rows", self.scored)
