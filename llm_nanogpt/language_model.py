"""The interface that writing needs of a model, whatever it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .config import GPTConfig


class LanguageModel(Protocol):
    """What `generate` needs of a model. `gpt_numpy.GPT` and `gpt_torch.TorchModel` implement it."""

    config: GPTConfig

    @property
    def device(self) -> str: ...

    def new_cache(self) -> Any:
        """An empty key-value cache, of whatever kind this model's `logits` takes."""

    def logits(self, ids: Sequence[int], cache: Any, past: int = 0) -> np.ndarray:
        """(V,) logits of the token after `ids`, which stand at positions `past` and up."""
