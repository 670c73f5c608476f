"""From the size of a corpus and the minutes at hand to a vocabulary, a model and a batch.

Rules of thumb from the measurements in benchmarks/LOG.md, on two CPU cores.
"""

from __future__ import annotations

from dataclasses import dataclass

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
