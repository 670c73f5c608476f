"""Documents -> shuffle -> split -> tokenizer -> token files, in memory that does not grow with the table.

A token file is one stream: `<|endoftext|> document <|endoftext|> document <|endoftext|> ...`, so every
token of every document, and the end of each, is predicted from what stands before it. Ids are uint16,
or uint32 past 65,536 of them, and read through a memory map.
"""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from llm_nanogpt.errors import NanogptError

from .deduplicate import Likeness

if TYPE_CHECKING:
    from llm_nanogpt.tokenizer import Tokenizer

T = TypeVar("T")
VALIDATION_SHARE = 0.1  # of the documents
VALIDATION_BYTES = 1_000_000  # at most: more would make each score slower (5 s for size s), hardly truer
FEW = 10  # documents; with fewer, the end of each is held out instead of whole ones
BATCH_BYTES, ENCODE_BYTES = 1_000_000, 500_000  # of text read, and tokenized by one thread, at a time


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
    alike: int  # documents that are nearly the same as another: these stand on one side of the split,
    divided: bool  # unless there is hardly any other text
    cut: bool  # whether documents were cut in two, for want of enough of them
    sha256: str  # of all documents, in the order read

    @property
    def train_bytes(self) -> int:
        return _length(self.train)

    @property
    def val_bytes(self) -> int:
        return _length(self.val)

    def texts(self, spans: np.ndarray) -> Iterator[str]:
        with open(self.file, "rb", buffering=0) as fp:
            for some in np.array_split(spans, len(spans) // 10_000 + 1):
                for start, end in some.tolist():
                    fp.seek(start)
                    yield fp.read(end - start).decode()


def spool(documents: Iterable[str], file: Path, seed: int) -> Generator[int, None, Spool]:
    """Write documents to `file` and decide, from `seed`, their order and which are held out.

    Yields the documents read after each batch. Raises NanogptError when there is no text.
    """
    sizes, digests, sha256 = array("q"), array("Q"), hashlib.sha256()
    # The next batch is read while the last one is compared.
    with open(file, "wb") as fp, Likeness(file.parent) as likeness, ThreadPoolExecutor(1) as thread:
        added: Future = thread.submit(int)
        for batch in _batches(documents, BATCH_BYTES):
            data = [document.encode() for document in batch]
            fp.writelines(data)
            found = [hashlib.blake2b(document, digest_size=8).digest() for document in data]
            sha256.update(b"".join(found))
            found = np.frombuffer(b"".join(found), dtype=np.uint64)
            added.result()
            added = thread.submit(likeness.add, data, found)
            sizes.extend(map(len, data))
            digests.frombytes(found.tobytes())
            yield len(sizes)
        added.result()
        if not sizes:
            raise NanogptError("None of the rows has any text: choose other columns with --title and --body")
        unique = np.unique(np.frombuffer(digests, dtype=np.uint64), return_index=True)[1]
        unique.sort()
        del digests
        group = likeness.groups(unique)
    ends = np.cumsum(sizes)[unique]
    lengths = np.frombuffer(sizes, dtype=np.int64)[unique]
    duplicates = len(sizes) - len(unique)
    del sizes, unique
    order = np.random.default_rng(seed).permutation(np.arange(len(ends), dtype=np.int32))
    alike = int((np.bincount(group)[group] > 1).sum())
    cut, divided = len(ends) < FEW, False
    if not cut:
        held_out, enough = _hold_out(order, group, lengths)
        if alike and not enough:
            divided, (held_out, _) = True, _hold_out(order, np.arange(len(ends)), lengths)
    del group

    def spans(chosen: np.ndarray) -> np.ndarray:
        return np.stack([ends[chosen] - lengths[chosen], ends[chosen]], axis=1)

    if cut:
        train, val = _cut_in_two(file, spans(order))
    else:
        train, val = (spans(order[held_out[order] == side]) for side in (False, True))
    return Spool(file, train, val, len(ends), duplicates, alike, divided, cut, sha256.hexdigest())


def _hold_out(order: np.ndarray, group: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which documents are held out, as a mask: whole groups, in `order`, until there are enough; and whether
    there are.

    Groups too big for the validation split are trained on, which may leave next to nothing.
    """
    share = max(1, round(len(order) * VALIDATION_SHARE))
    members, weight = np.bincount(group), np.bincount(group, weights=sizes)
    chosen, documents, size = [], 0, 0
    decided = np.zeros(len(group), dtype=bool)
    for g in group[order]:
        if decided[g]:
            continue
        decided[g] = True
        fits = documents + members[g] <= share and size + weight[g] <= VALIDATION_BYTES
        if fits or (not chosen and members[g] == 1):
            chosen.append(g)
            documents, size = documents + members[g], size + weight[g]
        elif members[g] == 1:  # going on to ever shorter ones would choose by length
            break
    return np.isin(group, chosen), documents * 4 > share or size * 2 > VALIDATION_BYTES


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


def write_tokens(texts: Iterable[str], tokenizer: Tokenizer, file: Path) -> Generator[int, None, int]:
    """Tokenize `texts` into a token file, on all cores; returns the number of ids.

    Yields the documents done after each batch. Holds a few batches at a time.
    """
    dtype = token_dtype(tokenizer.n_vocab)
    # Threads that share one tokenizer wait for each other inside it: 31 MB/s on 2 cores, 41 with one each.
    own = threading.local()

    def encode(batch: list[str]) -> tuple[int, np.ndarray]:
        if not hasattr(own, "tokenizer"):
            own.tokenizer = type(tokenizer)(tokenizer.spec)
        return len(batch), own.tokenizer.encode_documents(batch).astype(dtype)

    cores = os.cpu_count() or 1
    documents, count = 0, 1
    pending: deque[Future[tuple[int, np.ndarray]]] = deque()
    with open(file, "wb") as fp, ThreadPoolExecutor(cores) as threads:
        fp.write(np.array([tokenizer.eot], dtype=dtype))
        batches = _batches(texts, ENCODE_BYTES)
        while True:
            while len(pending) <= 2 * cores and (batch := next(batches, None)):
                pending.append(threads.submit(encode, batch))
            if not pending:
                return count
            done, ids = pending.popleft().result()
            fp.write(ids)
            documents, count = documents + done, count + len(ids)
            yield documents


def finish(steps: Generator[Any, None, T]) -> T:
    """Run a generator to its end, for what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _batches(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def token_dtype(n_vocab: int) -> type[np.integer]:
    """Of the ids in a token file."""
    return np.uint16 if n_vocab <= 2**16 else np.uint32


def open_tokens(file: Path, n_vocab: int) -> np.ndarray:
    """The ids of a token file as a read-only memory map."""
    return np.memmap(file, dtype=token_dtype(n_vocab), mode="r")
