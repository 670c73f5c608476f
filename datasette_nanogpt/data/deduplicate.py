"""Near-duplicates: which documents are so alike that they must stand on the same side of the split.

MinHash over the 16-byte pieces of each document, in any language, and locality-sensitive hashing: two
documents are alike if all numbers of one of their bands agree. Band keys lie in unnamed files, so memory
grows by some 50 bytes a document, whatever its length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PIECE = 16  # bytes: two or three words, five Chinese characters
SAMPLED = 4  # one piece in so many is looked at, the same ones in every document
# Two documents that share a fraction s of their pieces are found with probability 1 - (1 - s^7)^12:
# 0.94 at s = 0.8, 0.64 at 0.7, 0.09 at 0.5.
BANDS, NUMBERS = 12, 7
AT_ONCE = 2**20  # bytes hashed at a time
_MIX = np.random.default_rng(0).integers(2**63, size=NUMBERS, dtype=np.uint64) | np.uint64(1)
_ODD = [np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)]


class Likeness:
    """Give it every document's UTF-8 with `add`, in batches; then ask for the `groups`."""

    def __init__(self, folder: Path):
        self._bands = [tempfile.TemporaryFile(dir=folder) for _ in range(BANDS)]  # noqa: SIM115

    def __enter__(self) -> Likeness:
        return self

    def __exit__(self, *_) -> None:
        for file in self._bands:
            file.close()

    def add(self, documents: Sequence[bytes], digests: np.ndarray) -> None:
        """`digests` are (n,) uint64; each joins its document's pieces, as some are shorter than one."""
        from rensa import RMinHash

        hashes, ends = _pieces(documents)
        starts = np.concatenate([[0], ends[:-1]])
        hashes = np.insert(hashes, starts, digests)
        offsets = np.concatenate([[0], ends + np.arange(1, len(ends) + 1)]).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, BANDS * NUMBERS, 0)
        numbers = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, BANDS, NUMBERS)
        for file, keys in zip(self._bands, (numbers * _MIX).sum(axis=2, dtype=np.uint64).T, strict=True):
            file.write(keys.tobytes())

    def groups(self, chosen: np.ndarray) -> np.ndarray:
        """For each of the `chosen` documents (indices in the order added) the first of those like it.

        Likeness carries over: if a is like b and b like c, all three form a group.
        """
        label = np.arange(len(chosen), dtype=np.int32)
        for file in self._bands:
            file.seek(0)
            keys = np.fromfile(file, dtype=np.uint64)
            if len(chosen) < len(keys):
                keys = keys[chosen]
            shared = np.sort(keys)
            shared = np.unique(shared[1:][shared[1:] == shared[:-1]])
            if not len(shared):
                continue
            parts = np.array_split(np.arange(len(keys), dtype=np.int32), len(keys) // AT_ONCE + 1)
            alike = np.concatenate([part[_among(keys[part], shared)] for part in parts])
            alike = alike[np.argsort(keys[alike], kind="stable")]
            same = keys[alike[1:]] == keys[alike[:-1]]
            _join(label, alike[:-1][same], alike[1:][same])
        return label


def _among(values: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Which of `values` are among `some`, which are sorted."""
    return some[np.searchsorted(some, values).clip(max=len(some) - 1)] == values


def _pieces(documents: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the sampled pieces of all documents, and where those of each end."""
    gap = bytes(PIECE)  # no text has a NUL: a piece that starts or ends with one is not inside a document
    blob = gap.join([*documents, b""])
    hashes, positions = [], []
    for start in range(0, len(blob) - PIECE, AT_ONCE):
        n = min(AT_ONCE, len(blob) - PIECE - start)
        # Every byte's next eight as one number, and the eight after these.
        left, right = (np.ndarray((n,), "<u8", blob, start + at, strides=(1,)) for at in (0, 8))
        mixed = (left * _ODD[0] ^ right * _ODD[1]) * _ODD[0]
        mixed ^= mixed >> np.uint64(32)
        mixed *= _ODD[1]
        first, last = (np.frombuffer(blob, np.uint8, n, start + at) for at in (0, PIECE - 1))
        kept = np.flatnonzero((mixed < np.uint64(2**64 // SAMPLED)) & (first != 0) & (last != 0))
        hashes.append(mixed[kept])
        positions.append(kept + start)
    if not hashes:
        return np.empty(0, np.uint64), np.zeros(len(documents), np.int64)
    ends = np.cumsum([len(document) + PIECE for document in documents])
    return np.concatenate(hashes), np.searchsorted(np.concatenate(positions), ends)


def _join(label: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Unite the sets of each pair; `label` maps every member of a set to its least member."""
    while len(a):
        a, b = label[a], label[b]
        apart = a != b
        a, b = a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(label, further := label[label]):
            label[:] = further
