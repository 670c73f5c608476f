"""The child process of a server's worker: `python -m datasette_nanogpt.web.child RUN` does one queued run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from llm_nanogpt.errors import NanogptError, click_errors
from llm_nanogpt.home import nanogpt_home

from ..cli import plugins_dir_option, stop_on_signals
from ..registry.runs import end_run, find_run

YIELDING = 10  # of 19: how nice training is to the rest of the machine


@click.command()
@click.argument("run", type=int)
@click.option("--max-parameters", type=int)
@plugins_dir_option
def main(run, max_parameters):
    """Do what was queued in the browser as RUN."""
    from ..training.lr_schedule import Stop
    from ..training.process import set_up_process

    set_up_process()
    give_way()
    stop = Stop()
    with click_errors(), stop_on_signals(stop) as begun:
        do_queued(run, stop, begun, max_parameters)


def do_queued(run: int, stop: Any, begun: Callable[[], None], max_parameters: int | None = None) -> None:
    """Do what the queued run number `run` asks for, and note in the registry what becomes of it.

    `begun` is called as soon as a request to stop is listened to. A model gets `max_parameters` at most.
    """
    home = nanogpt_home()
    row = find_run(home, run)
    try:
        if row["kind"] == "score":
            from .score_rows import score_rows

            begun()
            score_rows(home, row, stop)
        else:
            _train(home, row, stop, begun, max_parameters)
    except KeyboardInterrupt:
        end_run(home, run, "stopped")
    except NanogptError as ex:
        end_run(home, run, "failed", str(ex))


def _train(home: Path, row: dict[str, Any], stop: Any, begun: Callable[[], None], most: int | None) -> None:
    from ..events import Prepared
    from ..training.options import TrainOptions
    from ..training.train import train_table

    _check_name(home, row)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(row["settings"]).items()}
    for event in train_table(TrainOptions(**settings, max_parameters=most), stop, row["id"]):
        if isinstance(event, Prepared):
            begun()


def give_way() -> None:
    """Let everything else go first: the server shares these cores, and people wait for it."""
    if hasattr(os, "nice"):
        os.nice(YIELDING)
    with suppress(OSError):
        # Linux may share out its cores by session first. This process is in one of its own, where being nice
        # is of no use to those outside: the whole session must be.
        Path("/proc/self/autogroup").write_text(str(YIELDING))


def _check_name(home: Path, row: dict[str, Any]) -> None:
    """Say it in words that tell nothing of the other model, which may be of a private table."""
    from .target import name_taken

    if name_taken(home, row["name"], row["database"], row["table"]):
        raise NanogptError(f"The name {row['name']} was taken by another model meanwhile: choose another")


if __name__ == "__main__":
    main()
