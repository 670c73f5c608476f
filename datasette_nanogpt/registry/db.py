"""The registry, `<home>/nanogpt.db`, and the one way to open it.

The command line, the browser and `llm nanogpt` learn about runs only from here. It is a plain SQLite file in
WAL mode, so `datasette ~/.../nanogpt.db` opens it as well.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from llm_nanogpt.changes import recover
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.unwritable import cannot_write

from .pending import finish_pending
from .run_log import run_log_name
from .waiting import begin, is_locked, may_wait, telling

if TYPE_CHECKING:
    from sqlite_utils import Database

# SQLite's errors on a file system where files cannot be locked or the memory of a write-ahead log be shared.
NO_LOCKS = (
    sqlite3.SQLITE_PROTOCOL,
    *(sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK),
    *(sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_SHMMAP),
    *(sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK, sqlite3.SQLITE_NOLFS),
)
# What SQLite says of a file that it cannot open, or that the disk lets nobody change.
NOT_OURS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
MOVE_AWAY = "move it away, and a new one is made; your models are not in it"
BUSY_SECONDS = 30.0  # to wait for another writer: a run writes only a few rows a second

_PATIENCE: ContextVar[float] = ContextVar("registry_patience", default=math.inf)  # seconds
_migrated: dict[Path, int] = {}  # home -> inode of its registry, once this process has migrated it


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait at most `seconds` for other writers in this block, and in the threads that it starts: a page must
    not hang because somebody has the registry locked."""
    token = _PATIENCE.set(seconds)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


def _busy_seconds() -> float:
    return min(BUSY_SECONDS, _PATIENCE.get())


class NoRegistryError(NanogptError):
    """There is no registry yet: nothing has been trained in this home."""


class RegistryError(NanogptError):
    """The registry cannot be read or written: it is locked or damaged, or the disk refuses something."""


class RegistryLockedError(RegistryError):
    """Another program has the registry locked. It may be free shortly."""


def registry_error(home: Path, ex: Exception) -> RegistryError:
    """The exception that says why the registry of `home` cannot be used."""
    return (RegistryLockedError if is_locked(ex) else RegistryError)(explain(home, ex))


def registry_file(home: Path) -> Path:
    """Where the registry of a home is."""
    return home / "nanogpt.db"


def run_log_file(home: Path, run: int) -> Path:
    """The log of run number `run`."""
    return home / run_log_name(run)


def open_registry(home: Path, *, create: bool = False, wait: float | None = None) -> sqlite3.Connection:
    """A connection to the registry, with rows that know their columns. The caller commits and closes it.

    The tables are brought up to date first, and the changes of processes that died are finished. Waits for
    another writer, up to BUSY_SECONDS, the `patience`, or `wait` seconds. In a home where nothing can be
    written, it is opened as it is, for reading only.
    Raises NoRegistryError if there is none and `create` does not ask for one, RegistryError if it cannot be
    opened or written.
    """
    file = registry_file(home)
    if not create and not file.exists():
        raise NoRegistryError(f"Nothing has been trained in {home} yet")
    if what := _in_its_place(file):
        raise RegistryError(f"{file} is {what}: {MOVE_AWAY}")
    try:
        if not create and not os.access(home, os.W_OK):
            return _open_read_only(file)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its contents may be private; SQLite gives the files that it writes beside this one the same mode. A
        # file that exists is not opened: closing it would drop the locks that SQLite holds on it here.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        # A generator of training events may be advanced by one thread after another.
        db = sqlite3.connect(file, timeout=_busy_seconds() if wait is None else wait, check_same_thread=False)
        may_wait(db)
        try:
            # A registry that was deleted and created again may have the inode of the old one.
            if _migrated.get(home) != file.stat().st_ino or not file.stat().st_size:
                _migrate(db)
                _migrated[home] = file.stat().st_ino
            recover(home)
            finish_pending(home, db)
        except BaseException:
            db.close()
            raise
    except (OSError, sqlite3.Error) as ex:
        raise registry_error(home, ex) from ex
    db.row_factory = sqlite3.Row
    return db


def _in_its_place(file: Path) -> str:
    """What is in the place of a file, if it is none: SQLite would wait for ever for what comes through a
    pipe."""
    if file.is_dir():
        return "a folder"
    return "a pipe or a device" if file.exists() and not file.is_file() else ""


def _open_read_only(file: Path) -> sqlite3.Connection:
    """The registry as it is. In WAL mode it is read with files beside it, which a read-only disk may lack:
    then without them. Raises sqlite3.Error."""

    def connect(how: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)
        db.row_factory = sqlite3.Row
        return db

    db = connect("mode=ro")
    try:
        db.execute("select 1 from sqlite_master").fetchone()
        return db
    except sqlite3.OperationalError:
        db.close()
        return connect("immutable=1")


def _files_are_limited() -> bool:
    """Whether a process may only write files of a limited size (ulimit -f)."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def explain(home: Path, ex: Exception) -> str:
    """Why the registry cannot be used, and what to do about it."""
    file, code = registry_file(home), getattr(ex, "sqlite_errorcode", None)
    kind = None if code is None else code & 0xFF  # without the details of an error
    if is_locked(ex):
        return (
            f"{file} is locked: another program writes to it, or has changes in it that it has not saved. "
            "Close it, or wait until the machine is less busy, then try again"
        )
    if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and _is_full(home)):
        return f"The disk of {home} is full: make room there, or set NANOGPT_HOME to another place"
    if kind == sqlite3.SQLITE_IOERR and _files_are_limited():
        return f"{file} cannot grow: allow bigger files with `ulimit -f unlimited`, and begin again"
    if code is not None and code in NO_LOCKS:
        return (
            f"{file} is on a file system without the locks that SQLite needs ({ex}): "
            "set NANOGPT_HOME to a folder on a local disk"
        )
    if kind == sqlite3.SQLITE_IOERR:
        return f"The disk of {file} reports an error ({ex}): check it, or set NANOGPT_HOME to another"
    if code == sqlite3.SQLITE_ERROR and not os.access(home, os.W_OK):  # a column that it lacks
        return (
            f"{file} is of an earlier version ({ex}), and nothing can be written in {home} to bring it up to "
            "date: make the folder writable, or set NANOGPT_HOME to a copy of it"
        )
    refused = kind in NOT_OURS
    is_other = file.exists() and not os.access(file, os.R_OK | os.W_OK)
    if code is None or (refused and not (is_other and os.access(home, os.W_OK))):
        return cannot_write(home, ex)
    damaged = code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
    what = f"{'is damaged' if damaged else 'cannot be used'} ({ex})"
    if refused:
        what = "is not yours to write"
    return f"{file} {what}: {MOVE_AWAY}"


def _is_full(home: Path) -> bool:
    """Whether a disk is so full that SQLite cannot make the files of a write-ahead log, of 32 kB at first."""
    try:
        return shutil.disk_usage(home).free < 100_000
    except OSError:
        return False


@contextmanager
def registry(home: Path, *, create: bool = False, wait: float | None = None) -> Iterator[sqlite3.Connection]:
    """The registry for a moment: committed at the end, rolled back after an exception, closed in any case.

    Raises what `open_registry` does, and RegistryError also for what is done with it: a disk may refuse any
    statement.
    """
    try:
        with telling_of_wait(home, wait), closing(open_registry(home, create=create, wait=wait)) as db, db:
            yield db
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):  # our own mistakes
        raise
    except sqlite3.Error as ex:
        raise registry_error(home, ex) from ex


def telling_of_wait(home: Path, wait: float | None = None) -> AbstractContextManager[None]:
    """A block in which the registry is waited for; a line says so where that takes long."""
    return telling(registry_file(home), _busy_seconds() if wait is None else wait)


def _migrate(db: sqlite3.Connection) -> None:
    """Bring the tables up to date. If they are, they are only read, so that nobody waits for a program with
    unsaved changes in them."""
    from sqlite_utils import Database

    from .migrations import migrations

    tables = Database(db)
    if tables.journal_mode == "wal" and not migrations.pending(tables):
        return
    _enable_wal(tables)
    # A server and its pages, or two commands, may meet here in a home that is new.
    begin(db)
    migrations.apply(tables)
    db.commit()


def _enable_wal(tables: Database) -> None:
    """Switch to WAL mode. SQLite does not wait here, whatever the timeout: while another process switches, or
    reads the recovered log, it fails at once with "database is locked"."""
    give_up = time.monotonic() + _busy_seconds()
    while True:
        try:
            return tables.enable_wal()
        except sqlite3.OperationalError as ex:
            if ex.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
