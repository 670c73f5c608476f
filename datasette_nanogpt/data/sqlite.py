"""Reading SQLite files: connections, time limits, names of tables and columns, SQLite's errors in words."""

from __future__ import annotations

import math
import os
import re
import shlex
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import click

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem, WrongUsage
from llm_nanogpt.suggestions import did_you_mean

from ..formatting import shown_name
from .connection_setup import prepare_connection

if TYPE_CHECKING:
    from sqlite_utils import Database

NO_DATABASE = "not a database"  # in what SQLite says of a file of something else
BUSY_SECONDS = 5.0  # how long to wait while another program writes
TOLD_SECONDS = 1.0  # of waiting, from which on a line says so
# Instructions of SQLite's virtual machine, some milliseconds, between two checks of the clock and of Ctrl+C.
CLOCK_INSTRUCTIONS = 100_000
# The largest value that SQL may compute or a row may hold, and the longest pattern of LIKE and GLOB, where a
# time limit is set.
MAX_VALUE_BYTES, MAX_PATTERN_BYTES = 64 * 2**20, 1000
MAX_LISTED_NAMES = 40  # tables or columns in one message
# How an address begins from which https:// was left out.
_HOST = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?/", re.ASCII)
_DEADLINE: ContextVar[float] = ContextVar("deadline")  # of `time_limit`, on the monotonic clock
# How SQLite reports something that an extension would provide, and what our messages call it.
_MISSING = re.compile(r"(?:no such|unknown) (module|tokenizer|collation sequence|function): ?(.+)")
_KINDS = {"module": "virtual table module", "collation sequence": "collation"}
_NO_COLUMN = "no such column: "  # how SQLite begins to say that
# The beginning of a query, after comments and brackets.
_QUERY = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)
# What messages call the SQL that people write, by the option it came from.
_WRITTEN_SQL = {
    "where": "The condition",
    "sql": "The query",
    "group_by": "The grouping by",
    "order_by": "The order by",
}


class NotUTF8(bytes):
    """A TEXT value whose bytes are not UTF-8; plain bytes are a BLOB."""


def database_path(database: str) -> Path:
    """The absolute path of a database file. Raises InvalidOptions where there is no such file."""
    path = Path(os.path.expanduser(database)).absolute()
    if not os.path.exists(path):  # which a name that is too long does not make fail
        message = f"There is no file {database}: check the path of the database."
        if database.startswith(("http://", "https://")):
            message = f"{database} is on the web, where only training can read: give a SQLite file."
        elif _HOST.match(database) and not path.parent.exists():
            message += " The address of a Datasette on the web begins with https:// or http://."
        raise InvalidOptions([Problem("database", "missing", message)])
    if path.is_dir():
        message = f"{database or path} is a folder: name the SQLite file in it."
        raise InvalidOptions([Problem("database", "folder", message)])
    if not path.is_file():  # SQLite would wait for ever for what comes through a pipe
        message = f"{database} is a pipe or a device: save what comes from it to a file, and name that."
        raise InvalidOptions([Problem("database", "pipe", message)])
    return path


# SQLite's codes for a file that is in order, but beside which it can write none.
NO_FILES_BESIDE = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_RECOVERY,
)


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading only; SQLite's errors become NanogptErrors.

    Text that is not UTF-8 is read as NotUTF8. The connection may be used by other threads.
    """
    db = None
    try:
        db = _open(path, "mode=ro")
        try:
            _wait_until_free(db, path)
        except sqlite3.OperationalError as error:
            # In WAL mode even a reader writes beside the file, which read-only media and folders refuse.
            if error.sqlite_errorcode not in NO_FILES_BESIDE or not os.access(path, os.R_OK):
                raise
            wal = path.with_name(f"{path.name}-wal")
            if wal.exists() and wal.stat().st_size:
                raise NanogptError(
                    f"{path} has changes in {wal.name} that SQLite can only read in a folder it can write "
                    "to. Copy both files to a folder of your own and use the copy."
                ) from error
            db.close()
            db = _open(path, "immutable=1")
        with _interrupted_in_time(db):
            yield db
    except sqlite3.Error as error:
        _raise_if_stopped(error)
        kind = WrongUsage if NO_DATABASE in str(error) else NanogptError
        raise kind(_describe_error(path, str(error))) from error
    finally:
        if db is not None:
            db.close()


def _open(path: Path, parameter: str) -> sqlite3.Connection:
    # The rows may be asked for by another thread than the one that opened the database.
    uri = f"{path.as_uri()}?{parameter}"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    prepare_connection(db, path)
    db.text_factory = _decode
    deadline = _DEADLINE.get(math.inf)
    # Python raises KeyboardInterrupt between its own instructions, and a long query has none but these.
    db.set_progress_handler(lambda: time.monotonic() > deadline, CLOCK_INSTRUCTIONS)
    if deadline < math.inf:  # a server reads it for somebody
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        db.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES)
    return db


def _wait_until_free(db: sqlite3.Connection, path: Path) -> None:
    """Read a little of a database, and say what is waited for where another program has it locked."""
    read, silent = "select 1 from sqlite_master", min(TOLD_SECONDS, BUSY_SECONDS)
    _set_patience(db, silent)
    try:
        db.execute(read).fetchone()
    except sqlite3.OperationalError as error:
        is_locked = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if not is_locked or silent == BUSY_SECONDS:
            raise
        if _DEADLINE.get(math.inf) == math.inf:  # a server has one, and nobody who reads this
            with suppress(OSError, ValueError):
                seconds = f"up to {BUSY_SECONDS:g} seconds"
                click.echo(f"Waiting {seconds} for {path}: another program has it locked.", err=True)
        _set_patience(db, BUSY_SECONDS - silent)
        db.execute(read).fetchone()
    _set_patience(db, BUSY_SECONDS)


def _set_patience(db: sqlite3.Connection, seconds: float) -> None:
    """How long SQLite waits while another program has the database locked."""
    db.execute(f"pragma busy_timeout = {1000 * seconds:.0f}")


@contextmanager
def _interrupted_in_time(db: sqlite3.Connection) -> Iterator[None]:
    """Interrupt what runs at the deadline, if there is one: a few instructions of SQLite's, after which it
    looks at the clock, may each call a function that takes long."""
    deadline = _DEADLINE.get(math.inf)
    if deadline == math.inf:
        yield
        return
    timer = Timer(max(0.0, deadline - time.monotonic()), db.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # so that it does not interrupt a connection that is closed


def _raise_if_stopped(error: Exception) -> None:
    """Raise KeyboardInterrupt where it was Ctrl+C, rather than the time limit, that interrupted a query."""
    if str(error) == "interrupted" and time.monotonic() <= _DEADLINE.get(math.inf):
        raise KeyboardInterrupt from error


def _decode(raw: bytes) -> str | NotUTF8:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NotUTF8(raw)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt queries on databases opened in this block after `seconds`: a condition that a person writes
    may take any amount of work. Raises NanogptError then, as for any other reason not to read."""
    token = _DEADLINE.set(min(time.monotonic() + seconds, _DEADLINE.get(math.inf)))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


# The option with which sqlite-utils reads a file.
_INSERTED = {".csv": "--csv", ".tsv": "--tsv", ".json": "--json", ".jsonl": "--nl", ".ndjson": "--nl"}


def _describe_error(path: Path, error: str) -> str:
    if NO_DATABASE in error:
        if option := _INSERTED.get(path.suffix.lower()):
            file = path.name if path.parent == Path.cwd() else str(path)
            words = ["sqlite-utils", "insert", f"{path.stem}.db", path.stem, file, option]
            return f"{path} is not a SQLite database. To make one of it: {shlex.join(words)}"
        return (
            f"{path} is not a SQLite database, or it is encrypted. To make one: sqlite-utils insert new.db "
            f"TABLE {shlex.quote(path.name)} (with --csv, --json or --text)."
        )
    if "locked" in error or "busy" in error:
        return f"{path} is locked by another program: try again when that program is done, or close it."
    if error == "interrupted":
        return "Reading the rows takes too long: try a simpler condition."
    if "malformed" in error:
        return f"{path} is damaged. To save what is left: sqlite3 {path.name} .recover | sqlite3 new.db"
    if missing := _MISSING.search(error):
        kind, name = missing.groups()
        return (
            f"{path.name} needs the {_KINDS.get(kind, kind)} {name.strip()!r}, which this SQLite lacks. "
            "Load the extension that has it (--load-extension PATH, or `--load-extension spatialite`) or a "
            "plugin that makes it (--plugins-dir FOLDER), or choose a table that does not need it."
        )
    if not os.access(path, os.R_OK):
        gone = f"{path} was moved or deleted while it was read: put it back, and begin again."
        refused = f"You do not have permission to read {path}: ask its owner for it, or for a copy."
        return refused if os.path.exists(path) else gone
    return _half_changed(path) if "readonly database" in error else f"Cannot read {path}: {error}."


def _half_changed(path: Path) -> str:
    """The message for a database whose last change was not finished: its journal undoes that, by writing."""
    begun = f"{path} was left in the middle of a change by a program that did not finish"
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return f"{begun}. To undo that change: {shlex.join(['sqlite3', str(path), '.tables'])}"
    return (
        f"{begun}, which cannot be undone in a read-only folder. Copy it and {path.name}-journal to a folder "
        "of your own and use the copy."
    )


@contextmanager
def explain_sql(field: str, sql: str | None, advice: str = "", columns: Sequence[str] = ()) -> Iterator[None]:
    """Turn SQLite's errors into InvalidOptions about `sql`, which a person wrote in the option `field`
    ("where", "sql", ...). Without `sql` they pass through, and so do errors that it cannot have caused.
    One of the `columns` may be meant by a name that is none."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        _raise_if_stopped(error)
        if sql is None or "locked" in str(error) or "malformed" in str(error):
            raise
        reason = str(error).rstrip(".")
        if reason == 'near ")": syntax error' and ")" not in sql:  # the bracket is ours
            reason = "it ends too early"
        # In brackets, as we read it, any other word is the name of a table.
        if field == "sql" and not _QUERY.match(sql):
            reason = "a query must begin with SELECT or WITH"
        if reason == "interrupted":
            reason, advice = "it takes too long", ""
        if reason.startswith(_NO_COLUMN):
            advice += did_you_mean([reason.removeprefix(_NO_COLUMN)], columns)
        message = f"{_WRITTEN_SQL[field]} {' '.join(sql.split())!r} does not work: {reason}.{advice}"
        raise InvalidOptions([Problem(field, "sql_error", message)]) from error


# ---- Names


# Words of SQL that a name cannot be without quotes: those that SQLite cannot read as the name of a column or
# table, and those that it reads as a value.
_RESERVED_WORDS = """
add all alter and as autoincrement between case cast check collate commit constraint create current_date
current_time current_timestamp default deferrable delete distinct drop else escape except exists false foreign
from group having if in index insert intersect into is isnull join limit not nothing notnull null on or order
primary raise references returning select set table then to transaction true union unique update using values
when where with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def quote(name: str) -> str:
    """A table's or column's name as it stands in SQL, in quotes only where SQL could not read it otherwise:
    people are shown many conditions, and quotes within a shell's quotes are hard to read."""
    from sqlite_utils.db import quote_identifier

    return name if name.isidentifier() and name.lower() not in _RESERVED else quote_identifier(name)


def quote_column(name: str) -> str:
    """A column's name as it stands in SQL that reads rows. In backticks: what stands in double quotes SQLite
    takes for text where there is no such column, as when somebody drops it while the table is read."""
    return "`" + name.replace("`", "``") + "`"


def find_name(name: str, names: Sequence[str]) -> str | None:
    """`name` among `names` as SQLite finds it: the case of letters does not matter."""
    if name in names:
        return name
    return next((other for other in names if other.lower() == name.lower()), None)


def list_names(names: Sequence[str], most: int = MAX_LISTED_NAMES) -> str:
    """Names for a message of one line."""
    shown = [*map(shown_name, names[:most])]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def schema_of(db: sqlite3.Connection) -> Database:
    from sqlite_utils import Database

    return Database(db, execute_plugins=False, recursive_triggers=False)


def column_names(db: sqlite3.Connection, relation: str) -> tuple[str, ...]:
    """The columns of a quoted table or a query in brackets. Unlike `pragma table_info`, this has generated
    columns too."""
    return tuple(column[0] for column in db.execute(f"select * from {relation} limit 0").description)


def unique_columns(db: sqlite3.Connection, table: str) -> set[str]:
    """The columns that have a unique index of their own."""
    indexes = getattr(schema_of(db)[table], "indexes", [])  # a view has none
    return {index.columns[0] for index in indexes if index.unique and len(index.columns) == 1}


def primary_key(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """The columns of a table's primary key, else rowid; none for a view."""
    schema = schema_of(db)
    return () if table in schema.view_names() else tuple(schema.table(table).pks)


def rowid_name(db: sqlite3.Connection, table: str) -> str | None:
    """A name that a table's rowid has; None for a view, or a table without one."""
    if table in schema_of(db).view_names():
        return None
    names = {name.lower() for name in column_names(db, quote(table))}
    for rowid in [alias for alias in ("rowid", "_rowid_", "oid") if alias not in names]:
        with suppress(sqlite3.OperationalError):
            db.execute(f"select {rowid} from {quote(table)} limit 0")
            return rowid
    return None


def order_by(db: sqlite3.Connection, table: str) -> str:
    """SQL that fixes the order of a table's rows, which an index could change; "" for a view."""
    schema = schema_of(db)
    if table in schema.view_names():
        return ""
    if rowid := rowid_name(db, table):
        return f"order by {rowid}"
    keys = [column for column in schema.table(table).columns if column.is_pk]  # WITHOUT ROWID
    keys.sort(key=lambda column: column.is_pk)
    return "order by " + ", ".join(quote_column(column.name) for column in keys) if keys else ""
