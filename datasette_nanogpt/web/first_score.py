"""When the first score of a run comes, as training/score_schedule.py has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm_nanogpt.counts import counted

from ..registry.runs import is_resumed, plan_of, settings_of
from ..training.score_schedule import FIRST_EVALUATION_SECONDS, UNSCORED_SECONDS

SHORT_MINUTES = UNSCORED_SECONDS / 60  # a shorter run is scored only at its end


def when_scored(settings: Mapping[str, Any]) -> str:
    """A sentence that says when the first score of a run comes."""
    if is_short(settings):
        return "A run this short is scored at its end."
    return "The first score comes a few seconds after training begins, later on a slow or busy machine."


def when_first(run: Mapping[str, Any]) -> str:
    """A sentence that says at which step the first score of a run that trains comes, and in how long."""
    if is_short(settings_of(run)):
        return "It is scored at its end."
    plan, speed, step = plan_of(run), run["tokens_per_second"], run["step"]
    settings, block_size = plan.get("settings") or {}, (plan.get("config") or {}).get("block_size")
    if not (speed and step and block_size and settings.get("batch_size")):
        return "The first score comes soon."
    steps_per_second = speed / (settings["batch_size"] * block_size)
    scoring = ((plan.get("corpus") or {}).get("val_tokens") or 0) / speed / 3  # a third of a step is forward
    at = math.ceil(max(FIRST_EVALUATION_SECONDS, scoring) * steps_per_second)
    if interval := settings.get("eval_interval"):
        at = min(at, interval * (step // interval + 1))
    if steps := settings.get("max_iters"):
        at = min(at, steps)
    seconds = round((at - step) / steps_per_second)
    if is_resumed(run) or at <= step or seconds < 1:
        return "The first score comes in a moment."
    return f"The first score comes at about step {at:,}, in about {counted(seconds, 'second')}."


def is_short(settings: Mapping[str, Any]) -> bool:
    """Whether a run with these settings has only seconds."""
    return 0 < (settings.get("minutes") or 0) < SHORT_MINUTES
