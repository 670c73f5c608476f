"""The only way to change which models there are: publish, rename, remove, restore, export.

A change takes several steps, and the process may die before any of them. So the change is first written to a
note, `.NAME.change` beside the model; then it is made; then the note is deleted (change_steps.py). `recover`,
which runs before models are listed, read, trained or served, takes the lock that a dead process lost and
finishes its change. A folder `.NAME.new` without a note is half of a model, and is deleted.

    .NAME.lock      held by the process that works on it    .NAME.change   the change under way
    .NAME.new       a model that is being made              .NAME.old      aside, between two renames
    .NAME.removed   about to be deleted                     .replaced/NAME the model that NAME replaced
    .changes/       changes that nanogpt.db has yet to learn of (registry/pending.py)
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from .atomic import part_of, sync_folder
from .change_steps import (
    Change,
    attempt,
    carry_out,
    delete,
    finish,
    notes_in,
    read_note,
    replaced,
    write_note,
)
from .errors import NanogptError
from .locks import Lock, hidden, lock, try_lock
from .model_files import holds_other_files, is_left_behind
from .unwritable import cannot_write

LEFT_BEHIND = re.compile(r"\.(.+)\.(?:lock|change|new|old|removed|change\.part)")


def publish(staging: Path, final: Path, *, keep: bool = False) -> None:
    """Put a finished folder in its place. The model that is there is kept for `restore`, or deleted.

    The caller holds the lock of `final`, and `staging` is its `.NAME.new`.
    """
    if final.exists():
        carry_out(final.parent, Change("publish", final.name, keep=keep, inode=staging.stat().st_ino))
    else:  # a single step
        os.rename(staging, final)
        sync_folder(final.parent)


def finish_publishing(final: Path) -> bool:
    """Finish a `publish` that an error of the disk interrupted; False if there is none. The caller holds the
    lock. Raises OSError if the disk fails again."""
    change = read_note(final)
    if change is None or change.kind != "publish":
        return False
    finish(final.parent, change)
    return True


def rename(folder: Path, new_name: str, aliases: Path, registry: bool) -> None:
    """Give a model another name, in its folder, its card and what llm keeps. The caller holds both locks."""
    change = Change("rename", folder.name, new_name, aliases=str(aliases.absolute()), registry=registry)
    carry_out(folder.parent, change)


def remove(folder: Path, aliases: Path, registry: bool) -> None:
    """Delete a model, the one that it replaced, and its aliases. The caller holds the lock."""
    change = Change("remove", folder.name, aliases=str(aliases.absolute()), registry=registry)
    try:
        write_note(folder.parent, change)
    except OSError as ex:
        if ex.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A full disk has no room for the note: the model's files make some. Who finds them deletes the rest.
        os.rename(folder, gone := hidden(folder, "removed"))
        delete(gone)
        write_note(folder.parent, change)
    attempt(folder.parent, change)


def restore(folder: Path) -> None:
    """Swap a model with the one that it replaced. Raises NanogptError if there is none, or if the model is
    being trained."""
    kept = replaced(folder)
    with refusals_told(folder), hold(folder):
        if not kept.is_dir():
            raise NanogptError(f"There is no model that {folder.name} replaced: nothing to restore")
        carry_out(folder.parent, Change("restore", folder.name, inode=kept.stat().st_ino))


@contextmanager
def part_file(home: Path, out: Path) -> Iterator[Path]:
    """A temporary file beside `out`, which takes its place at the end and never stays behind."""
    part = part_of(out.absolute())
    name = "+export-" + hashlib.sha256(os.fsencode(part)).hexdigest()[:16]  # no model can have this name
    writable = home.is_dir() and os.access(home, os.W_OK)
    with hold(home / name, busy=f"{out} is being written") if writable else nullcontext():
        if writable:
            write_note(home, Change("export", name, part=str(part)))
        try:
            yield part
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)


def replaced_names(home: Path) -> list[str]:
    """Names of the models for which a replaced model is kept."""
    with suppress(OSError):
        return sorted(os.listdir(home / ".replaced"))
    return []


@contextmanager
def refusals_told(folder: Path) -> Iterator[None]:
    """Turn an error of the disk, as this model is changed, into one line."""
    try:
        yield
    except OSError as ex:
        raise NanogptError(refused(folder, ex)) from ex


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
        for other in (change.name for change in notes_in(home) if change.new_name in names):
            if other not in names:
                locks.append(_wait_for(home / other, f"{other} is being trained"))
                _tidy(home / other)
        for name in names:
            _tidy(home / name)
    except OSError as ex:
        _release(locks)
        raise NanogptError(cannot_write(home, ex)) from ex
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
    change = read_note(folder)
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
        if all(taken.real for taken in locks) and read_note(folder) == change:
            for name in names:
                _tidy(folder.with_name(name))
    finally:
        _release(locks)


def _tidy(folder: Path) -> None:
    """Finish the change of a model, and delete half-made folders. The caller holds the lock."""
    if change := read_note(folder):
        attempt(folder.parent, change)
    aside = hidden(folder, "old")
    if is_left_behind(aside) and not folder.exists():  # left by a version that wrote no notes
        os.rename(aside, folder)
    for gone in filter(is_left_behind, (hidden(folder, suffix) for suffix in ("new", "old", "removed"))):
        delete(gone)
    for file in (hidden(folder, "change"), part_of(hidden(folder, "change"))):  # notes that cannot be read
        file.unlink(missing_ok=True)
    for parent in () if holds_other_files(folder) else (folder, folder / "training"):
        for part in parent.glob(".*.part"):
            part.unlink(missing_ok=True)
