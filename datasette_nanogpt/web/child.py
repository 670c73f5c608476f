"""The child process of a server's worker: `python -m datasette_nanogpt.web.child RUN` does one queued run.

Its stderr goes to the log of the run, which `registry.run_log` writes as well.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from llm_nanogpt.errors import NanogptError, click_errors
from llm_nanogpt.home import nanogpt_home

from ..cli import load_extension_option, plugins_dir_option, stop_on_signals
from ..registry import queue
from ..registry.db import run_log_file
from ..registry.manage import check_not_taken
from ..registry.run_log import log, logging_to_file
from ..registry.runs import end_run, find_run, settings_of

if TYPE_CHECKING:
    from ..training.lr_schedule import Stop

ORPHAN_SECONDS = 20.0  # how long a run gets to save its model after the server died
NICENESS = 10  # of 19: how far training gives way to the rest of the machine


@click.command()
@click.argument("run", type=int)
@click.option("--max-parameters", type=int)
@click.option("--end-with-stdin", is_flag=True, help="Stop when stdin ends: the server that holds it is gone")
@plugins_dir_option
@load_extension_option
def main(run: int, max_parameters: int | None, end_with_stdin: bool) -> None:
    """Do what was queued in the browser as RUN."""
    from ..training.lr_schedule import Stop
    from ..training.process import set_up_process

    set_up_process()  # before torch is imported
    faulthandler.enable()  # a crash in C leaves its traceback in the log
    stop, home = Stop(), nanogpt_home()
    with click_errors(), logging_to_file(run_log_file(home, run)), stop_on_signals(stop) as begun:
        server = Server(home, run, stop)
        if end_with_stdin:
            Thread(target=server.watch, daemon=True).start()
        do_queued(run, stop, begun, max_parameters, give_way)
        if server.interrupted:
            queue.interrupt(home, run)


class Server:
    """The server that started this process. When it dies, the run must stop: nothing else could end a run
    that is stuck, and the next server would wait for it."""

    def __init__(self, home: Path, run: int, stop: Stop):
        self.home, self.run, self.stop = home, run, stop
        self.interrupted = False  # whether it died during a run that no person had stopped

    def watch(self) -> None:
        """Wait for the end of stdin, then stop the run. The server holds the other end and writes nothing
        there, so stdin ends when the server does."""
        if os.read(sys.stdin.fileno(), 1):
            return
        log.warning("The server is gone: stopping, for at most %d s", ORPHAN_SECONDS)
        ask = Thread(target=self._ask_to_stop, daemon=True)
        ask.start()
        ask.join(1)  # second: another process may have locked the registry
        self.stop.ask(2)
        time.sleep(ORPHAN_SECONDS)
        log.error("The run does not stop: ending its process")
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)  # with all processes that the run has started
        os.kill(os.getpid(), signal.SIGKILL)

    def _ask_to_stop(self) -> None:
        run = find_run(self.home, self.run)
        self.interrupted = bool(run and not run["stop_requested"])
        queue.ask_to_stop(self.home, self.run, 2)


def do_queued(
    run: int,
    stop: Stop,
    begun: Callable[[], None],
    max_parameters: int | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Do what the queued run number `run` asks for, and record how it ends.

    `begun` is called as soon as a request to stop is listened to, and `ready` when all is imported that the
    work needs. A model gets `max_parameters` at most.
    """
    home = nanogpt_home()
    row = find_run(home, run)
    if row is None:
        raise NanogptError(f"There is no run {run} in {home}: it was deleted")
    log.info("Run %d, in process %d: %s", run, os.getpid(), _what(row))
    try:
        if row["kind"] == "score":
            from .for_visitors import reading_for_visitors
            from .score_rows import score_rows

            ready()
            begun()
            with reading_for_visitors(row["database"], home):
                score_rows(home, row, stop)
        else:
            check_not_taken(home, row["name"], row["database"], row["table"])
            import_torch()
            ready()
            _train(row, stop, begun, max_parameters)
    except KeyboardInterrupt:
        log.info("Stopped before there was anything to keep")
        end_run(home, run, "stopped")
    except NanogptError as ex:
        from ..training.failures import cause_of

        log.error("%s", ex)
        end_run(home, run, "failed", str(ex), cause_of(ex))
    log.info("Run %d has ended", run)


def _what(row: dict[str, Any]) -> str:
    """What a run is about, for its log: the command that does the same."""
    from ..training.options import command_of_run

    if row["kind"] == "score":
        return f"score the rows of {row['table']} in {row['database']} with {row['name']}"
    return command_of_run(row)


def _train(row: dict[str, Any], stop: Stop, begun: Callable[[], None], max_parameters: int | None) -> None:
    from ..events import Prepared
    from ..training.options import TrainOptions
    from ..training.train import train_table

    settings: dict[str, Any] = settings_of(row)
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    for event in train_table(TrainOptions(**settings, max_parameters=max_parameters), stop, row["id"]):
        if isinstance(event, Prepared):
            begun()


def import_torch() -> None:
    """Import torch at normal priority, before `give_way`. It takes 2.5 s of one core; at low priority on a
    busy machine it took 36 to 85 s, while the page of the run could show nothing."""
    with suppress(Exception):  # if the import fails here, it fails again in the run, which reports it
        from ..training import table_run  # noqa: F401


def give_way() -> None:
    """Give this process low priority: the server uses the same cores, and people wait for its pages."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with suppress(OSError):
        # Linux may divide its cores among sessions first. This process has a session of its own, outside of
        # which its niceness means nothing, so the niceness of the whole session is set as well.
        Path("/proc/self/autogroup").write_text(str(NICENESS))


if __name__ == "__main__":
    main()
