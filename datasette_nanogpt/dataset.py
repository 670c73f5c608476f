"""Documents -> shuffle -> split -> tokenizer -> token files, in memory that does not grow with the table.

A token file is one stream: `<|endoftext|> document <|endoftext|> document <|endoftext|> ...`, so every
token of every document, and the end of each, is predicted from what stands before it. Ids are uint16,
or uint32 past 65,536 of them, and read through a memory map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llm_nanogpt.errors import NanogptError

if TYPE_CHECKING:
    from llm_nanogpt.tokenizer import Tokenizer

VALIDATION_SHARE = 0.1  # of the documents
VALIDATION_BYTES = 2_000_000  # at most: more would make each score slower, not truer
FEW = 10  # documents; with fewer, the end of each is held out instead of whole ones
BATCH_BYTES = 4_000_000  # of text tokenized at a time


@dataclass(frozen=True)
class Spool:
    """Documents on disk, one after the other, with where each begins and ends (bytes).

    `train` and `val` are (n, 2) arrays of start and end, shuffled.
    """

    file: Path
    train: np.ndarray
    val: np.ndarray
    documents: int
    duplicates: int  # exact ones, dropped, so that none stands on both sides
    cut: bool  # whether documents were cut in two, for want of enough of them
    sha256: str  # of all documents, in the order read

    @property
    def train_bytes(self) -> int:
        return _length(self.train)

    @property
    def val_bytes(self) -> int:
        return _length(self.val)

    def texts(self, spans: np.ndarray) -> Iterator[str]:
        with open(self.file, "rb") as fp:
            for start, end in spans.tolist():
                fp.seek(start)
                yield fp.read(end - start).decode()


def spool(documents: Iterable[str], file: Path, seed: int) -> Spool:
    """Write documents to `file` and decide, from `seed`, their order and which are held out.

    Raises NanogptError when there is no text.
    """
    seen: set[bytes] = set()
    spans: list[tuple[int, int]] = []
    sha256, duplicates, position = hashlib.sha256(), 0, 0
    with open(file, "wb") as fp:
        for document in documents:
            data = document.encode()
            digest = hashlib.blake2b(data, digest_size=12).digest()
            if digest in seen:
                duplicates += 1
                continue
            seen.add(digest)
            sha256.update(digest)
            fp.write(data)
            spans.append((position, position := position + len(data)))
    if not spans:
        raise NanogptError("None of the rows has any text: choose other columns with --title and --body")
    order = np.array(spans, dtype=np.int64)
    np.random.default_rng(seed).shuffle(order)
    cut = len(order) < FEW
    if cut:
        train, val = _cut_in_two(file, order)
    else:
        held_out = max(1, round(len(order) * VALIDATION_SHARE))
        sizes = np.cumsum(order[:held_out, 1] - order[:held_out, 0])
        held_out = max(1, int((sizes <= VALIDATION_BYTES).sum()))
        val, train = order[:held_out], order[held_out:]
    return Spool(file, train, val, len(spans), duplicates, cut, sha256.hexdigest())


def _cut_in_two(file: Path, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hold out the end of each document: at the share's place, moved back to the start of a character."""
    train, val = [], []
    with open(file, "rb") as fp:
        for start, end in spans.tolist():
            middle = end - int((end - start) * VALIDATION_SHARE)
            fp.seek(middle)
            while middle > start and middle < end and 0x80 <= fp.read(1)[0] < 0xC0:
                middle -= 1
                fp.seek(middle)
            train.append((start, middle))
            val.append((middle, end))
    return np.array(train), np.array(val)


def _length(spans: np.ndarray) -> int:
    return int((spans[:, 1] - spans[:, 0]).sum())


def write_tokens(
    texts: Iterable[str], tokenizer: Tokenizer, file: Path, progress: Callable[[int], object] | None = None
) -> int:
    """Tokenize `texts` into a token file, a few megabytes at a time; returns the number of ids.

    `progress` is told the bytes done after each batch.
    """
    dtype = np.uint16 if tokenizer.n_vocab <= 2**16 else np.uint32
    eot = np.array([tokenizer.eot], dtype=dtype)
    count = 1
    with open(file, "wb") as fp:
        fp.write(eot.tobytes())
        for batch in _batches(texts):
            for ids in tokenizer.encode_batch(batch):
                fp.write(ids.astype(dtype).tobytes())
                fp.write(eot.tobytes())
                count += len(ids) + 1
            if progress:
                progress(sum(len(text.encode()) for text in batch))
    return count


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def open_tokens(file: Path, n_vocab: int) -> np.ndarray:
    """The ids of a token file as a read-only memory map."""
    return np.memmap(file, dtype=np.uint16 if n_vocab <= 2**16 else np.uint32, mode="r")


class Windows:
    """Training batches: every window of the stream once, in a new order and at a new offset each epoch.

    `position` counts the windows taken; with the seed it is all that a resume needs. With
    `replacement`, windows are drawn anywhere at random, as nanoGPT does.
    """

    def __init__(
        self, tokens: np.ndarray, block_size: int, seed: int, *, position: int = 0, replacement: bool = False
    ):
        self.tokens, self.block_size, self.seed = tokens, block_size, seed
        self.position, self.replacement = position, replacement
        self.per_epoch = (len(tokens) - 1) // block_size - 1  # one less, to leave room for the offset
        if self.per_epoch < 1:
            raise NanogptError(
                f"{len(tokens):,} tokens are too few to train on with a block size of {block_size}: "
                "use a table with more text, or a smaller --block-size"
            )
        self._epoch = -1

    @property
    def epochs(self) -> float:
        return self.position / self.per_epoch

    def take(self, n: int) -> np.ndarray:
        """The next `n` windows, as (n, block_size + 1) int64 ids: inputs and, one later, targets."""
        if self.replacement:
            rng = np.random.default_rng([self.seed, self.position])
            starts = rng.integers(0, len(self.tokens) - self.block_size, n)
        else:
            starts = np.array([self._start(self.position + i) for i in range(n)])
        self.position += n
        return np.stack([self.tokens[s : s + self.block_size + 1] for s in starts]).astype(np.int64)

    def _start(self, window: int) -> int:
        epoch, i = divmod(window, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._offset = epoch, int(rng.integers(self.block_size))
            self._order = rng.permutation(self.per_epoch)
        return int(self._order[i]) * self.block_size + self._offset
