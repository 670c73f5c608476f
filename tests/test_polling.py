"""The answers to pages that follow a run, and what they cost."""

import asyncio

import pytest

from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import open_registry, registry
from datasette_nanogpt.registry.metrics import metrics_after, samples_after, scores_of
from datasette_nanogpt.web import polling


@pytest.fixture
def run(home):
    run = queue.enqueue(home, "/x.db", {"name": "x", "table": "t"}, None, 10)
    write(home, run, 100)
    return run


def write(home, run, metrics):
    with registry(home) as db:
        for step in range(metrics):
            db.execute("insert into metrics (run, step, train_bpb) values (?, ?, 2)", [run, step])
        db.execute("insert into samples (run, step, sample) values (?, ?, 'x')", [run, metrics])


async def test_only_what_is_new_is_told(home, run):
    poller = polling.RunPoller(home)
    first = await poller.poll(run, (0, 0))
    assert len(first["metrics"]) == 100 and first["next"] == "100.1"
    write(home, run, 3)
    rest = await poller.poll(run, (100, 1))
    assert [row[0] for row in rest["metrics"]] == [101, 102, 103] and len(rest["samples"]) == 1
    assert (await poller.poll(run, (103, 2)))["next"] == "103.2"
    assert await poller.poll(run + 1, (0, 0)) is None


async def test_those_who_ask_the_same_share_an_answer_for_a_moment(home, run, monkeypatch):
    monkeypatch.setattr(polling, "FRESH_SECONDS", 600)
    poller = polling.RunPoller(home)
    twenty = await asyncio.gather(*(poller.poll(run, (90, 0)) for _ in range(20)))
    assert all(answer is twenty[0] for answer in twenty) and len(twenty[0]["metrics"]) == 10
    queue.ask_to_stop(home, run, 1)
    assert (await poller.poll(run, (90, 0)))["row"]["status"] == "queued"
    poller.forget()
    assert (await poller.poll(run, (90, 0)))["row"]["status"] == "stopped"
    write(home, run, 1)
    monkeypatch.setattr(polling, "FRESH_SECONDS", 0)
    assert len((await poller.poll(run, (90, 0)))["metrics"]) == 11
    assert len(poller.answers) == 1  # the old ones are not kept


async def test_one_who_goes_away_takes_the_answer_from_nobody(home, run):
    poller = polling.RunPoller(home)
    leaving = asyncio.create_task(poller.poll(run, (0, 0)))
    staying = asyncio.create_task(poller.poll(run, (0, 0)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert len((await staying)["metrics"]) == 100


def test_sqlite_finds_what_is_new_without_reading_the_history(home, run):
    db = open_registry(home)
    said = []
    db.set_trace_callback(said.append)
    metrics_after(db, run, 90), samples_after(db, run, 1)
    db.set_trace_callback(None)
    for select in said:
        (plan,) = (row[3] for row in db.execute("explain query plan " + select))
        assert "(run=? AND rowid>?)" in plan
    assert len(said) == 2
    said.clear()
    db.set_trace_callback(said.append)
    scores_of(db, run)
    db.set_trace_callback(None)
    (plan,) = (row[3] for row in db.execute("explain query plan " + said[0]))
    assert "idx_metrics_scores" in plan
