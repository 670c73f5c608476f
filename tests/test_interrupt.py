"""Whatever lasts before training shows that something happens, and ends at Ctrl+C."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import finish

from datasette_nanogpt.data.background import in_background, until_done
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.sqlite import connect, explain_sql, time_limit
from llm_nanogpt.errors import InvalidOptions, NanogptError

BIN = Path(sys.executable).parent
PATIENCE = 3.0  # seconds after Ctrl+C, of which Python takes two thirds to end on a busy machine
# A query that never ends.
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select sum(i) from n"


@pytest.fixture
def letters(tmp_path):
    """A database of one row without a space."""
    path = tmp_path / "genome.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table contig (id integer primary key, sequence text)")
        sequence = random.Random(0).randbytes(4_000_000).translate(b"ACGT" * 64).decode()
        db.execute("insert into contig(sequence) values (?)", [sequence])
    db.close()
    return path


@pytest.mark.parametrize("part", ["making the vocabulary", "tokenizing"])
def test_ctrl_c_in_one_endless_word(letters, home, part):
    command = [BIN / "datasette", "nanogpt-train", letters, "contig", "--json", "--no-cache"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    parts = (json.loads(line).get("what", "") for line in process.stdout)
    assert next(what for what in parts if what.startswith(part))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < PATIENCE
    assert process.returncode == 130 and "nothing was changed" in errors and "Traceback" not in errors
    assert [path.name for path in home.iterdir() if path.is_dir() and "genome" in path.name] == []


def interrupt_after(seconds: float) -> None:
    threading.Timer(seconds, signal.raise_signal, [signal.SIGINT]).start()


@pytest.mark.parametrize("sql", [None, ENDLESS])
def test_ctrl_c_in_a_long_query(letters, sql):
    sqlite3.enable_callback_tracebacks(False)  # as set_up_process does
    interrupt_after(0.3)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), connect(letters) as db, explain_sql("sql", sql):
        db.execute(ENDLESS)
    assert time.monotonic() - began < PATIENCE


def test_a_time_limit_is_no_ctrl_c(letters):
    with pytest.raises(NanogptError, match="takes too long"), time_limit(0.1), connect(letters) as db:
        db.execute(ENDLESS)
    with (
        pytest.raises(InvalidOptions, match="takes too long"),
        time_limit(0.1),
        connect(letters) as db,
        explain_sql("sql", ENDLESS),
    ):
        db.execute(ENDLESS)


def test_background_work_gives_its_result_or_its_exception():
    may_end = threading.Event()
    slow = in_background(lambda: may_end.wait() and "done")
    waiting = until_done(slow)
    for _ in range(2):
        next(waiting)
    may_end.set()
    list(waiting)
    assert slow.result() == "done"
    wrong = in_background(lambda: 1 // 0)
    list(until_done(wrong))
    with pytest.raises(ZeroDivisionError):
        wrong.result()


def test_the_first_look_at_the_rows_counts_them(tmp_path):
    path = tmp_path / "many.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table a (body text)")
        db.execute("create table b (body text)")
        for table in "ab":
            db.executemany(f"insert into {table} values (?)", [(f"some words, {i}",) for i in range(25_000)])
    db.close()
    corpus = open_corpus(str(path), ["a", "b"])
    assert list(corpus.digest()) == [0, 10_000, 20_000, 25_000, 35_000, 45_000]
    assert finish(corpus.digest())[1] == 2 * sum(len(f"some words, {i}") for i in range(25_000))
