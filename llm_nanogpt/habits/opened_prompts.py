"""A prompt that ends in an opening bracket or quote, "I walked (", or in the mark of an item, "- a\n-".

A model that has seldom seen the former goes on with a word, and most words have a space before them; after
the latter it goes on with "-5" or "3.4". LOG.md, "Prompts that end in a bracket", "What people read, again".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .brackets import QUOTE, side_of
from .spaces import tokens_with_spaces

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

# Those after which a space is wrong everywhere. French has one after "«", lists of tasks have one in "- [ ]".
OPENING = frozenset(["(", QUOTE, "\N{LEFT DOUBLE QUOTATION MARK}", "\N{DOUBLE LOW-9 QUOTATION MARK}"])
# Nats that a space, a line break or the end loses right after it, and after an item's mark all but a space.
STRENGTH = 6.0

_ITEM = re.compile(r"[ \t]*(?:([-*+\u2022])|\d+([.)]))(?: |\Z)")


def ends_in_opening(prompt: str) -> bool:
    """Whether a prompt ends in such a mark, at its start or after a space: not in ":("."""
    return prompt[-1:] in OPENING and side_of(prompt[-2:-1]) == "space"


def ends_in_item_mark(prompt: str) -> bool:
    """Whether a prompt ends in the mark of an item, after another item with the same mark and a space."""
    *_, before, last = ["", *prompt.split("\n")]
    item, mark = _ITEM.match(before), _ITEM.fullmatch(last)
    return bool(
        item and mark and last[-1:] != " " and item.groups() == mark.groups() and before[item.end() :].strip()
    )


class OpenedPrompt:
    """What comes right after a prompt for which `ends_in_opening` is true; or `ends_in_item_mark`: `item`."""

    def __init__(self, tokenizer: Vocabulary, item: bool = False) -> None:
        spaces, _ = tokens_with_spaces(tokenizer)
        unlikely = {*spaces.tolist(), *tokenizer.line_breaks.tolist(), tokenizer.eot}
        if item:
            unlikely = {*range(tokenizer.n_vocab), tokenizer.eot}.difference(spaces.tolist())
        self._unlikely, self._begun = sorted(unlikely), False

    def add(self, text: str) -> None:
        self._begun = True

    def penalise(self, logits: np.ndarray) -> None:
        """Make what leaves a gap, or with `item` none, less likely in `logits` (V,) of the first token."""
        if not self._begun:
            logits[self._unlikely] -= STRENGTH
