"""The one way to change which models there are: publish, rename, remove, restore, export.

A change takes several steps, and a process may die before each of them. So it is written down first, in
`.NAME.change` beside the model, then done, then the note is deleted. Every step can be done again without
harm: whoever comes next (`recover`, called by all that list, read, train or serve models) takes the lock that
the dead process lost and does the rest. What is in a folder `.NAME.new` without a change is half of a model,
and is deleted.

    .NAME.lock      held by who works on the model          .NAME.change   the change under way
    .NAME.new       a model that is being made              .NAME.old      aside, between two renames
    .NAME.removed   about to be deleted                     .replaced/NAME the model that NAME replaced
    .changes/       changes that nanogpt.db is still to be told of (registry/pending.py)
"""

from __future__ import annotations

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
from .renaming import change_aliases, rename_inside

LEFT_BEHIND = re.compile(r"\.(.+)\.(?:lock|change|new|old|removed|change\.part)")
PENDING = ".changes"  # the folder of changes that the registry is to be told of
KINDS = ("publish", "rename", "remove", "restore", "export")


@dataclass(frozen=True)
class Change:
    """What is to become of the model `name`."""

    kind: str  # one of KINDS
    name: str
    new_name: str = ""  # rename
    keep: bool = False  # publish: whether `restore` can bring back what is replaced
    inode: int = 0  # publish, restore: of the folder that is to be at `name`
    aliases: str = ""  # rename, remove: llm's file of aliases
    part: str = ""  # export: the file that is being written
    registry: bool = False  # whether nanogpt.db is to be told

    @property
    def names(self) -> list[str]:
        """The models whose locks it needs, in the order in which everyone takes them."""
        return sorted({self.name, self.new_name} - {""})


EMPTY = Change("", "")


# ---- Changes


def publish(staging: Path, final: Path, *, keep: bool = False) -> None:
    """Put a finished folder in its place. What is there is kept for `restore`, or deleted.

    The caller holds the lock of `final`, and `staging` is its `.NAME.new`.
    """
    if final.exists():
        _carry_out(final.parent, Change("publish", final.name, keep=keep, inode=staging.stat().st_ino))
    else:  # a single step
        os.rename(staging, final)
        sync_folder(final.parent)


def finish_publishing(final: Path) -> bool:
    """Do the rest of a `publish` in which the disk refused something; False if there is none. The caller
    holds the lock. Raises OSError if it does so again."""
    change = _read(final)
    if change is None or change.kind != "publish":
        return False
    _finish(final.parent, change)
    return True


def rename(folder: Path, new_name: str, aliases: Path, registry: bool) -> None:
    """Give a model another name, in its folder, its card and its aliases. The caller holds both locks."""
    change = Change("rename", folder.name, new_name, aliases=str(aliases.absolute()), registry=registry)
    _carry_out(folder.parent, change)


def remove(folder: Path, aliases: Path, registry: bool) -> None:
    """Delete a model, the one that it replaced, and its aliases. The caller holds the lock."""
    change = Change("remove", folder.name, aliases=str(aliases.absolute()), registry=registry)
    _carry_out(folder.parent, change)


def restore(folder: Path) -> None:
    """Bring back the model that the one of this name replaced, which is kept in its stead.

    Raises NanogptError if there is none.
    """
    kept = replaced(folder)
    with hold(folder):
        if not kept.is_dir():
            raise NanogptError(f"There is no model that {folder.name} replaced: nothing to restore")
        _carry_out(folder.parent, Change("restore", folder.name, inode=kept.stat().st_ino))


@contextmanager
def part_file(home: Path, out: Path) -> Iterator[Path]:
    """A file beside `out` that is written first, and takes its place at the end. It never stays behind."""
    part = part_of(out.absolute())
    name = "+export-" + hashlib.sha256(os.fsencode(part)).hexdigest()[:16]  # as no model is called
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
    """Where the model is kept that the one in `folder` replaced."""
    return folder.parent / ".replaced" / folder.name


def replaced_names(home: Path) -> list[str]:
    """Names of the models that have replaced one that is kept."""
    with suppress(OSError):
        return sorted(os.listdir(home / ".replaced"))
    return []


def refused(folder: Path, ex: OSError) -> str:
    """What to say of a change that the disk refused."""
    rest = (
        "it is as it was" if folder.exists() else "what was begun is done by the next `llm nanogpt` command"
    )
    return f"Cannot change {folder} ({ex.strerror or ex}): {rest}"


# ---- Locks, and what the dead have left


@contextmanager
def hold(*folders: Path, busy: str = "") -> Iterator[None]:
    """Keep every other process from changing these models, and finish first what others left undone.

    On leaving, what was half made is deleted. Raises NanogptError if another process has one of them; `busy`
    is what is said of it then.
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
    """Finish what processes that died were about to change in a home, and delete what they left half made.

    What a living process works on is left alone, and so is a home where we may not write.
    """
    try:
        with os.scandir(home) as entries:
            left = [match[1] for entry in entries if (match := LEFT_BEHIND.fullmatch(entry.name))]
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
        # Without locks nobody knows whether someone is at work. The note may have changed before we had them.
        if all(taken.real for taken in locks) and _read(folder) == change:
            for name in names:
                _tidy(folder.with_name(name))
    finally:
        _release(locks)


def _tidy(folder: Path) -> None:
    """Finish the change of a model, and delete what is half made. The caller holds the lock."""
    if change := _read(folder):
        _attempt(folder.parent, change)
    aside = hidden(folder, "old")
    if aside.is_dir() and not folder.exists():  # of a version without notes
        os.rename(aside, folder)
    for suffix in ("new", "old", "removed"):
        _delete(hidden(folder, suffix))
    for file in (hidden(folder, "change"), part_of(hidden(folder, "change"))):  # no change that can be read
        file.unlink(missing_ok=True)
    for parent in (folder, folder / "training"):
        for part in parent.glob(".*.part"):
            part.unlink(missing_ok=True)


# ---- Doing them


def _carry_out(home: Path, change: Change) -> None:
    """Write a change down and do it.

    Raises OSError. If it was the first step that failed, nothing has changed; otherwise whoever comes next
    tries the rest again.
    """
    _write_down(home, change)
    _attempt(home, change)


def _write_down(home: Path, change: Change) -> None:
    """In ASCII, as the name of a file need not be UTF-8."""
    write_bytes(hidden(home / change.name, "change"), json.dumps(asdict(change), indent=2).encode())


def _attempt(home: Path, change: Change) -> None:
    try:
        _finish(home, change)
    except OSError:
        if not _begun(home, change):
            hidden(home / change.name, "change").unlink(missing_ok=True)
        raise


def _written_down(home: Path) -> Iterator[Change]:
    """The changes in a home that are not finished."""
    for note in home.glob(".*.change"):
        if change := _read(home / note.name[1:].removesuffix(".change")):
            yield change


def _read(folder: Path) -> Change | None:
    """The change of a model that was written down."""
    try:
        change = Change(**read_json(hidden(folder, "change")))
    except (NanogptError, TypeError):
        return None
    if any(type(value) is not type(getattr(EMPTY, key)) for key, value in asdict(change).items()):
        return None
    plain = all(re.fullmatch(r"[\w+][\w.+-]*", name) for name in change.names)  # a name, not a path
    return change if plain and change.kind in KINDS and change.name == folder.name else None


def _begun(home: Path, change: Change) -> bool:
    """Whether a step of it was done."""
    folder = home / change.name
    if change.kind in ("publish", "restore"):
        return hidden(folder, "old").exists() or _is_inode(folder, change.inode)
    return not folder.exists()


def _finish(home: Path, change: Change) -> None:
    """Do the steps of a change that are not done yet, and leave it to the registry, or forget it."""
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
                os.rename(folder, new)  # which fails where there is another: then nothing is changed
            _replace(replaced(folder), replaced(new))
            for renamed in (new, replaced(new)):
                rename_inside(renamed, change.name)
            change_aliases(home, Path(change.aliases), change.name, change.new_name)
        case "remove":
            gone = hidden(folder, "removed")
            if folder.exists():
                _delete(gone)
                os.rename(folder, gone)  # in one step: there is never half a model
            _delete(gone)
            _delete(replaced(folder))
            change_aliases(home, Path(change.aliases), change.name, None)
        case "export":
            part = Path(change.part)
            if part.name.startswith(".") and part.name.endswith(".part"):
                part.unlink(missing_ok=True)
    with suppress(OSError):
        replaced(folder).parent.rmdir()  # if nothing is kept any more
    sync_folder(home)
    if change.registry:
        (home / PENDING).mkdir(exist_ok=True)
        os.rename(note, home / PENDING / f"{time.time_ns():020}.json")
    else:
        note.unlink(missing_ok=True)


def _swap(new: Path, final: Path, inode: int) -> None:
    """Have two folders change places, in one step where the system can do that.

    `inode` is that of the folder that is to be at `final`, so that it is known which of them is where.
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
    """Move a folder to a place where another may be, which is deleted."""
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
