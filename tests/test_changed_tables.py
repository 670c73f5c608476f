"""What pages say if a table, a database or a model goes away under them, and to whom."""

import shutil

import pytest
import sqlite_utils
from conftest import TEXTS, serve, write_blog

from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.runs import find_run
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.web.child import do_queued

ROOT, WRITER = {"id": "root"}, {"id": "writer"}
CONFIG = {
    "permissions": {"nanogpt-generate": {"id": "writer"}},
    "databases": {"blog": {"tables": {"secret": {"allow": {"id": "root"}}}}},
}
MODEL = "/-/nanogpt/models/nanogpt-blog"


@pytest.fixture
def database(tmp_path):
    path = write_blog(tmp_path / "blog.db", ("entry", "secret"))
    return path


@pytest.fixture
async def datasette(database, make_model):
    source = {"database": str(database), "table": "entry", "title": "title", "body": ["body"]}
    make_model("nanogpt-blog", meta={"source": source})
    # In one thread, whose connection stays open: once a second Datasette looks at the schema of each
    # database, and another thread, which it begins when the first is busy, cannot open a deleted file.
    datasette = await serve(database, config=CONFIG, settings={"num_sql_threads": 1})
    yield datasette
    datasette.close()


def rename_table(database):
    sqlite_utils.Database(database).execute("alter table entry rename to moved")


def rename_column(database):
    sqlite_utils.Database(database).execute("alter table entry rename column body to words")


def delete(database):
    database.unlink()


@pytest.mark.parametrize("change", [rename_table, rename_column, delete])
async def test_who_may_only_write_learns_of_no_folder_and_no_other_table(datasette, home, database, change):
    change(database)
    await datasette.refresh_schemas(force=True)  # as on a slow machine, where more than a second has passed
    long = " ".join(TEXTS[:3])
    answers = [
        await datasette.client.post(MODEL + "/copied", json={"text": long}, actor=WRITER),
        await datasette.client.get(MODEL + "?table=entry&row=3", actor=WRITER),
    ]
    assert [answer.status_code for answer in answers] == [400, 200]
    settings = {"database": str(database), "table": ["entry"], "name": "nanogpt-blog"}
    run = queue.enqueue(home, str(database), settings, WRITER, 9, "entry")
    do_queued(run, Stop(), lambda: None)
    told = find_run(home, run)
    assert told["status"] == "failed"
    for text in (*(answer.text for answer in answers), told["error"]):
        assert str(database.parent) not in text and "secret" not in text and "moved" not in text
        assert "no longer there" in text or "no column body" in text or "blog.db" in text


def test_a_scoring_whose_model_is_gone_says_so_without_its_folder(home, database):
    settings = {"database": str(database), "table": ["entry"], "name": "nanogpt-blog"}
    run = queue.enqueue(home, str(database), settings, WRITER, 9, "entry")
    do_queued(run, Stop(), lambda: None)
    error = find_run(home, run)["error"]
    assert "There is no model 'nanogpt-blog'" in error and str(home.parent) not in error


async def test_a_model_or_a_database_that_is_gone_was_never_there(datasette, home, database):
    shutil.rmtree(home / "nanogpt-blog")
    for change in ("", "/copied", "/surprise", "/keep"):
        answer = await datasette.client.post(MODEL + change, json={"prompt": "Row", "text": "x"}, actor=ROOT)
        assert answer.status_code == 404, change
    datasette.remove_database("blog")
    for path in ("/-/nanogpt", "/-/nanogpt.json"):
        assert (await datasette.client.get(path, actor=ROOT)).status_code == 200


async def test_a_second_start_of_the_same_form_marks_its_name(datasette, home):
    for field in ("json", "data"):
        form = {"minutes": "1"}
        await datasette.client.post("/blog/entry/-/nanogpt", data=form, actor=ROOT)
        answer = await datasette.client.post("/blog/entry/-/nanogpt", **{field: form}, actor=ROOT)
        assert answer.status_code == 400
        if field == "json":
            assert [problem["field"] for problem in answer.json()["problems"]] == ["name"]
        else:
            assert "Nothing was started: 1 field is wrong" in answer.text
            assert "waiting already: choose another name" in answer.text


async def test_the_form_offers_a_name_that_no_unfinished_run_has(datasette, home):
    names = []
    for _ in range(3):
        form = (await datasette.client.get("/blog/entry/-/nanogpt.json", actor=ROOT)).json()["offer"]
        names.append(form["name"])
        answer = await datasette.client.post("/blog/entry/-/nanogpt", data={"name": names[-1]}, actor=ROOT)
        assert answer.status_code == 302
    assert names == ["nanogpt-blog-2", "nanogpt-blog-3", "nanogpt-blog-4"]  # there is a model nanogpt-blog
