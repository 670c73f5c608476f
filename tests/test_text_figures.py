"""The figures on a text that only benchmarks need."""

import sys
from pathlib import Path

import pytest

from llm_nanogpt.words import WordList

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from text_figures import (
    compressed_fraction,
    distinct_fraction,
    has_odd_capitals,
    has_odd_number,
    has_odd_quotes_in_line,
    longest_string,
    measure_numbers,
    ngram_distance,
    repeated_ngram_fraction,
)

NUMBERS = measure_numbers([f"It's row {i} of 12 kg, see page {i}." for i in range(200)])


def test_fractions_of_words():
    assert distinct_fraction("a b A c") == 3 / 4
    assert distinct_fraction("...") is None
    assert repeated_ngram_fraction("a b c d a b c d") == pytest.approx(1 / 5)
    assert repeated_ngram_fraction("a b c", n=1) == 0
    assert repeated_ngram_fraction("a b c") is None


def test_the_distance_of_two_texts_is_from_zero_to_one():
    assert ngram_distance(["a b", "c"], ["c a", "b"], 1) == pytest.approx(0)
    assert ngram_distance(["a b"], ["c d"], 1) == pytest.approx(1)
    assert ngram_distance(["a b"], ["b a"], 2) == pytest.approx(1)
    # Half of one side's words are the other side's only one: 1/2 (log2 4/3) + 1/4 (log2 2/3) + 1/4 log2 2.
    assert ngram_distance(["a"], ["a b"], 1) == pytest.approx(0.31128, abs=1e-5)
    assert ngram_distance([], ["a"], 1) == 1


def test_capitals_that_no_known_word_has_are_odd():
    known = WordList(["github", "GitHub", "the"], cased=True)
    assert not has_odd_capitals("The GitHub, GITHUB and github THE", known)
    assert has_odd_capitals("a gitHub", known) and has_odd_capitals("thE", known)
    known = WordList(["github", "GitHub", "the", "sql", "SQL"], cased=True, capitals=True)
    assert not has_odd_capitals("The SQL", known)
    assert has_odd_capitals("GITHUB", known) and has_odd_capitals("THE", known)


def test_what_goes_in_circles_compresses_better():
    circles = "Codes & Amazon Codes, Amazon Codes & Codes and " * 6
    assert (
        compressed_fraction(circles) < 0.3 < compressed_fraction("The quick brown fox jumps over a lazy dog")
    )


@pytest.mark.parametrize("text", ["row 1234 of 5", "row 3 apples", "see page  of 12 kg"])
def test_numbers_that_no_row_has(text):
    assert has_odd_number(text, NUMBERS)


@pytest.mark.parametrize("text", ["row 999 of 5", "  see page 7", "12 kg"])
def test_numbers_as_rows_have_them(text):
    assert not has_odd_number(text, NUMBERS)


def test_quotes_that_a_line_leaves_open():
    assert has_odd_quotes_in_line('a"\nb"') and not has_odd_quotes_in_line('a "b"\n"c"')


def test_the_longest_string_without_a_space():
    assert [longest_string(text) for text in ("", " ", "a bcd\nef")] == [0, 0, 3]
