"""The split: by document, seeded, nothing on both sides, memory bounded."""

import numpy as np
import pytest
from conftest import TEXTS, finish

from datasette_nanogpt.data import deduplicate
from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.split import VALIDATION_BYTES, split_documents


def test_split_is_by_document_and_seeded(tmp_path):
    first = finish(split_documents(TEXTS, tmp_path / "a", seed=1))
    train, val = (list(first.texts(spans)) for spans in (first.train, first.val))
    assert len(val) == 30
    assert sorted(train + val) == sorted(TEXTS)
    again, other = (
        finish(split_documents(TEXTS, tmp_path / "b", seed=1)),
        finish(split_documents(TEXTS, tmp_path / "c", seed=2)),
    )
    assert list(again.texts(again.val)) == val
    assert list(other.texts(other.val)) != val
    assert first.val_bytes == sum(len(text.encode()) for text in val)
    assert first.sha256 == other.sha256


def test_duplicates_are_dropped_and_counted(tmp_path):
    found = finish(split_documents(TEXTS + TEXTS[:50], tmp_path / "a", seed=0))
    assert (found.documents, found.duplicates) == (300, 50)


def test_few_documents_are_cut_in_two(tmp_path):
    texts = ["é☕" * 1000, "second"]
    found = finish(split_documents(texts, tmp_path / "a", seed=0))
    assert found.documents_cut
    heads, tails = list(found.texts(found.train)), list(found.texts(found.val))
    assert sorted(h + t for h, t in zip(heads, tails, strict=True)) == sorted(texts)
    assert 0.08 < found.val_bytes / (found.train_bytes + found.val_bytes) < 0.12


def test_documents_are_cut_between_words(tmp_path):
    texts = [f"{kind} " * 300 for kind in ("word", "two words", "three of\nthem, in two lines")]
    found = finish(split_documents([text.strip() for text in texts], tmp_path / "a", seed=0))
    tails = sorted(found.texts(found.val))
    assert {tail.split()[0] for tail in tails} <= {"word", "two", "words", "them,"}
    assert all(head[-1].isspace() for head in found.texts(found.train))
    assert 0.08 < found.val_bytes / (found.train_bytes + found.val_bytes) < 0.13


def test_a_big_table_holds_out_no_more_than_it_needs(tmp_path):
    texts = (f"{i} " + "x" * 100_000 for i in range(300))
    found = finish(split_documents(texts, tmp_path / "a", seed=0))
    assert VALIDATION_BYTES - 100_010 < found.val_bytes <= VALIDATION_BYTES


@pytest.mark.parametrize("seed", range(3))
def test_documents_longer_than_what_is_held_out(tmp_path, seed):
    """A short one may come first, and the next be too long to go with it: then that one is held out."""
    texts = (np.random.default_rng(i).bytes(450_000 if i % 2 else 150_000).hex() for i in range(50))
    found = finish(split_documents(texts, tmp_path / "a", seed))
    assert 300_000 <= found.val_bytes <= VALIDATION_BYTES and not found.near_duplicates_divided


def test_no_text_at_all(tmp_path):
    with pytest.raises(NoTextError, match="choose other columns"):
        finish(split_documents([], tmp_path / "a", seed=0))


def test_a_long_document_is_hashed_in_pieces_as_if_whole(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    long = rng.integers(97, 123, 40_000, dtype=np.uint8).tobytes()
    documents = [long, b"short", long[:-50] + b"another end", b"", b"0123456789abcdef"]
    digests = rng.integers(2**63, size=len(documents), dtype=np.uint64)
    whole = deduplicate._min_hashes(documents, digests)
    for chunk, pieces in ((1000, 5000), (37, 3), (39_985, 2)):
        monkeypatch.setattr(deduplicate, "CHUNK_BYTES", chunk)
        monkeypatch.setattr(deduplicate, "PIECES", pieces)
        with deduplicate.NearDuplicates(tmp_path) as near:
            near.add(documents, digests)
            keys = (whole.reshape(-1, 12, 7) * deduplicate._MIX).sum(axis=2, dtype=np.uint64).T
            for file, expected in zip(near._bands, keys, strict=True):
                file.seek(0)
                assert np.array_equal(np.fromfile(file, dtype=np.uint64), expected)
