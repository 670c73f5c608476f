"""From the size of a corpus and the minutes at hand to a vocabulary, a model and a batch.

Rules of thumb from the measurements in benchmarks/LOG.md, on two CPU cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_nanogpt.checkpoint import GPTConfig

DEFAULT_MINUTES = 10.0
TOKENS_PER_SECOND = 12_000  # of the smallest model on two cores


@dataclass(frozen=True)
class Plan:
    """What is not set by hand."""

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int
    dropout: float


def choose_vocab_size(corpus_bytes: int) -> int:
    """A bigger vocabulary needs more text to learn each token: about 250 bytes of it, up to 4,096 tokens."""
    for size in (4096, 2048, 1024):
        if corpus_bytes >= size * 250:
            return size
    return 512


def choose_plan(tokens: int, minutes: float) -> Plan:
    """Small and fast first: at these budgets more steps beat a bigger model. `tokens` are those to train on.

    Text that is seen again and again is learnt by heart, so dropout grows with the epochs to expect.
    """
    epochs = minutes * 60 * TOKENS_PER_SECOND / tokens
    block_size = next(size for size in (1024, 256, 64) if tokens > 100 * size or size == 64)
    return Plan(
        n_layer=4 if minutes >= 8 else 2,
        n_head=2,
        n_embd=128,
        block_size=block_size,
        batch_size=1024 // block_size,
        dropout=0.05 if epochs < 5 else 0.2,
    )


def choose_model(given: Mapping[str, Any], plan: Plan, vocab_size: int) -> GPTConfig:
    """The model of a plan, but for what was set by hand. Raises NanogptError where there is no such model."""
    n_head, n_embd = given.get("n_head"), given.get("n_embd")
    n_embd = n_embd or (64 * n_head if n_head else plan.n_embd)
    arch = given.get("arch") or "qwen3"
    return GPTConfig(
        vocab_size=vocab_size,
        block_size=given.get("block_size") or plan.block_size,
        n_layer=given.get("n_layer") or plan.n_layer,
        n_head=n_head or (plan.n_head if n_embd == plan.n_embd else max(1, n_embd // 64)),
        n_embd=n_embd,
        arch=arch,
        tied=arch == "gpt2",
        rope_theta=1e6,
        norm_eps=1e-5 if arch == "gpt2" else 1e-6,
    )
