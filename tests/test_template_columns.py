"""Columns as conditions on a model's page: fields for those of its template, what was filled in."""

import html
import json
import re
import shutil
from urllib.parse import urlencode

import llm
import pytest
import sqlite_utils
from conftest import TEXTS, serve

from datasette_nanogpt.data.dataloader import Tokens
from datasette_nanogpt.registry.kept_texts import kept_texts
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.prompt import conditions_from
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web import template_columns
from datasette_nanogpt.web.play_settings import LONGEST_LINK, link, read_settings
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.titles import Titles

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64, "batch_size": 2, "vocab_size": 300}
TINY |= {"max_iters": 3, "device": "cpu"}
TEMPLATE = "kind: {{ kind }}\nabout: {{ my_title }}\n\n{{ body }}"
ROOT, MODEL = {"id": "root"}, "/-/nanogpt/models/nanogpt-kinds"
KINDS = ["note", "link", "quote <b>"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A database, and the folder of a model of it."""
    folder = tmp_path_factory.mktemp("kinds")
    rows = [
        {"id": i, "kind": KINDS[i % 3], "my_title": f"Fox {i}", "body": text} for i, text in enumerate(TEXTS)
    ]
    sqlite_utils.Database(folder / "blog.db")["entry"].insert_all(rows, pk="id")
    options = TrainOptions(str(folder / "blog.db"), "entry", name="nanogpt-kinds", template=TEMPLATE, **TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOGPT_HOME", str(folder / "models"))
        list(train_table(options))
    return folder / "blog.db", folder / "models" / "nanogpt-kinds"


@pytest.fixture
async def datasette(trained, home):
    database, model = trained
    shutil.copytree(model, home / model.name)
    datasette = await serve(database, memory=True)
    yield datasette
    datasette.close()


async def text_of(datasette, path):
    response = await datasette.client.get(path, actor=ROOT)
    assert response.status_code == 200, response.text
    return response.text


async def post(datasette, path="", status=200, **values):
    response = await datasette.client.post(MODEL + path, json={"max_tokens": 30, **values}, actor=ROOT)
    assert response.status_code == status, response.text
    return response


async def write(datasette, **values):
    lines = [json.loads(line) for line in (await post(datasette, **values)).text.splitlines()]
    assert not [line for line in lines if "error" in line], lines
    return lines, "".join(line.get("text", "") for line in lines)


async def test_columns_are_set_filled_in_kept_and_linked(datasette, home):
    page = await text_of(datasette, MODEL)
    # What is common is offered, where it is little: a title is none of that.
    assert set(re.findall(r'<option value="([^"/]*)"></option>', page)) == {
        "note",
        "link",
        "quote &lt;b&gt;",
    }
    assert (
        'name="set.my_title"' in page
        and 'name="set.body"' not in page
        and "The beginning of the column <strong>body<" in page
    )
    assert re.search(r'placeholder="for example Fox \d+"', page)  # of a column without common values, too
    chips = [json.loads(chip.replace("&#34;", '"')) for chip in re.findall(r'data-fields="([^"]*)"', page)]
    assert chips and all(re.match(r"Fox \d", chip["set.my_title"]) for chip in chips)

    given = {"set.kind": "link", "prompt": "Row", "seed": 7}
    lines, text = await write(datasette, **given, **{"set.my_title": ""})
    (began,) = [line for line in lines if "sample" in line]
    (ended,) = [line for line in lines if "ended" in line]
    # The model fills in the title, before the prompt: so the prompt is a part of what was written.
    assert began["begins"] == "kind: link\nabout: " and ended["columns"]["kind"] == "link"
    assert ended["columns"]["my_title"] == text.split("\n\n")[0] and ended["rest"].startswith("Row")
    model = llm.get_model("nanogpt-kinds")
    assert text == model.prompt("Row", set={"kind": "link"}, seed=7, max_tokens=30).text()
    assert '-o set \'{"kind": "link"}\'' in lines[-1]["llm"] and "set={'kind': 'link'}" in lines[-1]["python"]

    await post(datasette, "/keep", **given, text=text)
    (kept,) = kept_texts(home, "nanogpt-kinds", 9)
    assert kept["settings"]["set"] == {"kind": "link"} and kept["settings"]["begins"] == began["begins"]
    assert kept["settings"]["columns"] == ended["columns"]
    page = await text_of(datasette, MODEL)
    assert '<div class="given"><dt>kind</dt><dd>link</dd></div>' in page
    # The columns that stand above the text are not said again in it, nor by a heading that one sees.
    title, rest = html.escape(ended["columns"]["my_title"].strip()), html.escape(ended["rest"].lstrip())
    assert f"<dt>my_title<span>, by the model</span></dt><dd>{title}" in page
    assert f'<div class="text"><strong></strong>{rest}' in page.replace("&#34;", "&quot;").replace(
        "&#39;", "&#x27;"
    )
    assert re.search('<h3 class="visually-hidden">link · ', page)
    copied = html.unescape(re.search('class="core copy" data-text="([^"]*)"', page)[1])
    assert copied == began["begins"] + text  # with its columns
    (address,) = re.findall(r'href="[^"?]*(\?[^"]*)" aria-label="Link to', page)
    page = await text_of(datasette, MODEL + address.replace("&amp;", "&"))
    assert 'name="set.kind" value="link"' in page and ">\nRow</textarea>" in page and 'value="7"' in page


async def test_a_stopped_text_has_its_columns_too(datasette):
    written = "Foxes\n\nThey ru"
    answer = (await post(datasette, "/copied", text=written, **{"set.kind": "link"})).json()
    assert answer["columns"] == {"kind": "link", "my_title": "Foxes"} and answer["rest"] == "They ru"
    answer = (await post(datasette, "/copied", text=" link\nabout: Foxes", prompt="kind:")).json()
    assert answer["columns"] == {"kind": "link", "my_title": "Foxes"} and answer["rest"] is None


async def test_a_column_that_there_is_not_costs_only_itself_in_a_link(datasette):
    query = urlencode({"set.nope": "1", "set.kind": "note", "set.body": "x"})
    page = await text_of(datasette, f"{MODEL}?{query}")
    assert "no column nope that can be set" in page and "no column body that" in page
    assert 'name="set.kind" value="note"' in page
    error = (await post(datasette, **{"set.nope": "1"})).text
    assert "has no column" in error
    await post(datasette, "/keep", 400, text="x", **{"set.nope": "1"})


async def test_a_column_with_lines_has_a_field_and_a_place_that_keep_them(datasette, home):
    query = urlencode({"set.kind": "a\nb", "set.my_title": "Fox"})
    page = await text_of(datasette, f"{MODEL}?{query}")
    assert re.search(r'<textarea [^>]*name="set.kind"[^>]*>\na\nb</textarea>', page)
    assert re.search('<input type="text"[^>]* name="set.my_title" value="Fox"', page)
    source = json.loads((home / "nanogpt-kinds" / "nanogpt.json").read_text())
    source["source"]["template"] = "{{ kind }}\n\n{{ my_title }}\n\n{{ body }}"
    (home / "nanogpt-kinds" / "nanogpt.json").write_text(json.dumps(source))
    given = {"set.kind": "- a\n- b", "set.my_title": "Fox", "seed": 1}
    lines, text = await write(datasette, **given)
    (ended,) = [line for line in lines if "ended" in line]
    assert ended["columns"] == {"kind": "- a\n- b", "my_title": "Fox"}
    await post(datasette, "/keep", **given, text=text)
    page = await text_of(datasette, MODEL)
    assert '<dd class="lines">- a\n- b</dd>' in page and "<dd>Fox</dd>" in page


def test_the_rows_say_which_columns_have_lines(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[1], tmp_path / "nanogpt-kinds")
    text = "kind: - a\n- b\nabout: Foxes\n\nThey"
    monkeypatch.setattr(template_columns.Tokenizer, "decode", lambda self, ids: text)
    checkpoint = read_checkpoint(folder)
    kind, title = template_columns.columns_to_set(checkpoint)
    assert (kind.lines, kind.choices, kind.example) == (True, (), "")
    assert (title.lines, title.example) == (False, "Foxes")
    # What is offered to try is short.
    assert {"my_title": "Foxes"} in [*template_columns.held_out_columns(checkpoint, 200)]


async def test_a_column_of_odd_values_is_given_as_it_is(datasette):
    value = "a \"b\" <i> ☕='ü'"
    lines, _ = await write(datasette, seed=1, **{"set.kind": value, "set.my_title": "T"})
    assert [line["begins"] for line in lines if "sample" in line] == [f"kind: {value}\nabout: T\n\n"]


def test_a_link_has_what_differs_from_the_defaults():
    form = {"prompt": "a b", "set.my col": "x=1", "top_k": "5", "seed": "3", "stop": "\\n"}
    assert link(read_settings(form, 300)) == "prompt=a+b&set.my+col=x%3D1&stop=%5Cn&seed=3&top_k=5"
    assert link(read_settings({"prompt": "x" * LONGEST_LINK}, 300)) == ""


def test_long_columns_do_not_have_the_whole_text_read(trained, monkeypatch):
    """Of a text whose last column begins late in every row, all rows were looked at."""
    model = trained[1]
    decoded = []
    decode = template_columns.Tokenizer.decode
    monkeypatch.setattr(template_columns, "ROWS", 20)
    monkeypatch.setattr(
        template_columns.Tokenizer, "decode", lambda self, ids: decoded.append(1) or decode(self, ids)
    )
    heads = template_columns._heads(read_checkpoint(model), "train.bin", 3)
    assert [*heads] == [] and len(decoded) == 20


def test_an_if_that_is_open_hides_no_columns(trained, tmp_path, monkeypatch):
    """The playground had neither common values nor held-out columns for such a template, and found no last
    column in its texts."""
    model = tmp_path / "nanogpt-kinds"
    shutil.copytree(trained[1], model)
    meta = json.loads((model / "nanogpt.json").read_text())
    meta["source"]["template"] = TEMPLATE.replace(
        "kind: {{ kind }}\n", "{% if kind %}kind: {{ kind }}\n{% endif %}"
    )
    (model / "nanogpt.json").write_text(json.dumps(meta))
    checkpoint = read_checkpoint(model)
    kind, title = template_columns.columns_to_set(checkpoint)
    assert set(kind.choices) == set(KINDS) and (title.name, title.choices) == ("my_title", ())
    assert template_columns.last_column(checkpoint) == "body"
    held_out = [*template_columns.held_out_columns(checkpoint, 200)]
    assert held_out and all(columns.keys() == {"kind", "my_title"} for columns in held_out)
    row = template_columns.written_columns(
        checkpoint, {"set": {"kind": "link"}, "prompt": ""}, "Foxes\n\nThey"
    )
    assert row["columns"] == {"kind": "link", "my_title": "Foxes"} and row["rest"] == "They"
    text = "about: Foxes\n\nThey"
    row = template_columns.written_columns(checkpoint, {"set": {}, "prompt": "abo"}, text.removeprefix("abo"))
    assert row["columns"] == {"kind": None, "my_title": "Foxes"} and row["rest"] == "They"


@pytest.mark.parametrize(("kind", "asked"), [("", False), ("link", True)])
def test_columns_are_offered_only_where_they_can_be_given(trained, monkeypatch, kind, asked):
    """A title whose place depends on a column that its row does not have is refused without that column."""
    checkpoint = read_checkpoint(trained[1])
    source = {"template": "{% if kind %}{{ kind }}: {% endif %}# {{ title }}\n\n{{ body }}"}
    text = f"{kind}: # Foxes\n\nThey" if kind else "# Foxes\n\nThey"
    checkpoint.meta["source"] = source
    monkeypatch.setattr(template_columns.Tokenizer, "decode", lambda self, ids: text)
    assert bool([*template_columns.held_out_columns(checkpoint, 200)]) == asked
    tokens = Tokens.open(
        checkpoint.path / "training", checkpoint.config.vocab_size, checkpoint.meta["corpus"]
    )
    titles = Titles(template_columns.Tokenizer.load(checkpoint.path), checkpoint.config)
    monkeypatch.setattr(Titles, "head", lambda self, ids: ids)
    assert bool(conditions_from(tokens.val, titles, source)) == asked


def test_a_title_is_offered_before_other_columns(trained, monkeypatch):
    checkpoint = read_checkpoint(trained[1])
    source = {"template": "{{ kind }}, {{ year }}\n# {{ title }}\n\n{{ body }}"}
    tokens = Tokens.open(
        checkpoint.path / "training", checkpoint.config.vocab_size, checkpoint.meta["corpus"]
    )
    titles = Titles(template_columns.Tokenizer.load(checkpoint.path), checkpoint.config)
    monkeypatch.setattr(Titles, "head", lambda self, ids: ids)
    for title, offered in (("Foxes", {"title": "Foxes"}), ("F" * 99, {"kind": "link", "year": "2024"})):
        text = f"link, 2024\n# {title}\n\nThey"
        monkeypatch.setattr(template_columns.Tokenizer, "decode", lambda self, ids, text=text: text)
        assert conditions_from(tokens.val, titles, source) == offered
    untitled = {"template": source["template"].replace("title", "place")}
    monkeypatch.setattr(template_columns.Tokenizer, "decode", lambda self, ids: "link, 2024\n# Rome\n\nThey")
    assert conditions_from(tokens.val, titles, untitled) == {"kind": "link", "year": "2024"}
