"""Tables in which each row is a line, and blank rows part the paragraphs, are told with a query."""

import shlex
import sqlite3
import textwrap

import pytest
from odd_tables import Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection


def lines(width=60):
    """Lines of four books, of ten paragraphs each."""
    for book in range(4):
        for paragraph in range(10):
            for line in textwrap.wrap(Writer(10 * book + paragraph).paragraph(5), width):
                yield book, line
            yield book, ""


def remarks(tmp_path, columns, rows):
    path = str(tmp_path / "books.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table lines ({columns})")
        db.executemany(f"insert into lines values ({', '.join('?' * len(rows[0]))})", rows)
    db.close()
    told = preview(open_corpus(path, ["lines"])).tables[0].remarks
    return [remark for remark in told if "--group-by" in remark or "Rows are lines" in remark]


@pytest.mark.parametrize("numbered", [True, False])
def test_lines_of_books(tmp_path, numbered):
    rows = [(f"b{book}", n, line) for n, (book, line) in enumerate(lines())]
    columns = "gutenberg_id, line_number int, text"
    if not numbered:
        rows, columns = [(book, line) for book, _, line in rows], "gutenberg_id, text"
    (told,) = remarks(tmp_path, columns, rows)
    sql, body = (shlex.split(told.partition(": ")[2])[i] for i in (4, 6))
    (source,) = open_corpus(str(tmp_path / "books.db"), [], Selection(sql=sql, body=(body,))).sources
    documents = list(source.documents())
    assert documents[1] == "\n\n".join(Writer(10 + i).paragraph(5) for i in range(10))


def test_messages_of_which_some_are_pictures_are_no_lines(tmp_path):
    rows = [(i // 40, i % 2, "" if i % 9 == 0 else Writer(i).sentence()) for i in range(160)]
    assert not any(
        "Rows are lines" in told for told in remarks(tmp_path, "chat int, from_me int, text", rows)
    )
