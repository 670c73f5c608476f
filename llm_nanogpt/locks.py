"""The lock of a model, held while a process trains, imports, renames, removes or restores it. Reading needs
none.

The operating system drops a lock when its process dies, however it dies. The lock's file exists while a
process works on the model. A file that is not locked means that a process died at work; changes.py then
finishes what it left.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("llm_nanogpt")
WAIT_SECONDS = 2.0  # to wait for a lock: listing models holds it for an instant, a training for minutes
# Errors of a file system that has no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

_warned: set[Path] = set()  # homes without locks about which a warning was logged


def hidden(folder: Path, suffix: str) -> Path:
    """A path beside a model's folder that no list of models shows: .NAME.lock, .NAME.new and so on."""
    return folder.with_name(f".{folder.name}.{suffix}")


class Lock:
    """Held until `release`. `real` is False where the file system has no locks."""

    def __init__(self, file: Path, fd: int, real: bool):
        self.file, self.fd, self.real = file, fd, real

    def release(self) -> None:
        # Unlinked while it is locked: a process that has the file open already will see that it is gone. If
        # the disk refuses that, the next process unlinks it.
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
        os.close(self.fd)


def try_lock(folder: Path) -> Lock | None:
    """The lock of a model; None if another process, or another part of this one, has it.

    On a file system without locks it is always given, and a warning is logged once. Raises OSError where the
    lock's file cannot be made.
    """
    file = hidden(folder, "lock")
    while True:
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not _flock(fd):
                os.close(fd)
                return None
        except OSError as ex:
            if ex.errno not in NO_LOCKS:
                os.close(fd)
                raise
            _warn(folder.parent, ex)
            return Lock(file, fd, real=False)
        if _is_at(file, fd):
            return Lock(file, fd, real=True)
        os.close(fd)  # it was released, and its file unlinked, after we opened it: this lock guards nothing


def lock(folder: Path) -> Lock | None:
    """The same, but waits for the lock, up to WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (taken := try_lock(folder)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return taken


def is_training(folder: Path) -> bool:
    """Whether a process holds the lock of this model."""
    try:
        fd = os.open(hidden(folder, "lock"), os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError:  # nobody works on it
        return False
    try:
        return not _flock(fd, shared=True)
    except OSError:
        return False
    finally:
        os.close(fd)


def _flock(fd: int, shared: bool = False) -> bool:
    """Lock a file. Returns False if another process has it locked."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no flock")
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: Path, fd: int) -> bool:
    """Whether `file` is still the file that is open as `fd`."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(fd))
    except FileNotFoundError:
        return False


def _warn(home: Path, ex: OSError) -> None:
    if home not in _warned:
        _warned.add(home)
        log.warning(
            "%s is on a file system without locks (%s): do not work on one model from two places at once",
            home,
            ex.strerror,
        )
