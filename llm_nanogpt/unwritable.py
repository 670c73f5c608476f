"""Why nothing can be written in a home, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

READ_ONLY = getattr(os, "ST_RDONLY", 1)  # POSIX, a flag of statvfs


def cannot_write(home: Path, ex: Exception | None = None) -> str:
    """The message for a home in which nothing can be written; `ex` is the error, if there was one."""
    if getattr(ex, "errno", None) == errno.ENAMETOOLONG:
        return f"Cannot write in {home} (the path is too long): set NANOGPT_HOME to a shorter one"
    place = existing_part(home)
    what = "it" if place == home else place
    if is_on_read_only_disk(place):
        ways = "mount it for writing, or set NANOGPT_HOME to a folder on another disk"
        return f"Cannot write in {home} (its disk is read-only): {ways}"
    if place.is_symlink() and not place.exists():
        ways = "put that folder back, or set NANOGPT_HOME to another one"
        return f"Cannot write in {home} ({what} is a link to a folder that is not there): {ways}"
    if not place.is_dir():
        return f"Cannot write in {home} ({what} is a file): set NANOGPT_HOME to a folder for your models"
    why = getattr(ex, "strerror", None) or ex or "you are not allowed to"
    return f"Cannot write in {home} ({why}): set NANOGPT_HOME to a folder that you own"


def existing_part(path: Path) -> Path:
    """The path, or the nearest folder above it that is there; a link that leads nowhere is there, too. Raises
    OSError for a path that no system has."""
    parts = (path, *path.absolute().parents)
    return next(part for part in parts if part.is_symlink() or part.exists())


def is_on_read_only_disk(path: Path) -> bool:
    """Whether the disk of a path that is there is mounted for reading only, as far as the system tells."""
    try:
        return bool(os.statvfs(path).f_flag & READ_ONLY)
    except (AttributeError, OSError):  # Windows has no such call
        return False
