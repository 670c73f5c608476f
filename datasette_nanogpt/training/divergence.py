"""A loss that got out of hand: what shows it, and the state that training goes back to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor

from llm_nanogpt.errors import NanogptError

from ..data.dataloader import Tokens
from ..events import TrainState

MAX_RETURNS = 3  # to a good state, each at half the learning rate of the one before, until a run gives up
# Times the loss of the first step: a model that has learnt nothing yet may have as much, even if that is
# worse than the unigram's.
UNTRAINED = 1.1
# Tokens of the training text, a few kB, with fewer of which hardly anything is better than the unigram
# (benchmarks/LOG.md, "A few hundred bytes").
LITTLE_TEXT = 2000
COUNTED = 20_000_000  # tokens of the training text that the unigram is made of, as in init_bigrams.py

CHUNK = 1_000_000


class Diverged(Exception):  # noqa: N818  # it happens to a loss, and is not an error yet
    """What shows that the weights are of no use, as the beginning of a sentence."""


class LastGood:
    """The last state of one model in training whose loss was in order, kept in the computer's memory.

    Going back to it takes the rate to half. A model that predicts text worse than the unigram does, which
    only knows how frequent each token is, has lost what it knew. Or it has not learnt yet, or has learnt its
    text by heart, which are no reasons to go back.
    """

    state: TrainState

    def __init__(self, tokens: Tokens):
        self.unigram = unigram_nats(tokens)  # a token of the held-out text
        self.is_little_text = len(tokens.train) < LITTLE_TEXT
        self.first_loss: float | None = None  # nats a token, of the first step
        self.returns = 0
        # Whether the time is over and nothing was saved. What training began with may still know something of
        # the text (init_bigrams.py).
        self.is_last_chance = False

    def keep(self, state: TrainState) -> None:
        """Take a copy of a state, instead of the one before."""
        self.state = TrainState({}, state.position)  # first, so that there are never two
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.tensors.items()}
        self.state = TrainState(copies, state.position)

    def check_loss(self, nats: float, step: int) -> float:
        """The training loss in nats a token. Raises Diverged where it is no number."""
        if not math.isfinite(nats):
            raise Diverged(f"The loss is no longer a number at step {step:,}")
        return nats

    def check_score(self, nats: float, val_bpb: float, step: int, batch_nats: Callable[[], float]) -> None:
        """Raises Diverged for a model that knows nothing of the held-out text, `nats` a token, and nothing of
        what it has just read, `batch_nats`."""
        if self._knows_nothing(nats) and self._knows_nothing(batch_nats()):
            if not math.isfinite(nats):
                raise Diverged(f"The score is not a number after step {step:,}")
            raise Diverged(
                f"The score after step {step:,} is {val_bpb:,.4g} bits per byte, worse than the "
                f"{val_bpb / nats * self.unigram:.3g} of knowing only how frequent each token is"
            )

    def _knows_nothing(self, nats: float) -> bool:
        """Whether a loss in nats a token is worse than the unigram's, and than what the model began with."""
        untrained = 0.0 if self.is_last_chance else UNTRAINED * (self.first_loss or 0.0)
        return not nats <= max(self.unigram, untrained)

    def go_back(self, why: Diverged, learning_rate: float) -> None:
        """Have `state` with half the factor for the learning rate, which was `learning_rate` last. Raises
        NanogptError once that was in vain MAX_RETURNS times."""
        if self.returns == MAX_RETURNS:
            raise self.failure(why, f"after {MAX_RETURNS} new attempts", learning_rate) from why
        self.returns += 1
        position = self.state.position
        self.state = replace(self.state, position=replace(position, lr_factor=position.lr_factor / 2))

    def failure(self, why: Diverged, end: str, learning_rate: float) -> NanogptError:
        """What a run ends with."""
        if self.is_little_text:
            advice = "there is too little text to learn from, choose a table with more"
        else:
            advice = f"leave --learning-rate out, or train with less than {learning_rate:.2g}"
        return NanogptError(f"{why}, {end}: {advice}")


def unigram_nats(tokens: Tokens) -> float:
    """What knowing only how frequent each token is gives: nats a token of the held-out text, by the counts in
    the training text, each one higher so that none is 0."""
    train = tokens.train[:COUNTED]
    size = int(max(train.max(), tokens.val.max())) + 1
    counts = np.ones(size)
    for begin in range(0, len(train), CHUNK):  # bincount takes 8 bytes a token
        counts += np.bincount(train[begin : begin + CHUNK], minlength=size)
    seen = np.bincount(tokens.val[1:], minlength=size)
    return float(seen @ -np.log(counts / counts.sum()) / max(seen.sum(), 1))


def all_finite(tensors: dict[str, Tensor]) -> bool:
    """Whether all numbers in these tensors are numbers."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values() if tensor.is_floating_point())
