"""Files that are replaced in one step: a reader sees the old bytes or the new ones, never half of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def part_of(file: Path) -> Path:
    """The temporary file that holds the bytes of `file` until all of them are written."""
    return file.with_name(f".{file.name}.part")


def write_bytes(file: Path, data: bytes) -> None:
    """Replace a file by one rename, after its bytes are on the disk."""
    part = part_of(file)
    try:
        with open(part, "wb") as fp:
            fp.write(data)
            fp.flush()
            os.fsync(fp.fileno())
        os.replace(part, file)
    except OSError:  # on a full disk, for example, a partial file would only be in the way
        part.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def write_json(file: Path, value: Any) -> None:
    """Replace a file by `value` as indented JSON."""
    write_bytes(file, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def sync_folder(path: Path) -> None:
    """Make a rename last through a power cut, where the system lets a folder be synced."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
