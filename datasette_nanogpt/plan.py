"""From the size of a corpus and the minutes at hand to a vocabulary, a model and a batch."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MINUTES = 10.0


@dataclass(frozen=True)
class Plan:
    """What is not set by hand."""

    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int


def choose_vocab_size(corpus_bytes: int) -> int:
    """A bigger vocabulary needs more text to learn each token: about 250 bytes of it, up to 4,096 tokens."""
    for size in (4096, 2048, 1024):
        if corpus_bytes >= size * 250:
            return size
    return 512


def choose_plan(corpus_bytes: int, minutes: float) -> Plan:
    """Small and fast first: at these budgets more steps beat a bigger model."""
    big = minutes >= 8 and corpus_bytes > 500_000
    return Plan(
        vocab_size=choose_vocab_size(corpus_bytes),
        n_layer=4 if big else 2,
        n_head=4 if big else 2,
        n_embd=192 if big else 128,
        block_size=256 if corpus_bytes > 100_000 else 64,
        batch_size=4,
    )
