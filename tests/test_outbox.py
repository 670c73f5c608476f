"""A run whose registry cannot be written: it still saves its model, and its reports are written later."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
from test_pipeline import database, options  # noqa: F401

from datasette_nanogpt.events import Evaluation, Finished, Note, Step
from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry import outbox, row_scores, runs
from datasette_nanogpt.registry.db import RegistryError, explain, open_registry, registry, registry_file
from datasette_nanogpt.registry.runs import Run, find_runs
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.train import train_table
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(runs, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", 0.05)


def locked(home):
    db = sqlite3.connect(registry_file(home), check_same_thread=False)
    db.execute("begin exclusive")
    return db.close


def deleted(home):
    for file in home.glob("nanogpt.db*"):
        file.unlink()


def deleted_alone(home):
    registry_file(home).unlink()


def noise(home):
    data = os.urandom(50_000)
    with open(registry_file(home), "r+b") as fp:
        fp.write(data)
        fp.truncate()
    return lambda: deleted(home)


def noise_by_rename(home):
    (home / "noise").write_bytes(os.urandom(50_000))
    os.replace(home / "noise", registry_file(home))
    return lambda: deleted(home)


def no_rows(home):
    with registry(home) as db:
        for table in ("metrics", "samples", "runs"):
            db.execute(f"delete from {table}")


def no_tables(home):
    with registry(home) as db:
        db.execute("drop table metrics")
        db.execute("drop table runs")
    return lambda: deleted(home)


def another_registry(home):
    """Begun anew by another process, with a run of the same number."""
    deleted(home)
    with registry(home, create=True) as db:
        db.execute(
            "insert into runs (name, status, started, heartbeat) values ('other', 'queued', 'then', 0)"
        )


BREAKS = [locked, deleted, deleted_alone, noise, noise_by_rename, no_rows, no_tables, another_registry]


@pytest.mark.parametrize("repaired", [True, False])
@pytest.mark.parametrize("what", BREAKS)
def test_what_is_told_never_ends_what_is_learnt(options, home, what, repaired):  # noqa: F811
    repair, scores, notes, finished = None, 0, [], None
    for event in train_table(options):
        if isinstance(event, Evaluation):
            scores += 1
            if scores == 1:
                repair = what(home)
            elif repair and repaired:
                repair()
                repair = None
        if isinstance(event, Note):
            notes.append(event.text)
        if isinstance(event, Finished):
            finished = event
    assert finished.status == "finished" and read_checkpoint(home / "nanogpt-blog").meta["score"]
    if repair:
        assert sum("cannot be written" in text for text in notes) == 1  # said once
        repair()
    open_registry(home, create=True).close()  # as the next run does
    rows = [run for run in find_runs(home) if run["name"] == "nanogpt-blog"]
    assert [(row["status"], row["step"], row["val_bpb"]) for row in rows] == [
        ("finished", 8, finished.val_bpb)
    ]
    with registry(home) as db:
        steps = [row[0] for row in db.execute("select step from metrics where val_bpb is not null")]
    assert steps[-1] == 8 and len(steps) == len(set(steps))
    assert not (home / ".changes").exists()
    assert all(run["status"] == "queued" for run in find_runs(home) if run["name"] == "other")


def test_a_file_is_closed_once_however_often_the_registry_cannot_be_opened(home):
    """The number of a file that was closed may be another's by then: the run would close that one."""
    run = Run(home, "a", "/x.db", "entry", {})
    deleted(home)
    registry_file(home).mkdir()
    run.update(step=1)
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    for step in range(3):
        run.update(step=step)
        assert [os.fstat(fd).st_rdev for fd in others] == [os.stat(os.devnull).st_rdev] * 8
    for fd in others:
        os.close(fd)
    registry_file(home).rmdir()
    run.end("finished")
    assert [each["status"] for each in find_runs(home)] == ["finished"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_IOERR_READ, "reports an error (what SQLite says)"),
        (sqlite3.SQLITE_FULL, "is full: make room there"),
        (sqlite3.SQLITE_READONLY, "Cannot write in"),
        (sqlite3.SQLITE_CORRUPT, "is damaged (what SQLite says): move it away"),
        (sqlite3.SQLITE_ERROR, "cannot be used (what SQLite says): move it away"),
    ],
)
def test_what_the_disk_refuses_of_any_statement_is_a_line(home, code, told):
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code

    def refused():
        with registry(home, create=True) as db:
            db.execute("insert into runs (name) values ('a')")
            raise error

    with pytest.raises(RegistryError) as ex:
        refused()
    assert told in str(ex.value) and "\n" not in str(ex.value) and not find_runs(home)
    with pytest.raises(sqlite3.ProgrammingError), registry(home):  # a mistake of our own
        raise sqlite3.ProgrammingError


@pytest.mark.parametrize("wal", [True, False])
def test_a_home_that_cannot_be_written_is_read(home, monkeypatch, wal):
    """As on a read-only disk, where SQLite can make no files beside one in WAL mode."""
    run = Run(home, "a", "/x.db", "entry", {})
    if not wal:
        run.end("finished")
    (home / ".changes").mkdir()  # which is left to who can write
    connect = sqlite3.connect

    class Refused(sqlite3.Connection):
        def execute(self, *args):
            raise sqlite3.OperationalError("unable to open database file")

    def refuse(file, **settings):
        refused = {"factory": Refused} if not wal and "mode=ro" in str(file) else {}
        return connect(file, **settings, **refused)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(os, "access", lambda path, how: path != home)
    assert [each["status"] for each in find_runs(home)] == ["preparing" if wal else "finished"]
    runs.mark_dead_runs(home)
    with pytest.raises(RegistryError, match="Cannot write in"):
        runs.end_run(home, 1, "failed")
    assert (home / ".changes").exists()


def test_an_older_registry_that_cannot_be_written_is_not_told_to_be_moved_away(home, monkeypatch):
    Run(home, "a", "/x.db", "entry", {}).end("finished")
    with registry(home) as db:
        db.execute("drop table scores")
    monkeypatch.setattr(os, "access", lambda path, how: path != home)
    with pytest.raises(RegistryError, match="an earlier version .* make the folder writable") as error:
        row_scores.count(home, 1)
    assert "move it away" not in str(error.value)


def test_a_registry_that_cannot_be_used_is_told_before_anything_begins(options, home):  # noqa: F811
    open_registry(home, create=True).close()
    unlock = locked(home)
    with pytest.raises(NanogptError, match="nanogpt.db is locked: another program writes to it"):
        list(train_table(options))
    unlock()
    noise(home)
    registry_db._migrated.clear()
    with pytest.raises(NanogptError, match="is damaged .* move it away"):
        list(train_table(options))
    assert not (home / "nanogpt-blog").exists()


def test_an_end_that_can_be_left_nowhere_is_not_promised(home, monkeypatch, caplog):
    def refuse(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = Run(home, "m", "blog.db", "entry", {})
    noise(home)
    monkeypatch.setattr(outbox, "leave_for_later", refuse)
    run.end("failed")
    assert "how this run ended is not recorded (No space left on device)" in caplog.text


def test_a_stop_that_comes_while_the_registry_is_asked_is_not_lost():
    stop = Stop()

    def asked():
        stop.request()
        return 0

    stop.ask(asked())
    assert stop.requests == 1
    stop.ask(2)
    stop.ask(1)
    stop.request()
    assert stop.requests == 2


def test_a_long_lock_costs_a_bounded_memory(home, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_ROWS", 100)
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 600.0)
    run = runs.Run(home, "m", "blog.db", "entry", {})
    unlock = locked(home)
    step = Step(
        step=0,
        train_loss=1.0,
        train_bpb=1.0,
        tokens_per_second=1.0,
        mfu=None,
        learning_rate=1.0,
        seconds=1.0,
        progress=0.5,
        eta=1.0,
        memory=1,
    )
    run.evaluation(Evaluation(1, 2.0, 3.0, None, 1.0, True, "text"))
    for _ in range(300):
        with suppress(sqlite3.Error):
            run.step(step)
    assert len(run._outbox.rows) <= 101
    unlock()
    run.end("finished")
    with registry(home) as db:
        assert db.execute("select val_bpb from runs").fetchone()[0] == 2.0
        assert db.execute("select count(*) from samples").fetchone()[0] == 1


def test_steps_alone_are_written_too(home):
    """Nothing has changed in the row of a run between two heartbeats."""
    run = runs.Run(home, "nanogpt-blog", "blog.db", "entry", {})
    for number in (1, 2, 3):
        run.step(Step(number, 3.0, 1.5, 1000.0, None, 0.01, 1.0, 0.1, 9.0, None))
        assert not list(run.notes())
    with registry(home) as db:
        assert [row["step"] for row in db.execute("select step from metrics order by id")] == [1, 2, 3]


def test_what_others_ask_reaches_a_run_however_often_they_come_and_go(home):
    """A process that closes the registry's file loses SQLite's locks on it. Whoever left the registry next
    then deleted its log, and the run and the others no longer wrote to the same one."""
    run = Run(home, "a", "/x.db", "entry", {})
    for step in range(3):
        run.update(step=step)
        done = subprocess.run(
            [sys.executable, "-c", COME_AND_GO, str(home / "nanogpt.db"), str(step)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(step)
    assert run.stop_requested() == 2
    run.end("stopped")


COME_AND_GO = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("select step from runs").fetchone()[0])
with db:
    db.execute("update runs set stop_requested = ?", [sys.argv[2]])
db.close()
"""


NO_LOCKS = [sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_SHMMAP]


@pytest.mark.parametrize("code", NO_LOCKS)
def test_a_home_without_the_locks_of_sqlite_is_told_in_a_line(home, monkeypatch, code):
    def connect(*args, **settings):
        error = sqlite3.OperationalError("locking protocol")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(NanogptError, match="without the locks that SQLite needs .* local disk$"):
        open_registry(home, create=True)
    if code & 0xFF == sqlite3.SQLITE_IOERR:  # which a full disk gives, too
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
        with pytest.raises(NanogptError, match="disk of .* is full: make room"):
            open_registry(home, create=True)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limits")
def test_files_of_a_limited_size_are_not_taken_for_a_disk_without_locks(home, monkeypatch):
    import resource

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert "ulimit -f" not in explain(home, error)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 1024))
    assert "cannot grow: allow bigger files with `ulimit -f unlimited`" in explain(home, error)
