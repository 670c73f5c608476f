"""What the plugin keeps in memory while a server runs, one object for each Datasette."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

from datasette.app import Datasette

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import nanogpt_home

from ..data.connection_setup import prepare_as
from .limits import Limits
from .model_cache import ModelCache
from .polling import RunPoller
from .worker import Worker

T = TypeVar("T")
ANSWER_SECONDS = 3.0  # for answers to be complete, once the server is asked to stop
SQLITE_BYTES = 2**30  # of all databases of this process together, caches included


@dataclass
class PluginState:
    """Found by every page with `state_of(datasette)`."""

    home: Path  # of the models and the registry
    limits: Limits
    worker: Worker
    poller: RunPoller
    models: ModelCache
    writing: int = 0  # texts that are being written at this moment
    stopping: asyncio.Event | None = None  # set when the server is asked to stop
    closing: asyncio.Future[None] | None = None
    server: Any = None  # uvicorn.Server, where Datasette is started by its own command

    @classmethod
    def start(cls, datasette: Datasette) -> PluginState:
        """Make the state of a server and have its worker started with the server."""
        home, limits = nanogpt_home(), Limits.from_config(datasette)
        worker = Worker(
            home,
            datasette.plugins_dir,
            limits.max_parameters,
            extensions_of(datasette.sqlite_extensions),
            limits.max_restarts,
        )
        prepare_as(datasette)
        limit_sqlite_memory(datasette)
        datasette._nanogpt = state = cls(home, limits, worker, RunPoller(home), ModelCache(home))
        datasette.add_background_task(state.work, name="nanogpt")
        return state

    async def work(self, datasette: Datasette) -> None:
        """Do what is queued until the server stops."""
        self.stopping = asyncio.Event()
        with on_stop_signal(self._begin_to_stop) as handlers:
            self.server = next((each.__self__ for each in handlers if hasattr(each, "__self__")), None)
            await self.worker.work(datasette)

    def _begin_to_stop(self) -> None:
        """Answers of ours that are under way end now, and the run is stopped: the server waits for both."""
        if self.stopping:
            self.stopping.set()
        self.closing = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        """Stop the run, and in the meantime give answers ANSWER_SECONDS to be complete. The server would wait
        for ever for clients that do not read theirs."""
        await asyncio.gather(self.close(), asyncio.sleep(ANSWER_SECONDS))
        for connection in list(connections_of(self.server)):
            connection.transport.abort()
        await asyncio.sleep(ANSWER_SECONDS)
        if hasattr(self.server, "force_exit"):  # and for those who write answers that nobody can get
            self.server.force_exit = True

    async def close(self) -> None:
        await self.worker.close()

    async def unless_stopping(self, work: Awaitable[T]) -> T:
        """The result of `work`. Raises NanogptError where the server is asked to stop before there is one."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.stopping.wait() if self.stopping else asyncio.Event().wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                raise NanogptError("The server is stopping")
            return task.result()
        finally:
            task.cancel()
            stopping.cancel()


@contextmanager
def on_stop_signal(stop: Callable[[], None]) -> Iterator[list[Any]]:
    """Call `stop` in the loop when this process gets SIGINT or SIGTERM, before whoever else handles these:
    the server, which tells its plugins only when every answer is complete. Yields these handlers."""
    loop = asyncio.get_running_loop()
    others = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(stop)
        other = others[signal.Signals(number)]
        if callable(other):
            other(number, frame)

    ours = [n for n, other in others.items() if callable(other)] if current_thread() is main_thread() else []
    for number in ours:
        signal.signal(number, handle)
    try:
        yield list(others.values())
    finally:
        for number in ours:
            if signal.getsignal(number) is handle:
                signal.signal(number, others[number])


def connections_of(server: Any) -> Iterable[Any]:
    """The open connections of a uvicorn server, each with its `transport`; none of another one."""
    return getattr(getattr(server, "server_state", None), "connections", ())


def limit_sqlite_memory(datasette: Datasette) -> None:
    """Limit what SQLite may hold in this process, so that no SQL can take all memory of the machine. Not
    where a database is in memory, which the limit would end."""
    if not any(db.is_memory and db.memory_name for db in datasette.databases.values()):
        with closing(sqlite3.connect(":memory:")) as db:
            db.execute(f"pragma hard_heap_limit = {SQLITE_BYTES}")


def extensions_of(extensions: Iterable[str | tuple[str, str]]) -> list[str]:
    """As `--load-extension` takes them."""
    return [":".join(extension) if isinstance(extension, tuple) else extension for extension in extensions]


def state_of(datasette: Datasette) -> PluginState:
    return datasette._nanogpt
