"""The page of a run: its states, what its chart is told, and how it goes on after a server was lost."""

import json

import pytest
import sqlite_utils
from conftest import TEXTS

from datasette_nanogpt.events import Part
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.runs import find_run
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table

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
