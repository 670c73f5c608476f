"""Rows from a Datasette on the web, over its JSON API, into a local SQLite copy.

`<home>/.cache/remote/<hash>/<database>.db` is the copy, `.part` while it is being made. Each page is
committed together with the place of the next one, so a fetch that was cut off goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import cache_folder, nanogpt_home

from ..events import Progress
from ..formatting import utc_now
from ..hookspecs import document_hook
from .source import QUERY, SAMPLE_ROWS, Corpus, Source, open_source, open_sources, quote

ATTEMPTS, FIRST_ATTEMPTS = 9, 4  # at one request: later ones have a fetch to lose
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds; doubled each time, with jitter
RETRIED = {429, 500, 502, 503, 504}
QUERY_ROWS = 1000  # a page of --sql: what Datasette returns at most, unless it is told otherwise
STALE_SECONDS = 86_400  # a fetch cut off longer ago starts anew
STATE = "nanogpt_fetch"


@dataclass
class RemoteCorpus(Corpus):
    """A corpus whose rows are not here yet. Until `load` the sources are those of a sample."""

    server: Server | None = None
    copy: Path = field(default_factory=Path)

    def load(self) -> Iterator[Progress]:
        """Fetch every row; go on with a fetch that was cut off less than a day ago."""
        from filelock import FileLock, Timeout

        self.copy.parent.mkdir(parents=True, exist_ok=True)
        part = self.copy.with_name(f".{self.copy.name}.part")
        try:
            with FileLock(self.copy.with_name(".lock")).acquire(timeout=0):
                if part.exists() and part.stat().st_mtime < time.time() - STALE_SECONDS:
                    part.unlink()
                with _writing(part) as db:
                    for source in self.sources:
                        yield from self._fetch(db, source)
                    chosen = [[source.table, source.title, source.body] for source in self.sources]
                    with db:
                        db.execute(f"create table {STATE}_done (fetched text, chosen text)")
                        db.execute(f"insert into {STATE}_done values (?, ?)", [utc_now(), json.dumps(chosen)])
                os.replace(part, self.copy)
        except Timeout:
            raise NanogptError(f"{self.database} is being fetched by another process: wait for it.") from None
        self.fetched, self.sources = _open_copy(self.copy)

    def _fetch(self, db: sqlite3.Connection, source: Source) -> Iterator[Progress]:
        with db:
            db.execute(f"create table if not exists {STATE} (name text primary key, next text, done int)")
            db.execute(f"insert or ignore into {STATE} values (?, '', 0)", [source.table])
            names = ", ".join(map(quote, source.columns))
            db.execute(f"create table if not exists {quote(source.table)} ({names})")
        following, done = db.execute(
            f"select next, done from {STATE} where name = ?", [source.table]
        ).fetchone()
        (count,) = db.execute(f"select count(*) from {quote(source.table)}").fetchone()
        # All columns go unnamed: among them is rowid, which Datasette does not take by name.
        named = () if document_hook() else source.used
        columns = named or source.columns
        insert = f"insert into {quote(source.table)} ({', '.join(map(quote, columns))}) values "
        insert += f"({', '.join('?' * len(columns))})"
        total = 0
        while not done:
            if self.sql:
                page = self.server.query(self.sql, self.where, following)
            else:
                page = self.server.page(source.table, following, named, self.where, with_total=not total)
            following, total, done = page.following, page.total or total, not page.following
            with db:
                db.executemany(insert, ([_value(row.get(column)) for column in columns] for row in page.rows))
                db.execute(
                    f"update {STATE} set next = ?, done = ? where name = ?", [following, done, source.table]
                )
            count += len(page.rows)
            yield Progress(f"fetching {source.table}", count, total, "rows")


def open_remote(
    url: str,
    tables: Sequence[str],
    title: str | None,
    body: Sequence[str],
    where: str | None,
    sql: str | None,
    token: str | None,
    refresh: bool,
) -> Corpus:
    """The copy of what is asked for, if there is one and no `refresh` is asked for; else what can fetch it.

    In that case a page of each table is read, to choose columns and to see that all is well.
    """
    from datasette.utils import tilde_decode

    base, _, name = url.rpartition("/")
    if "?" in url or "#" in url or base.endswith(":/") or base in ("http:", "https:"):
        raise NanogptError(f"{url} names no database: give https://HOST/DATABASE, and the table after it.")
    asked = [url, list(tables), title, list(body), where, sql, document_hook() is not None]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    copy = cache_folder(nanogpt_home()) / "remote" / key / f"{tilde_decode(name).replace('/', '_')}.db"
    if copy.exists() and not refresh:
        fetched, sources = _open_copy(copy)
        return Corpus(url, sources, where, sql, fetched)
    server = Server(url, token)
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / copy.name
        with _writing(sample) as db:
            for table in tables or [QUERY]:
                page = server.query(sql, where, "", SAMPLE_ROWS) if sql else server.sample(table, where)
                if not page.rows:
                    of, other = f"Table {table!r}", "table"
                    if where:
                        of, other = f"--where {where!r}", "condition"
                    elif sql:
                        of, other = "The query of --sql", "query"
                    raise NanogptError(f"{of} yields no rows from {url}: try another {other}.")
                columns = list(page.rows[0])
                db.execute(f"create table {quote(table)} ({', '.join(map(quote, columns))})")
                values = ([_value(value) for value in row.values()] for row in page.rows)
                db.executemany(f"insert into {quote(table)} values ({', '.join('?' * len(columns))})", values)
            db.commit()
        everything = f"select * from {quote(QUERY)}" if sql else None
        sources = open_sources(str(sample), tables, title, body, sql=everything)
    return RemoteCorpus(url, sources, where, sql, server=server, copy=copy)


def _open_copy(copy: Path) -> tuple[str, list[Source]]:
    with _writing(copy) as db:
        fetched, chosen = db.execute(f"select fetched, chosen from {STATE}_done").fetchone()
    sources = [
        open_source(str(copy), table, title=title or "", body=body)
        for table, title, body in json.loads(chosen)
    ]
    return fetched, sources


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        yield db
    except sqlite3.Error as error:
        raise NanogptError(f"Cannot keep fetched rows in {path}: {error}. Is there room?") from error
    finally:
        db.close()


def _value(value: Any) -> Any:
    """A JSON value as SQLite takes it."""
    if isinstance(value, dict) and value.get("$base64"):
        return b64decode(value["encoded"])
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # no halves of surrogate pairs
    return value


@dataclass(frozen=True)
class Page:
    rows: list[dict[str, Any]]
    following: str  # token of the next page, "" after the last
    total: int  # of rows in all pages; 0: not known


class Answer(Exception):
    """A response that may be better next time."""

    def __init__(self, why: str, wait: float = 0.0):
        super().__init__(why)
        self.wait = wait  # seconds that the server asks for


class Server:
    """One database of a Datasette, 0.60 or later: both shapes of its JSON have what is read here."""

    def __init__(self, url: str, token: str | None):
        import httpx2

        headers = {"User-Agent": f"datasette-nanogpt/{version('datasette-nanogpt')}"}
        if token := token or os.environ.get("DATASETTE_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self.client = httpx2.Client(headers=headers, follow_redirects=True, timeout=60)
        self.attempts = FIRST_ATTEMPTS

    def sample(self, table: str, where: str | None) -> Page:
        return self.page(table, "", (), where, size=str(SAMPLE_ROWS))

    def page(
        self,
        table: str,
        following: str,
        columns: Sequence[str],
        where: str | None,
        *,
        size: str = "max",
        with_total: bool = False,
    ) -> Page:
        """Rows of a table, those after `following`; all columns if none are named."""
        from datasette.utils import tilde_encode

        params = [("_shape", "objects"), ("_size", size), ("_nofacet", "1"), ("_nosuggest", "1")]
        params += [("_col", column) for column in columns]
        params += [("_where", f"{where}\n")] if where else []  # the line break ends a comment
        params += [("_next", following)] if following else []
        params += [("_extra", "count")] if with_total else [("_nocount", "1")]
        data = self._get(f"{self.url}/{tilde_encode(table)}.json", params, table)
        total = data.get("count") or data.get("filtered_table_rows_count")  # 1.0, 0.6x
        return Page(data["rows"], data.get("next") or "", total or 0)

    def query(self, sql: str, where: str | None, following: str, size: int = QUERY_ROWS) -> Page:
        """Rows of a query, which has pages only if we ask for them."""
        start, condition = int(following or 0), f"where ({where}\n) " if where else ""
        limited = f"select * from (\n{sql.strip().rstrip(';')}\n) {condition}limit {size} offset {start}"
        data = self._get(f"{self.url}.json", [("sql", limited), ("_shape", "objects")], None)
        rows = data["rows"]
        more = bool(rows) and (len(rows) == size or data.get("truncated"))
        return Page(rows, str(start + len(rows)) if more else "", 0)

    def _get(self, url: str, params: list[tuple[str, str]], table: str | None) -> dict[str, Any]:
        import httpx2
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            wait_exponential,
            wait_random,
        )

        backoff = wait_exponential(FIRST_WAIT, LONGEST_WAIT) + wait_random(0, FIRST_WAIT)
        retrying = Retrying(
            retry=retry_if_exception_type((Answer, httpx2.TransportError)),
            stop=stop_after_attempt(self.attempts),
            wait=lambda state: max(backoff(state), getattr(state.outcome.exception(), "wait", 0.0)),
            reraise=True,
        )
        try:
            data = retrying(self._ask, url, params, table)
        except (Answer, httpx2.RequestError, httpx2.InvalidURL) as error:
            raise NanogptError(
                f"{self.url} does not answer ({error or type(error).__name__}): try again later, "
                "what was fetched is kept."
            ) from error
        self.attempts = ATTEMPTS
        return data

    def _ask(self, url: str, params: list[tuple[str, str]], table: str | None) -> dict[str, Any]:
        response = self.client.get(url, params=params)
        status = response.status_code
        if status in RETRIED:
            after = response.headers.get("retry-after", "")
            raise Answer(f"status {status}", min(float(after), 300.0) if after.isdigit() else 0.0)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        try:
            data = response.json() if is_json else {}
        except ValueError:
            raise Answer("its JSON is cut off") from None
        if status in (401, 403):
            raise NanogptError(f"{self.url} does not let you read this: give an API token with --token.")
        if status == 404 and table:
            raise NanogptError(f"{self.url} has no table {table!r}.{self._tables()}")
        if status == 404 or (status == 200 and "rows" not in data):
            raise NanogptError(f"{self.url} is not a database of a Datasette: give https://HOST/DATABASE.")
        if status != 200:
            raise NanogptError(f"{self.url} answers: {data.get('error') or f'status {status}'}.")
        return data

    def _tables(self) -> str:
        import httpx2

        try:
            tables = self.client.get(f"{self.url}.json").raise_for_status().json().get("tables", [])
        except (httpx2.HTTPError, ValueError):
            return " Give the database as https://HOST/DATABASE."
        names = [table["name"] for table in tables if not table.get("hidden")]
        return f" It has: {', '.join(names)}." if names else ""
