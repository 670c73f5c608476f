"""Rows that are written with some of their columns given, and texts that are put back into columns."""

import json
import re
import sqlite3
from dataclasses import replace

import llm
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import tiny_config
from datasette.app import Datasette
from llm.cli import cli as llm_cli

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.conditions import layout_of, write_row, write_text
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.generate import generate
from llm_nanogpt.guidance import GuidedModel
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.template import Template
from llm_nanogpt.tokenizer_training import train_char

TEMPLATE = "{{ tags }} · {{ created[:4] }}\n# {{ title }}\n\n{{ body }}"
ALPHABET = "".join(map(chr, range(32, 127))) + "\n·é"


class Scripted:
    """A model that writes a given text in each column, whatever was given in the others."""

    def __init__(self, tokenizer, columns, literals=r" · |\n# |\n\n"):
        self.config = replace(tiny_config(), vocab_size=tokenizer.n_vocab, block_size=400, titles=True)
        self.tokenizer, self.columns, self.literals, self.device = tokenizer, columns, literals, "cpu"

    def new_cache(self):
        return []

    def logits(self, ids, cache, past=0):
        cache[past:] = ids
        written = re.split(
            self.literals, self.tokenizer.decode([i for i in cache if i != self.tokenizer.eot])
        )
        column = self.columns[min(len(written), len(self.columns)) - 1]
        at = len(written[-1])
        logits = np.zeros(self.config.vocab_size, np.float32)
        token = self.tokenizer.eot if at >= len(column) else self.tokenizer.encode(column[at])[0]
        logits[token] = 50
        return logits


@pytest.fixture(scope="module")
def char():
    return train_char([ALPHABET])


def opened(char, columns=("python · ", "2024\n# ", "Bees\n\n", "They fly."), source=None, **scripted):
    meta = {"source": source or {"template": TEMPLATE, "body": ["tags", "created", "title", "body"]}}
    model = Scripted(char, columns, **scripted)
    checkpoint = Checkpoint(None, model.config, meta, {})
    return OpenedModel(checkpoint, model, "", char)


def write(char, values, prompt="", source=None, columns=None, **settings):
    model = opened(char, **({"columns": columns} if columns else {}), source=source)
    run = write_row(model, values, prompt, sampler=Sampler(temperature=0, dry_multiplier=0), **settings)
    return run, "".join(run)


# ---- Writing


@pytest.mark.parametrize(
    ("values", "prompt", "begins", "written"),
    [
        ({"tags": "sqlite"}, "", "sqlite · ", "2024\n# Bees\n\nThey fly."),
        ({"tags": "a, b", "created": "1999-12-31"}, "", "a, b · 1999\n# ", "Bees\n\nThey fly."),
        ({"created": "1999"}, "", "", "python · 1999\n# Bees\n\nThey fly."),
        ({"title": "Ants"}, "", "", "python · 2024\n# Ants\n\nThey fly."),
        ({"tags": "x", "title": "Ants"}, "", "x · ", "2024\n# Ants\n\nThey fly."),
        ({"tags": "", "created": ""}, "", " · \n# ", "Bees\n\nThey fly."),
        ({"TAGS": "two\nlines"}, "", "two lines · ", "2024\n# Bees\n\nThey fly."),
        ({"tags": "x"}, "They", "x · ", "2024\n# Bees\n\nThey fly."),
        ({"tags": "x", "created": "1", "title": "y"}, "They", "x · 1\n# y\n\nThey", " fly."),
        ({}, "They", "", "python · 2024\n# Bees\n\nThey fly."),
        ({}, "", "", "python · 2024\n# Bees\n\nThey fly."),
    ],
)
def test_what_is_given_stands_where_it_belongs(char, values, prompt, begins, written):
    run, text = write(char, values, prompt)
    assert (run.prompt, text) == (begins, written)
    assert run.text == begins + written
    assert run.finish_reason == "stop"
    columns = run.columns
    assert columns["body"] == "They fly."
    given = {
        name.lower(): " ".join(value.split())[: 4 if name == "created" else None]
        for name, value in values.items()
    }
    assert {name: columns[name] for name in given} == given


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"nope": "x"}, "has no column 'nope'. Its columns are: tags, created, title, body"),
        ({"creatd": "x"}, "body. Did you mean created?"),
        ({"body": "x"}, "body is what the model writes: the prompt is how it begins"),
        ({"nope": "x", "body": "y"}, "no column 'nope'"),
    ],
)
def test_columns_that_cannot_be_given(char, values, reason):
    with pytest.raises(InvalidOptions, match=re.escape(reason)) as error:
        write(char, values)
    assert {problem.field for problem in error.value.problems} == {"set"}


def test_places_that_cannot_be_told_apart(char):
    source = {"template": "{{ a }}{{ b }} {{ c ~ d }}: {{ e }}"}
    with pytest.raises(InvalidOptions, match="no text between a and b: give a as well"):
        write(char, {"b": "x"}, source=source)
    with pytest.raises(InvalidOptions, match="c and d stand in one place of the text: give d as well"):
        write(char, {"a": "x", "c": "y"}, source=source)
    run, _ = write(char, {"a": "x", "b": "y", "c": "1", "d": "2"}, source=source)
    assert run.prompt == "xy 12: "
    with pytest.raises(InvalidOptions, match="n cannot be 'x'"):
        write(char, {"n": "x"}, source={"template": "{{ n + 1 }} {{ b }}"})
    with pytest.raises(NanogptError, match="does not know which columns"):
        write(char, {"a": "x"}, source={"imported": True})


TAGGED = "{% if tags %}{{ tags }} · {% endif %}# {{ title }}\n\n{{ body }}"
LISTED = "{{ t }}\n{% for tag in tags.split(',') %}- {{ tag | trim }}\n{% endfor %}\n{{ body }}"
KINDS = (
    "{% if kind == 'post' %}# {{ title }}{% elif n > 2 %}{{ n }} by {{ who }}{% else %}note{% endif %}"
    "\n\n{{ b }}"
)
LONG = "{% if title|length > 3 %}long {% endif %}{{ title }}: {{ body }}"
SIGNED = "{{ body }}{% if name %}\n\nSigned: {{ name }}{% endif %}"


@pytest.mark.parametrize(
    ("template", "values", "begins"),
    [
        (TAGGED, {"tags": "x"}, "x · # "),
        (TAGGED, {"tags": ""}, "# "),
        (TAGGED, {"tags": "x", "title": "y"}, "x · # y\n\n"),
        (TAGGED, {"tags": "", "title": "y"}, "# y\n\n"),
        ("{{ a }}\n" + TAGGED, {"a": "z"}, "z\n"),  # what comes after an `if` is the model's, whatever it is
        (LISTED, {"t": "A", "tags": "x, y"}, "A\n- x\n- y\n\n"),
        (LISTED, {"t": "A"}, "A\n"),
        (KINDS, {"kind": "post", "title": "x"}, "# x\n\n"),
        (KINDS, {"kind": "x", "n": "3"}, "3 by "),
        (KINDS, {"kind": "x", "n": "2", "who": "unused"}, "note\n\n"),
        ("{% if n %}{{ n + 1 }}{% else %}none{% endif %}: {{ b }}", {"n": "41"}, "42: "),
        ("{% if n %}{{ n + 1 }}{% else %}none{% endif %}: {{ b }}", {"n": "0"}, "none: "),
        ("{% if '0' in n %}yes{% endif %}: {{ b }}", {"n": "10"}, "yes: "),
        ("{% if draft %}Draft. {% endif %}{{ b }}", {"draft": "1"}, "Draft. "),
        (SIGNED, {"name": ""}, ""),
        # A test that fails on a number is one about text, and one that fails on a text about a number.
        (LONG, {"title": "1984"}, "long 1984: "),
        (LONG, {"title": "451"}, "451: "),
        ("{% if k == 'x' and n > 2 %}{{ n }}. {% endif %}{{ k }}: {{ b }}", {"k": "x", "n": "3"}, "3. x: "),
    ],
)
def test_what_is_given_decides_an_if(char, template, values, begins):
    run, text = write(char, values, source={"template": template}, columns=["They fly."])
    assert run.prompt == begins
    assert run.text == begins + text


@pytest.mark.parametrize(
    ("template", "values", "reason"),
    [
        (TAGGED, {"title": "x"}, "Where title stands in the text depends on tags: set tags as well"),
        (
            KINDS,
            {"title": "x"},
            "depends on kind and n: set kind and n as well, empty for a row without",
        ),
        (KINDS, {"kind": "x", "n": "y"}, "n cannot be 'y'"),
        (SIGNED, {"body": "x", "name": ""}, "body is what the model writes"),
        ("{% for x in a %}{{ x }}{{ c }}{% endfor %}: {{ b }}", {"a": "x"}, "give c as well"),
        (
            "".join(f"{{% if {x} %}}{{{{ {x} }}}}{{% endif %}}" for x in "abcdefghij"),
            {"a": "x"},
            "many {% if %}",
        ),
    ],
)
def test_what_an_if_leaves_open(char, template, values, reason):
    with pytest.raises((InvalidOptions, NanogptError), match=re.escape(reason)):
        write(char, values, source={"template": template})


def test_a_column_that_occurs_twice_is_the_same(char):
    source = {"template": "{{ a }} · {{ b }}\n# {{ a }}\n\n{{ c }}"}
    assert write(char, {"b": "x"}, "go", source=source)[0].text[:23] == "python · x\n# python\n\ngo"
    assert write(char, {"a": "y"}, source=source)[0].prompt == "y · "
    run, _ = write(char, {"a": "y", "b": "z"}, source=source)
    assert run.prompt == "y · z\n# y\n\n"
    assert run.columns["a"] == "y"


def test_columns_with_other_names(char):
    source = {"template": "{{ row['my col'] }} · {{ größe }}\n# {{ t }}\n\n{{ body }}"}
    run, _ = write(char, {"my col": "x", "GRÖSSE".lower().replace("ss", "ß"): "é"}, source=source)
    assert run.prompt == "x · é\n# "


@pytest.mark.parametrize("source", [{"body": ["note"]}, {"speaker": "who", "body": ["note"]}, {"body": []}])
def test_a_title_for_texts_without_titles_is_refused(make_model, source):
    folder = make_model(meta={"source": {"title": None, "table": "t", **source}, "corpus": {"titles": False}})
    columns = " Its columns are: " + ", ".join(filter(None, (source.get("speaker"), *source["body"]))) + "."
    reason = f"The text of this model has no title.{columns if source['body'] else ''} Give the beginning"
    opened = open_model(folder)
    with pytest.raises(InvalidOptions, match=re.escape(reason)) as error:
        write_text(opened, "", title="Bees")
    assert {problem.field for problem in error.value.problems} == {"title"}
    assert write_text(opened, "Bees", max_tokens=1).prompt == "Bees"


def test_a_title_is_taken_where_texts_have_titles_or_nobody_knows(make_model):
    for name, meta in (
        ("column", {"source": {"title": "headline", "body": ["note"]}}),
        ("subject of a mail", {"source": {"title": None, "body": ["note"]}, "corpus": {"titles": True}}),
        ("imported", {}),
    ):
        opened = open_model(make_model(name.replace(" ", "-"), meta=meta))
        assert write_text(opened, "", title="Bees", max_tokens=1).prompt == "Bees\n\n"


def test_a_plain_title_can_be_set(char):
    source = {"title": "headline", "body": ["intro", "text"]}
    for name in ("headline", "title", "Headline"):
        run, _ = write(char, {name: "Why bees"}, source=source, columns=["x\n\n", "They", "fly"])
        assert run.prompt == "Why bees\n\n"
    with pytest.raises(InvalidOptions, match="text is what the model writes"):
        write(char, {"text": "x"}, source=source)
    speaker = {"title": None, "body": ["text"], "speaker": "sender", "group_by": "thread"}
    assert write(char, {"sender": "Ada"}, source=speaker)[0].prompt == "Ada: "


def test_limits_stop_and_figures(char):
    run, text = write(char, {"created": "1999"}, max_tokens=23)
    assert (text, run.finish_reason, run.new_tokens) == ("python · 1999\n# Bees\n\nThey fly", "length", 23)
    run, text = write(char, {"created": "1999"}, max_tokens=10)  # a column has half of them
    assert (text, run.finish_reason, run.new_tokens) == ("pytho · 1999\n# Bees\n", "length", 10)
    run, text = write(char, {"created": "1999"}, stop=["yth"])
    assert (text, run.stop_text, run.finish_reason) == ("p", "yth", "stop")
    assert run.columns == {"tags": "p", "created": None, "title": None, "body": None}
    run, text = write(char, {"created": "1999"}, stop=["fly"], logprobs=0)
    assert text.endswith("They ") and run.stop_text == "fly"
    assert len(run.logprobs) == len(run.ends) == run.new_tokens
    assert run.ends[-1] == len(text) + len("fly")
    # A column that does not end is cut, and a blank line ends what stands above it.
    endless = ["x" * 999, "2024\n# ", "Bees\n\n", "They"]
    assert write(char, {"created": "1"}, columns=endless)[1] == "x" * 250 + " · 1\n# Bees\n\nThey"
    short = ["x\n\nand more", "2024\n# ", "Bees\n\n", "They"]
    assert write(char, {"created": "1"}, columns=short)[1].startswith("x · 1\n# ")


RECIPE = {"template": "{{ name }}\n\n{{ ingredients }}\n\n{{ steps }}"}
ITEMS = "\n".join(f"- {n} g of flour" for n in range(100, 999))


@pytest.mark.parametrize(
    ("ingredients", "corpus", "written"),
    [
        (ITEMS[:200] + "\n\n", {}, ITEMS[:200]),  # it ends by itself, as long as it may be
        (ITEMS, {}, "\n".join(ITEMS.split("\n")[:14])),  # 14 lines are the most within half of 500
        ("Mix it. " * 99, {}, ("Mix it. " * 31).rstrip()),
        ("all, sorts, of, words, " * 99, {}, "all, sorts, of, words, " * 10 + "all, sorts, of"),
        # Twice as long as the rows are, and 50 tokens at least.
        (ITEMS, {"train_tokens": 3000, "train_documents": 50}, "\n".join(ITEMS.split("\n")[:7])),
        (ITEMS, {"train_tokens": 50, "train_documents": 50}, "\n".join(ITEMS.split("\n")[:2])),
    ],
)
def test_a_column_between_others_ends_by_itself_or_with_a_line(char, ingredients, corpus, written):
    model = opened(char, ["Cake\n\n", ingredients, "Bake."], RECIPE, literals="\n\n")
    model.checkpoint.meta["corpus"] = corpus
    how = {"sampler": Sampler(temperature=0, dry_multiplier=0, real_words=False), "logprobs": 0}
    run = write_row(model, {"name": "Cake"}, "1. Mix", **how)
    text = "".join(run)
    assert run.columns["ingredients"] == written
    assert text.startswith(f"{written}\n\n1. Mix")
    assert len(run.ends) == run.new_tokens and run.ends == sorted(run.ends)


@pytest.mark.parametrize(
    ("template", "value", "stands"),
    [
        (RECIPE["template"], "- 200 g beetroot\n- 3 cups", "- 200 g beetroot\n- 3 cups"),
        (RECIPE["template"], "\n- a \r\n  - b\r\n\r\nc\n", "- a\n  - b\n\nc"),
        (RECIPE["template"], " one  line \n", "one line"),
        ("Of {{ ingredients }}\n\n{{ steps }}", "a\nb", "a\nb"),
        ("# {{ ingredients }}\n\n{{ steps }}", "a\nb", "a b"),
        ("{{ name }}: {{ ingredients }}\n\n{{ steps }}", "a\nb", "a b"),
        ("{{ ingredients }} by {{ name }}\n\n{{ steps }}", "a\nb", "a b"),
    ],
)
def test_a_value_keeps_its_lines_where_it_has_lines_of_its_own(char, template, value, stands):
    filled = layout_of({"template": template}).fill({"ingredients": value})
    assert stands in filled


def test_a_title_is_one_line():
    source = {"title": "headline", "body": ["intro", "text"]}
    assert layout_of(source).fill({"title": "a\nb", "intro": "c\nd"}) == ["a b", "c\nd", None]


def test_what_is_given_steers(char, monkeypatch):
    guided = []

    class Guided(GuidedModel):
        def __init__(self, model, head, guidance):
            guided.append(char.decode(head[1:]))
            super().__init__(model, head, guidance)

    monkeypatch.setattr("llm_nanogpt.generate.GuidedModel", Guided)
    write(char, {"tags": "x"})
    assert guided == ["x · "]
    guided.clear()
    write(char, {"tags": "x"}, guidance=1)
    assert not guided
    write(char, {"created": "1999"}, "They")  # tags come before anything is given
    assert guided == ["python · 1999\n# ", "python · 1999\n# Bees\n\n"]
    guided.clear()
    write(char, {})
    assert not guided


def test_a_condition_stays_when_the_context_is_full(char):
    model = opened(char, columns=["python · ", "2024\n# ", "Bees\n\n", "word " * 300])
    seen = []
    logits = model.model.logits
    model.model.logits = lambda ids, cache, past=0: seen.append(len(ids)) or logits(ids, cache, past)
    run = write_row(model, {"tags": "x"}, sampler=Sampler(temperature=0, dry_multiplier=0), max_tokens=600)
    assert "".join(run).count("word") > 100
    assert max(seen[5:]) > 200  # read again, at once


# ---- And back


@pytest.mark.parametrize(
    ("template", "row"),
    [
        (TEMPLATE, {"tags": "a, b", "created": "2024", "title": "T: · x", "body": "One\n\ntwo\n# three"}),
        (TEMPLATE, {"tags": "", "created": "", "title": "", "body": "only"}),
        ("{{ größe }} | {{ row['my col'] }}\n\n{{ body }}", {"größe": "é", "my col": "x y", "body": "b"}),
        ("{{ sender }}: {{ body }}", {"sender": "Ada", "body": "Ben: hi"}),
        ("## {{ a }} {{ a }}\n{{ b }}\n-- end", {"a": "x", "b": "y\nz"}),
        ("{{ a }}", {"a": "all of it"}),
    ],
)
def test_a_rendered_row_is_put_back_into_columns(template, row):
    made = Template(template)
    assert made.layout().split(made.render(row)) == row


@pytest.mark.parametrize(
    ("template", "row"),
    [
        (TAGGED, {"tags": "a, b", "title": "T", "body": "One · two\n\nthree"}),
        (TAGGED, {"tags": None, "title": "T", "body": "One · # two\n\nthree"}),
        (SIGNED, {"body": "One\n\ntwo", "name": "Ada"}),
        (SIGNED, {"body": "One\n\ntwo", "name": None}),
        ("{% if a %}{{ a }}\n{% else %}{{ c }}: {% endif %}{{ b }}", {"a": None, "b": "y", "c": "z"}),
        ("{% if a %}\n{{ a }} · {% endif %}\n# {{ b }}", {"a": None, "b": "y"}),
    ],
)
def test_a_row_of_a_template_with_an_if_is_put_back(template, row):
    made = Template(template)
    assert made.layout().split(made.render(row).strip()) == row


def test_a_text_that_ends_early_or_is_unlike_a_row():
    layout = Template(TEMPLATE).layout()
    nothing = dict.fromkeys(["created", "title", "body"])
    assert layout.split("python · 20") == {**nothing, "tags": "python", "created": "20"}
    assert layout.split("no row at all") == {**nothing, "tags": "no row at all"}
    assert layout.split("") == {**nothing, "tags": ""}
    # What is known to stand there may have the text that follows it.
    assert layout.split("a · b · 2024\n# t\n\nx", ["a · b", None])["created"] == "2024"


def test_the_last_column_has_the_name_that_a_split_text_has():
    assert Template("{{ a }}: {{ b ~ c }}").layout().last == ["b_c"]
    tagged = Template(TAGGED).layout()
    assert tagged.last == ["body"] and "body" in tagged.split("")
    either = Template("{% if not a %}{{ x }}{% else %}{{ x }}\n\n{{ a }}{% endif %}").layout()
    assert either.last == ["x", "a"]
    assert [either.split_last(text)[1] for text in ("one", "one\n\ntwo")] == ["x", "a"]


def test_parts_of_columns_and_several_in_one():
    layout = Template("{{ d[:4] }}-{{ d }} {{ a ~ '/' ~ b }}\n{{ c }}").layout()
    assert layout.split("2024-2024x 1/2\nrest") == {"d": "2024x", "a_b": "1/2", "c": "rest"}


def test_layouts_of_models_without_a_template():
    assert layout_of({"title": "t", "body": ["a", "b"]}).split("T\n\nA\n\nB") == {
        "t": "T",
        "a": "A",
        "b": "B",
    }
    assert layout_of({"title": None, "body": ["a"]}).split("All\n\nof it") == {"a": "All\n\nof it"}


# ---- llm and the command line


@pytest.fixture
def model(make_model):
    folder = make_model("nanogpt-rows", block_size=64)
    meta = json.loads((folder / "nanogpt.json").read_text())
    meta["source"] = {"template": TEMPLATE, "database": "/x.db", "table": "entry", "title": None}
    meta["source"]["body"] = ["tags", "created", "title", "body"]
    (folder / "nanogpt.json").write_text(json.dumps(meta))
    return folder.name


def nanogpt(*arguments):
    result = CliRunner().invoke(llm_cli, ["nanogpt", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def test_llm_takes_columns(model):
    ask = llm.get_model(model).prompt
    how = {"max_tokens": 8, "seed": 1, "echo": True}
    text = ask("", set={"tags": "a=b", "created": 2024, "title": "T"}, **how).text()
    assert text.startswith("a=b · 2024\n# T\n\n")
    assert ask("", set="tags=a=b\ncreated=2024\ntitle=T", **how).text() == text
    assert ask("", set='{"tags": "a=b", "created": 2024, "title": "T"}', **how).text() == text
    assert ask("", set={"tags": "a=b", "created": "2024"}, title="T", **how).text() == text
    response = ask("", set={"tags": "x"}, **how)
    response.text()
    assert response.response_json["options"]["set"] == {"tags": "x"}
    with pytest.raises(llm.ModelError, match="no column 'nope'"):
        ask("", set={"nope": "x"}).text()
    with pytest.raises(Exception, match="column=value"):
        ask("", set="nope").text()


@pytest.mark.parametrize("titles", [True, False])
def test_a_title_that_is_set_is_a_title(make_model, titles):
    folder = make_model("nanogpt-x", block_size=160, titles=titles)
    meta = json.loads((folder / "nanogpt.json").read_text())
    meta["source"] = {"title": "headline", "body": ["text"]}
    (folder / "nanogpt.json").write_text(json.dumps(meta))
    ask = llm.get_model(folder.name).prompt
    how = {"max_tokens": 200, "seed": 1, "echo": True}
    for prompt in ("", "Row 1", "Row 1\n\nand"):
        titled = ask(prompt, title="Quick foxes", **how).text()
        assert ask(prompt, set={"headline": "Quick foxes"}, **how).text() == titled


@pytest.mark.parametrize("name", ["title", "subject", "Subject"])
def test_the_subject_of_a_mail_is_its_title(make_model, tmp_path, name):
    """Whole messages of mail are one column, which has the title in it."""
    folder = make_model("nanogpt-mail", block_size=160, titles=True)
    meta = json.loads((folder / "nanogpt.json").read_text())
    meta["source"] = {"title": None, "body": ["raw"], "read_as_text": ["mail"], "database": "/x.db"}
    (folder / "nanogpt.json").write_text(json.dumps(meta))
    ask = llm.get_model(folder.name).prompt
    how = {"max_tokens": 50, "seed": 1, "echo": True}
    titled = ask("", title="Quick foxes", **how).text()
    assert titled.startswith("Quick foxes\n\n")
    assert ask("", set={name: "Quick foxes"}, **how).text() == titled
    path = tmp_path / "out.db"
    nanogpt(
        "sample", folder.name, "--set", f"{name}=Quick foxes", "-n", 1, "--save-table", "texts", "--db", path
    )
    with sqlite3.connect(path) as db:
        ((subject, raw),) = db.execute("select subject, raw from texts")
    assert subject == "Quick foxes" and raw and "Quick foxes" not in raw


def test_a_conversation_keeps_its_columns(model):
    conversation = llm.get_model(model).conversation()
    first = conversation.prompt("Row", set={"tags": "x", "created": "2024"}, max_tokens=4, seed=1).text()
    second = conversation.prompt("", max_tokens=4, seed=1, echo=True).text()
    assert second.startswith(f"x · 2024\n# Row{first}")


def test_generate_needs_no_columns(model, home):
    """A prompt without columns begins the text, as before."""
    from llm_nanogpt.loading import open_model

    found = open_model(home / model, "cpu")
    text = "".join(generate(found.model, found.tokenizer, "Row", sampler=Sampler(seed=1), max_tokens=5))
    assert llm.get_model(model).prompt("Row", max_tokens=5, seed=1).text() == text


async def test_texts_become_rows_that_datasette_shows(model, tmp_path):
    path = tmp_path / "blog.db"
    arguments = [
        "sample",
        model,
        "--save-table",
        "generated",
        "--db",
        path,
        "-o",
        "max_tokens",
        12,
        "-o",
        "seed",
        5,
    ]
    said = nanogpt(*arguments, "-n", 3, "--set", "tags=python", "--set", "created=2024-01-01")
    assert "Wrote 3 rows to the table generated" in said.output
    nanogpt(*arguments, "-n", 1, "--set", "tags=sql")
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    rows = [dict(row) for row in db.execute("select * from generated")]
    db.close()
    assert [row["seed"] for row in rows] == [5, 6, 7, 5]
    assert [row["tags"] for row in rows] == ["python"] * 3 + ["sql"]
    assert {row["created"] for row in rows[:3]} == {"2024"}  # the template's, so ours has another name
    assert all(row["nanogpt_created"] and row["model"].startswith(f"{model}@") for row in rows)
    assert rows[0]["finish_reason"] == "length"
    assert json.loads(rows[0]["settings"])["set"] == {"tags": "python", "created": "2024-01-01"}
    datasette = Datasette([str(path)], settings={"allow_facet": True})
    response = await datasette.client.get(
        "/blog/generated.json?_facet=tags&_extra=facet_results,count&_shape=objects"
    )
    data = response.json()
    assert data["count"] == 4
    facet = data["facet_results"]["results"]["tags"]["results"]
    assert {value["value"]: value["count"] for value in facet} == {"python": 3, "sql": 1}
    assert "python" in (await datasette.client.get("/blog/generated?tags=python")).text


def test_where_texts_cannot_be_saved(model, tmp_path):
    def refused(*arguments, exit_code=2):
        result = CliRunner().invoke(llm_cli, ["nanogpt", "sample", model, "-n", "1", *map(str, arguments)])
        assert result.exit_code == exit_code
        return result.output

    path = tmp_path / "x.db"
    with sqlite3.connect(path) as db:
        db.execute("create view v as select 1")
    assert "Give both --save-table and --db" in refused("--save-table", "t")
    assert "Give both --save-table and --db" in refused("--db", path)
    assert "v is a view" in refused("--save-table", "v", "--db", path)
    assert "was trained on Entry: choose another" in refused("--save-table", "Entry", "--db", "/x.db")
    assert "--set needs a column and a value: --set tags=VALUE" in refused("--set", "tags")
    (tmp_path / "no.db").write_text("this is no database, whatever its name is")
    assert "Cannot write in" in refused("--save-table", "t", "--db", tmp_path / "no.db", exit_code=1)
    assert refused("--save-table", "sqlite_x", "--db", path).startswith(
        "Error: SQLite keeps names like sqlite_x"
    )
    full = sqlite3.connect(path, timeout=0)
    full.execute("begin immediate")
    told = refused("--save-table", "t", "--db", path, exit_code=1)
    assert told.startswith("Error: Cannot write in ") and "locked" in told  # before any text
    full.close()
