"""Rows of a Datasette on the web, in a local SQLite copy.

`<home>/.cache/remote/<hash>/<database>.db` is the copy, `.part` while it is being made. Each page is
committed together with the place of the next one, so a fetch that was cut off goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
import weakref
from base64 import b64decode
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem
from llm_nanogpt.home import cache_folder, nanogpt_home

from ..events import Progress
from ..formatting import utc_now
from ..hookspecs import document_hook
from .datasette_client import Address, DatasetteClient
from .open_source import open_source, open_sources
from .remote_sample import sample_query, sample_table
from .source import QUERY, Selection, Source
from .sqlite import quote

STALE_SECONDS = 86_400  # a fetch that was cut off longer ago starts again from the first row
STATE = "nanogpt_fetch"  # table of the copy: how far each of its tables is


@dataclass(frozen=True)
class RemoteCopy:
    """The file `path`, and what fetches the rows of `selection` into it."""

    path: Path
    client: DatasetteClient
    selection: Selection
    sample_folder: Path  # of the rows that are read until all are fetched; deleted then, or with this object

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.sample_folder, ignore_errors=True)

    @contextmanager
    def sample_deleted_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            shutil.rmtree(self.sample_folder, ignore_errors=True)
            raise

    def fetch(self, sources: Sequence[Source]) -> Generator[Progress, None, tuple[str, list[Source]]]:
        """Fetch every row of `sources`; go on with a fetch that was cut off less than a day ago.

        Returns the date of the copy (UTC, ISO 8601) and its sources. Raises NanogptError where the server
        does not answer or the disk is full.
        """
        from filelock import FileLock, Timeout

        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.part")
        try:
            with FileLock(self.path.with_name(".lock")).acquire(timeout=0):
                # One from the future is as old as nobody knows: the clock was set back since.
                if part.exists() and abs(time.time() - part.stat().st_mtime) > STALE_SECONDS:
                    part.unlink()
                with _open_for_writing(part) as db:
                    for source in sources:
                        yield from self._fetch_table(db, source)
                    chosen = [[source.table, source.title, source.body] for source in sources]
                    with db:
                        db.execute(f"create table {STATE}_done (fetched text, chosen text)")
                        db.execute(f"insert into {STATE}_done values (?, ?)", [utc_now(), json.dumps(chosen)])
                os.replace(part, self.path)
        except Timeout:
            raise NanogptError(
                f"Another process is fetching {self.client.url}: wait until it is done."
            ) from None
        return _open_copy(self.path, self.selection)

    def _fetch_table(self, db: sqlite3.Connection, source: Source) -> Iterator[Progress]:
        with db:
            db.execute(f"create table if not exists {STATE} (name text primary key, next text, done int)")
            db.execute(f"insert or ignore into {STATE} values (?, '', 0)", [source.table])
            names = ", ".join(map(quote, source.columns))
            db.execute(f"create table if not exists {quote(source.table)} ({names})")
        state = f"select next, done from {STATE} where name = ?"
        next_page, done = db.execute(state, [source.table]).fetchone()
        (count,) = db.execute(f"select count(*) from {quote(source.table)}").fetchone()
        # All columns are asked for without names: among them is rowid, which Datasette does not take by name.
        named = [] if document_hook() else source.columns_to_fetch
        total, sql, where = 0, self.selection.sql, self.selection.where
        while not done:
            if sql:
                page = self.client.query(sql, where, next_page)
            else:
                page = self.client.page(source.table, named, where, next_page, with_total=not total)
            next_page, total, done = page.next_page, page.total or total, not page.next_page
            with db:
                _insert(db, source.table, named or source.columns, page.rows)
                db.execute(
                    f"update {STATE} set next = ?, done = ? where name = ?", [next_page, done, source.table]
                )
            count += len(page.rows)
            yield Progress(f"fetching {source.table}", count, total, "rows")


def open_remote(
    address: Address, tables: Sequence[str], selection: Selection, *, token: str | None, refresh: bool
) -> tuple[str | None, list[Source], RemoteCopy | None]:
    """The tables of a copy that was made before, with its date; else tables of sample rows, and what can
    fetch the rest. `refresh` makes a new copy.

    Raises InvalidOptions where the URL, the tables or the columns do not exist, NanogptError where the server
    does not answer.
    """
    from datasette.utils import tilde_decode

    url = address.database
    base, _, name = url.rpartition("/")
    if "?" in url or "#" in url or base.endswith(":/") or base in ("http:", "https:"):
        message = (
            f"{url} is not the address of a database: give https://HOST/DATABASE, and the table after it."
        )
        raise InvalidOptions([Problem("database", "url", message)])
    s = selection
    question: list[Any] = [
        url,
        list(tables),
        s.title,
        list(s.body),
        s.where,
        s.sql,
        document_hook() is not None,
    ]
    text = [s.template, s.group_by, s.order_by]
    question += [text] if any(text) else []
    question += [address.filters] if address.filters else []
    key = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
    path = cache_folder(nanogpt_home()) / "remote" / key / f"{tilde_decode(name).replace('/', '_')}.db"
    if path.exists() and not refresh:
        return *_open_copy(path, selection), None
    client = DatasetteClient(url, token, address.filters)
    copy = RemoteCopy(path, client, selection, Path(tempfile.mkdtemp(prefix="nanogpt-sample-")))
    with copy.sample_deleted_on_error():
        sample = copy.sample_folder / path.name
        with _open_for_writing(sample) as db:
            for table in tables or [QUERY]:
                _write_sample(db, client, table, selection)
            db.commit()
        # The server has applied the condition; the query's rows are in a table of their own.
        sql = f"select * from {quote(QUERY)}" if selection.sql else None
        sources = open_sources(str(sample), tables, replace(selection, where=None, sql=sql))
    return None, sources, copy


def _open_copy(path: Path, selection: Selection) -> tuple[str, list[Source]]:
    """When a copy was made (UTC, ISO 8601), and its tables with the columns that were chosen then; the server
    has applied the rest of the selection."""
    with _open_for_writing(path) as db:
        fetched, chosen = db.execute(f"select fetched, chosen from {STATE}_done").fetchone()
    here = replace(selection, where=None, sql=None)
    sources = [
        open_source(
            str(path),
            table,
            here if selection.template else replace(here, title=title or "", body=tuple(body)),
        )
        for table, title, body in json.loads(chosen)
    ]
    # Columns that are not read were not fetched: why they are not, the copy cannot tell.
    return fetched, [replace(source, left_out={}) for source in sources]


def _write_sample(db: sqlite3.Connection, client: DatasetteClient, table: str, selection: Selection) -> None:
    """Some rows of a table or query, in a table of that name. Raises InvalidOptions if there are none."""
    where, sql = selection.where, selection.sql
    rows = sample_query(client, sql, where) if sql else sample_table(client, table, where)
    if not rows:
        if where:
            field, named, other = "where", f"The condition {where!r}", "condition"
        elif sql:
            field, named, other = "sql", "The query", "query"
        else:
            filtered = " with these filters" if client.filters else ""
            other = "filter" if client.filters else "table"
            field, named = "table", f"Table {table!r}{filtered}"
        message = f"{named} returns no rows from {client.url}: try another {other}."
        raise InvalidOptions([Problem(field, "no_rows", message)])
    _write_rows(db, table, rows)


def write_rows(path: Path, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as the JSON API gives them, in a new table of the SQLite file `path`."""
    with _open_for_writing(path) as db:
        _write_rows(db, table, rows)
        db.commit()


def _write_rows(db: sqlite3.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0]) if rows else ["rowid"]
    db.execute(f"create table {quote(table)} ({', '.join(map(quote, columns))})")
    _insert(db, table, columns, rows)


def _insert(
    db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    names, marks = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
    values = ([_from_json(row.get(column)) for column in columns] for row in rows)
    db.executemany(f"insert into {quote(table)} ({names}) values ({marks})", values)


def _from_json(value: Any) -> str | int | float | bytes | None:
    """A JSON value as SQLite stores it."""
    if isinstance(value, dict) and value.get("$base64"):
        return b64decode(value["encoded"])
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # no halves of surrogate pairs
    return value


@contextmanager
def _open_for_writing(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        yield db
    except sqlite3.Error as error:
        raise NanogptError(
            f"Cannot keep fetched rows in {path}: {error}. Make room on that disk, or set NANOGPT_HOME to a "
            "folder on another."
        ) from error
    finally:
        db.close()
