"""Batches of windows of a token stream: nanoGPT's get_batch, in an order that a resume can take up again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_nanogpt.errors import NanogptError

from .token_files import open_tokens


@dataclass(frozen=True)
class Tokens:
    """The two token streams, (N,) ids each, and the bytes of text behind them."""

    train: np.ndarray
    val: np.ndarray
    train_bytes: int
    val_bytes: int

    @classmethod
    def open(cls, folder: Path, vocab_size: int, corpus: dict[str, Any]) -> Tokens:
        """Those that `prepare` wrote into `folder`; `corpus` is what it returned, as in nanogpt.json."""
        train, val = (open_tokens(folder / f"{split}.bin", vocab_size) for split in ("train", "val"))
        return cls(train, val, corpus["train_bytes"], corpus["val_bytes"])


class DataLoader:
    """Gives out every window of the stream once an epoch, in a new order and at a new offset each time.

    `tokens` is the stream, (N,) ids; a window is block_size + 1 of them. `position` counts the windows that
    were given out; with the seed it is all that a resume needs. With `replacement`, windows start anywhere at
    random, as in nanoGPT. Raises NanogptError for a stream too short for one window at any offset.
    """

    def __init__(
        self, tokens: np.ndarray, block_size: int, seed: int, *, position: int = 0, replacement: bool = False
    ):
        self.tokens, self.block_size, self.seed = tokens, block_size, seed
        self.position, self.replacement = position, replacement
        self.per_epoch = (len(tokens) - 1) // block_size - 1  # one less, because of the offset
        if self.per_epoch < 1:
            raise NanogptError(
                f"{len(tokens):,} tokens are too few to train on, a block size of {block_size} needs "
                f"{2 * block_size + 1:,}: use a table with more text, or a smaller --block-size"
            )
        self._epoch = -1  # of which _order and _offset are

    def get_batch(self, batch_size: int) -> np.ndarray:
        """The next windows, as (batch_size, block_size + 1) int64 ids: inputs and, one later, targets."""
        if self.replacement:
            rng = np.random.default_rng([self.seed, self.position])
            starts = rng.integers(0, len(self.tokens) - self.block_size, batch_size)
        else:
            starts = np.array([self._start(self.position + i) for i in range(batch_size)])
        self.position += batch_size
        return np.stack([self.tokens[s : s + self.block_size + 1] for s in starts]).astype(np.int64)

    def _start(self, window: int) -> int:
        """Where the window of that number begins."""
        epoch, i = divmod(window, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._offset = epoch, int(rng.integers(self.block_size))
            self._order = rng.permutation(self.per_epoch)
        return int(self._order[i]) * self.block_size + self._offset
