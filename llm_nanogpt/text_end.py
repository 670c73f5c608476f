"""The end of a text is no more likely where its words repeat themselves. LOG.md, "What ends a text"."""

from __future__ import annotations

import math

import numpy as np

# Nats below the most likely token at which nothing is drawn, by default; a fraction that changes nothing, and
# what is no probability.
NEVER_DRAWN, NOTHING_LOST, TINY = 6.0, 0.02, 1e-30


def keep_end(before: np.ndarray, after: np.ndarray, eot: int) -> np.ndarray:
    """Logits (V,) `after` penalties, with an end of the text that is no more likely than it was `before`.

    What other tokens lose would go to it. May change `after`.
    """
    if after is before or eot >= len(after):
        return after
    highest = after.max()
    if after[eot] < highest - NEVER_DRAWN:
        return after
    highest = max(highest, before.max())
    p, q = np.exp(before - highest), np.exp(after - highest)
    others, left = float(p.sum() - p[eot]), float(q.sum() - q[eot])
    if others - left >= NOTHING_LOST:  # of at least 1
        after[eot] += math.log(max(left / others, TINY))
    return after
