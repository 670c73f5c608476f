"""The page of a run: its states, what its chart is told, and how it goes on after a server was lost."""

import json
import shutil
import subprocess

import pytest
import sqlite_utils
from conftest import TEXTS

from datasette_nanogpt.events import Part, Position, TrainState
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.restart import restart_interrupted
from datasette_nanogpt.registry.runs import find_run, mark_dead_runs
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.train_state import write_state

ROOT = {"id": "root"}
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}


@pytest.fixture
def database(tmp_path):
    rows = [{"id": i, "title": f"<b>T{i}</b>", "body": text} for i, text in enumerate(TEXTS)]
    sqlite_utils.Database(tmp_path / "blog.db")["entry"].insert_all(rows, pk="id")
    return tmp_path / "blog.db"


def train(database, **changes):
    options = TINY | {"max_iters": 8, "eval_interval": 4, "device": "cpu"} | changes
    return list(train_table(TrainOptions(str(database), "entry", **options)))


def test_the_work_before_training_is_told_part_by_part(home, database):
    """What the page of a run ticks off: each part in its order, and at the end what it came to."""
    train(database)
    parts = json.loads(find_run(home, 1)["preparing"])
    names = [part[0] for part in parts]
    assert names == [part for part in Part if part in names] and {*names} >= {*Part} - {Part.DEDUPLICATING}
    counts = {part[0]: part[1] for part in parts}
    plan = json.loads(find_run(home, 1)["plan"])
    assert counts[Part.READING] == plan["corpus"]["documents"]
    assert counts[Part.VOCABULARY] == plan["config"]["vocab_size"]
    train(database)  # from the cache
    assert {part[0]: part[1] for part in json.loads(find_run(home, 2)["preparing"])} == counts
    assert 0 < plan["gzip_bpb"] < 8
    with registry(home) as db:
        assert {row[0] for row in db.execute("select generation from metrics")} == {0}


# ---- After a server was lost


@pytest.fixture
def interrupted(home, database):
    """A run that a server began, which got to step 9 in 2 of 10 minutes and had last saved its state at step
    5."""
    settings = {
        "database": str(database),
        "table": "entry",
        "name": "x",
        "minutes": 10,
        "size": "xs",
        "force": True,
    }
    run = queue.enqueue(home, str(database), settings, {"id": "ann"}, 10)
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=5, seconds=120.0)))
    with registry(home) as db:
        db.execute("update runs set status = 'running', step = 9, val_bpb = 2.0, process = 'x'")
        for step in range(1, 10):
            db.execute("insert into metrics (run, step) values (?, ?)", [run, step])
    queue.interrupt(home, run)
    return run


def dead_process():
    gone = subprocess.Popen(["sleep", "60"])
    process = process_id(gone.pid)
    gone.kill()
    gone.wait()
    return process


def test_a_run_that_lost_its_server_goes_on_from_its_last_state(home, interrupted):
    assert find_run(home, interrupted)["goes_on"] == 1
    assert restart_interrupted(home, 3) == [interrupted] and restart_interrupted(home, 3) == []
    run = find_run(home, interrupted)
    settings = json.loads(run["settings"])
    assert (run["status"], run["error"], run["restarts"]) == ("queued", None, 1)
    assert settings["resume"] and settings["size"] == "xs" and "force" not in settings
    with registry(home) as db:
        assert [row[0] for row in db.execute("select step from metrics")] == [1, 2, 3, 4, 5]


def test_it_goes_on_by_itself_only_so_often(home, interrupted):
    for _ in range(2):
        assert restart_interrupted(home, 2) == [interrupted]
        with registry(home) as db:
            db.execute("update runs set status = 'running'")
        queue.interrupt(home, interrupted)
    assert restart_interrupted(home, 2) == []
    run = find_run(home, interrupted)
    assert (run["status"], run["goes_on"]) == ("interrupted", None) and "max_restarts" in run["error"]


def test_without_a_saved_state_it_starts_anew(home, interrupted):
    shutil.rmtree(home / "x")
    assert restart_interrupted(home, 3) == [interrupted]
    run = find_run(home, interrupted)
    assert "resume" not in json.loads(run["settings"]) and run["val_bpb"] is None
    with registry(home) as db:
        assert not db.execute("select * from metrics").fetchall()


@pytest.mark.parametrize(
    "why", ["a person stopped it", "another run of it", "its minutes are over", "a terminal"]
)
def test_what_does_not_go_on_by_itself(home, interrupted, database, why):
    if why == "a person stopped it":
        queue.ask_to_stop(home, interrupted, 1)
    elif why == "another run of it":
        settings = {"database": str(database), "table": "entry", "name": "x", "resume": True}
        again = queue.enqueue(home, str(database), settings, None, 10)
        with registry(home) as db:
            db.execute("update runs set val_bpb = 1.9 where id = ?", [again])
    elif why == "its minutes are over":
        write_state(home / "x", TrainState({}, Position(step=9, seconds=600.0)))
    else:
        with registry(home) as db:
            db.execute(
                "update runs set status = 'running', goes_on = null, actor = null, process = ?",
                [dead_process()],
            )
        mark_dead_runs(home)
    assert restart_interrupted(home, 3) == []
    run = find_run(home, interrupted)
    assert (run["status"], run["goes_on"]) == ("interrupted", None)


def test_a_machine_that_went_down_is_a_lost_server(home, interrupted):
    with registry(home) as db:
        db.execute("update runs set status = 'running', goes_on = null, process = ?", [dead_process()])
    mark_dead_runs(home)
    assert restart_interrupted(home, 3) == [interrupted]
