"""Several notes that each leave rows out end in one condition, in a command that can be typed as it is."""

import shlex
import sqlite3

import pytest
from odd_tables import ROWS, Writer
from test_odd_tables import write

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview, preview_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand
from datasette_nanogpt.training.options import TrainOptions, typed_command

COLUMNS = {
    "title": Writer.title,
    "body": Writer.text,
    "status": lambda w: ["draft", "published", "published"][w.i % 3],
    "deleted_at": lambda w: w.date() if w.i % 5 == 0 else None,
    "visibility": lambda w: "private" if w.i % 7 == 0 else "public",
}
LEFT = sum(i % 3 > 0 and i % 5 > 0 and i % 7 > 0 for i in range(ROWS))


def remarks(options, **selection):
    corpus = open_corpus(options.database, ["t"], Selection(**selection))
    return preview(corpus, command=typed_command(options)).tables[0].remarks


def test_two_conditions_are_joined(tmp_path):
    path = write(tmp_path / "any.db", COLUMNS)
    options = TrainOptions(path, "t", title="title", name="nanogpt-mine", minutes=3)
    told = remarks(options, title="title")
    each = [remark for remark in told if remark.startswith("In ")]
    assert len(each) == 3 and all(remark.count("--where") == 1 for remark in told)
    assert told[-1].startswith("To do all of this at once, in one condition: datasette nanogpt-train ")
    words = shlex.split(told[-1].partition(": ")[2])
    assert words[:6] == ["datasette", "nanogpt-train", path, "t", "--title", "title"]
    assert words[6] == "--where" and words[8:] == ["--name", "nanogpt-mine", "--minutes", "3"]
    assert open_source(path, "t", Selection(where=words[7])).row_count == LEFT
    assert not [told for told in remarks(options, where=words[7]) if "--where" in told]


def test_the_runs_own_condition_stays(tmp_path):
    path = write(tmp_path / "any.db", COLUMNS)
    own = "body like '%the%' or title is null -- mine"
    told = remarks(TrainOptions(path, "t", where=own), where=own)
    words = shlex.split(told[-1].partition(": ")[2])
    assert words.count("--where") == 1
    assert open_source(path, "t", Selection(where=words[-1])).row_count <= LEFT


def test_pages_get_the_option_alone(tmp_path):
    path = write(tmp_path / "any.db", COLUMNS)
    told = preview_source(open_source(path, "t"), TrainCommand(path), documents=0).remarks
    assert told[-1].startswith("To do all of this at once, in one condition: --where ")


@pytest.mark.parametrize("columns", [["status"], ["status", "other"]])
def test_nothing_is_joined_where_nothing_would_be_left(tmp_path, columns):
    made = {name: COLUMNS.get(name, lambda w: w.i) for name in ("body", *columns)}
    if "other" in made:
        made["is_hidden"] = lambda w: int(w.i % 3 > 0)  # all that are no drafts
    path = write(tmp_path / "any.db", made)
    told = remarks(TrainOptions(path, "t"))
    assert not any("at once" in remark for remark in told)


def test_conditions_with_what_another_table_says(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table user (id integer primary key, login, type)")
        db.execute(
            "create table comment (id integer primary key, user integer references user(id), body, hidden)"
        )
        db.executemany(
            "insert into user values (?, ?, ?)",
            [(i, f"u{i}", "Bot" if i == 0 else "User") for i in range(5)],
        )
        rows = [(w.i, w.i % 5, w.text(), int(w.i % 4 == 0)) for w in map(Writer, range(ROWS))]
        db.executemany("insert into comment values (?, ?, ?, ?)", rows)
    options = TrainOptions(path, "comment")
    told = preview(open_corpus(path, ["comment"]), command=typed_command(options)).tables[0].remarks
    where = shlex.split(told[-1].partition(": ")[2])[-1]
    left = open_source(path, "comment", Selection(where=where)).row_count
    assert left == sum(i % 5 > 0 and i % 4 > 0 for i in range(ROWS))
