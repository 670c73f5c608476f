"""Docstrings and code blocks: a text that is written closes those that it opens, as the rows do."""

import numpy as np
import pytest
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.fences import END, FEWEST, STRENGTH, Fences, fence_lengths, tokens_with_one
from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe

ROW = 'def f():\n    """Return it."""\n    return \'\'\n'
SOME = {'"""': Lengths(4, 8)}


@pytest.fixture(scope="module")
def bpe():
    return train_bpe([ROW, "```sh\nls\n```\n"] * 20, 300)


def test_fences_of_rows_that_close_them():
    rows = [f'"""{"a" * i}""" ```one``` \'\'\'' for i in range(FEWEST)]
    assert fence_lengths(rows) == {'"""': (5, 10), "```": (3, 7)}
    assert fence_lengths(rows[1:]) == {}  # too few to tell
    assert '"""' not in fence_lengths(rows + ['"""a'] * 2)
    assert fence_lengths(["'''\n\"\"\"\n'''"] * FEWEST) == {"'''": (5, 9)}  # what is within one is none


def test_they_come_back_from_nanogpt_json(bpe):
    habits = measure_habits([ROW] * FEWEST, bpe)
    assert habits.fences == {'"""': (10, 14)} and read_habits(habits.as_json()) == habits
    assert read_habits({"fences": {"no": {"usual": 1, "rare": 9}}}) == Habits()


@pytest.mark.parametrize(
    ("pieces", "opened"),
    [
        (['"""', "a"], True),
        (['""', '"a'], True),
        (['"', '"', '"', '"', '"', '"'], False),
        (['"""One', ' line."""', "\n"], False),
        (['"""a""', '"', '"'], False),
        (['("""', "```", "'''"], True),
        (["```"], False),  # a kind that is not followed
        (['""', " ", '"'], False),
    ],
)
def test_what_is_within_a_fence(bpe, pieces, opened):
    fences, logits = Fences(bpe, SOME, ""), np.zeros(bpe.n_vocab, np.float32)
    for piece in pieces:
        fences.add(piece)
    assert penalised(fences, logits)[bpe.eot] == -END * opened and not logits.any()


def test_what_is_open_for_long_is_likelier_to_be_closed(bpe):
    marks = tokens_with_one(bpe, '"""')
    assert len(marks) and all(bpe.token_bytes(i).count(b'"""') == 1 for i in marks)
    fences, logits = Fences(bpe, SOME, 'def f():\n    """Return all'), np.zeros(bpe.n_vocab, np.float32)
    for piece, nats in (
        ("1234", 0),
        ('5"', STRENGTH / 2),
        ('"7', STRENGTH),
        ('8"', STRENGTH * 1.5),
    ):
        fences.add(piece)
        after = penalised(fences, logits)
        assert after[marks] == pytest.approx(nats) and after[bpe.eot] == -END
        assert after.sum() == pytest.approx(nats * len(marks) - END)
    fences.add('""')
    assert not penalised(fences, logits).any()
    assert len(penalised(Fences(bpe, SOME, '"""'), logits[:9])) == 9  # a model without an end


def test_a_text_keeps_to_them(tmp_path, bpe):
    folder = write_model(tmp_path / "model", bpe, meta={"corpus": Habits(fences=SOME).as_json()})
    opened = open_model(folder, "cpu")

    def within(**settings):
        """How many characters twelve texts have before they close it, if they do."""
        texts = (
            "".join(generate(opened.model, opened.tokenizer, 'x = """', max_tokens=60, sampler=sampler))
            for sampler in (Sampler(seed=seed, **settings) for seed in range(12))
        )
        return sum(len(text.partition('"""')[0]) for text in texts)

    assert within() < within(real_words=False) / 2
