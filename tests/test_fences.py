"""Docstrings and code blocks: a text that is written closes those that it opens, as the rows do."""

import numpy as np
import pytest
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.fences import END, FEWEST, STRENGTH, Fences, fence_lengths, tokens_with_one
from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.line_fences import NEVER, LineFences, line_fences, tokens_within_line
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


CODE = "Run:\n\n> ```sh\n> ls\n  ```\n"


def test_kinds_of_fences_that_stand_at_the_start_of_a_line_alone(bpe):
    assert line_fences([CODE] * 20) == ("```",) and line_fences([CODE] * 19) == ()
    assert line_fences([CODE] * 20 + ["see ```"]) == ("```",)
    assert line_fences([CODE] * 20 + ["see ```"] * 2) == line_fences([CODE] * 20 + ["```a```"] * 2) == ()
    assert line_fences([ROW] * 100) == ()
    habits = measure_habits([CODE] * 20, bpe)
    assert habits.line_fences == ("```",) and read_habits(habits.as_json()) == habits
    assert read_habits({"line_fences": ["```", "x"]}) == Habits(line_fences=("```",))


@pytest.mark.parametrize(
    ("prompt", "pieces", "begun"),
    [
        ("", [""], False),
        ("", ["a"], True),
        ("a", [""], True),
        ("a\n", [" ", "\t", "> "], False),
        ("a", ["\n", "", "b", " "], True),
        ("", ["a", "b\n"], False),
    ],
)
def test_no_fence_within_a_line(bpe, prompt, pieces, begun):
    follower = LineFences(bpe, ("```",), prompt)
    for piece in pieces:
        follower.add(piece)
    changed = penalised(follower, np.zeros(bpe.n_vocab, np.float32))
    (fence,) = bpe.encode("```")
    assert changed[fence] == -NEVER * begun and (changed[bpe.encode("\n")] == 0).all()
    assert fence not in tokens_within_line(bpe, ("```",), False)


def test_a_token_may_have_a_line_break_before_its_fence():
    tokenizer = train_bpe(["x;```\ny:\n```"] * 50, 300)
    pieces = {tokenizer.token_bytes(i).decode("utf-8", "ignore"): i for i in range(tokenizer.n_vocab)}
    for begun in (False, True):
        within = tokens_within_line(tokenizer, ("```",), begun).tolist()
        assert {p for p, i in pieces.items() if "```" in p and i in within} == {
            p for p in pieces if "```" in p and (begun or p[0] != "`") and p[0] != "\n"
        }


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
