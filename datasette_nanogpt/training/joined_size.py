"""How big several models are joined into one (join_models.py). Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm_nanogpt.config import GPTConfig

from .sizes import size_is_given

# Each model makes the matrices wider, and brings less than the one before: the fourth 0.2 to 0.7% ("Pairs,
# and groups of small models" in LOG.md).
MOST_JOINED = 4
# The largest joined model: one of 47M parameters takes 5 ms of one core for a token, a single one of 4.5M 1.3
# (LOG.md, "Zeros of joined models").
MOST_PARAMETERS = 50_000_000


def joined_config(config: GPTConfig, models: int) -> GPTConfig:
    """The shape of that many models of the shape `config`, side by side."""
    return replace(
        config,
        n_embd=models * config.n_embd,
        n_head=models * config.n_head,
        n_kv_head=models * config.n_kv_head,
        n_inner=models * config.n_inner,
    )


def most_joined(config: GPTConfig, parameters: float = math.inf) -> int:
    """How many models of that shape may be joined into one of at most that many parameters; 1: none."""
    most = min(MOST_PARAMETERS, parameters)
    sizes = range(2, MOST_JOINED + 1) if config.arch == "qwen3" and not config.tied else ()
    return max((size for size in sizes if joined_config(config, size).parameters <= most), default=1)


def may_join(given: Mapping[str, Any]) -> bool:
    """Whether a run with the options `given` may end with its last models joined into one, which is bigger:
    not where their size was set by hand."""
    return not size_is_given(given)
