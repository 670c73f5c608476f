"""Why a run failed, in words: what happened, what was kept of it, and what to do."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from llm_nanogpt.errors import InvalidOptions, NanogptError, TrainingDiverged
from llm_nanogpt.meta import read_meta

from ..registry.runs import DIVERGED, MEMORY, NAME
from .distributed import ProcessGroup

OUT_OF_MEMORY = "out of memory|can't allocate memory|not enough memory"  # torch's words, on each device
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def explain_in_full(
    ex: BaseException, folder: Path, run_log: Path, group: ProcessGroup, resumed: bool
) -> str | None:
    """The message for an error that ended the run of the model in `folder`; None where the error's own
    message will do. An unexpected one is told with its name, and where its traceback is."""
    is_ours = resumed or _is_of_run(folder, run_log)
    if reason := explain(ex, folder.parent, group):
        if isinstance(ex, OSError | sqlite3.OperationalError):
            return f"{reason}. {advice(ex, folder, is_ours)}"
        if ran_out_of_memory(ex) and is_ours and _state_file(folder).exists():
            return f"{reason}. {kept_model(folder)}: --resume goes on with it"
        return reason
    if isinstance(ex, NanogptError) or not isinstance(ex, Exception):
        return None
    what = " ".join(f"{type(ex).__name__}: {ex}".split())
    return (
        f"This should not have happened: {what}. {kept_model(folder, is_ours)}; the traceback is in {run_log}"
    )


def cause_of(ex: BaseException) -> str | None:
    """What made a run fail, if its page can offer a way out: MEMORY, NAME, DIVERGED, or None."""
    if ran_out_of_memory(ex):
        return MEMORY
    if isinstance(ex, TrainingDiverged):
        return DIVERGED
    named = isinstance(ex, InvalidOptions) and any(problem.field == "name" for problem in ex.problems)
    return NAME if named else None


def ran_out_of_memory(ex: BaseException) -> bool:
    """Whether memory ran out, or would have, as the check before a run found."""
    if isinstance(ex, InvalidOptions):
        return any(problem.code == "memory" for problem in ex.problems)
    of_torch = isinstance(ex, RuntimeError) and re.search(OUT_OF_MEMORY, str(ex)) is not None
    return of_torch or isinstance(ex, MemoryError)


def explain(ex: BaseException, home: Path, group: ProcessGroup) -> str | None:
    """The message for an error that is not one of ours; None where the error's own message will do."""
    if not isinstance(ex, NanogptError) and ran_out_of_memory(ex):
        return (
            "There is not enough memory, as other programs take more of it than when this began: end some of "
            "them, or train with a smaller --batch-size or --size"
        )
    if isinstance(ex, RuntimeError):
        return group.failure(ex)
    if is_disk_full(ex):
        return f"The disk of {home} is full"
    if isinstance(ex, OSError) and ex.strerror:
        place = f" ({os.fsdecode(ex.filename)})" if ex.filename else ""
        who = "system" if ex.errno in (errno.EMFILE, errno.ENFILE) else "disk"
        return f"The {who} reports an error: {ex.strerror}{place}"
    return None


def is_disk_full(ex: BaseException) -> bool:
    full = isinstance(ex, sqlite3.OperationalError) and "full" in str(ex)
    return full or (isinstance(ex, OSError) and ex.errno in DISK_FULL)


def _is_of_run(folder: Path, run_log: Path) -> bool:
    """Whether the model in `folder` is of the run with that log, and not the one that it was to replace."""
    with suppress(NanogptError, OSError):
        log = (read_meta(folder / "nanogpt.json").get("training") or {}).get("log")
        return bool(log == run_log.relative_to(folder.parent).as_posix())
    return False


def _state_file(folder: Path) -> Path:
    return folder / "training" / "state.safetensors"


def kept_model(folder: Path, is_ours: bool = True) -> str:
    """What a run that failed has kept: the model in `folder`, with its score if it has one. One that is not
    `is_ours` was there before the run."""
    if not folder.exists():
        return "No model was kept"
    if not is_ours:
        return f"{folder.name} is as it was before this run"
    with suppress(NanogptError, OSError):
        if score := read_meta(folder / "nanogpt.json").get("score"):
            of = f"of step {score['step']:,} ({score['val_bpb']:.3f} bits per byte)"
            return f"What was saved last is in {folder}, {of}; what came after it is lost"
    return f"What was saved last is in {folder}"


def advice(ex: BaseException, folder: Path, is_ours: bool = True) -> str:
    """After an error of the disk: what was kept, as `kept_model` has it, and what to do."""
    kept = kept_model(folder, is_ours)
    again = "go on with --resume" if is_ours and _state_file(folder).exists() else "train again"
    if is_disk_full(ex):
        return f"{kept}: make room there, then {again}; or set NANOGPT_HOME to another place and train again"
    match getattr(ex, "errno", None):
        case errno.EROFS:
            return f"{kept}: mount the disk of {folder.parent} for writing, then {again}"
        case errno.EACCES | errno.EPERM:
            refused = Path(os.fsdecode(getattr(ex, "filename", None) or folder)).parent
            return f"{kept}: make {refused} writable, then {again}"
        case errno.ENOENT | errno.ENOTDIR:
            return f"{kept}: if somebody removed {folder.parent}, put it back, then {again}"
        case errno.EIO:
            return f"{kept}: check the disk, or set NANOGPT_HOME to another, then {again}"
        case errno.EMFILE | errno.ENFILE:
            return f"{kept}: allow more open files (ulimit -n 1024), then {again}"
        case errno.EFBIG:
            return f"{kept}: allow bigger files (ulimit -f unlimited), then {again}"
    return f"{kept}: {again}"
