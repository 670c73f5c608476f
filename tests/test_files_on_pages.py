"""Model folders that somebody damaged, in a server: every page is there, and says what is wrong."""

import json
import shutil

import numpy as np
import pytest
from conftest import HANG_SECONDS, serve, write_blog, write_model
from test_files_of_others import BROKEN, SECONDS, meta, spoil, tokenizer

from llm_nanogpt.change_steps import replaced

ROOT = {"id": "root"}


@pytest.fixture
def database(tmp_path):
    return write_blog(tmp_path / "blog.db")


@pytest.fixture
async def datasette(database, home):
    datasette = await serve(database)
    yield datasette
    datasette.close()


def source(database):
    table = {"table": "entry", "title": "title", "body": ["body"], "rows": 300}
    return {"database": str(database), "table": "entry", "rows": 300, "tables": [table]}


PAGES = (
    "/blog/entry",
    "/-/nanogpt",
    "/blog/entry/-/nanogpt",
    "/blog/entry/-/nanogpt/rows",
    "/-/nanogpt.json",
)


async def assert_all_pages(datasette, names=("hurt", "fine")):
    cookies = {"ds_actor": datasette.sign({"a": ROOT}, "actor")}
    for page in (*PAGES, *(f"/-/nanogpt/models/{name}" for name in names)):
        response = await datasette.client.get(page, cookies=cookies, follow_redirects=True)
        assert response.status_code < 500, (page, response.text[-2000:])
    response = await datasette.client.get("/blog/entry")  # as nobody
    assert response.status_code == 200


async def test_no_damaged_folder_breaks_a_page(datasette, database, home, bpe):
    write_model(home / "fine", bpe, meta={"source": source(database)})
    cases = {f"hurt-{number}": damage for number, damage in enumerate([*BROKEN.values()][::5])}
    for name, damage in cases.items():
        damage(write_model(home / name, bpe, meta={"source": source(database)}))
    await assert_all_pages(datasette, [*list(cases)[:3], "fine"])


# What is of its type, and still not what a run writes.
ODD = {
    "no table": lambda path: meta(source={"database": str(path)}),
    "no name of a table": lambda path: meta(source={"database": str(path), "tables": []}),
    "a table that is not there": lambda path: meta(source={"database": str(path), "table": "gone"}),
    "columns that are not there": lambda path: meta(
        source=source(path) | {"tables": [{"table": "entry", "title": "gone", "body": ["lost"]}]}
    ),
    "no columns": lambda path: meta(source=source(path) | {"tables": [{"table": "entry"}]}),
    "a template that is none": lambda path: meta(
        source=source(path) | {"template": "{{ body", "tables": None}
    ),
    "a template of a table that is none": lambda path: meta(
        source=source(path) | {"tables": [{"table": "entry", "body": ["body"], "template": "{% for"}]}
    ),
    "a column that is not there": lambda path: meta(
        source=source(path) | {"tables": [{"table": "entry", "body": ["body"], "template": "{{ gone }}"}]}
    ),
    "a group that is none": lambda path: meta(
        source=source(path) | {"tables": [{"table": "entry", "body": ["body"], "group_by": "gone("}]}
    ),
    "SQL that is none": lambda path: meta(source={"database": str(path), "sql": "select"}),
    "kinds of another version": lambda path: meta(
        source=source(path)
        | {"tables": [{"table": "entry", "body": ["body"], "kinds": {"body": {"new": 1}, "title": None}}]}
    ),
    "nulls": lambda path: meta(
        source=source(path) | {"rows": None},
        score=None,
        training=None,
        corpus=None,
        verdict=None,
        options=None,
    ),
    "a score alone": lambda path: meta(source=source(path), score={"val_bpb": 1.5}),
    "rows below zero": lambda path: meta(source=source(path) | {"rows": -5}, training={"updated": "never"}),
    "a date of letters": lambda path: meta(source=source(path), training={"updated": "<b>x</b>" * 1000}),
}


async def test_no_odd_facts_break_a_page(datasette, database, home, bpe):
    names = {f"hurt-{number}": case for number, case in enumerate(ODD)}
    for name, case in names.items():
        ODD[case](database)(write_model(home / name, bpe, meta={"source": source(database)}))
    await assert_all_pages(datasette, names)
    for name, case in names.items():
        lines = await write(datasette, name)
        assert lines is None or "done" in lines[-1] or "should not have" not in lines[-1]["error"], (
            case,
            lines,
        )


async def write(datasette, name="hurt"):
    """The lines of a text from the playground; None where there is no such page."""
    cookies = {"ds_actor": datasette.sign({"a": ROOT}, "actor")}
    response = await datasette.client.post(
        f"/-/nanogpt/models/{name}",
        json={"prompt": "Row", "max_tokens": 3},
        cookies=cookies,
        timeout=HANG_SECONDS,
    )
    if response.status_code in (403, 404):
        return None
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: spoil(folder, np.nan), "weights are damaged"),
        (
            tokenizer(lambda s: s["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex="(a+)+$")),
            "cuts words by a regex",
        ),
        (tokenizer(lambda s: s["model"].update(vocab={})), "Model 'hurt' is broken"),
    ],
)
async def test_a_broken_model_says_so_in_the_playground(datasette, database, home, bpe, damage, reason):
    folder = write_model(home / "hurt", bpe, meta={"source": source(database)})
    damage(folder)
    lines = await write(datasette)
    assert reason in lines[-1]["error"], lines
    assert SECONDS and not replaced(folder).exists()
    shutil.rmtree(folder)


async def test_what_nobody_foresaw_is_said_in_the_playground(datasette, database, home, bpe, monkeypatch):
    from datasette_nanogpt.web import playground

    write_model(home / "hurt", bpe, meta={"source": source(database)})
    monkeypatch.setattr(playground, "generate_texts", lambda *args: {}["a surprise"])
    assert "should not have happened: KeyError" in (await write(datasette))[-1]["error"]


@pytest.mark.parametrize("form", ["", ".json"])
async def test_a_registry_that_cannot_be_used_is_told_without_its_place(datasette, database, home, bpe, form):
    """Not by an error of the server's: that would cost it a second, and name folders to everyone."""
    write_model(home / "fine", bpe, meta={"source": source(database)})
    (home / "nanogpt.db").write_bytes(b"noise" * 1000)
    cookies = {"ds_actor": datasette.sign({"a": ROOT}, "actor")}
    response = await datasette.client.get(f"/-/nanogpt/models/fine{form}", cookies=cookies)
    assert response.status_code == 503 and "cannot be used at the moment" in response.text
    assert str(home) not in response.text
    headers = {"content-type": "application/json"}
    keep = json.dumps({"text": "x", "prompt": "", "seed": 1})
    response = await datasette.client.post(
        "/-/nanogpt/models/fine/keep", content=keep, headers=headers, cookies=cookies
    )
    assert response.status_code in (400, 503) and str(home) not in response.text
