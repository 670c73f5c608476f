"""Every route and method, for everyone, on everything: what is private does not show in any answer."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlite_utils
import yaml
from conftest import TEXTS, serve
from datasette.app import Datasette

from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web import polling
from datasette_nanogpt.web.child import do_queued

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
TINY |= {"max_iters": 4, "eval_interval": 2, "device": "cpu"}
ACTORS = {"anonymous": None} | {name: {"id": name} for name in ("reader", "writer", "trainer", "root")}
# Of the public table, of the private one, of a table of a database that is not attached.
NAMES = {"public": "nanogpt-open", "private": "nanogpt-hush", "elsewhere": "nanogpt-afar"}
SECRETS = ("hush", "afar", "zebra", "away")  # names and words of the private table and of the other database


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two databases, and a home with a model of each of three tables, and what these say of its rows."""
    folder = tmp_path_factory.mktemp("trained")
    texts = [{"id": i, "title": f"T{i}", "body": text} for i, text in enumerate(TEXTS)]
    db = sqlite_utils.Database(folder / "blog.db")
    db["entry"].insert_all(texts)
    db["hush"].insert_all(row | {"body": "zebra " + row["body"]} for row in texts)
    sqlite_utils.Database(folder / "away.db")["entry"].insert_all(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOGPT_HOME", str(folder / "models"))
        for kind, file, table in (
            ("public", "blog", "entry"),
            ("private", "blog", "hush"),
            ("elsewhere", "away", "entry"),
        ):
            database = str(folder / f"{file}.db")
            list(train_table(TrainOptions(database, table, name=NAMES[kind], **TINY)))
            settings = {"database": database, "table": [table], "name": NAMES[kind]}
            queue.enqueue(folder / "models", database, settings, None, 10, table)
            do_queued(queue.claim(folder / "models"), Stop(), lambda: None)
    return folder


@pytest.fixture
async def datasette(trained, home):
    shutil.copytree(trained / "models", home)
    ids = {"id": ["trainer", "root"]}
    datasette = await serve(
        trained / "blog.db",
        memory=True,
        config={
            "permissions": {"nanogpt-train": ids, "nanogpt-generate": {"id": ["writer", *ids["id"]]}},
            "databases": {"blog": {"tables": {"hush": {"allow": {"id": "root"}}}}},
        },
    )
    yield datasette
    datasette.close()


def routes(kind: str) -> list[tuple[str, str, dict, str]]:
    """(method, path, form, the permission it needs)"""
    run, table = {"public": (1, "entry"), "private": (3, "hush"), "elsewhere": (5, "nothing")}[kind]
    page = f"/blog/{table}/-/nanogpt"
    found = [
        ("GET", page, {}, "view-table"),
        ("GET", page + ".json", {}, "view-table"),
        ("POST", page, {"minutes": "1", "estimate": "1"}, "nanogpt-train"),
        ("POST", page, {"minutes": "1", "name": f"nanogpt-blog-{table}-new"}, "nanogpt-train"),
        ("GET", f"/-/nanogpt/runs/{run}", {}, "view-table"),
        ("GET", f"/-/nanogpt/runs/{run}.json", {}, "view-table"),
        ("GET", f"/-/nanogpt/runs/{run}.json?after=0.0", {}, "view-table"),
        ("GET", f"/-/nanogpt/runs/{run}.csv", {}, "view-table"),
    ]
    model = f"/-/nanogpt/models/{NAMES[kind]}"
    found += [("GET", model, {}, "view-table"), ("GET", model + ".json", {}, "view-table")]
    found += [("POST", model, {"max_tokens": "5", "seed": "1"}, "nanogpt-generate")]
    for change in ("copied", "surprise", "keep", "texts/1/remove"):
        found.append(("POST", f"{model}/{change}", {"text": "Row 1", "seed": "1"}, "nanogpt-generate"))
    found.append(("GET", f"/-/nanogpt/compare?run={run}&run={run}", {}, "view-table"))
    for path in ("", ".json", f".json?model={NAMES[kind]}&row=1&_sort_desc=bits_per_byte"):
        found.append(("GET", f"{page}/rows{path}", {}, "view-table"))
    found.append(("POST", f"{page}/rows", {}, "nanogpt-generate"))
    for path in ("", ".json", ".csv"):  # of the run that scored the rows
        found.append(("GET", f"/-/nanogpt/runs/{run + 1}{path}", {}, "view-table"))
    for number, permission in ((run, "nanogpt-train"), (run + 1, "nanogpt-generate")):
        for change in ("stop", "stop-now", "resume", "restore", "delete"):
            found.append(("POST", f"/-/nanogpt/runs/{number}/{change}", {"minutes": "1"}, permission))
    return found


def allowed(actor: str, kind: str, permission: str) -> bool:
    if kind == "elsewhere":
        return False
    if kind == "private":
        return actor == "root"
    if permission == "nanogpt-generate" and actor == "writer":
        return True
    return permission == "view-table" or actor in ("trainer", "root")


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("actor", ACTORS)
async def test_each_actor_may_do_on_each_route_what_the_permissions_say(datasette, home, actor, kind):
    queue.enqueue(home, "/nowhere.db", {"name": "afar-waiting", "table": "entry"}, None, 10)
    for method, path, form, permission in routes(kind):
        response = await datasette.client.request(method, path, data=form or None, actor=ACTORS[actor])
        may = allowed(actor, kind, permission)
        assert (response.status_code in (200, 302)) is may, (method, path, response.status_code)
        if not may:
            assert response.status_code in (403, 404), (method, path)
        if actor != "root" and "hush" not in path:
            leaked = [word for word in SECRETS if word in response.text]
            assert not leaked, (method, path, leaked)
        if actor != "root":
            assert "zebra" not in response.text, (method, path)
    for of, permission, waiting in (
        ("train", "nanogpt-train", ["afar-waiting"]),
        ("score", "nanogpt-generate", []),
    ):
        if not allowed(actor, kind, permission):  # then nothing has come of it
            queued = find_runs(home, "status = 'queued' and kind = ?", of)
            assert [row["name"] for row in queued] == waiting
            assert len(find_runs(home, "stop_requested = 0 and kind = ?", of)) == 3 + len(waiting)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("path", ["/-/nanogpt", "/-/nanogpt.json"])
async def test_the_index_shows_what_one_may_see(datasette, actor, path):
    text = (await datasette.client.get(path, actor=ACTORS[actor])).text
    assert "nanogpt-open" in text and "nanogpt-afar" not in text and "away" not in text
    assert ("nanogpt-hush" in text) is (actor == "root")


@pytest.mark.parametrize("kind", ["private", "elsewhere"])
async def test_what_is_hidden_looks_like_what_is_not_there(datasette, kind):
    for method, path, form, _ in routes(kind):
        if "/runs/" in path:
            hidden = await datasette.client.request(method, path, data=form or None, actor=ACTORS["trainer"])
            number = path.split("/")[3].partition(".")[0]
            missing = path.replace(f"/runs/{number}", "/runs/999")
            absent = await datasette.client.request(
                method, missing, data=form or None, actor=ACTORS["trainer"]
            )
            assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)


async def test_a_table_one_may_not_see_looks_like_one_that_is_not_there(datasette):
    for ext in ("", ".json", "/rows", "/rows.json"):
        answers = []
        for table in ("hush", "none"):
            response = await datasette.client.get(f"/blog/{table}/-/nanogpt{ext}", actor=ACTORS["trainer"])
            answers.append((response.status_code, response.text.replace(table, "X")))
        assert answers[0] == answers[1] and answers[0][0] == 404


async def test_a_run_one_may_not_see_is_not_read(datasette, monkeypatch):
    """What takes long would tell that there is something to hide."""
    read = []
    monkeypatch.setattr(polling, "read_run", lambda *args: read.append(args))
    asked = {}
    for name in (3, 5, 999, NAMES["private"], NAMES["elsewhere"], "nanogpt-none"):
        path = f"/-/nanogpt/runs/{name}" if isinstance(name, int) else f"/-/nanogpt/models/{name}"
        for ext in ("", ".json"):
            datasette._permission_checks.clear()
            response = await datasette.client.get(path + ext, actor=ACTORS["reader"])
            assert response.status_code == 404
            checks = [check for check in datasette._permission_checks if check.action == "view-table"]
            asked[path + ext] = len(checks)
    for json in (False, True):  # a page's menu asks as well
        assert len({n for path, n in asked.items() if path.endswith(".json") is json}) == 1, asked
    assert not read


async def test_a_name_that_is_taken_by_a_hidden_table_looks_like_any_other(datasette, home):
    taken, free = (NAMES["private"], NAMES["elsewhere"]), ("nanogpt-none", "mine")
    for form in ({}, {"replace": "1"}, {"estimate": "1"}):
        answers = set()
        for name in taken + free:
            response = await datasette.client.post(
                "/blog/entry/-/nanogpt", json={"name": name, **form}, actor=ACTORS["trainer"]
            )
            error = response.json()["error"]
            answers.add((response.status_code, error and error.replace(name, "NAME")))
        own = "nanogpt-blog-entry"
        assert answers == {(400, f"A model of this table can be called {own}, or {own}- and what you like")}
    page = (await datasette.client.get("/blog/entry/-/nanogpt", actor=ACTORS["trainer"])).text
    assert "nanogpt-blog-entry" in page  # the name that is offered does not depend on what is hidden
    assert not find_runs(home, "status = 'queued'")
    for form in ({"name": "nanogpt-blog-entry-mine"}, {"name": NAMES["public"], "replace": "1"}):
        sent = await datasette.client.post("/blog/entry/-/nanogpt", json=form, actor=ACTORS["trainer"])
        assert sent.status_code == 200, sent.text
    root = await datasette.client.post(
        "/blog/entry/-/nanogpt", json={"name": NAMES["private"]}, actor=ACTORS["root"]
    )
    assert root.json()["error"].endswith("is taken by another model: choose another")


@pytest.mark.parametrize(
    "condition", ["1 and (select 1 from hush)", "id in (select id from hush where body like 'zebra%')"]
)
async def test_sql_from_the_browser_needs_execute_sql(datasette, home, condition):
    datasette.config["databases"]["blog"]["allow_sql"] = {"id": "root"}
    page = "/blog/entry/-/nanogpt"
    for way in ({"json": {"where": condition}}, {"params": {"_where": condition}}):
        response = await datasette.client.post(page, actor=ACTORS["trainer"], **way)
        assert response.status_code == 403
    assert not find_runs(home, "status = 'queued'")
    response = await datasette.client.post(page, json={"where": condition}, actor=ACTORS["root"])
    assert response.status_code == 200 and len(find_runs(home, "status = 'queued'")) == 1


async def test_an_error_which_may_name_folders_is_for_those_who_can_act_on_it(datasette, home):
    with sqlite3.connect(home / "nanogpt.db") as db:
        db.execute("update runs set error = ? where id = 1", [f"There is no model in {home}"])
    for actor, seen in (("reader", False), ("trainer", True)):
        for path in ("/-/nanogpt/runs/1", "/-/nanogpt/runs/1.json", "/-/nanogpt.json", "/-/nanogpt"):
            text = (await datasette.client.get(path, actor=ACTORS[actor])).text
            assert str(home) not in text or seen, path
            assert (str(home) in text) == seen or path == "/-/nanogpt"


async def test_what_was_trained_on_a_query_needs_execute_sql(datasette, home):
    with sqlite3.connect(home / "nanogpt.db") as db:
        db.execute(
            "update runs set settings = json_set(json_remove(settings, '$.table'), '$.sql', 'select') "
            "where id = 1"
        )
    datasette.config["databases"]["blog"]["allow_sql"] = {"id": "root"}
    for actor, expected in (("reader", 404), ("trainer", 404), ("root", 200)):
        response = await datasette.client.get("/-/nanogpt/runs/1", actor=ACTORS[actor])
        assert response.status_code == expected


async def test_the_actions_are_denied_by_default(trained, datasette):
    bare = Datasette([str(trained / "blog.db")])
    await bare.invoke_startup()
    assert "Train a GPT" not in (await bare.client.get("/blog/entry", actor={"id": "reader"})).text
    assert (await bare.client.post("/blog/entry/-/nanogpt", actor={"id": "reader"})).status_code == 403
    await bare._nanogpt.close()
    bare.close()


async def test_the_rule_in_the_docs_lets_in_whom_it_names(tmp_path, home):
    text = (Path(__file__).parents[1] / "docs" / "permissions.md").read_text("utf-8")
    config = yaml.safe_load(re.search(r"```yaml\n(permissions:.*?)```", text, re.DOTALL)[1])
    db = sqlite_utils.Database(tmp_path / "blog.db")
    db["blog_entry"].insert_all({"body": text} for text in TEXTS)
    datasette = Datasette([str(tmp_path / "blog.db")], config=config)
    datasette.root_enabled = True
    for actor, expected in (("root", 200), ("simon", 200), ("reader", 403)):
        form = {"minutes": "1", "estimate": "1"}
        response = await datasette.client.post("/blog/blog_entry/-/nanogpt", data=form, actor={"id": actor})
        assert response.status_code == expected, actor
    await datasette._nanogpt.close()
    datasette.close()


async def test_a_post_from_another_site_is_refused(datasette, home):
    response = await datasette.client.post(
        "/-/nanogpt/runs/1/delete", headers={"sec-fetch-site": "cross-site"}, actor=ACTORS["root"]
    )
    assert response.status_code == 403 and find_runs(home, "id = 1")
    for change in ("stop", "stop-now", "resume", "restore", "delete"):
        response = await datasette.client.get(f"/-/nanogpt/runs/1/{change}", actor=ACTORS["root"])
        assert response.status_code == 405


# ---- nanogpt.db, where it is served

REGISTRY_PATHS = ["/{db}", "/{db}.json", "/{db}/samples", "/{db}/samples.json", "/{db}/samples.csv"]
REGISTRY_PATHS += ["/{db}/runs.json?_shape=array&_extra=query", "/{db}/samples/1", "/{db}/samples/1.json"]
REGISTRY_PATHS += [f"/{{db}}/-/query{ext}?sql=select+*+from+samples" for ext in ("", ".json", ".csv")]
REGISTRY_PATHS += ["/{db}/-/schema", "/{db}/-/schema.json", "/{db}.db", "/{db}/runs/-/schema"]
REGISTRY_PATHS += [
    "/{db}/runs/-/nanogpt",
    "/{db}/runs/-/nanogpt/rows.json",
    "/{db}/RUNS.json",
]


def served(trained, tmp_path, home, **config):
    """A Datasette of blog.db, the registry, and a copy of it under another name."""
    shutil.copytree(trained / "models", home)
    copy = shutil.copy(home / "nanogpt.db", tmp_path / "copy.db")
    files = [str(trained / "blog.db"), str(home / "nanogpt.db")]
    datasette = Datasette(files, immutables=[str(copy)], config=config, crossdb=True, memory=True)
    datasette.root_enabled = True
    return datasette


@pytest.mark.parametrize("actor", ["anonymous", "trainer", "root"])
@pytest.mark.parametrize("name", ["nanogpt", "copy"])
async def test_a_registry_that_is_served_is_for_root_alone(trained, tmp_path, home, actor, name):
    write = {"insert-row": {"id": "trainer"}, "execute-write-sql": {"id": "trainer"}}
    datasette = served(trained, tmp_path, home, permissions=write)
    statuses = {}
    for path in REGISTRY_PATHS:
        response = await datasette.client.get(path.format(db=name), actor=ACTORS[actor])
        statuses[path] = response.status_code
        assert actor == "root" or ("zebra" not in response.text and "quick brown" not in response.text), path
    if actor == "root":
        seen = {path for path, code in statuses.items() if code == 200}
        assert seen >= {path for path in REGISTRY_PATHS if "samples" in path}, statuses
    else:
        assert set(statuses.values()) <= {403, 404}, statuses
    row = {"row": {"name": "x", "status": "queued"}}
    response = await datasette.client.post(f"/{name}/runs/-/insert", json=row, actor=ACTORS["trainer"])
    assert response.status_code == 403
    for path in ("/", "/.json", "/-/databases.json", "/-/jump.json?q=samples"):
        text = (await datasette.client.get(path, actor=ACTORS[actor])).text
        assert actor == "root" or (f"/{name}" not in text and "samples" not in text), path
    sql = "select+*+from+nanogpt.samples"
    response = await datasette.client.get(f"/_memory/-/query.json?sql={sql}", actor=ACTORS[actor])
    assert (response.status_code == 200 and "quick" in response.text) is (actor == "root")
    assert (await datasette.client.get("/blog/entry.json")).status_code == 200
    await datasette._nanogpt.close()
    datasette.close()


async def test_a_rule_for_the_registry_lets_in_whom_it_names(trained, tmp_path, home):
    rules = {"nanogpt": {"allow": {"id": "reader"}}, "copy": {"allow_sql": True}}
    datasette = served(trained, tmp_path, home, databases=rules)
    for actor, expected in (("reader", 200), ("trainer", 403), ("anonymous", 403)):
        for path in ("/nanogpt/samples.json", "/nanogpt/-/query.json?sql=select+1"):
            assert (await datasette.client.get(path, actor=ACTORS[actor])).status_code == expected, (
                actor,
                path,
            )
        for path in ("/copy/samples.json", "/copy/-/query.json?sql=select+1"):
            assert (await datasette.client.get(path, actor=ACTORS[actor])).status_code == 403, (actor, path)
    await datasette._nanogpt.close()
    datasette.close()
