"""Where models are kept, and which names they may have."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .changes import recover


def nanogpt_home() -> Path:
    """The folder that holds all models: `$NANOGPT_HOME`, else `nanogpt` in llm's user folder."""
    if home := os.environ.get("NANOGPT_HOME"):
        return Path(home).expanduser()
    if user_dir := os.environ.get("LLM_USER_PATH"):
        return Path(user_dir) / "nanogpt"
    import click

    return Path(click.get_app_dir("io.datasette.llm")) / "nanogpt"


def cache_folder(home: Path) -> Path:
    """Tokenized corpora and copies of remote tables. Safe to delete: all of it can be made again."""
    return home / ".cache"


def cache_bytes(home: Path) -> int:
    """Bytes that deleting the cache would free. Files that a model shares by hard link do not count."""
    stats = [file.stat() for file in cache_folder(home).rglob("*") if file.is_file()]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def model_names(home: Path) -> list[str]:
    """Names of the model folders in `home`, broken ones too, sorted. Looks at no file inside them.

    What a process that died was about to change is finished first.
    """
    recover(home)
    try:
        with os.scandir(home) as entries:
            return sorted(e.name for e in entries if not e.name.startswith(".") and _is_folder(e))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def valid_name(name: str) -> bool:
    """Whether a model may have this name.

    It becomes a folder in `nanogpt_home()`, beside nanogpt.db, and a word on command lines: letters, digits
    and `.-_`, at most 100 of them, not starting with `.` or `-`.
    """
    fits = len(name.encode(errors="replace")) <= 200  # bytes: file systems take 255, and we add to it
    return bool(re.fullmatch(r"\w[\w.-]{0,99}", name)) and fits and not name.startswith("nanogpt.db")


def invalid_name(name: str) -> str:
    """What to say of a name that `valid_name` refuses."""
    return f"A model cannot be named {name!r}: use letters, digits and the characters . - _"
