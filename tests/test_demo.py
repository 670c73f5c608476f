"""The demo database: its rows, and files that it must not overwrite."""

import sqlite3
import sys
import zipfile

import pytest

from datasette_nanogpt.data import demo
from datasette_nanogpt.data.demo import build_demo_db
from datasette_nanogpt.data.open_source import open_source
from llm_nanogpt.errors import NanogptError


def rows(path):
    with sqlite3.connect(path) as db:
        return db.execute("select id, title, body from python_docs order by id").fetchall()


def test_the_demo_database_has_numbered_rows_without_copies(tmp_path):
    path = tmp_path / "demo.db"
    count = build_demo_db(path)
    built = rows(path)
    assert [row[0] for row in built] == list(range(1, count + 1))
    assert 1_000_000 < sum(len(title) + len(body) for _, title, body in built) < 4_000_000
    bodies = [body for *_, body in built]
    assert len(set(bodies)) == count
    assert min(map(len, bodies)) >= demo.MIN_CHARS
    titles = {title for _, title, _ in built}
    assert {'The "assert" statement', "argparse", "json.load", "collections.Counter.elements"} <= titles
    assert not {title.partition(".")[0] for title in titles} & demo._SKIPPED

    found = open_source(str(path), "python_docs")
    assert (found.title, found.body, found.html_columns) == ("title", ("body",), frozenset())
    assert sum(1 for _ in found.documents()) == count

    assert build_demo_db(path) == count  # its own is built again, the same
    assert rows(path) == built
    assert [file.name for file in tmp_path.glob("*.db*")] == ["demo.db"]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of three modules, and no topics."""
    folder = tmp_path / "lib"
    text = "Words that say what this does, and how it is called, at some length: {}, so there."
    for name in ["os", "json/__init__", "json/load", "test/x", "lib-dynload/x", "bad", "same"]:
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'"""{text.format(name)}"""\nclass C:\n    def f(self):\n        """Short."""\n')
    (folder / "bad.py").write_text("print 'two'")
    (folder / "same.py").write_text((folder / "os.py").read_text())
    monkeypatch.setattr(demo.sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    return folder


def test_what_is_read(tmp_path, library):
    assert build_demo_db(tmp_path / "demo.db") == 3
    assert [title for _, title, _ in rows(tmp_path / "demo.db")] == ["json", "json.load", "os"]


def test_a_standard_library_in_a_zip_gives_the_same_rows(tmp_path, library, monkeypatch):
    expected = build_demo_db(tmp_path / "demo.db")
    with zipfile.ZipFile(tmp_path / "python3.zip", "w") as file:
        for source in library.rglob("*.py"):
            file.write(source, source.relative_to(library))
    (library / "os.py").unlink()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "python3.zip")])
    before = rows(tmp_path / "demo.db")
    assert build_demo_db(tmp_path / "demo.db") == expected
    assert rows(tmp_path / "demo.db") == before


def test_python_without_documentation(tmp_path, library, monkeypatch):
    (library / "os.py").unlink()
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NanogptError, match="neither"):
        build_demo_db(tmp_path / "demo.db")
    assert not list(tmp_path.glob("*demo.db*"))


@pytest.mark.parametrize(
    "sql",
    [
        "create table notes (body)",
        "create table python_docs (id, title, body)",
        f"{demo.SCHEMA}; create table notes (body)",
        f"{demo.SCHEMA}; create view v as select 1",
    ],
)
def test_other_databases_are_kept(tmp_path, library, sql):
    path = tmp_path / "demo.db"
    with sqlite3.connect(path) as db:
        db.executescript(sql)
    before = path.read_bytes()
    with pytest.raises(NanogptError, match="something else"):
        build_demo_db(path)
    assert path.read_bytes() == before


def test_other_files_are_kept(tmp_path, library):
    (tmp_path / "demo.db").write_text("my notes" * 99)
    for path, told in ((tmp_path / "demo.db", "something else"), (tmp_path, "is a folder: name a file")):
        with pytest.raises(NanogptError, match=told):
            build_demo_db(path)
    assert (tmp_path / "demo.db").read_text() == "my notes" * 99
    with pytest.raises(NanogptError, match="Cannot write"):
        build_demo_db(tmp_path / "no" / "demo.db")


def test_a_failure_leaves_the_old_one(tmp_path, library, monkeypatch):
    path = tmp_path / "demo.db"
    build_demo_db(path)
    before = rows(path)

    def fail(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(demo.os, "replace", fail)
    with pytest.raises(NanogptError, match="No space left"):
        build_demo_db(path)
    assert rows(path) == before
    assert [file.name for file in tmp_path.glob("*demo.db*")] == ["demo.db"]
