"""Short texts: a text that is written hardly ends before the shortest rows of its table do.

A model that has learned little ends a text too soon, because each place may be an end with some probability.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

USUAL, RARE = 0.05, 0.01  # of the rows are shorter
FEWEST = 100  # rows: of fewer, nobody knows what is rare
# Nats that the end loses where it is rare, and the most that it loses: where the model is certain, it may
# end. LOG.md, "Brackets, strings and short texts".
STRENGTH, STRONGEST = 2.0, 5.0


def text_lengths(texts: Iterable[str]) -> Lengths | None:
    """How long `texts` are; None where they are too few."""
    lengths = [len(text) for text in texts]
    return measure_lengths(lengths, USUAL, RARE) if len(lengths) >= FEWEST else None


class ShortText:
    """How long a text is as it is written, with its prompt, and whether it may end."""

    def __init__(self, eot: int, lengths: Lengths, prompt: str) -> None:
        self._eot, self._lengths, self._length = eot, lengths, len(prompt)

    def add(self, text: str) -> None:
        self._length += len(text)

    def penalise(self, logits: np.ndarray) -> None:
        """Make the end less likely, in `logits` (V,) of the next token."""
        beyond = self._lengths.beyond(self._length)
        if beyond > 0:
            logits[self._eot] -= min(STRENGTH * beyond, STRONGEST)
