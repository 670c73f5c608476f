"""A prompt in capitals is read in small letters, but for what the table has in capitals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generate import Scripted

from llm_nanogpt.capitals import as_read
from llm_nanogpt.generate import generate
from llm_nanogpt.guidance import GuidedModel
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe
from llm_nanogpt.words import WordCounter, WordList

ROWS = [
    "Make a pumpkin pie with the SQL of a page, and the pie of a pumpkin.",
    "The HTML of a page is in SQL; don't make HTML of the pumpkin, if the page is a pie.",
] * 20 + ["MAKE a page. A straße is no Strasse."]


def with_words(rows):
    tokenizer, counter = train_bpe(rows, 310), WordCounter()
    for _ in counter.count(rows):
        pass
    tokenizer.words = counter.most_frequent()
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return with_words(ROWS)


def holding(tokenizer, likely, block_size=64):
    """A model that holds likely tokens whose letters are all capitals, or all small letters."""
    texts = [tokenizer.token_bytes(i).decode("utf-8", "ignore") for i in range(tokenizer.n_vocab)]
    unlikely = [text.strip().isalpha() and not likely(text) for text in texts]
    logits = np.resize(-50.0 * np.array(unlikely), 400)
    return Scripted(lambda ids: logits, block_size)


READ = {
    "PUMPKIN PIE": "Pumpkin pie",
    "A PUMPKIN": "A pumpkin",
    "“PUMPKIN? NO: PIE": "“Pumpkin? No: pie",
    "- PUMPKIN\n\nTake a PIE\nPIE": "- Pumpkin\n\nTake a PIE\nPie",
    "DON'T PANIC": "Don't panic",
    "SQL PIE": "SQL pie",
    "THE HTML PAGE": "The HTML page",
    "MAKE THE PIE": "Make the pie",  # though one row in three has it in capitals
}
KEPT = ["HTML", "SQL", "MAKE SQL", "The HTML page", "NASA said", "The PUMPKIN", "Pumpkin", "I", "3", "", "Δ"]


def test_lines_in_capitals_are_read_in_small_letters(tokenizer):
    model = holding(tokenizer, str.islower)
    assert {text: as_read(text, tokenizer, model) for text in READ} == READ
    assert [as_read(text, tokenizer, model) for text in KEPT] == KEPT


def test_lines_in_capitals_stay_where_the_model_expects_them(tokenizer):
    model = holding(tokenizer, str.isupper)
    assert [as_read(text, tokenizer, model) for text in READ] == list(READ)


def test_nothing_is_read_otherwise_without_a_list_that_has_capitals(tokenizer):
    model = holding(tokenizer, str.islower)
    known = tokenizer.words
    try:
        for tokenizer.words in (None, WordList(["pumpkin"], cased=True)):
            assert as_read("PUMPKIN", tokenizer, model) == "PUMPKIN"
    finally:
        tokenizer.words = known


@given(st.text() | st.lists(st.sampled_from(["PIE", "ΟΔΟΣ", "STRASSE", "İI", "ǅ", "ẞ", "HTML", "\n", " "])))
def test_every_character_stays_where_it_is(tokenizer, text):
    text = "".join(text)
    read = as_read(text, tokenizer, holding(tokenizer, str.islower))
    assert [len(c.encode()) for c in read] == [len(c.encode()) for c in text]
    assert read.lower() == text.lower()


def test_a_long_word_and_a_long_prompt_fit_into_the_context(tokenizer):
    model = holding(tokenizer, str.islower, 16)
    assert as_read("PUMPKINS" * 9, tokenizer, model) == "PUMPKINS" * 9
    assert as_read("make a pie " * 30 + "\nPUMPKIN", tokenizer, model).endswith("\nPumpkin")


def fed(tokenizer, prompt, **how):
    """The ids that a text goes on from, and the run that writes it."""
    model = holding(tokenizer, str.islower)
    seen, script = [], model.script
    model.script = lambda ids: seen.append(ids) or script(ids)
    run = generate(model, tokenizer, prompt, max_tokens=1, **how)
    list(run)
    return [ids for ids in seen if ids[0] == tokenizer.eot][-1], run


def test_what_is_written_goes_on_from_what_was_read(tokenizer):
    assert fed(tokenizer, "PUMPKIN PIE")[0] == [tokenizer.eot, *tokenizer.encode("Pumpkin pie")]
    as_typed = [tokenizer.eot, *tokenizer.encode("PUMPKIN PIE")]
    assert fed(tokenizer, "PUMPKIN PIE", sampler=Sampler(real_words=False))[0] == as_typed


def test_a_title_in_capitals_steers_in_small_letters(tokenizer):
    ids, _ = fed(tokenizer, "Make", title="PUMPKIN PIE")
    assert ids == [tokenizer.eot, *tokenizer.encode("Pumpkin pie\n\nMake")]
    ids, run = fed(tokenizer, "PUMPKIN PIE\nMake", condition="PUMPKIN PIE\n")
    assert isinstance(run.model, GuidedModel)
    assert len(run._steering(ids)) == 1 + len(tokenizer.encode("Pumpkin pie\n"))


def test_a_long_prompt_in_capitals_is_read_quickly(tokenizer, monkeypatch):
    encoded, encode = [], tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda text: encoded.append(text) or encode(text))
    text = "THE MAKE PIE " * 1000
    assert as_read(text, tokenizer, holding(tokenizer, str.islower)).startswith("The make pie the make pie")
    assert len(encoded) < 20  # it took 15 seconds where each word was encoded on its own
