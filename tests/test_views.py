"""The pages as a browser without JavaScript, and a script, see them."""

import asyncio
import csv
import hashlib
import inspect
import json
import re
import shlex
import threading
import time

import llm
import llm.cli
import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import TEXTS, serve
from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import pm
from datasette.utils import StartupError

from datasette_nanogpt.data.memorization import MIN_WORDS, find_memorized
from datasette_nanogpt.registry import queue, runs
from datasette_nanogpt.registry.db import registry, run_log_file
from datasette_nanogpt.registry.manage import name_taken
from datasette_nanogpt.registry.metrics import metrics_after
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.runs import find_run, find_runs
from datasette_nanogpt.training import trainer
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.process import peak_memory
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web import (
    estimate,
    forms,
    model_cache,
    play_settings,
    shown_runs,
    table_rows,
    target,
    threads,
)
from datasette_nanogpt.web import playground as play
from datasette_nanogpt.web.limits import Limits
from datasette_nanogpt.web.pages import run as run_pages
from datasette_nanogpt.web.permissions import Origin
from datasette_nanogpt.web.table_rows import remark_on_page
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.streaming import in_time_slices

ROOT = {"id": "root"}
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
ODD = "a b/c'd\"é<i>"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    rows = [{"id": i, "title": f"<b>T{i}</b>", "body": text} for i, text in enumerate(TEXTS)]
    db["entry"].insert_all(rows, pk="id")
    db[ODD].insert_all(rows)
    db["number"].insert_all({"id": i, "size": i} for i in range(10))
    db.create_view("long", "select * from entry where id > 5")
    return path


@pytest.fixture
async def datasette(database, home):
    datasette = await serve(
        database, memory=True, config={"plugins": {"datasette-nanogpt": {"max_tokens": 30}}}
    )
    yield datasette
    datasette.close()


def train(database, **changes):
    list(
        train_table(
            TrainOptions(
                str(database), "entry", **TINY, max_iters=8, eval_interval=4, device="cpu", **changes
            )
        )
    )


def path_of(table):
    from datasette.utils import tilde_encode

    return f"/blog/{tilde_encode(table)}/-/nanogpt"


async def test_without_models_the_list_shows_tables_to_begin_with(datasette, home, database):
    page = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    for table in ("entry", ODD):  # not `number`, which has no text
        assert f'href="{path_of(table)}"' in page
    assert page.count("Train a GPT on ") == 2 and "<i>" not in page
    whole = (await datasette.client.get("/-/nanogpt?tables=1", actor=ROOT)).text  # as soon as it is known
    sizes = re.findall(r'>([\d,]+) rows?, in blog</p><p class="hint">[\d.]+ (?:bytes|kB) is little', whole)
    rows = sqlite_utils.Database(database)["entry"].count
    assert len(sizes) == 2 and f"{rows:,}" in sizes
    assert "Train a GPT on " not in (await datasette.client.get("/-/nanogpt")).text.replace("<em>Train", "")
    train(database)
    first, _, another = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text.partition('id="another"')
    assert path_of(ODD) not in first and path_of(ODD) in another  # folded away


@pytest.mark.parametrize("table", ["entry", "long", ODD])
async def test_a_run_is_started_with_a_form(datasette, home, database, table):
    page = await datasette.client.get(path_of(table), actor=ROOT)
    assert page.status_code == 200 and "<b>T0" not in page.text and "<i>" not in page.text.replace(ODD, "")
    assert "Text: <strong>body</strong>." in page.text and "starts from nothing" in page.text
    response = await datasette.client.post(path_of(table), data={"minutes": "1", "n_layer": "3"}, actor=ROOT)
    assert (response.status_code, response.headers["location"]) == (302, "/-/nanogpt/runs/1")
    (run,) = find_runs(home)
    settings = json.loads(run["settings"])
    assert (run["status"], run["table"], settings["n_layer"]) == ("queued", table, 3)
    TrainOptions(**settings)  # the child must understand it
    page = await datasette.client.get("/-/nanogpt/runs/1", actor=ROOT)
    assert "Take out of the queue" in page.text and "nanogpt-train" in page.text


@pytest.mark.parametrize(
    ("column", "message"),
    [("notes", "has no column of plain text"), ("body", "first rows of odd have no text")],
)
async def test_a_table_whose_text_cannot_be_told_has_a_form_to_choose_it(
    datasette, home, database, column, message
):
    rows = [
        {"id": i, column: "[]" if column == "notes" else None, "other": json.dumps([text, i])}
        for i, text in enumerate(TEXTS)
    ]
    sqlite_utils.Database(database)["odd"].insert_all(rows)
    page = await datasette.client.get(path_of("odd"), actor=ROOT)
    assert page.text.count(message) == 1 and "The rows and the rest of the form then appear here" in page.text
    assert ("Choose the column to read as text" in page.text) is (column == "body")  # else it is said above
    assert '<details id="advanced" open>' in page.text
    assert page.text.index('id="body"') < page.text.index('id="template"') < page.text.index('id="title"')
    assert "choose a column</option>" in page.text and "Use this column" in page.text
    below = 'Choose one below to read as text, or take <a href="/-/nanogpt#trainable">another table</a>.'
    assert (below in page.text) is (column == "notes") and "Read the rows like this" in page.text
    told = {"body": "other", "minutes": "1"}
    offered = await datasette.client.post(path_of("odd"), json={**told, "estimate": 1}, actor=ROOT)
    assert offered.status_code == 200 and offered.json()["offer"]["texts"]
    assert (await datasette.client.post(path_of("odd"), data=told, actor=ROOT)).status_code == 302
    (run,) = find_runs(home)
    assert json.loads(run["settings"])["body"] == ["other"]


async def test_the_form_tells_what_is_not_read_and_what_is_skipped(datasette, database):
    rows = [
        {
            "key": hashlib.sha1(str(i).encode()).hexdigest(),
            "title": f"Title {chr(97 + i % 26)} {i}",
            "body": text if i % 2 else b"\x89PNG" + bytes([i]),
        }
        for i, text in enumerate(TEXTS[:100])
    ]
    sqlite_utils.Database(database)["odd"].insert_all(rows)
    page = await datasette.client.get(path_of("odd"), actor=ROOT)
    assert "Not read: key (hexadecimal)." in page.text
    assert "50 rows are skipped: body is a PNG image. A plugin with the hook" in page.text
    answer = await datasette.client.post(path_of("odd"), json={"estimate": 1}, actor=ROOT)
    assert [remark.split(":")[0] for remark in answer.json()["offer"]["remarks"]] == [
        "Not read",
        "50 rows are skipped",
    ]


async def test_conditions_are_told_as_the_form_takes_them(datasette, database):
    rows = [{"body": text, "status": "draft" if i % 5 else "publish"} for i, text in enumerate(TEXTS)]
    sqlite_utils.Database(database)["post"].insert_all(rows)
    answer = await datasette.client.post(path_of("post"), json={"estimate": 1}, actor=ROOT)
    (told,) = [remark for remark in answer.json()["offer"]["remarks"] if "draft" in remark]
    wanted = "To leave these out, enter under Advanced, as the condition on the rows: status <> 'draft'"
    assert told.endswith(wanted) and "--where" not in told
    fields = {"estimate": 1, "where": told.rpartition(": ")[2]}
    answer = await datasette.client.post(path_of("post"), json=fields, actor=ROOT)
    assert answer.json()["offer"]["rows"] == len(TEXTS) // 5


def test_who_may_not_write_sql_is_sent_to_the_filters():
    """The field that was named is not on their form."""
    told = "2 rows are drafts. To leave these out: --where status"
    assert remark_on_page(told, True).endswith("enter under Advanced, as the condition on the rows: status")
    theirs = remark_on_page(told, False)
    assert "Advanced" not in theirs and "filter the rows on the page of the table" in theirs
    assert remark_on_page("Not read: id", False) == "Not read: id"


async def test_a_column_without_text_is_told(datasette, database):
    sqlite_utils.Database(database)["odd"].insert_all({"body": text, "notes": ""} for text in TEXTS)
    told = {"body": "notes", "estimate": 1}
    answer = (await datasette.client.post(path_of("odd"), json=told, actor=ROOT)).json()
    assert "no text" in answer["offer"]["text"] and not answer["offer"]["texts"] and not answer["estimate"]


async def test_a_table_without_text_is_no_mistake_of_whoever_opens_its_form(datasette):
    """It opened with "1 field is wrong" in red, and Start could be pressed."""
    page = await datasette.client.get(path_of("number"), actor=ROOT)
    assert page.status_code == 200 and "is wrong" not in page.text and "aria-invalid" not in page.text
    assert re.search(r'class="message-warning"[^>]*>\s*<p><strong>[^<]*no column of plain text\.<', page.text)
    assert page.text.count("has no column of plain text") == 1
    assert 'id="start"' not in page.text and 'href="/blog/number">Back' in page.text  # nothing can be chosen
    page = await datasette.client.post(path_of("number"), data={"minutes": "1"}, actor=ROOT)
    assert page.status_code == 400 and "Nothing was started: 1 field is wrong" in page.text


async def test_a_condition_that_takes_too_long_is_refused(datasette, monkeypatch):
    monkeypatch.setattr(table_rows, "CONDITION_SECONDS", 0.1)
    opened, tried = table_rows.open_source, []
    monkeypatch.setattr(table_rows, "open_source", lambda *a: (tried.append(a[2].where), opened(*a))[1])
    endless = "id in (with recursive c(x) as (select 1 union all select x + 1 from c) select x from c)"
    answer = await datasette.client.post(path_of("entry"), json={"where": endless, "estimate": 1}, actor=ROOT)
    assert answer.status_code == 400 and "takes too long" in answer.json()["error"]
    assert answer.json()["offer"]["rows"] == len(TEXTS) and tried.count(endless) == 1


async def test_the_form_sees_what_was_written_to_the_log_of_a_database(datasette, database):
    db = sqlite_utils.Database(database)
    db.enable_wal()
    before = (await datasette.client.get(path_of("entry"), actor=ROOT)).text
    assert f"{len(TEXTS)} rows" in before
    db["entry"].delete_where("id < 100")
    assert f"{len(TEXTS) - 100} rows" in (await datasette.client.get(path_of("entry"), actor=ROOT)).text


async def test_a_condition_is_told_to_those_who_may_train(datasette, home, database):
    path = "/-/nanogpt/runs/1"
    form = {"minutes": "1", "where": "id < 77"}
    assert (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).status_code == 302
    assert "id &lt; 77" in (await datasette.client.get(path, actor=ROOT)).text
    seen = await datasette.client.get(path)
    assert seen.status_code == 200 and "id &lt; 77" not in seen.text


@pytest.mark.parametrize(
    ("title", "body", "others", "example"),
    [
        ("title", ["body"], ["tags", "title", "body"], "{{ tags }}\n# {{ title }}\n\n{{ body }}"),
        (None, [], ["notes", "other", "more"], "{{ notes }}\n\n{{ other }}"),
        (None, ["my text", "a"], ["a", "my text"], '{{ row["my text"] }}\n\n{{ a }}'),
        (None, [], ["if"], '{{ row["if"] }}'),
        (None, [], [], ""),
    ],
)
def test_the_example_of_a_template_has_the_columns_of_the_table(title, body, others, example):
    assert forms.template_example(title, body, others) == example


async def test_the_example_of_a_template_says_that_it_is_one(datasette, database):
    """It was of the columns that the message above it calls keys and empty."""
    sqlite_utils.Database(database)["odd"].insert_all(
        {"sku": f"A-{i:04}", "notes": "[]", "tags": f'["red", {i}]', "more": "[1]"} for i in range(9)
    )
    page = (await datasette.client.get(path_of("odd"), actor=ROOT)).text
    example = "{{ tags }}\n\n{{ more }}"
    assert '<option value="tags">tags: [&#34;red&#34;, 0]<' in page and '<option value="notes">notes<' in page
    assert f'placeholder="for example:\n{example}" data-example="{example}"' in page


async def test_the_columns_without_text_are_told_one_by_one(datasette, database):
    """They stood in one sentence, keys and empty columns before those that may be meant."""
    rows = (
        {"sku": f"A-{i:04d}", "size": i % 40, "notes": "[]", "tags": f'["red", {i}]', "colour": "red"}
        for i in range(90)
    )
    sqlite_utils.Database(database)["odd"].insert_all(rows, pk="sku")
    page = (await datasette.client.get(path_of("odd"), actor=ROOT)).text
    assert re.findall(r"<li><strong>(\w+)</strong> ([^<]+)</li>", page) == [
        ("tags", "holds JSON"),
        ("colour", "is the same in most rows"),
        ("sku", "holds keys"),
        ("size", "holds numbers"),
        ("notes", "is empty"),
    ]


async def test_a_table_of_numbers_leads_to_another_table(datasette, database):
    db = sqlite_utils.Database(database)
    db["numbers"].insert_all({"a": i, "b": i / 2} for i in range(9))
    db["bytes"].insert_all({"a": i, "b": bytes(range(200, 256))} for i in range(9))
    db["images"].insert_all({"a": i, "b": b"\x89PNG\r\n\x1a\n" + bytes([i]) * 40} for i in range(9))
    page = (await datasette.client.get(path_of("numbers"), actor=ROOT)).text
    said = re.search('<div class="message-warning" id="why-not">.*?</div>', page, re.DOTALL)[0]
    assert "<strong>There is nothing to train on: the table has no column of plain text.</strong>" in said
    assert "<p>a and b hold numbers.</p>" in said and 'id="train"' not in page
    assert (
        '<a class="primary" href="/-/nanogpt#trainable">Choose another table</a> <a href="/blog/num' in said
    )
    for table in ("bytes", "images"):
        page = (await datasette.client.get(path_of(table), actor=ROOT)).text
        assert "Choose another table" in page and "nothing to train on" not in page  # what helps is told


async def test_the_rows_that_become_one_text_are_shown(datasette, database):
    rows = ({"id": i, "room": f"R{i // 6}", "sender": "Zoë", "text": f"I say {i}. " * 20} for i in range(13))
    sqlite_utils.Database(database)["chat"].insert_all([*rows, {"id": 99, "text": "alone"}])
    form = {"estimate": 1, "group_by": "room", "order_by": "id"}
    offer = (await datasette.client.post(path_of("chat"), json=form, actor=ROOT)).json()["offer"]
    assert offer["captions"] == [f"6 rows with room R{n}, as one text:" for n in (0, 1)]
    *first, last = offer["texts"][1].split("\n")
    assert [line.split(".")[0] for line in first] == [f"Zoë: I say {n}" for n in (6, 7, 8, 9)]
    assert last == "… and 2 more rows" and max(map(len, first)) < 100
    page = await datasette.client.post(path_of("chat"), data={**form, "estimate": "1"}, actor=ROOT)
    assert page.text.count('<figcaption class="hint">6 rows with room R') == 2


async def test_who_speaks_is_shown_once_for_several_rows(datasette, database):
    rows = (
        {"id": i, "room": f"R{i // 6}", "player": "AB"[i % 6 // 3] * 3, "text": f"I say {i}."}
        for i in range(24)
    )
    sqlite_utils.Database(database)["play"].insert_all(rows)
    form = {"estimate": 1, "group_by": "room", "order_by": "id"}
    offer = (await datasette.client.post(path_of("play"), json=form, actor=ROOT)).json()["offer"]
    lines = offer["texts"][0].split("\n")
    assert lines[:4] == ["AAA: I say 0.", "I say 1.", "I say 2.", "BBB: I say 3."]


async def test_the_table_page_has_the_action_and_carries_filters(datasette, home):
    text = (await datasette.client.get("/blog/entry?id__gt=5&body__contains=Zo%C3%AB%27s", actor=ROOT)).text
    link = re.search(r'href="(/blog/entry/-/nanogpt[^"]*)"', text)[1].replace("&amp;", "&")
    assert "Train a GPT" not in (await datasette.client.get("/blog/number", actor=ROOT)).text
    response = await datasette.client.get("/blog/entry?id__gt=100", actor=ROOT)
    link = re.search(r'href="(/blog/entry/-/nanogpt[^"]*)"', response.text)[1].replace("&amp;", "&")
    offer = (await datasette.client.get(link.replace("nanogpt?", "nanogpt.json?"), actor=ROOT)).json()[
        "offer"
    ]
    assert (offer["rows"], offer["where"]) == (199, '"id" > 100')
    await datasette.client.post(link, data={"minutes": "1"}, actor=ROOT)
    assert json.loads(find_runs(home)[0]["settings"])["where"] == '"id" > 100'


async def test_the_estimate_follows_the_form_and_starts_nothing(datasette, home):
    async def estimate(**fields):
        response = await datasette.client.post(
            path_of("entry"), json={"minutes": "1", **fields, "estimate": 1}, actor=ROOT
        )
        return response.status_code, response.json()

    page = await datasette.client.get(path_of("entry"), actor=ROOT)
    _, plain = await estimate(minutes="3")
    _, shown = await estimate(minutes=str(plain["offer"]["recommended"]))
    assert shown["estimate"]["text"] in page.text and "learn from the average" in plain["estimate"]["text"]
    timed = {"arch": "gpt2", "size": "m"}  # ends with the minutes
    (_, short), (_, longer) = [await estimate(minutes=minutes, **timed) for minutes in ("3", "6")]
    assert longer["estimate"]["tokens"] == pytest.approx(2 * short["estimate"]["tokens"], abs=1)
    assert "times, in about" in longer["estimate"]["brief"]
    sizes = [(await estimate(size=size))[1]["estimate"]["parameters"] for size in ("xs", "s", "m", "l")]
    assert sizes == sorted(set(sizes)) and (await estimate(size="xxl"))[0] == 400
    _, fewer = await estimate(where="id < 100", minutes="3", **timed)
    assert fewer["estimate"]["epochs"] > 2 * short["estimate"]["epochs"]
    _, deep = await estimate(n_layer="5", n_embd="64")
    assert (deep["estimate"]["layers"], deep["estimate"]["width"]) == (5, 64)
    automatic = plain["estimate"]["auto"]  # what an empty field stands for
    assert automatic["n_layer"] == plain["estimate"]["layers"] and "n_layer" not in deep["estimate"]["auto"]
    assert f'placeholder="auto: {automatic["block_size"]:,}"' in page.text
    for key in ("dropout", "seed"):  # which are 0 here
        assert automatic[key] == 0 and re.search(f'name="{key}"[^>]* placeholder="auto: 0"', page.text)
    status, wrong = await estimate(n_embd="18", n_head="6")
    assert status == 400 and "must be an even number" in wrong["error"] and not wrong["ok"]
    # Without JavaScript: the page again, with what was filled in.
    form = {"minutes": "10", "n_layer": "5", "size": "m", "estimate": "1"}
    page = await datasette.client.post(path_of("entry"), data=form, actor=ROOT)
    assert page.status_code == 200 and "5 layers" in page.text
    assert '<option value="m" selected>M (' in page.text
    assert 'value="10" checked' in page.text and 'placeholder="auto" value="5"' in page.text
    # What an empty field of it stands for depends on what nobody knows before the machine is measured.
    rates = {}
    for size in ("m", "l", "xl"):
        _, longer = await estimate(minutes="1", size=size)
        rates[size] = longer["estimate"]["auto"]["learning_rate"]
    assert "0.01 or 0.02" in rates.values() and plain["estimate"]["auto"]["learning_rate"] == 0.01, rates
    assert not home.exists()


async def test_what_is_estimated_is_what_is_trained(datasette, home, database):
    train(database)
    response = await datasette.client.post(path_of("entry"), json={**TINY, "estimate": 1}, actor=ROOT)
    (run,) = find_runs(home)
    trained = GPTConfig(**json.loads(run["plan"])["config"])
    assert response.json()["estimate"]["parameters"] == trained.parameters


async def test_the_estimate_is_as_fast_as_the_last_runs_were(datasette, home, database):
    async def estimate():
        form = {"minutes": "10", "arch": "gpt2", "size": "m", "estimate": 1}
        return (await datasette.client.post(path_of("entry"), json=form, actor=ROOT)).json()["estimate"]

    guessed = await estimate()
    assert "On two cores" in guessed["text"]
    train(database)
    for tokens_per_second in (500, 1000):
        with registry(home) as db:
            db.execute("update runs set tokens_per_second = ?", [tokens_per_second])
        told = await estimate()
        assert "At the speed of the last runs here" in told["text"]
        if tokens_per_second == 500:
            slow = told["tokens"]
    assert told["tokens"] == pytest.approx(2 * slow, abs=1)


async def test_the_minutes_that_may_be_chosen_are_those_that_may_be_trained(database, home):
    for most, shown in (
        (2, ["1"]),
        (0.5, ["0.5"]),
        (30, ["1", "3", "10", "30"]),
        (60, ["1", "3", "10", "30", "60"]),
    ):
        config = {"plugins": {"datasette-nanogpt": {"max_minutes": most}}}
        datasette = Datasette([str(database)], config=config)
        datasette.root_enabled = True
        page = await datasette.client.get(path_of("entry"), actor=ROOT)
        assert re.findall(r'name="minutes" value="([^"]+)"', page.text) == shown
        assert "checked" in page.text and "message-error" not in page.text
        await datasette._nanogpt.close()
        datasette.close()


def test_how_much_text_there_is_does_not_hang_on_the_first_rows(database, home):
    rows = [{"body": "<p>long</p>" * 100 * (i < 200) + f"<p>short {i}</p>"} for i in range(2000)]
    sqlite_utils.Database(database)["mixed"].insert_all(rows)
    found = estimate.offer(target.Target(home, Limits(), str(database), False, "mixed"), None, "", {})
    assert 112_000 < found["bytes"] < 154_000  # 200 x 598 + 2000 x 10, by another share of tags


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"minutes": "1000"}, "must be at most 60, not 1000"),
        ({"minutes": "x", "n_layer": "0"}, "The number of layers must be at least 1, not 0"),
        ({"tokenizer": "char", "vocab_size": "300"}, "vocabulary can only be set for the bpe tokenizer"),
        ({"batch_size": "1.5"}, "must be a whole number"),
        ({"n_embd": "7"}, "change the number of heads"),
        ({"name": "../x"}, "cannot be named"),
        ({"n_embd": "4096", "n_layer": "100"}, "at most 50,000,000 parameters"),
        ({"n_embd": "18", "n_head": "6"}, "must be an even number"),
        ({"body": "nope"}, "no column"),
        ({"tokenizer": "gpt2"}, "The tokenizer must be one of bpe, char"),
        ({"arch": "bert"}, "The architecture must be one of"),
        ({"where": "id <"}, "it ends too early. The columns of entry are"),
        ({"where": "id < 0"}, "matches the condition"),
    ],
)
async def test_what_is_wrong_is_told_before_anything_starts(datasette, home, form, message):
    for kind in ("data", "json"):
        response = await datasette.client.post(path_of("entry"), actor=ROOT, **{kind: form})
        assert response.status_code == 400 and message in response.text
    assert not home.exists()


async def test_a_refused_form_keeps_what_is_right_and_marks_what_is_wrong(datasette, database):
    form = {"minutes": "10", "name": "../x"}
    page = (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).text
    assert 'value="10" checked' in page and "in less than 10 minutes" in page
    assert re.search(r'<input [^>]*name="name"[^>]* aria-invalid="true" autofocus>', page)
    assert '<details id="advanced"><summary>Advanced' in page
    form = {"name": "fine", "n_layer": "0", "n_embd": "1"}
    page = (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).text
    assert re.search(r'name="n_layer"[^>]* aria-invalid="true" autofocus>', page)
    assert page.count("aria-invalid") == 2 and page.count("autofocus") == 1
    assert '<details id="advanced" open><summary>Advanced' in page
    form = {"template": "{% if %}", "name": "../x", "n_layer": "0"}
    page = (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).text
    assert page.count("aria-invalid") == 3
    form = {"body": "nope"}
    page = (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).text
    assert re.search(r'name="body"[^>]* aria-invalid="true" autofocus>', page) and "300 rows, about" in page


async def test_the_rows_shown_are_those_of_the_form(datasette, database):
    form = {"where": "id > 290", "title": "id", "estimate": 1}
    offer = (await datasette.client.post(path_of("entry"), json=form, actor=ROOT)).json()["offer"]
    assert offer["text"].startswith("9 rows (id > 290)") and "Title: id. Text: body." in offer["text"]
    assert offer["texts"][0].startswith("291\n\n")
    page = (await datasette.client.post(path_of("entry"), data=form, actor=ROOT)).text
    assert "9 rows (id &gt; 290)" in page and "291\n\nRow 291" in page
    # One that does not work leaves the form as it was at first.
    page = (await datasette.client.post(path_of("entry"), data={"where": "id <"}, actor=ROOT)).text
    assert "300 rows, about" in page and 'value="id &lt;"' in page
    # From the URL, too: then there is nothing to show but the way back.
    response = await datasette.client.get(path_of("entry") + "?id__lt=0", actor=ROOT)
    assert response.status_code == 400 and 'id="train"' not in response.text
    assert 'href="/blog/entry?id__lt=0"' in response.text


async def test_a_model_is_replaced_only_when_that_is_asked_for(datasette, home, database):
    train(database)
    page = (await datasette.client.get(path_of("entry"), actor=ROOT)).text
    assert re.search(r'name="name" value="nanogpt-blog-2"', page) and 'name="replace"' in page
    form = {"minutes": "1", "name": "nanogpt-blog"}
    for kind in ("data", "json"):
        response = await datasette.client.post(path_of("entry"), actor=ROOT, **{kind: form})
        assert response.status_code == 400
        told = r"nanogpt-blog exists \(300 rows, \d\.\d{3} bits per byte, trained [\d-]+\): choose to repl"
        assert re.search(told, response.text)
    response = await datasette.client.post(path_of("entry"), json={**form, "estimate": 1}, actor=ROOT)
    assert response.json()["ok"] and not find_runs(home, "status = 'queued'")
    # Chosen from the list, whatever name is in the field.
    form |= {"replace": "nanogpt-blog", "name": "nanogpt-blog-2"}
    assert '<option value="nanogpt-blog">replace nanogpt-blog (300 rows' in page
    await datasette.client.post(path_of("entry"), data=form, actor=ROOT)
    assert [run["name"] for run in find_runs(home, "status = 'queued'")] == ["nanogpt-blog"]
    for status, told in (("queued", "waiting"), ("running", "under way")):
        with registry(home) as db:
            db.execute("update runs set status = ? where id = 2", [status])
        response = await datasette.client.post(path_of("entry"), data=form, actor=ROOT)
        assert response.status_code == 400 and f"nanogpt-blog is {told} already" in response.text


async def test_a_database_in_memory_is_refused_with_the_reason(datasette, home):
    await datasette.add_memory_database("passing").execute_write("create table t (body text)")
    for method in ("GET", "POST"):
        response = await datasette.client.request(method, "/passing/t/-/nanogpt", actor=ROOT)
        assert "in memory" in response.text
    assert not home.exists()


class Shouting:
    @hookimpl
    def prepare_connection(self, conn):
        conn.create_function("shout", 1, str.upper)


async def test_the_form_reads_as_the_servers_own_connections_do(home, database):
    sqlite_utils.Database(database).create_view("loud", "select shout(body) as body from entry")
    pm.register(plugin := Shouting())
    datasette = Datasette([str(database)])
    datasette.root_enabled = True
    try:
        assert (await datasette.client.get("/blog/loud")).status_code == 200
        page = (await datasette.client.get(path_of("loud"), actor=ROOT)).text
        assert TEXTS[0][:20].upper() in page and "no such function" not in page
        database.rename(database.with_name("moved.db"))
        for method in ("GET", "POST"):
            response = await datasette.client.request(method, path_of("entry"), actor=ROOT)
            assert "it was moved, or Datasette" in response.text
        assert not home.exists()
    finally:
        await datasette._nanogpt.close()
        datasette.close()
        pm.unregister(plugin)


async def test_a_run_page_its_json_and_its_csv(datasette, home, database):
    train(database)
    text = (await datasette.client.get("/-/nanogpt/runs/1")).text
    assert '<td data-label="Step">8</td>' in text  # of the table of scores
    assert "nanogpt-train" not in text  # the command is for who may train
    whole = (await datasette.client.get("/-/nanogpt/runs/1.json")).json()
    assert [row[1] for row in whole["metrics"] if row[4]] == [4, 8] and len(whole["samples"]) == 2
    assert str(home) not in text + json.dumps(whole) and str(database) not in text + json.dumps(whole)
    rest = (await datasette.client.get(f"/-/nanogpt/runs/1.json?after={whole['next']}")).json()
    assert rest["metrics"] == rest["samples"] == [] and rest["next"] == whole["next"]
    lines = (await datasette.client.get("/-/nanogpt/runs/1.csv")).text.splitlines()
    assert lines[0].startswith("step,seconds,train_loss") and len(lines) == len(whole["metrics"]) + 1


async def test_a_run_leads_to_the_model_that_it_made(datasette, home, database):
    async def told(run):
        text = (await datasette.client.get(f"/-/nanogpt/runs/{run}", actor=ROOT)).text
        leads = re.search(r">(Write with nanogpt-blog[^<]*)</a>", text)
        text = text[text.index('<p id="model"') :]
        text = text[: text.index("</p>")].removesuffix(">All models and runs</a>")
        return " ".join(re.sub("<[^>]+(>|$)", "", text).split()) + (f" {leads[1]}" if leads else "")

    train(database)
    assert await told(1) == "Text from entry in blog. Write with nanogpt-blog"
    train(database)
    assert await told(1) == "Text from entry in blog. Write with nanogpt-blog (run 2)"
    assert await told(2) == "Text from entry in blog. Write with nanogpt-blog"
    form = {"name": "nanogpt-blog", "replace": "1"}
    await datasette.client.post(path_of("entry"), data=form, actor=ROOT)
    assert await told(3) == "Text from entry in blog."


async def test_the_log_file_of_a_run_is_named_to_those_who_may_train(datasette, home, database):
    train(database)
    log_file = run_log_file(home, 1)
    page = (await datasette.client.get("/-/nanogpt/runs/1", actor=ROOT)).text
    assert (str(log_file) in page) is log_file.exists()
    log_file.parent.mkdir(exist_ok=True)
    log_file.write_text("It has begun.")
    assert str(log_file) in (await datasette.client.get("/-/nanogpt/runs/1", actor=ROOT)).text
    assert str(log_file) not in (await datasette.client.get("/-/nanogpt/runs/1")).text


async def test_it_is_told_what_a_run_waits_for(datasette, home, database, monkeypatch):
    train(database)
    for name in ("a", "b"):
        await datasette.client.post(path_of("entry"), data={"name": name}, actor=ROOT)
    for run, state in ((2, "queued: it starts in a moment"), (3, "queued: after a")):
        told = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json", actor=ROOT)).json()["run"]
        assert told["state"] == state
        text = (await datasette.client.get(f"/-/nanogpt/runs/{run}", actor=ROOT)).text
        assert f'role="status">{state}</p>' in text and "It starts by itself" in text
        assert ('runs/2">run 2</a>, a, is over' in text) == (told["waits_for"] == 2) == (run == 3)
    index = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    with registry(home) as db:
        db.execute("update runs set status = 'running' where id = 1")
    assert find_run(home, 2)["note"] == "after run 1"
    row = re.search(r"<tr><td[^>]*><a [^>]+>3</a>.*?</tr>", index, re.DOTALL)[0]
    assert "queued: after a" in row
    assert '<td data-label="Started (UTC)"></td>' in row  # it has not
    with registry(home) as db:
        db.execute(
            "update runs set heartbeat = 1e12, process = ?, eta = 290, preparing = null where id = 1",
            [process_id()],
        )
    now = (await datasette.client.get("/-/nanogpt.json?now=1", actor=ROOT)).json()["runs"]
    told = [(run["name"], run["state"], run["pace"]) for run in now if run["status"] == "queued"]
    first = find_run(home, 1)["name"]
    assert told == [
        ("a", f"queued: after {first}", "Starts in about 5 minutes"),
        ("b", "queued: after a", ""),
    ]
    form = (await datasette.client.get(path_of("entry"), actor=ROOT)).text
    assert "It starts after b, in about" in form

    async def refuse(*_args):
        return False

    monkeypatch.setattr(shown_runs, "may", refuse)  # no name is told of a run that is not to be seen
    seen = await shown_runs.as_seen_by(datasette, None, find_run(home, 2), Origin("blog", ("entry",)))
    assert shown_runs.describe_run(seen) == ("queued: after run 1", "")


async def test_a_run_that_is_asked_to_stop_or_was_interrupted_says_so(datasette, home, database):
    async def page(**values):
        with registry(home) as db:
            names = ", ".join(f"{name} = ?" for name in values)
            db.execute(f"update runs set heartbeat = 1e12, {names}", [*values.values()])
        datasette._nanogpt.poller.forget()
        return (await datasette.client.get("/-/nanogpt/runs/1", actor=ROOT)).text

    train(database)
    text = await page(status="running", stop_requested=1, eta=1326.0, preparing=None)
    assert "stopping: the current scoring finishes first" in text and "about 22 minutes left" in text
    assert ">Stop<" not in text and 'value="Stop now, without the last score"' in text
    assert 'value="Stop now' not in await page(stop_requested=2)
    text = await page(status="preparing", stop_requested=0, note="reading: 5 of 300 rows")
    assert 'role="status">preparing</p>' in text and ">Reading: 5 of" in text
    text = await page(status="interrupted", note=None, error="The server stopped during this run.")
    assert "It can go on from its last save, step 8." in text


async def test_the_memory_of_a_run_is_told_everywhere(datasette, database, monkeypatch):
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0)
    train(database)
    run = (await datasette.client.get("/-/nanogpt/runs/1.json")).json()["run"]
    assert 10**8 < run["memory"] < 10**10  # bytes: python with torch in it
    text = (await datasette.client.get("/-/nanogpt/runs/1")).text
    assert f"{run['memory'] / 1e6:,.0f} MB at most" in text
    rows = list(csv.DictReader((await datasette.client.get("/-/nanogpt/runs/1.csv")).text.splitlines()))
    assert max(int(row["memory"]) for row in rows if row["train_bpb"]) >= run["memory"]


async def test_buttons_change_the_run(datasette, home, database):
    train(database)
    page = (await datasette.client.get("/-/nanogpt/runs/1", actor=ROOT)).text
    assert "Keep training" in page and "Stop now" not in page
    response = await datasette.client.post("/-/nanogpt/runs/1/resume", data={"minutes": "2"}, actor=ROOT)
    assert response.headers["location"] == "/-/nanogpt/runs/2"
    assert json.loads(find_runs(home, "id = 2")[0]["settings"])["resume"] is True
    await datasette.client.post("/-/nanogpt/runs/2/stop", actor=ROOT)
    assert find_runs(home, "id = 2")[0]["status"] == "stopped"
    response = await datasette.client.post("/-/nanogpt/runs/2/delete", actor=ROOT)
    index = await datasette.client.get("/-/nanogpt", cookies=response.cookies, actor=ROOT)
    assert "The record of run 2, nanogpt-blog, was deleted" in index.text
    assert (await datasette.client.get("/-/nanogpt/runs/2", actor=ROOT)).status_code == 404


async def test_base_url_is_in_every_link(database, home):
    train(database)
    datasette = Datasette([str(database)], settings={"base_url": "/under/"})
    datasette.root_enabled = True
    await datasette.invoke_startup()
    for path in (
        "/-/nanogpt",
        "/blog/entry/-/nanogpt",
        "/-/nanogpt/runs/1",
        "/-/nanogpt/models/nanogpt-blog",
    ):
        text = (await datasette.client.get(path, actor=ROOT)).text
        ours = re.findall(r'(?:href|src|action)="([^"]*nanogpt[^"]*)"', text)
        assert ours and all(url.startswith("/under/") for url in ours), path
    await datasette._nanogpt.close()
    datasette.close()


async def test_text_of_a_model_is_never_html(datasette, home, database):
    train(database)
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    with registry(home) as db:
        db.execute("update samples set sample = ?", [evil])
        db.execute("update runs set error = ?, note = ?", [evil, evil])
    for path in ("/-/nanogpt", "/-/nanogpt/runs/1"):
        assert "<script>alert" not in (text := (await datasette.client.get(path, actor=ROOT)).text)
        assert "<img src=x" not in text


# ---- The playground


async def lines_of(datasette, **settings):
    response = await datasette.client.post("/-/nanogpt/models/nanogpt-blog", json=settings, actor=ROOT)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_text_is_written_and_compared_with_the_table(datasette, database):
    train(database)
    page = await datasette.client.get("/-/nanogpt/models/nanogpt-blog?prompt=Row&seed=7", actor=ROOT)
    assert ">\nRow</textarea>" in page.text and "llm -m nanogpt-blog Row" in page.text
    one, two = [await lines_of(datasette, prompt="Row", seed=7, samples=2, max_tokens=20) for _ in "ab"]
    texts = "".join(line.get("text", "\0" if "sample" in line else "") for line in one).split("\0")
    looked = (
        300 if any(len(text.split()) >= MIN_WORDS for text in texts) else 0
    )  # too short to recite anything
    assert one == two and (one[-1]["rows"], one[-1]["all_rows"]) == (looked, True)
    assert "-o seed 7" in one[-1]["llm"] and "seed=7" in one[-1]["python"]
    assert [line["seed"] for line in one if "seed" in line] == [7, 8]
    assert [line["copied"] for line in one if "copied" in line] == [0, 1]
    response = await datasette.client.post(
        "/-/nanogpt/models/nanogpt-blog", json={"max_tokens": 31, "top_p": 2}, actor=ROOT
    )
    assert response.status_code == 400 and "from 1 to 30" in response.text and "Top p" in response.text
    with pytest.raises(NanogptError, match="Top k must be a whole number, not '1.5'"):
        play_settings.read_settings({"top_k": "1.5"}, 30)
    datasette._nanogpt.writing = 2
    response = await datasette.client.post("/-/nanogpt/models/nanogpt-blog", json={}, actor=ROOT)
    assert response.status_code == 429


async def test_a_title_is_asked_for_where_rows_have_one(datasette, make_model, home, database):
    train(database, title="title")
    page = await datasette.client.get("/-/nanogpt/models/nanogpt-blog?title=Foxes", actor=ROOT)
    assert 'name="title" value="Foxes"' in page.text
    assert "llm -m nanogpt-blog &#39;&#39; -o title Foxes" in page.text
    page = await datasette.client.get("/-/nanogpt/models/nanogpt-blog?set.title=Foxes", actor=ROOT)
    assert 'name="title" value="Foxes"' in page.text and "no column" not in page.text  # as -o set title=Foxes
    given = {"prompt": "Row", "seed": 7, "max_tokens": 20}
    with_title = await lines_of(datasette, title="Foxes", **given)
    text = "".join(line.get("text", "") for line in with_title)
    assert text == llm.get_model("nanogpt-blog").prompt("Row", title="Foxes", seed=7, max_tokens=20).text()
    assert "-o title Foxes" in with_title[-1]["llm"] and "title='Foxes'" in with_title[-1]["python"]


def test_a_prompt_like_an_option_is_one_in_a_terminal_too(make_model, home):
    make_model("nanogpt-x")
    prompt, settings = "- item", dict.fromkeys(play_settings.SAMPLER_SETTINGS)
    line = play_settings.llm_line("nanogpt-x", {**settings, "prompt": prompt, "max_tokens": 3, "seed": 1})
    result = CliRunner().invoke(llm.cli.cli, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    text = llm.get_model("nanogpt-x").prompt(prompt, max_tokens=3, seed=1).text()
    assert result.stdout.rstrip("\n") == text.rstrip("\n")


async def test_several_texts_without_a_seed_are_written_again_from_the_first_ones(
    datasette, make_model, database
):
    train(database)
    lines = await lines_of(datasette, prompt="Row", samples=3, max_tokens=5)
    first, *others = [line["seed"] for line in lines if "seed" in line]
    assert others == [first + 1, first + 2]


async def test_a_model_of_any_letters_has_a_page(datasette, database):
    train(database, name="nanogpt-café")
    index = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    link = re.search(r'href="(/-/nanogpt/models/[^"]*)"', index)[1]
    for path in (link, "/-/nanogpt/models/nanogpt-caf~C3~A9.json"):
        assert (await datasette.client.get(path, actor=ROOT)).status_code == 200


async def test_a_table_named_in_other_letters_is_the_same(datasette, home, database):
    list(train_table(TrainOptions(str(database), "ENTRY", **TINY, max_iters=8, device="cpu")))
    run = (await datasette.client.get("/blog/entry/-/nanogpt.json", actor=ROOT)).json()["runs"][0]
    page = (await datasette.client.get(f"/-/nanogpt/runs/{run['id']}", actor=ROOT)).text
    assert "Write with nanogpt-blog" in page
    row = find_run(home, run["id"])
    assert not name_taken(home, row["name"], row["database"], row["table"])  # as a resume asks


async def test_who_stops_listening_stops_the_work(make_model, home):
    make_model("nanogpt-tiny")
    settings = play_settings.read_settings({"max_tokens": 10**5, "seed": 1}, 10**6)
    events = play.generate_texts(home / "nanogpt-tiny", settings)
    slices = in_time_slices(events, play.SLICE_SECONDS)
    await anext(slices)
    await slices.aclose()
    while inspect.getgeneratorstate(events) != inspect.GEN_CLOSED:  # by the thread that was writing
        await asyncio.sleep(0.01)


def test_passages_are_found_and_linked_to_their_rows():
    rows = [("t", {"id": 1}, "zero one two three four five six seven eight nine ten")]
    rows.append(("t", {"id": 2}, "one two three\nfour five six seven eight NINE"))
    text = "Say ☕ one two  three four five six seven eight nine and more, one two three"
    (found,), looked, whole = find_memorized([text], rows)
    (passage,) = found.passages
    assert text[passage.start : passage.end] == "one two  three four five six seven eight nine"
    assert (passage.words, passage.keys, found.longest, looked, whole) == (9, {"id": 1}, 9, 2, True)
    assert found.fraction == 9 / 16
    assert find_memorized(["one two three four five six seven"], rows)[0][0].passages == []


def test_a_word_over_and_over_is_found_in_time(monkeypatch):
    rows = [("t", {"id": 1}, "the " * 3000)]
    began = time.process_time()
    (found,), _, whole = find_memorized(["so " + "the " * 300], rows)
    assert time.process_time() - began < 5 and whole and found.longest == 300  # compared one by one: 40 s
    monkeypatch.setattr("datasette_nanogpt.data.memorization.SECONDS", 0.0)
    assert not find_memorized(["the " * 300], rows)[2]


# ---- The chart


def test_a_long_run_is_thinned_but_keeps_its_scores(home):
    run = queue.enqueue(home, "/x.db", {"name": "x", "table": "t"}, None, 10)
    with registry(home) as db:
        db.executemany(
            "insert into metrics (run, step, seconds, train_bpb, val_bpb) values (?, ?, ?, ?, ?)",
            [
                (run, i, i / 2, None if i % 100 == 99 else 2.0, 2.0 if i % 100 == 99 else None)
                for i in range(5000)
            ],
        )
    with registry(home) as db:
        rows = metrics_after(db, run, 0, 500)
    assert sum(row[4] is not None for row in rows) == 50 and 500 <= len(rows) <= 560
    assert rows[-1][1] == 4999


# ---- What is posted, and what is configured

BODIES = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"{",
    b"",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"minutes": [1]}',
    b'{"prompt": {"a": 1}}',
    b'{"name": "\\ud800"}',
    b'{"minutes": ' + b"9" * 5000 + b"}",
]
PATHS = ("/blog/entry/-/nanogpt", "/blog/entry/-/nanogpt/rows", "/-/nanogpt/models/nanogpt-blog")
PATHS += tuple(
    f"/-/nanogpt/runs/1/{change}" for change in ("stop", "stop-now", "resume", "restore", "delete")
)


async def test_a_body_that_cannot_be_read_is_refused(datasette, home, database):
    train(database)
    for path in PATHS:
        for body in BODIES:
            headers = {"content-type": "application/json"}
            response = await datasette.client.post(path, content=body, headers=headers, actor=ROOT)
            assert response.status_code == 400 and response.json()["error"], (path, body[:20], response.text)
        response = await datasette.client.post(path, content=b"minutes=\xff", actor=ROOT)
        assert response.status_code == 400 and "UTF-8" in response.text, path
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml"):
            headers = {"content-type": kind}
            response = await datasette.client.post(path, content=b"minutes=1", headers=headers, actor=ROOT)
            assert response.status_code == 400, (path, kind)
            assert "application/x-www-form-urlencoded" in response.text, (path, kind)
    (run,) = find_runs(home)
    assert run["stop_requested"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        '{"n_layer": 1e999}',
        '{"seed": NaN}',
        '{"minutes": -1e999}',
        '{"where": "a\\u0000b"}',
        '{"n_embd": 1e308}',
    ]
    + ['{"learning_rate": NaN}', '{"name": "a\\u0000b"}', '{"body": "\\u0000"}', '{"minutes": true}'],
)
async def test_a_number_that_is_none_is_refused(datasette, home, fields):
    headers = {"content-type": "application/json"}
    response = await datasette.client.post(path_of("entry"), content=fields, headers=headers, actor=ROOT)
    assert response.status_code == 400 and response.json()["error"], response.text
    assert not home.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_minuts": 5}, "there is no option 'max_minuts': did you mean max_minutes?"),
        ({"colour": "red"}, "There are max_minutes, max_parameters"),
        ({"max_queued": "many", "max_token": 1}, "max_queued must be a number from 0, not 'many'"),
        ({"max_tokens": 1.5}, "max_tokens must be a number from 0"),
        ({"max_minutes": True}, "max_minutes must be a number from 0"),
        (["max_tokens"], "must have options, not"),
    ],
)
async def test_an_unknown_option_is_an_error_at_start_up(database, options, message):
    datasette = Datasette([str(database)], config={"plugins": {"datasette-nanogpt": options}})
    with pytest.raises(StartupError, match=re.escape(message)):
        await datasette.invoke_startup()
    datasette.close()


# ---- SQL of people

HEAVY = "length(randomblob(60000000)) + id < 0"  # a few calls of a function, each of which takes long


@pytest.mark.parametrize("where", ["randomblob(1000000000) = 1", HEAVY, "zeroblob(900000000) is null"])
async def test_sql_takes_neither_time_nor_memory_without_end(datasette, monkeypatch, where):
    monkeypatch.setattr(table_rows, "CONDITION_SECONDS", 0.5)
    before = peak_memory()
    began = time.monotonic()
    answer = await datasette.client.post(path_of("entry"), json={"where": where, "estimate": 1}, actor=ROOT)
    assert answer.status_code == 400 and ("too big" in answer.text or "too long" in answer.text)
    assert time.monotonic() - began < 20 and peak_memory() - before < 300e6  # was 60 s, and 1.6 GB


async def test_a_view_that_is_slow_by_itself_is_given_up(datasette, database, monkeypatch):
    monkeypatch.setattr(table_rows, "TABLE_SECONDS", 0.5)
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c"
    sqlite_utils.Database(database).create_view(
        "slow", f"select title, body from entry where exists ({endless} where x < 0)"
    )
    began = time.monotonic()
    page = await datasette.client.get(path_of("slow"), actor=ROOT)
    assert page.status_code == 400 and "takes too long" in page.text and time.monotonic() - began < 20


async def test_a_model_whose_condition_never_ends_holds_no_slot(datasette, home, database, monkeypatch):
    train(database)
    monkeypatch.setattr("datasette_nanogpt.data.memorization.MIN_WORDS", 1)
    monkeypatch.setattr(threads, "READ_SECONDS", 0.5)
    meta = json.loads((home / "nanogpt-blog" / "nanogpt.json").read_text())
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select 1 from c where x < 0"
    meta["source"]["where"] = f"exists ({endless})"
    (home / "nanogpt-blog" / "nanogpt.json").write_text(json.dumps(meta))
    for _ in range(3):
        lines = await lines_of(datasette, prompt="Row", max_tokens=20, seed=1)
        assert "too long" in lines[-1]["error"] and datasette._nanogpt.writing == 0


async def test_sql_that_nothing_interrupts_holds_few_threads():
    done = threading.Event()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for limit in ("READ_SECONDS", "GRACE_SECONDS", "WAIT_SECONDS"):
                patch.setattr(threads, limit, 0.1)
            tries = [threads.read_database(done.wait) for _ in range(10)]
            answers = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(answer, NanogptError) for answer in answers)
        assert sum("Too many tables" in str(answer) for answer in answers) == 10 - threads.READERS
    finally:
        done.set()
    assert await threads.read_database(lambda: 1) == 1


async def test_models_and_runs_are_read_only_as_far_as_they_are_shown(
    datasette, home, database, make_model, monkeypatch
):
    """benchmarks/index_speed.py measures it."""
    train(database)
    source = json.loads((home / "nanogpt-blog" / "nanogpt.json").read_text())["source"]
    for number in range(5):
        make_model(f"model-{number}", meta={"source": source})
    with registry(home) as db:
        columns = 'kind, name, "database", "table", status, settings, started'
        db.executemany(f"insert into runs ({columns}) select {columns} from runs where id = ?", [[1]] * 500)
    read, rows = [], []
    load, as_dict = model_cache.find_checkpoint, runs.run_as_dict
    monkeypatch.setattr(model_cache, "find_checkpoint", lambda path: (read.append(path), load(path))[1])
    monkeypatch.setattr(runs, "run_as_dict", lambda db, row: (rows.append(row), as_dict(db, row))[1])
    for path in ("/-/nanogpt.json", "/blog/entry", path_of("entry") + ".json", "/-/nanogpt"):
        assert (await datasette.client.get(path, actor=ROOT)).status_code == 200
        assert len(read) == 6 and len(rows) <= 3 * 100, path
        rows.clear()
    (home / "model-1" / "nanogpt.json").write_text("{}")
    make_model("model-6", meta={"source": source})
    names = [m["name"] for m in (await datasette.client.get("/-/nanogpt.json", actor=ROOT)).json()["models"]]
    assert "model-1" not in names and "model-6" in names and len(read) == 8


async def test_the_json_of_a_long_run_comes_in_parts(datasette, home, database, monkeypatch):
    train(database)
    with registry(home) as db:
        db.executemany("insert into metrics (run, step) values (1, ?)", [[i] for i in range(3000)])
        (count,) = db.execute("select count(*) from metrics where run = 1").fetchone()
    monkeypatch.setattr("datasette_nanogpt.web.polling.METRICS", 1000)
    after, steps, more = "", [], True
    while more:
        answer = (await datasette.client.get(f"/-/nanogpt/runs/1.json{after}")).json()
        assert len(answer["metrics"]) <= 1000
        steps += [metric[1] for metric in answer["metrics"]]
        after, more = f"?after={answer['next']}", answer["more"]
    assert len(steps) == count and steps[-1] == 2999


async def test_the_csv_of_a_long_run_is_read_page_by_page(datasette, home, database, monkeypatch):
    train(database)
    with registry(home) as db:
        db.executemany("insert into metrics (run, step) values (1, ?)", [[i] for i in range(3000)])
        (count,) = db.execute("select count(*) from metrics where run = 1").fetchone()
    read = []
    page = run_pages._metrics_page
    monkeypatch.setattr(
        run_pages, "_metrics_page", lambda *args: (rows := page(*args), read.append(len(rows)))[0]
    )
    lines = (await datasette.client.get("/-/nanogpt/runs/1.csv")).text.splitlines()
    assert (
        len(lines) == count + 1 and lines[-1].startswith("2999,") and max(read) <= 1000 and sum(read) == count
    )


@pytest.mark.parametrize(
    "path", ["runs/abc", "runs/-1", "runs/1.xml", "runs/9999999999999999", "runs/1/no", "no"]
)
async def test_an_address_below_ours_that_is_none_is_not_an_error_of_the_server(datasette, path):
    response = await datasette.client.get(f"/-/nanogpt/{path}", actor=ROOT)
    assert response.status_code == 404 and "all models and runs are at /-/nanogpt" in response.text
    response = await datasette.client.get(f"/-/nanogpt/{path}.json", actor=ROOT)
    assert response.status_code == 404 and response.json()["ok"] is False


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/-/nanogpt", "GET, HEAD"),
        ("/-/nanogpt/runs/1", "GET, HEAD"),
        ("/-/nanogpt/runs/1.csv", "GET, HEAD"),
        ("/-/nanogpt/runs/1/stop", "POST"),
        ("/-/nanogpt/compare", "GET, POST, HEAD"),
        ("/-/nanogpt/models/nanogpt-blog", "GET, POST, HEAD"),
        ("/-/nanogpt/models/nanogpt-blog/keep", "POST"),
        ("/blog/entry/-/nanogpt", "GET, POST, HEAD"),
        ("/blog/entry/-/nanogpt/rows", "GET, POST, HEAD"),
    ],
)
async def test_a_method_that_a_page_has_not_is_refused(datasette, path, methods):
    """DELETE was answered as GET is, with status 200."""
    for method in {"PUT", "PATCH", "DELETE", "POST"} - {*methods.split(", ")}:
        response = await datasette.client.request(method, path, actor=ROOT)
        assert (response.status_code, response.headers["allow"]) == (405, methods)
        assert f"{method} is not possible here" in response.text
    answer = await datasette.client.delete("/-/nanogpt.json", actor=ROOT)
    assert answer.status_code == 405 and answer.json()["ok"] is False
