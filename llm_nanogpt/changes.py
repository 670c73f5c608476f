"""The only way to change which models there are: publish, rename, remove, restore, export.

A change takes several steps, and the process may die before any of them. So the change is first written to a
note, `.NAME.change` beside the model; then it is made; then the note is deleted. Every step can be repeated
without harm. `recover`, which runs before models are listed, read, trained or served, takes the lock that a
dead process lost and finishes its change. A folder `.NAME.new` without a note is half of a model, and is
deleted.

    .NAME.lock      held by the process that works on it    .NAME.change   the change under way
    .NAME.new       a model that is being made              .NAME.old      aside, between two renames
    .NAME.removed   about to be deleted                     .replaced/NAME the model that NAME replaced
    .changes/       changes that nanogpt.db has yet to learn of (registry/pending.py)
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .atomic import part_of, sync_folder, write_bytes
from .errors import NanogptError
from .exchange import exchange
from .files import read_json
from .locks import Lock, hidden, lock, try_lock
from .model_files import holds_other_files, is_left_behind
from .renaming import change_in_llm, rename_inside

LEFT_BEHIND = re.compile(r"\.(.+)\.(?:lock|change|new|old|removed|change\.part)")
PENDING = ".changes"  # the folder of changes that the registry has yet to learn of
KINDS = ("publish", "rename", "remove", "restore", "export")


@dataclass(frozen=True)
class Change:
    """A change to the model `name`, as its note holds it."""

    kind: str  # one of KINDS
    name: str
    new_name: str = ""  # rename
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


# ---- Changes


def publish(staging: Path, final: Path, *, keep: bool = False) -> None:
    """Put a finished folder in its place. The model that is there is kept for `restore`, or deleted.

    The caller holds the lock of `final`, and `staging` is its `.NAME.new`.
    """
    if final.exists():
        _carry_out(final.parent, Change("publish", final.name, keep=keep, inode=staging.stat().st_ino))
    else:  # a single step
        os.rename(staging, final)
        sync_folder(final.parent)


def finish_publishing(final: Path) -> bool:
    """Finish a `publish` that an error of the disk interrupted; False if there is none. The caller holds the
    lock. Raises OSError if the disk fails again."""
    change = _read(final)
    if change is None or change.kind != "publish":
        return False
    _finish(final.parent, change)
    return True


def rename(folder: Path, new_name: str, aliases: Path, registry: bool) -> None:
    """Give a model another name, in its folder, its card and what llm keeps. The caller holds both locks."""
    change = Change("rename", folder.name, new_name, aliases=str(aliases.absolute()), registry=registry)
    _carry_out(folder.parent, change)


def remove(folder: Path, aliases: Path, registry: bool) -> None:
    """Delete a model, the one that it replaced, and its aliases. The caller holds the lock."""
    change = Change("remove", folder.name, aliases=str(aliases.absolute()), registry=registry)
    try:
        _write_down(folder.parent, change)
    except OSError as ex:
        if ex.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A full disk has no room for the note: the model's files make some. Who finds them deletes the rest.
        os.rename(folder, gone := hidden(folder, "removed"))
        _delete(gone)
        _write_down(folder.parent, change)
    _attempt(folder.parent, change)


def restore(folder: Path) -> None:
    """Swap a model with the one that it replaced. Raises NanogptError if there is none."""
    kept = replaced(folder)
    with hold(folder):
        if not kept.is_dir():
            raise NanogptError(f"There is no model that {folder.name} replaced: nothing to restore")
        _carry_out(folder.parent, Change("restore", folder.name, inode=kept.stat().st_ino))


@contextmanager
def part_file(home: Path, out: Path) -> Iterator[Path]:
    """A temporary file beside `out`, which takes its place at the end and never stays behind."""
    part = part_of(out.absolute())
    name = "+export-" + hashlib.sha256(os.fsencode(part)).hexdigest()[:16]  # no model can have this name
    writable = home.is_dir() and os.access(home, os.W_OK)
    with hold(home / name, busy=f"{out} is being written") if writable else nullcontext():
        if writable:
            _write_down(home, Change("export", name, part=str(part)))
        try:
            yield part
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)


def replaced(folder: Path) -> Path:
    """The folder of the model that the one in `folder` replaced."""
    return folder.parent / ".replaced" / folder.name


def replaced_names(home: Path) -> list[str]:
    """Names of the models for which a replaced model is kept."""
    with suppress(OSError):
        return sorted(os.listdir(home / ".replaced"))
    return []


def refused(folder: Path, ex: OSError) -> str:
    """The message for a change that the disk refused."""
    rest = "it is unchanged" if folder.exists() else "the next `llm nanogpt` command finishes the change"
    if ex.errno in (errno.ENOSPC, errno.EDQUOT):
        rest += ". To make room, delete the cache, which `llm nanogpt models` names"
    return f"Cannot change {folder} ({ex.strerror or ex}): {rest}"


# ---- Locks, and what processes that died left behind


@contextmanager
def hold(*folders: Path, busy: str = "") -> Iterator[None]:
    """Keep other processes from changing these models. Unfinished changes are finished first, and half-made
    folders are deleted at the end.

    Raises NanogptError if another process holds one of them; its message begins with `busy`.
    """
    home, names = folders[0].parent, sorted(folder.name for folder in folders)
    locks: list[Lock] = []
    try:
        recover(home)
        for name in names:
            locks.append(_wait_for(home / name, busy or f"{name} is being trained"))
        # Someone may have died since `recover` looked.
        for other in (change.name for change in _written_down(home) if change.new_name in names):
            if other not in names:
                locks.append(_wait_for(home / other, f"{other} is being trained"))
                _tidy(home / other)
        for name in names:
            _tidy(home / name)
    except OSError as ex:
        _release(locks)
        reason = f"Cannot write in {home} ({ex.strerror or ex})"
        raise NanogptError(f"{reason}: set NANOGPT_HOME to a folder that you own") from ex
    except BaseException:
        _release(locks)
        raise
    try:
        yield
    finally:
        with suppress(OSError):
            for name in names:
                _tidy(home / name)
        _release(locks)


def _wait_for(folder: Path, busy: str) -> Lock:
    if taken := lock(folder):
        return taken
    raise NanogptError(f"{busy} by another process: wait for it, stop it, or choose another name")


def _release(locks: list[Lock]) -> None:
    for taken in locks:
        taken.release()


def recover(home: Path) -> None:
    """Finish the changes of processes that died, and delete the folders that they left half made.

    What a living process works on is left alone, and so is a home that we may not write in.
    """
    try:
        with os.scandir(home) as entries:
            matches = ((LEFT_BEHIND.fullmatch(entry.name), Path(entry.path)) for entry in entries)
            left = [match[1] for match, path in matches if match and is_left_behind(path)]
    except OSError:
        return
    # `..NAME.change.part` is the beginning of a note.
    for name in sorted({name.removeprefix(".") for name in left}):
        with suppress(OSError):
            _recover(home / name)


def _recover(folder: Path) -> None:
    change = _read(folder)
    names = change.names if change else [folder.name]
    locks: list[Lock] = []
    try:
        for name in names:
            taken = try_lock(folder.with_name(name))
            if taken is None:
                return
            locks.append(taken)
        # Without real locks we cannot know whether a process is at work. And the note may have changed before
        # we got the locks.
        if all(taken.real for taken in locks) and _read(folder) == change:
            for name in names:
                _tidy(folder.with_name(name))
    finally:
        _release(locks)


def _tidy(folder: Path) -> None:
    """Finish the change of a model, and delete half-made folders. The caller holds the lock."""
    if change := _read(folder):
        _attempt(folder.parent, change)
    aside = hidden(folder, "old")
    if is_left_behind(aside) and not folder.exists():  # left by a version that wrote no notes
        os.rename(aside, folder)
    for gone in filter(is_left_behind, (hidden(folder, suffix) for suffix in ("new", "old", "removed"))):
        _delete(gone)
    for file in (hidden(folder, "change"), part_of(hidden(folder, "change"))):  # notes that cannot be read
        file.unlink(missing_ok=True)
    for parent in () if holds_other_files(folder) else (folder, folder / "training"):
        for part in parent.glob(".*.part"):
            part.unlink(missing_ok=True)


# ---- Making changes


def _carry_out(home: Path, change: Change) -> None:
    """Write the note of a change, and make the change.

    Raises OSError. If the first step failed, nothing has changed; otherwise the next `recover` does the rest.
    """
    _write_down(home, change)
    _attempt(home, change)


def _write_down(home: Path, change: Change) -> None:
    """Write the note, in ASCII, because a file's name need not be UTF-8."""
    write_bytes(hidden(home / change.name, "change"), json.dumps(asdict(change), indent=2).encode())


def _attempt(home: Path, change: Change) -> None:
    try:
        _finish(home, change)
    except OSError:
        if not _begun(home, change):
            hidden(home / change.name, "change").unlink(missing_ok=True)
        raise


def _written_down(home: Path) -> Iterator[Change]:
    """The unfinished changes in a home."""
    for note in home.glob(".*.change"):
        if change := _read(home / note.name[1:].removesuffix(".change")):
            yield change


def _read(folder: Path) -> Change | None:
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


def _finish(home: Path, change: Change) -> None:
    """Do the steps of a change that are not done yet; then pass the note on to the registry, or delete it."""
    folder, note = home / change.name, hidden(home / change.name, "change")
    match change.kind:
        case "publish":
            new = hidden(folder, "new")
            _swap(new, folder, change.inode)
            if change.keep:
                _replace(new, replaced(folder))
            else:
                _delete(new)
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
                _delete(gone)
                os.rename(folder, gone)  # in one step: there is never half a model
            _delete(gone)
            _delete(replaced(folder))
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
        _delete(target)
        os.rename(source, target)


def _delete(folder: Path) -> None:
    """Delete a folder, if it is there."""
    with suppress(FileNotFoundError):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        else:
            shutil.rmtree(folder)
