"""What people took from books has the titles of these, which many rows share."""

import pytest
from odd_tables import ROWS, Writer, number
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source


def book(w):
    return f"The {['mill', 'boat', 'letter', 'harbour', 'road'][w.i // 14]} beside the river"


@pytest.mark.parametrize(
    ("columns", "title", "body"),
    [
        (
            {"id": number, "book_title": book, "author": Writer.name, "highlight": Writer.paragraph},
            "book_title",
            "highlight",
        ),
        ({"id": number, "title": book, "quote": Writer.paragraph, "page": number}, "title", "quote"),
        ({"id": number, "book": book, "location": number, "clipping": Writer.paragraph}, "book", "clipping"),
    ],
)
def test_the_title_of_the_book(tmp_path, columns, title, body):
    source = open_source(write(tmp_path / "any.db", columns), "t")
    assert len({row[title] for row in source.sample}) < ROWS / 10
    assert (source.title, source.body) == (title, (body,))


@pytest.mark.parametrize(
    "columns",
    [
        {"name": lambda w: ["Ada", "Ben"][w.i % 2], "quote": Writer.paragraph},
        {"title": lambda w: ["Miss", "Dr."][w.i % 2], "text": Writer.paragraph, "quote_count": number},
    ],
)
def test_what_few_rows_have_of_their_own_is_no_title_elsewhere(tmp_path, columns):
    assert open_source(write(tmp_path / "any.db", columns), "t").title is None
