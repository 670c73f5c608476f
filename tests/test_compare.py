"""`llm nanogpt compare`: which of two models knows a row better."""

import json

import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import write_model

from datasette_nanogpt.data.compare import ComparedRow, Comparison, compare_each_row, open_rows_of_both
from datasette_nanogpt.llm_commands import compare, with_progress
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.loading import open_model
from llm_nanogpt.score import score


@pytest.fixture
def two(home, bpe):
    """Two models, the second of which was trained on the table."""
    source = {"table": "entry", "title": "heading", "body": ["body"]}
    write_model(home / "nanogpt-a", bpe, seed=1)
    write_model(home / "nanogpt-b", bpe, seed=2, meta={"source": source | {"tables": [source]}})
    return open_model(home / "nanogpt-a", "cpu"), open_model(home / "nanogpt-b", "cpu")


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    rows = [{"id": i, "heading": f"T{i}", "body": f"Row {i} jumps over a lazy dog"} for i in range(6)]
    sqlite_utils.Database(path)["entry"].insert_all(rows, pk="id")
    return str(path)


def test_both_read_the_same_text_and_fewer_bits_are_better(two, database):
    rows = list(compare_each_row(*two, open_rows_of_both(*two, database, "entry")))
    assert [row.keys for row in rows] == [{"id": i} for i in range(6)]
    assert rows[0].text.startswith("T0\n\nRow 0")  # as the one reads it that was trained on the table
    for row in rows:
        assert row.bits_per_byte == pytest.approx([score(each, row.text).bits_per_byte for each in two])


def test_sums_are_of_all_rows_and_of_those_that_are_fair():
    comparison = Comparison()
    comparison.add(ComparedRow({}, "x", (10.0, 20.0), (10, 10), ("trained", "new")))
    comparison.add(ComparedRow({}, "x", (30.0, 20.0), (10, 10), ("held out", "new")))
    comparison.add(ComparedRow({}, "x", (20.0, 20.0), (10, 10), ("new", None)))
    comparison.add(ComparedRow({}, "", (1.0, 1.0), (0, 0), ("new", "new")))
    assert (comparison.all.rows, comparison.all.won, comparison.all.bits_per_byte) == (3, [1, 1], (2.0, 2.0))
    assert (comparison.fair.rows, comparison.fair.won) == (2, [0, 1])
    assert comparison.fair.bits_per_byte == (2.5, 2.0)


def test_the_command_lists_rows_and_sums(two, database):
    args = ["nanogpt-a", "nanogpt-b", "--db", database, "--table", "entry"]
    done = CliRunner().invoke(compare, args, catch_exceptions=False)
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["A", "B", "better", "id", "text"] and len(rows) == 6
    gaps = [float(row.split()[0]) - float(row.split()[1]) for row in rows]
    assert gaps == sorted(gaps)
    assert [row.split()[2] for row in rows] == ["A" if gap < 0 else "B" for gap in gaps]
    a, b = done.stderr.splitlines()
    assert a.startswith("A is nanogpt-a: ") and b.startswith("B is nanogpt-b: ")
    assert a.endswith(f" bits per byte, better in {sum(gap < 0 for gap in gaps)} of 6 rows")
    lines = CliRunner().invoke(compare, [*args, "--jsonl", "--where", "id < 2"]).stdout.splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 2 and first["id"] == 0 and set(first["bits_per_byte"]) == {"nanogpt-a", "nanogpt-b"}


def test_a_model_is_not_compared_with_itself(two, database):
    done = CliRunner().invoke(compare, ["nanogpt-a", "nanogpt-a", "--db", database, "--table", "entry"])
    assert isinstance(done.exception, NanogptError) and "are the same model" in str(done.exception)


def test_progress_is_only_for_a_terminal(capsys, monkeypatch):
    assert list(with_progress(iter("abc"), 3)) == ["a", "b", "c"] and capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(with_progress(iter("abc"), 3)) == ["a", "b", "c"] and "scoring" in capsys.readouterr().err
