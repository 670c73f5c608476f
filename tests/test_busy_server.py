"""What a busy server answers: come back later, and nothing twice."""

import asyncio
import sqlite3
import time
from contextlib import closing

import pytest
import sqlite_utils
from conftest import HANG_SECONDS, serve, write_blog

from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry.db import RegistryError
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.web import menus, table_rows, threads, under_way

ROOT = {"id": "root"}
FORM = "/blog/entry/-/nanogpt"


@pytest.fixture
def database(tmp_path):
    return write_blog(tmp_path / "blog.db")


@pytest.fixture
async def datasette(database, home):
    datasette = await serve(database, config={"permissions": {"nanogpt-train": True}})
    yield datasette
    datasette.close()


@pytest.fixture
def busy(monkeypatch):
    """All threads that read databases are at work."""
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.1)
    for _ in range(threads.READERS):
        assert threads._free.acquire(blocking=False)
    yield
    for _ in range(threads.READERS):
        threads._free.release()


@pytest.fixture
def opened(monkeypatch):
    """The tables that were opened."""
    opened, open_source = [], table_rows.open_source
    monkeypatch.setattr(table_rows, "open_source", lambda *a: (opened.append(a[1]), open_source(*a))[1])
    return opened


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("method", "path", "how"),
    [
        ("get", FORM, {}),
        ("get", FORM + ".json", {}),
        ("post", FORM, {"json": {"minutes": 1, "estimate": 1}}),
        ("post", FORM, {"json": {"minutes": 1}}),
        ("post", FORM, {"data": {"minutes": "1"}}),
        ("post", "/blog/entry/-/nanogpt/rows", {"data": {"model": "nanogpt-blog"}}),
        ("post", "/-/nanogpt/models/nanogpt-blog/copied", {"json": {"text": "Row 1"}}),
    ],
)
async def test_a_busy_server_asks_to_come_back_later(
    datasette, home, database, make_model, method, path, how
):
    make_model("nanogpt-blog", meta={"source": {"database": str(database), "table": "entry"}})
    answer = await getattr(datasette.client, method)(path, actor=ROOT, **how)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    if "json" in how or path.endswith(".json"):
        assert not answer.json()["ok"] and "try again shortly" in answer.json()["error"]
    else:
        assert "try again shortly" in answer.text
    assert not (home / "nanogpt.db").exists() or not find_runs(home)


async def test_a_registry_that_cannot_be_written_is_no_mistake_in_the_form(datasette, monkeypatch):
    def enqueue(*args):
        raise RegistryError("Cannot write in /home/secret")

    monkeypatch.setattr("datasette_nanogpt.registry.queue.enqueue", enqueue)
    answer = await datasette.client.post(FORM, json={"minutes": 1}, actor=ROOT)
    assert answer.status_code == 503 and "secret" not in answer.text


async def test_no_table_page_hangs_on_a_registry_that_somebody_has_locked(
    datasette, home, database, make_model, monkeypatch
):
    make_model("nanogpt-blog", meta={"source": {"database": str(database), "table": "entry"}})
    await datasette.client.post(FORM, json={"minutes": 1, "name": "x"}, actor=ROOT)
    monkeypatch.setattr(registry_db, "BUSY_SECONDS", HANG_SECONDS)  # as long as a run might wait
    for module in (under_way, menus):
        monkeypatch.setattr(module, "REGISTRY_SECONDS", 0.05)
    with closing(sqlite3.connect(home / "nanogpt.db")) as db:
        db.execute("pragma locking_mode = exclusive")
        db.execute("begin exclusive")
        began = time.monotonic()
        for path in ("/", "/blog", "/blog/entry", "/blog/entry/3"):
            for actor in (ROOT, None):
                assert (await datasette.client.get(path, actor=actor)).status_code == 200
        assert time.monotonic() - began < HANG_SECONDS


async def test_a_table_is_opened_once_until_it_changes(datasette, database, opened):
    for form in ({}, {"minutes": 10}, {"name": "../x"}, {"n_layer": 0, "estimate": 1}):
        await datasette.client.post(FORM, json={"estimate": 1, **form}, actor=ROOT)
        assert len(opened) == 1, form
    await datasette.client.get(FORM, actor=ROOT)
    started = await datasette.client.post(FORM, json={"minutes": 1}, actor=ROOT)
    assert started.status_code == 200 and len(opened) == 1
    sqlite_utils.Database(database)["entry"].delete(1)
    assert "299 rows" in (await datasette.client.get(FORM, actor=ROOT)).text
    assert len(opened) == 2


async def test_who_asks_for_the_same_at_once_shares_the_work(datasette, opened):
    actors = [ROOT, ROOT, {"id": "someone"}, None]
    forms = [{"minutes": minutes, "estimate": 1} for minutes in (1, 1, 1, 3)]
    asks = [datasette.client.post(FORM, json=form, actor=a) for form, a in zip(forms, actors, strict=True)]
    answers = await asyncio.gather(*asks)
    assert [answer.status_code for answer in answers] == [200] * 4 and len(opened) == 1
    assert not datasette._nanogpt.reading


async def test_who_stops_waiting_takes_nothing_from_the_others(datasette, opened):
    state = datasette._nanogpt
    first, second = (asyncio.ensure_future(state.read_once(str.upper, "a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "A" and not state.reading


async def test_a_failure_is_everybodys_and_is_not_kept(datasette):
    state, fails = datasette._nanogpt, [ValueError("no"), None]

    def read():
        if error := fails.pop(0):
            raise error
        return 1

    answers = await asyncio.gather(*(state.read_once(read) for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no"] * 3
    assert await state.read_once(read) == 1
