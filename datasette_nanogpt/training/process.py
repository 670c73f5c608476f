"""Settings of a process that trains, made as it begins, and how much memory it has used."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from contextlib import suppress

_set_up: set[int] = set()  # ids of processes that called `set_up_process`: they train and do nothing else
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def set_up_process() -> None:
    """Make training fast in this process, and Ctrl+C quiet. Call it first, before torch is imported.

    The commands and the child process of Datasette do so. `train_table` does not, because it may run in a
    process that does other things and has loaded torch already.
    """
    # Idle threads must go to sleep soon. By default they spin, and while any other program uses the same
    # cores, a step then takes 8 times as long (benchmarks/LOG.md). OpenMP reads this once, when torch loads
    # it.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    _set_up.add(os.getpid())
    # Datasette turns these on, and Ctrl+C in a long query would print one: it comes in a callback.
    sqlite3.enable_callback_tracebacks(False)
    # A model can repeat its rows, and its tokens lie beside it: only the owner may read these files.
    os.umask(0o077)


def training_begins() -> None:
    """In a process of ours, give back the memory of the text, and from now on keep what steps free."""
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
