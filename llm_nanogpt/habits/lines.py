"""Lines: those of a text that is written are hardly longer than those of its table's rows.

A small model does not know how far it is from the start of its line, so that a line of verse, or of text that
is wrapped, can go on and on. Beyond the columns where the rows have their text, what ends the line becomes
more likely: a line break, or the end of the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

# Of the characters of the rows stand further left. Where a few lines are whole paragraphs, these have most of
# the characters, and may be as long as they are: LOG.md, "Lines and apostrophes".
USUAL, RARE = 0.97, 0.99
FEWEST = 100  # lines: of fewer, nobody knows what is rare
STRENGTH = 2.0  # nats that an end gains at a column that is rare


def line_lengths(texts: Iterable[str]) -> Lengths | None:
    """Up to which columns the lines of `texts` go; None where the lines are too few."""
    lengths = [len(line) for text in texts for line in text.split("\n") if line]
    columns = [column for length in lengths for column in range(1, length + 1)]
    return measure_lengths(columns, USUAL, RARE) if len(lengths) >= FEWEST else None


class LongLine:
    """The line that a text ends in, and what ends it. A prompt's line counts unless it is too long already.

    `breaks`, sorted ids (n,), are the tokenizer's tokens with a line break.
    """

    def __init__(self, breaks: np.ndarray, eot: int, lengths: Lengths, prompt: str) -> None:
        import numpy as np

        self._ends, self._lengths = np.append(breaks, eot), lengths
        begun = len(prompt) - prompt.rfind("\n") - 1
        self._length = begun if lengths.beyond(begun) < 0 else 0

    def add(self, text: str) -> None:
        _, broken, rest = text.rpartition("\n")
        self._length = len(rest) if broken else self._length + len(text)

    def penalise(self, logits: np.ndarray) -> None:
        """Make what ends the line more likely, in `logits` (V,) of the next token."""
        beyond = self._lengths.beyond(self._length)
        if beyond > 0:
            logits[self._ends[self._ends < len(logits)]] += STRENGTH * beyond
