"""DRY, "don't repeat yourself": a token that would lengthen a repetition becomes less likely.

This is llama.cpp's penalty, with its names; text-generation-webui's pull request 5677 proposed it. A small
model falls into loops easily: benchmarks/LOG.md, "What people read", has the figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .sampler import Sampler

LONGEST_MATCH = 50  # tokens that are compared: the penalty has been beyond everything for long
STRONGEST = 100.0  # nats: nothing that a model writes is so likely
NUMBER = -1  # stands for every token that is a number


class Repetition:
    """Knows where in a text its last tokens stood before. `allowed_length` tokens may be repeated freely.

    All of `numbers`, sorted ids (n,), count as one token: "-06-05-06-07-06" goes on for ever without ever
    repeating itself.
    """

    def __init__(
        self, sampler: Sampler, allowed_length: int, numbers: np.ndarray, ids: Iterable[int]
    ) -> None:
        self._on = sampler.dry_multiplier > 0 and sampler.dry_penalty_last_n != 0
        self._multiplier, self._base = sampler.dry_multiplier, sampler.dry_base
        self._last_n = sampler.dry_penalty_last_n
        self._allowed = allowed_length
        self._numbers, self._is_number = numbers, frozenset(numbers.tolist())
        self._ids: list[int] = []
        self._after: dict[tuple[int, ...], list[int]] = {}  # tokens in a row -> where in `_ids` they end
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        if self._on:
            self._ids.append(NUMBER if token in self._is_number else token)
            self._after.setdefault(tuple(self._ids[-self._allowed :]), []).append(len(self._ids))

    def penalised(self, logits: np.ndarray) -> np.ndarray:
        """`logits` (V,) of the next token, or a copy with what DRY takes off some of them."""
        if not self._on:
            return logits
        ids, end = self._ids, len(self._ids)
        places = self._after.get(tuple(ids[-self._allowed :]), ())
        if len(places) < 2 or end < self._allowed:
            return logits
        lengths: dict[int, int] = {}  # of the longest match before each token
        for place in places[:-1]:  # the last is the end of the text
            if 0 <= self._last_n < end - place:
                continue
            length = self._allowed
            while length < min(place, LONGEST_MATCH) and ids[place - length - 1] == ids[end - length - 1]:
                length += 1
            lengths[ids[place]] = max(length, lengths.get(ids[place], 0))
        logits = logits.copy()
        for token, length in lengths.items():
            penalty = min(self._multiplier * self._base ** (length - self._allowed), STRONGEST)
            logits[self._numbers if token == NUMBER else token] -= penalty
        return logits
