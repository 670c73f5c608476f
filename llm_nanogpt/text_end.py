"""When a text ends: with the probability that the model gives it, or shortly before it has all its tokens.

It is no more likely where words repeat themselves (LOG.md, "What ends a text"). Where rows are long, each
sentence may be the last, and none is likely to be: top_p does not cut that off (LOG.md, "Unlikely ends").
"""

from __future__ import annotations

import math
import re

import numpy as np

from .habits.lines import MARKS

NEVER_DRAWN = 6.0  # nats: by default, a token that is so much less likely than the likeliest is not drawn
NOTHING_LOST = 0.02  # the fraction of the likeliest token's probability below which a loss changes nothing
TINY = 1e-30  # in place of a probability of 0, of which there is no logarithm
# A text that is cut ends with the last sentence or line of its last tokens: of so many, but of half of those
# that it may have at most. LOG.md, "Texts that are cut, again".
HELD = 80
WORD = 8  # or else with a word, if there is one in so many, and in 1/20 at most
TAIL = 40  # characters before a place that are looked at to tell whether a sentence ends there
SOMETHING = re.compile(r"[^\W_]|[^\x00-\x7f]")  # a text with nothing of this is "", "\n" or "!"

# A sentence ends in a mark, but not "e.g.", "J. R." or the "2." of a step.
_AFTER = r"""["'\u201d\u2019\u00bb)\]*_`]"""
_SENTENCE = re.compile(rf"(?:[^\W\d_]{{2}}|{_AFTER})[.!?\u2026]{_AFTER}*\Z")
_SPACELESS_SENTENCE = re.compile("[\u3002\uff01\uff1f\u0964][\u300d\u201d]?\\Z")
# A line that ends like this belongs to the next one: "I ran this:", or the beginning of a block of code.
_GOES_ON = re.compile(r"(?:[,:;(\[{]|```\w+)\Z")


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


class TextEnd:
    """Follows a text that goes on from `prompt`, and says how likely its end is after a mark, if that is less
    than `unlikely`: of such an end, top_p leaves hardly anything."""

    def __init__(self, eot: int, unlikely: float, prompt: str) -> None:
        self._eot, self._unlikely, self._after_mark = eot, unlikely, False
        self.add(prompt)

    def add(self, text: str) -> None:
        if stripped := text.rstrip():
            self._after_mark = stripped[-1] in MARKS

    def probability(self, logits: np.ndarray) -> float | None:
        """The probability of the end by `logits` (V,) of the next token, from which it is then taken; None if
        the end is to be treated as any other token."""
        if not self._after_mark or self._eot >= len(logits):
            return None
        if logits[self._eot] < logits.max() - NEVER_DRAWN:
            return None
        p = float(1 / np.exp(logits - logits[self._eot]).sum())
        if p >= self._unlikely:
            return None
        logits[self._eot] = -np.inf
        return p


def whole_end(given: str, held: str, in_words: int, lines: bool) -> int:
    """How many characters of `held`, the end of a text that is cut, to keep after `given`.

    They end where the last sentence or line does in it, or else where a word does in the last `in_words`
    characters. `lines`: a line is as good as a sentence; in verse, and where lines were wrapped, it is only
    better than none.
    """
    text = given[-TAIL:] + held
    start = len(text) - len(held)
    places = [at for at in range(start + 1, len(text) + 1) if not text[at - 1].isspace()]
    if given.strip():
        places = [start, *places]
    ends = [at for at in places if ends_sentence(text[:at], text[at:] or " ")]
    sentences = [at for at in ends if lines or _ends_in_mark(text[:at].rstrip())]
    words = [at for at in places if at >= len(text) - in_words and text[at : at + 1].isspace()]
    best = sentences or ends or words or [len(text)]
    return best[-1] - start


def ends_sentence(before: str, after: str) -> bool:
    """Whether a sentence, or a line, ends between these two."""
    text = before.rstrip()
    gap = before[len(text) :] + after[: len(after) - len(after.lstrip())]
    if "\n" in gap:
        return bool(text) and not _GOES_ON.search(text)
    return _ends_in_mark(text) and (bool(gap) or bool(_SPACELESS_SENTENCE.search(text)))


def _ends_in_mark(text: str) -> bool:
    return bool(_SPACELESS_SENTENCE.search(text) or _SENTENCE.search(text))
