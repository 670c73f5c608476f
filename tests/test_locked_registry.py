"""What a server says while another program has the registry locked, or while its queue is full."""

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
from conftest import HANG_SECONDS, serve, write_blog

from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry import queue, waiting
from datasette_nanogpt.registry.db import (
    NoRegistryError,
    RegistryError,
    RegistryLockedError,
    open_registry,
    registry,
)
from datasette_nanogpt.registry.pending import leave_for_later
from datasette_nanogpt.registry.runs import Run, end_run, find_run, find_runs
from datasette_nanogpt.web import responses
from datasette_nanogpt.web.own_tables import _may_be_registry

ROOT = {"id": "root"}
FORM, ROWS = "/blog/entry/-/nanogpt", "/blog/entry/-/nanogpt/rows"
RUN, MODEL = "/-/nanogpt/runs/1", "/-/nanogpt/models/nanogpt-blog"
READING = [
    *("/-/nanogpt", "/-/nanogpt.json", "/-/nanogpt.json?now=1"),
    *(FORM, FORM + ".json", FORM + "?_again=1"),
    *(ROWS, ROWS + ".json"),
    *(RUN, RUN + ".json", RUN + ".json?after=1.0", RUN + ".csv"),
    *(MODEL, MODEL + ".json"),
    *("/-/nanogpt/compare?run=1&run=2", "/-/nanogpt/compare.json?run=1&run=2"),
]
WRITING = [
    (FORM, {"minutes": "1", "name": "another"}),
    (ROWS, {"model": "nanogpt-blog"}),
    (RUN + "/stop", {}),
    (RUN + "/stop-now", {}),
    (RUN + "/delete", {}),
    (MODEL + "/keep", {"text": "x", "seed": "1"}),
    (MODEL + "/texts/1/remove", {}),
]


@pytest.fixture
def database(tmp_path):
    return write_blog(tmp_path / "blog.db")


@pytest.fixture
async def datasette(database, home, make_model):
    """A server with a model, a run that waits and one that has failed; its queue has room for one."""
    make_model("nanogpt-blog", meta={"source": {"database": str(database), "table": "entry"}})
    settings = {"database": str(database), "table": ["entry"], "name": "nanogpt-blog", "minutes": 3}
    for name in ("nanogpt-blog", "failed"):
        queue.enqueue(home, str(database), settings | {"name": name}, ROOT, 10)
    end_run(home, 2, "failed")
    datasette = await serve(database, config={"plugins": {"datasette-nanogpt": {"max_queued": 1}}})
    yield datasette
    datasette.close()


@pytest.fixture
def patient(monkeypatch):
    """Whoever does not limit its patience waits for so long that the tests notice."""
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", HANG_SECONDS)
    monkeypatch.setattr(responses, "REGISTRY_SECONDS", 0.05)
    began = time.monotonic()
    yield
    assert time.monotonic() - began < HANG_SECONDS


@contextmanager
def locked(home, how="exclusive"):
    """Another connection has changes in the registry that it has not saved. In exclusive mode, nobody can
    even read it."""
    with closing(sqlite3.connect(home / "nanogpt.db")) as db:
        db.execute(f"pragma locking_mode = {how}")
        db.execute("begin exclusive")
        yield


def is_busy(answer, home):
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5", answer.text
    assert "is locked by another program at the moment: try again shortly" in answer.text
    assert str(home) not in answer.text
    return True


@pytest.mark.usefixtures("patient")
async def test_a_page_says_that_the_registry_is_locked_rather_than_that_nothing_is_there(datasette, home):
    with locked(home):
        for path in READING:
            answer = await datasette.client.get(path, actor=ROOT)
            assert is_busy(answer, home), path
            if ".json" in path:
                assert answer.json()["ok"] is False and "\n" not in answer.json()["error"]
        # Nobody learns of a run that they may not see.
        answers = [await datasette.client.get(f"/-/nanogpt/runs/{run}.json") for run in (1, 1000)]
        assert answers[0].text == answers[1].text
    for path in READING:
        assert (await datasette.client.get(path, actor=ROOT)).status_code == 200, path


@pytest.mark.usefixtures("patient")
async def test_unsaved_changes_of_others_keep_nobody_from_reading(datasette, home, monkeypatch):
    """Not even in a process that has just begun, and looks whether its tables are up to date."""
    monkeypatch.setattr(registry_db, "_migrated", {})
    leave_for_later(home, {"kind": "rename", "name": "failed", "new_name": "renamed"})
    with locked(home, "normal"):
        for path in READING:
            answer = await datasette.client.get(path, actor=ROOT)
            assert answer.status_code == 200, path
        for path, form in WRITING:
            if path in (FORM, ROWS):
                continue  # the queue is full
            for how in ({"json": form}, {"data": form}):
                assert is_busy(await datasette.client.post(path, actor=ROOT, **how), home), path
    assert [run["name"] for run in find_runs(home)] == ["renamed", "nanogpt-blog"]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", ["json", "data"])
async def test_a_start_that_the_registry_refuses_is_no_mistake_in_the_form(datasette, home, how):
    queue.ask_to_stop(home, 1, 1)
    with locked(home, "normal"):
        for path, form in WRITING[:2]:
            assert is_busy(await datasette.client.post(path, actor=ROOT, **{how: form}), home), path
    assert [run["status"] for run in find_runs(home)] == ["failed", "stopped"]


async def test_datasettes_own_pages_do_without_a_registry_that_cannot_be_read(datasette, home):
    (home / "nanogpt.db").write_bytes(b"noise" * 1000)
    for path in ("/", "/blog", "/blog/entry", "/blog/entry/3"):
        for actor in (ROOT, None):
            assert (await datasette.client.get(path, actor=actor)).status_code == 200, path


def test_locked_is_not_none(home, database, monkeypatch):
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", 0.05)
    assert find_runs(home) == [] and find_run(home, 1) is None
    with pytest.raises(NoRegistryError, match="Nothing has been trained"):
        open_registry(home)
    queue.enqueue(home, str(database), {"name": "a", "table": "entry"}, None, 1)
    for _ in range(2):
        with locked(home), pytest.raises(RegistryLockedError, match="is locked: another program"):
            find_run(home, 1)
        registry_db._migrated.clear()
    assert find_run(home, 1)["status"] == "queued"
    (home / "nanogpt.db").write_bytes(b"noise" * 1000)
    with pytest.raises(RegistryError, match="is damaged") as error:
        find_runs(home)
    assert not isinstance(error.value, RegistryLockedError)


def test_a_slow_machine_is_no_other_program(home, monkeypatch, capsys):
    """What took longer than a second was said to wait for another program, which was this one."""
    open_registry(home, create=True).close()
    monkeypatch.setattr(waiting, "TOLD_SECONDS", 0.3)
    for begun in (waiting.begin, lambda db: db.execute("insert into runs (name) values ('a')")):
        with registry(home) as db:
            begun(db)
            time.sleep(0.6)
    assert capsys.readouterr().err == ""


def test_a_served_copy_of_the_registry_stays_private_if_it_was_locked_at_first(home, database, tmp_path):
    queue.enqueue(home, str(database), {"name": "a", "table": "entry"}, None, 1)
    with locked(home):
        assert _may_be_registry(str(home / "nanogpt.db"))
    assert _may_be_registry(str(home / "nanogpt.db"))
    with closing(sqlite3.connect(database)) as db:
        db.execute("begin exclusive")
        assert _may_be_registry(str(database))
    assert not _may_be_registry(str(database))  # what was not known is not remembered


# ---- A full queue


async def test_a_full_queue_is_the_servers_state_and_the_form_keeps_what_is_in_it(datasette, home):
    form = {"minutes": "1", "name": "another", "seed": "77"}
    answer = await datasette.client.post(FORM, data=form, actor=ROOT)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
    assert "1 run is waiting already: stop one of them, or try later" in answer.text
    assert 'value="another"' in answer.text and 'value="77"' in answer.text
    assert "field is wrong" not in answer.text and "aria-invalid" not in answer.text
    answer = await datasette.client.post(FORM, json=form, actor=ROOT)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
    assert answer.json()["ok"] is False and answer.json()["problems"] == []
    assert answer.json()["error"].startswith("1 run is waiting already")
    answer = await datasette.client.post(FORM, json=form | {"seed": "x"}, actor=ROOT)  # a mistake comes first
    assert answer.status_code == 400 and "retry-after" not in answer.headers
    assert len(find_runs(home)) == 2


@pytest.mark.parametrize("how", ["json", "data"])
async def test_a_full_queue_takes_no_scoring_either(datasette, home, how):
    answer = await datasette.client.post(ROWS, actor=ROOT, **{how: {"model": "nanogpt-blog"}})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
    assert "1 run is waiting already" in answer.text and len(find_runs(home)) == 2


async def test_a_resume_is_refused_in_a_full_queue(datasette, home, monkeypatch):
    monkeypatch.setattr(
        "datasette_nanogpt.web.pages.run.settings_to_resume",
        lambda home, run, *_: {"database": run["database"], "table": ["entry"], "name": "x"},
    )
    answer = await datasette.client.post("/-/nanogpt/runs/2/resume", json={}, actor=ROOT)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
    assert "1 run is waiting already" in answer.json()["error"]
    answer = await datasette.client.post(
        "/-/nanogpt/runs/2/resume", data={}, actor=ROOT, follow_redirects=True
    )
    assert answer.status_code == 200 and "1 run is waiting already" in answer.text  # on the run's page
    assert len(find_runs(home)) == 2


@pytest.mark.parametrize("how", ["exclusive", "normal"])
def test_a_command_says_what_it_waits_for(database, home, monkeypatch, capsys, how):
    open_registry(home, create=True).close()
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", 1.0)
    monkeypatch.setattr(waiting, "TOLD_SECONDS", 0.2)
    monkeypatch.setattr(registry_db, "_migrated", {})
    for write in (
        lambda: queue.enqueue(home, str(database), {"name": "a", "table": "entry"}, None, 5),
        lambda: Run(home, "nanogpt-blog", str(database), "entry", {}),
    ):
        with locked(home, how), pytest.raises(RegistryLockedError):
            write()
        told = capsys.readouterr().err
        assert (
            told.count("Waiting up to 1 seconds for ") >= 1
            and f"{home / 'nanogpt.db'}: another program" in told
        )
        write()
        assert capsys.readouterr().err == ""


def test_nothing_is_said_of_other_slow_work(home, monkeypatch, capsys):
    open_registry(home, create=True).close()  # on a busy machine that takes longer than is waited for here
    monkeypatch.setattr(waiting, "TOLD_SECONDS", 0.05)
    with registry_db.registry(home, create=True):
        time.sleep(0.2)
    with registry_db.patience(0.01), registry_db.registry(home):  # a page
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
