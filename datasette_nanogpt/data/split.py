"""Documents to a file, in a shuffled order, split by document into a training and a validation split.

Memory grows by some bytes a document, not with the text.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..events import Part
from .background import in_background, until_done
from .columns import NoTextError
from .deduplicate import NearDuplicates
from .documents import batches

VALIDATION_FRACTION = 0.1  # of the documents
# The most text that is held out: more makes each score slower (5 s for size s) and hardly more exact.
VALIDATION_BYTES = 1_000_000
CUT_BYTES = 100  # in which the end of a line or of a word is looked for
MIN_DOCUMENTS = 10  # with fewer, the end of each document is held out instead of whole documents
BATCH_CHARS = 1_000_000  # characters of text that are read at a time
SPANS_AT_ONCE = 10_000  # how many spans become Python numbers at a time


@dataclass(frozen=True)
class Split:
    """Documents on disk, one after the other, and which of them are trained on and held out.

    `train` and `val` are (n, 2) arrays of int64, shuffled: where in `file` each document begins and ends
    (bytes).
    """

    file: Path
    train: np.ndarray
    val: np.ndarray
    documents: int  # distinct ones
    duplicates: int  # exact ones, dropped, so that none is on both sides
    near_duplicates: int  # documents nearly the same as another one: these are on one side of the split,
    near_duplicates_divided: bool  # unless there is hardly any other text
    documents_cut: bool  # whether each document was cut in two because there are so few
    sha256: str  # of all documents, in the order read

    @property
    def train_bytes(self) -> int:
        return _total_length(self.train)

    @property
    def val_bytes(self) -> int:
        return _total_length(self.val)

    def texts(self, spans: np.ndarray) -> Iterator[str]:
        """The documents of `train` or `val`, read one at a time."""
        with open(self.file, "rb", buffering=0) as fp:
            for some in np.array_split(spans, len(spans) // SPANS_AT_ONCE + 1):
                for start, end in some.tolist():
                    fp.seek(start)
                    yield fp.read(end - start).decode()


@dataclass(frozen=True)
class _Written:
    """The distinct documents in a file; the arrays are (documents,)."""

    ends: np.ndarray  # where in the file each ends (bytes)
    lengths: np.ndarray  # bytes
    group: np.ndarray  # of near-duplicates, see `NearDuplicates.groups`
    duplicates: int
    sha256: str


def split_documents(documents: Iterable[str], file: Path, seed: int) -> Generator[int | Part, None, Split]:
    """Write documents to `file` and decide, from `seed`, their order and which are held out.

    Yields the number of documents read after each batch, and then that it looks for near-duplicates. Raises
    NanogptError when there is no text.
    """
    written = yield from _write_documents(documents, file)
    ends, lengths, group = written.ends, written.lengths, written.group

    def spans(chosen: np.ndarray) -> np.ndarray:
        return np.stack([ends[chosen] - lengths[chosen], ends[chosen]], axis=1)

    order = np.random.default_rng(seed).permutation(np.arange(len(ends), dtype=np.int32))
    near_duplicates = int((np.bincount(group)[group] > 1).sum())
    cut, divided = len(ends) < MIN_DOCUMENTS, False
    if cut:
        train, val = _cut_in_two(file, spans(order))
    else:
        held_out, enough = _hold_out(order, group, lengths)
        if near_duplicates and not enough:
            divided, (held_out, _) = True, _hold_out(order, np.arange(len(ends)), lengths)
        train, val = (spans(order[held_out[order] == side]) for side in (False, True))
    return Split(
        file, train, val, len(ends), written.duplicates, near_duplicates, divided, cut, written.sha256
    )


def _write_documents(documents: Iterable[str], file: Path) -> Generator[int | Part, None, _Written]:
    sizes, digests, sha256 = array("q"), array("Q"), hashlib.sha256()
    # The next batch is read while the last one is compared.
    with open(file, "wb") as fp, NearDuplicates(file.parent) as near:
        added: Future[None] | None = None
        for batch in batches(documents, BATCH_CHARS):
            data = [document.encode() for document in batch]
            fp.writelines(data)
            raw = b"".join(hashlib.blake2b(document, digest_size=8).digest() for document in data)
            sha256.update(raw)
            if added:
                yield from (len(sizes) for _ in until_done(added))
                added.result()
            added = in_background(partial(near.add, data, np.frombuffer(raw, dtype=np.uint64)))
            sizes.extend(map(len, data))
            digests.frombytes(raw)
            yield len(sizes)
        if not added:
            raise NoTextError(
                "None of the rows has any text: choose other columns for the title and the text."
            )
        yield from (len(sizes) for _ in until_done(added))
        added.result()
        unique = np.unique(np.frombuffer(digests, dtype=np.uint64), return_index=True)[1]
        unique.sort()
        duplicates = len(digests) - len(unique)
        del digests
        grouping = in_background(partial(near.groups, unique))
        yield from (Part.DEDUPLICATING for _ in until_done(grouping))
        group = grouping.result()
    lengths = np.frombuffer(sizes, dtype=np.int64)
    return _Written(np.cumsum(lengths)[unique], lengths[unique], group, duplicates, sha256.hexdigest())


def _hold_out(order: np.ndarray, group: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which documents are held out, as a mask: whole groups, in `order`, until there are enough; and whether
    there are.

    `order`, `group` and `sizes` (bytes) are (documents,). Groups too big for the validation split are trained
    on, which may leave next to nothing.
    """
    wanted = max(1, round(len(order) * VALIDATION_FRACTION))
    members, weight = np.bincount(group), np.bincount(group, weights=sizes)
    chosen: list[int] = []
    documents, size = 0, 0
    decided = np.zeros(len(group), dtype=bool)
    for g in group[order]:
        if decided[g]:
            continue
        decided[g] = True
        fits = documents + members[g] <= wanted and size + weight[g] <= VALIDATION_BYTES
        if fits or (not chosen and members[g] == 1):
            chosen.append(g)
            documents, size = documents + members[g], size + weight[g]
        elif members[g] == 1:  # going on to ever shorter ones would choose by length
            break
    return np.isin(group, chosen), documents * 4 > wanted or size * 2 > VALIDATION_BYTES


def _cut_in_two(file: Path, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hold out the last tenth of each document. The cut is moved back to the end of a line, or of a word, if
    there is one near, else to the start of a character."""
    train, val = [], []
    with open(file, "rb") as fp:
        for start, end in spans.tolist():
            tenth = int((end - start) * VALIDATION_FRACTION)
            middle = end - tenth
            fp.seek(begin := middle - min(CUT_BYTES, tenth))
            before = fp.read(middle - begin)
            breaks = [before.rfind(space) + 1 for space in (b"\n", b" ")]
            if at := breaks[0] or breaks[1]:
                middle = begin + at
            else:
                fp.seek(middle)
                while middle > start and middle < end and 0x80 <= fp.read(1)[0] < 0xC0:
                    middle -= 1
                    fp.seek(middle)
            train.append((start, middle))
            val.append((middle, end))
    return np.array(train), np.array(val)


def _total_length(spans: np.ndarray) -> int:
    return int((spans[:, 1] - spans[:, 0]).sum())
