"""The worker of a server: it does the queued runs one after the other, each in a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from datasette.app import Datasette

from llm_nanogpt.errors import NanogptError

from ..registry import queue
from ..registry.db import run_log_file
from ..registry.process_id import process_id
from ..registry.restart import restart_interrupted
from ..registry.run_log import log, open_run_log
from ..registry.runs import HEARTBEAT_SECONDS, MEMORY, end_run, find_run
from .limits import Limits
from .terminal_runs import ASK_SECONDS, TerminalRuns
from .threads import in_thread

POLL_SECONDS = 1.0  # between two checks of the queue, which other servers fill as well
TERM_SECONDS = 10.0  # from SIGTERM, after ASK_SECONDS, to SIGKILL with all processes that the run has started
# A server that closes has less time, because a shutdown may take 10 seconds: for the child to notice the
# request, to save after SIGTERM, and for writing to the registry.
CLOSE_ASK_SECONDS, CLOSE_TERM_SECONDS, CLOSE_REGISTRY_SECONDS = 2.0, 5.0, 1.0
ROOT = os.path.abspath(os.sep)
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
LAST_BYTES = 10_000  # how much of a log's end is searched for its last line
# The errors of a disk that is full, locked or absent for a while.
DISK_ERRORS = (sqlite3.Error, OSError, NanogptError)


class Worker:
    """Does queued runs, one after the other, each in a child process of its own."""

    def __init__(
        self,
        home: Path,
        plugins_dir: str | None = None,
        max_parameters: int | None = None,
        extensions: Sequence[str] = (),
        max_restarts: int = Limits.max_restarts,
    ):
        self.home, self.max_restarts = home, max_restarts
        # A plugin in the server's folder may decide what a row's text is.
        self.options = ["--plugins-dir", os.path.abspath(plugins_dir)] if plugins_dir else []
        for extension in extensions:  # the child runs in another folder
            path = os.path.abspath(extension) if os.path.exists(extension) else extension
            self.options += ["--load-extension", path]
        self.options += ["--max-parameters", str(max_parameters)] if max_parameters else []
        self.terminal_runs = TerminalRuns(home)
        self.woken = asyncio.Event()
        self.closing = False
        self.sent: set[signal.Signals] = set()  # the signals that the child got because it did not stop
        self.interrupting = False  # whether the server is closing during a run that no person stopped
        self.child: asyncio.subprocess.Process | None = None
        self.run_id: int | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    async def work(self, datasette: Datasette | None) -> None:
        """Do what is queued until the server closes. Datasette runs this as a background task."""
        failing = False
        while not self.closing:
            try:
                if await self._do_next():
                    failing = False
                    continue
                failing = False
            except DISK_ERRORS as ex:  # a run whose end could not be recorded will count as dead
                if not failing:
                    log.warning("The registry in %s cannot be used, trying again: %s", self.home, ex)
                failing = True
            self.woken.clear()
            with suppress(*DISK_ERRORS):
                await in_thread(self.terminal_runs.insist)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.woken.wait(), POLL_SECONDS)

    async def _do_next(self) -> bool:
        """Do the run that is next in the queue. Returns whether there was one."""
        self.idle.clear()
        try:
            await in_thread(restart_interrupted, self.home, self.max_restarts)
            self.run_id = await in_thread(queue.claim, self.home)
            if self.run_id is not None and self.closing:  # the server began to close during the claim
                await in_thread(queue.interrupt, self.home, self.run_id)
            elif self.run_id is not None:
                await self._do(self.run_id)
            return self.run_id is not None
        finally:
            self.child = self.run_id = None
            self.idle.set()

    async def _do(self, run: int) -> None:
        """Do a claimed run, and record its end if its process did not."""
        self.sent.clear()
        try:
            with await in_thread(open_run_log, run_log_file(self.home, run)) as run_log:
                start = run_log.tell()  # bytes in it
                code = await self._run_child(run, run_log)
            if self.interrupting:
                await in_thread(queue.interrupt, self.home, run)
            else:
                await in_thread(self._record_end, run, code, start)
        except OSError as ex:  # there is no memory, process or file for it
            log.exception("Run %d could not be started", run)
            await in_thread(end_run, self.home, run, "failed", f"It could not be started: {ex}")

    async def _run_child(self, run: int, stderr: BinaryIO) -> int:
        """Start the child and wait for its end. Returns its exit code."""
        self.child = await asyncio.create_subprocess_exec(
            # -P keeps folders of data out of the search for modules.
            *(sys.executable, "-P"),
            *("-m", "datasette_nanogpt.web.child", str(run), "--end-with-stdin", *self.options),
            stdin=asyncio.subprocess.PIPE,  # it ends when this server does, which the child notices
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=ROOT,
            env=_environment(self.home),
            start_new_session=True,  # Ctrl+C in the terminal of the server is for the server
        )
        log.info("Run %d is done by process %d", run, self.child.pid)
        process, asked_at = process_id(self.child.pid), None
        while True:
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(self.child.wait(), HEARTBEAT_SECONDS)
            with suppress(*DISK_ERRORS):
                if await in_thread(queue.beat, self.home, run, process) >= 2 and asked_at is None:
                    asked_at = time.monotonic()
            if asked_at is not None and not self.closing:
                self._insist(time.monotonic() - asked_at)

    def _insist(self, seconds: float) -> None:
        """Send signals to a child that was asked this many seconds ago to stop now, and has not."""
        if seconds > ASK_SECONDS:
            self._signal(signal.SIGTERM)
        if seconds > ASK_SECONDS + TERM_SECONDS:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.child is None or number in self.sent:
            return
        log.warning("Run %d does not stop: its process gets %s", self.run_id, number.name)
        self.sent.add(number)
        with suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGKILL and hasattr(os, "killpg"):
                os.killpg(self.child.pid, number)  # it leads a session, and with it a group, of its own
            else:
                self.child.send_signal(number)

    def _record_end(self, run: int, code: int, start: int) -> None:
        """Record the end of a run whose process has ended, for the case that it could not do so itself.

        Its log had `start` bytes when the process began.
        """
        if self.sent:
            why = "It did not stop by itself when it was asked to, so its process was ended."
            return end_run(self.home, run, "stopped", why)
        if not code and (row := find_run(self.home, run)) and row["status"] == "queued":
            return  # a scoring that gives way
        file = run_log_file(self.home, run)
        if code < 0:
            cause = MEMORY if -code == signal.SIGKILL else None
            end_run(self.home, run, "interrupted", _killed_by(-code), cause)
        else:
            why = _last_line(file, start) or f"exit code {code}"
            end_run(self.home, run, "failed", f"The process of this run ended unexpectedly: {why}")
        if code:
            log.warning("Run %d ended with exit code %d: see %s", run, code, file)

    async def close(self) -> None:
        """Stop the child, which saves its model, and start no other. It may be called twice."""
        self.closing = True
        self.woken.set()
        if self.idle.is_set():
            return
        if self.run_id is not None:
            with suppress(asyncio.TimeoutError, *DISK_ERRORS):  # another process may have locked the registry
                await asyncio.wait_for(self._ask_to_stop(self.run_id), CLOSE_REGISTRY_SECONDS)
        for number, seconds in ((signal.SIGTERM, CLOSE_ASK_SECONDS), (signal.SIGKILL, CLOSE_TERM_SECONDS)):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.idle.wait(), seconds)
                return
            self._signal(number)
        with suppress(asyncio.TimeoutError):  # the next server finds out what could not be recorded now
            await asyncio.wait_for(self.idle.wait(), CLOSE_REGISTRY_SECONDS)

    async def _ask_to_stop(self, run_id: int) -> None:
        run = await in_thread(find_run, self.home, run_id)
        # A run that a person has already stopped is not interrupted, it only ends sooner.
        if run and not run["stop_requested"]:
            self.interrupting = True
        await in_thread(queue.ask_to_stop, self.home, run_id, 2)


def _environment(home: Path) -> dict[str, str]:
    """The environment of the child, with absolute paths, because its working folder is another one."""
    env = {**os.environ, "NANOGPT_HOME": str(home.absolute()), "PYTHONSAFEPATH": "1"}
    if "LLM_USER_PATH" in env:
        env["LLM_USER_PATH"] = os.path.abspath(env["LLM_USER_PATH"])
    if "PYTHONPATH" in env:  # an empty entry means the working folder, and is left out
        folders = [os.path.abspath(folder) for folder in env["PYTHONPATH"].split(os.pathsep) if folder]
        env["PYTHONPATH"] = os.pathsep.join(folders)
    return env


def _killed_by(number: int) -> str:
    """What a process that a signal ended most likely met with, and what to do."""
    if number == signal.SIGKILL:
        return (
            "The computer ended this run (signal 9), most likely because its memory ran out. End other "
            "programs, or choose a smaller --size."
        )
    if number in CRASHES:
        return f"The program that trains crashed (signal {number}). The end of its log says where."
    return f"The program that trains was ended by signal {number}."


def _last_line(file: Path, start: int) -> str:
    """The last line of a file after its first `start` bytes; "" if there is none."""
    with open(file, "rb") as written:
        end = written.seek(0, os.SEEK_END)
        written.seek(max(start, end - LAST_BYTES))
        lines = written.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
