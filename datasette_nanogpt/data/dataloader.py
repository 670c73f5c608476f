"""Batches of windows of a token stream: nanoGPT's get_batch, in an order that a resume can take up again.

Where documents have titles, a window that begins inside one has the title before it, with the
`<|endoftext|>` and the blank line (llm_nanogpt/titles.py). What follows is shorter by as much. In training a
few of these titles count, or hardly a window would teach how a document starts; the token after a title never
does, which is no sequel to a blank line. In the score each token counts once, so no such title does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.titles import Titles

from .token_files import document_ends, open_tokens

IGNORED = -100  # a target that does not count: the default of torch's cross_entropy
# Of the windows that could begin with a title, this fraction does not: a model must also write without one.
WITHOUT_TITLE = 0.15
# Of the titles before windows, these fractions count, in the first epoch and later. If all do, a model learns
# titles by heart, and others steer it less; if few do early on, a young one starts texts in mid-sentence
# (LOG.md, "Titles that count").
COUNTED_FIRST, COUNTED_LATER = 1 / 4, 1 / 32


def least_tokens(block_size: int) -> int:
    """How many tokens a stream must have for one window at any offset."""
    return 2 * block_size + 1


@dataclass(frozen=True)
class Tokens:
    """The two token streams, (N,) ids each, and the bytes of text behind them."""

    train: np.ndarray
    val: np.ndarray
    train_bytes: int
    val_bytes: int
    titles: Titles | None = None  # what finds the titles of documents, where windows begin with these

    @classmethod
    def open(
        cls, folder: Path, vocab_size: int, corpus: dict[str, Any], titles: Titles | None = None
    ) -> Tokens:
        """Those that `prepare` wrote into `folder`; `corpus` is what it returned, as in nanogpt.json. Raises
        NanogptError where they are not there as they were."""
        try:
            train, val = (open_tokens(folder / f"{split}.bin", vocab_size) for split in ("train", "val"))
            for split, tokens in (("train", train), ("val", val)):
                if len(tokens) != corpus.get(f"{split}_tokens", len(tokens)):
                    raise NanogptError(f"{split}.bin is not the one that this model was trained on")
                if len(tokens) and tokens.max() >= vocab_size:
                    raise NanogptError(f"{split}.bin is damaged")
        except NanogptError as ex:
            raise NanogptError(
                f"{folder.parent.name} has lost its tokens (in {folder}, {ex}): "
                "train it again without --resume"
            ) from ex
        return cls(train, val, corpus["train_bytes"], corpus["val_bytes"], titles)


class Span(NamedTuple):
    """Where the tokens of a window are in a stream: a title from elsewhere, and what comes after it."""

    start: int  # of all that is no title
    title: int  # where the title before it begins,
    title_length: int  # in tokens; 0: there is none
    counted: int  # of the targets in the title, the first so many, which count


class Windows:
    """Windows of a stream, (N,) ids, from any start. Keeps 8 bytes a document in memory."""

    def __init__(self, tokens: np.ndarray, block_size: int, titles: Titles | None) -> None:
        self.tokens, self.block_size, self.titles = tokens, block_size, titles

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.fromiter(document_ends(self.tokens), dtype=np.int64)

    def span(self, start: int, with_title: bool = True, counts: bool = False) -> Span:
        """The window that starts there, after the title, as `Titles.head` has it, of the document that it
        begins in; after none where the window has all of that title, or the document none. `counts`: whether
        such a title does."""
        if self.titles is None or not with_title:
            return Span(start, 0, 0, 0)
        begin = int(self._ends[np.searchsorted(self._ends, start, side="right") - 1])
        length = len(self.titles.head(self.tokens[begin : begin + self.titles.longest]))
        length = length if start >= begin + length else 0
        return Span(start, begin, length, length - 1 if length and counts else 0)

    def window(self, start: int, with_title: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """(T,) inputs and, one later, targets, T being the block size, or less at the end of the stream."""
        span = self.span(start, with_title)
        length = min(self.block_size, len(self.tokens) - 1 - start + span.title_length)
        inputs, targets = gather(self.tokens, np.array([span]), length)
        return inputs[0], targets[0]

    def all_in_order(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Windows in which each token but the first is a target just once. With each window's inputs and
        targets comes the number of targets so far."""
        start = 0
        while start < len(self.tokens) - 1:
            inputs, targets = self.window(start)
            start += int((targets != IGNORED).sum())
            yield start, inputs, targets


def places_of(spans: np.ndarray, length: int) -> np.ndarray:
    """Where in the stream the tokens of windows are: (B, 4) spans -> (B, length)."""
    start, title, title_length, _ = spans.T[:, :, None]
    at = np.arange(length)
    return np.where(at < title_length, title + at, start + at - title_length)


def gather(tokens: np.ndarray, spans: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of a stream, (N,) ids, by their spans, (B, 4): inputs and, one later, targets, (B, length)
    int64 each. Targets in a title, and after it, that do not count are IGNORED."""
    ids = tokens[places_of(spans, length + 1)].astype(np.int64)
    inputs, targets = ids[:, :-1], ids[:, 1:].copy()
    at = np.arange(length)
    targets[(at >= spans[:, 3:]) & (at < spans[:, 2:3])] = IGNORED
    return inputs, targets


class DataLoader:
    """Gives out every window of the stream once an epoch, in a new order and at a new offset each time.

    `tokens` is the stream, (N,) ids; a window is block_size + 1 of them, titles included. `position` counts
    the windows that were given out; with the seed it is all that a resume needs. With `replacement`, windows
    start anywhere at random, as in nanoGPT. Raises NanogptError for a stream too short for one window at any
    offset.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        block_size: int,
        seed: int,
        *,
        position: int = 0,
        replacement: bool = False,
        titles: Titles | None = None,
    ):
        self.tokens, self.block_size, self.seed = tokens, block_size, seed
        self.position, self.replacement = position, replacement
        self.windows = Windows(tokens, block_size, titles)
        self.per_epoch = (len(tokens) - 1) // block_size - 1  # one less, because of the offset
        if self.per_epoch < 1:
            raise NanogptError(
                f"{len(tokens):,} tokens are too few to train on, a context of {block_size} needs "
                f"{least_tokens(block_size):,}: use a table with more text, or a smaller --block-size"
            )
        self._epoch = -1  # the epoch that _order, _offset, _with_title and _title_counts are of

    def get_batch(self, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """The next windows: inputs and targets, (batch_size, block_size) int64 ids each. Targets of IGNORED
        do not count."""
        return gather(self.tokens, self.next_spans(batch_size), self.block_size)

    def next_spans(self, batch_size: int) -> np.ndarray:
        """Where the next windows are: (batch_size, 4) int64, a Span each."""
        if self.replacement:
            rng = np.random.default_rng([self.seed, self.position])
            starts = rng.integers(0, len(self.tokens) - self.block_size, batch_size)
            counts = self._titles_that_count(rng, self.position // self.per_epoch, batch_size)
            spans = [
                self.windows.span(int(start), counts=bool(count))
                for start, count in zip(starts, counts, strict=True)
            ]
        else:
            spans = [self._span(self.position + i) for i in range(batch_size)]
        self.position += batch_size
        return np.array(spans, dtype=np.int64)

    def _span(self, number: int) -> Span:
        epoch, i = divmod(number, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._offset = epoch, int(rng.integers(self.block_size))
            self._order = rng.permutation(self.per_epoch)
            self._with_title = rng.random(self.per_epoch) >= WITHOUT_TITLE
            self._title_counts = self._titles_that_count(rng, epoch, self.per_epoch)
        start = int(self._order[i]) * self.block_size + self._offset
        return self.windows.span(start, bool(self._with_title[i]), bool(self._title_counts[i]))

    @staticmethod
    def _titles_that_count(rng: np.random.Generator, epoch: int, windows: int) -> np.ndarray:
        return rng.random(windows) < (COUNTED_LATER if epoch else COUNTED_FIRST)
