"""What many rows say in the same words, such as whom a museum thanks, is not the text."""

import sqlite3

import pytest
from odd_tables import Writer, number
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source

THANKS = [
    "Gift of Mrs. Henrietta Marsh in memory of her husband, Colonel Edward Marsh",
    "Bequest of Walter Duarte, with the support of the Friends of the Museum",
    "Purchased with funds from the Keane family and several anonymous donors",
]


def thanks(w):
    return f"{w.pick(*THANKS)}, {1900 + w.i}"


def sometimes_said(w):
    return w.paragraph(1) if w.i % 3 == 0 else None


@pytest.mark.parametrize(
    ("columns", "body"),
    [
        ({"creditLine": thanks, "galleryText": sometimes_said}, ("galleryText",)),
        ({"provenance": Writer.paragraph, "galleryText": sometimes_said}, ("galleryText",)),
        ({"rightsAndReproduction": Writer.text, "label_text": sometimes_said}, ("label_text",)),
    ],
)
def test_it_is_passed_over_beside_a_text(tmp_path, columns, body):
    source = open_source(write(tmp_path / "any.db", {"id": number, "title": Writer.title} | columns), "t")
    assert (source.title, source.body) == ("title", body)


def test_titles_alone_are_read_where_there_is_nothing_else(tmp_path):
    columns = {
        "id": number,
        "title": Writer.title,
        "creditLine": thanks,
        "medium": lambda w: w.pick("oil", "ink"),
    }
    source = open_source(write(tmp_path / "any.db", columns), "t")
    assert (source.title, source.body) == (None, ("title",))
    assert source.left_out["creditLine"] == "credits, rights or the like"


@pytest.mark.parametrize("name", ["report", "body"])
def test_a_text_may_repeat_itself(tmp_path, name):
    """As weather reports do, beside a remark in few of them."""

    def report(w):
        return (
            f"{w.pick('Light', 'Heavy')} rain in the morning and wind from the west, {w.i} degrees at noon."
        )

    columns = {"id": number, "place": Writer.title, name: report}
    few = columns | {"remark": lambda w: w.sentence() if w.i % 7 == 0 else None}
    for each in (columns, few):
        assert open_source(write(tmp_path / f"{len(each)}.db", each), "t").body == (name,)


def test_short_keys_are_no_titles_though_no_two_rows_have_the_same(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table t (number text primary key, text)")
        db.executemany("insert into t values (?, ?)", [(f"O{i}", Writer(i).paragraph()) for i in range(60)])
    db.close()
    assert open_source(path, "t").title is None
