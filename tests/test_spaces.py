"""A text has several spaces in a row only where the rows of its table do."""

import numpy as np
import pytest
from conftest import penalised, tiny_config

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.spaces import FEWEST, ONE_OF, STRENGTH, Spaces, has_space_runs, tokens_with_spaces
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe

SINGLE = "    ana: hi there" + " and so" * ONE_OF


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (SINGLE, False),
        (SINGLE + "\n     indented", False),
        (SINGLE + "  twice", False),  # hardly
        (SINGLE + "  twice and   again  and  again", True),
        ("once " * (FEWEST - 1), True),  # too little to tell
    ],
)
def test_rows_have_runs_of_spaces_or_not(text, has):
    assert has_space_runs([text]) == has


def test_it_comes_back_from_nanogpt_json(bpe):
    habits = measure_habits([SINGLE], bpe)
    assert not habits.space_runs and read_habits(habits.as_json()) == habits
    assert read_habits({}).space_runs  # an older model


@pytest.mark.parametrize(
    ("prompt", "texts", "held_back"),
    [
        ("ana:", [], "two"),
        ("ana: ", [], "one"),
        ("ana:", [" "], "one"),
        ("ana:", [" ", "", ""], "one"),  # a character that is not whole
        ("ana:", [" ", "\N{GRINNING FACE}"], "two"),
        ("ana: hi\n", [], "none"),
        ("ana: hi", ["\n", "  "], "none"),  # an indented line
        ("ana: hi", ["\n", "  ", "x", " "], "one"),
        ("ana: hi", ["\nbob: "], "one"),
        ("", [], "none"),
    ],
)
def test_a_second_space_within_a_line_is_less_likely(bpe, prompt, texts, held_back):
    spaces, logits = Spaces(bpe, prompt), np.zeros(bpe.n_vocab, np.float32)
    for text in texts:
        spaces.add(text)
    one, two = tokens_with_spaces(bpe)
    changed = penalised(spaces, logits)
    some = {"one": one, "two": two, "none": one[:0]}[held_back]
    assert (changed[some] == -STRENGTH).all() and changed.sum() == -STRENGTH * len(some)


class SpacesOften:
    """A model that thinks a space alone, and then a word with its space, likelier than all else."""

    device = "cpu"

    def __init__(self, tokenizer):
        self.config = tiny_config(vocab_size=tokenizer.n_vocab)
        self.odds = np.zeros(tokenizer.n_vocab, np.float32)
        self.odds[tokens_with_spaces(tokenizer)[0]] = 2

    def new_cache(self):
        return None

    def logits(self, ids, cache, past):
        return self.odds


@pytest.mark.parametrize("space_runs", [True, False])
def test_texts_have_double_spaces_only_where_rows_have(space_runs):
    tokenizer = train_bpe([SINGLE, *"0123456789"], 280)
    tokenizer.habits = Habits(space_runs=space_runs)
    sampler = Sampler(seed=1, dry_multiplier=0)
    text = "".join(generate(SpacesOften(tokenizer), tokenizer, "so", max_tokens=200, sampler=sampler))
    assert ("  " in text) == space_runs and " " in text
