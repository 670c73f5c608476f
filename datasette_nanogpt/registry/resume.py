"""Resuming a run that has ended: whether that is possible, for how many minutes, and with which settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import read_safetensors_header
from llm_nanogpt.errors import NanogptError

from .manage import find_checkpoint
from .runs import OVER, UNDER_WAY, find_runs, is_resumed, settings_of

# The settings that `settings_to_resume` makes.
SETTINGS_OF_RESUME = {"database", "table", "sql", "name", "resume", "minutes"}
EXTRA_MINUTES = 3.0  # offered after a run that used all the minutes it was given


def minutes_to_offer(home: Path, run: dict[str, Any], limit: float) -> float | None:
    """How many more minutes to offer for a run: what is left of its own or EXTRA_MINUTES, at most `limit`.

    None if the run cannot be resumed. The model on disk belongs to the last run that had a score, because a
    run that ended before its first score replaced nothing.
    """
    left_something = "val_bpb is not null or json_extract(settings, '$.resume')"
    runs_of_model = find_runs(
        home,
        f"name = ? and kind = 'train' and ({left_something} or status in ('queued', ?, ?))",
        run["name"],
        *UNDER_WAY,
    )
    is_last = bool(runs_of_model) and _last(home, runs_of_model)["id"] == run["id"]
    if run["status"] not in OVER or not is_last or not _state_file(home, run["name"]).exists():
        return None
    return min(minutes_left(home, run) or EXTRA_MINUTES, limit)


def minutes_left(home: Path, run: dict[str, Any]) -> float | None:
    """How many of the minutes that a run was given are left, in tenths; None if it used them."""
    left = minutes_given(home, run) - _minutes_done(home, run)
    return round(left, 1) if left > 0.1 and run["status"] != "finished" else None


def _last(home: Path, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The one of a model's runs, newest first, whose model is on disk, as an earlier one may be restored."""
    model = find_checkpoint(home / runs[0]["name"])
    log = (model.meta.get("training") or {}).get("log") if model else None
    last = next((run for run in runs if log and run["log"] == log), None)
    if last is None:
        return runs[0]
    for run in reversed(runs[: runs.index(last)]):
        if run["status"] in OVER and not is_resumed(run):
            break  # what it trained was put aside
        last = run
    return last


def settings_to_resume(home: Path, run: dict[str, Any], minutes: str, limit: float) -> dict[str, Any]:
    """The settings of a new run that goes on with `run` for `minutes` more ("": as many as offered).

    Raises NanogptError if the run cannot be resumed, or the minutes are not from 0 to `limit`.
    """
    offered = minutes_to_offer(home, run, limit)
    if offered is None:
        raise NanogptError(
            "This run cannot be resumed: it is not the last one of its model, or nothing was saved"
        )
    try:
        more = float(minutes or offered)
    except ValueError:
        more = 0.0
    if not 0 < more <= limit:
        raise NanogptError(f"Minutes must be more than 0 and at most {limit:g}")
    given, done = minutes_given(home, run), _minutes_done(home, run)
    # The minutes left are offered in tenths. If all are taken, the new run gets exactly what the earlier one
    # was given, so that its plan stays the same.
    takes_what_is_left = run["status"] != "finished" and more == round(given - done, 1)
    total = given if takes_what_is_left else math.ceil((done + more) * 10) / 10
    old = settings_of(run)
    source: dict[str, Any] = {key: old[key] for key in ("table", "sql") if key in old}
    return {"database": run["database"], **source, "name": run["name"], "resume": True, "minutes": total}


def begun_by(home: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The run that has all settings: this one, or the earlier run that it resumes."""
    if settings_of(run).keys() <= SETTINGS_OF_RESUME:
        before = "id < ? and name = ? and database = ? and \"table\" = ? and kind = 'train'"
        values = (run["id"], run["name"], run["database"], run["table"])
        for other in find_runs(home, before, *values):
            if not is_resumed(other):
                return other
    return run


def is_unfinished(meta: Mapping[str, Any]) -> bool:
    """Whether the run of a nanogpt.json was killed, or stopped at once, before its end was recorded there.
    That may be after its last step: then its models are still to be joined, and its score to be judged."""
    return (meta.get("training") or {}).get("status") in ("running", "stopped")


def kept_state(home: Path, name: str) -> dict[str, Any]:
    """The `step` and `seconds` from which a model would be resumed. Empty if that cannot be read."""
    with suppress(NanogptError, OSError, ValueError, KeyError, TypeError, OverflowError):
        header = read_safetensors_header(_state_file(home, name))
        at = json.loads(header["__metadata__"]["at"])
        return {"step": int(at["step"]), "seconds": float(at["seconds"])}
    return {}


def _state_file(home: Path, name: str) -> Path:
    return home / name / "training" / "state.safetensors"


def _minutes_done(home: Path, run: dict[str, Any]) -> float:
    return kept_state(home, run["name"]).get("seconds", 0.0) / 60


def minutes_given(home: Path, run: dict[str, Any]) -> float:
    """The minutes asked for, or else those in the model's own settings; 0 if only steps were limited."""
    model = find_checkpoint(home / run["name"])
    settings = (model.meta.get("settings") if model else None) or {}
    asked = settings_of(run).get("minutes")
    return asked or settings.get("run_minutes") or settings.get("minutes") or 0.0
