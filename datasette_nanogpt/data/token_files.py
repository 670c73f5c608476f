"""Token files: documents as ids on disk.

A token file is one stream: `<|endoftext|> document <|endoftext|> document <|endoftext|> ...`, so every
token of every document, and the end of each, is predicted from what stands before it. Ids are uint16,
or uint32 past 65,536 of them, and read through a memory map.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.files import open_file

from .background import in_background, until_done
from .documents import batches

if TYPE_CHECKING:
    from llm_nanogpt.tokenizer import Tokenizer

BATCH_CHARS = 500_000  # characters that one thread tokenizes at a time
PIECE, OVERLAP = 100_000, 1000  # tokens: `read_pieces` cuts long documents
CHUNK = 500_000  # tokens of a token file that are searched at once: each may be the end of a tiny document


def write_tokens(texts: Iterable[str], tokenizer: Tokenizer, file: Path) -> Generator[int, None, int]:
    """Tokenize `texts` into a token file, on all cores; returns the number of ids.

    Yields the number of documents done after each batch. Holds a few batches at a time.
    """
    dtype = token_dtype(tokenizer.n_vocab)
    # Threads that share one tokenizer wait for each other inside it: 31 MB/s on 2 cores, 41 with one each.
    cores = os.cpu_count() or 1
    free: SimpleQueue[Tokenizer] = SimpleQueue()
    for _ in range(cores):
        free.put(type(tokenizer)(tokenizer.spec))

    def encode(batch: list[str]) -> tuple[int, np.ndarray]:
        own = free.get()
        try:
            return len(batch), own.encode_documents(batch, dtype)
        finally:
            free.put(own)

    documents, count = 0, 1
    pending: deque[Future[tuple[int, np.ndarray]]] = deque()
    with open(file, "wb") as fp:
        fp.write(np.array([tokenizer.eot], dtype=dtype).data)
        remaining = batches(texts, BATCH_CHARS)
        while True:
            while len(pending) <= 2 * cores and (batch := next(remaining, None)):
                pending.append(in_background(partial(encode, batch)))
            if not pending:
                return count
            yield from (documents for _ in until_done(pending[0]))
            done, ids = pending.popleft().result()
            fp.write(ids.data)
            documents, count = documents + done, count + len(ids)
            yield documents


def token_dtype(n_vocab: int) -> type[np.integer]:
    """The type of the ids in a token file, for a vocabulary of `n_vocab` tokens."""
    return np.uint16 if n_vocab <= 2**16 else np.uint32


def document_ends(tokens: np.ndarray) -> Iterator[int]:
    """Where each `<|endoftext|>` of a stream of (N,) ids is, the one before the first document included."""
    for begin in range(0, len(tokens), CHUNK):
        yield from (begin + np.flatnonzero(tokens[begin : begin + CHUNK] == tokens[0])).tolist()


def read_documents(tokens: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The documents of a stream of (N,) ids, but for one that its end cuts off."""
    for start, end in pairwise(document_ends(tokens)):
        yield tokenizer.decode(tokens[start + 1 : end])


def read_pieces(tokens: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    """The same, long documents in pieces of PIECE tokens that overlap by OVERLAP, to be searched one by one:
    as strings of words a long text takes twenty times its size."""
    for start, end in pairwise(document_ends(tokens)):
        for piece in range(start + 1, max(start + 2, end - OVERLAP), PIECE - OVERLAP):
            yield tokenizer.decode(tokens[piece : min(end, piece + PIECE)])


def documents(folder: Path, file: str, n_vocab: int) -> Iterator[np.ndarray]:
    """The ids of each document in a model's "train.bin" or "val.bin", (N,), its first an `<|endoftext|>`.

    None if the file is not there or not whole: the model was imported, or what it was trained on was removed.
    """
    with suppress(NanogptError):
        tokens = open_tokens(folder / "training" / file, n_vocab)
        yield from (tokens[start:end] for start, end in pairwise(document_ends(tokens)))


def open_tokens(file: Path, n_vocab: int) -> np.ndarray:
    """The ids of a token file, (tokens,), as a read-only memory map. Raises NanogptError where it is not
    whole, and OSError where this process has too many open files."""
    try:
        with open_file(file) as fp:
            return np.memmap(fp, dtype=token_dtype(n_vocab), mode="r")
    except (NanogptError, OSError, ValueError) as ex:
        cause = ex.__cause__ or ex
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            raise cause from None
        if isinstance(ex, NanogptError):
            raise
        raise NanogptError(
            f"{file.name} is not a whole file of tokens"
        ) from ex  # empty, or its end is missing
