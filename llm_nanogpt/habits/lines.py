"""Lines: those of a text that is written are hardly longer than those of its table's rows.

A small model does not know how far it is from the start of its line, so that a line of verse, or of text that
is wrapped, can go on and on. Beyond the columns where the rows have their text, what ends the line becomes
more likely: a line break, or the end of the text. Where the long lines of the rows are paragraphs, which end
with a sentence, that is so at the end of a sentence alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

# The usual and the rare column: these fractions of the characters of the rows stand further left. Characters
# count, not lines, so that where a few lines are whole paragraphs, lines may be as long (LOG.md, "Lines and
# apostrophes").
USUAL, RARE = 0.97, 0.99
FEWEST = 100  # fewer lines do not tell what is rare
STRENGTH = 2.0  # nats that an end of the line gains at the rare column
# Lines are paragraphs if, of those that are at least LONG times as long as usual, this fraction ends in one
# of MARKS: 90 to 100% do in notes, and 25 to 45% in verse and in text that is wrapped.
LONG, PARAGRAPHS = 0.7, 0.8
MARKS = ".!?:;…)]}\"'`|>*_" + "\u2019\u201d\u00bb\u3002\uff01\uff1f\u300d\u0964\u0965\u06d4\u061f"


def line_lengths(texts: Sequence[str]) -> Lengths | None:
    """How far to the right the lines of `texts` go; None if there are too few lines."""
    lengths = [len(line) for text in texts for line in text.split("\n") if line]
    if len(lengths) < FEWEST:
        return None
    columns = measure_lengths([column for length in lengths for column in range(1, length + 1)], USUAL, RARE)
    lines = measure_lengths(lengths, USUAL, RARE)
    if columns and lines and has_paragraphs(texts, columns):
        return Lengths(*map(max, columns, lines))
    return columns


def has_paragraphs(texts: Iterable[str], lengths: Lengths) -> bool:
    """Whether nearly all long lines end with a sentence."""
    lines = (line for text in texts for line in text.split("\n"))
    ends = [line.rstrip().endswith(tuple(MARKS)) for line in lines if len(line) >= LONG * lengths.usual]
    return sum(ends) >= PARAGRAPHS * len(ends)


class LongLine:
    """The line that a text ends in, as it is written. A prompt's line counts, unless it is too long already.

    `breaks`, sorted ids (n,), are the tokenizer's tokens with a line break. `paragraphs`: whether a line ends
    with a sentence alone.
    """

    def __init__(
        self, breaks: np.ndarray, eot: int, lengths: Lengths, prompt: str, paragraphs: bool = False
    ) -> None:
        import numpy as np

        self._ends, self._lengths = np.append(breaks, eot), lengths
        self._paragraphs, self._after_mark = paragraphs, False
        begun = len(prompt) - prompt.rfind("\n") - 1
        self._length = begun if lengths.beyond(begun) < 0 else 0

    def add(self, text: str) -> None:
        _, broken, rest = text.rpartition("\n")
        self._length = len(rest) if broken else self._length + len(text)
        if stripped := text.rstrip():
            self._after_mark = stripped[-1] in MARKS

    def penalise(self, logits: np.ndarray) -> None:
        """Make what ends the line more likely, in `logits` (V,) of the next token."""
        beyond = self._lengths.beyond(self._length)
        if beyond > 0 and (self._after_mark or not self._paragraphs):
            logits[self._ends] += STRENGTH * beyond
