"""The log of a run, `run_log_file`: what the logger "datasette_nanogpt" says while the run lasts.

A server's child writes it from its first line on, and what the child prints to stderr goes to the same file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger("datasette_nanogpt")
LOG_LINES, LOG_BYTES = 40, 10_000  # of a log, what a page shows
FORMAT = "%(asctime)s %(levelname)s %(message)s"


def open_run_log(file: Path) -> BinaryIO:
    """A log to write at the end of, for its owner alone to read. Raises OSError if it cannot be written."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(file, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))


def log_end(file: Path) -> str:
    """The last LOG_LINES lines of a log, as far as its last LOG_BYTES hold them. "" if it cannot be read."""
    try:
        with open(file, "rb") as log_file:
            size = log_file.seek(0, os.SEEK_END)
            log_file.seek(max(0, size - LOG_BYTES))
            text = log_file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = text.splitlines()[1 if size > LOG_BYTES else 0 :]
    return "\n".join(lines[-LOG_LINES:])


@contextmanager
def logging_to_file(file: Path) -> Iterator[None]:
    """Add what this package logs to the end of a file, too, as long as that can be written."""
    try:
        open_run_log(file).close()
        handler = logging.FileHandler(file, encoding="utf-8")
    except OSError as ex:
        log.warning("%s cannot be written (%s): this run has no log", file, ex.strerror)
        nowhere = logging.NullHandler()  # without any, Python prints errors with their tracebacks
        log.addHandler(nowhere)
        try:
            yield
        finally:
            log.removeHandler(nowhere)
        return
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # nor does it end the run later
    handler.setFormatter(logging.Formatter(FORMAT))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
