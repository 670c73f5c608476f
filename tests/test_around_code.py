"""Rewriting a text around its code."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasette_nanogpt.data.around_code import MARKDOWN_CODE, rewrite_around


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `a` a", "A `a` A"),
        ("a\n```\na\n```\na", "A\n```\na\n```\nA"),
        ("a\n~~~\na", "A\n~~~\na"),  # a fence that is not closed
        ("a", "A"),
        ("`a`", "`a`"),
        ("", ""),
        ("a\U000f0000\U000f0009\U000f0000`a`", "A\U000f0000\U000f0009\U000f0000`a`"),
    ],
)
def test_code_stays_as_it_is(text, expected):
    assert rewrite_around(MARKDOWN_CODE, text, str.upper) == expected


def test_signs_around_code_are_a_pair_and_code_does_not_end_a_line():
    assert (
        rewrite_around(MARKDOWN_CODE, "//see `//`//", lambda t: re.sub("//(.*?)//", r"\1", t)) == "see `//`"
    )
    alone = re.compile(r"^@\n", re.MULTILINE)
    assert rewrite_around(MARKDOWN_CODE, "`a`@\n@\nb", lambda t: alone.sub("", t)) == "`a`@\nb"


def test_code_goes_with_what_is_left_out():
    text = "(a `b`) c `d`"
    assert rewrite_around(MARKDOWN_CODE, text, lambda t: re.sub(r"\(.*?\)", "", t)) == " c `d`"


def test_code_is_kept_as_it_is_read():
    code = re.compile("<(.*?)>")
    assert rewrite_around(code, "a <a> a", str.upper, lambda found: found[1]) == "A a A"


@given(
    st.lists(st.sampled_from(["`", "```\n", "\n", "a", "~~~", "\U000f0000", "\U000f0001", "\U000f000a"])).map(
        "".join
    )
)
@example("\U000f000a\U000f0000`a`")
@example("\U000f0000\U000f0001`a`")
def test_a_text_that_is_not_rewritten_stays(text):
    assert rewrite_around(MARKDOWN_CODE, text, lambda t: t) == text
