"""What a run's texts will read like, estimated before it starts from the amount of text and the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from .population import MAX_EPOCHS
from .verdict import reads_like

# (letters of text, bits per letter at best). Means of docstrings, documentation, a blog and speeches in
# benchmarks/LOG.md, "The planner's grid" and "What a score reads like": tables differ by 0.3 either way.
BY_TEXT = ((2e3, 5.3), (7e3, 4.0), (3e4, 3.2), (1e5, 2.5), (3e5, 2.05), (1e6, 1.65), (3e6, 1.4), (1e7, 1.16))
# (letters read in all epochs together, bits per letter of a long text): the same sources, and "Runs of
# seconds".
BY_READING = ((1e5, 3.6), (3e5, 2.8), (6e5, 2.4), (1e6, 2.0), (2e6, 1.65), (8e6, 1.35), (3.2e7, 1.16))
LITTLE_TEXT = 50_000  # letters below which no time gives sentences


def expected_bits(letters: float, epochs: float) -> float:
    """About how many bits per letter a run gets to that reads a text of `letters` for `epochs`."""
    read = letters * min(max(epochs, 0.01), MAX_EPOCHS)
    return max(_between(BY_TEXT, letters), _between(BY_READING, read) if epochs < MAX_EPOCHS else 0)


def expectation(letters: float, epochs: float, prose: bool = True) -> str:
    """What the texts of such a run read like, in the words of the verdict."""
    return reads_like(expected_bits(letters, epochs), prose)


def _between(points: Sequence[tuple[float, float]], at: float) -> float:
    """The value at a place between points, on a logarithmic scale; that of the nearest one outside."""
    at = min(max(at, points[0][0]), points[-1][0])
    for (x0, y0), (x1, y1) in pairwise(points):
        if at <= x1:
            return y0 + (y1 - y0) * math.log(at / x0) / math.log(x1 / x0)
    return points[-1][1]
