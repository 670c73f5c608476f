"""The examples in the README and in docs/: Python runs on a real model, links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest
import sqlite_utils
import yaml
from conftest import TEXTS

from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"))}
EXAMPLES = [
    pytest.param(code, id=f"{name}: {code.strip().splitlines()[0]}")
    for name, path in sorted(PAGES.items())
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
]
LINKS = [
    pytest.param(path, link, id=f"{name}: {link}")
    for name, path in sorted(PAGES.items())
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
    if not link.startswith("http")
]


@pytest.fixture
def blog(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = ({"title": f"Foxes {i}", "body": text} for i, text in enumerate(TEXTS))
    sqlite_utils.Database("blog.db")["blog_entry"].insert_all(entries)
    list(train_table(TrainOptions("blog.db", "blog_entry", max_iters=2, n_layer=1, n_embd=16, n_head=1)))


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_in_python_run(blog, capsys, example):
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


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(
        r"^#+ (.*)", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page, link):
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    assert target.is_file()
    if anchor:
        assert anchor in anchors(target.read_text("utf-8"))


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "how-it-works.md"])
def test_named_files_exist(name):
    text = PAGES[name].read_text("utf-8")
    nanogpts_own = {"bench.py", "config/", "configurator.py", "model.py", "sample.py"}
    folders = [ROOT, *ROOT.glob("datasette_nanogpt/**/"), ROOT / "llm_nanogpt"]
    for path in set(re.findall(r"`([\w./]+(?:\.py|\.md|/))`", text)) - nanogpts_own:
        assert any((folder / path).exists() for folder in folders), path


def test_each_promise_has_a_test_that_exists():
    tests = "".join(file.read_text("utf-8") for file in ROOT.glob("tests/test_*.py"))
    promised = re.search(
        r"## What is promised\n(.*?)\n## ", (ROOT / "SECURITY.md").read_text("utf-8"), re.DOTALL
    )[1]
    for promise in promised.strip().splitlines()[2:]:
        names = re.findall(r"`(?:\w+\.py::)?(test_\w+)`", promise)
        assert names, promise
        for name in names:
            assert f"def {name}(" in tests, name


def test_every_module_is_in_the_tree_once():
    """`web/pages` is one line of the tree, with all its modules."""
    tree = PAGES["how-it-works.md"].read_text("utf-8").split("## The files")[1].split("```")[1]
    listed, folders = [], [""] * 3
    for line in tree.splitlines():
        indent, name, rest = re.match(r"( *)(\S*) *(.*)", line).groups()
        depth = len(indent) // 2
        if name == "pages/":
            listed += [f"{''.join(folders[:depth])}pages/{page}" for page in re.findall(r"\w+\.py", rest)]
        elif name.endswith("/"):
            folders[depth] = name
        elif name.endswith(".py"):
            listed.append("".join(folders[:depth]) + name)
    packages = ("datasette_nanogpt/", "llm_nanogpt/")
    modules = {
        path.relative_to(ROOT).as_posix() for package in packages for path in ROOT.glob(f"{package}**/*.py")
    }
    modules -= {module for module in modules if module.count("/") > 1 and module.endswith("/__init__.py")}
    assert sorted(name for name in listed if name.startswith(packages)) == sorted(
        modules - {"llm_nanogpt/__init__.py"}
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 180


def test_a_package_index_gets_absolute_links_or_none():
    describe = runpy.run_path(str(ROOT / "setup.py"))["description"]
    text = (ROOT / "README.md").read_text("utf-8")
    plain, published = describe(text, None, None), describe(text, "someone/fork", "abc123")
    assert "](docs/" in text and "![" in text
    assert "![" not in plain and "](docs/" not in plain and "](https://datasette.io" in plain
    assert "](https://raw.githubusercontent.com/someone/fork/abc123/docs/run.webp)" in published
    assert "](https://github.com/someone/fork/blob/abc123/docs/training.md)" in published
    assert not re.search(r"\]\((?!https?:)", published)


@pytest.mark.parametrize(
    "path", [*ROOT.glob(".github/workflows/*.yml"), ROOT / ".pre-commit-config.yaml"], ids=str
)
def test_yaml_files_can_be_read(path):
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)
