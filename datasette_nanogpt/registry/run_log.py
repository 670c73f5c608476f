"""The log of a run, `run_log_file`: what the logger "datasette_nanogpt" says while the run lasts.

A server's child writes it from its first line on, and what the child prints to stderr goes to the same file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("datasette_nanogpt")
FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def logging_to_file(file: Path) -> Iterator[None]:
    """Add what this package logs to the end of a file, too. Raises OSError if that cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8")
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
