"""What jars in a text, and whether it is more often there than in rows."""

import math

import numpy as np
import pytest

from datasette_nanogpt.data.text_faults import (
    chance_of_more,
    has_long_line,
    has_new_joined_word,
    has_odd_end,
    has_odd_quotes,
    has_open_fence,
    measure_usual,
    repeats_item,
)

ROWS = [f"It's row {i} of 12 kg.\nIt doesn't end in a number: see page {i}." for i in range(200)]
USUAL = measure_usual(ROWS)


def test_lines_are_too_long_beyond_those_of_rows():
    assert USUAL.line == len(ROWS[199].split("\n")[1]) + 8
    assert has_long_line("a\n" + "b" * (USUAL.line + 1), USUAL)
    assert not has_long_line("\n".join(["b" * USUAL.line] * 9), USUAL)
    assert not has_long_line("a" * 999, measure_usual([""]))


def test_words_with_apostrophes_that_no_row_has():
    assert has_new_joined_word("It's sudden't", USUAL)
    assert not has_new_joined_word("It\N{RIGHT SINGLE QUOTATION MARK}s, DOESN'T", USUAL)
    assert not has_new_joined_word("of's", measure_usual(ROWS, joined={"of's"}))


def test_ends_that_are_rare_in_rows():
    assert not has_odd_end("An end.\n", USUAL)
    assert has_odd_end("An end", USUAL) and has_odd_end("", USUAL)
    assert not has_odd_end("An end", measure_usual([*ROWS, *["a list"] * 9]))


def test_quotes_and_fences_that_are_left_open():
    assert has_odd_quotes('He said "no') and not has_odd_quotes('He said "no"')
    assert has_open_fence('"""Return') and has_open_fence("```one``` ```")
    assert not has_open_fence("'''\n\"\"\"\n'''")


@pytest.mark.parametrize("text", ["- salt, pepper, salt", "* one egg\n* One egg\n", "He left. He left. Then"])
def test_items_that_stand_again(text):
    assert repeats_item(text)


@pytest.mark.parametrize("text", ["salt, pepper, eggs, salt", "1, 2, 1, 2", "a; a", ""])
def test_items_that_do_not(text):
    assert not repeats_item(text)


def test_fishers_exact_test():
    """Of a tea lady's eight cups, and as a simulation has it."""
    assert chance_of_more(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert chance_of_more(0, 20, 3, 60) == pytest.approx(1)
    assert chance_of_more(3, 20, 0, 20) > 0.1 > chance_of_more(4, 20, 0, 58) * 20
    rng = np.random.default_rng(0)
    cards = np.arange(80) < 9
    drawn = np.array([rng.permutation(cards)[:20].sum() for _ in range(4000)])
    expected = chance_of_more(5, 20, 4, 60)
    spread = math.sqrt(expected * (1 - expected) / 4000)
    assert abs((drawn >= 5).mean() - expected) < 4 * spread
