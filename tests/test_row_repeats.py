"""What rows repeat themselves, DRY lets pass."""

import numpy as np
import pytest
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.row_repeats import FEWEST, TOKENS, common_repeat, doubles_words, repeat_lengths
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.repetition import LONGEST_MATCH, Repetition, default_allowed_length
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe, train_char

# Rows of two sentences that come back with other numbers, and rows of words in no order.
STEP = "Roast it in the oven at {} degrees for {} minutes."
FORMULAIC = [f"{STEP.format(i + 150, i % 50)} Serve. {STEP.format(i + 90, i % 7)}" for i in range(200)]
WORDS = "one tree stands by a small house and the old river runs under many bridges to reach open sea"
PROSE = [" ".join(np.random.default_rng(i).permutation(WORDS.split())) for i in range(200)]


def test_lengths_of_repetitions():
    assert [*repeat_lengths([1, 2, 3, 1, 2, 3, 4, 2, 3])] == [0, 0, 0, 0, 1, 2, 0, 0, 1]
    assert [*repeat_lengths([5] * 5)] == [0, 0, 1, 2, 3]
    assert [*repeat_lengths([])] == []


@pytest.mark.parametrize("seed", range(10))
def test_they_are_what_dry_would_penalise(seed):
    """Each token of a text, if DRY lets one token pass: the power of its penalty."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 3, size=40).tolist()
    repetition = Repetition(Sampler(dry_multiplier=1, dry_base=1.01), 1, np.array([], dtype=np.intp), [])
    for token, length in zip(ids, repeat_lengths(ids), strict=True):
        penalty = -penalised(repetition, np.zeros(3))[token]
        assert penalty == pytest.approx(1.01 ** (length - 1) if length else 0)
        repetition.add(token)


@pytest.mark.parametrize("train", [train_char, lambda texts: train_bpe(texts, 512)])
def test_what_is_common_in_rows(train):
    tokenizer = train(FORMULAIC + PROSE)
    repeat = common_repeat(FORMULAIC, tokenizer)
    assert repeat and default_allowed_length(tokenizer.is_char) < repeat <= LONGEST_MATCH
    assert common_repeat(PROSE, tokenizer) is None
    few = FEWEST // len(tokenizer.encode(FORMULAIC[-1])) - 1
    assert common_repeat(FORMULAIC[-few:], tokenizer) is None


def test_words_that_stand_twice_running():
    tokenizer = train_bpe(FORMULAIC + PROSE, 512)
    doubled = [text.replace("tree", "tree tree") for text in PROSE]
    assert doubles_words(doubled, tokenizer) and doubles_words(doubled[:1] * 3 + PROSE[:150], tokenizer)
    assert not doubles_words(PROSE, tokenizer) and not doubles_words(FORMULAIC, tokenizer)
    assert doubles_words(PROSE[:9], tokenizer)  # too little to tell
    habits = measure_habits(PROSE, tokenizer)
    assert not habits.doubles_words and read_habits(habits.as_json()) == habits
    assert read_habits({}).doubles_words  # an older model
    spaceless = ["爸爸妈妈看看天天" * 20] * 200
    assert not train_bpe(spaceless, 300).begin_words.any()


def test_a_head_that_repeats_itself_is_not_enough():
    """What stands after it must do so, too."""
    tokenizer = train_bpe(FORMULAIC + PROSE, 512)
    heads = [" ".join(FORMULAIC[i : i + 4]) for i in range(100)]
    assert all(len(tokenizer.encode(head)) >= TOKENS for head in heads)
    assert common_repeat(heads, tokenizer)
    articles = [head + "\n" + "\n".join(PROSE[i : i + 20]) for i, head in enumerate(heads)]
    assert common_repeat(articles, tokenizer) is None


def test_a_model_repeats_what_its_rows_do(tmp_path, bpe):
    """But for an explicit option, and where nothing is known of the rows."""
    corpora = {"unknown": {}, "prose": {"repeat_length": None}, "formulaic": {"repeat_length": 9}}
    allowed, numbers = {}, {}
    for name, corpus in corpora.items():
        opened = open_model(write_model(tmp_path / name, bpe, meta={"corpus": corpus}))
        for given in (None, 5):
            run = generate(opened.model, opened.tokenizer, "", sampler=Sampler(dry_allowed_length=given))
            repetition = run._repetition([])
            allowed[name, given], numbers[name] = repetition._allowed, len(repetition._numbers)
    assert {name: allowed[name, None] for name in corpora} == {"unknown": 3, "prose": 3, "formulaic": 9}
    assert {allowed[name, 5] for name in corpora} == {5}
    # How many tokens count as the same number.
    assert numbers["unknown"] == numbers["prose"] > 0 == numbers["formulaic"]
    assert read_habits(Habits(repeat=7).as_json()).repeat == 7
