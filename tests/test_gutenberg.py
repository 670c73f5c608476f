"""Books of Project Gutenberg are read without what stands before and after them."""

import shlex
import sqlite3

import pytest
from odd_tables import Writer

from datasette_nanogpt.data.front_matter import split_front_matter
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection

HEADER = """\ufeffThe Project Gutenberg eBook of {title}

This ebook is for the use of anyone anywhere at no cost and with almost no restrictions whatsoever.

Title: {title}
       A Tale
Author: Ada Lee

"""
LICENCE = "Updated editions will replace the previous one.\n\n" + "\n\n".join(
    f"1.{i}. Project Gutenberg is a trademark, {Writer(i).sentence()}" for i in range(20)
)
STARTS = [
    "*** START OF THE PROJECT GUTENBERG EBOOK THE OLD MILL ***",
    "***START OF THE PROJECT GUTENBERG EBOOK THE OLD MILL***",
    "*** START OF THIS PROJECT GUTENBERG EBOOK THE OLD MILL,\nA TALE ***\n\nProduced by Ben and\nCara",
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
]
ENDS = [
    "*** END OF THE PROJECT GUTENBERG EBOOK THE OLD MILL ***",
    "End of Project Gutenberg's The Old Mill, by Ada",
]


def book(i, start=STARTS[0], end=ENDS[0]):
    text = f"CHAPTER I.\n\n{Writer(i).text()}"
    return text, HEADER.format(title=f"The Old Mill {i}") + f"{start}\n\n\n{text}\n\n\n{end}\n\n{LICENCE}"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_a_book_in_a_value(start, end, line):
    text, whole = book(3, start, end)
    assert split_front_matter(whole.replace("\n", line)) == ("The Old Mill 3 A Tale", text)


def test_what_is_written_about_it_stays():
    text = "I read it at Project Gutenberg.\n\nTitle: The Mill\n\n*** END OF THE PROJECT GUTENBERG EBOOK"
    assert split_front_matter(text) == (None, text)


def test_books(tmp_path):
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute("create table book (id integer primary key, text)")
        db.executemany("insert into book (text) values (?)", [(book(i)[1],) for i in range(20)])
    db.close()
    source = open_source(str(tmp_path / "t.db"), "book")
    assert source.has_titles
    assert [*source.documents()] == [f"The Old Mill {i} A Tale\n\n{book(i)[0]}" for i in range(20)]


def test_a_book_in_pieces(tmp_path):
    """As the README cuts one, at its blank lines."""
    text, whole = book(3)
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute("create table part (body text)")
        db.executemany("insert into part values (?)", [(part,) for part in whole.split("\n\n")])
    db.close()
    path = str(tmp_path / "t.db")
    (told,) = (each for each in row_hints(open_source(path, "part")) if "Project Gutenberg" in each)
    left = open_source(path, "part", Selection(where=shlex.split(told.partition("--where")[2])[0]))
    assert "\n\n".join(left.documents()) == text
