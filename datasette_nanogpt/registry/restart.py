"""Resumes runs that lost their server, when a server is there again.

If a server stops, is killed, or goes down with its machine, the rows of its runs have `goes_on`. Runs that a
person stopped, that failed, or of which only the process was killed do not have it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

from ..formatting import utc_now
from .db import registry
from .manage import find_checkpoint
from .resume import is_unfinished, kept_state, minutes_given, minutes_to_offer
from .runs import find_runs, is_resumed, settings_of
from .statements import update_run
from .waiting import begin

LITTLE = 0.01  # minutes: with less time left, a run counts as done


def restart_interrupted(home: Path, most: int) -> list[int]:
    """Put the runs that lost their server back into the queue, each at most `most` times. Returns their ids.

    A run continues from its last saved state, or starts again if it has none. If its model has been trained
    again meanwhile, it is left as it is.
    """
    restarted = []
    for run in find_runs(home, "status = 'interrupted' and goes_on = 1"):
        changes = _left_as_it_is(run, most)
        kept = 0
        if changes is None and run["kind"] == "score":
            changes = {}
        elif changes is None:
            changes, kept = _changes(home, run)
        if _apply(home, run["id"], changes, kept):
            restarted.append(run["id"])
    return restarted


def _left_as_it_is(run: dict[str, Any], most: int) -> dict[str, Any] | None:
    """The columns to write for a run that was restarted too often; None for others."""
    if (run["restarts"] or 0) < most:
        return None
    times = f", for the {run['restarts'] + 1}th time" if run["restarts"] and run["restarts"] > 2 else ""
    why = f"The server stopped during this run{times}. It is not restarted again"
    return {"error": f"{why}: max_restarts in the configuration is {most}."}


def _changes(home: Path, run: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
    """The columns to write for a training that continues, and from which step; None if it does not."""
    settings = settings_of(run)
    state = kept_state(home, run["name"])
    if minutes_to_offer(home, run, math.inf) is not None and state:
        given, steps = minutes_given(home, run), settings.get("max_iters") or math.inf
        done = (given and given - state.get("seconds", 0.0) / 60 < LITTLE) or state.get("step", 0) >= steps
        model = find_checkpoint(home / run["name"])
        done = done and not (model and is_unfinished(model.meta))
        settings = {key: value for key, value in settings.items() if key != "force"} | {"resume": True}
        return (None if done else {"settings": json.dumps(settings)}), state["step"]
    later = find_runs(home, "name = ? and kind = 'train' and id > ?", run["name"], run["id"])
    if later or is_resumed(run):
        return None, 0
    return {"settings": run["settings"], "val_bpb": None, "step": None, "progress": None}, 0


def _apply(home: Path, run: int, changes: dict[str, Any] | None, kept: int) -> bool:
    """Queue a run again with these changes, unless another server has done so or they hold an error. Steps
    after `kept` are deleted, because they will be made again. Returns whether the run was queued."""
    with registry(home) as db:
        begin(db)
        there = "select 1 from runs where id = ? and status = 'interrupted' and goes_on = 1"
        if not db.execute(there, [run]).fetchone():
            return False
        if changes is None or "error" in changes:
            update_run(db, run, {"goes_on": None, **(changes or {})})
            return False
        again = {"status": "queued", "stop_requested": 0, "error": None, "cause": None, "ended": None}
        update_run(db, run, {**changes, **again, "note": None, "goes_on": None, "started": utc_now()})
        db.execute("update runs set restarts = ifnull(restarts, 0) + 1 where id = ?", [run])
        forget_steps(db, run, kept)
    return True


def forget_steps(db: sqlite3.Connection, run: int, kept: int) -> None:
    """Delete the figures of a run after the step `kept`. The row with the highest id of all stays, without
    figures: otherwise SQLite would reuse its id, and pages that have seen the id would miss the new row."""
    last = "id = (select max(id) from metrics) and run = ? and step > ?"
    blank = (
        "step = null, seconds = null, train_bpb = null, train_loss = null, val_bpb = null, val_loss = null"
    )
    db.execute(f"update metrics set {blank} where {last}", [run, kept])
    db.execute("delete from metrics where run = ? and step > ?", [run, kept])
