"""From a table to a model folder: check everything, prepare, train, record.

`train_table(TrainOptions(...))` is `datasette nanogpt-train` without the command line: a generator of events.
The loop over steps is in trainer.py. torch is only imported once the options are found right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext, suppress

from llm_nanogpt.changes import hold
from llm_nanogpt.device import loading_torch
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.home import make_home, nanogpt_home

from ..data.corpus import location
from ..data.preview import preview, refuse_without_text
from ..events import Event, Finished, Progress
from ..registry.db import run_log_file
from ..registry.run_log import logging_to_file
from ..registry.runs import REFUSED, Run
from .check import check, check_place, name_table
from .distributed import ProcessGroup, join_process_group
from .failures import advice, cause_of, explain, explain_in_full
from .log_events import logging_failure
from .lr_schedule import Stop
from .options import TrainOptions, typed_command

__all__ = ["Finished", "TrainOptions", "train_table"]


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
        shown = preview(corpus, command=typed_command(options))
        refuse_without_text(corpus, shown)
        yield shown
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
                with loading_torch():
                    from .table_run import TableRun

                status = yield from TableRun(options, run, stop, group).events(home / name, corpus, meta)
        except (KeyboardInterrupt, GeneratorExit):
            run.end("stopped")
            raise
        except BaseException as ex:
            log_file, resumed = run_log_file(home, run.id), bool(options.resume)
            reason = explain_in_full(ex, home / name, log_file, group, resumed)
            with suppress(sqlite3.OperationalError):
                refused = isinstance(ex, InvalidOptions) and not queued
                run.end("failed", reason or str(ex), REFUSED if refused else cause_of(ex))
            if reason:
                raise NanogptError(reason) from ex
            raise
        run.end(status)
