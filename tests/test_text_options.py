"""Templates and conversations on their whole way: the form, a run, a resume, scores, provenance, the card."""

import json
import re
import sqlite3
import tracemalloc

import pytest
from click.testing import CliRunner
from conftest import serve
from datasette.app import Datasette
from llm.cli import cli as llm_cli

from datasette_nanogpt.data.model_rows import open_rows, score_each_row
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.registry.queue import enqueue
from datasette_nanogpt.registry.row_scores import figure, scorings
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web.playground import find_copied
from datasette_nanogpt.web.score_rows import score_rows
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.loading import open_model

ROOT = {"id": "root"}
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 128, "batch_size": 2, "vocab_size": 300}
TEMPLATE = r"{{ topic }} · {{ sent[:4] }}\n\n{{ text }}"
WORDS = ["sun", "moon", "star", "river", "hill", "tree", "stone", "path", "cloud", "rain", "wind", "leaf"]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "chat.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table message (id integer primary key, thread, sender, topic, sent, text)")
        for i in range(120):
            words = " ".join(WORDS[(i * k) % 12] for k in range(1, 9))
            thread = i % 30 if i % 10 else None
            row = (
                thread,
                "Ada" if i % 2 else "Ben",
                WORDS[i % 3],
                f"{2020 + i % 4}-01-{i:03}",
                f"{i} {words}",
            )
            db.execute("insert into message (thread, sender, topic, sent, text) values (?, ?, ?, ?, ?)", row)
    db.close()
    return str(path)


def run(database, **changes):
    return list(train_table(TrainOptions(database, "message", **TINY, max_iters=3, device="cpu", **changes)))


@pytest.fixture
async def datasette(database, home):
    datasette = await serve(database, metadata={})
    yield datasette
    datasette.close()


PATH = "/chat/message/-/nanogpt"


async def test_the_form_takes_a_template_and_a_grouping(datasette, home):
    page = await datasette.client.get(PATH, actor=ROOT)
    assert all(f'name="{key}"' in page.text for key in ("template", "group_by", "order_by"))

    async def ask(**fields):
        response = await datasette.client.post(PATH, json={"minutes": "1", **fields}, actor=ROOT)
        return response.status_code, response.json()

    template = "{{ topic }} · {{ sent[:4] }}\r\n\r\n{{ text }}"
    status, answer = await ask(template=template, estimate=1)
    assert status == 200
    assert answer["offer"]["texts"][0].startswith("sun · 2020\n\n0 ")
    assert "by the template" in answer["offer"]["text"]
    status, grouped = await ask(group_by="thread", order_by="sent", estimate=1)
    told = grouped["offer"]["parts"]
    assert re.fullmatch(r"[\d,]+ rows in [\d,]+ texts, one for each ", told[0])
    assert told[1:4:2] == ["thread", "sent"] and told[2] == ", in the order of "
    assert grouped["offer"]["texts"][0].count("\n") >= 2
    # Sender and text of all rows, whichever way they are put together.
    _, plain = await ask(estimate=1)
    tokens = [round(each["estimate"]["tokens"] * each["estimate"]["epochs"]) > 0 for each in (plain, grouped)]
    assert all(tokens)

    status, answer = await ask(template="{{ nope }}", order_by="sent", estimate=1)
    assert status == 400
    assert {problem["field"] for problem in answer["problems"]} == {"template", "order_by"}
    status, answer = await ask(template="{{ text", title="topic", estimate=1)
    assert (status, answer["problems"][0]["field"]) == (400, "template")
    status, answer = await ask(order_by="sent", estimate=1)
    assert [problem["field"] for problem in answer["problems"]] == ["order_by"]
    status, answer = await ask(template=template, title="topic", estimate=1)
    assert [problem["field"] for problem in answer["problems"]] == ["template"]

    # Little text is refused before a run begins, so a long template makes more of it.
    long = "{{ topic }} " * 40 + template
    status, answer = await ask(template=long, **{key: str(value) for key, value in TINY.items()})
    assert status == 200, answer
    (run,) = find_runs(home)
    settings = json.loads(run["settings"])
    assert settings["template"] == long.replace("\r\n", "\n")
    TrainOptions(**settings)
    page = await datasette.client.get(f"{PATH}?_again={run['id']}", actor=ROOT)
    assert "{{ topic }} · {{ sent[:4] }}\n\n{{ text }}</textarea>" in page.text


async def test_sql_in_a_grouping_needs_its_permission(database, home):
    config = {"permissions": {"nanogpt-train": {"id": "ada"}, "execute-sql": {"id": "root"}}}
    datasette = Datasette([database], config=config)
    await datasette.invoke_startup()
    ada = {"id": "ada"}
    allowed = await datasette.client.post(PATH, json={"group_by": "thread", "estimate": 1}, actor=ada)
    assert allowed.status_code == 200
    for fields in ({"group_by": "thread + 1"}, {"group_by": "thread", "order_by": "(select 1)"}):
        refused = await datasette.client.post(PATH, json={**fields, "estimate": 1}, actor=ada)
        assert refused.status_code == 403
    # Both choose from the columns of the table; who may write SQL can write it there, too.
    page = (await datasette.client.get(PATH, actor=ada)).text
    chosen = re.search(r'<select id="group_by".*?</select>', page)[0]
    settings = {
        "database": str(database),
        "table": ["message"],
        "group_by": "thread + 1",
        "name": "nanogpt-chat",
    }
    run = enqueue(home, str(database), settings, None, 9)
    again = await datasette.client.get(f"{PATH}?_again={run}", actor=ada)
    assert again.status_code == 200 and "thread + 1" not in again.text  # as its condition would be left out
    assert 'value="" selected>no groups' in chosen and '<option value="thread">thread</option>' in chosen
    datasette.close()


async def test_the_form_lists_the_columns_to_group_and_order_by(database, home):
    datasette = Datasette([database])
    datasette.root_enabled = True
    page = (await datasette.client.get(PATH, actor={"id": "root"})).text
    for key in ("group_by", "order_by"):
        assert re.search(f'<input[^>]* name="{key}"[^>]* placeholder="[^"]+" list="columns"', page)
    assert '<option value="thread">' in re.search(r'<datalist id="columns">.*?</datalist>', page)[0]
    datasette.close()


def test_a_run_by_a_template(database, home):
    events = run(database, template=TEMPLATE)
    finished = events[-1]
    assert set(finished.conditions) == {"topic", "sent"} and finished.conditions["topic"] in WORDS
    folder = home / "nanogpt-chat"
    meta = json.loads((folder / "nanogpt.json").read_text("utf-8"))
    assert meta["source"]["template"] == meta["options"]["template"] == TEMPLATE
    assert meta["corpus"]["titles"]  # what stands above the text is repeated as a title is
    card = (folder / "README.md").read_text("utf-8")
    assert "The text of a row is\n\n    {{ topic }} · {{ sent[:4] }}\n    \n    {{ text }}\n" in card
    said = CliRunner().invoke(llm_cli, ["nanogpt", "info", "nanogpt-chat"]).output
    assert TEMPLATE in said

    # A resume keeps it, given again or not, and takes no other.
    with pytest.raises(NanogptError, match="leave out --template"):
        list(train_table(TrainOptions(database, "message", template="{{ text }}", resume=True, max_iters=4)))
    list(train_table(TrainOptions(database, "message", template=TEMPLATE, resume=True, max_iters=4)))
    assert read_checkpoint(folder).meta["source"]["template"] == TEMPLATE

    # Rows are scored as they were read.
    opened = open_model(folder, "cpu")
    source = open_rows(opened.checkpoint, database, "message")
    scored = list(score_each_row(opened, source))
    assert scored[0].text.startswith("sun · 2020\n\n0 ")
    assert {row.split for row in scored} == {"trained", "held out"}
    text = next(row.text for row in scored if row.split == "trained")
    assert find_copied(opened.checkpoint, [text]).texts[0].fraction == 1


def test_a_run_on_conversations(database, home):
    events = run(database, group_by="thread", order_by="sent")
    folder = home / "nanogpt-chat"
    meta = read_checkpoint(folder).meta
    assert (meta["source"]["rows"], meta["source"]["documents"]) == (120, 39)
    assert meta["corpus"]["documents"] == 39
    assert meta["source"]["speaker"] == "sender"
    assert events[-1].verdict
    assert "39 documents of 120 rows" in (folder / "README.md").read_text("utf-8").replace("\n", " ")
    opened = open_model(folder, "cpu")
    source = open_rows(opened.checkpoint, database, "message")
    scored = list(score_each_row(opened, source))
    assert len(scored) == 39
    assert {row.split for row in scored} == {"trained", "held out"}
    first = scored[0]
    assert first.text.count("\n") == 3 and first.text.split(":")[0] in ("Ada", "Ben")
    # A copied passage leads to the first row of its conversation.
    passage = find_copied(opened.checkpoint, [first.text]).texts[0].passages[0]
    assert passage.keys == first.keys

    arguments = ["nanogpt", "score", folder.name, "--db", database, "--table", "message", "--jsonl"]
    lines = CliRunner().invoke(llm_cli, arguments, catch_exceptions=False).output.splitlines()
    assert len(lines) == 39 and json.loads(lines[0])["id"] == first.keys["id"]


def test_scores_of_conversations_in_the_registry(database, home, make_model):
    folder = make_model("nanogpt-chat")
    meta = json.loads((folder / "nanogpt.json").read_text())
    known = {"table": "message", "title": None, "body": ["text"], "kinds": {}, "speaker": "sender"}
    known |= {"group_by": "thread", "order_by": "sent", "kinds": {"text": {}, "sender": {}}}
    meta["source"] = {"database": database, **known, "tables": [known], "rows": 120}
    (folder / "nanogpt.json").write_text(json.dumps(meta))
    settings = {"database": database, "table": ["message"], "name": folder.name, "minutes": 1}
    enqueue(home, database, settings, None, 10, "message")
    (row,) = find_runs(home)
    score_rows(home, row, Stop())
    shown, _ = scorings(home, folder.name, database, "message")
    plan = json.loads(shown["plan"])
    assert (plan["scored"], plan["rows"]) == (39, 39)
    first = open_rows(read_checkpoint(folder), database, "message")
    key = next(first.keyed_documents())[0]["id"]
    assert figure(home, shown["id"], str(key))
    assert find_runs(home)[0]["status"] == "finished"


async def test_the_playground_of_a_template(database, home, make_model):
    folder = make_model("nanogpt-chat", titles=True, block_size=64)
    meta = json.loads((folder / "nanogpt.json").read_text())
    known = {"table": "message", "title": None, "template": TEMPLATE, "body": ["topic", "sent", "text"]}
    meta["source"] = {"database": database, **known, "tables": [known], "rows": 120}
    (folder / "nanogpt.json").write_text(json.dumps(meta))
    datasette = Datasette([database])
    datasette.root_enabled = True
    await datasette.invoke_startup()
    page = await datasette.client.get("/-/nanogpt/models/nanogpt-chat", actor=ROOT)
    assert page.status_code == 200 and 'name="prompt"' in page.text
    assert 'name="title"' not in page.text  # a title is not what stands first
    assert 'name="set.topic"' in page.text
    settings = {"prompt": "Row", "max_tokens": 3, "seed": 1}
    answer = await datasette.client.post("/-/nanogpt/models/nanogpt-chat", json=settings, actor=ROOT)
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert events[-1]["done"] and "".join(event.get("text", "") for event in events)
    datasette.close()


def test_a_grouped_table_is_streamed(tmp_path):
    """The rows of all conversations are never in memory together."""
    path = str(tmp_path / "many.db")
    with sqlite3.connect(path) as db:
        db.execute("create table t (thread, text)")
        db.executemany("insert into t values (?, ?)", ((i % 500, "word " * 200) for i in range(4000)))
    source = open_source(path, "t", Selection(group_by="thread"))
    list(source.documents())  # modules are loaded
    tracemalloc.start()
    assert sum(len(text) > 7000 for text in source.documents()) == 500
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400_000  # of 4 MB
