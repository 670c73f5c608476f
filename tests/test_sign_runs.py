"""A text that is written has no longer runs of numbers and signs than the rows of its table."""

import numpy as np
import pytest
from conftest import penalised, tiny_config, write_model
from hypothesis import given
from hypothesis import strategies as st

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.lengths import Lengths, read_lengths
from llm_nanogpt.habits.sign_runs import SignRun, is_sign, run_lengths, split_at_words
from llm_nanogpt.habits.table_habits import Habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe

ROWS = [f"the boat left the harbour at {i} and 12-{i:03d}-99 came back, 1/2/3 of them\n" for i in range(300)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(ROWS, 300)


@pytest.mark.parametrize(
    ("text", "sign"),
    [("12", True), (" - ", True), ("a", True), (" I", True), ("\n", True), ("of", False), ("港", False)]
    + [("2nd", False), ("\N{REPLACEMENT CHARACTER}", False), ("", False)],
)
def test_letters_that_stand_alone_are_signs_and_words_are_not(text, sign):
    assert is_sign(text) == sign


@given(
    st.lists(st.sampled_from(["the", " ", "a", "1", "-", "b", "\n", "港", ", ", "x", "é", "ab"]), max_size=30)
)
def test_the_run_of_a_text_in_pieces_is_that_of_the_whole(tokenizer, pieces):
    run = SignRun(tokenizer.signs, tokenizer.begins_with_letter, Lengths(4, 8))
    for piece in pieces:
        run.add(piece)
    assert run._length == len(split_at_words("".join(pieces))[-1])


def test_lengths_of_rows():
    lengths = run_lengths(["word" + " 1" * (i % 10) + " word" for i in range(1000)])
    assert lengths == Lengths(19, 23)
    assert run_lengths(["", "1 2 3", "-"]) is None
    assert read_lengths({"usual": 5, "rare": 5}) == Lengths(5, 9)
    assert read_lengths(None) is None


def test_what_lengthens_a_run_becomes_less_likely(tokenizer):
    run = SignRun(tokenizer.signs, tokenizer.begins_with_letter, Lengths(4, 8))
    logits = np.zeros(tokenizer.n_vocab, np.float32)
    for piece, penalty in (
        ("1234", 0),
        ("5", 0.5),
        ("-", 1),
        ("1234567", 4.5),
        (" the", 0),
        (" 12345a", 1.5),
    ):
        run.add(piece)
        changed = penalised(run, logits)
        assert -changed.min() == pytest.approx(penalty) and not logits.any()
        if penalty:
            the, one, a = (tokenizer.encode(text)[0] for text in (" the", "1", "a"))
            assert changed[the] == changed[tokenizer.eot] == 0 and changed[one] == -penalty
            # A letter after a letter makes a word.
            assert changed[a] == (0 if piece.endswith("a") else -penalty)


class SignsOnly:
    """A model that thinks numbers and signs 20 times as likely as words, wherever it is."""

    device = "cpu"

    def __init__(self, tokenizer):
        self.config = tiny_config(vocab_size=tokenizer.n_vocab)
        self.odds = np.where(tokenizer.signs, 3.0, 0.0).astype(np.float32)

    def new_cache(self):
        return None

    def logits(self, ids, cache, past):
        return self.odds


def test_runs_of_a_model_end(tokenizer):
    def longest(**settings):
        model = SignsOnly(tokenizer)
        texts = (
            generate(
                model,
                tokenizer,
                "the",
                max_tokens=200,
                sampler=Sampler(top_p=1, seed=i, dry_multiplier=0, **settings),
            )
            for i in range(4)
        )
        return max(len(run) for text in texts for run in split_at_words("".join(text)))

    tokenizer.habits = Habits()
    assert longest() > 30
    tokenizer.habits = Habits(Lengths(6, 10))
    assert longest() < 20
    assert longest(real_words=False) > 30  # as the model has it


def test_a_run_of_training_knows_its_lengths(tmp_path, tokenizer):
    known = {"corpus": {"run_lengths": {"usual": 6, "rare": 12}}}
    assert open_model(write_model(tmp_path / "new", tokenizer, meta=known)).tokenizer.habits.runs == (6, 12)
    assert open_model(write_model(tmp_path / "old", tokenizer)).tokenizer.habits.runs is None


def test_a_prompt_of_numbers_goes_on(tokenizer):
    run = SignRun(tokenizer.signs, tokenizer.begins_with_letter, Lengths(4, 8))  # the prompt is not added
    assert not penalised(run, np.zeros(tokenizer.n_vocab, np.float32)).any()
