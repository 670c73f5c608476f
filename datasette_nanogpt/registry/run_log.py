"""The log file of a run, `run_log_file`: what the logger "datasette_nanogpt" logs during the run.

A server's child process writes it from its first line on; the child's stderr goes to the same file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger("datasette_nanogpt")
LOG_LINES, LOG_BYTES = 40, 10_000  # how much of the end of a log a page shows
FORMAT = "%(asctime)s %(levelname)s %(message)s"


def run_log_name(run: int) -> str:
    """The log of a run, relative to the home. Its folder is hidden: every other folder there is a model."""
    return f".logs/run-{run}.log"


def open_run_log(file: Path) -> BinaryIO:
    """Open a log for appending, readable by its owner only. Raises OSError if it cannot be written."""
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
    """Append what this package logs to a file, too, if the file can be written."""
    try:
        open_run_log(file).close()
        handler = logging.FileHandler(file, encoding="utf-8")
    except OSError as ex:
        log.warning("%s cannot be written (%s): this run has no log", file, ex.strerror)
        nowhere = logging.NullHandler()  # without a handler, Python would print errors with tracebacks
        log.addHandler(nowhere)
        try:
            yield
        finally:
            log.removeHandler(nowhere)
        return
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a later error is ignored, too
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
