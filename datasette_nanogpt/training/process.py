"""What a process that trains sets for itself as it begins, and what it has used of the machine."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from contextlib import suppress

_set_up: set[int] = set()  # processes that were set up here: they train and do nothing else
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def set_up_process() -> None:
    """Make training fast in this process, and Ctrl+C quiet. Call it first, before torch is imported.

    The commands and the child process of Datasette do so. `train_table` does not: whose process that is, and
    whether torch is loaded there already, is for its caller to know.
    """
    # Idle threads must soon sleep. By default they spin, and with any other program at work on the same cores
    # a step then takes 8 times as long (benchmarks/LOG.md). Read once, when torch loads OpenMP.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    _set_up.add(os.getpid())
    # Datasette turns these on, and Ctrl+C in a long query would print one: it comes in a callback.
    sqlite3.enable_callback_tracebacks(False)
    # A model can repeat its rows, and what it was made from lies beside it: all of that is its owner's alone.
    os.umask(0o077)


def training_begins() -> None:
    """Give back what the text took, and keep from now on what steps free, where the process is ours."""
    if os.getpid() in _set_up:
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Let glibc keep the memory of tensors that are freed. Otherwise it goes back to the system and is
    fetched again page by page, which took a tenth of each step. Other C libraries are left as they are."""
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        if not mallopt(M_MMAP_THRESHOLD, 2**30):
            mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest value that an older glibc takes
        mallopt(M_TRIM_THRESHOLD, 2**30)


def peak_memory() -> int | None:
    """The most memory that this process has held at once, in bytes. None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # all but macOS count in KiB
