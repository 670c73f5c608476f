"""A prompt that ends in an opening bracket or quote: "I walked (".

A model that has seldom seen one goes on with a word, and most words have a space before them.
LOG.md, "Prompts that end in a bracket".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .brackets import QUOTE, side_of
from .spaces import tokens_with_spaces

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

# Those after which a space is wrong everywhere. French has one after "«", lists of tasks have one in "- [ ]".
OPENING = frozenset(["(", QUOTE, "\N{LEFT DOUBLE QUOTATION MARK}", "\N{DOUBLE LOW-9 QUOTATION MARK}"])
STRENGTH = 6.0  # nats that a space, a line break or the end loses right after it


def ends_in_opening(prompt: str) -> bool:
    """Whether a prompt ends in such a mark, at its start or after a space: not in ":("."""
    return prompt[-1:] in OPENING and side_of(prompt[-2:-1]) == "space"


class OpenedPrompt:
    """What comes right after a prompt for which `ends_in_opening` is true."""

    def __init__(self, tokenizer: Vocabulary) -> None:
        self._spaces, _ = tokens_with_spaces(tokenizer)
        self._others = [*tokenizer.line_breaks.tolist(), tokenizer.eot]
        self._begun = False

    def add(self, text: str) -> None:
        self._begun = True

    def penalise(self, logits: np.ndarray) -> None:
        """Make what leaves a gap less likely, in `logits` (V,) of the first token."""
        if not self._begun:
            for ids in (self._spaces, self._others):
                logits[[i for i in ids if i < len(logits)]] -= STRENGTH
