"""The shapes of models: those with a name, xs to xl, and what options set of them. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_nanogpt.config import GPTConfig

# The width of a head, where only the width or the number of heads is given.
HEAD_WIDTH = 64
# Layers and width of each size (benchmarks/LOG.md, "Size").
SIZES = {"xs": (2, 64), "s": (2, 128), "m": (3, 256), "l": (4, 384), "xl": (6, 512)}
# The options that set a part of that themselves.
SHAPE = ("n_layer", "n_head", "n_embd")


def size_is_given(given: Mapping[str, Any]) -> bool:
    """Whether options set the size of the model, by its name or by layers and width."""
    return bool(given.get("size") or (given.get("n_layer") and (given.get("n_head") or given.get("n_embd"))))


def make_config(size: str, vocab_size: int, given: Mapping[str, Any]) -> GPTConfig:
    """A model of that size, except for what is `given`: width and heads follow each other, 64 to 1."""
    n_layer, width = SIZES[size]
    n_head, n_embd = given.get("n_head"), given.get("n_embd")
    n_embd = n_embd or (HEAD_WIDTH * n_head if n_head else width)
    arch = given.get("arch") or "qwen3"
    return GPTConfig(
        vocab_size=vocab_size,
        block_size=given["block_size"],
        n_layer=given.get("n_layer") or n_layer,
        n_head=n_head or max(1, n_embd // HEAD_WIDTH),
        n_embd=n_embd,
        arch=arch,
        tied=arch == "gpt2",
        # So large that some components of queries and keys turn slowly enough to compare tokens that are far
        # apart (init_induction.py; LOG.md, "What the runs above lacked: copying").
        rope_theta=1e6,
        norm_eps=1e-5 if arch == "gpt2" else 1e-6,
    )
