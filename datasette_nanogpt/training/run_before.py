"""The run before another one, and whether the scores of the two can be compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..registry.runs import find_run, find_runs, is_resumed, plan_of
from .replaced import score_on

LOOK_BACK = 100  # runs: hardly any is resumed more often


def held_out_alike(run: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs were scored on the same held-out rows, so that their scores can be compared."""
    return score_on(described(other), described(run)) is not None


def described(run: Mapping[str, Any]) -> dict[str, Any]:
    """The text of a run, the seed that split it, and the score, as nanogpt.json has them of a model."""
    plan = plan_of(run)
    options = {"seed": (plan.get("settings") or {}).get("seed")}
    return {"corpus": plan.get("corpus"), "options": options, "score": {"val_bpb": run["val_bpb"]}}


def score_of_run_before(home: Path, number: int) -> float | None:
    """The best score, in bits per byte, of the last run of the same name before this one. The runs that a
    resumed run goes on with are a part of it. None if there is none, if it had other held-out rows, or if the
    registry cannot be read: a run does not end for that."""
    same = "id < ? and name = ? and database = ? and \"table\" = ? and kind = 'train' and val_bpb is not null"
    newest = f"id in (select id from runs where {same} order by id desc limit ?)"
    try:
        run = find_run(home, number)
        if run is None:
            return None
        of = (run["name"], run["database"], run["table"])
        earlier = find_runs(home, newest, number, *of, LOOK_BACK)
    except (NanogptError, sqlite3.Error):
        return None
    resumed = is_resumed(run)
    for other in earlier:
        if not resumed:
            return float(other["val_bpb"]) if held_out_alike(run, other) else None
        resumed = is_resumed(other)
    return None
