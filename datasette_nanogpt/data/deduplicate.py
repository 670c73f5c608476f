"""Near-duplicates: documents so similar that they must be on the same side of the split.

MinHash over the shingles of each document, its 16-byte pieces in any language, and locality-sensitive hashing
(Broder 1997; Indyk and Motwani 1998): two documents are near-duplicates if all MinHash values of one of their
bands are equal. The keys of the bands are in unnamed files, so memory grows by some 50 bytes a document,
whatever its length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

SHINGLE = 16  # bytes: two or three words, five Chinese characters
SAMPLED = 4  # one in this many shingles is used, the same ones in every document
# Two documents that share a fraction s of their shingles are found with probability 1 - (1 - s^7)^12:
# 0.94 at s = 0.8, 0.64 at 0.7, 0.09 at 0.5.
BANDS, ROWS_PER_BAND = 12, 7
CHUNK_BYTES = 2**20  # bytes that are hashed at a time, and band keys that are looked up at a time
PIECES = 5000  # pieces of documents that are hashed at a time
# Odd numbers by which the MinHash values of a band are multiplied before they are added to its key.
_MIX = np.random.default_rng(0).integers(2**63, size=ROWS_PER_BAND, dtype=np.uint64) | np.uint64(1)
# Odd numbers that mix bits when multiplied by: 2^64 over the golden ratio, and a prime of xxHash.
_ODD = [np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)]


class NearDuplicates:
    """Give it every document's UTF-8 with `add`, in batches; then ask for the `groups`."""

    def __init__(self, folder: Path):
        self._bands = [tempfile.TemporaryFile(dir=folder) for _ in range(BANDS)]  # noqa: SIM115

    def __enter__(self) -> NearDuplicates:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._bands:
            file.close()

    def add(self, documents: Sequence[bytes], digests: np.ndarray) -> None:
        """Hash some more documents. `digests` are (documents,) uint64, one for each whole document: it joins
        the document's shingles, as some documents are shorter than one."""
        # The MinHash of a document is the least of those of its pieces.
        least = np.full((len(documents), BANDS * ROWS_PER_BAND), np.iinfo(np.uint64).max, dtype=np.uint64)
        for owners, pieces in _in_pieces(documents):
            np.minimum.at(least, owners, _min_hashes(pieces, digests[owners]))
        signatures = least.reshape(-1, BANDS, ROWS_PER_BAND)
        for file, keys in zip(self._bands, (signatures * _MIX).sum(axis=2, dtype=np.uint64).T, strict=True):
            file.write(keys.tobytes())

    def groups(self, chosen: np.ndarray) -> np.ndarray:
        """The group of each of the `chosen` documents, which are numbers in the order added: (chosen,) int32,
        the place in `chosen` of the first document of the same group.

        Groups are transitive: if a is a near-duplicate of b and b of c, all three form a group.
        """
        label = np.arange(len(chosen), dtype=np.int32)
        for file in self._bands:
            file.seek(0)
            keys = np.fromfile(file, dtype=np.uint64)
            if len(chosen) < len(keys):
                keys = keys[chosen]
            in_order = np.sort(keys)
            repeated = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
            if not len(repeated):
                continue
            parts = np.array_split(np.arange(len(keys), dtype=np.int32), len(keys) // CHUNK_BYTES + 1)
            similar = np.concatenate([part[_is_in(keys[part], repeated)] for part in parts])
            similar = similar[np.argsort(keys[similar], kind="stable")]
            same = keys[similar[1:]] == keys[similar[:-1]]
            _unite(label, similar[:-1][same], similar[1:][same])
        return label


def _is_in(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of `values` are among `known`, which are sorted; as a mask."""
    return known[np.searchsorted(known, values).clip(max=len(known) - 1)] == values


def _in_pieces(documents: Sequence[bytes]) -> Iterator[tuple[list[int], list[bytes]]]:
    """The documents in batches, cut into pieces of at most CHUNK_BYTES that overlap, so that each shingle is
    in one of them: for each piece the number of its document, and the pieces. A batch is limited twice: with
    short documents signatures take most of the memory, with long ones shingles."""
    owners: list[int] = []
    pieces: list[bytes] = []
    size = 0
    for owner, document in enumerate(documents):
        for start in range(0, max(1, len(document) - SHINGLE + 1), CHUNK_BYTES):
            piece = document[start : start + CHUNK_BYTES + SHINGLE - 1]
            owners.append(owner)
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES or len(pieces) == PIECES:
                yield owners, pieces
                owners, pieces, size = [], [], 0
    if pieces:
        yield owners, pieces


def _min_hashes(documents: Sequence[bytes], digests: np.ndarray) -> np.ndarray:
    """The MinHash values of documents, (documents, BANDS * ROWS_PER_BAND) uint64; each one's digest joins its
    shingles."""
    from rensa import RMinHash

    hashes, ends = _shingles(documents)
    starts = np.concatenate([[0], ends[:-1]])
    hashes = np.insert(hashes, starts, digests)
    offsets = np.concatenate([[0], ends + np.arange(1, len(ends) + 1)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, BANDS * ROWS_PER_BAND, 0)
    return np.array(matrix.to_rows(), dtype=np.uint64)


def _shingles(documents: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """uint64 hashes of the sampled shingles of all documents, and where those of each document end."""
    gap = bytes(SHINGLE)  # no text has a NUL: a shingle that starts or ends with one is not inside a document
    blob = gap.join([*documents, b""])
    hashes, positions = [], []
    for start in range(0, len(blob) - SHINGLE, CHUNK_BYTES):
        n = min(CHUNK_BYTES, len(blob) - SHINGLE - start)
        # Every byte's next eight as one number, and the eight after these.
        left, right = (np.ndarray((n,), "<u8", blob, start + at, strides=(1,)) for at in (0, 8))
        mixed = (left * _ODD[0] ^ right * _ODD[1]) * _ODD[0]
        mixed ^= mixed >> np.uint64(32)
        mixed *= _ODD[1]
        first, last = (np.frombuffer(blob, np.uint8, n, start + at) for at in (0, SHINGLE - 1))
        kept = np.flatnonzero((mixed < np.uint64(2**64 // SAMPLED)) & (first != 0) & (last != 0))
        hashes.append(mixed[kept])
        positions.append(kept + start)
    if not hashes:
        return np.empty(0, np.uint64), np.zeros(len(documents), np.int64)
    ends = np.cumsum([len(document) + SHINGLE for document in documents])
    return np.concatenate(hashes), np.searchsorted(np.concatenate(positions), ends)


def _unite(label: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Unite the groups of each pair (a, b); `label` maps every member of a group to its least member."""
    while len(a):
        a, b = label[a], label[b]
        apart = a != b
        a, b = a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(label, further := label[label]):
            label[:] = further
