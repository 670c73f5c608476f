"""Whether there is enough text to train on, checked before anything is measured or built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm_nanogpt.errors import InvalidOptions, Problem

from ..data.dataloader import least_tokens
from ..formatting import text_size
from .plan import CONTEXTS, choose_context

# With fewer, scores are worse than knowing nothing in any context (LOG.md, "A few hundred bytes").
LEAST_TOKENS = least_tokens(CONTEXTS[-1])
SENTENCES_NEED = "some 100 kB"  # LOG.md, "What a score reads like"


def check_enough_text(given: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    """Raises InvalidOptions for a text that is too short. `given` are the options set by hand, `counts` what
    nanogpt.json keeps of the corpus."""
    tokens = counts["train_tokens"]
    block_size = given.get("block_size") or choose_context(tokens)
    if tokens >= tokens_needed(block_size):
        return
    needed = math.ceil(tokens_needed(block_size) * counts["bytes"] / max(tokens, 1))
    message = f"{too_little_text(counts['bytes'], block_size, needed)} Choose a table with more text"
    if tokens < LEAST_TOKENS:
        raise InvalidOptions([Problem("", "too_little", message)])
    message += f", or a context of at most {(tokens - 1) // 2}"
    raise InvalidOptions([Problem("block_size", "too_little", message)])


def tokens_needed(block_size: int) -> int:
    """How many tokens of training text a context of `block_size` tokens needs."""
    return max(LEAST_TOKENS, least_tokens(block_size))


def too_little_text(n_bytes: int, block_size: int, needed: float) -> str:
    """The message for a text of `n_bytes` bytes where a context of `block_size` tokens needs `needed`."""
    what = f"a context of {block_size} tokens" if block_size > CONTEXTS[-1] else "a model"
    return (
        f"{text_size(n_bytes)} of text is too little to train on: {what} needs about "
        f"{text_size(_rounded_up(needed))}, and sentences need {SENTENCES_NEED}."
    )


def _rounded_up(n_bytes: float) -> float:
    """A size in one or two digits: what is estimated before a run should be the same as in the run."""
    unit = 5 * 10 ** math.floor(math.log10(n_bytes) - 1)  # 50 for hundreds
    return unit * math.ceil(n_bytes / unit)
