"""The lock of a model: who trains, renames or removes it holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import NanogptError


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep every other process from training, renaming or removing a model. Reading it needs no lock.

    The operating system drops the lock when the process dies, however it dies. Raises NanogptError if
    another process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(_lock_file(folder))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise NanogptError(
            f"{folder.name} is being trained by another process: wait for it, stop it, or choose another name"
        ) from None
    try:
        yield
    finally:
        _lock_file(folder).unlink(missing_ok=True)
        lock.release()


def is_training(folder: Path) -> bool:
    """Whether a process holds the lock of this model."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(_lock_file(folder), timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
