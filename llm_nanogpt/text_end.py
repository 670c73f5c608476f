"""The end of a text is no more likely where its words repeat themselves. LOG.md, "What ends a text"."""

from __future__ import annotations

import math

import numpy as np

# Nats below the most likely token at which nothing is drawn, by default; a fraction that changes nothing, and
# what is no probability.
NEVER_DRAWN, NOTHING_LOST, TINY = 6.0, 0.02, 1e-30


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
