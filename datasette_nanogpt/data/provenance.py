"""How training saw a document: it was learnt from, or held out, or was not there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from llm_nanogpt.checkpoint import Checkpoint

from .token_files import open_tokens, token_dtype

CHUNK = 10_000_000  # tokens of a token file that are looked through at once


def seen_in_training(checkpoint: Checkpoint) -> Callable[[Sequence[int]], str | None]:
    """What tells of the ids of a document how training saw it: trained, held out or new.

    It looks into the token files, which hold the ids of every document. None where nobody knows: the model
    was imported, or each document was cut in two, as there were so few.
    """
    folder, corpus = checkpoint.path / "training", checkpoint.meta.get("corpus") or {}
    files = {"trained": folder / "train.bin", "held out": folder / "val.bin"}
    if corpus.get("cut", True) or not all(file.exists() for file in files.values()):
        return lambda ids: None
    vocab_size = checkpoint.config.vocab_size
    known = {kind: set(_digests(file, vocab_size)) for kind, file in files.items()}
    dtype = token_dtype(vocab_size)

    def seen(ids: Sequence[int]) -> str:
        wanted = _digest_of_ids(np.asarray(ids, dtype=dtype))
        return next((kind for kind, digests in known.items() if wanted in digests), "new")

    return seen


def _digests(file: Path, vocab_size: int) -> Iterator[bytes]:
    """A digest of the ids of each document in a token file."""
    tokens = open_tokens(file, vocab_size)
    eot, start = tokens[0], 1
    for begin in range(0, len(tokens), CHUNK):
        for end in np.flatnonzero(tokens[begin : begin + CHUNK] == eot) + begin:
            if end >= start:
                yield _digest_of_ids(tokens[start:end])
                start = end + 1


def _digest_of_ids(ids: np.ndarray) -> bytes:
    return hashlib.blake2b(ids.tobytes(), digest_size=8).digest()
