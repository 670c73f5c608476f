"""Meters of a model in training: its training loss, and the speed of its steps."""

from __future__ import annotations

import torch
from torch import Tensor

from llm_nanogpt.config import GPTConfig

from .distributed import ProcessGroup
from .flops import estimate_mfu, flops_per_token


class LossMeter:
    """The training loss in nats per token, added up on the device, because reading it waits for a GPU."""

    def __init__(self, device: str, group: ProcessGroup):
        self.group = group
        self.total = torch.zeros((), device=device)  # of the steps since it was last read, in this process
        self.steps = self.tokens = 0  # those steps, and their tokens in all processes
        self.score_total, self.score_steps = 0.0, 0  # the same since the last score, in all processes

    def add(self, loss: Tensor, tokens: int) -> None:
        """The loss of a step, a scalar, over `tokens` tokens of this process."""
        self.total += loss.detach()
        self.steps += 1
        self.tokens += tokens * self.group.size

    def read(self) -> float:
        """The mean over all processes since it was last read; all of them must ask for it."""
        steps, loss = self.steps, self.group.sum(self.total).item() / max(self.steps, 1) / self.group.size
        self.score_total += loss * steps
        self.score_steps += steps
        self.total.zero_()
        self.steps = self.tokens = 0
        return loss

    def since_score(self) -> float | None:
        """The mean of what was read since this was last asked for; None if there was no step since."""
        mean = self.score_total / self.score_steps if self.score_steps else None
        self.score_total, self.score_steps = 0.0, 0
        return mean


class SpeedMeter:
    """Tokens a second and the MFU, model FLOPs utilisation, of the steps that were reported."""

    def __init__(self, config: GPTConfig):
        self.flops_per_token = flops_per_token(config)
        # FLOP/s of all processes together in matrix products; None: not measured.
        self.machine_flops: float | None = None
        self.tokens, self.seconds = 0, 0.0

    def add(self, tokens: int, seconds: float) -> None:
        self.tokens += tokens
        self.seconds += seconds

    def mfu(self, tokens: int, seconds: float) -> float | None:
        """The MFU, 0 to 1, of `tokens` in `seconds`. None: the machine was not measured."""
        return estimate_mfu(tokens * self.flops_per_token, seconds, self.machine_flops)

    @property
    def mean_mfu(self) -> float | None:
        return self.mfu(self.tokens, self.seconds)

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.seconds if self.seconds else None
