"""What a run in training tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speed:
    """How the steps will run, told before the first where there was a choice."""

    bf16: bool  # autocast
    compiled: bool
    flops_per_token: int  # of the model, forward and backward
    machine_flops: float | None  # a second, in this process; None: not measured
    why: str


@dataclass(frozen=True)
class Step:
    """Where the run is, about twice a second."""

    step: int
    train_loss: float  # nats a token, mean since the last Step
    train_bpb: float  # the same in bits per byte
    tokens_per_second: float
    mfu: float | None  # model FLOPs utilisation, see speed.py; None: the machine was not measured
    learning_rate: float
    seconds: float  # of training so far, over all resumes
    progress: float  # 0 to 1
    eta: float  # seconds
    memory: int | None  # bytes, the most that the process has held at once


@dataclass(frozen=True)
class Evaluation:
    """The score of the weights after `step` on the whole validation split."""

    step: int
    val_bpb: float
    val_loss: float  # nats a token
    train_loss: float | None  # mean since the last score; None: no step since, right after a resume
    seconds: float
    best: bool
    sample: str


@dataclass(frozen=True)
class Busy:
    """What it is at between two steps, about twice a second while that takes long."""

    what: str


@dataclass(frozen=True)
class Note:
    text: str


@dataclass(frozen=True)
class Progress:
    """How far the work before training is. `total` is 0 where nobody knows."""

    what: str
    done: int = 0
    total: int = 0
    unit: str = ""  # rows or bytes; none for what is not counted

    def __str__(self) -> str:
        of = f" of {self.total:,}" if self.total else ""
        return f"{self.what}: {self.done:,}{of} {self.unit}" if self.unit else self.what


Event = Speed | Step | Busy | Evaluation | Note
