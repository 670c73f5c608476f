"""Says what a command waits for, where another program has the registry locked for longer than a moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Timer

import click

# What SQLite says of a file in which another program has changes that it has not saved.
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
TOLD_SECONDS = 1.0  # of waiting, from which on people wonder what happens


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
    timer = Timer(TOLD_SECONDS, _tell, [file, seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(file: Path, seconds: float) -> None:
    if _waits(file):  # and not a slow disk
        with suppress(OSError, ValueError):  # nobody reads it any more
            click.echo(
                f"Waiting up to {seconds:.0f} seconds for {file}: another program writes to it, or has "
                "changes in it that it has not saved. Save them there, or close it.",
                err=True,
            )


def _waits(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as db:
            db.execute("begin immediate")
            db.rollback()
    except sqlite3.Error as ex:
        return is_locked(ex)
    return False
