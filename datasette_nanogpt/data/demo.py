"""A database to try things on: the documentation that comes with every CPython."""

from __future__ import annotations

import ast
import os
import sqlite3
import sys
import sysconfig
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

from llm_nanogpt.errors import NanogptError, WrongUsage

from .documents import join_document

SCHEMA = "CREATE TABLE python_docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT)"
MIN_CHARS = 80  # shorter docstrings mostly repeat a name
# Folders of the standard library: tests, other people's packages, and what repeats the topics.
_SKIPPED = frozenset(
    [
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
        "turtledemo",
    ]
)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def build_demo_db(path: str | os.PathLike[str]) -> int:
    """Write table `python_docs` (id, title, body) to a new database; returns the number of its rows.

    The same Python gives the same rows. Replaces only what this function made; raises
    NanogptError for any other file there, or where Python came without its documentation.
    """
    path = Path(os.path.expanduser(path))
    _check_replaceable(path)
    seen: set[str] = set()
    rows = []
    for title, text in chain(_topics(), _docstrings()):
        body = join_document(None, [text])
        if len(body) >= MIN_CHARS and body not in seen:
            seen.add(body)
            rows.append((title, body))
    if not rows:
        raise NanogptError(
            "This Python comes with neither its documentation nor the source of its standard library: "
            "use one from python.org, uv or your system's packages."
        )
    # Named by process, so that two builds at once do not meet.
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        db = sqlite3.connect(half)
        with db:
            db.execute(SCHEMA)
            db.executemany("insert into python_docs (title, body) values (?, ?)", rows)
        db.close()
        os.replace(half, path)
    except (OSError, sqlite3.Error) as error:
        raise NanogptError(f"Cannot write {path}: {error}. Choose another folder.") from error
    finally:
        half.unlink(missing_ok=True)
    return len(rows)


def _check_replaceable(path: Path) -> None:
    """Raise NanogptError unless there is nothing at `path`, or a database with our table or none."""
    if not os.path.exists(path):
        return
    if path.is_dir():
        raise WrongUsage(f"{path} is a folder: name a file, such as {path / 'demo.db'}.")
    if path.is_file():
        tables = None
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
        ):
            tables = db.execute("select sql from sqlite_master").fetchall()
        # SQLite would apply the changes in a log beside it to the new database.
        if tables in ([], [(SCHEMA,)]) and not path.with_name(f"{path.name}-wal").exists():
            return
    raise WrongUsage(f"{path} has something else in it: name a new file, or delete that one.")


def _topics() -> Iterator[tuple[str, str]]:
    """The language reference, as `help("for")` prints it."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some systems have it in a package of its own
        return
    for _, text in sorted(topics.items()):
        title, _, body = text.strip().partition("\n")
        yield title.strip(), body.lstrip("*=-~\n").rstrip()


def _docstrings() -> Iterator[tuple[str, str]]:
    """Docstrings of the standard library's modules, classes and functions; nothing is imported."""
    for module, source in _sources(_library()):
        with warnings.catch_warnings(), suppress(SyntaxError, ValueError):
            warnings.simplefilter("ignore")  # of odd escapes in strings
            yield from _docstrings_in(ast.parse(source), module)


def _docstrings_in(node: Documented, name: str) -> Iterator[tuple[str, str]]:
    if text := ast.get_docstring(node):
        yield name, text
    for child in node.body:
        if isinstance(child, Documented):
            yield from _docstrings_in(child, f"{name}.{child.name}")


def _library() -> Path | zipfile.Path | None:
    """The sources of the standard library: a folder, or a zip in some builds; None if they are missing."""
    folder = Path(sysconfig.get_path("stdlib"))
    if (folder / "os.py").exists():
        return folder
    zips = (entry for entry in sys.path if entry.endswith(".zip") and zipfile.is_zipfile(entry))
    return next((zipfile.Path(entry) for entry in zips), None)


def _sources(folder: Path | zipfile.Path | None, package: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and source of every module under `folder`, sorted by file name."""
    entries: list[Path | zipfile.Path] = [*folder.iterdir()] if folder else []
    for entry in sorted(entries, key=lambda entry: entry.name):
        name, _, suffix = entry.name.partition(".")
        if entry.is_dir() and name.isidentifier() and name not in _SKIPPED:
            yield from _sources(entry, f"{package}{name}.")
        elif suffix == "py":
            module = package[:-1] if name == "__init__" else package + name
            yield module, entry.read_bytes()
