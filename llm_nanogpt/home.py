"""Where models are stored, and which names they may have."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from .changes import recover
from .errors import NanogptError
from .model_files import holds_other_files
from .unwritable import cannot_write

MAX_NAME, MAX_NAME_BYTES = 100, 200  # file systems take 255 bytes, and we add to a name
DEFAULT_NAME, DEFAULT_NAME_BYTES = 60, 150  # leave room for the table's name or a number


def nanogpt_home() -> Path:
    """The folder that holds all models: `$NANOGPT_HOME`, else `nanogpt` in llm's user folder.

    Raises NanogptError if it is the folder of a user that there is not.
    """
    if home := os.environ.get("NANOGPT_HOME"):
        path = Path(os.path.expanduser(home))
        if path.parts[:1] and path.parts[0].startswith("~"):
            user = path.parts[0].removeprefix("~")
            raise NanogptError(
                f"NANOGPT_HOME is {home}, and there is no user {user!r}: set it to a folder that you own"
            )
        return path
    if user_dir := os.environ.get("LLM_USER_PATH"):
        return Path(user_dir) / "nanogpt"
    import click

    return Path(click.get_app_dir("io.datasette.llm")) / "nanogpt"


def make_home(home: Path) -> None:
    """Make the folder, readable by its owner only. Raises NanogptError where that fails."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as ex:
        raise NanogptError(cannot_write(home, ex)) from ex


def check_readable(home: Path) -> None:
    """Raises NanogptError where `home` is no folder, or somebody else's, who has not let others read it."""
    try:
        os.scandir(home).close()
    except PermissionError as ex:
        raise NanogptError(
            f"Cannot read {home} ({ex.strerror}): ask its owner to let you, or set NANOGPT_HOME to a folder "
            "that you own"
        ) from ex
    except NotADirectoryError as ex:
        raise NanogptError(
            f"There is a file in the place of the folder {home}: set NANOGPT_HOME to a folder for your models"
        ) from ex
    except OSError:  # there is none yet
        return


def cache_folder(home: Path) -> Path:
    """Tokenized corpora and copies of remote tables. Safe to delete: all of it can be made again."""
    return home / ".cache"


def cache_bytes(home: Path) -> int:
    """Bytes that deleting the cache would free. Files that a model shares by hard link do not count, nor what
    other programs have in that folder."""
    parts = (cache_folder(home) / name for name in ("tokens", "remote"))
    stats = [file.stat() for part in parts for file in part.rglob("*") if file.is_file()]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def model_names(home: Path) -> list[str]:
    """Names of the model folders in `home`, including broken ones, sorted; without `unreadable_names` and
    folders that hold other files. Reads no file in them.

    The changes of processes that died are finished first.
    """
    recover(home)
    try:
        with os.scandir(home) as entries:
            folders = [e.name for e in entries if not e.name.startswith(".") and _is_folder(e)]
    except OSError:
        return []
    return sorted(name for name in folders if name.isprintable() and not holds_other_files(home / name))


def unreadable_names(home: Path) -> list[str]:
    """Names of folders in `home` that have characters which cannot be shown, with these escaped."""
    try:
        with os.scandir(home) as entries:
            names = [e.name for e in entries if not e.name.isprintable() and _is_folder(e)]
    except OSError:
        return []
    return sorted(name.encode("ascii", "backslashreplace").decode() for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def valid_name(name: str) -> bool:
    """Whether a model may have this name.

    It becomes a folder in `nanogpt_home()`, beside nanogpt.db, and a word on command lines: letters and
    digits of any script with their marks, and `.-_`, at most MAX_NAME of them, not starting with `.` or `-`.
    It must be in NFC, so that a typed name is the same as the one on the disk.
    """
    fits = len(name) <= MAX_NAME and len(name.encode(errors="replace")) <= MAX_NAME_BYTES
    letters = all(map(_in_name, name)) and not unicodedata.category(name[:1] or " ").startswith("M")
    begins_well = name[:1] not in ("", ".", "-") and not name.startswith("nanogpt.db")
    return fits and letters and begins_well and unicodedata.is_normalized("NFC", name)


def name_after(text: str) -> str:
    """The default name of a model of the database or file called `text`: "nanogpt-blog" for blog.

    Characters that a name cannot have become hyphens; letters of any script stay.
    """
    text = unicodedata.normalize("NFC", text)
    words = "".join(c if _in_name(c) else " " for c in text).split()
    name = f"nanogpt-{'-'.join(words).strip('-.') or 'model'}"[:DEFAULT_NAME]
    while len(name.encode()) > DEFAULT_NAME_BYTES:
        name = name[:-1]
    return name.rstrip("-.")


def _in_name(character: str) -> bool:
    """Whether it is a letter, a mark on a letter, a digit, or one of `.-_`."""
    return character in ".-_" or unicodedata.category(character)[0] in "LMN"


def invalid_name(name: str) -> str:
    """The message for a name that `valid_name` refuses."""
    if len(name) > MAX_NAME or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        limit = f"{MAX_NAME} characters, and {MAX_NAME_BYTES} bytes"
        return f"A name of {len(name):,} characters is too long for a model: use at most {limit}"
    way_out = "use letters, digits and the characters . - _"
    if name and all(map(_in_name, name)):
        if name.startswith("nanogpt.db"):
            way_out = "the record of all runs has that name"
        elif name[0] in ".-":
            way_out = "begin with a letter, a digit or _"
    return f"A model cannot be named {name!r}: {way_out}"
