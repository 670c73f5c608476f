"""Exit codes: 2 where something else has to be typed, as click has it, and 1 for failures at work."""

import os
import sqlite3

import pytest
from click.testing import CliRunner
from llm.cli import cli
from test_demo import library  # noqa: F401
from test_trainer import TEXTS

from datasette_nanogpt.cli import demo_command, train_command
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem, WrongUsage


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    with sqlite3.connect(path) as db:
        db.execute("create table verse (body)")
        db.executemany("insert into verse values (?)", [(text,) for text in TEXTS])
    return str(path)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere.db", "verse"], 2),
        (["blog.db", "nope"], 2),
        (["blog.db", "verse", "--body", "nope"], 2),
        (["blog.db", "verse", "--where", "nope = 1"], 2),
        (["blog.db", "verse", "--sql", "select 1"], 2),
        (["blog.db", "verse", "--force", "--resume"], 2),
        (["blog.db", "verse", "--resume"], 2),
        (["blog.db", "verse", "--size", "huge"], 2),  # click's own
        (["blog.db", "verse", "--minutes", "0"], 2),
        (["noise.db", "verse"], 2),
        (["noise.db", "verse", "--minutes", "0"], 2),
    ],
)
def test_training(database, home, words, code, monkeypatch):
    monkeypatch.chdir(os.path.dirname(database))
    with open("noise.db", "wb") as file:
        file.write(b"this is no database" * 100)
    done = CliRunner().invoke(train_command, words)
    assert done.exit_code == code and "Error: " in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["info", "nope"], 2),
        (["rename", "nanogpt-x", ".."], 2),
        (["rename", "nanogpt-x", "nanogpt-x"], 2),
        (["restore", "nanogpt-x"], 1),
        (["sample", "nanogpt-x", "-o", "temperature", "warm"], 2),
        (["sample", "nanogpt-x", "-o", "temperature", "-1"], 2),
        (["sample", "nanogpt-x", "--save-table", "t"], 2),
        (["sample", "nanogpt-x", "-n", "0"], 2),  # click's own
        (["score", "nanogpt-x"], 2),
        (["score", "nanogpt-x", "--db", "nowhere.db", "--table", "t"], 2),
        (["score", "nanogpt-x", "--db", __file__, "--table", "t"], 2),
        (["compare", "nanogpt-x", "nanogpt-x", "--db", "x.db", "--table", "t"], 2),
        (["import", __file__], 1),
        (["export", "nanogpt-x", "--gguf", __file__], 2),
    ],
)
def test_models(make_model, words, code):
    make_model("nanogpt-x")
    done = CliRunner().invoke(cli, ["nanogpt", *words])
    assert done.exit_code == code and "Error: " in done.stderr, done.stderr


def test_what_is_to_be_copied_from_an_error_has_no_full_stop(database, monkeypatch):
    def fail(*_):
        messages = ("To see all: llm nanogpt models", "None is", "To keep it, add --force")
        raise InvalidOptions([Problem("body", "no_text", message) for message in messages])

    monkeypatch.setattr("datasette_nanogpt.training.train.train_table", fail)
    done = CliRunner().invoke(train_command, [database, "verse"])
    lines = [line.removeprefix("Error: --body: ") for line in done.stderr.splitlines()]
    assert lines == ["To see all: llm nanogpt models", "None is.", "To keep it, add --force"]


@pytest.mark.usefixtures("library")
def test_the_demo_database(tmp_path):
    (tmp_path / "x.db").write_text("something else")
    assert CliRunner().invoke(demo_command, [str(tmp_path / "x.db")]).exit_code == 2
    (tmp_path / "locked").touch()
    assert CliRunner().invoke(demo_command, [str(tmp_path / "locked" / "x.db")]).exit_code == 1


def test_the_rule():
    failed, wrong = Problem("", "refused", "It is damaged", True), Problem("name", "taken", "It is taken")
    assert NanogptError("x").exit_code == InvalidOptions([failed]).exit_code == 1
    assert WrongUsage("x").exit_code == InvalidOptions([wrong]).exit_code == 2
    assert InvalidOptions([failed, wrong]).exit_code == 2  # the next command has to be another one
