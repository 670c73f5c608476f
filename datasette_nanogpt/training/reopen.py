"""Reopening a run for a resume: its limits and its device may change, its models and its data do not."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.tokenizer import Tokenizer

from ..events import TrainState
from .check import max_iters_of_resume
from .model_folder import ModelFolder
from .options import TrainOptions
from .population import TEACHER_WEIGHTS
from .recipe import Settings, Stage, device_settings
from .train_state import read_state

T = TypeVar("T", int, float)


def reopen(
    options: TrainOptions, meta: dict[str, Any], path: Path, device: str
) -> tuple[ModelFolder, TrainState]:
    """The folder of the run and the state to continue from. `meta` is its nanogpt.json, from `check`."""
    checkpoint, state = read_checkpoint(path), read_state(path)
    try:
        stages = reopen_stages(options, meta, checkpoint.config, state.position.step, device)
        # A kill may have come after the weights were written, and before anything else was.
        score = {
            "step": int(checkpoint.weights["step"]),
            **{key: float(checkpoint.weights[key]) for key in ("val_bpb", "val_loss")},
        }
    except (InvalidOptions, LookupError, TypeError, ValueError) as ex:
        reason = "nanogpt.json or model.safetensors lacks something that it needs"
        raise NanogptError(
            f"{path.name} cannot be resumed, because {reason}: train it again without --resume"
        ) from ex
    best = min(state.position.best, score["val_bpb"])
    state = replace(state, position=replace(state.position, best=best))
    tokenizer = Tokenizer.load(path)
    folder = ModelFolder(path, checkpoint.config, stages, tokenizer, meta | {"score": score})
    return folder, state


def reopen_stages(
    options: TrainOptions, meta: dict[str, Any], config: GPTConfig, step: int, device: str
) -> list[Stage]:
    """The stages of a run that is at `step`, with the limits and the device that it goes on with."""
    changed: dict[str, Any] = device_settings(device, options.compile, config.arch)
    if options.minutes:
        changed["run_minutes"] = options.minutes
    if options.eval_interval:
        changed["eval_interval"] = options.eval_interval
    # Older runs of a single model have no list of models.
    known = meta.get("generations") or [{"config": asdict(config), "settings": meta["settings"]}]
    stages = [
        Stage(GPTConfig(**each["config"]), _settings(each["settings"] | changed, at))
        for at, each in enumerate(known)
    ]
    last = stages[-1].settings
    minutes = options.minutes or last.minutes
    max_iters = max_iters_of_resume(options, meta, step)
    if "max_iters" not in meta["options"]:  # what the planner chose stays: other models follow in more time
        max_iters = max_iters or last.max_iters
    before = [  # a run may now end in one of these
        stage.changed(
            minutes=smaller(stage.settings.minutes, minutes),
            max_iters=smaller(stage.settings.max_iters, max_iters),
        )
        for stage in stages[:-1]
    ]
    return [*before, stages[-1].changed(minutes=minutes, max_iters=max_iters)]


def _settings(known: dict[str, Any], stage: int) -> Settings:
    """Settings as nanogpt.json has them, which once did not name the one teacher, the model before."""
    teachers = known.get("teachers", [stage - 1] if stage else [])
    weights = known.get("teacher_weights", TEACHER_WEIGHTS)
    place = {"stage": stage, "teachers": tuple(teachers), "teacher_weights": tuple(weights)}
    return Settings(**known | place)


def smaller(limit: T | None, other: T | None) -> T | None:
    """The lower of two limits, where None is no limit."""
    return min((each for each in (limit, other) if each), default=None)
