"""What somebody who may train can do with a run that is over, as the buttons of its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from datasette.app import Datasette

from llm_nanogpt.changes import replaced
from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError

from ..registry.resume import minutes_given, minutes_to_offer
from ..registry.runs import DIVERGED
from ..training.lr_schedule import MAX_RETURNS
from ..training.replaced import score_on
from .permissions import Origin, origin_of_model
from .run_states import replaced_better

Run = dict[str, Any]


def train_on(home: Path, run: Run, advice: Mapping[str, str], limit: float) -> float | None:
    """How many more minutes to offer for a run whose verdict advises more: as many again as it was given, at
    most `limit`, or what is left if somebody stopped it. None where something else would help, or where the
    run cannot be resumed."""
    offered = minutes_to_offer(home, run, limit)
    if offered is None or "--resume" not in advice["command"] or "--max-iters" in advice["command"]:
        return None
    given = minutes_given(home, run)
    if run["status"] == "finished" and 0 < given <= limit:
        return given
    return offered if run["status"] == "stopped" else limit


def lower_rate(run: Mapping[str, Any]) -> str | None:
    """The learning rate of the form for a run whose rate was too high: "", which leaves it to the planner, if
    it was asked for, or else half of the lowest that was tried. None for a run that ended in another way."""
    if run["cause"] != DIVERGED:
        return None
    rate = (json.loads(run["plan"] or "{}").get("settings") or {}).get("learning_rate")
    if json.loads(run["settings"] or "{}").get("learning_rate") or not rate:
        return ""
    return f"{rate / 2 ** (MAX_RETURNS + 1):.2g}"


class Kept(NamedTuple):
    """The model that is kept beside the one in use, and swaps places with it when it is brought back."""

    which: str  # "better": it was replaced by this run; "own": it is this run's, and another is in use
    description: str


def kept_model(datasette: Datasette, run: Run, origin: Origin, in_use: Checkpoint) -> Kept | None:
    """What can be brought back on the page of a run: the better model that it replaced, or its own one if
    that was put aside. None if neither is there, or if one of the two is a model of other tables."""
    kept = None
    with suppress(NanogptError):
        kept = read_checkpoint(replaced(in_use.path))
    if kept is None or run["kind"] != "train":
        return None
    if any(origin_of_model(datasette, model.meta) != origin for model in (in_use, kept)):
        return None
    if made_by(run, in_use):
        before = score_on(kept.meta, in_use.meta)
        bpb = (in_use.meta.get("score") or {}).get("val_bpb")
        if before is None or bpb is None or before >= bpb:
            return None
        return Kept("better", replaced_better(before, bpb))
    return (
        Kept("own", "The model of this run is still kept, beside the one in use.")
        if made_by(run, kept)
        else None
    )


def made_by(run: Mapping[str, Any], checkpoint: Checkpoint) -> bool:
    """Whether a model is the one that this run made, not of an earlier or a later run of the same name.

    The log's name tells, if both have one: the clock may have been set meanwhile.
    """
    training = checkpoint.meta.get("training") or {}
    if run["status"] == "queued":
        return False
    if run["log"] and training.get("log"):
        return run["val_bpb"] is not None and run["log"] == training["log"]
    updated = training.get("updated") or ""
    return run["started"] <= updated <= (run["ended"] or updated)
