"""Quotes and brackets that a prompt opens, of kinds that the rows of its table lack, or leave open.

In a table without quotes a text never closed one that its prompt had opened. Those of the prompt's last line
are closed before the line ends, and once they are long enough, where a sentence ends. `brackets.py` and
`line_quotes.py` close the kinds that the rows close.
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..vocabulary import Vocabulary, ids_where
from .brackets import QUOTE, side_of
from .line_quotes import BACKTICK

if TYPE_CHECKING:
    import numpy as np

# What closes each kind: of these the first that the vocabulary has a token for.
CLOSERS = {
    "(": [")"],
    QUOTE: [QUOTE],
    BACKTICK: [BACKTICK],
    "«": ["»", QUOTE],
    "\N{LEFT DOUBLE QUOTATION MARK}": ["\N{RIGHT DOUBLE QUOTATION MARK}", QUOTE],
    "\N{DOUBLE LOW-9 QUOTATION MARK}": ["\N{LEFT DOUBLE QUOTATION MARK}", QUOTE],
}
_SENTENCE_ENDS = tuple(".!?…\u3002")
# Characters that are long enough: in five tables 90% of the quotations are shorter than 14 to 33, in mail
# than 140.
ENOUGH = 60
# LOG.md, "What people read, again", has the figures.
CLOSES = 3.0  # nats by which what closes is then likelier than all else
UNCLOSED = 6.0  # nats that the end of the line loses
JOINED = 6.0  # nats that a letter or number loses right after the mark, which the model hardly knows


def left_open(prompt: str, followed: Container[str]) -> list[str]:
    """What the last line of `prompt` leaves open, innermost last, but for the kinds that are `followed`."""
    line = prompt[prompt.rfind("\n") + 1 :].replace(3 * BACKTICK, "")
    opened: list[str] = []
    for at, mark in enumerate(line):
        if opened and mark in CLOSERS[opened[-1]]:
            opened.pop()
        elif mark in CLOSERS and mark not in followed and side_of(line[at - 1 : at]) == "space":
            opened.append(mark)
    return opened


class Closers(NamedTuple):
    """The mark that closes a kind, and the ids of the tokens that begin with it, or with it after the end of
    a sentence, (n,)."""

    mark: str
    ids: np.ndarray


@lru_cache(16)
def closers_of(tokenizer: Vocabulary, kind: str) -> Closers:
    for mark in CLOSERS[kind]:
        ids = ids_where(tokenizer, re.compile(rf"[.,!?…]?{re.escape(mark)}").match)
        if len(ids):
            break
    return Closers(mark, ids)


@lru_cache(4)
def begin_with_word(tokenizer: Vocabulary) -> np.ndarray:
    """Ids of the tokens that begin with a letter or a number, (n,)."""
    return ids_where(tokenizer, lambda token: token[:1].isalnum())


class PromptQuotes:
    """What is left open of that in a text as it is written."""

    def __init__(self, tokenizer: Vocabulary, opened: list[str]) -> None:
        import numpy as np

        self._closers = [closers_of(tokenizer, kind) for kind in opened]
        self._ends = np.append(tokenizer.line_breaks, tokenizer.eot)
        self._length, self._after_sentence, self._just_closed = 0, False, False
        self._joined = begin_with_word(tokenizer)

    def add(self, text: str) -> None:
        self._just_closed = bool(self._closers) and text[-1:] in {closers.mark for closers in self._closers}
        for character in text if self._closers else "":
            inner = [at for at, closers in enumerate(self._closers) if character in (closers.mark, "\n")]
            if inner:
                del self._closers[0 if character == "\n" else inner[-1] :]
        self._length += len(text)
        self._after_sentence = text.endswith(_SENTENCE_ENDS)

    def penalise(self, logits: np.ndarray) -> None:
        """Make what closes the innermost one likelier, in `logits` (V,) of the next token."""
        if self._just_closed:
            logits[self._joined] -= JOINED
        if not self._closers:
            return
        closers, ends = self._closers[-1].ids, self._ends
        if not len(closers):
            return
        # A model that would end the line has forgotten the quote.
        wanted = float(logits[ends].max())
        if self._after_sentence and self._length >= ENOUGH:
            wanted = float(logits.max()) + CLOSES
        closing = float(logits[closers].max())
        logits[ends] -= UNCLOSED
        if self._length and wanted > closing:
            logits[closers] += wanted - closing
