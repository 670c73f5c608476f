"""Lists of many models and runs: what they show, and that they ask for little."""

import os
import re
import shutil
import sqlite3

import pytest
from conftest import serve

from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.web.model_cache import ModelCache

ROOT = {"id": "root"}


def add_models(make_model, database, count: int, table: str = "entry", name: str = "m"):
    """Models of a table, trained on 28 days in turn: copies of the first one, which is made."""
    source = {"database": str(database), "table": table, "rows": 3}
    training = {"updated": "2026-01-01T10:00:00Z"}
    first = make_model(f"{name}0", meta={"source": source, "training": training})
    for i in range(1, count):
        folder = first.with_name(f"{name}{i}")
        shutil.copytree(first, folder)
        meta = folder / "nanogpt.json"
        meta.write_text(meta.read_text().replace("2026-01-01", f"2026-01-{i % 28 + 1:02}"))


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    with sqlite3.connect(path) as db:
        for table in ("entry", "note", "quiet"):
            db.execute(f"create table {table} (id integer primary key, body text)")
            db.executemany(f"insert into {table} (body) values (?)", [(f"Text {i}",) for i in range(3)])
    return path


@pytest.fixture
async def datasette(database):
    datasette = await serve(database)
    yield datasette
    datasette.close()


async def text_of(datasette, path, actor=ROOT):
    response = await datasette.client.get(path, actor=actor)
    assert response.status_code == 200, response.text
    return response.text


async def test_models_come_in_pages_the_last_trained_first(datasette, database, make_model):
    add_models(make_model, database, 53)
    seen = []
    for number, count in ((1, 50), (2, 3), (99, 3)):
        text = await text_of(datasette, f"/-/nanogpt?page={number}")
        names = re.findall(r'<h3><a href="/-/nanogpt/models/(\w+)">', text)
        assert len(names) == count and f"Page {min(number, 2)} of 2" in text
        assert ("Next page" in text, "Previous page" in text) == (number == 1, number > 1)
        seen += names if number < 3 else []
    assert len(set(seen)) == 53 and {"m27"} <= set(seen[:2]) and {"m0", "m28"} & set(seen[-4:])
    for odd in ("-1", "x", "", "9" * 5000, "²"):
        assert "Page 1 of 2" in await text_of(datasette, f"/-/nanogpt?page={odd}")
    assert len((await datasette.client.get("/-/nanogpt.json", actor=ROOT)).json()["models"]) == 53
    form = await text_of(datasette, "/blog/entry/-/nanogpt")
    assert "These are the last 50 of 53." in form and form.count("replace m") == 53


async def test_few_models_have_no_pages(datasette, database, make_model):
    add_models(make_model, database, 2)
    assert "Page 1" not in await text_of(datasette, "/-/nanogpt")
    assert "These are the last" not in await text_of(datasette, "/blog/entry/-/nanogpt")


@pytest.mark.parametrize("actor", [None, ROOT])
async def test_a_table_page_asks_once_about_the_models_of_its_table(
    datasette, database, make_model, monkeypatch, actor
):
    """Not for each model whether one may see it and write with it, and not of which table it is."""
    asked = []

    async def allowed(self, *, action, resource=None, actor=None):
        asked.append((action, getattr(resource, "child", None)))
        return await ask(self, action=action, resource=resource, actor=actor)

    ask = type(datasette).allowed
    monkeypatch.setattr(type(datasette), "allowed", allowed)
    counts = []
    for name in ("few", "more"):
        add_models(make_model, database, 20, name=name)
        asked.clear()
        await text_of(datasette, "/blog/entry", actor)
        counts.append(len(asked))
    assert counts[0] == counts[1] and ("view-table", "quiet") not in asked


def test_models_are_read_again_where_a_folder_changed(home, database, make_model):
    add_models(make_model, database, 1)
    add_models(make_model, database, 1, table="note", name="n")
    cache = ModelCache(home)

    def names():
        return {source[1]: [model.name for model in models] for source, models in cache.read().items()}

    assert names() == {("entry",): ["m0"], ("note",): ["n0"]}
    assert cache.read() is cache.read()  # nothing changed: nothing is made anew
    meta = home / "n0/nanogpt.json"
    meta.write_text(meta.read_text().replace('"note"', '"quiet"'))  # in place, as an editor may do it
    assert names() == {("entry",): ["m0"], ("quiet",): ["n0"]}
    (home / "m0/model.safetensors").unlink()
    assert names() == {("quiet",): ["n0"]}
    os.rename(home / "n0", home / "other")
    assert [model.path.name for [model] in cache.read().values()] == ["other"]
    shutil.rmtree(home / "other")
    before = cache.read(max_age=60)
    assert before == cache.read(max_age=60) and cache.read() == {}


def test_a_model_that_is_saved_while_two_pages_read_is_found(home, database, make_model):
    class Interrupted(ModelCache):
        """Another page reads, and finds a new model, when the first one has begun to keep what it read."""

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if interrupt:
                interrupt.clear()
                add_models(make_model, database, 1, name="new")
                self.read()

    interrupt = []
    cache = Interrupted(home)
    add_models(make_model, database, 1)
    interrupt.append(True)
    cache.read()
    assert [model.name for models in cache.read().values() for model in models] == ["m0", "new0"]


def test_who_scored_a_table_is_found_without_reading_its_trainings(home):
    with registry(home, create=True) as db:
        select = "select distinct name from runs where kind = 'score' and database = ? and \"table\" = ?"
        plan = db.execute(f"explain query plan {select}", ["a", "b"]).fetchall()
        assert "idx_runs_scored_table" in plan[0]["detail"]
        # The index does not take questions about a name away from theirs.
        select = "select max(id) from runs where name = ? and kind = 'train' and \"table\" = ?"
        assert "idx_runs_name_kind" in db.execute(f"explain query plan {select}", ["a", "b"]).fetchone()[3]
