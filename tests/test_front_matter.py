"""Front matter: its title is kept, and the rest of it is not text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.front_matter import split_front_matter


@pytest.mark.parametrize(
    ("block", "title"),
    [
        ("---\ntitle: A walk\ndate: 2020-01-01\n---\n", "A walk"),
        (
            '---\nlayout: post\ntitle: "Why: \\"this\\" works"\ntags:\n  - a\n  - b\n---\n',
            'Why: "this" works',
        ),
        ("---\ntitle: 'It''s me'\n# a comment\n---\n", "It's me"),
        ("---\ntitle: >-\n  A long\n  title\nauthor: {name: x}\n...\n", "A long title"),
        ("---\ntitle: Plain # with a comment\n---\n", "Plain"),
        ("---\r\ntitle: Windows\r\n---\r\n", "Windows"),
        ("\ufeff---\ntitle: शीर्षक\n---\n", "शीर्षक"),
        ('+++\ntitle = "Hugo"\ndate = 2020-01-01\n[extra]\nx = 1\n+++\n', "Hugo"),
        ("---\ndate: 2020-01-01\ntags: [a, b]\n---\n", None),
        ("---\ntitle:\n---\n", None),
        ("---\nsummary: |\n  One: line.\n\n  Another.\ntitle: Below\n---\n", "Below"),
    ],
)
def test_front_matter_gives_its_title_and_goes(block, title):
    assert split_front_matter(block + "\nThe text.\n\n---\n\nMore.") == (title, "\nThe text.\n\n---\n\nMore.")


@pytest.mark.parametrize(
    ("block", "title"),
    [
        ("Title: A walk\nDate: 2020-01-02 10:20\nTags: a, b\n\n", "A walk"),
        ("date: 2020-01-02\ntitle: A: walk\nsummary: One\n  and two\n\n", "A: walk"),
        ("title:: A walk\ntags:: a, b\n\n", "A walk"),
        (".. title: A walk\n.. slug: a-walk\n.. type: text\n\n", "A walk"),
        ("#+TITLE: A walk\n#+filetags: :a:b:\n\n", "A walk"),
        (":PROPERTIES:\n:ID:       8f14e45f\n:END:\n#+title: A walk\n", "A walk"),
        (":PROPERTIES:\n:ID: 8f14e45f\n:END:\n", None),
        ("= A walk\nAnn Lee <a@example.org>\n:toc: left\n:!numbered:\n\n", "A walk"),
        ('{\n  "title": "A \\"walk\\"",\n  "tags": ["a", {"b": 1}]\n}\n\n', 'A "walk"'),
        ('{"date": "2020-01-02", "draft": false}\n', None),
    ],
)
def test_keys_above_the_text_give_its_title_and_go(block, title):
    assert split_front_matter(block + "* The text.\n\nMore: so.") == (title, "* The text.\n\nMore: so.")


@pytest.mark.parametrize(
    "text",
    [
        "Title: A walk\n\nThe text.",
        "Title: A walk\nSummary: what we saw\n\nThe text.",
        "Dear Ann,\nDate: we should set one.\n\nThe text.",
        "Title: A walk\nDate: today\nNot a key, and no blank line.",
        "Status: open\nTags: none\n\nThe text.",
        "= A walk\n\nThe text.",
        ".. image:: a.png\n.. note: x\n\nThe text.",
        ":smile: and so on",
        '{"title": "A walk"}',
        '{"title": "A walk"}, they wrote.',
        '{"x": 1}\n\nThe text.',
        '{"title": "A walk",\n\nThe text.',
        "{title}\n\nThe text.",
        "#+begin_quote\nSo.\n#+end_quote",
    ],
)
def test_lines_like_keys_are_no_front_matter(text):
    assert split_front_matter(text) == (None, text)


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nProse between two rules.\n\n---\n\nmore",
        "---\nWell, he said: no.\n---\n",
        "A title\n---\nkey: value\n---\n",
        "---\ntitle: never closed\n",
        "+++\nplus plus plus\n+++\n",
        "---",
        "---\n---\ntext",
    ],
)
def test_rules_are_no_front_matter(text):
    assert split_front_matter(text) == (None, text)


@given(st.text())
def test_nothing_below_the_block_is_lost(text):
    assert (
        split_front_matter("---\ntitle: x\n---\n" + text)[1] == text.replace("\r\n", "\n")
        or "\r\n" not in text
    )


@given(st.text(st.sampled_from("-+\n:= ab")))
def test_splitting_any_text_leaves_its_end_as_it_is(text):
    _, rest = split_front_matter(text)
    assert text.replace("\r\n", "\n").endswith(rest)
