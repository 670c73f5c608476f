"""What the pages offer to whom, and what they have in them: menus, forms, the rows and the index."""

import re

import pytest
import sqlite_utils
from conftest import TEXTS, write_model
from datasette.app import Datasette

ROOT, WRITER = {"id": "root"}, {"id": "writer"}


@pytest.fixture
def database(tmp_path, home, bpe):
    """A table with a model, one without, and an empty one."""
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    rows = [{"id": i, "title": f"Title <b> {i}", "body": text} for i, text in enumerate(TEXTS)]
    db["entry"].insert_all(rows, pk="id")
    db["hush"].insert_all(rows)
    db["empty"].create({"body": str})
    db.create_view("no_rows", "select * from empty")
    table = {"table": "entry", "title": "title", "body": ["body"]}
    source = {"database": str(path), "table": "entry", "rows": 300, "tables": [table]}
    write_model(home / "nanogpt-blog", bpe, meta={"source": source})
    return path


async def serve(database, **config):
    datasette = Datasette([str(database)], memory=True, config=config)
    datasette.root_enabled = True
    await datasette.invoke_startup()
    datasette._background_tasks._launched = True  # the queue is looked at, not worked off
    return datasette


@pytest.fixture
async def datasette(database):
    datasette = await serve(database)
    yield datasette
    datasette.close()


async def text_of(datasette, path, actor=ROOT, status=200):
    response = await datasette.client.get(path, actor=actor)
    assert response.status_code == status, response.text
    return response.text


# ---- Menus

HUSH = {"tables": {"hush": {"allow": {"id": "root"}}}}


@pytest.mark.parametrize("action", ["nanogpt-generate", "nanogpt-train"])
@pytest.mark.parametrize("of", ["instance", "database", "table"])
async def test_the_main_menu_has_gpts_for_whoever_may_use_one(database, action, of):
    """Datasette's list of what is allowed is empty where another table denies what its database allows."""
    rule = {"permissions": {action: {"id": "writer"}}}
    blog = {
        "instance": HUSH,
        "database": HUSH | rule,
        "table": {"tables": HUSH["tables"] | {"entry": rule}},
    }[of]
    datasette = await serve(database, databases={"blog": blog}, **(rule if of == "instance" else {}))
    assert 'href="/-/nanogpt"' in await text_of(datasette, "/", WRITER)
    assert 'href="/-/nanogpt"' not in await text_of(datasette, "/", {"id": "reader"})
    datasette.close()


async def test_training_is_offered_where_it_can_be_done(datasette):
    await datasette.add_memory_database("passing").execute_write("create table t (body text)")
    await datasette.get_database("passing").execute_write("insert into t values ('a text')")
    for path, offered in (
        ("/blog/entry", True),
        ("/blog/hush", True),
        ("/blog/empty", False),
        ("/blog/no_rows", False),
        ("/passing/t", False),
    ):
        assert ("Train a GPT on this table" in await text_of(datasette, path)) is offered, path
    # Who comes there all the same is told why not.
    assert "is empty" in await text_of(datasette, "/blog/empty/-/nanogpt", status=400)


async def test_the_menus_of_a_table_and_its_rows_lead_to_its_model(datasette):
    assert "Write with nanogpt-blog" in await text_of(datasette, "/blog/entry")
    assert "Write with" not in await text_of(datasette, "/blog/entry", WRITER)
    assert "Write with" not in await text_of(datasette, "/blog/hush")
    menu = await text_of(datasette, "/blog/entry/7")
    for label in ("Continue this row", "Colour by surprise"):
        assert label in menu and label not in await text_of(datasette, "/blog/entry/7", WRITER)


# ---- What a strict Content-Security-Policy refuses

PAGES = (
    "/-/nanogpt",
    "/blog/entry/-/nanogpt",
    "/blog/entry/-/nanogpt/rows",
    "/-/nanogpt/models/nanogpt-blog",
)


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_of_ours_is_inline(datasette, path):
    ours = (await text_of(datasette, path)).split('<section class="content"', 1)[1].split("</section>")[0]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"application/json\")", ours)
