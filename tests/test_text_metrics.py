"""How a text reads, in numbers."""

import pytest

from datasette_nanogpt.data.text_metrics import (
    has_echo,
    has_loop,
    open_brackets,
    real_word_fraction,
    surplus_brackets,
)


@pytest.mark.parametrize(
    "text",
    [
        "It begins. " + "the cat sat down " * 5,
        "the old cat sat down on a mat, " * 5,
        "and so " + "on and " * 10,
        "tags: " + '"--dogs", ' * 7,
        "2023" + "-06" * 7,
        "今日は" * 7,
        " ".join(["word" + str(i % 30) for i in range(150)]),
    ],
)
def test_a_text_that_repeats_itself_has_a_loop(text):
    assert has_loop(text)
    assert has_loop(text + " and then it ends")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "the cat sat down " * 4 + "and then it left",
        '"--dogs", ' * 4,
        "-" * 200,
        "| --- " * 1 + "|---" * 30 + "\n",
        "Good.......................... " + "=" * 80,
        "1000000000000 and aaaaaaaah",
        "A refrain, my love.\nOne verse is here.\nA refrain, my love.\nAnother verse.\nA refrain, my love.\n",
        "".join(chr(0x4E00 + i) for i in range(400)),
    ],
)
def test_real_text_has_no_loop(text):
    assert not has_loop(text)


def test_fractions_of_words_are_of_the_words_that_count():
    assert real_word_fraction("The cat, the dgo 2024 x86", {"the", "cat", "x86"}) == 4 / 5
    assert real_word_fraction("2024-01-01", {"the"}) is None
    assert real_word_fraction("the 1 2 3 4 5", {"the"}) == 1
    assert real_word_fraction("東京 SQLite", {"the"}) is None  # mostly in a script without words
    assert real_word_fraction("the SQLite of 東", {"the", "sqlite"}) == 2 / 3


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("0.0.0.0", True),
        ("ab ab ab ", True),
        ("-3-3-3", True),
        ("abab", False),
        ("------ *** ((((", False),
        ("0000000000", False),
        ("1.2.3.4.5", False),
        ("", False),
    ],
)
def test_a_word_said_again_at_once_is_an_echo(text, echo):
    assert has_echo(text) == echo


def test_brackets_that_are_not_closed_or_were_not_open():
    assert [open_brackets(text) for text in ("", "(a)", "((a)", "([{", "[[ (", ")(")] == [0, 0, 1, 1, 2, 1]
    assert [surplus_brackets(text) for text in ("", "(a)", "(a))", ")]}", "1) a\n2) b", "(]")] == [
        0,
        0,
        1,
        3,
        2,
        1,
    ]
