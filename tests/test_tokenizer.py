"""Text to ids and back, tiktoken's ids held against those of the tokenizers library."""

import random
import time

import pytest
import tiktoken
from conftest import TEXTS
from hypothesis import example, given
from hypothesis import strategies as st

from llm_nanogpt import tokenizer as module
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.tokenizer import EOT, LLAMA3_SPLIT, QWEN35_SPLIT, Tokenizer
from llm_nanogpt.tokenizer_training import (
    LONGEST_WORD,
    _in_short_words,
    choose_split,
    gpt2,
    train_bpe,
    train_char,
)


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


def test_a_character_tokenizer_drops_what_it_does_not_know(tmp_path):
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


def test_tokens_longer_than_a_prefix_are_found(bpe):
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


def test_gpt2_has_its_real_vocabulary(tmp_path):
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


DEVANAGARI = "धर्मक्षेत्रे कुरुक्षेत्रे समवेता युयुत्सवः। मामकाः पाण्डवाश्चैव किमकुर्वत सञ्जय॥ अध्याय १२३४"
# Letters that carry marks: Devanagari, Tamil, Thai, vowelled Arabic and Hebrew, decomposed accents.
MARKED = [
    DEVANAGARI,
    "தமிழ் மொழி மிகவும் பழமையான மொழிகளுள் ஒன்று",
    "ภาษาไทยเป็นภาษาที่ใช้ในประเทศไทย น้ำตาลที่นี่",
    "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ",
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם",
    "le\u0301ge\u0300rete\u0301 d'un e\u0301te\u0301, ho\u0302tel",
]


@pytest.mark.parametrize("text", MARKED)
def test_marks_belong_to_their_word(text, tmp_path):
    tokenizer = train_bpe([text] * 20, 1000)
    assert tokenizer.split == QWEN35_SPLIT
    assert len(tokenizer.encode(text.split()[0])) == 1
    assert_same_ids(tokenizer, tmp_path, [*MARKED, *rows(100), text.replace(" ", "\u0300 \u200d")])


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        ["In 2024 the café’s 1,234 guests…"],
        ["学而时习之，不亦说乎？"],
        ["Ein Wort mit i\u0307 " * 3 + "x" * 5000],
        [""],
    ],
)
def test_text_without_marks_keeps_numbers_in_groups_of_three(texts):
    assert train_bpe(texts, 300).split == LLAMA3_SPLIT


def test_a_few_words_with_marks_in_a_text_full_of_numbers():
    years = " ".join(str(year) for year in range(1900, 2030))
    assert choose_split([years + DEVANAGARI]) == LLAMA3_SPLIT
    assert choose_split([years + DEVANAGARI * 20]) == QWEN35_SPLIT


def unbroken(letters: str, n: int) -> str:
    return "".join(random.Random(0).choices(letters, k=n))


@pytest.mark.parametrize("letters", ["ACGT", "学而时习之", "-=", " \n\t"])
def test_the_same_ids_at_any_length(letters, tmp_path):
    run = unbroken(letters, 100_001)
    tokenizer = train_bpe([run[:20_000]], 500)
    assert max(len(tokenizer.token_bytes(i)) for i in range(tokenizer.n_vocab)) > 4
    prose = "so it goes, and 12345 more of it. " * 20
    assert_same_ids(tokenizer, tmp_path, [run, (prose + "\n\n") * 200 + run + "\n " + prose])


LETTERS = [*"ab1 \n\t-।", "क्ष", "  ", "\r\n", "'s", "\u00a0"]


@given(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=60))
def test_a_long_text_is_cut_where_words_end(parts):
    text = "".join(parts)
    tokenizer = CUT[QWEN35_SPLIT if "क" in text else LLAMA3_SPLIT]
    with pytest.MonkeyPatch.context() as patch:
        whole = tokenizer.encode(text)
        patch.setattr(module, "LONGEST", 5)
        assert tokenizer.encode(text) == whole


CUT = {
    QWEN35_SPLIT: train_bpe(MARKED, 600),
    LLAMA3_SPLIT: train_bpe([*TEXTS, " -" * 9, " \n" * 9, "ab" * 9], 600),
}


def test_a_million_letters_without_a_space_make_a_vocabulary():
    """In one piece it takes longer by the square: a quarter of an hour."""
    start = time.process_time()
    tokenizer = train_bpe([unbroken("ACGT", 1_000_000)], 600)
    assert tokenizer.n_vocab == 600
    assert time.process_time() - start < 60


def test_only_words_that_are_too_long_are_cut_for_training():
    text = "one two " + "学而时习之，不亦说乎？" * 60 + " " + "x" * 600 + "-" * 600 + " three"
    pieces = list(_in_short_words(["short enough", text, " " * 600]))
    assert pieces[0] == "short enough"
    assert "".join(pieces[1:]) == text + " " * 600
    assert max(map(len, pieces)) < 900
    assert text[: text.index("x")] in pieces
    assert all(
        len(piece) <= LONGEST_WORD for piece in pieces if not piece.strip("x") or not piece.strip("- ")
    )


def test_what_tokens_begin_with(bpe):
    firsts = {i: first for first, ids in bpe.by_first_character.items() for i in ids.tolist()}
    assert sorted(firsts) == [*range(bpe.n_vocab)] and firsts[bpe.eot] == " "
    points = {bpe.token_bytes(i): first for i, first in firsts.items() if i != bpe.eot}
    assert points[b"A"] == points[b"a"] == "a"
    assert points[b"\xc3"] == points[b"\xa9"] == ""
