"""A title that steers: classifier-free guidance (2207.12598; for language models 2306.17806).

A token that a title makes more likely is made more likely still. A guidance above the default would take
sentences apart, so there it guides only tokens that are plausible with the title, as contrastive decoding
does (2210.15097).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .language_model import LanguageModel

# Measured: LOG.md, "A title that steers".
GUIDANCE, MAX_GUIDANCE = 2.0, 100.0
# The fraction of the highest probability from which on a token is plausible: so much for each unit of
# guidance above the default, and so much at most (LOG.md, "Strong guidance").
PLAUSIBLE, MOST_PLAUSIBLE = 0.007, 0.1


class GuidedModel:
    """A `LanguageModel` whose logits are without + guidance * (with - without), where `with` are those after
    the title. The odds of a token that is not plausible are at most those that it has after the title.

    `head` is what each context begins with, up to the blank line after the title, as `Titles.head` finds it.
    "Without" is the same context from the blank line on. Each token takes two steps of the model.
    """

    def __init__(self, model: LanguageModel, head: Sequence[int], guidance: float) -> None:
        self.model, self.config, self.guidance = model, model.config, guidance
        self.left_out = len(head) - 1
        fraction = min(PLAUSIBLE * (guidance - GUIDANCE), MOST_PLAUSIBLE)
        self._nats_below = np.float32(-math.log(fraction)) if fraction > 0 else None

    @property
    def device(self) -> str:
        return self.model.device

    def new_cache(self) -> tuple[Any, Any]:
        """A cache with the title, and one without."""
        return self.model.new_cache(), self.model.new_cache()

    def logits(self, ids: Sequence[int], cache: tuple[Any, Any], past: int = 0) -> np.ndarray:
        """As `LanguageModel.logits`. As long as there is nothing but the title, they are the model's own. A
        blank line with nothing before it is nothing that training had, so without the title a model is surer
        than with it that a list begins, and guidance would take the dash of its first item."""
        known = self.model.logits(ids, cache[0], past)
        rest = ids[max(0, self.left_out - past) :]
        if not len(rest):
            return known
        unknown = self.model.logits(rest, cache[1], max(0, past - self.left_out))
        if past + len(ids) == self.left_out + 1:
            return known
        guided = unknown + np.float32(self.guidance) * (known - unknown)
        if self._nats_below is not None:
            highest = known.max()
            plausible = (known >= highest - self._nats_below).nonzero()[0]
            kept = guided[plausible]
            np.minimum(guided, known + (kept.max() - highest), out=guided)
            guided[plausible] = kept
        return guided
