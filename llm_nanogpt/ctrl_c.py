"""Ctrl+C before a command is at work: while Python imports what it needs, which takes seconds on a cold disk.

An exception in the middle of somebody else's import is a traceback of that code, and in a library of C++ it
can abort the process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

INTERRUPTED = 130  # the exit code of a command that Ctrl+C has ended: 128, and the number of SIGINT


@contextmanager
def ends_on_ctrl_c() -> Iterator[None]:
    """Let Ctrl+C end a command with a line and the exit code that shells expect; click's own is that of an
    error."""
    command_begins()
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


def end_quietly() -> None:
    """From now on, until `command_begins`, let Ctrl+C end the process with a line. A plugin calls this as it
    is imported, before it imports anything heavy, if the command line is for it."""
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def command_begins() -> None:
    """Ctrl+C is a KeyboardInterrupt again, which the command answers."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"\nStopped.\n")
    raise SystemExit(INTERRUPTED)


@contextmanager
def waits_for_import(library: str) -> Iterator[None]:
    """Let Ctrl+C wait until a library in C++ is imported; a second one does not wait.

    Where it is no exception, as in other threads than the main one, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    frames: list[FrameType | None] = []

    def note(number: int, frame: FrameType | None) -> None:
        frames.append(frame)
        if frames[1:]:
            before(number, frame)
        else:
            os.write(2, f"\nStopping as soon as {library} is loaded.\n".encode())

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if frames:
        before(signal.SIGINT, frames[0])
