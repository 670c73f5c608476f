"""Wholes and their parts in two tables are told, with what to type."""

import shlex
import sqlite3

import pytest

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand

WORDS = ["we", "meet", "at", "the", "old", "mill", "beside", "river", "and", "bring", "bread", "for", "today"]


def says(i, words=60):
    return " ".join(WORDS[(i * 7 + j * (3 + i % 5)) % len(WORDS)] for j in range(words)) + f" {i}"


def remarks(path, table):
    command = TrainCommand(path, (), [table])
    return preview(open_corpus(path, [table]), 1, command).tables[0].remarks


def source_of(remark):
    words = shlex.split(
        remark.partition(": ")[2] if ": datasette" not in remark else remark.split(": ", 1)[1]
    )
    words = words[next(i for i, word in enumerate(words) if word.startswith("--")) :]
    options = {words[i][2:].replace("-", "_"): words[i + 1] for i in range(0, len(words), 2)}
    path = shlex.split(remark)[shlex.split(remark).index("nanogpt-train") + 1]
    return open_source(path, "query", Selection(**options))


@pytest.fixture
def recipes(tmp_path):
    """recipes(key) makes recipes with a line each, whose steps lead to them by `key`."""

    def make(key):
        path = str(tmp_path / "food.db")
        with sqlite3.connect(path) as db:
            db.execute("create table recipes (id integer primary key, name text, description text)")
            db.execute(f"create table steps (id integer primary key, {key}, position int, text text)")
            db.executemany("insert into recipes values (?, ?, ?)", [(i, f"Cake {i}", "") for i in range(40)])
            steps = [(i, i // 5, i % 5, says(i, 12)) for i in range(200)]
            db.executemany("insert into steps values (?, ?, ?, ?)", steps)
        return path

    return make


@pytest.mark.parametrize("key", ["recipe_id int", "of int references recipes(id)"])
def test_a_table_with_the_text_of_short_rows_is_told(recipes, key):
    path = recipes(key)
    (told,) = [each for each in remarks(path, "recipes") if "steps" in each]
    assert f"which leads to these rows by {key.split()[0]}, has " in told
    assert told.endswith(f"nanogpt-train {path} steps")
    assert not [each for each in remarks(path, "steps") if "recipes, which leads" in each]


@pytest.fixture
def stories(tmp_path):
    path = str(tmp_path / "stories.db")
    with sqlite3.connect(path) as db:
        db.execute("create table works (id integer primary key, title text)")
        db.execute(
            "create table chapters (id integer primary key, work_id integer references works(id), position,"
            " title text, content text)"
        )
        db.executemany(
            "insert into works values (?, ?)", [(i, f"The mill of {WORDS[i % 9]} {i}") for i in range(30)]
        )
        rows = [(i, i // 4, 1 + i % 4, [None, f"Bread {i}", f"Boat {i}"][i % 3], says(i)) for i in range(120)]
        db.executemany("insert into chapters values (?, ?, ?, ?, ?)", rows)
    return path


def test_parts_of_what_has_a_title_are_told(stories):
    whole, each = [told for told in remarks(stories, "chapters") if "works" in told]
    assert whole.startswith("These rows are parts of works (title), in the order of position.")
    document = next(source_of(whole).documents())
    assert document.startswith(f"The mill of we 0\n\n{says(0)}\n{says(1)}\n{says(2)}\n{says(3)}")
    documents = list(source_of(each).documents())
    assert documents[0] == f"The mill of we 0\n\n{says(0)}"
    assert documents[1] == f"The mill of we 0: Bread 1\n\n{says(1)}"


def test_rows_without_a_place_are_no_parts(stories):
    with sqlite3.connect(stories) as db:
        db.execute("update chapters set position = id % 2")
    assert not [told for told in remarks(stories, "chapters") if "works" in told]
