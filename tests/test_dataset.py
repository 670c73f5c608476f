"""Documents to token files: nothing lost, nothing on both sides, memory bounded."""

import tracemalloc

import numpy as np
import pytest
from conftest import TEXTS, finish
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.dataloader import DataLoader
from datasette_nanogpt.data.split import VALIDATION_BYTES, split_documents
from datasette_nanogpt.data.token_files import (
    open_tokens,
    write_tokens,
)
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.tokenizer_training import train_char


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


def test_token_files_hold_every_document_between_end_tokens(tmp_path, bpe):
    count = finish(write_tokens(iter(TEXTS), bpe, tmp_path / "t.bin"))
    ids = open_tokens(tmp_path / "t.bin", bpe.n_vocab)
    assert ids.dtype == np.uint16 and len(ids) == count
    ends = np.flatnonzero(ids == bpe.eot)
    assert ends[0] == 0 and ends[-1] == count - 1
    found = [bpe.decode(ids[a + 1 : b]) for a, b in zip(ends, ends[1:], strict=False)]
    assert found == TEXTS


def test_more_than_65536_ids_take_four_bytes(tmp_path):
    letters = "".join(map(chr, [*range(0x20, 0xD800), *range(0x10000, 0x10000 + 12_000)]))
    tokenizer = train_char([letters])
    assert tokenizer.n_vocab > 2**16
    finish(write_tokens([letters], tokenizer, tmp_path / "t.bin"))
    ids = open_tokens(tmp_path / "t.bin", tokenizer.n_vocab)
    assert ids.dtype == np.uint32 and tokenizer.decode(ids) == letters


def test_memory_does_not_grow_with_the_table(tmp_path, bpe):
    def peak(rows: int) -> int:
        texts = (f"{i} {'lorem ipsum dolor ' * 500}" for i in range(rows))
        tracemalloc.start()
        found = finish(split_documents(texts, tmp_path / "a", seed=0))
        finish(write_tokens(found.texts(found.train), bpe, tmp_path / "t.bin"))
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    assert peak(3000) < 1.3 * peak(1000)  # 27 MB of text against 9


@given(n=st.integers(40, 400), block=st.integers(1, 12), take=st.integers(1, 9), seed=st.integers(0, 5))
def test_an_epoch_is_every_window_once(n, block, take, seed):
    tokens = np.arange(n, dtype=np.uint16)
    if (n - 1) // block - 1 < 1:
        return
    loader = DataLoader(tokens, block, seed)
    starts = [int(w[0]) for _ in range(loader.per_epoch) for w in loader.get_batch(1)]
    assert len(set(starts)) == loader.per_epoch
    assert all((start - starts[0]) % block == 0 for start in starts)
    # Taking several at a time, or going on from a position, gives the same windows.
    batches = DataLoader(tokens, block, seed).get_batch(take)
    later = DataLoader(tokens, block, seed, position=take).get_batch(take)
    both = DataLoader(tokens, block, seed).get_batch(2 * take)
    assert np.array_equal(np.concatenate([batches, later]), both)
    assert (np.diff(both, axis=1) == 1).all()


def test_random_windows_reach_both_ends():
    loader = DataLoader(np.arange(20), 5, seed=0, replacement=True)
    seen = loader.get_batch(500)
    assert seen.min() == 0 and seen.max() == 19


def test_too_little_text_for_a_window():
    with pytest.raises(NanogptError, match="--block-size"):
        DataLoader(np.arange(10), 8, seed=0)


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_odd_documents_come_back_from_the_token_file(tmp_path, bpe, kind):
    texts = [
        "a <|endoftext|> b",
        "<|endoftext|>",
        "x",
        " " * 2_000_000 + "y",
        "\n" * 150_000,
        "日本" * 60_000,
    ]
    tokenizer = bpe if kind == "bpe" else train_char(texts)
    for batch in (texts, texts[:3], texts[2:3]):
        finish(write_tokens(iter(batch), tokenizer, tmp_path / "t.bin"))
        ids = open_tokens(tmp_path / "t.bin", tokenizer.n_vocab)
        ends = np.flatnonzero(ids == tokenizer.eot)
        assert [tokenizer.decode(ids[a + 1 : b]) for a, b in zip(ends, ends[1:], strict=False)] == batch


def test_documents_encoded_together_or_apart_are_the_same(bpe):
    apart = [token for text in TEXTS for token in [*bpe.encode(text), bpe.eot]]
    assert bpe.encode_documents(TEXTS).tolist() == apart


def test_a_long_document_is_cut_where_words_are(bpe, monkeypatch):
    text = "".join(TEXTS)
    whole = bpe.encode(text)
    monkeypatch.setattr("llm_nanogpt.tokenizer.LONGEST", 100)
    assert bpe.encode(text) == whole
