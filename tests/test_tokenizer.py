"""Text to ids and back, tiktoken's ids held against those of the tokenizers library."""

import random

import pytest
import tiktoken
from conftest import TEXTS
from hypothesis import example, given
from hypothesis import strategies as st

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.tokenizer import EOT, LLAMA3_SPLIT, Tokenizer
from llm_nanogpt.tokenizer_training import gpt2, train_bpe, train_char


def rows(n: int = 400) -> list[str]:
    """Rows of every kind that tables hold: prose, code, numbers, other scripts, markup, odd spaces."""
    rng = random.Random(0)
    prose = "the|cat's|I'll|DON'T|Zoë|straße|ΑΒΓ|привет|мир|你好|שלום|مرحبا|🙂|👩\u200d👩\u200d👧|e\u0301"
    code = (
        'foo_bar()|{"k":[1,2]}|<p>hi</p>|SELECT|*|--|...|!!!|3.14159|1234567|2024-11-22|http://x.org/?a=b&c=d'
    )
    words = [*prose.split("|"), *code.split("|"), *"½²①\u00a0\u200b\ufeff\x00\x7f\ufffd"]
    glue = [" ", "  ", "\n", "\n\n", "\r\n", "\t", " \n ", "", ", ", "\u2028"]
    return ["".join(rng.choice(words) + rng.choice(glue) for _ in range(rng.randrange(40))) for _ in range(n)]


@pytest.fixture(scope="module")
def trained():
    return train_bpe(rows(200) + TEXTS, 1500)


def library(tokenizer, tmp_path):
    """The same tokenizer.json, read by the tokenizers library."""
    from tokenizers import Tokenizer as Tokenizers

    tokenizer.save(tmp_path, 32)
    return Tokenizers.from_file(str(tmp_path / "tokenizer.json"))


def assert_same_ids(tokenizer, tmp_path, texts):
    theirs = library(tokenizer, tmp_path)
    assert theirs.token_to_id(EOT) == tokenizer.eot
    again = Tokenizer.load(tmp_path)
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert ids.tolist() == tokenizer.encode(text) == again.encode(text)
        assert theirs.encode(text, add_special_tokens=False).ids == ids.tolist(), text
        assert theirs.decode(ids.tolist()) == tokenizer.decode(ids) == text


def test_tiktoken_and_tokenizers_agree(trained, tmp_path):
    assert trained.n_vocab > 600
    assert_same_ids(trained, tmp_path, rows() + TEXTS)


ANY_TEXT = st.text(st.characters(codec="utf-8"))


@given(ANY_TEXT)
@example(EOT)
@example("\r\n \t\x00\ufeff👩‍👩‍👧")
def test_decoding_undoes_encoding(trained, text):
    ids = trained.encode(text)
    assert trained.decode(ids) == text
    assert trained.eot not in ids


@given(ANY_TEXT)
def test_characters_undo_encoding_too(text):
    tokenizer = train_char([text, "x"])
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_characters(tmp_path):
    tokenizer = train_char(["cab", "a☕"])
    assert (tokenizer.n_vocab, tokenizer.eot, tokenizer.encode("abc☕")) == (5, 0, [1, 2, 3, 4])
    assert tokenizer.encode("aXb") == [1, 2]
    assert_same_ids(tokenizer, tmp_path, ["", "a", "cab☕"])


def test_training_is_deterministic(bpe):
    assert train_bpe(TEXTS, 400).spec == bpe.spec


@given(ANY_TEXT)
def test_cutting_off_the_last_word_keeps_the_ids_before_it(trained, text):
    stable, word = trained.split_last_word(text)
    assert stable + word == text
    assert bool(word) == bool(text)
    if len(text) < 200:
        assert trained.encode(stable) + trained.encode(word) == trained.encode(text)


def test_longer_than(bpe):
    for prefix in (b"", b"q", b" qu", b"\xf0", b"nothing"):
        found = bpe.longer_than(prefix)
        wanted = [i for i in range(bpe.n_vocab) if bpe.token_bytes(i).startswith(prefix)]
        assert sorted(found) == [i for i in wanted if bpe.token_bytes(i) != prefix]


def test_gpt2_is_taken_over_whole(gpt2_ranks, tmp_path):
    tokenizer = gpt2()
    assert tokenizer.eot == len(gpt2_ranks)
    assert tokenizer.n_vocab == len(gpt2_ranks) + 1
    encoding = tiktoken.get_encoding("gpt2")
    for text in rows(100):
        assert tokenizer.encode(text) == encoding.encode_ordinary(text)
    assert_same_ids(tokenizer, tmp_path, rows(100))


def test_real_gpt2(tmp_path):
    """Only where its vocabulary is on the machine; the test above holds the same code without it."""
    try:
        encoding = tiktoken.get_encoding("gpt2")
    except Exception:
        pytest.skip("GPT-2's vocabulary is not on this machine")
    tokenizer = gpt2()
    assert (tokenizer.n_vocab, tokenizer.eot) == (50257, 50256)
    assert tokenizer.encode("hello world") == encoding.encode_ordinary("hello world") == [31373, 995]
    assert_same_ids(tokenizer, tmp_path, rows(200))


def test_gpt2_offline_says_what_to_do(monkeypatch):
    def no_network(name):
        raise OSError("no route to host")

    monkeypatch.setattr(tiktoken, "get_encoding", no_network)
    with pytest.raises(NanogptError, match="TIKTOKEN_CACHE_DIR"):
        gpt2()


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"model": {"vocab": {}}, "added_tokens": []}'])
def test_a_damaged_file_is_broken(make_model, damage):
    folder = make_model()
    (folder / "tokenizer.json").write_text(damage)
    with pytest.raises(NanogptError, match="'nanogpt-tiny' is broken: tokenizer.json"):
        Tokenizer.load(folder)


def test_the_split_is_llama_3s():
    import regex

    assert regex.findall(LLAMA3_SPLIT, "I'll be  there: 1234567!\n\nNext") == [
        "I", "'ll", " be", " ", " there", ":", " ", "123", "456", "7", "!\n\n", "Next",
    ]  # fmt: skip
