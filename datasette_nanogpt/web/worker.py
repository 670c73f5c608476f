"""The worker of a server: it works off the queue in the registry, with a child process for each run."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from datasette.app import Datasette

from llm_nanogpt.errors import NanogptError

from ..registry import queue
from ..registry.db import run_log_file
from ..registry.run_log import log
from ..registry.runs import HEARTBEAT_SECONDS, end_run, find_run

POLL_SECONDS = 1.0  # between looks at the queue, which other servers fill as well
SHUTDOWN_SECONDS = 8.0  # for the child to save what it has, of the 10 that a shutdown may take
LAST_BYTES = 10_000  # of a log, in which the last line is looked for
# What a disk that is full, locked or absent for a while may raise.
DISK_ERRORS = (sqlite3.Error, OSError, NanogptError)


class Worker:
    """Does queued runs, one after the other, each in a child process of its own."""

    def __init__(
        self,
        home: Path,
        plugins_dir: str | None = None,
        max_parameters: int | None = None,
        extensions: Sequence[str] = (),
    ):
        self.home = home
        # A plugin in the server's folder may decide what a row's text is.
        self.options = ["--plugins-dir", os.path.abspath(plugins_dir)] if plugins_dir else []
        for extension in extensions:  # a file of ours is known by its name alone only in our folder
            path = os.path.abspath(extension) if os.path.exists(extension) else extension
            self.options += ["--load-extension", path]
        self.options += ["--max-parameters", str(max_parameters)] if max_parameters else []
        self.woken = asyncio.Event()
        self.closing = False
        self.interrupting = False  # the server is closing during a run that no person stopped
        self.child: asyncio.subprocess.Process | None = None
        self.run_id: int | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    async def work(self, datasette: Datasette | None) -> None:
        """Do what is queued until the server closes. Datasette runs this as a background task."""
        failing = False
        while not self.closing:
            try:
                run = await asyncio.to_thread(queue.claim, self.home)
                if run is not None:
                    await self._do(run)
                    failing = False
                    continue
                failing = False
            except DISK_ERRORS as ex:  # try again; a run whose end was not recorded will count as dead
                if not failing:
                    log.warning("The registry in %s cannot be used, trying again: %s", self.home, ex)
                failing = True
            self.woken.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.woken.wait(), POLL_SECONDS)

    async def _do(self, run: int) -> None:
        """Do a claimed run, and record how it ended if its process did not."""
        self.run_id = run
        self.idle.clear()
        try:
            with await asyncio.to_thread(_open_log, run_log_file(self.home, run)) as run_log:
                start = run_log.tell()  # bytes in it
                code = await self._run_child(run, run_log)
            if self.interrupting:
                why = "The server stopped during this run."
                await asyncio.to_thread(queue.interrupt, self.home, run, why)
            else:
                await asyncio.to_thread(self._record_end, run, code, start)
        except OSError as ex:  # no memory, no process or no file to be had
            log.exception("Run %d could not be started", run)
            await asyncio.to_thread(end_run, self.home, run, "failed", f"It could not be started: {ex}")
        finally:
            self.child = self.run_id = None
            self.idle.set()

    async def _run_child(self, run: int, stderr: BinaryIO) -> int:
        """Start the child and wait for its end, beating for it until it does so itself. Its exit code."""
        self.child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "datasette_nanogpt.web.child", str(run), *self.options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=self.home,  # with -m, the working folder is searched for modules: let it be one of our own
            env={**os.environ, "NANOGPT_HOME": str(self.home.absolute())},
            start_new_session=True,  # Ctrl+C in the terminal of the server is for the server
        )
        log.info("Run %d is done by process %d", run, self.child.pid)
        while True:
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(self.child.wait(), HEARTBEAT_SECONDS)
            with suppress(*DISK_ERRORS):
                await asyncio.to_thread(queue.beat, self.home, run)

    def _record_end(self, run: int, code: int, start: int) -> None:
        """Record the end of a run whose process has ended, for the case that it could not do so itself.

        Its log had `start` bytes when the process began.
        """
        file = run_log_file(self.home, run)
        why = f"killed by signal {-code}" if code < 0 else _last_line(file, start) or f"exit code {code}"
        status = "interrupted" if code < 0 else "failed"
        end_run(self.home, run, status, f"The process of this run ended unexpectedly: {why}")
        if code:
            log.warning("Run %d ended with exit code %d: see %s", run, code, file)

    async def close(self) -> None:
        """Stop the child, which saves what it has learned, and start no other."""
        self.closing = True
        self.woken.set()
        if self.child is None or self.run_id is None:
            return
        with suppress(sqlite3.Error, NanogptError):
            run = await asyncio.to_thread(find_run, self.home, self.run_id)
            # A run that a person has stopped already just ends sooner.
            self.interrupting = not (run and run["stop_requested"])
            await asyncio.to_thread(queue.ask_to_stop, self.home, self.run_id, 2)
        try:
            await asyncio.wait_for(self.idle.wait(), SHUTDOWN_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.child.kill()
            await self.idle.wait()


def _open_log(file: Path) -> BinaryIO:
    """A file to write at the end of."""
    file.parent.mkdir(exist_ok=True)
    return open(file, "ab")


def _last_line(file: Path, start: int) -> str:
    """The last line that was written to a file since it had `start` bytes; "" if none was."""
    with open(file, "rb") as written:
        end = written.seek(0, os.SEEK_END)
        written.seek(max(start, end - LAST_BYTES))
        lines = written.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
