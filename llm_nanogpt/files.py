"""Reading files that somebody else may have made: only regular files, of a size that makes sense.

A name in a folder may be a pipe, a device or a link to one, and reading it would never end. A small file of
JSON may be nested more deeply than Python can parse.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from .errors import NanogptError

JSON_BYTES = 8_000_000  # the largest nanogpt.json, config.json and the like; ours have a few kilobytes
WORDS_FILE = "words.txt"  # the words of a model's table
WORDS_BYTES = 32_000_000  # the largest that is read: 200,000 words of 64 letters, two bytes a letter
# The most lists and objects in JSON: if they are empty, they take 20 times the size of the file in memory.
MAX_BRACKETS = 3_000_000


def open_file(file: Path) -> BinaryIO:
    """Open a regular file for reading. Raises NanogptError that says why not, without the folder's name."""
    try:
        fd = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise NanogptError(f"{file.name} is missing") from None
    except (OSError, ValueError) as ex:
        raise NanogptError(f"{file.name} cannot be read, {getattr(ex, 'strerror', None) or ex}") from ex
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NanogptError(f"{file.name} is not a file")
    return open(fd, "rb")


def read_file(file: Path, limit: int = JSON_BYTES) -> bytes:
    """All bytes of a file. Raises NanogptError for more than `limit` of them, and what `open_file` does."""
    with open_file(file) as fp:
        _check_size(file, os.fstat(fp.fileno()).st_size, limit)
        try:
            return fp.read(limit)
        except OSError as ex:
            raise NanogptError(f"{file.name} cannot be read, {ex.strerror}") from ex


def _check_size(file: Path, size: int, limit: int) -> None:
    """Raise NanogptError for a file of more bytes than make sense."""
    if size > limit:
        raise NanogptError(f"{file.name} has {size:,} bytes, and at most {limit:,} make sense")


def read_json(file: Path, limit: int = JSON_BYTES) -> Any:
    """The value in a JSON file. Raises NanogptError where it cannot be read."""
    return parse_json(read_file(file, limit), file.name)


def parse_json(data: bytes, name: str) -> Any:
    """The value of a JSON text. Raises NanogptError if it is not JSON, nested too deeply, or too full."""
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise NanogptError(f"{name} has too many lists and objects")
    if not data.strip():
        raise NanogptError(f"{name} is empty")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise NanogptError(f"{name} is nested too deeply") from None
    except json.JSONDecodeError as ex:
        raise NanogptError(f"{name} is damaged, see line {ex.lineno:,}") from ex
    except ValueError as ex:  # bytes that are not UTF-8, or a number of thousands of digits
        raise NanogptError(f"{name} is damaged") from ex


def check_whole_json(file: Path) -> None:
    """Raise NanogptError for a file that is no whole JSON object, as far as its ends tell, which is fast."""
    with open_file(file) as fp:
        size = os.fstat(fp.fileno()).st_size
        try:
            start = fp.read(80).lstrip()
            fp.seek(max(0, size - 80))
            end = fp.read(80).rstrip()
        except OSError as ex:
            raise NanogptError(f"{file.name} cannot be read, {ex.strerror}") from ex
    if not (start.startswith(b"{") and end.endswith(b"}")):
        raise NanogptError(f"{file.name} is {'damaged' if size else 'empty'}")


def check_words(file: Path) -> None:
    """Raise NanogptError for a words.txt that is empty, or cut off as far as its end tells, which is fast."""
    with open_file(file) as fp:
        size = os.fstat(fp.fileno()).st_size
        _check_size(file, size, WORDS_BYTES)
        try:
            fp.seek(max(0, size - 1))
            if fp.read(1) != b"\n":
                raise NanogptError(f"{file.name} is {'cut off' if size else 'empty'}")
        except OSError as ex:
            raise NanogptError(f"{file.name} cannot be read, {ex.strerror}") from ex


def is_file(file: Path) -> bool:
    """Whether it is a regular file, or a link to one."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except (OSError, ValueError):
        return False
