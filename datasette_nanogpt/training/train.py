"""From a table to a model folder: check everything, prepare, train, record.

`train_table(TrainOptions(...))` is `datasette nanogpt-train` without the command line: a generator of events.
The loop over steps is in trainer.py. torch is only imported once the options are found right.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

from llm_nanogpt.changes import hold
from llm_nanogpt.errors import InvalidOptions, NanogptError, TrainingDiverged
from llm_nanogpt.home import make_home, nanogpt_home
from llm_nanogpt.meta import read_meta

from ..data.corpus import location
from ..data.preview import preview
from ..events import Event, Finished, Progress
from ..registry.db import run_log_file
from ..registry.run_log import logging_to_file
from ..registry.runs import DIVERGED, MEMORY, NAME, REFUSED, Run
from .check import check, check_place, name_table
from .distributed import ProcessGroup, join_process_group
from .lr_schedule import Stop
from .options import TrainOptions, typed_command
from .run_log import logging_failure

__all__ = ["Finished", "TrainOptions", "train_table"]

OUT_OF_MEMORY = "out of memory|can't allocate memory|not enough memory"  # torch's words, on each device
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def train_table(
    options: TrainOptions, stop: Stop | None = None, queued: int | None = None
) -> Iterator[Event]:
    """Train a GPT on a table. Yields Preview, Progress, Prepared once, the trainer's events, then Finished.

    `queued` is the id of a run that is in the registry already.

    Everything that can be wrong with the options is found before any work starts, and raised at once in one
    NanogptError, a line each. A run that fails or is killed leaves a model folder that loads, or none.
    """
    with join_process_group() as group:
        if group.is_leader:
            yield from _train_table(options, stop or Stop(), queued, group)
        else:
            from .stages import follow

            follow(group)


def _train_table(
    options: TrainOptions, stop: Stop, queued: int | None, group: ProcessGroup
) -> Iterator[Event]:
    """Check, lock the model, and record how the run ends, however that is."""
    corpus, _ = check(options)
    options = name_table(options, corpus)
    if corpus:
        yield preview(corpus, command=typed_command(options))
    home, name = nanogpt_home(), options.model_name
    try:
        make_home(home)
    except OSError as ex:
        raise NanogptError(f"{explain(ex, home, group)}. {advice(ex, home / name)}") from ex
    with hold(home / name):
        meta = check_place(options, corpus)
        source = corpus.describe() if corpus else meta["source"]
        given = options.given()
        if not options.sql:  # as the database writes them, whatever was typed
            given["table"] = [table["table"] for table in source["tables"]]
        run = Run(home, name, location(options.database), source["table"], given, queued)
        try:
            # A server's child has a log file from its first line on.
            with nullcontext() if queued else logging_to_file(run_log_file(home, run.id)), logging_failure():
                yield Progress("loading torch")  # something to see before that, which takes seconds
                from .table_run import TableRun

                status = yield from TableRun(options, run, stop, group).events(home / name, corpus, meta)
        except (KeyboardInterrupt, GeneratorExit):
            run.end("stopped")
            raise
        except BaseException as ex:
            reason = explain(ex, home, group)
            if reason and isinstance(ex, OSError | sqlite3.OperationalError):
                reason = f"{reason}. {advice(ex, home / name)}"
            if reason is None and isinstance(ex, Exception) and not isinstance(ex, NanogptError):
                reason = unforeseen(ex, home / name, run_log_file(home, run.id))
            with suppress(sqlite3.OperationalError):
                refused = isinstance(ex, InvalidOptions) and not queued
                run.end("failed", reason or str(ex), REFUSED if refused else cause_of(ex))
            if reason:
                raise NanogptError(reason) from ex
            raise
        run.end(status)


def unforeseen(ex: Exception, folder: Path, run_log: Path) -> str:
    """One line about an unexpected error: what was kept of the run, and where the traceback is."""
    what = " ".join(f"{type(ex).__name__}: {ex}".split())
    kept = f"The model of the last score is kept in {folder}" if folder.exists() else "No model was kept"
    return f"This should not have happened: {what}. {kept}; where it happened is in {run_log}"


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
        return f"The {who} refuses to go on: {ex.strerror}{place}"
    return None


def is_disk_full(ex: BaseException) -> bool:
    full = isinstance(ex, sqlite3.OperationalError) and "full" in str(ex)
    return full or (isinstance(ex, OSError) and ex.errno in DISK_FULL)


def kept_model(folder: Path) -> str:
    """What a run that failed has kept: the model in `folder`, with its score if it has one."""
    if not folder.exists():
        return "No model was kept"
    with suppress(NanogptError, OSError):
        if score := read_meta(folder / "nanogpt.json").get("score"):
            of = f"of step {score['step']:,} ({score['val_bpb']:.3f} bits per byte)"
            return f"What was saved last is in {folder}, {of}; what came after it is lost"
    return f"What was saved last is in {folder}"


def advice(ex: BaseException, folder: Path) -> str:
    """After an error of the disk: what was kept, and what to do."""
    kept = kept_model(folder)
    again = "go on with --resume" if (folder / "training" / "state.safetensors").exists() else "train again"
    if is_disk_full(ex):
        return f"{kept}: make room there, then {again}; or set NANOGPT_HOME to another place and train again"
    match getattr(ex, "errno", None):
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{kept}: make {folder.parent} writable, then {again}"
        case errno.ENOENT | errno.ENOTDIR:
            return f"{kept}: if somebody removed {folder.parent}, put it back, then {again}"
        case errno.EIO:
            return f"{kept}: look after the disk, or set NANOGPT_HOME to another, then {again}"
        case errno.EMFILE | errno.ENFILE:
            return f"{kept}: allow more open files (ulimit -n 1024), then {again}"
        case errno.EFBIG:
            return f"{kept}: allow bigger files (ulimit -f unlimited), then {again}"
    return f"{kept}: {again}"
