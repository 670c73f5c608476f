"""Divergence: how a loss that got out of hand is recognised, and the state that training goes back to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor

from llm_nanogpt.errors import NanogptError, TrainingDiverged

from ..data.dataloader import Tokens
from ..events import TrainState
from .lr_schedule import MAX_RETURNS

# A loss of up to this many times the first step's is not a reason to go back: a model that has learnt nothing
# yet has as much, even if the unigram is better.
UNTRAINED = 1.1
# Tokens (a few kB): with less, hardly anything is better than the unigram (LOG.md, "A few hundred bytes").
FEW_TOKENS = 2000
COUNTED = 20_000_000  # tokens of the training text that are counted for the unigram, as in init_bigrams.py

CHUNK = 1_000_000  # tokens that are counted at a time


class Diverged(Exception):  # noqa: N818  # it happens to a loss, and is not an error yet
    """Why the weights are useless, as the beginning of a sentence."""


class LastGood:
    """The last state of a model in training whose loss was in order, kept in the computer's memory.

    Going back to it halves the learning rate. A model that predicts text worse than the unigram, which only
    knows how frequent each token is, has diverged, unless it has not learnt anything yet or has only learnt
    its text by heart.
    """

    state: TrainState

    def __init__(self, tokens: Tokens):
        self.unigram = unigram_nats(tokens)  # a token of the held-out text
        self.is_little_text = len(tokens.train) < FEW_TOKENS
        self.first_loss: float | None = None  # nats a token, of the first step
        self.returns = 0
        # Whether the time is over and nothing was saved. The initial weights may still know something about
        # the text (init_bigrams.py), and are scored then.
        self.is_last_chance = False

    def keep(self, state: TrainState) -> None:
        """Take a copy of a state, instead of the one before."""
        self.state = TrainState({}, state.position)  # first, so that there are never two
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.tensors.items()}
        self.state = TrainState(copies, state.position)

    def check_score(self, nats: float, val_bpb: float, step: int, batch_nats: Callable[[], float]) -> None:
        """Raises Diverged if the model predicts neither the held-out text, at `nats` per token, nor the text
        that it has just read, at `batch_nats()`."""
        if self._knows_nothing(nats) and self._knows_nothing(batch_nats()):
            if not math.isfinite(nats):
                raise Diverged(f"The score is not a number after step {step:,}")
            raise Diverged(
                f"The score after step {step:,} is {val_bpb:,.4g} bits per byte, worse than the "
                f"{val_bpb / nats * self.unigram:.3g} of knowing only how frequent each token is"
            )

    def _knows_nothing(self, nats: float) -> bool:
        """Whether a loss in nats per token is worse than the unigram's and than the model's first one."""
        untrained = 0.0 if self.is_last_chance else UNTRAINED * (self.first_loss or 0.0)
        return not nats <= max(self.unigram, untrained)

    def halve_rate(self, why: Diverged, learning_rate: float) -> None:
        """Halve the learning rate's factor in `state`, because of `why`. Raises NanogptError after
        MAX_RETURNS times; `learning_rate` is the last one, for the message."""
        if self.returns == MAX_RETURNS:
            raise self.failure(why, f"after {MAX_RETURNS} new attempts", learning_rate) from why
        self.returns += 1
        position = self.state.position
        self.state = replace(self.state, position=replace(position, lr_factor=position.lr_factor / 2))

    def failure(self, why: Diverged, end: str, learning_rate: float) -> NanogptError:
        """The error that a run ends with."""
        if self.is_little_text:
            return NanogptError(
                f"There is too little text to learn from: choose a table with more ({why}, {end})"
            )
        advice = f"leave --learning-rate out, or train with less than {learning_rate:.2g}"
        return TrainingDiverged(f"{why}, {end}: {advice}")


def unigram_nats(tokens: Tokens) -> float:
    """The loss of the unigram, which only knows how frequent each token is: nats per token of the held-out
    text, by the counts in the training text, plus one each so that none is 0."""
    train = tokens.train[:COUNTED]
    size = int(max(train.max(), tokens.val.max())) + 1
    counts = np.ones(size)
    for begin in range(0, len(train), CHUNK):  # bincount takes 8 bytes a token
        counts += np.bincount(train[begin : begin + CHUNK], minlength=size)
    seen = np.bincount(tokens.val[1:], minlength=size)
    return float(seen @ -np.log(counts / counts.sum()) / max(seen.sum(), 1))


def all_finite(tensors: dict[str, Tensor]) -> bool:
    """Whether the floats in these tensors are all finite."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values() if tensor.is_floating_point())
