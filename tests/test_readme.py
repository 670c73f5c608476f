"""The README's Python examples run, on a real table and a real model."""

import re
from pathlib import Path

import pytest
import sqlite_utils
from conftest import TEXTS

from datasette_nanogpt.training.train import Options, train_table

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def blog(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = ({"title": f"T{i}", "body": text} for i, text in enumerate(TEXTS))
    sqlite_utils.Database("blog.db")["blog_entry"].insert_all(entries)
    list(train_table(Options("blog.db", "blog_entry", max_iters=2, n_layer=1, n_embd=16, n_head=1)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda code: code.strip().splitlines()[0])
def test_example(blog, capsys, example):
    names = {}
    exec(example.replace("minutes=2", "minutes=0.02"), names)  # two minutes, in a second
    if hook := names.get("nanogpt_document"):
        row = {"sender": "Ann", "body": "Hello"}
        assert hook("blog", "messages", row) == "Ann: Hello"
        assert hook("blog", "messages", row | {"body": ""}) is False
        assert hook("blog", "other", row) is None
    else:
        assert capsys.readouterr().out.strip()


def test_there_are_examples():
    assert len(EXAMPLES) >= 4
