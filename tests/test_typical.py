"""How typical rows are: scored by a real child, shown on real pages."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import llm.cli
import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import TEXTS, serve

from datasette_nanogpt.data.model_rows import open_rows
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry import row_scores as typical
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.runs import OVER, find_runs, mark_dead_runs
from datasette_nanogpt.registry.statements import update_run
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web import score_rows
from datasette_nanogpt.web.child import do_queued
from datasette_nanogpt.web.shown_models import best_first
from datasette_nanogpt.web.standing import standing
from datasette_nanogpt.web.worker import Worker
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.loading import open_model
from llm_nanogpt.score import score

ROOT, READER = {"id": "root"}, {"id": "reader"}
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
TINY |= {"max_iters": 4, "device": "cpu"}
SMALL = {key: value for key, value in TINY.items() if key != "vocab_size"}
ODD = "a b/c'd\"é<i>"
# Tables by their key: a number, none, a text of any letters, two that are not in the order of the columns.
KEYED = {"entry": "id", "bare": None, ODD: "slug", "pair": ("day", "slug")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A database, and a home with a model of each of its tables and one of two of them."""
    folder = tmp_path_factory.mktemp("rows")
    db = sqlite_utils.Database(folder / "blog.db")
    rows = [
        {"slug": f"s/{i},~é 'x'", "id": i + 7, "day": f"d {i % 50}", "title": f"T{i}", "body": text}
        for i, text in enumerate(TEXTS[:60])
    ]
    for table, key in KEYED.items():
        db[table].insert_all(({**row} if key else {"body": row["body"]} for row in rows), pk=key)
    db["entry"].insert({"slug": "none", "id": 100, "day": "", "title": None, "body": None})
    db.create_view("long", "select * from entry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOGPT_HOME", str(folder / "models"))
        for i, table in enumerate([*KEYED, "long", ("bare", "pair")]):
            list(train_table(TrainOptions(str(folder / "blog.db"), table, name=f"m{i}", **TINY)))
    return folder


@pytest.fixture
def database(trained, home, tmp_path):
    """Copies of both: the models say where their database was, so that is moved along."""
    shutil.copytree(trained / "models", home)
    shutil.copy(trained / "blog.db", tmp_path / "blog.db")
    for file in [*home.glob("m*/nanogpt.json")]:
        file.write_text(file.read_text().replace(str(trained / "blog.db"), str(tmp_path / "blog.db")))
    return tmp_path / "blog.db"


@pytest.fixture
async def datasette(database):
    datasette = await serve(database, memory=True)
    yield datasette
    datasette.close()


def rows_of(table, json=""):
    from datasette.utils import tilde_encode

    return f"/blog/{tilde_encode(table)}/-/nanogpt/rows{json}"


def do(home, stop=None):
    """Do what is queued, here and now; the run."""
    run = queue.claim(home)
    do_queued(run, stop or Stop(), lambda: None)
    return find_runs(home, "id = ?", run)[0]


async def ask(datasette, table, model=None):
    data = {"model": model} if model else None
    response = await datasette.client.post(rows_of(table), data=data, actor=ROOT)
    assert response.status_code == 302, response.text
    return response.headers["location"]


async def told(datasette, table, query="", actor=ROOT):
    response = await datasette.client.get(rows_of(table, ".json") + query, actor=actor)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("table", KEYED)
async def test_rows_are_scored_sorted_and_linked(datasette, home, table):
    text = (await datasette.client.get(rows_of(table), actor=ROOT)).text
    assert "have not been scored yet" in text and "llm nanogpt score" in text and "<i>" not in text
    run = await ask(datasette, table)
    page = await datasette.client.get(run, actor=ROOT, follow_redirects=True)
    assert "queued" in page.text and 'value="Stop scoring"' in page.text
    row = do(home)
    assert (row["status"], row["error"], row["progress"], row["note"]) == ("finished", None, 1.0, None)
    first = await told(datasette, table, "?_size=25")
    most = "_size=25&_sort=bits_per_byte"
    pages = [await told(datasette, table, f"?{most}&page={n}") for n in (1, 2, 3)]
    assert [len(page["rows"]) for page in pages] == [25, 25, 10] and first["pages"] == 3
    rows = [row for page in pages for row in page["rows"]]
    figures = [row["bits_per_byte"] for row in rows]
    assert figures == sorted(figures) and len(set(figures)) > 30
    backwards = await told(datasette, table, "?_size=25&_sort_desc=bits_per_byte")
    assert [row["bits_per_byte"] for row in backwards["rows"]] == figures[:-26:-1]
    assert backwards["rows"] == first["rows"]  # the least typical ones come first
    # Each link leads to the row whose text it is, and each figure is what a terminal tells.
    opened = open_model(home / first["model"])
    for row in (rows[0], rows[-1]):
        found = (await datasette.client.get(row["url"] + ".json", actor=ROOT)).json()["rows"][0]
        document = "\n\n".join(filter(None, (found.get("title"), found["body"].strip())))
        assert row["text"] == " ".join(document.split())[: len(row["text"])] and not row["changed"]
        assert row["bits_per_byte"] == pytest.approx(score(opened, document).bits_per_byte, abs=1e-4)
    html = (await datasette.client.get(rows_of(table), actor=ROOT)).text
    assert rows[-1]["url"] in html and 'aria-current="true">Least typical' in html and "Page 1 of 3" in html


@pytest.mark.parametrize("table", KEYED)
async def test_the_menu_of_a_row_leads_to_its_rank(datasette, home, table):
    await ask(datasette, table)
    do(home)
    rows = (await told(datasette, table, "?_sort=bits_per_byte"))["rows"]
    text = (await datasette.client.get(rows[4]["url"], actor=READER)).text
    link = re.search(r'href="([^"]*/-/nanogpt/rows[^"]*)"', text)[1].replace("&amp;", "&")
    page = (await datasette.client.get(link, actor=READER)).text
    assert re.search(r"The longer the bar, the less typical the row: from [\d.]+, the lowest of all 60", page)
    url, key = re.escape(rows[4]["url"]), re.escape(rows[4]["row"])
    assert re.search(rf'<a href="{url}">([^<]*, r|R)ow {key}</a></strong>', page)
    assert re.search(
        r"<strong>More typical than 93% of the other rows</strong>, with [\d.]+ bits per byte\.", page
    )
    assert re.search(r'<circle cx="([\d.]+)%"', page)[1] == "6.8"  # on the scale: 4 of 59 are before it
    assert 'class="ends"' not in page  # neither end is shown
    assert page.count("<tr id=") == 10 and "This row in the whole list, page 3 of 3<" in page
    one = (await datasette.client.get(link.replace("rows?", "rows.json?"), actor=READER)).json()["row"]
    assert (one["url"], one["rank"]) == (rows[4]["url"], 5)
    assert one["standing"] == "More typical than 93% of the other rows"


@pytest.mark.parametrize(
    ("better", "worse", "words", "on_scale"),
    [
        (0, 0, "The only row with a score", 0.5),
        (0, 99, "The most typical of all 100 rows with a score", 0.0),
        (99, 0, "The least typical of all 100 rows with a score", 1.0),
        (1, 998, "More typical than 99% of the other rows", 1 / 999),  # not 100%: one is before it
        (90, 10, "Less typical than 90% of the other rows", 0.9),
        (60, 40, "About as typical as most of the other rows", 0.6),
        (61, 39, "Less typical than 61% of the other rows", 0.61),
        (39, 61, "More typical than 61% of the other rows", 0.39),
        (0, 50, "About as typical as most of the other rows", 0.25),  # as typical as half of them
    ],
)
def test_the_rank_is_said_on_the_side_where_the_row_lies(better, worse, words, on_scale):
    """It was always "less typical than 10%", which means more typical than 90%."""
    tied = 50 if (better, worse) == (0, 50) else 0
    found = standing({"rank": better + 1, "worse": worse}, better + tied + worse + 1)
    assert found == {"standing": words, "on_scale": pytest.approx(on_scale)}


async def test_the_rows_around_a_row_are_found_where_scores_are_tied(datasette, home):
    await ask(datasette, "entry")
    do(home)
    with registry(home) as db:
        db.execute("update scores set bits_per_byte = round(bits_per_byte, 1) where id % 2")
        db.execute("update scores set bits_per_byte = 2 where id % 5 = 0")
    for size, sort in ((3, "_sort"), (6, "_sort_desc"), (20, "_sort_desc")):
        for row in (7, 16, 37, 66):
            address = rows_of("entry") + f"?row={row}&_size={size}&{sort}=bits_per_byte"
            around = (await datasette.client.get(address, actor=READER)).text
            assert f'<tr id="row-{row}" class="asked">' in around and "<h2>The rows around it" in around
            assert "See the rows around it" not in around
            assert re.search(rf"page (\d+) of {60 // size}<", around)  # pages of that size
            rows = re.findall('<tr id="row-([^"]+)"', around)
            assert rows.index(str(row)) == 5 or (len(rows) < 11 and rows.index(str(row)) < 5)
            link = re.search(r'href="([^"]+)#row-', around)[1].replace("&amp;", "&")
            page = (await datasette.client.get(link, actor=READER)).text
            assert f'<tr id="row-{row}" class="asked">' in page and page.count("<tr id=") == size


async def test_what_was_held_out_is_told(datasette, home, database):
    with sqlite3.connect(database) as db:
        db.execute("insert into entry (id, body) values (1000, 'never seen before')")
    await ask(datasette, "entry")
    do(home)
    found = await told(datasette, "entry")
    corpus = read_checkpoint(home / "m0").meta["corpus"]
    counts = {kind: of["rows"] for kind, of in found["scored"]["seen"].items()}
    assert counts == {
        "trained": corpus["train_documents"],
        "held out": corpus["val_documents"],
        "new": 1,
    }
    assert found["scored"]["skipped"] == {"no text": 1} and found["scored"]["rows"] == 62
    every = (await told(datasette, "entry", "?_size=100"))["rows"]
    (new,) = [row for row in every if row["seen"] == "new"]
    assert new["row"] == "1000"
    text = (await datasette.client.get(rows_of("entry"))).text
    assert "6 rows were held out from training" in text
    assert "54 rows were trained on: " in text and "may have better scores for it" in text
    shutil.rmtree(home / "m0" / "training")
    await ask(datasette, "entry")
    do(home)
    assert "trained on most of these rows" in (await datasette.client.get(rows_of("entry"))).text
    text = (await datasette.client.get(rows_of("entry") + "?row=100")).text
    assert "Row 100 has no score because it has no text" in text
    with sqlite3.connect(database) as db:
        db.execute("insert into entry (id, body) values (2000, 'later')")
    for row, why in (("2000", "after the scoring"), ("3000", "There is no row 3000"), ("1,2", "no row 1,2")):
        assert why in (await datasette.client.get(rows_of("entry") + f"?row={row}")).text


@pytest.mark.parametrize(
    ("read", "held_out", "says"),
    [
        (1.4, 1.7, "training has made their scores better"),
        (1.7, 1.6, "so all scores can be compared"),
        (1.69, 1.7, "so all scores can be compared"),  # the rows differ by more than that
    ],
)
async def test_scores_are_called_flattered_only_where_they_are_better(datasette, home, read, held_out, says):
    await ask(datasette, "entry")
    run = do(home)["id"]
    with registry(home) as db:
        noise = "(id % 5 - 2) * 0.1"
        db.execute(
            f"update scores set seen = 'held out', bits_per_byte = {held_out} + {noise} where id % 3 = 0"
        )
        db.execute(f"update scores set seen = 'trained', bits_per_byte = {read} + {noise} where id % 3")
    assert typical.flattered(home, run) is ("better" in says)
    text = (await datasette.client.get(rows_of("entry"))).text
    assert says in text


async def test_figures_are_stale_once_the_model_is_trained_again(datasette, home, database):
    await ask(datasette, "entry")
    first = do(home)["id"]
    assert not (await told(datasette, "entry"))["stale"]
    with sqlite3.connect(database) as db:
        db.execute("update entry set body = 'another text' where id = 7")
        db.execute("delete from entry where id = 8")
    text = (await datasette.client.get(rows_of("entry") + "?_size=100")).text
    assert text.count("(changed since then)") == 1 and text.count("no longer in the table") == 1
    list(train_table(TrainOptions(str(database), "entry", name="m0", **(TINY | {"max_iters": 5}))))
    found = await told(datasette, "entry")
    assert found["stale"] and found["scored"]["id"] == first
    text = (await datasette.client.get(rows_of("entry"), actor=ROOT)).text
    warning = re.search(r'<div id="notice" class="message-warning">.*?</div>', text, re.DOTALL)[0]
    assert "rows were scored" in warning and text.count('class="message-') == 1  # one notice
    assert "trained again since" in warning and "Score again" in warning and text.count("Score again") == 1
    row = (await datasette.client.get(rows_of("entry") + "?row=9", actor=ROOT)).text
    assert 0 < row.index('id="notice"') < row.index('id="answer"')  # as it says how far the row's score holds
    await ask(datasette, "entry")
    second = do(home)["id"]
    found = await told(datasette, "entry")
    assert not found["stale"] and found["scored"]["id"] == second
    with registry(home) as db:
        assert [row[0] for row in db.execute("select distinct run from scores")] == [second]
    assert not find_runs(home, "id = ?", first)
    # The training in between is still the last run of its model.
    assert "Keep training" in (await datasette.client.get(f"/-/nanogpt/runs/{second - 1}", actor=ROOT)).text


async def test_figures_go_with_their_model(datasette, home):
    await ask(datasette, "entry")
    run = do(home)["id"]
    assert CliRunner().invoke(llm.cli.cli, ["nanogpt", "remove", "m0", "-y"]).exit_code == 0
    with registry(home) as db:
        assert db.execute("select count(*) from scores").fetchone()[0] == 0
    assert not find_runs(home, "id = ?", run)
    assert "none that you may see" in (await datasette.client.get(rows_of("entry"), actor=ROOT)).text
    assert "typical" not in (await datasette.client.get("/blog/entry/9", actor=ROOT)).text


async def test_a_stop_keeps_what_was_scored_and_the_queue_knows_the_rows(datasette, home, monkeypatch):
    monkeypatch.setattr(score_rows, "REPORT_SECONDS", 0)
    location = await ask(datasette, "entry")
    again = await datasette.client.post(rows_of("entry"), json={}, actor=ROOT)
    assert again.status_code == 400 and "are waiting to be scored already" in again.json()["error"]
    again = await datasette.client.post(rows_of("entry"), actor=ROOT)
    assert again.status_code == 400 and "are waiting to be scored already" in again.text
    again = await datasette.client.post(rows_of("entry"), json=[1], actor=ROOT)
    assert again.status_code == 400 and "must be a JSON object" in again.json()["error"]
    run = queue.claim(home)
    assert queue.claim(home) is None  # a scoring is under way as a training is
    await datasette.client.post(location + "/stop", actor=ROOT)
    do_queued(run, Stop(), lambda: None)
    (row,) = find_runs(home, "id = ?", run)
    assert row["status"] == "stopped" and 0 < row["progress"] < 1
    text = (await datasette.client.get(rows_of("entry"))).text
    assert "Only 1 of 61 rows, from all over the table, was scored before it was stopped" in text
    text = (await datasette.client.get(rows_of("entry") + "?row=60")).text
    assert "stopped before it got there" in text
    with registry(home) as db:  # as when its server was lost too often
        update_run(db, run, {"status": "interrupted"})
    text = (await datasette.client.get(rows_of("entry"))).text
    assert "Only 1 of 61 rows, from all over the table, was scored before it was interrupted" in text
    assert "have not been scored yet" not in text and 'id="rows"' in text
    response = await datasette.client.post(location + "/resume", json={}, actor=ROOT)
    assert response.status_code == 400 and "cannot be resumed" in response.text
    await datasette.client.post(location + "/delete", actor=ROOT)
    with registry(home) as db:
        assert db.execute("select count(*) from scores").fetchone()[0] == 0


async def test_a_server_works_it_off_in_another_process(home, database, datasette):
    run = int((await ask(datasette, "entry")).rpartition("/")[2])
    worker = Worker(home)
    task = asyncio.create_task(worker.work(None))
    while (row := find_runs(home, "id = ?", run)[0])["status"] not in OVER:
        await asyncio.sleep(0.1)
    await worker.close()
    await task
    assert (row["status"], row["error"]) == ("finished", None) and row["pid"] != os.getpid()
    assert (await told(datasette, "entry"))["count"] == 60


async def test_a_model_of_two_tables_scores_the_rows_of_each(datasette, home):
    assert (await told(datasette, "pair"))["models"] == ["m5", "m3"]
    for table in ("pair", "bare"):
        await ask(datasette, table, "m5")
        run = do(home)
        assert (run["status"], run["table"]) == ("finished", table)
    found = await told(datasette, "pair")
    assert found["model"] == "m5" and found["count"] == 60
    # Its figures need both tables, and so does the run that made them.
    datasette.config["databases"] = {"blog": {"tables": {"bare": {"allow": False}}}}
    assert (await told(datasette, "pair", actor=READER))["models"] == ["m3"]
    assert (await datasette.client.get(rows_of("pair") + "?model=m5", actor=READER)).status_code == 404
    assert (await datasette.client.get(f"/-/nanogpt/runs/{run['id']}.json", actor=READER)).status_code == 404


async def test_rows_of_a_view_are_left_to_the_terminal(datasette, home):
    text = (await datasette.client.get(rows_of("long"), actor=ROOT)).text
    assert "long is a view" in text and "--table long" in text and "--save-table" not in text
    response = await datasette.client.post(rows_of("long"), json={}, actor=ROOT)
    assert response.status_code == 400 and "is a view" in response.json()["error"]
    assert not find_runs(home, "kind = 'score'")


async def test_a_row_that_was_asked_about_is_remembered_until_it_is_scored(datasette, home):
    def to(path, text):
        found = re.search(rf'action="([^"]*{path}[^"]*)"', text)[1].replace("&amp;", "&")
        return datasette.client.post(found, actor=ROOT, follow_redirects=True)

    text = (await datasette.client.get(rows_of("entry") + "?row=9", actor=ROOT)).text
    assert "How typical row 9 is will be shown here once the rows are scored" in text
    page = await to("/rows", text)
    assert (
        page.url.params["row"] == "9"
        and "queued" in page.text
        and "How typical row 9 is will be shown" in page.text
    )
    page = await to("/stop", page.text)
    assert page.url.params["row"] == "9"
    await to("/rows", page.text)
    do(home)
    page = await datasette.client.get(page.url.raw_path.decode(), actor=ROOT)
    assert re.search(r"of the other rows</strong>, with [\d.]+ bits per byte", page.text)


async def test_nobody_is_led_to_an_empty_page(datasette, home):
    for path in ("/blog/entry", "/blog/entry/9"):
        assert "/-/nanogpt/rows" not in (await datasette.client.get(path, actor=READER)).text
        assert "/-/nanogpt/rows" in (await datasette.client.get(path, actor=ROOT)).text
    await ask(datasette, "entry")
    do(home)
    for path in ("/blog/entry", "/blog/entry/9"):
        assert "/-/nanogpt/rows" in (await datasette.client.get(path, actor=READER)).text
    assert "/-/nanogpt/rows" not in (await datasette.client.get("/blog/long", actor=ROOT)).text


async def test_the_text_of_a_row_is_never_html_and_base_url_is_in_every_link(database, home):
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("update entry set body = '<script>alert(1)</script>'")
    datasette = await serve(database, settings={"base_url": "/under/"})
    await ask(datasette, "entry")
    do(home)
    text = (await datasette.client.get(rows_of("entry") + "?row=9&_size=20", actor=ROOT)).text
    assert "&lt;script&gt;alert" in text and "<script>alert" not in text
    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
    assert len(links) > 20 and all(link.startswith("/under/") for link in links)
    datasette.close()


def test_a_training_in_a_terminal_leaves_a_scoring_alone(home, database):
    settings = {"database": str(database), "table": ["entry"], "name": "m0"}
    run = queue.enqueue(home, str(database), settings, None, 10, "entry")
    with registry(home) as db:
        db.execute("update runs set status = 'running', heartbeat = 1e12 where id = ?", [run])
    list(train_table(TrainOptions(str(database), "entry", name="m0", **TINY)))
    assert find_runs(home, "id = ?", run)[0]["status"] == "running"
    with registry(home) as db:
        db.execute("update runs set heartbeat = 1 where id = ?", [run])
    mark_dead_runs(home)
    assert find_runs(home, "id = ?", run)[0]["status"] == "interrupted"
    assert json.loads(find_runs(home, "id = ?", run)[0]["settings"])["table"] == ["entry"]


def test_rows_of_unknown_characters_are_left_out(home, database):
    table = sqlite_utils.Database(database)["entry"]
    list(train_table(TrainOptions(str(database), "entry", name="letters", tokenizer="char", **SMALL)))
    table.insert({"slug": "far", "id": 101, "day": "", "title": None, "body": "日本語"})
    settings = {"database": str(database), "table": ["entry"], "name": "letters"}
    queue.enqueue(home, str(database), settings, None, 10, "entry")
    run = do(home)
    assert (run["status"], run["error"]) == ("finished", None)
    assert json.loads(run["plan"])["skipped"] == {"no text": 1, "without a character the model knows": 1}


def test_a_stopped_scoring_does_not_hide_a_whole_one(home, database):
    settings = {"database": str(database), "table": ["entry"], "name": "m0"}
    runs = []
    for requests in (0, 1):
        queue.enqueue(home, str(database), settings, None, 10, "entry")
        stop = Stop()
        stop.ask(requests)
        runs.append(do(home, stop))
    assert [run["status"] for run in runs] == ["finished", "stopped"]
    kept, last = typical.scorings(home, "m0", str(database), "entry")
    assert (kept["id"], last["id"]) == (runs[0]["id"], runs[1]["id"])


def test_rows_without_an_address():
    assert typical.row_path([1, "a,b/c"]) == "1,a~2Cb~2Fc"
    assert [typical.row_path(keys) for keys in ([], [None], ["x", b"y"])] == [None] * 3


def test_the_terminal_tells_which_rows_were_held_out(home, database):
    command = ["nanogpt", "score", "m0", "--db", str(database), "--table", "entry"]
    result = CliRunner().invoke(llm.cli.cli, command, catch_exceptions=False)
    said = dict(line.split(" rows ", 1) for line in result.stderr.splitlines())
    assert sorted(said.values()) == ["held out in training", "it was trained on, which may flatter its score"]
    assert result.stdout.splitlines()[0] == "bits/byte  seen      id  text"
    lines = CliRunner().invoke(llm.cli.cli, [*command, "--jsonl"]).stdout.splitlines()
    held = {row["id"]: row for row in map(json.loads, lines) if row["seen"] == "held out"}
    meta = read_checkpoint(home / "m0").meta
    assert len(held) == meta["corpus"]["val_documents"]
    CliRunner().invoke(llm.cli.cli, [*command, "--save-table", "scores"], catch_exceptions=False)
    saved = sqlite_utils.Database(database)["scores"]
    assert {row["id"] for row in saved.rows_where("seen = 'held out'")} == held.keys()


def test_scores_wait_while_somebody_has_the_registry_locked(trained, home, monkeypatch):
    monkeypatch.setattr(score_rows, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(score_rows, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(score_rows, "RETRY_SECONDS", 0.05)
    shutil.copytree(trained / "models" / "m0", home / "m0")
    settings = {"name": "m0", "table": "entry"}
    run = queue.enqueue(home, str(trained / "blog.db"), settings, None, 5, scored="entry")
    assert queue.claim(home) == run
    queued = find_runs(home, "id = ?", run)[0]
    locker = sqlite3.connect(home / "nanogpt.db")
    locker.execute("begin immediate")
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        locker.close()  # which undoes what it has begun

    monkeypatch.setattr(
        score_rows, "time", SimpleNamespace(monotonic=time.monotonic, time=time.time, sleep=sleep)
    )
    score_rows.score_rows(home, queued, Stop())
    assert waits == [0.05]  # all rows were scored by then
    (row,) = find_runs(home, "id = ?", run)
    assert row["status"] == "finished"
    with registry(home) as db:
        assert db.execute("select count(*) from scores where run = ?", [run]).fetchone()[0] == 60


def test_a_scoring_that_ended_before_it_began_tells_nothing_of_the_speed(home, database):
    """As when the clock was set back meanwhile."""
    queue.enqueue(home, str(database), {"name": "m0", "table": "entry"}, None, 5, scored="entry")
    plan = json.dumps({"seen": {"new": {"bytes": 1000}}, "parameters": 1000})
    with registry(home) as db:
        row = {"status": "finished", "plan": plan, "started": "2027-01-01T12:00", "ended": "2027-01-01T11:00"}
        update_run(db, 1, row)
    assert typical.scoring_speed(home) is None


def test_what_is_scored_first_is_from_all_over_the_table(home, database):
    source = open_rows(read_checkpoint(home / "m0"), str(database), "entry")
    order = [keys["id"] - 7 for keys, _ in source.keyed_documents_from_copy(scattered=True)]
    assert sorted(order) == list(range(60))
    assert [sum(first <= i < first + 20 for i in order[:12]) for first in (0, 20, 40)] == [4, 4, 4]


async def test_a_scoring_gives_way_to_a_training_shows_what_there_is_and_goes_on(
    datasette, home, database, monkeypatch
):
    monkeypatch.setattr(score_rows, "REPORT_SECONDS", 0)
    await ask(datasette, "entry")
    settings = {"database": str(database), "table": ["bare"], "name": "later"} | TINY
    run = queue.claim(home)
    training = queue.enqueue(home, str(database), settings, None, 10)
    do_queued(run, Stop(), lambda: None)
    (row,) = find_runs(home, "id = ?", run)
    scored = json.loads(row["plan"])["scored"]
    assert (row["status"], row["note"], scored) == ("queued", f"after run {training}", 1)
    found = await told(datasette, "entry")
    assert found["partial"] and found["count"] == 1 and found["run"]["status"] == "queued"
    text = (await datasette.client.get(rows_of("entry"))).text
    assert "1 of 61 rows were scored so far, from all over the table" in text
    with registry(home) as db:
        update_run(db, run, {"status": "running", "process": process_id(), "heartbeat": time.time()})
    text = (await datasette.client.get(rows_of("entry"), actor=ROOT)).text
    assert ">Scoring the rows with m0</p>" in text and "You can close this page." in text
    with registry(home) as db:
        update_run(db, run, {"status": "queued", "process": None})
    assert do(home)["id"] == training  # which was asked for later
    first = dict(scores_of(home, run))
    assert do(home)["id"] == run
    found = await told(datasette, "entry")
    assert found["count"] == 60 and not found["partial"] and found["run"] is None
    assert sum(kind["rows"] for kind in found["scored"]["seen"].values()) == 60
    after = dict(scores_of(home, run))
    assert len(after) == 60 and first.items() <= after.items()  # what there was is not scored again


def scores_of(home, run):
    with registry(home) as db:
        return [tuple(row) for row in db.execute("select row, id from scores where run = ?", [run])]


async def test_title_and_text_stand_apart_beside_a_bar(datasette, home):
    text = (await datasette.client.get(rows_of("entry"), actor=ROOT)).text
    assert ">61 rows, " in text and "on two cores" in text  # it has as many rows as were trained on
    await ask(datasette, "entry")
    do(home)
    found = await told(datasette, "entry", "?page=99")
    assert (found["page"], found["pages"]) == (3, 3) and len(found["rows"]) == 20
    assert all(row["title"].startswith("T") and row["excerpt"].startswith("Row") for row in found["rows"])
    text = (await datasette.client.get(rows_of("entry"), actor=ROOT)).text
    bars = [float(width) for width in re.findall(r'<rect width="([\d.]+)"', text)]
    assert max(bars) == bars[0] == 100 and min(bars) == bars[-1]  # the highest score of all rows is here
    scores = [row["bits_per_byte"] for row in (await told(datasette, "entry"))["rows"]]
    lowest = found["lowest"]  # where bars begin: from 0 on they looked alike
    shown = [100 * (score - lowest) / (scores[0] - lowest) for score in scores]
    assert bars == pytest.approx(shown, abs=0.06)
    assert re.search(r'<a href="/-/nanogpt/models/[^"]+\?table=entry&amp;row=\d+&amp;show=surprise"', text)
    last = (await datasette.client.get(rows_of("entry") + "?page=3", actor=ROOT)).text
    bars = [float(width) for width in re.findall(r'<rect width="([\d.]+)"', last)]
    assert bars[-1] == 0
    coloured = re.search(r'href="([^"]+show=surprise)"', last)[1].replace("&amp;", "&")
    page = (await datasette.client.get(coloured, actor=ROOT)).text
    place = re.search(r'<p id="standing"><a href="([^"]+)">((?:More|Less) typical than \d+%|About)', page)
    assert f"&amp;row={place[1].partition('&amp;row=')[2]}" in coloured.replace("&", "&amp;")
    assert page.index("<p id=") < page.index('id="standing"') < page.index('id="view"')
    assert text.count('<svg class="bar"') == 20 and "as fast as the last scoring here" in text


def test_the_best_model_of_the_table_is_proposed(make_model):
    """The best one of those that can be compared with the last trained one, which comes first."""

    def model(name, bpb, text="a"):
        corpus = {"sha256": text, "val_documents": 9}
        score = {"score": {"val_bpb": bpb}} if bpb else {}
        return read_checkpoint(make_model(name, meta={"corpus": corpus, **score}))

    models = [model("new", 2.0), model("other-rows", 1.0, "b"), model("none", None), model("better", 1.5)]
    assert [each.name for each in best_first(models)] == ["better", "new", "other-rows", "none"]
    assert best_first(models[1:])[0].name == "other-rows" and best_first([]) == []


async def test_the_page_of_typical_rows_begins_with_the_best_model(datasette, home, database, make_model):
    source = {"database": str(database), "table": "entry", "title": "title", "body": ["body"]}
    source["tables"] = [{"table": "entry", "title": "title", "body": ["body"]}]
    for name, bpb, updated in (("better", 1.5, "2100-01-01"), ("newer", 2.0, "2100-02-01")):
        meta = {"source": source, "corpus": {"sha256": "a", "val_documents": 9}}
        make_model(name, meta=meta | {"score": {"val_bpb": bpb}, "training": {"updated": updated}})
    page = await told(datasette, "entry")
    assert page["model"] == "better" and page["models"][:2] == ["newer", "better"]
