"""DRY, "don't repeat yourself": a token that would lengthen a repetition becomes less likely.

This is llama.cpp's penalty, with its names; text-generation-webui's pull request 5677 proposed it. A small
model falls into loops easily: benchmarks/LOG.md, "What people read", has the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from .sampler import Sampler

# Tokens that may be repeated without penalty, by default: benchmarks/LOG.md, "Near-loops". llama.cpp has 2.
# More where the rows repeat more: `habits/row_repeats.py`.
ALLOWED_TOKENS, ALLOWED_CHARACTERS = 3, 24
LONGEST_MATCH = 50  # tokens that are compared: for longer repetitions the penalty is far beyond STRONGEST
STRONGEST = 100.0  # nats: no token is so likely that it would still be drawn
NUMBER = -1  # stands for every token that is a number
# What is at most SHORT tokens long and has letters, or both numbers and signs, may stand TIMES times running.
# Once more counts as THIRD tokens beyond the allowed length, and each further time as TOKENS_A_TIME more: in
# 150 tokens 0.6% of the rows have something three times, and 0.2% more often (LOG.md, "Capitals and echoes").
SHORT, TIMES, THIRD, TOKENS_A_TIME = 3, 2, 2, 3
# Where the rows hardly have words twice running, "the the" is like so many tokens beyond the allowed length.
SECOND = 3


def default_allowed_length(is_char: bool) -> int:
    """The tokens that may be repeated without penalty, where neither an option nor the rows allow more.
    `is_char`: whether tokens are characters."""
    return ALLOWED_CHARACTERS if is_char else ALLOWED_TOKENS


class Repetition:
    """Knows where in a text its last tokens stood before. `allowed_length` tokens may be repeated freely.

    All of `numbers`, sorted ids (n,), count as one token: "-06-05-06-07-06" goes on for ever without ever
    repeating itself. `with_letters` (V,) of bool says which tokens have letters: what is short and is no rule
    of signs may be repeated less often. Without it nothing counts as short. `begin_words` (V,) of bool says
    which tokens begin words that may not stand twice running; without it all may.
    """

    def __init__(
        self,
        sampler: Sampler,
        allowed_length: int,
        numbers: np.ndarray,
        ids: Iterable[int],
        with_letters: np.ndarray | None = None,
        begin_words: np.ndarray | None = None,
    ) -> None:
        self._on = sampler.dry_multiplier > 0 and sampler.dry_penalty_last_n != 0
        self._multiplier, self._base = sampler.dry_multiplier, sampler.dry_base
        self._last_n = sampler.dry_penalty_last_n
        self._allowed = allowed_length
        self._numbers, self._is_number = numbers, frozenset(numbers.tolist())
        self._with_letters, self._begin_words = with_letters, begin_words
        self._ids: list[int] = []  # NUMBER for numbers
        self._exact: list[int] = []
        self._after: dict[tuple[int, ...], list[int]] = {}  # tokens in a row -> where in `_ids` they end
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        if self._on:
            self._exact.append(token)
            self._ids.append(NUMBER if token in self._is_number else token)
            self._after.setdefault(tuple(self._ids[-self._allowed :]), []).append(len(self._ids))

    def penalise(self, logits: np.ndarray) -> None:
        """Take what DRY says off `logits` (V,) of the next token."""
        if not self._on:
            return
        exponents = self._long_repetitions()
        for token, exponent in chain(self._short_repetitions(), self._doubled_words()):
            exponents[token] = max(exponent, exponents.get(token, 0))
        for token, exponent in exponents.items():
            penalty = min(self._multiplier * self._base**exponent, STRONGEST)
            logits[self._numbers if token == NUMBER else token] -= penalty

    def _long_repetitions(self) -> dict[int, int]:
        """The tokens that would lengthen a repetition, and how much longer than allowed it is: llama.cpp's
        rule."""
        ids, end = self._ids, len(self._ids)
        exponents: dict[int, int] = {}
        if end < self._allowed or len(places := self._after[tuple(ids[-self._allowed :])]) < 2:
            return exponents
        for place in places[:-1]:  # the last is the end of the text
            if 0 <= self._last_n < end - place:
                continue
            length = self._allowed
            while length < min(place, LONGEST_MATCH) and ids[place - length - 1] == ids[end - length - 1]:
                length += 1
            exponents[ids[place]] = max(length - self._allowed, exponents.get(ids[place], 0))
        return exponents

    def _short_repetitions(self) -> Iterator[tuple[int, int]]:
        """The same for what stands several times running at the end: "select\\nselect\\nselect\\n"."""
        ids, end = self._exact, len(self._exact)
        if self._with_letters is None or end < 2 or ids[-1] not in ids[-1 - SHORT : -1]:
            return
        for period in range(1, min(SHORT, end - 1) + 1):
            if ids[end - 1] != ids[end - 1 - period] or 0 <= self._last_n < period:
                continue
            if not self._is_word(ids[end - period :]):
                continue
            length = 0  # of what stands `period` tokens further back as well
            while (
                length < min(end - period, LONGEST_MATCH)
                and ids[end - 1 - length] == ids[end - 1 - length - period]
            ):
                length += 1
            over = length - (TIMES - 1) * period
            if over >= 0:
                yield ids[end - period], THIRD + over * TOKENS_A_TIME // period

    def _doubled_words(self) -> Iterator[tuple[int, int]]:
        """The same for what would say one to SHORT tokens from the beginning of a word twice running."""
        if self._begin_words is None:
            return
        ids, end = self._exact, len(self._exact)
        longest = SHORT if self._last_n < 0 else min(SHORT, self._last_n)
        for n in range(1, min(longest, (end + 1) // 2) + 1):
            if n > 1 and ids[-1] != ids[-1 - n]:  # most are told apart by this
                continue
            first = end - 2 * n + 1
            if self._begin_words[ids[first]] and ids[first : end - n] == ids[end - n + 1 :]:
                yield ids[end - n], SECOND

    def _is_word(self, ids: list[int]) -> bool:
        """Whether some tokens have letters, or are numbers with something else between them: "0000" is one
        number, however it is cut into tokens."""
        if self._with_letters is None:
            return False
        numbers = sum(i in self._is_number for i in ids)
        return 0 < numbers < len(ids) or any(self._with_letters[i] for i in ids)
