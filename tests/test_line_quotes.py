"""Single quotes: a text that is written closes those it opens, where the rows do, and keeps apostrophes."""

import numpy as np
import pytest
from conftest import penalised, write_model

from llm_nanogpt.generate import generate
from llm_nanogpt.habits.lengths import Lengths
from llm_nanogpt.habits.line_quotes import (
    BACKTICK,
    FEWEST,
    SINGLE_QUOTE,
    STRENGTH,
    UNCLOSED,
    LineQuotes,
    closing_tokens,
    quoted,
    quoted_lengths,
)
from llm_nanogpt.habits.table_habits import Habits, measure_habits, read_habits
from llm_nanogpt.loading import open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.tokenizer_training import train_bpe

ROW = "open('a file', 'r') doesn't\nprint('done')\n"
SOME = Lengths(4, 8)


@pytest.fixture(scope="module")
def bpe():
    return train_bpe([ROW] * 20, 300)


@pytest.mark.parametrize(
    ("line", "lengths"),
    [
        ("open('a file', 'r')", [6, 1]),
        ("it doesn't, the dogs' bone", []),
        ("'don't' is one", [5]),
        ("x = 'unclosed", [None]),
        ("x = '' + 'a'", [1]),
        ("'tis true", [None]),
        (r"'it\'s'", [5]),
    ],
)
def test_what_stands_within_them(line, lengths):
    assert list(quoted(line, SINGLE_QUOTE)) == lengths


@pytest.mark.parametrize(
    ("line", "lengths"),
    [
        ("run `ls -l`, or `pwd`.", [5, 3]),
        ("a `left open, then `two` here", [20]),  # what opens within one closes nothing
        ("see `this", [None]),
        ("```sh", []),
        ("it's `'a'`", [3]),
    ],
)
def test_what_stands_within_backticks(line, lengths):
    assert list(quoted(line, BACKTICK)) == lengths


def test_backticks_of_a_text_are_closed_in_their_line(bpe):
    habits = measure_habits(["run `ls -l` and\n`pwd` now\n" * 2] * FEWEST, bpe)
    assert habits.backticks == (5, 9) and not habits.single_quotes and read_habits(habits.as_json()) == habits
    quotes, logits = LineQuotes(bpe, BACKTICK, habits.backticks, "use `ls"), np.zeros(bpe.n_vocab, np.float32)
    (line_break,) = bpe.encode("\n")
    assert penalised(quotes, logits)[line_break] == -UNCLOSED
    quotes.add("` now")
    assert not penalised(quotes, logits).any()


def test_rows_that_close_them_and_rows_that_do_not(bpe):
    assert quoted_lengths([ROW] * FEWEST, SINGLE_QUOTE) == (6, 10)
    assert quoted_lengths([ROW] * (FEWEST // 4), SINGLE_QUOTE) is None  # too few
    assert quoted_lengths([ROW] * FEWEST + ["'Tis true"] * FEWEST, SINGLE_QUOTE) is None
    habits = measure_habits([ROW] * FEWEST, bpe)
    assert habits.single_quotes == (6, 10) and read_habits(habits.as_json()) == habits


@pytest.mark.parametrize(
    ("pieces", "is_open"),
    [
        (["open('", "a"], True),
        (["open('a", "'"], False),
        (["doesn", "'", "t"], False),
        (["('don", "'", "t"], True),
        (["('don", "'"], False),
        (["('a\n", "b"], False),
        (["(", "'", "a"], True),
        (["x = '", "'"], False),
    ],
)
def test_which_are_open(bpe, pieces, is_open):
    for n in range(len(pieces)):  # a prompt and what comes after it are one text
        quotes = LineQuotes(bpe, SINGLE_QUOTE, SOME, "".join(pieces[:n]))
        for piece in pieces[n:]:
            quotes.add(piece)
        logits = np.zeros(bpe.n_vocab, np.float32)
        assert penalised(quotes, logits).any() == is_open
        assert not logits.any()


def test_what_leaves_one_open_loses_and_what_closes_it_gains(bpe):
    quotes, logits = LineQuotes(bpe, SINGLE_QUOTE, SOME, "x = 'ab"), np.zeros(bpe.n_vocab, np.float32)
    changed = penalised(quotes, logits)
    closing = closing_tokens(bpe, SINGLE_QUOTE)
    assert {bpe.token_bytes(i) for i in closing} >= {b"'", b"')\n"}  # the latter closes it and ends the line
    ends = {*bpe.line_breaks.tolist(), bpe.eot} - {*closing.tolist()}
    assert set(np.flatnonzero(changed).tolist()) == ends and (changed[list(ends)] == -UNCLOSED).all()
    quotes.add("cdefgh")
    assert not [i for i in closing if bpe.token_bytes(i).startswith(b"'t")]
    assert (penalised(quotes, logits)[closing] == STRENGTH).all()


def test_texts_of_a_model_close_them(tmp_path, bpe):
    opened = open_model(write_model(tmp_path / "m", bpe, block_size=64), "cpu")

    def left_open(habits):
        opened.tokenizer.habits = habits
        texts = (
            "x = 'a"
            + "".join(
                generate(opened.model, opened.tokenizer, "x = 'a", max_tokens=40, sampler=Sampler(seed=i))
            )
            for i in range(15)
        )
        return sum(None in quoted(line, SINGLE_QUOTE) for text in texts for line in text.split("\n"))

    assert left_open(Habits(single_quotes=SOME)) < left_open(Habits()) / 2
