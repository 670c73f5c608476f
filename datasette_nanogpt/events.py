"""Everything that a run reports, from the first row to its end.

`train_table` yields Preview, Progress, Prepared once, the trainer's events, then Finished. The trainer's
BestWeights and TrainState go no further than training/table_run.py, which writes them before it asks the
trainer to go on: an Evaluation is only announced once its weights are on the disk. If the disk refuses them,
a Note says so (training/saving.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from llm_nanogpt.config import GPTConfig

REPORT_SECONDS = 0.5  # between two events that tell of the same work: Progress, Step or Busy

# ---- Before training


class Part(StrEnum):
    """The parts of the work before training, in order, some of which the cache makes unnecessary."""

    LOOKING = "looking through the rows"
    READING = "reading"
    DEDUPLICATING = "looking for near-duplicates"
    VOCABULARY = "making the vocabulary"
    TOKENIZING = "tokenizing"
    MEASURING = "measuring the speed of this machine"
    BUILDING = "building the model"


class LastPart(StrEnum):
    """The parts of the work after the last step, in order."""

    SCORING = "scoring it for the last time"
    JUDGING = "finding out what it can do"


@dataclass(frozen=True)
class Progress:
    """How far the work before or after training is. `total` is 0 where it is not known."""

    what: str  # a Part or a LastPart, or what is fetched before the first
    done: int = 0
    total: int = 0
    unit: str = ""  # of `done`: rows, or results such as tokens or copies; "" if nothing is counted

    def __str__(self) -> str:
        of = f" of {self.total:,}" if self.total else ""
        return f"{self.what}: {self.done:,}{of} {self.unit}" if self.unit else self.what


@dataclass(frozen=True)
class TablePreview:
    """How the rows of one table will be read."""

    table: str
    rows: int
    title: str | None  # the column
    body: list[str]  # the columns
    text: str  # how these become a document, where they are not one after the other: by a template, grouped
    read_as: dict[str, list[str]]  # column -> what its text is, where it is not plain: "HTML", "front matter"
    left_out: dict[str, str]  # other column -> why it is not read, in words
    documents: list[str]  # the first ones, or their beginnings
    remarks: list[str]  # sentences: what is skipped and why, and what looks odd
    template: bool = False  # whether one says which columns are read


@dataclass(frozen=True)
class Preview:
    """What the model will read, before any work is done."""

    tables: list[TablePreview]


@dataclass(frozen=True)
class Prepared:
    """What a run is about to do. `source`, `corpus` and `settings` are as nanogpt.json keeps them."""

    name: str  # of the model
    folder: str  # of the model
    source: dict[str, Any]  # tables, columns, filter, rows
    corpus: dict[str, Any]  # documents, bytes and tokens of text on either side of the split
    config: GPTConfig  # of the last model of the run
    settings: dict[str, Any]  # of the last model: batch size, rates, limits, device
    tokenizer: str  # bpe, gpt2 or char
    device_reason: str
    plan_reason: str
    resumed_from: int | None  # the step that a resumed run goes on from
    replaces: str | None = None  # what is known of the model of that name; it stays until there is a score
    replaces_bpb: float | None = None  # of the model that is then kept; None: not on the same held-out text
    gzip_bpb: float | None = None  # what gzip makes of the held-out text, in bits per byte
    letters: float | None = None  # for each byte of that text (verdict.count_letters); None: it is no prose
    kept_bytes: int | None = None  # size on disk of the model that `llm nanogpt restore` then brings back
    kept: str | None = None  # that model in words
    deleted: str | None = None  # the other one in words, if there were two of that name already
    keeps_older: bool = False  # whether the one that is kept is the older of these two
    memory: int | None = None  # bytes that each process will hold at most, of the GPU if it has one; about


# ---- Training


@dataclass(frozen=True)
class Speed:
    """How the steps will run, announced before the first where there was a choice."""

    bf16: bool  # whether matrix products are in bfloat16
    compiled: bool
    flops_per_token: int  # of the model, forward and backward
    machine_flops: float | None  # FLOP/s in matrix products, in this process; None: not measured
    why: str


@dataclass(frozen=True)
class Step:
    """Where the run is, every REPORT_SECONDS."""

    step: int
    train_loss: float  # nats a token, mean since the last Step
    train_bpb: float  # the same in bits per byte
    tokens_per_second: float
    mfu: float | None  # model FLOPs utilisation, 0 to 1; None: the machine was not measured
    learning_rate: float
    seconds: float  # of training so far, over all resumes
    progress: float  # 0 to 1
    eta: float  # seconds that are left
    memory: int | None  # bytes, the most that the process has held at once


@dataclass(frozen=True)
class Evaluation:
    """The score of the weights after `step` on the whole validation split."""

    step: int
    val_bpb: float  # bits per byte
    val_loss: float  # nats a token
    train_loss: float | None  # nats a token, mean since the last score; None: no step since, after a resume
    seconds: float  # of training so far, over all resumes
    best: bool  # whether it is the best score of the run so far
    sample: str  # what the model writes now


@dataclass(frozen=True)
class Busy:
    """What the run is doing between two steps, every REPORT_SECONDS while that takes long."""

    what: str
    fraction: float | None = None  # how much of it is done, 0 to 1; None: not known

    def __str__(self) -> str:
        return self.what if self.fraction is None else f"{self.what}, {self.fraction:.0%}"


@dataclass(frozen=True)
class Note:
    """A sentence or two for people."""

    text: str
    stopping: bool = False  # whether it is about a run that was asked to stop


# ---- What to save


@dataclass(frozen=True, eq=False)
class BestWeights:
    """The best weights of the run so far, and their score. Write them before the trainer goes on."""

    config: GPTConfig
    tensors: Mapping[str, np.ndarray]  # float32, under Hugging Face's names
    step: int
    val_bpb: float  # bits per byte
    val_loss: float  # nats a token
    of_tokens: np.ndarray | None = None  # nats of each held-out token but the first; None: not known


@dataclass(frozen=True)
class Position:
    """Where a run is."""

    step: int = 0  # over all models of the run, and all resumes
    seconds: float = 0.0  # of training, over all models and resumes
    best: float = math.inf  # bits per byte, of all scores so far
    best_before: float = math.inf  # of the scores of earlier generations; not saved
    windows: int = 0  # drawn from the training text so far
    stage: int = 0  # which model of the run is in training, from 0
    start_step: int = 0  # `step` at the start of this model
    start_seconds: float = 0.0  # `seconds` at the start of this model
    lr_factor: float = 1.0  # multiplies the learning rate; below 1 once the loss got out of hand


@dataclass(frozen=True, eq=False)
class TrainState:
    """Everything that a resume needs. Write it before the trainer goes on, because these are its own tensors.

    model.* are weights, optim.* the optimizers' state, rng torch's random state. A model that has not begun
    has no tensors.
    """

    tensors: Mapping[str, Tensor]
    position: Position


TrainingEvent = Speed | Step | Busy | Evaluation | Note | BestWeights | TrainState  # of the trainer

# ---- The end


@dataclass(frozen=True)
class Finished:
    """How a run ended: `status` is finished or stopped."""

    status: str
    name: str  # of the model
    folder: str  # of the model
    parameters: int  # of the model that is kept: a run may train several
    step: int
    seconds: float  # of training, over all resumes
    seconds_left: float  # how much of the given minutes was not used
    val_bpb: float  # bits per byte, of the model that is kept
    val_loss: float  # nats a token, of the same model
    mfu: float | None  # model FLOPs utilisation of this run's steps, 0 to 1; None: not measured
    epochs: float  # how often the last model that was trained has read the text
    models: int  # how many were trained
    best_step: int  # the step whose weights are kept
    better_before: float | None  # bits per byte of the model that it replaced, where that was better
    sample: str
    prompt: str  # a few words to begin with, from held-out text
    title: str = ""  # of a held-out document, where the table has titles
    conditions: dict[str, str] = field(default_factory=dict)  # columns of one, where a template has them
    verdict: dict[str, str] = field(default_factory=dict)  # heading -> what the score means, in plain words


Event = Preview | Progress | Prepared | Speed | Step | Busy | Evaluation | Note | Finished
