"""From logits to the next token."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from .errors import NanogptError

FEW = 256  # tokens, among which those that top_p keeps are looked for first


@dataclass
class Sampler:
    """How to choose among logits. Equal settings and an equal `seed` choose the same tokens.

    temperature         0 takes the likeliest token; below 1 favours likely ones, above 1 evens them out
    top_k               keep the k likeliest tokens; 0 keeps all
    top_p               keep the likeliest tokens that together have this share of the probability; 1: all
    min_p               keep the tokens that are at least this times as likely as the likeliest; 0: all
    repetition_penalty  above 1, tokens that the text already has become less likely; 1 changes nothing
    seed                any integer; None draws one, which the attribute then tells

    Raises NanogptError that names everything wrong with the settings.
    """

    # Small models spread some of their odds over thousands of tokens that are all wrong. Of 16 samples by a
    # model of 2.2 bits per byte, these defaults made 93% of the words real ones, nanoGPT's (0.8, top_k 200)
    # 88%, with the variety of the table's own text; stricter ones (min_p 0.05: 96%) began to repeat phrases.
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.9
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self):
        rules = {
            "temperature must be 0 or more": 0 <= self.temperature < float("inf"),
            "top_k must be 0 (all tokens) or more": self.top_k >= 0,
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "min_p must be at least 0 and at most 1": 0 <= self.min_p <= 1,
            "repetition_penalty must be above 0": 0 < self.repetition_penalty < float("inf"),
        }
        if wrong := [rule for rule, kept in rules.items() if not kept]:
            raise NanogptError("; ".join(wrong))
        if self.seed is None:
            self.seed = random.SystemRandom().getrandbits(32)
        self._random = random.Random(self.seed)

    def settings(self) -> dict[str, float | int | None]:
        """What was set, the seed that was drawn among it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def penalised(self, logits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
        """`logits` (V,) after the repetition penalty for `ids`, each counted once: CTRL's (1909.05858)."""
        if self.repetition_penalty == 1:
            return logits
        logits, seen = logits.copy(), np.unique(ids)
        # The paper divides; below 0 that would be a reward, so there it is a product, as everywhere else.
        logits[seen] *= np.where(logits[seen] < 0, self.repetition_penalty, 1 / self.repetition_penalty)
        return logits

    def choose(self, logits: np.ndarray) -> int:
        """Index of the chosen one of `logits` (V,), which may hold -inf for what must not be chosen."""
        if self.temperature == 0:
            return int(logits.argmax())
        kept = None  # all
        if 0 < self.top_k < len(logits):
            kept = np.argpartition(logits, -self.top_k)[-self.top_k :]
            logits = logits[kept]
        p = (logits - logits.max()).astype(np.float64)
        p /= self.temperature
        np.exp(p, p)
        if self.min_p:
            likely = np.flatnonzero(p >= self.min_p)  # the likeliest has 1
            p, kept = p[likely], likely if kept is None else kept[likely]
        if self.top_p < 1:
            first = nucleus(p, self.top_p)
            p, kept = p[first], first if kept is None else kept[first]
        total = p.cumsum()
        # side="right", and random() < 1: a token of probability 0 is never chosen.
        chosen = total.searchsorted(self._random.random() * total[-1], side="right")
        return int(chosen if kept is None else kept[chosen])


def nucleus(p: np.ndarray, share: float) -> np.ndarray:
    """Indices of the largest of `p` (V,) that together have this share of its sum, largest first."""
    enough = share * p.sum()
    largest = np.arange(len(p))
    if len(p) > 2 * FEW:
        few = np.argpartition(p, -FEW)[-FEW:]
        if p[few].sum() > enough:  # nearly always, and sorting them takes a tenth of the time
            largest = np.sort(few)
    largest = largest[np.argsort(-p[largest], kind="stable")]
    return largest[: p[largest].cumsum().searchsorted(enough) + 1]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural log of the probabilities, along the last axis, in float64."""
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
