"""Texts among values of all sorts are told with the query that reads them."""

import shlex
import sqlite3

import pytest
from odd_tables import Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import QUERY, Selection
from datasette_nanogpt.training.check import check
from datasette_nanogpt.training.options import TrainOptions
from llm_nanogpt.errors import InvalidOptions

THINGS = 40
FIELDS = {1: "title", 2: "abstractNote", 3: "date", 4: "rights", 5: "pages"}


def values_of(i):
    w = Writer(i)
    rights = "No known restrictions, but please name the museum of the harbour where you can."
    return {1: w.title(), 2: w.paragraph(), 3: f"{1900 + i}-01-02", 4: rights, 5: f"{i}-{i + 9}"}


def zotero(path, notes=(), dates=0):
    """Things, fields and values in a table each, and one that says what is of what; with more `dates`."""
    ids = {}
    rows = [
        (i, field, ids.setdefault(value, len(ids) + 1))
        for i in range(1, THINGS + 1)
        for field, value in values_of(i).items()
    ]
    rows += [
        (i, 6 + n, ids.setdefault(f"20{10 + n}-01-{i % 28 + 1:02d} 10:00", len(ids) + 1))
        for n in range(dates)
        for i in range(1, THINGS + 1)
    ]
    with sqlite3.connect(path) as db:
        db.executescript(
            "create table fields (fieldID integer primary key, fieldName text);"
            "create table itemDataValues (valueID integer primary key, value);"
            "create table itemData (itemID int, fieldID int, valueID int, primary key (itemID, fieldID));"
            "create table itemNotes (itemID integer primary key, note text)"
        )
        db.executemany("insert into fields values (?, ?)", FIELDS.items())
        db.executemany("insert into itemDataValues values (?, ?)", [(n, v) for v, n in ids.items()])
        db.executemany("insert into itemData values (?, ?, ?)", rows)
        db.executemany("insert into itemNotes values (?, ?)", enumerate(notes, 1))
    db.close()


def omeka(path):
    """The values beside the numbers of things and fields, which another table has the names of."""
    rows = [(i, "Item", field, value) for i in range(1, THINGS + 1) for field, value in values_of(i).items()]
    with sqlite3.connect(path) as db:
        db.execute("create table omeka_elements (id integer primary key, name text)")
        db.execute(
            "create table omeka_element_texts"
            " (id integer primary key, record_id int, record_type text, element_id int, text text)"
        )
        db.executemany("insert into omeka_elements values (?, ?)", FIELDS.items())
        rows += [(1, "Collection", 1, "Everything")]
        db.executemany(
            "insert into omeka_element_texts (record_id, record_type, element_id, text) values (?, ?, ?, ?)",
            rows,
        )
    db.close()


def are_read(path, told):
    """Whether the query in what is told reads each text with its title."""
    assert f"text is in {THINGS} of them (abstractNote)" in told
    query = shlex.split(told.partition("--sql")[2])[0]
    source = open_source(path, QUERY, Selection(sql=query))
    assert (source.title, source.body) == ("title", ("abstractNote",))
    texts = {(values_of(i)[1], values_of(i)[2]) for i in range(1, THINGS + 1)}
    return {(row["title"], row["abstractNote"]) for row in source.sample} == texts


def test_values_beside_the_numbers_of_their_fields(tmp_path):
    omeka(path := str(tmp_path / "any.db"))
    remarks = preview(open_corpus(path, ["omeka_element_texts"])).tables[0].remarks
    (told,) = [remark for remark in remarks if "--sql" in remark]
    assert are_read(path, told) and not any("--group-by" in remark for remark in remarks)


def test_values_in_a_table_of_their_own(tmp_path):
    zotero(path := str(tmp_path / "any.db"))
    (told,) = [r for r in preview(open_corpus(path, ["itemDataValues"])).tables[0].remarks if "--sql" in r]
    assert are_read(path, told)


def test_values_beside_the_only_table_with_text(tmp_path):
    zotero(path := str(tmp_path / "any.db"), [Writer(i).text() for i in range(30)], dates=12)
    (told,) = [remark for remark in preview(open_corpus(path)).tables[0].remarks if "--sql" in remark]
    assert are_read(path, told)


def test_values_of_which_most_are_dates(tmp_path):
    zotero(path := str(tmp_path / "any.db"), dates=12)
    with pytest.raises(InvalidOptions) as ex:
        check(TrainOptions(path, "itemDataValues"))
    assert "value holds dates" in str(ex.value) and are_read(path, str(ex.value))


def test_numbers_that_lead_to_no_names(tmp_path):
    omeka(path := str(tmp_path / "any.db"))
    with sqlite3.connect(path) as db:
        db.execute("alter table omeka_elements rename to other")
    db.close()
    remarks = preview(open_corpus(path, ["omeka_element_texts"])).tables[0].remarks
    assert not any("--sql" in remark for remark in remarks)
