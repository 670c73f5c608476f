"""Rows that answer other rows of their table are told, with what reads each with its answers below it."""

import shlex

import pytest
from test_conversation_hints import words, written

from datasette_nanogpt.data.answers import answers
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand


def says(i, count=60):
    return words(i, count)


def told(tmp_path, columns, rows, table="t"):
    path = written(tmp_path, columns, rows, table)
    return path, list(answers(open_source(path, table), TrainCommand(path, (), (table,))))


def options_of(remark):
    words = shlex.split(remark.rpartition(": ")[2])
    words = words[next(i for i, word in enumerate(words) if word.startswith("--")) :]
    return {word[2:].replace("-", "_"): value for word, value in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize("none", [None, 0, ""])
def test_questions_and_their_answers(tmp_path, none):
    """As in a dump of Stack Exchange; the answers may stand first, and may be older."""
    rows = [
        (
            i,
            none if i % 4 == 3 else i // 4 * 4 + 3,
            f"How {says(i, 5)}?" if i % 4 == 3 else None,
            f"2024-{99 - i}",
            says(i),
        )
        for i in range(80)
    ]
    path, (remark,) = told(tmp_path, "Id integer primary key, ParentId int, Title, CreationDate, Body", rows)
    assert remark.startswith(
        "Rows answer other rows of t (ParentId). Those that do not have the titles (Title). "
    )
    documents = list(open_source(path, "t", Selection(**options_of(remark))).documents())
    assert len(documents) == 20
    lines = "\n".join(says(i) for i in (3, 2, 1, 0))
    assert f"How {says(3, 5)}?\n\n{lines}" in documents


def test_comments_on_comments(tmp_path):
    """As on Hacker News: a comment answers a story, or another comment, of which some are not there."""
    rows = []
    for i in range(120):
        parent = None if i % 6 == 0 else i - 1 if i % 6 < 3 else i - i % 6
        title = f"The {says(i, 4)}" if parent is None else None
        rows.append((1000 + i, 1000 + parent if parent is not None else None, title, 1600000000 + i, says(i)))
    path, (remark,) = told(tmp_path, "id integer primary key, parent int, title, time int, text", rows)
    documents = list(open_source(path, "query", Selection(**options_of(remark))).documents())
    assert len(documents) == 20
    expected = "\n".join(says(i) for i in range(6))
    assert f"The {says(0, 4)}\n\n{expected}" in documents


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        # Pages below pages have titles of their own, as have tasks.
        (
            "id integer primary key, parent_id int, title, body",
            lambda i: (i, i // 4 or None, says(i, 4), says(i)),
        ),
        # Folders of bookmarks, and what is in them.
        ("id integer primary key, parent int, label", lambda i: (i, i // 9, says(i, 9))),
        # What is answered is not in the table.
        (
            "id integer primary key, in_reply_to_id int, body",
            lambda i: (i, 10**6 + i if i % 2 else None, says(i)),
        ),
        # Hardly any row answers another one.
        ("id integer primary key, parent_id int, body", lambda i: (i, 1 if i == 40 else None, says(i))),
    ],
)
def test_other_rows_are_no_answers(tmp_path, columns, row):
    assert told(tmp_path, columns, [row(i) for i in range(80)])[1] == []


def test_replies_without_titles(tmp_path):
    """As in an archive of posts, with threads of one's own."""
    rows = [
        (100 + i, 99 + i if i % 5 else None, f"2024-05-01 {i // 10:02}:{i % 10}0", says(i))
        for i in range(100)
    ]
    columns = "id integer primary key, in_reply_to_id int, created_at, content"
    path, (remark,) = told(tmp_path, columns, rows)
    documents = list(open_source(path, "query", Selection(**options_of(remark))).documents())
    assert len(documents) == 20 and "\n".join(says(i) for i in range(5)) in documents
