"""From logits to the next token: the temperature and top_k of nanoGPT's sample.py, and more."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from .errors import InvalidOptions, Problem

# A fraction of the highest probability: two tokens of three come from those that have it, and adding up all
# 4,096 probabilities would take ten times as long as adding up these.
LIKELY = 1 / 1024
STRONGEST = 1e30  # the repetition penalty that counts: beyond it logits would not be numbers
REDRAWS = 10  # how many tokens may be refused in a row; one in 6 to 30 is, with a model of ten minutes
SEARCHED = 1000  # after that, the most likely tokens are searched for one that is accepted


@dataclass
class Sampler:
    """How to choose among logits. Equal settings and an equal `seed` choose the same tokens.

    temperature         0 takes the most likely token; below 1 favours likely ones, above 1 evens them out
    top_k               keep the k most likely tokens; 0: all
    top_p               keep the most likely tokens that together have this probability (nucleus sampling,
                        1904.09751); 1: all
    min_p               keep tokens of at least this fraction of the highest probability (2407.01082); 0: all
    repetition_penalty  above 1, tokens that the text already has become less likely; 1 changes nothing
    dry_multiplier      DRY: a token that would lengthen a repetition of n tokens loses dry_multiplier x
                        dry_base ** (n - dry_allowed_length) nats; 0 switches it off
    dry_base            see dry_multiplier
    dry_allowed_length  tokens that may be repeated without penalty; None: 3, or 24 if tokens are characters,
                        or what is common in the table's rows, if that is more (`habits/row_repeats.py`)
    dry_penalty_last_n  how many of the last tokens are looked through for repetitions; -1: all, 0: none
    real_words          write only words of the table (`words.py`), and keep to what else its rows have in
                        common (`habits/`); where these are not known it does nothing
    seed                any integer; None draws one, which the attribute then has

    Raises InvalidOptions with everything that is wrong.
    """

    # Small models spread some probability over thousands of tokens that are all wrong, so a fraction is left
    # out. A temperature of 0.85 suits models that learnt much, and less those that learnt little: the figures
    # are in benchmarks/LOG.md, "What people read".
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.9
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    dry_multiplier: float = 0.8
    dry_base: float = 1.75
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int = -1
    real_words: bool = True
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rules = {
            "temperature": ("0 or more", 0 <= self.temperature < float("inf")),
            "top_k": ("0 (all tokens) or more", self.top_k >= 0),
            "top_p": ("above 0 and at most 1", 0 < self.top_p <= 1),
            "min_p": ("at least 0 and at most 1", 0 <= self.min_p <= 1),
            "repetition_penalty": ("above 0", 0 < self.repetition_penalty < float("inf")),
            "dry_multiplier": ("0 (no DRY) or more", 0 <= self.dry_multiplier < float("inf")),
            "dry_base": ("1 or more", 1 <= self.dry_base < float("inf")),
            "dry_allowed_length": (
                "1 or more",
                self.dry_allowed_length is None or self.dry_allowed_length > 0,
            ),
            "dry_penalty_last_n": ("-1 (all tokens), 0 (none) or more", self.dry_penalty_last_n >= -1),
        }
        problems = [
            Problem(name, "range", f"{name} must be {allowed}")
            for name, (allowed, right) in rules.items()
            if not right
        ]
        if problems:
            raise InvalidOptions(problems)
        if self.seed is None:
            self.seed = random.SystemRandom().getrandbits(32)
        self._random = random.Random(self.seed)  # noqa: S311  # must be repeatable, not secret

    def settings(self) -> dict[str, float | int | None]:
        """All settings under their names, with the seed that was drawn."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def penalise(self, logits: np.ndarray, ids: Sequence[int]) -> None:
        """Take CTRL's repetition penalty (1909.05858) for `ids`, each counted once, off `logits` (V,)."""
        if self.repetition_penalty == 1:
            return
        used = np.unique(ids)
        # The paper divides; below 0 that would be a reward, so there it is a product, as everywhere else.
        factors = np.where(logits[used] < 0, self.repetition_penalty, 1 / self.repetition_penalty)
        logits[used] *= factors.clip(1 / STRONGEST, STRONGEST)

    def happens(self, probability: float | None) -> bool:
        """Whether something does that has this probability; None: it cannot."""
        return probability is not None and self._random.random() < probability

    def choose(
        self,
        logits: np.ndarray,
        accepts: Callable[[int], bool] | None = None,
        possible: Callable[[], np.ndarray | None] | None = None,
    ) -> int:
        """Index of the chosen one of `logits` (V,), which may hold -inf for what must not be chosen.

        Where `accepts` refuses an index, another is drawn. Once it has refused REDRAWS of them, it is the
        most likely one that is accepted, and if there is none the first one that was drawn. `possible` is
        asked once something was refused: which indices can be accepted at all, (V,) of bool, if it knows.
        """
        refused: list[int] = []
        while len(refused) < REDRAWS and not (refused and np.isneginf(logits.max())):
            kept, p, enough = self._candidates(logits)
            left = p.copy()
            while len(refused) < REDRAWS:
                sums = left.cumsum()
                if not sums[-1]:  # all are refused
                    break
                # side="right": a token of probability 0 is never chosen.
                at = int(sums.searchsorted(np.float32(self._random.random()) * sums[-1], side="right"))
                if at == len(p):  # the product was rounded up
                    continue
                if self.top_p < 1 and p.dot(p > p[at]) >= enough:
                    # Beyond the nucleus, as is all that is no more likely. So nothing needs to be sorted.
                    left[p <= p[at]] = 0
                    continue
                chosen = at if kept is None else int(kept[at])
                if accepts is None or accepts(chosen):
                    return chosen
                refused.append(chosen)
                left[at] = 0
                if len(refused) == 1 and possible and (some := possible()) is not None:
                    some = some[: len(logits)]  # a tokenizer may have more tokens than its model
                    logits = np.where(some, logits, -np.inf)
                    left *= some if kept is None else some[kept]
            logits = logits.copy()
            logits[refused] = -np.inf
        assert accepts  # noqa: S101  # what is not asked is not refused
        likely = np.flatnonzero(logits > -np.inf)
        likely = likely[np.argsort(-logits[likely], kind="stable")[:SEARCHED]].tolist()
        return next(filter(accepts, likely), refused[0])

    def _candidates(self, logits: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, float]:
        """Which of the logits (V,) may be chosen, by index (n,), None being all; the probability of each
        (n,), up to a factor: the largest is 1; and the sum of the largest ones that top_p keeps."""
        if self.temperature == 0:
            return np.array([logits.argmax()]), np.ones(1, np.float32), 1
        kept = None
        if 0 < self.top_k < len(logits):
            kept = np.argpartition(logits, -self.top_k)[-self.top_k :]
            logits = logits[kept]
        p = logits - logits.max()
        p *= np.float32(1 / self.temperature)
        np.exp(p, p)
        if self.min_p:
            likely = (p >= self.min_p).nonzero()[0]  # the most likely token has 1
            p, kept = p[likely], likely if kept is None else kept[likely]
        enough = self.top_p * p.sum()
        likely = (p >= LIKELY).nonzero()[0]
        if p[likely].sum() > enough:
            p, kept = p[likely], likely if kept is None else kept[likely]
        return kept, p, enough


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural log of the probabilities, along the last axis, in float64."""
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
