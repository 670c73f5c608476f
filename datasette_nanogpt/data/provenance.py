"""Provenance of a document: whether a model was trained on it, or it was held out, or is new."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.files import is_file

from .token_files import document_ends, open_tokens, token_dtype


class Provenance:
    """What a model's training knew of a document, from its token files, which hold the ids of every document.

    Keeps 8 bytes a document in memory.
    """

    def __init__(self, checkpoint: Checkpoint):
        folder, corpus = checkpoint.path / "training", checkpoint.meta.get("corpus") or {}
        files = {"trained": folder / "train.bin", "held out": folder / "val.bin"}
        vocab_size = checkpoint.config.vocab_size
        self._dtype = token_dtype(vocab_size)
        self._digests: dict[str, set[bytes]] = {}
        # A model that was imported has no token files. Where documents were cut in two, they have the halves.
        if not corpus.get("cut", True) and all(map(is_file, files.values())):
            self._digests = {split: set(_digests(file, vocab_size)) for split, file in files.items()}

    def split_of(self, ids: Sequence[int]) -> str | None:
        """Whether a document was "trained" on, "held out" or is "new"; None where that is not known.

        `ids` are those of the whole document, without `<|endoftext|>`.
        """
        if not self._digests:
            return None
        digest = _digest(np.asarray(ids, dtype=self._dtype))
        return next((split for split, digests in self._digests.items() if digest in digests), "new")


def _digests(file: Path, vocab_size: int) -> Iterator[bytes]:
    """A digest of the ids of each document in a token file."""
    tokens = open_tokens(file, vocab_size)
    for begin, end in pairwise(document_ends(tokens)):
        yield _digest(tokens[begin + 1 : end])


def _digest(ids: np.ndarray) -> bytes:
    return hashlib.blake2b(ids.tobytes(), digest_size=8).digest()
