"""A title that steers: classifier-free guidance (2207.12598; for language models 2306.17806).

What a title makes more likely than the same text without it is made more likely still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .language_model import LanguageModel

# Measured: LOG.md, "A title that steers".
GUIDANCE, MAX_GUIDANCE = 2.0, 100.0


class GuidedModel:
    """A model whose logits are without + guidance * (with - without) the title, as a `LanguageModel`.

    `head` is what each context begins with, up to the blank line after the title, as `Titles.head` finds it.
    "Without" is the same context from the blank line on. Each token takes two steps of the model.
    """

    def __init__(self, model: LanguageModel, head: Sequence[int], guidance: float) -> None:
        self.model, self.config, self.guidance = model, model.config, guidance
        self.left_out = len(head) - 1

    @property
    def device(self) -> str:
        return self.model.device

    def new_cache(self) -> tuple[Any, Any]:
        """A cache with the title, and one without."""
        return self.model.new_cache(), self.model.new_cache()

    def logits(self, ids: Sequence[int], cache: tuple[Any, Any], past: int = 0) -> np.ndarray:
        """As `LanguageModel.logits`. As long as there is nothing but the title, they are the model's own."""
        known = self.model.logits(ids, cache[0], past)
        rest = ids[max(0, self.left_out - past) :]
        if not len(rest):
            return known
        unknown = self.model.logits(rest, cache[1], max(0, past - self.left_out))
        return unknown + np.float32(self.guidance) * (known - unknown)
