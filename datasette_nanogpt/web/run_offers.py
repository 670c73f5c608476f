"""What somebody who may train can do with a run that is over, as the buttons of its page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasette.app import Datasette

from llm_nanogpt.change_steps import replaced
from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.counts import counted

from ..formatting import in_minutes
from ..registry.manage import find_checkpoint
from ..registry.resume import begun_by, kept_state, minutes_given, minutes_left, minutes_to_offer
from ..registry.runs import DIVERGED, OVER, find_runs, plan_of, settings_of
from ..training.lr_schedule import MAX_RETURNS
from ..training.replaced import score_on
from .first_score import SHORT_MINUTES, is_short
from .permissions import Origin, origin_of_model
from .run_states import replaced_better
from .shown_models import find_model
from .state import state_of

Run = dict[str, Any]


def train_on(home: Path, run: Run, advice: Mapping[str, str], limit: float) -> float | None:
    """How many more minutes to offer for a run whose verdict advises more: as many again as it was given, at
    most `limit`, or what is left if somebody stopped it. A run of seconds is offered the shortest time of the
    form. None where something else would help, or where the run cannot be resumed."""
    offered = minutes_to_offer(home, run, limit)
    if offered is None or "--resume" not in advice["command"] or "--max-iters" in advice["command"]:
        return None
    given = minutes_given(home, run)
    if run["status"] == "finished" and 0 < given <= limit:
        return min(max(given, SHORT_MINUTES), limit)
    return offered if run["status"] == "stopped" else limit


def goes_on(home: Path, run: Run) -> str:
    """From where a run goes on, with the steps that are made again; "" where that is not known."""
    step = kept_state(home, run["name"]).get("step")
    if not step:
        return ""
    again = (run["step"] or 0) - step
    last = "the last step is" if again == 1 else f"the last {again:,} steps are"
    return f"It can go on from its last save, step {step:,}{f': {last} done again' if again > 0 else ''}."


def unused_minutes(home: Path, run: Run) -> str:
    """How many of its minutes a run that ended early has left, which are those that its page offers; "" where
    none are."""
    left, given = minutes_left(home, run), minutes_given(home, run)
    if not left or run["status"] not in OVER:
        return ""
    return f"{left:g} of its {in_minutes(given)} {'is' if left == 1 else 'are'} left."


def why_gone(home: Path, run: Run) -> str:
    """Why a run that is done has no model to write with, as far as its folder tells."""
    if not (home / run["name"]).exists():
        return "its folder was deleted or renamed"
    if find_model(home, run["name"]) is None:
        return "its folder holds no model that can be opened"
    return "a model of other tables has its name now"


def form_filled_in(datasette: Datasette, run: dict[str, Any], origin: Origin) -> str | None:
    """The address of the form with the settings of a run filled in. None where the form cannot ask for it."""
    begun = begun_by(state_of(datasette).home, run)
    settings = settings_of(begun)
    if len(origin.tables) != 1 or len(settings.get("body") or []) > 1 or settings.get("sql"):
        return None
    table = datasette.urls.table(origin.database, origin.tables[0])
    return f"{table}/-/nanogpt?_again={begun['id']}"


def lower_rate(run: Mapping[str, Any]) -> str | None:
    """The learning rate of the form for a run whose rate was too high: "", which leaves it to the planner, if
    it was asked for, or else half of the lowest that was tried. None for a run that ended in another way."""
    if run["cause"] != DIVERGED:
        return None
    rate = (plan_of(run).get("settings") or {}).get("learning_rate")
    if settings_of(run).get("learning_rate") or not rate:
        return ""
    return f"{rate / 2 ** (MAX_RETURNS + 1):.2g}"


def broke_down(run: Mapping[str, Any]) -> str:
    """Why a run whose learning rate was too high ended, and what helps, in plain words: its error says which
    number was none. "" for any other run, or where the error is not to be seen."""
    if run["cause"] != DIVERGED or not run["error"]:
        return ""
    step, attempts = (
        re.search(r"step \d+(,\d+)*", run["error"]),
        re.search(r"\d+ new attempts?", run["error"]),
    )
    at, again = f" at {step[0]}" if step else "", f", and again in {attempts[0]}" if attempts else ""
    rate = settings_of(run).get("learning_rate") or (plan_of(run).get("settings") or {}).get("learning_rate")
    too_high = f"a learning rate of {rate:g} was too high" if rate else "its steps were too large"
    less = "an automatic" if lower_rate(run) == "" else "a smaller"
    return f"Training broke down{at}{again}: {too_high}. Train with {less} learning rate."


def longer(run: Mapping[str, Any], limit: float) -> bool:
    """Whether a run that is done had only seconds, and can have the shortest time of the form."""
    return run["status"] == "finished" and is_short(settings_of(run)) and limit >= SHORT_MINUTES


def too_short(run: Run, metrics: Sequence[Sequence[Any]]) -> str:
    """How long a run of seconds trained, by the last of its metrics; "" for any other, and if not done. Its
    steps are those of the list and of the comparison."""
    step, seconds = metrics[-1][1:3] if metrics else (None, None)
    if run["status"] != "finished" or not is_short(settings_of(run)) or not step or not seconds:
        return ""
    steps = counted(run["step"] or step, "step")
    trained = f"{counted(max(1, round(seconds)), 'second')} of training ({steps})"
    return f"That is after {trained}: another minute would bring it much further."


class Kept(NamedTuple):
    """The model that is kept beside the one in use, and swaps places with it when it is brought back."""

    which: str  # "better": it was replaced by this run; "own": it is this run's, and another is in use
    description: str


def kept_model(datasette: Datasette, run: Run, origin: Origin, in_use: Checkpoint) -> Kept | None:
    """What can be brought back on the page of a run: the better model that it replaced, or its own one if
    that was put aside. None if neither is there, or if one of the two is a model of other tables."""
    kept = find_checkpoint(replaced(in_use.path))
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
    return _put_aside(in_use.meta, kept.meta) if made_by(run, kept) else None


def _put_aside(in_use: dict[str, Any], own: dict[str, Any]) -> Kept:
    """The scores of the model in use and of a run's own one, which is kept beside it, in words that follow
    the name of the run whose model is in use."""
    scores = [(meta.get("score") or {}).get("val_bpb") for meta in (in_use, own)]
    if None in scores:
        return Kept("own", ". This run's own model is put aside.")
    used, kept = (f"{bpb:.3f}" for bpb in scores)
    elsewhere = "" if score_on(in_use, own) is not None else " of other held-out rows"
    return Kept("own", f", {used} bits per byte{elsewhere}. This run's own model, {kept}, is put aside.")


def run_that_made(home: Path, checkpoint: Checkpoint) -> int | None:
    """The run whose model this is; None if its record was deleted."""
    runs = find_runs(home, "name = ? and kind = 'train'", checkpoint.path.name)
    return next((run["id"] for run in runs if run["started"] and made_by(run, checkpoint)), None)


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
