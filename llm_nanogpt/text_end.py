"""When a text ends: with the probability that the model gives it.

It is no more likely where words repeat themselves (LOG.md, "What ends a text"). Where rows are long, each
sentence may be the last, and none is likely to be: top_p does not cut that off (LOG.md, "Unlikely ends").
"""

from __future__ import annotations

import math

import numpy as np

from .habits.lines import MARKS

NEVER_DRAWN = 6.0  # nats: by default, a token that is so much less likely than the likeliest is not drawn
NOTHING_LOST = 0.02  # the fraction of the likeliest token's probability below which a loss changes nothing
TINY = 1e-30  # in place of a probability of 0, of which there is no logarithm


def keep_end(before: np.ndarray, after: np.ndarray, eot: int) -> None:
    """Make the end of the text, in logits (V,) `after` penalties, no more likely than it was `before` them.

    What other tokens lose would go to it.
    """
    if eot >= len(after):
        return
    highest = after.max()
    if after[eot] < highest - NEVER_DRAWN:
        return
    changed = (before != after).nonzero()[0]
    changed = changed[changed != eot]
    highest = max(highest, before.max())
    lost = float((np.exp(before[changed] - highest) - np.exp(after[changed] - highest)).sum())
    if lost >= NOTHING_LOST:  # of at least 1
        p = np.exp(before - highest)
        others = float(p.sum() - p[eot])
        after[eot] += math.log(max(1 - lost / others, TINY))


class TextEnd:
    """Follows a text that goes on from `prompt`, and says how likely its end is after a mark, if that is less
    than `unlikely`: of such an end, top_p leaves hardly anything."""

    def __init__(self, eot: int, unlikely: float, prompt: str) -> None:
        self._eot, self._unlikely, self._after_mark = eot, unlikely, False
        self.add(prompt)

    def add(self, text: str) -> None:
        if stripped := text.rstrip():
            self._after_mark = stripped[-1] in MARKS

    def probability(self, logits: np.ndarray) -> float | None:
        """The probability of the end by `logits` (V,) of the next token, from which it is then taken; None if
        the end is to be treated as any other token."""
        if not self._after_mark or self._eot >= len(logits):
            return None
        if logits[self._eot] < logits.max() - NEVER_DRAWN:
            return None
        p = float(1 / np.exp(logits - logits[self._eot]).sum())
        if p >= self._unlikely:
            return None
        logits[self._eot] = -np.inf
        return p
