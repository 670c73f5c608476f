"""The worker of a server: it works off the queue in the registry, a child process for each run."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..registry import queue
from ..registry.runs import HEARTBEAT_SECONDS, end_run, find_runs

POLL_SECONDS = 1.0  # between looks at the queue, which other servers fill as well
SERVER_GONE = "The server stopped during this run."
SHUTDOWN_SECONDS = 8.0  # for the child to save what it has, of the 10 that a shutdown may take


class Worker:
    """Works off queued runs, one after the other, each in a child process of its own."""

    def __init__(self, home: Path, plugins_dir: str | None = None, max_parameters: int | None = None):
        self.home = home
        # Of the server: a plugin in it may decide what a row's text is.
        self.options = ["--plugins-dir", os.path.abspath(plugins_dir)] if plugins_dir else []
        self.options += ["--max-parameters", str(max_parameters)] if max_parameters else []
        self.woken = asyncio.Event()
        self.closing = self.interrupting = False
        self.child: asyncio.subprocess.Process | None = None
        self.run_id: int | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    async def work(self, datasette: Any) -> None:
        """The background task."""
        while not self.closing:
            run = None
            with suppress(sqlite3.Error, OSError, NanogptError):  # a full, locked or absent disk: try again
                run = await asyncio.to_thread(queue.claim, self.home)
            if run is not None:
                with suppress(sqlite3.Error, OSError, NanogptError):  # its end is not noted: mark_dead will
                    await self._do(run)
                    continue
            self.woken.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.woken.wait(), POLL_SECONDS)

    async def _do(self, run: int) -> None:
        self.run_id = run
        self.idle.clear()
        try:
            with tempfile.TemporaryFile() as errors:
                code = await self._wait(run, errors)
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            if self.interrupting:
                await asyncio.to_thread(queue.interrupt, self.home, run, SERVER_GONE)
            else:
                why = f"killed by signal {-code}" if code < 0 else "".join(last) or f"exit code {code}"
                told = f"The process of this run ended unexpectedly: {why}"
                await asyncio.to_thread(
                    end_run, self.home, run, "interrupted" if code < 0 else "failed", told
                )
        except OSError as ex:  # no memory or no process to be had
            await asyncio.to_thread(end_run, self.home, run, "failed", f"It could not be started: {ex}")
        finally:
            self.child = self.run_id = None
            self.idle.set()

    async def _wait(self, run: int, errors: Any) -> int:
        """Start the child and wait for its end, beating for it until it does so itself."""
        self.child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "datasette_nanogpt.web.child", str(run), *self.options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            cwd=self.home,  # with -m, the working folder is searched for modules: let it be one of our own
            env={**os.environ, "NANOGPT_HOME": str(self.home.absolute())},
            start_new_session=True,  # Ctrl+C in the terminal of the server is for the server
        )
        while True:
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(self.child.wait(), HEARTBEAT_SECONDS)
            with suppress(sqlite3.Error, OSError, NanogptError):
                await asyncio.to_thread(queue.beat, self.home, run)

    async def close(self) -> None:
        """Stop the child, with what it learnt saved, and start no other."""
        self.closing = True
        self.woken.set()
        if self.child is None or self.run_id is None:
            return
        with suppress(sqlite3.Error, NanogptError):
            # A run that a person has stopped already just ends sooner.
            asked = await asyncio.to_thread(
                find_runs, self.home, "id = ? and stop_requested > 0", self.run_id
            )
            self.interrupting = not asked
            await asyncio.to_thread(queue.ask_to_stop, self.home, self.run_id, 2)
        try:
            await asyncio.wait_for(self.idle.wait(), SHUTDOWN_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.child.kill()
            await self.idle.wait()
