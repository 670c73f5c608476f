"""Says what a command waits for, where another program has the registry locked for longer than a moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from threading import Timer

import click

# What SQLite says of a file in which another program has changes that it has not saved.
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
TOLD_SECONDS = 1.0  # of waiting, from which on people wonder what happens
# Of the block that may wait: what tells of it, and its connections.
_BLOCK: ContextVar[tuple[Timer, list[sqlite3.Connection]] | None] = ContextVar("block", default=None)


def is_locked(ex: Exception) -> bool:
    """Whether an error is SQLite's for a file that another program has locked."""
    return (getattr(ex, "sqlite_errorcode", 0) & 0xFF) in LOCKED


@contextmanager
def telling(file: Path, seconds: float) -> Iterator[None]:
    """In this block, which waits for other writers of `file` for at most `seconds`, write a line to the error
    output once it has waited for TOLD_SECONDS. A server has less patience than that."""
    if seconds <= TOLD_SECONDS:
        yield
        return
    opened: list[sqlite3.Connection] = []
    timer = Timer(TOLD_SECONDS, _tell, [file, seconds, opened])
    timer.daemon = True
    _BLOCK.set((timer, opened))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _BLOCK.set(None)


def may_wait(db: sqlite3.Connection) -> None:
    """A connection was opened in the block of `telling`, if this is one."""
    if block := _BLOCK.get():
        block[1].append(db)


def begin(db: sqlite3.Connection) -> None:
    """Begin a transaction that writes: from then on the block of `telling`, if this is one, waits no more."""
    db.execute("begin immediate")
    if block := _BLOCK.get():
        block[0].cancel()


def _tell(file: Path, seconds: float, opened: list[sqlite3.Connection]) -> None:
    if not any(map(_writes, opened)) and _waits(file):  # and neither this disk nor this machine is slow
        with suppress(OSError, ValueError):  # nobody reads it any more
            click.echo(
                f"Waiting up to {seconds:.0f} seconds for {file}: another program writes to it, or has "
                "changes in it that it has not saved. Save them there, or close it.",
                err=True,
            )


def _writes(db: sqlite3.Connection) -> bool:
    """Whether a connection has changed something that is not committed: then it has the lock itself."""
    with suppress(sqlite3.ProgrammingError):  # it is closed
        return db.in_transaction and db.total_changes > 0
    return False


def _waits(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as db:
            db.execute("begin immediate")
            db.rollback()
    except sqlite3.Error as ex:
        return is_locked(ex)
    return False
