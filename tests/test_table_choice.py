"""Who names no table trains on the only one with text, or is told which have how much."""

import contextlib
import io
import shlex
import sqlite3

import click
import pytest
from click.testing import CliRunner
from odd_tables import Writer

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data import table_choice
from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.training.check import check
from datasette_nanogpt.training.options import TrainOptions
from llm_nanogpt.errors import InvalidOptions, click_errors


@pytest.fixture
def make(tmp_path):
    def write(*sql, **tables):
        """`tables` have so many rows of text."""
        path = str(tmp_path / "blog.db")
        with sqlite3.connect(path) as db:
            for table, rows in tables.items():
                db.execute(f"create table {table} (id integer primary key, title, body, rank)")
                texts = [(w.title(), w.text(), w.i) for w in map(Writer, range(rows))]
                db.executemany(f"insert into {table} (title, body, rank) values (?, ?, ?)", texts)
            for statement in sql:
                db.execute(statement)
        return path

    return write


TAGS = "create table tag as select id, 'tag ' || char(96 + id) as tag from entry limit 9"
NUMBERS = "create table visit as select id, rank from entry"


def test_states_of_sensors_are_refused_with_what_they_are(tmp_path):
    path = str(tmp_path / "home.db")
    with sqlite3.connect(path) as db:
        db.execute("create table states (state_id integer primary key, state, last_updated real)")
        rows = [(i, ["on", "off", "21.5"][i % 3], 1.7e9 + i) for i in range(90)]
        db.executemany("insert into states values (?, ?, ?)", rows)
        db.execute("create table statistics (id integer primary key, mean real)")
        db.executemany("insert into statistics values (?, ?)", [(i, 20.5) for i in range(90)])
    db.close()
    with pytest.raises(InvalidOptions) as refused:
        open_corpus(path)
    message = str(refused.value)
    assert f"There is nothing to learn to write from. {path} has: states, statistics. None" in message
    named = shlex.split(message.rpartition(": ")[2])
    assert named == ["datasette", "nanogpt-train", path, "states"]
    with pytest.raises(NoTextError, match="state has few different values"):
        open_corpus(path, named[-1:])


def test_tables_without_rows_are_called_empty_at_once(make):
    with pytest.raises(
        InvalidOptions, match=r"^There is nothing to train on: nota, the only table of .* is e"
    ):
        open_corpus(make(nota=0))
    with pytest.raises(InvalidOptions, match=r"on: all tables of .* are empty \(nota, note\)\. Fill"):
        open_corpus(make(note=0))
    with pytest.raises(InvalidOptions, match=r"nota, note are empty\. None of the others has .* visit$"):
        open_corpus(make("create table visit as select 1 as id, 2.5 as rank"))


def test_the_only_table_with_text_is_taken(make):
    path = make(TAGS, NUMBERS, "create table empty (id, body)", entry=40)
    corpus = open_corpus(path)
    assert corpus.name == "entry" and corpus.row_count == 40
    said = preview(corpus).tables[0].remarks[0]
    assert said.startswith(
        f"entry is the only table of {path} with much text: there is less, or a copy, in tag (9 rows, "
    )
    assert said.endswith(". To train on another one, name it.")
    assert not open_corpus(path, ["entry"]).chosen


def test_changes_of_no_other_table_are_no_copy(make):
    """Those that are reviewed in Gerrit have texts of their own; a history of them has none."""
    assert "changes is the only table" in open_corpus(make(changes=40, changes_history=40)).chosen


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"changes": 40, "comments": 10}, "The one with the most text: .* changes$"),
        ({"entry_revision": 30, "entry": 12, "note": 10}, "The one with the most text of its own: .* entry$"),
    ],
)
def test_of_what_most_is_said(make, tables, told):
    with pytest.raises(InvalidOptions, match=told):
        open_corpus(make(**tables))


def test_of_a_view_too(make):
    sql = "create table words (id integer primary key, word, of)"
    view = "create view texts as select of, group_concat(word, ' ') as text from words group by of"
    path = make(sql, view, "create table visit (id)")
    with sqlite3.connect(path) as db:
        for w in map(Writer, range(30)):
            rows = [(w.hash()[:6] + "7", w.i) for _ in range(9)]
            db.executemany("insert into words (word, of) values (?, ?)", rows)
        db.execute("drop view texts")
        db.execute(
            "create view texts as select of, 'We met ' || of || ' of the others there' as t from words"
        )
    assert open_corpus(path).name == "texts"


def test_copies_are_not_in_the_way(make):
    """As in Joplin, which has each note twice."""
    corpus = open_corpus(make(note=40, note_normalized=40, note_revisions=90))
    assert corpus.name == "note" and "or a copy, in note_revisions (90 rows, " in corpus.chosen


def test_its_columns_can_be_named(make):
    corpus = open_corpus(make(TAGS, entry=40), selection=Selection(body=["title"], where="id > 20"))
    assert corpus.sources[0].body == ("title",) and corpus.row_count == 20


def test_several_are_listed_with_what_is_in_them(make):
    view = "create view recent as select * from entry where id > 10"
    path = make(NUMBERS, view, note=15, entry=40, entry_revisions=60)
    with pytest.raises(InvalidOptions) as told:
        open_corpus(path)
    lines = str(told.value).split("\n")
    assert lines[0] == f"Name the table to train on. {path} has text in:"
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["entry", "40", "rows"],
        ["recent", "30", "rows"],
        ["note", "15", "rows"],
        ["entry_revisions", "60", "rows"],
    ]
    assert all(line.endswith("kB") for line in lines[1:5])
    assert lines[5] == "Without text: visit."
    assert lines[6] == f"The one with the most text of its own: datasette nanogpt-train {path} entry"
    words = shlex.split(lines[6].partition(": ")[2])
    assert open_corpus(*words[2:3], words[3:]).name == "entry"
    with pytest.raises(click.ClickException) as shown, click_errors():
        raise told.value
    output = io.StringIO()
    with contextlib.redirect_stderr(output):
        shown.value.show()
    assert output.getvalue() == f"Error: {told.value}\n"  # a list is one error, not one for each line


def test_the_sizes_that_are_listed_are_of_whole_texts(make):
    """Only the beginnings of long texts are looked at."""
    path = make(note=40, entry=30)
    with sqlite3.connect(path) as db:
        db.execute("update entry set body = body || replace(hex(zeroblob(10000)), '00', ' words')")
        db.execute("update note set body = body || replace(hex(zeroblob(700)), '00', ' words')")
        (size,) = db.execute("select sum(length(body)) from entry").fetchone()
    with pytest.raises(InvalidOptions) as told:
        open_corpus(path)
    entry = str(told.value).split("\n")[1].split()
    assert entry[:4] == ["entry", "30", "rows", "about"] and entry[5] == "MB"
    assert float(entry[4]) == pytest.approx(size / 1e6, rel=0.02)


def test_the_command_that_is_offered_has_the_options_that_were_typed(make):
    path = make(note=40, entry=40)
    with pytest.raises(InvalidOptions) as told:
        check(TrainOptions(path, minutes=1.0, where="id > 2", name="mine"))
    last = shlex.split(str(told.value).split("\n")[-1].partition(": ")[2])
    assert last[2] == path and last[4:] == ["--where", "id > 2", "--name", "mine", "--minutes", "1"]
    dry = CliRunner().invoke(train_command, [path, "--minutes", "1", "--dry-run"])
    assert dry.output.rstrip().endswith(" --minutes 1 --dry-run")


def test_where_there_was_no_time_to_look_at_all_none_is_taken(make, monkeypatch):
    monkeypatch.setattr(table_choice, "LOOKING_SECONDS", -1)
    with pytest.raises(InvalidOptions, match=r"has: entry, tag\. For example: .* entry$"):
        open_corpus(make(TAGS, entry=40))


def test_tables_that_were_not_looked_at_are_named_with_the_reason(make, monkeypatch):
    times = iter(range(0, 1000, 3))
    monkeypatch.setattr(table_choice.time, "monotonic", lambda: next(times))
    with pytest.raises(InvalidOptions, match=r"Not looked at, as .* too long .*: tag, a\."):
        open_corpus(make(TAGS, "create table a (id)", entry=40))


def test_a_table_that_has_to_be_unpacked_is_not_passed_over(make):
    path = make("create table letter (body)", entry=20)
    with sqlite3.connect(path) as db:
        db.executemany(
            "insert into letter values (?)", [(b"\x1f\x8b\x08\0\0\0" + bytes([i]) * 90,) for i in range(20)]
        )
    with pytest.raises(InvalidOptions) as told:
        open_corpus(path)
    assert "What is in letter has to be unpacked or decoded first" in str(told.value)


def test_a_dry_run_says_so_and_its_commands_name_the_table(make, monkeypatch, tmp_path):
    monkeypatch.setenv("NANOGPT_HOME", str(tmp_path / "home"))
    path = make(
        "alter table entry add column status",
        "alter table entry add column deleted",
        "update entry set status = iif(id % 4, 'published', 'draft'), deleted = id % 7 = 0",
        entry=300,
    )
    done = CliRunner().invoke(train_command, [path, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert f"Note: entry is the only table of {path}.\n" in done.output
    assert f"in one condition: datasette nanogpt-train {path} entry --where " in done.output
