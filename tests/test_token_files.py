"""Documents to token files: nothing lost, memory bounded."""

import tracemalloc

import numpy as np
import pytest
from conftest import TEXTS, finish

from datasette_nanogpt.data import token_files
from datasette_nanogpt.data.split import split_documents
from datasette_nanogpt.data.token_files import open_tokens, write_tokens
from llm_nanogpt.tokenizer_training import train_char


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


def test_long_documents_are_read_in_pieces_that_overlap(bpe, monkeypatch):
    monkeypatch.setattr(token_files, "PIECE", 20)
    monkeypatch.setattr(token_files, "OVERLAP", 5)
    texts = ["short", " ".join(TEXTS[:9]), TEXTS[3]]
    tokens = np.concatenate([[bpe.eot], *([*bpe.encode(text), bpe.eot] for text in texts)]).astype(np.uint16)
    pieces = list(token_files.read_pieces(tokens, bpe))
    assert pieces[0] == "short"
    lengths = [len(bpe.encode(text)) for text in texts]
    assert len(pieces) == sum(max(1, -(-(n - 5) // 15)) for n in lengths)
    ids = bpe.encode(texts[1])
    for i in range(len(ids) - 5):  # whatever is short is whole in some piece
        assert any(bpe.decode(ids[i : i + 5]) in piece for piece in pieces)


def test_ends_of_a_million_tiny_documents_take_little_memory():
    tokens = np.ones(2_000_000, dtype=np.uint16)
    tokens[::2] = 0
    tracemalloc.start()
    count = sum(1 for _ in token_files.document_ends(tokens))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1_000_000 and peak < 15e6  # bytes; as one list of Python numbers they had 43 MB


def test_the_documents_of_a_model_are_those_of_its_token_file(tmp_path, bpe):
    (tmp_path / "training").mkdir()
    finish(write_tokens(iter(TEXTS), bpe, tmp_path / "training" / "val.bin"))
    found = [*token_files.documents(tmp_path, "val.bin", bpe.n_vocab)]
    assert [bpe.decode(ids[1:]) for ids in found] == TEXTS and all(ids[0] == bpe.eot for ids in found)
    (tmp_path / "training" / "train.bin").write_bytes(b"\0")  # half an id
    assert not [*token_files.documents(tmp_path, "train.bin", bpe.n_vocab)]
    assert not [*token_files.documents(tmp_path / "imported", "val.bin", bpe.n_vocab)]
