"""Earlier texts of pages are told, with what reads the newest alone."""

import random
import shlex
import sqlite3

import pytest

from datasette_nanogpt.data.earlier_texts import earlier_texts
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand

WORDS = ["we", "meet", "at", "the", "old", "mill", "beside", "river", "and", "bring", "bread", "for", "today"]
PAGES, VERSIONS = 30, 3


def says(i, count=40):
    chosen = random.Random(i)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


def version(page, number):
    return " ".join([says(page), *(says(1000 * page + i, 8) for i in range(1, number + 1))])


def told(tmp_path, script, rows, table):
    """What is told of a table, and the documents that are left by what is told. `rows`: of each table."""
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.executescript(script)
        for name, values in rows.items():
            db.executemany(f"insert into {name} values ({', '.join('?' * len(values[0]))})", values)
    db.close()
    remarks = list(earlier_texts(open_source(path, table), TrainCommand(path, (), (table,))))
    if not remarks:
        return remarks, []
    words = shlex.split(remarks[0].rpartition(": ")[2])
    option = next(word for word in words if word.startswith("--"))
    selection = Selection(**{option[2:]: words[words.index(option) + 1]})
    return remarks, list(open_source(path, "query" if selection.sql else table, selection).documents())


# The texts in the order in which people wrote them: 700, 701, ... of page 0, 1, ...
TEXTS = [(700 + n * PAGES + page, version(page, n)) for n in range(VERSIONS) for page in range(PAGES)]
NEWEST = sorted(version(page, VERSIONS - 1) for page in range(PAGES))
NAMES = [f"Old {WORDS[page % 13]} {WORDS[page // 13]}" for page in range(PAGES)]
TITLED = sorted(f"{NAMES[page]}\n\n{version(page, VERSIONS - 1)}" for page in range(PAGES))
LAST = 9000 + (VERSIONS - 1) * PAGES


def test_a_wiki_with_a_table_of_revisions(tmp_path):
    script = (
        "create table text (old_id integer primary key, old_text);"
        "create table page (page_id integer primary key, page_title, page_latest int);"
        "create table revision (rev_id integer primary key, rev_page int, rev_text_id int)"
    )
    rows = {
        "text": TEXTS,
        "page": [(page, NAMES[page].replace(" ", "_"), LAST + page) for page in range(PAGES)],
        "revision": [(9000 + i, i % PAGES, 700 + i) for i in range(len(TEXTS))],
    }
    (remark,), documents = told(tmp_path, script, rows, "text")
    assert remark.startswith("60 of 90 rows are earlier texts: the newest are those of page (page_latest). ")
    assert sorted(documents) == TITLED


def test_a_wiki_with_addresses_of_texts(tmp_path):
    script = (
        "create table text (old_id integer primary key, old_text);"
        "create table page (page_id integer primary key, page_title blob, page_latest int);"
        "create table slots (slot_revision_id int, slot_content_id int);"
        "create table content (content_id integer primary key, content_address blob)"
    )
    rows = {
        "text": TEXTS,
        "page": [(page, NAMES[page].replace(" ", "_").encode(), LAST + page) for page in range(PAGES)],
        "slots": [(9000 + i, 50 + i) for i in range(len(TEXTS))],
        "content": [(50 + i, f"tt:{700 + i}".encode()) for i in range(len(TEXTS))],
    }
    (_,), documents = told(tmp_path, script, rows, "text")
    assert sorted(documents) == TITLED


def test_a_column_that_leads_to_the_newest(tmp_path):
    script = (
        "create table revisions (id integer primary key, body);"
        "create table pages (id integer primary key, title, latest_revision_id int)"
    )
    pages = [(page, NAMES[page], 700 + (VERSIONS - 1) * PAGES + page) for page in range(PAGES)]
    (_,), documents = told(tmp_path, script, {"revisions": TEXTS, "pages": pages}, "revisions")
    assert sorted(documents) == TITLED


@pytest.mark.parametrize("is_title", [False, True])
def test_texts_of_the_same_page(tmp_path, is_title):
    rows = [(i, NAMES[(i - 700) % PAGES] if is_title else (i - 700) % PAGES, text) for i, text in TEXTS]
    script = f"create table history (id integer primary key, {'title' if is_title else 'page_id int'}, body)"
    (remark,), documents = told(tmp_path, script, {"history": rows}, "history")
    assert "as versions of one text have" in remark
    assert sorted(documents) == (TITLED if is_title else NEWEST)


@pytest.mark.parametrize(
    "text",
    [
        says,  # of their own
        lambda i: f"{says(1)} {i} {says(2)}",  # all alike, as reports of the weather
    ],
)
def test_other_texts_are_no_versions(tmp_path, text):
    rows = [(i, i % 30, text(i)) for i in range(90)]
    script = (
        "create table post (id integer primary key, place_id int, body);"
        "create table place (id integer primary key, name, current_weather int)"
    )
    places = [(i, f"Place number {i}", i) for i in range(30)]
    assert told(tmp_path, script, {"post": rows, "place": places}, "post") == ([], [])
