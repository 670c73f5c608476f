"""Pages, paragraphs and the like are proposed as the whole that they are parts of, in their order."""

import random
import shlex

import pytest
from test_conversation_hints import told, words, written

from datasette_nanogpt.data.conversation_hints import groups
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection

BOOKS = ["Emma", "Walden", "Ivan", "Dracula", "Silas"]


def pages():
    return [(i, BOOKS[i // 50], 1 + i % 50, words(i, 90)) for i in range(250)]


def paragraphs():
    places = [(b, c, p) for b in range(12) for c in range(1, 7) for p in range(1, 8)]
    return [(100 + b, c, p, words(i, 60)) for i, (b, c, p) in enumerate(places)]


def shuffled(rows):
    random.Random(5).shuffle(rows)
    return rows


PARAGRAPHS = ["--group-by", "book_id || ' ' || chapter", "--order-by", "paragraph_no"]


@pytest.mark.parametrize(
    ("columns", "rows", "options"),
    [
        (
            "id integer primary key, book, page integer, text",
            pages(),
            ["--group-by", "book", "--order-by", "page", "--title", "book"],
        ),
        (
            "id integer primary key, book, page integer, text",
            shuffled(pages()),
            ["--group-by", "book", "--order-by", "page", "--title", "book"],
        ),
        ("book_id int, chapter int, paragraph_no int, text", paragraphs(), PARAGRAPHS),
        ("book_id int, chapter int, paragraph_no int, text", shuffled(paragraphs()), PARAGRAPHS),
        # What OCR makes of a folder of PDFs.
        (
            "path, folder, page int, text",
            [(f"scans/{i // 9}.pdf", "scans", i % 9 + 1, words(i, 90)) for i in range(180)],
            ["--group-by", "path", "--order-by", "page"],
        ),
        # The name of a story is that of no person.
        (
            "story_name text, section int, content text, cor_section text",
            [
                (f"{words(i // 6, 4).replace(' ', '-')}-story", 1 + i % 6, words(i, 90), str(1 + i % 6))
                for i in range(150)
            ],
            ["--group-by", "story_name", "--order-by", "section", "--title", "story_name"],
        ),
        # One book alone.
        (
            "chapter int, paragraph int, text",
            [(1 + i // 12, 1 + i % 12, words(i, 60)) for i in range(180)],
            ["--group-by", "chapter", "--order-by", "paragraph"],
        ),
        # Pieces of files, as programs that search by meaning cut them.
        (
            "chunk_id text primary key, doc_id text, chunk_index int, author, content",
            [(f"{i:032x}", f"{i // 6:032x}", i % 6, "Ada", words(i, 90)) for i in range(1000, 1180)],
            ["--group-by", "doc_id", "--order-by", "chunk_index"],
        ),
    ],
)
def test_parts_of_a_whole(tmp_path, columns, rows, options):
    found = told(tmp_path, columns, rows)
    assert shlex.split(found[0]) == options
    group_by, order_by = shlex.split(found[0])[1:4:2]
    texts = list(
        open_source(str(tmp_path / "t.db"), "t", Selection(group_by=group_by, order_by=order_by)).documents()
    )
    assert len(texts) < len(rows) / 5


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        # Chapters with titles of their own.
        (
            "book, chapter int, title, text",
            lambda i: (BOOKS[i // 50], i % 50, words(i, 4), words(i + 500, 90)),
        ),
        # Several articles on the page of a newspaper.
        ("issue, page int, text", lambda i: (f"No. {i // 20}", i % 20 // 3, words(i, 90))),
        # One book, a page a row, is one text.
        ("id integer primary key, scanner, page int, text", lambda i: (i, "AB"[i % 2], i + 1, words(i, 90))),
        # A count.
        ("id integer primary key, shelf, page_count int, text", lambda i: (i, "AB"[i % 2], i, words(i, 90))),
    ],
)
def test_other_rows_are_not_put_together(tmp_path, columns, row):
    assert told(tmp_path, columns, [row(i) for i in range(250)]) == []


@pytest.mark.parametrize(
    ("columns", "rows", "by", "order"),
    [
        (
            "id integer primary key, book, page int, text",
            [(None, *row[1:]) for row in shuffled(pages())],
            "book",
            "page",
        ),
        (
            "id integer primary key, book int, chapter int, paragraph int, text",
            [(None, *row) for row in shuffled(paragraphs())],
            "book || ' ' || chapter",
            "paragraph",
        ),
        (
            "id integer primary key, chat int, sent, text",
            [(None, i % 9, f"2024-01-{1 + i * 7 % 28:02}", words(i, 8)) for i in range(150)],
            "chat",
            "sent",
        ),
        # The table is in the order of its rows.
        ("id integer primary key, book, page int, text", pages(), "book", ""),
        ("id integer primary key, chat int, text", [(i, i % 9, words(i, 8)) for i in range(150)], "chat", ""),
    ],
)
def test_the_order_of_a_group_is_told(tmp_path, columns, rows, by, order):
    """Where somebody typed --group-by alone, and the rows are not in the order that they have."""
    path = written(tmp_path, columns, rows)
    expected = f"To have the rows of each text in their order: --order-by {order}"
    for given in (None, order or "id"):
        remarks = groups(open_source(path, "t", Selection(group_by=by, order_by=given)))
        in_order = [remark for remark in remarks if "in their order" in remark]
        assert in_order == ([expected] if order and not given else [])


def test_the_lines_of_plays(tmp_path):
    """Each line has the number of its act, scene and line, which other plays have as well."""
    rows = [
        (i, BOOKS[i // 80], 1 + i % 80 // 4, f"1.{1 + i % 80 // 40}.{1 + i % 40}", "EMMA", words(i, 7))
        for i in range(400)
    ]
    columns = "Dataline integer primary key, Play, PlayerLinenumber int, ActSceneLine, Player, PlayerLine"
    assert told(tmp_path, columns, rows)[0] == "--group-by Play --title Play"


def test_threads_of_a_program_are_no_conversations(tmp_path):
    levels = ["INFO", "WARN", "ERROR"]
    rows = [
        (i, f"2024-01-01T10:{i // 60:02}:{i % 60:02}", levels[i % 3], 1 + i % 8, words(i, 6))
        for i in range(300)
    ]
    columns = "id integer primary key, ts, level, thread_id int, message"
    assert told(tmp_path, columns, rows) == []
