"""The stages of a run: one or several models, trained one after the other, each teaching the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from llm_nanogpt.gpt_torch import Qwen3, build
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer

from ..data.dataloader import Tokens
from ..events import Position, TrainState
from .distributed import Command, ProcessGroup, leave_signals_to_rank_0
from .evaluate import estimate_loss
from .flops import work_per_step
from .init_bigrams import init_from_bigrams
from .init_induction import init_induction_heads
from .plan import STUDENT_DECAY_FACTOR, replan, steps_for_max_epochs
from .recipe import Stage
from .train_state import read_state, read_teacher
from .trainer import Training

# From rank 0 to all, None at the end: the model folder, the stage, the corpus as in nanogpt.json, where the
# run is unless it only begins, and whether the folder has a state of this model.
Message = tuple[Path, Stage, dict[str, Any], Position | None, bool]


def begin_stage(
    path: Path, stage: Stage, corpus: dict[str, Any], state: TrainState | None, group: ProcessGroup
) -> Training:
    """A model that is about to be trained, or trained on from `state`, in all processes.

    Its token files, and its teacher if there is one, are in the model folder `path`; `corpus` is as in
    nanogpt.json.
    """
    has_begun = bool(state and state.tensors)
    group.broadcast_object((path, stage, corpus, state.position if state else None, has_begun))
    return _build(path, stage, corpus, state, group)


def end_stages(group: ProcessGroup) -> None:
    """Let the other processes end: no model follows."""
    group.broadcast_object()


def follow(group: ProcessGroup) -> None:
    """What the processes other than rank 0 do in a run: train along, and nothing else."""
    while message := _receive(group):
        path, stage, corpus, position, has_begun = message
        leave_signals_to_rank_0()
        state = read_state(path) if has_begun else TrainState({}, position) if position else None
        _follow_steps(_build(path, stage, corpus, state, group))


def _follow_steps(training: Training) -> None:
    """One model: as rank 0 says, step by step."""
    group = training.group
    training.set_up(*group.broadcast_object())
    while True:
        command, lr_scale, progress = group.broadcast_command()
        match command:
            case Command.STEP:
                training.train_step(lr_scale, progress)
            case Command.LOSS:
                training.loss.read()
            case Command.EVALUATE:
                estimate_loss(*training.validation, group)
            case Command.KEEP:
                training.last_good.keep(training.state())
            case Command.BACK:
                training.take_up_last_good()
            case Command.END:
                return


def _receive(group: ProcessGroup) -> Message | None:
    return group.broadcast_object()


def _build(
    path: Path, stage: Stage, corpus: dict[str, Any], state: TrainState | None, group: ProcessGroup
) -> Training:
    config, settings = stage
    torch.manual_seed(settings.model_seed)
    model = build(config, settings.dropout)
    titles = Titles(Tokenizer.load(path), config) if config.titles else None
    tokens = Tokens.open(path / "training", config.vocab_size, corpus, titles)
    if group.is_leader and isinstance(model, Qwen3) and not (state and state.tensors):
        init_from_bigrams(model, tokens.train)
        init_induction_heads(model)
    teacher = read_teacher(path) if settings.generation else None
    return Training(model, tokens, settings, state, group, teacher)


def next_stages(stages: Sequence[Stage], training: Training, train_tokens: int) -> tuple[list[Stage], str]:
    """The stages of the run, now that one is trained and it is known how long steps take here; and what to
    say of a change: some may be left out for want of time, or one more may be added."""
    generation = training.settings.generation
    done, rest = list(stages[: generation + 1]), list(stages[generation + 1 :])
    models, (config, settings) = [stage.config for stage in stages], stages[-1]
    step_tokens = settings.batch_size * config.block_size
    left_out, another = 0, False
    if (speed := training.speed.tokens_per_second) and settings.minutes:
        teacher = models[generation - 1] if generation else None
        flops = work_per_step(models[generation], step_tokens, teacher) / step_tokens * speed
        seconds = 60 * settings.minutes - training.clock.seconds
        left_out, another = replan(models, generation, train_tokens, step_tokens, flops, seconds)
    if another and not training.clock.annealing:  # it ended early if it was: one more would do no better
        if not generation:
            settings = replace(settings, weight_decay=settings.weight_decay * STUDENT_DECAY_FACTOR)
        rest = [Stage(config, settings)]
    steps = steps_for_max_epochs(train_tokens, step_tokens)
    for i, (model, s) in enumerate(rest[left_out:], 1):
        max_iters = s.max_iters and training.clock.step + i * steps
        done.append(Stage(model, replace(s, generation=generation + i, max_iters=max_iters)))
    if left_out:
        which = "model is" if left_out == 1 else "models are"
        return done, f"Steps take longer than planned, so {left_out} {which} left out."
    return done, "There is time for one more model." if another and rest else ""
