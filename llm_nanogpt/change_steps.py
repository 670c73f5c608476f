"""The steps of a change to the models, and the note that is written before the first of them (changes.py says
what it is for). Every step can be repeated without harm."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .atomic import sync_folder, write_bytes
from .errors import NanogptError
from .exchange import exchange
from .files import read_json
from .locks import hidden
from .renaming import change_in_llm, rename_inside

PENDING = ".changes"  # the folder of changes that the registry has yet to learn of
KINDS = ("publish", "rename", "remove", "restore", "export")


@dataclass(frozen=True)
class Change:
    """A change to the model `name`, as its note holds it."""

    kind: str  # one of KINDS
    name: str
    new_name: str = ""  # rename: what it will be called
    keep: bool = False  # publish: whether the replaced model is kept for `restore`
    inode: int = 0  # publish, restore: inode of the folder that will be at `name`
    aliases: str = ""  # rename, remove: llm's file of aliases
    part: str = ""  # export: the file that is being written
    registry: bool = False  # whether nanogpt.db must learn of it

    @property
    def names(self) -> list[str]:
        """The models whose locks the change needs, in the order in which all processes take them."""
        return sorted({self.name, self.new_name} - {""})


EMPTY = Change("", "")


def replaced(folder: Path) -> Path:
    """The folder of the model that the one in `folder` replaced."""
    return folder.parent / ".replaced" / folder.name


def carry_out(home: Path, change: Change) -> None:
    """Write the note of a change, and make the change.

    Raises OSError. If the first step failed, nothing has changed; otherwise the next `recover` does the rest.
    """
    write_note(home, change)
    attempt(home, change)


def write_note(home: Path, change: Change) -> None:
    """Write the note, in ASCII, because a file's name need not be UTF-8."""
    write_bytes(hidden(home / change.name, "change"), json.dumps(asdict(change), indent=2).encode())


def attempt(home: Path, change: Change) -> None:
    try:
        finish(home, change)
    except OSError:
        if not _begun(home, change):
            hidden(home / change.name, "change").unlink(missing_ok=True)
        raise


def notes_in(home: Path) -> Iterator[Change]:
    """The unfinished changes in a home."""
    for note in home.glob(".*.change"):
        if change := read_note(home / note.name[1:].removesuffix(".change")):
            yield change


def read_note(folder: Path) -> Change | None:
    """The change in a model's note; None if there is no valid one."""
    try:
        change = Change(**read_json(hidden(folder, "change")))
    except (NanogptError, TypeError):
        return None
    if any(type(value) is not type(getattr(EMPTY, key)) for key, value in asdict(change).items()):
        return None
    plain = all(re.fullmatch(r"[\w+][\w.+-]*", name) for name in change.names)  # a name, not a path
    return change if plain and change.kind in KINDS and change.name == folder.name else None


def _begun(home: Path, change: Change) -> bool:
    """Whether at least one step of the change was done."""
    folder = home / change.name
    if change.kind in ("publish", "restore"):
        return hidden(folder, "old").exists() or _is_inode(folder, change.inode)
    return not folder.exists()


def finish(home: Path, change: Change) -> None:
    """Do the steps of a change that are not done yet; then pass the note on to the registry, or delete it."""
    folder, note = home / change.name, hidden(home / change.name, "change")
    match change.kind:
        case "publish":
            new = hidden(folder, "new")
            _swap(new, folder, change.inode)
            if change.keep:
                _replace(new, replaced(folder))
            else:
                delete(new)
        case "restore":
            _swap(replaced(folder), folder, change.inode)
        case "rename":
            new = home / change.new_name
            if folder.exists():
                os.rename(folder, new)  # fails if `new` exists: then nothing has changed
            _replace(replaced(folder), replaced(new))
            for renamed in (new, replaced(new)):
                rename_inside(renamed, change.name)
            change_in_llm(home, Path(change.aliases), change.name, change.new_name)
        case "remove":
            gone = hidden(folder, "removed")
            if folder.exists():
                delete(gone)
                os.rename(folder, gone)  # in one step: there is never half a model
            delete(gone)
            delete(replaced(folder))
            change_in_llm(home, Path(change.aliases), change.name, None)
        case "export":
            part = Path(change.part)
            if part.name.startswith(".") and part.name.endswith(".part"):
                part.unlink(missing_ok=True)
    with suppress(OSError):
        replaced(folder).parent.rmdir()  # if no replaced model is left
    sync_folder(home)
    if change.registry:
        os.rename(note, new_note(home))
    else:
        note.unlink(missing_ok=True)


def new_note(home: Path) -> Path:
    """Where to leave a note for the registry: its name sorts after all that wait, whatever the clock says."""
    (home / PENDING).mkdir(parents=True, exist_ok=True)
    last = max((file.stem for file in (home / PENDING).glob("[0-9]" * 20 + ".json")), default="0")
    return home / PENDING / f"{max(time.time_ns(), int(last) + 1):020}.json"


def _swap(new: Path, final: Path, inode: int) -> None:
    """Swap two folders, in one step if the system can do that.

    `inode` is the inode of the folder that will be at `final`: it tells whether the swap is done already.
    """
    aside = hidden(final, "old")
    if _is_inode(final, inode) or (final.exists() and aside.exists()):  # it is there
        if aside.exists():
            os.rename(aside, new)
        return
    if not new.exists():
        return
    if not final.exists() and not aside.exists():
        os.rename(new, final)
    elif aside.exists() or not exchange(new, final):
        if not aside.exists():
            os.rename(final, aside)
        os.rename(new, final)
        os.rename(aside, new)
    sync_folder(final.parent)


def _is_inode(folder: Path, inode: int) -> bool:
    return folder.exists() and folder.stat().st_ino == inode


def _replace(source: Path, target: Path) -> None:
    """Move a folder to `target`, deleting what is there."""
    if source.exists():
        target.parent.mkdir(exist_ok=True)
        delete(target)
        os.rename(source, target)


def delete(folder: Path) -> None:
    """Delete a folder, if it is there."""
    with suppress(FileNotFoundError):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        else:
            shutil.rmtree(folder)
