"""How long something is in the rows of a table: a length that is usual, and one that is rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

NEAREST = 4  # the smallest difference, in characters, between the two lengths


class Lengths(NamedTuple):
    """In characters. The rare one is the longer one, or the shorter one where short ones are rare."""

    usual: int
    rare: int

    def beyond(self, length: int) -> float:
        """How far `length` is beyond the usual one: 1 at the rare one, below 0 on the other side."""
        return (length - self.usual) / (self.rare - self.usual)


def measure_lengths(lengths: Sequence[int], usual: float, rare: float) -> Lengths | None:
    """Lengths that these fractions of `lengths` are shorter than; None where there are none."""
    import numpy as np

    if not lengths:
        return None
    low, high = np.quantile(lengths, sorted([usual, rare]), method="higher").tolist()
    return Lengths(low, max(high, low + NEAREST)) if usual < rare else Lengths(high, min(low, high - NEAREST))


def read_lengths(known: Mapping[str, int] | None) -> Lengths | None:
    """What nanogpt.json says of a length; None in models that are older than that."""
    if not known:
        return None
    usual, rare = known["usual"], known["rare"]
    return Lengths(usual, rare if abs(rare - usual) >= NEAREST else usual + NEAREST)
