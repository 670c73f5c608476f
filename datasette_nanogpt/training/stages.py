"""The stages of a run: models that are trained one after the other, each of which may teach later ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import Qwen3, build
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer

from ..data.dataloader import Tokens, Windows
from ..events import Busy, TrainState
from .distributed import Command, ProcessGroup, leave_signals_to_rank_0
from .evaluate import estimate_loss, sample_writer
from .init_bigrams import init_from_bigrams
from .init_induction import init_induction_heads
from .measure import bf16_may_pay
from .members import Work, train_member
from .nodes import Courier, files_of_stage
from .process import training_begins
from .recipe import Stage
from .teacher_probs import TeacherProbs, file_bytes, write_teacher_probs
from .train_state import read_state, read_teacher, teacher_probs_file
from .trainer import Training

# From rank 0 to all, None at the end: the model folder, the work of each process or one that all do together,
# the corpus as in nanogpt.json, and whether the folder has a state of this model.
Message = tuple[Path, Sequence[Work], dict[str, Any], bool]


def begin_work(
    path: Path, work: Sequence[Work], corpus: dict[str, Any], state: TrainState | None, courier: Courier
) -> Training:
    """The model of rank 0, which is about to be trained, or trained on from `state`: the first one of `work`.
    All processes train it together, or each one its own if there are several.

    The token files, and what the teachers predict, are in the model folder `path`; `corpus` is as in
    nanogpt.json.
    """
    group, (stage, position), several = courier.group, work[0], len(work) > 1
    has_begun, teachers = bool(state and state.tensors) and not several, stage.settings.teachers
    group.broadcast_object((path, work, corpus, has_begun))
    predictions = teacher_probs_file(path, teachers) if teachers else None
    courier.send(path, files_of_stage(path, predictions, has_begun))
    return _build(path, stage, corpus, state or TrainState({}, position), group.alone() if several else group)


def end_stages(group: ProcessGroup) -> None:
    """Let the other processes end: no model follows."""
    group.broadcast_object()


def follow(group: ProcessGroup) -> None:
    """The part of the processes other than rank 0 in a run: they train what rank 0 tells them to."""
    with closing(Courier(group)) as courier:
        while message := _receive(group):
            path, work, corpus, has_begun = message
            leave_signals_to_rank_0()
            path = courier.send(path, [])
            stage, position = work[group.rank if len(work) > 1 else 0]
            state = read_state(path) if has_begun else TrainState({}, position)
            if len(work) > 1:
                training = _build(path, stage, corpus, state, group.alone())
                train_member(training, group, sample_writer(Tokenizer.load(path), stage.settings.seed))
            else:
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
    path: Path, stage: Stage, corpus: dict[str, Any], state: TrainState, group: ProcessGroup
) -> Training:
    config, settings = stage
    torch.manual_seed(settings.model_seed)
    model = build(config, settings.dropout)
    tokens = _open_tokens(path, config, corpus)
    if group.is_leader and isinstance(model, Qwen3) and not state.tensors:
        device = settings.device if settings.device.startswith("cuda") else "cpu"
        init_from_bigrams(model, tokens.train, device)
        init_induction_heads(model)
    training_begins()  # after the start, which needs tables of all pairs of tokens, only once
    teacher = None
    if settings.teachers:
        file = teacher_probs_file(path, settings.teachers)
        teacher = TeacherProbs(file, config.vocab_size, len(tokens.train))
    return Training(model, tokens, settings, state, group, teacher)


def _open_tokens(path: Path, config: GPTConfig, corpus: dict[str, Any]) -> Tokens:
    titles = Titles(Tokenizer.load(path), config) if config.titles else None
    return Tokens.open(path / "training", config.vocab_size, corpus, titles)


def predict_text(path: Path, stage: Stage, corpus: dict[str, Any]) -> Generator[Busy, None, None]:
    """Compute the predictions of a stage's teachers for the text, unless they are there already.

    The teachers' weights and the token files are in the model folder `path`. The generator may be closed at
    any time: the file appears once it is complete.
    """
    config, settings = stage
    file = teacher_probs_file(path, settings.teachers)
    whole = file_bytes(corpus["train_tokens"], config.vocab_size)
    if not settings.teachers or (file.exists() and file.stat().st_size == whole):
        return
    models = [read_teacher(path, number).to(settings.device).eval() for number in settings.teachers]
    tokens = _open_tokens(path, config, corpus)
    who = "the model before predicts" if len(models) == 1 else f"the {len(models)} teachers predict"
    windows = Windows(tokens.train, config.block_size, tokens.titles)
    bf16 = bf16_may_pay(settings.device) if settings.bf16 is None else settings.bf16
    for fraction in write_teacher_probs(file, models, windows, settings.device, bf16):
        yield Busy(f"{who} the text", fraction)


def describe_stage(training: Training) -> str:
    """One model of several in words: its size, and what it learns from."""
    size, s = f"{training.model.config.parameters / 1e6:.2f}M parameters", training.settings
    if training.clock.model_steps or not s.teachers:
        return size
    first, last = s.teachers[0] + 1, s.teachers[-1] + 1  # those between teach as well
    teachers = f"the average of models {first} to {last}" if last > first else f"model {first}"
    return f"{size}, which learns from scratch, from the text and from {teachers}"
