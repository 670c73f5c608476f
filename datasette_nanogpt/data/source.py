"""Documents out of a SQLite file, one row at a time."""

from __future__ import annotations

import hashlib
import os
import shlex
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..events import Progress
from ..hookspecs import document_hook
from .html import document, html_to_text, looks_like_html

TITLES = ("title", "name", "headline", "subject")
# Only names that always mean the text itself. A `description` is chosen when it is the longest:
# beside a `readme` or a `transcript` it is the blurb.
BODIES = ("body", "content", "text", "html", "markdown", "body_html", "body_text", "message")
QUERY = "query"  # what stands for a table's name with --sql
BUSY_SECONDS = 5  # how long to wait for a writer to let go
DEADLINE: ContextVar[float] = ContextVar("deadline")  # of `within`, by the monotonic clock
INSTRUCTIONS = 100_000  # of SQLite's machine, some milliseconds, between looks at the clock
SAMPLE_ROWS, SAMPLE_CHARS = 100, 5_000  # what is read to choose columns and to tell HTML


class NoText(NanogptError):
    """No text was found where it was looked for: another column may have it."""


@dataclass
class Source:
    """The rows of one table or query that will be trained on, and how they are read.

    `skipped` counts rows by the reason why `documents()` left them out: after a whole pass,
    documents + skipped == rows.
    """

    database: Path  # absolute
    table: str
    columns: tuple[str, ...]  # all of the table's
    title: str | None
    body: tuple[str, ...]
    is_html: frozenset[str]  # the columns of `body` that hold HTML
    row_count: int
    rows: str  # SQL: what stands after `from`
    order_by: str  # SQL, "" for the order in which SQLite yields them
    keys: tuple[str, ...]  # the columns of the primary key, or rowid; none in a view or query
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def used(self) -> list[str]:
        """The columns that become text."""
        return [*([self.title] if self.title else []), *self.body]

    def documents(self) -> Iterator[str]:
        """Stream one document per row that has text, always in the same order.

        Raises NanogptError when the database cannot be read to the end, or a plugin's
        `nanogpt_document` returns something that is not text.
        """
        return (text for _, text in self._read(()))

    def keyed_documents(self) -> Iterator[tuple[dict[str, Any], str]]:
        """`documents()`, each with the primary key of its row: column -> value, or rowid; {} in a view."""
        return ((dict(zip(self.keys, values, strict=True)), text) for values, text in self._read(self.keys))

    def keyed_documents_at_once(self) -> Iterator[tuple[dict[str, Any], str]]:
        """`keyed_documents()`, all read into a temporary file before the first is given: who takes long over
        each would else keep others from writing to the database meanwhile."""
        with closing(sqlite3.connect("", check_same_thread=False)) as file:
            file.execute(f"create table document ({', '.join(f'c{i}' for i in range(len(self.keys) + 1))})")
            marks = ", ".join("?" * (len(self.keys) + 1))
            read = ((*values, text) for values, text in self._read(self.keys))
            try:
                file.executemany(f"insert into document values ({marks})", read)
            except sqlite3.Error as error:
                raise NanogptError(f"No rows fit in a temporary file: {error}. Is there room?") from error
            for *values, text in file.execute("select * from document order by rowid"):
                yield dict(zip(self.keys, values, strict=True)), text

    def _read(self, keys: Sequence[str]) -> Iterator[tuple[Sequence[Any], str]]:
        self.skipped.clear()
        hook = document_hook()
        columns = list(self.columns) if hook else self.used
        with connect(self.database) as db:
            for values in db.execute(self._select([*keys, *columns])):
                row = dict(zip(columns, values[len(keys) :], strict=True))
                if text := self._text(hook, row):
                    yield values[: len(keys)], text

    def texts_of(self, rows: Iterable[Sequence[str]]) -> Iterator[str | None]:
        """The document of each row with these values of `keys`, None where there is no such row."""
        hook = document_hook()
        columns = list(self.columns) if hook else self.used
        condition = " and ".join(f"{quote(key)} = ?" for key in self.keys)
        select = f"select {', '.join(map(quote, columns)) or 'null'} from {quote(self.table)}"
        with connect(self.database) as db:
            for values in rows:
                asked = len(values) == len(self.keys)
                found = db.execute(f"{select} where {condition}", values).fetchone() if asked else None
                yield self._text(hook, dict(zip(columns, found, strict=True))) if found else None

    def _text(self, hook, row: dict) -> str:
        text = self._ask(hook, row) if hook else None
        return self._document([row[column] for column in self.used]) if text is None else text

    def digest(self) -> tuple[bytes, int]:
        """A hash of all values that `documents()` reads, in order, and how many bytes they have."""
        blake, size = hashlib.blake2b(digest_size=16), 0
        with connect(self.database) as db:
            db.text_factory = bytearray  # undecoded, yet told from a BLOB
            for values in db.execute(self._select(self.used)):
                for value in values:
                    if isinstance(value, bytes | bytearray):
                        size += len(value)
                        kind = b"text" if isinstance(value, bytearray) else b"blob"
                        blake.update(b"%s%d:" % (kind, len(value)))
                        blake.update(value)
                    else:
                        blake.update(repr(value).encode() + b";")
        return blake.digest(), size

    def _select(self, columns: Sequence[str]) -> str:
        return f"select {', '.join(map(quote, columns)) or 'null'} from {self.rows} {self.order_by}"

    def _ask(self, hook, row: dict) -> str | None:
        """The plugin's text for a row, "" if it is left out, None if the plugin has no opinion."""
        answer = hook(database=self.database.stem, table=self.table, row=row)
        if answer is False:
            self.skipped["left out by a plugin"] += 1
            return ""
        if answer is None:
            return None
        if not isinstance(answer, str):
            raise NanogptError(
                "A plugin's nanogpt_document() must return a str, False or None, "
                f"not {type(answer).__name__}."
            )
        return self._counted(document(None, [answer]))

    def _document(self, values: list) -> str:
        unreadable = next((value for value in values if isinstance(value, bytes)), None)
        if unreadable is not None:
            # Half a row would teach titles without texts.
            self.skipped["not UTF-8" if isinstance(unreadable, NotUTF8) else "BLOB"] += 1
            return ""
        texts = ["" if value is None else str(value) for value in values]
        title = texts.pop(0) if self.title else None
        if title and self.is_html:
            title = unescape(title)
        bodies = [
            html_to_text(text) if column in self.is_html else text
            for column, text in zip(self.body, texts, strict=True)
        ]
        return self._counted(document(title, bodies))

    def _counted(self, text: str) -> str:
        if not text:
            self.skipped["no text"] += 1
        return text


@dataclass
class Corpus:
    """All that one model is trained on: one or several tables of a database, or a query."""

    database: str  # absolute path, or URL
    sources: list[Source]
    where: str | None = None
    sql: str | None = None
    fetched: str | None = None  # when a remote database was copied: UTC, ISO 8601

    @property
    def name(self) -> str:
        """The table, or the tables, or the query."""
        return self.sql or ", ".join(source.table for source in self.sources)

    @property
    def row_count(self) -> int:
        return sum(source.row_count for source in self.sources)

    def load(self) -> Iterator[Progress]:
        """Bring the rows here, if they are elsewhere."""
        yield from ()

    def documents(self) -> Iterator[str]:
        """The documents of every table, one table after the other. See `Source.documents`."""
        for source in self.sources:
            yield from source.documents()

    def digest(self) -> tuple[str, int]:
        """A hash of all that is read and of how, in hexadecimal, and the bytes of text read."""
        blake, total = hashlib.blake2b(digest_size=16), 0
        for source in self.sources:
            values, size = source.digest()
            blake.update(values + repr((source.used, sorted(source.is_html), bool(source.title))).encode())
            total += size
        return blake.hexdigest(), total

    def describe(self) -> dict[str, Any]:
        """What nanogpt.json keeps. `table` is for people; each table's own facts are in `tables`."""
        return {
            "database": self.database,
            "table": self.name,
            "title": next((source.title for source in self.sources if source.title), None),
            "body": list(dict.fromkeys(column for source in self.sources for column in source.body)),
            "html": sorted({column for source in self.sources for column in source.is_html}),
            "where": self.where,
            "sql": self.sql,
            "fetched": self.fetched,
            "rows": self.row_count,
            "tables": [
                {
                    "table": source.table,
                    "title": source.title,
                    "body": list(source.body),
                    "html": sorted(source.is_html),
                    "rows": source.row_count,
                    "skipped": dict(source.skipped),
                }
                for source in self.sources
            ],
        }


def is_url(database: str) -> bool:
    return database.startswith(("http://", "https://"))


def location(database: str) -> str:
    """The one way of writing where a database is: what nanogpt.json keeps, to tell it again."""
    return database.rstrip("/") if is_url(database) else str(Path(database).expanduser().absolute())


def open_corpus(
    database: str,
    tables: Sequence[str] = (),
    *,
    title: str | None = None,
    body: Sequence[str] = (),
    where: str | None = None,
    sql: str | None = None,
    token: str | None = None,
    refresh: bool = False,
) -> Corpus:
    """Open `tables`, or the rows of the query `sql`, of a SQLite file or of a Datasette's URL.

    `title` and `body` name columns and `where` is a condition, as in `open_source`; of several tables
    each uses the named columns that it has. `token` and `refresh` are for URLs. Raises NanogptError
    with everything that is wrong, a line each.
    """
    tables = list(dict.fromkeys(tables))
    if tables and sql is not None:
        raise NanogptError("Name the table to train on, or give a query with --sql: one of the two.")
    if not tables and sql is None:
        raise NanogptError(_which_table(database))
    if is_url(database):
        from .remote import open_remote

        return open_remote(location(database), tables, title, body, where, sql, token, refresh)
    if token or refresh:
        raise NanogptError("--token and --refresh are for a Datasette's URL: leave them out for a file.")
    return Corpus(location(database), open_sources(database, tables, title, body, where, sql), where, sql)


def open_sources(
    database: str,
    tables: Sequence[str],
    title: str | None = None,
    body: Sequence[str] = (),
    where: str | None = None,
    sql: str | None = None,
) -> list[Source]:
    """A Source for each of `tables`, or the one of `sql`. See `open_corpus`."""
    if len(tables) < 2:
        table = tables[0] if tables else QUERY
        return [open_source(database, table, title=title, body=body, where=where, sql=sql)]
    sources, problems = [], []
    with connect(_database(database)) as db:
        have = {}
        for table in tables:
            try:
                have[table] = _columns(db, quote(_find_table(db, database, table)))
            except NanogptError as error:
                problems.append(str(error))
    asked = [*([title] if title else []), *body]
    missing = [name for name in asked if not any(_find(name, columns) for columns in have.values())]
    if missing and not problems:
        problems.append(f"None of the tables has a column {_names(missing)}.")
    for table, columns in have.items() if not missing else ():
        own_title = title if not title or _find(title, columns) else None
        own_body = [name for name in body if _find(name, columns)]
        try:
            sources.append(open_source(database, table, title=own_title, body=own_body, where=where))
        except NanogptError as error:
            problems.append(str(error))
    if problems:
        raise NanogptError("\n".join(problems))
    return sources


def open_source(
    database: str,
    table: str,
    *,
    title: str | None = None,
    body: Sequence[str] = (),
    where: str | None = None,
    sql: str | None = None,
) -> Source:
    """Find a table's rows and the columns to read; reads a bounded sample, and counts the rows.

    `title` and `body` name columns, otherwise they are found; `title=""` means no title. `where`
    is an SQL condition. With `sql`, a select, its rows are the table, and `table` is only what it is
    called. Raises NanogptError for whatever makes the table unfit to train on.
    """
    path = _database(database)
    with connect(path) as db:
        if sql is None:
            table = _find_table(db, database, table)
        else:
            sql = sql.strip().rstrip(";")
        # The line breaks end comments in `sql` and `where`.
        relation = quote(table) if sql is None else f"({sql}\n)"
        columns = _columns(db, relation, sql)
        rows = f"{relation} where ({where}\n)" if where else relation
        row_count = _count(db, table, rows, where, columns, sql)
        called = f"Table {table!r}" if sql is None else "The query of --sql"
        title, body = _choose(db, table, called, columns, title, body, rows)
        is_html = frozenset(column for column in body if _is_html(db, column, rows))
        order_by, keys = ("", ()) if sql is not None else (_order_by(db, table), _keys(db, table))
    return Source(path, table, columns, title, body, is_html, row_count, rows, order_by, keys)


def _database(database: str) -> Path:
    path = Path(database).expanduser().absolute()
    if not path.exists():
        raise NanogptError(f"There is no file {database}: check the path of the database.")
    if path.is_dir():
        raise NanogptError(f"{database} is a folder: name the SQLite file in it.")
    return path


class NotUTF8(bytes):
    """TEXT whose bytes are not UTF-8; plain bytes are a BLOB."""


def _decode(raw: bytes) -> str | NotUTF8:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NotUTF8(raw)


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading alone; SQLite's errors become NanogptErrors."""
    db = None
    try:
        db = _open(path, "mode=ro")
        try:
            db.execute("select 1 from sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            # In WAL mode even a reader writes beside the file, which read-only media refuse.
            if str(error) != "unable to open database file" or not os.access(path, os.R_OK):
                raise
            wal = path.with_name(f"{path.name}-wal")
            if wal.exists() and wal.stat().st_size:
                raise NanogptError(
                    f"{path} has changes in {wal.name} that cannot be read where nothing may be written: "
                    "copy both files to a folder that you own, and name the copy."
                ) from error
            db.close()
            db = _open(path, "immutable=1")
        yield db
    except sqlite3.Error as error:
        raise NanogptError(_explain(path, str(error))) from error
    finally:
        if db is not None:
            db.close()


def _open(path: Path, how: str) -> sqlite3.Connection:
    # The rows may be asked for by another thread than the one that opened the database.
    uri = f"{path.as_uri()}?{how}"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    db.text_factory = _decode
    if deadline := DEADLINE.get(None):
        db.set_progress_handler(lambda: time.monotonic() > deadline, INSTRUCTIONS)
    return db


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let nothing that is read meanwhile take longer: a condition may ask for any amount of work. Raises
    NanogptError, as whatever cannot be read does."""
    token = DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        DEADLINE.reset(token)


def _explain(path: Path, error: str) -> str:
    if "not a database" in error:
        return (
            f"{path} is not an SQLite database, or it is encrypted. "
            f"To make one: sqlite-utils insert new.db TABLE {path.name} (--csv, --json, --text)."
        )
    if "locked" in error or "busy" in error:
        return f"{path} is locked by another program: try again when that is done, or close it."
    if error == "interrupted":
        return "Reading the rows takes too long: try a simpler condition."
    if "malformed" in error:
        return f"{path} is damaged. To save what is left: sqlite3 {path.name} .recover | sqlite3 new.db"
    if not os.access(path, os.R_OK):
        return f"You may not read {path}: ask for the right to, or copy it."
    if "readonly database" in error:
        return (
            f"{path} was left in the middle of a change, and nothing may be written there to undo it: "
            f"copy it and {path.name}-journal to a folder that you own, and name the copy."
        )
    return f"Cannot read {path}: {error}."


def quote(name: str) -> str:
    from sqlite_utils.db import quote_identifier

    return quote_identifier(name)


def _names(names: Sequence[str], most: int = 40) -> str:
    """Names for a message of one line."""
    shown = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _find(name: str, names: Sequence[str]) -> str | None:
    """`name` among `names`, in SQLite's way: the case of letters does not matter."""
    if name in names:
        return name
    return next((other for other in names if other.lower() == name.lower()), None)


def _tables(db: sqlite3.Connection):
    from sqlite_utils import Database

    return Database(db, execute_plugins=False, recursive_triggers=False)


def _find_table(db: sqlite3.Connection, database: str, table: str) -> str:
    tables = _tables(db)
    if found := _find(table, tables.table_names() + tables.view_names()):
        return found
    raise NanogptError(f"{database} has no table {table!r}. It has: {_names(_own_tables(db, database))}.")


def _which_table(database: str) -> str:
    """What to tell who named none."""
    if is_url(database):
        base, _, name = location(database).rpartition("/")
        split = f" If {name} is a table: datasette nanogpt-train {shlex.join([base, name])}"
        told = "Name the table to train on, or give a query with --sql."
        return told + (split if base.count("/") > 2 else "")
    with connect(_database(database)) as db:
        names = _own_tables(db, database)
    first = shlex.join([database, names[0]])
    return f"Name the table to train on. {database} has: {_names(names)}. So: datasette nanogpt-train {first}"


def _own_tables(db: sqlite3.Connection, database: str) -> list[str]:
    """The tables and views that somebody made, not those of SQLite or of a full-text index."""
    tables = _tables(db)
    hidden = tuple(f"{fts}_" for fts in tables.table_names(fts4=True) + tables.table_names(fts5=True))
    names = tables.table_names() + tables.view_names()
    names = [name for name in names if not name.startswith(("sqlite_", *hidden))]
    if not names:
        raise NanogptError(f"{database} has no tables: fill it with `sqlite-utils insert` first.")
    return names


def _columns(db: sqlite3.Connection, relation: str, sql: str | None = None) -> tuple[str, ...]:
    """All columns but hidden ones: unlike `pragma table_info`, this has the generated ones too."""
    with _blaming("--sql", sql):
        return tuple(column[0] for column in db.execute(f"select * from {relation} limit 0").description)


def _count(
    db: sqlite3.Connection, table: str, rows: str, where: str | None, columns: Sequence[str], sql: str | None
) -> int:
    # The query alone was tried before: what fails now is the condition, if there is one.
    with _blaming("--sql", sql), _blaming("--where", where, f" The columns are: {_names(columns)}."):
        (count,) = db.execute(f"select count(*) from {rows}").fetchone()
    if count:
        return count
    if where:
        raise NanogptError(f"No row of {table!r} matches --where {where!r}: try another condition.")
    if sql:
        raise NanogptError("The query of --sql yields no rows: try another.")
    raise NanogptError(f"Table {table!r} is empty: fill it first, or choose another table.")


@contextmanager
def _blaming(option: str, value: str | None, advice: str = "") -> Iterator[None]:
    """Put SQLite's errors down to what was written by hand, if anything was."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if value is None or "locked" in str(error) or "malformed" in str(error):
            raise
        why = str(error).rstrip(".")
        if why == 'near ")": syntax error' and ")" not in value:  # the bracket is ours
            why = "it ends too early"
        if why == "interrupted":
            why, advice = "it takes too long", ""
        raise NanogptError(f"{option} {' '.join(value.split())!r} does not work: {why}.{advice}") from error


def _choose(
    db: sqlite3.Connection,
    table: str,
    called: str,
    columns: Sequence[str],
    title: str | None,
    body: Sequence[str],
    rows: str,
) -> tuple[str | None, tuple[str, ...]]:
    """The title column and the body columns: those asked for, else those found."""
    asked = [*([title] if title else []), *body]
    if missing := [name for name in asked if not _find(name, columns)]:
        raise NanogptError(f"{called} has no column {_names(missing)}. It has: {_names(columns)}.")
    body = tuple(dict.fromkeys(_find(name, columns) for name in body))
    title = _find(title, columns) if title else title
    if body and title is not None:
        return title or None, body

    lengths = _text_lengths(db, columns, rows)
    find_title = title is None
    if find_title:
        title = _first(TITLES, [name for name in lengths if name not in body])
    if not body:
        others = {name: length for name, length in lengths.items() if name != title}
        longest = max(others, key=others.get, default=None)
        chosen = _first(BODIES, others) or (longest if others.get(longest) else None)
        if not chosen and find_title:
            chosen, title = title, None  # a title is all the text there is
        if not chosen and document_hook() is None:
            raise NoText(
                f"{called} has no column of text. It has: {_names(columns)}. "
                "Choose another, or set --body to a column."
            )
        body = (chosen,) if chosen else ()
    if find_title and not title:
        title = _label(db, table, [name for name in lengths if name not in body])
    return title or None, body


def _first(wanted: Sequence[str], columns: Iterable[str]) -> str | None:
    columns = list(columns)
    return next((found for name in wanted if (found := _find(name, columns))), None)


def _text_lengths(db: sqlite3.Connection, columns: Sequence[str], rows: str) -> dict[str, float]:
    """Characters of prose a row, for each column that may hold text, in a sample.

    Addresses and JSON count as 0, however long they are, and so does a column without values.
    """
    start = ", ".join(
        f"case when typeof({name}) = 'text' then substr({name}, 1, {SAMPLE_CHARS}) else {name} end"
        for name in map(quote, columns)
    )
    sample = db.execute(f"select {start} from {rows} limit {SAMPLE_ROWS}").fetchall()
    lengths = {}
    for name, *values in zip(columns, *sample, strict=True):
        values = [value for value in values if value is not None]
        texts = [value for value in values if isinstance(value, str)]
        if texts or not values:
            prose = (t for t in texts if not t.startswith(("http://", "https://", "{", "[")))
            lengths[name] = sum(map(len, prose)) / len(sample)
    return lengths


def _label(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> str | None:
    """The column that Datasette would label a row with: the only unique one of text."""
    indexes = getattr(_tables(db)[table], "indexes", [])  # a view has none
    unique = {index.columns[0] for index in indexes if index.unique and len(index.columns) == 1}
    found = [name for name in columns if name in unique]
    return found[0] if len(found) == 1 else None


def _is_html(db: sqlite3.Connection, column: str, rows: str) -> bool:
    """Whether most of a column's values with a `<` in them look like HTML, in a sample.

    The column decides, not the row: in HTML a short row may have only inline tags or entities,
    and a row without any tag keeps its lines in `html_to_text`, so little is lost if this errs.
    """
    name = quote(column)
    values = db.execute(
        f"select substr({name}, 1, {SAMPLE_CHARS}) from "
        f"(select {name} from {rows}) where typeof({name}) = 'text' "
        f"limit {SAMPLE_ROWS}"
    )
    votes = [looks_like_html(text) for (text,) in values if isinstance(text, str) and "<" in text]
    return sum(votes) * 2 > len(votes)


def _order_by(db: sqlite3.Connection, table: str) -> str:
    """SQL that fixes the order of rows; without it an index could change it."""
    tables = _tables(db)
    if table in tables.view_names():
        return ""
    names = {name.lower() for name in _columns(db, quote(table))}
    for rowid in [alias for alias in ("rowid", "_rowid_", "oid") if alias not in names]:
        with suppress(sqlite3.OperationalError):
            db.execute(f"select {rowid} from {quote(table)} limit 0")
            return f"order by {rowid}"
    keys = [column for column in tables[table].columns if column.is_pk]  # WITHOUT ROWID
    keys.sort(key=lambda column: column.is_pk)
    return "order by " + ", ".join(quote(column.name) for column in keys) if keys else ""


def _keys(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    tables = _tables(db)
    return () if table in tables.view_names() else tuple(tables[table].pks)
