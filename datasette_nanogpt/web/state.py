"""What the plugin keeps in memory while a server runs, one object for each Datasette."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

from datasette.app import Datasette
from datasette.utils import StartupError

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import nanogpt_home

from ..data.connection_setup import prepare_as
from .limits import Limits
from .model_cache import ModelCache
from .polling import RunPoller
from .threads import BusyError, read_database
from .worker import Worker

T = TypeVar("T")
ANSWER_SECONDS = 3.0  # how long answers get to be complete once the server is asked to stop
SQLITE_BYTES = 2**30  # the most memory for all databases of this process together, caches included


@dataclass
class PluginState:
    """The state of one server. Pages get it from `state_of(datasette)`."""

    home: Path  # the folder of the models and the registry
    limits: Limits
    worker: Worker
    poller: RunPoller
    models: ModelCache
    writing: int = 0  # how many texts are being written at this moment
    reading: dict[Hashable, asyncio.Task[Any]] = field(default_factory=dict)  # see `read_once`
    stopping: asyncio.Event | None = None  # set when the server is asked to stop
    closing: asyncio.Future[None] | None = None  # kept, as asyncio drops a task that nobody holds
    server: Any = None  # the uvicorn.Server, if Datasette was started by its own command

    @classmethod
    def start(cls, datasette: Datasette) -> PluginState:
        """Create the state of a server, and have Datasette start the worker with the server."""
        try:
            home, limits = nanogpt_home(), Limits.from_config(datasette)
        except NanogptError as ex:
            raise StartupError(str(ex)) from ex
        worker = Worker(
            home,
            datasette.plugins_dir,
            limits.max_parameters,
            _extensions_of(datasette.sqlite_extensions),
            limits.max_restarts,
        )
        prepare_as(datasette)
        _limit_sqlite_memory(datasette)
        datasette._nanogpt = state = cls(home, limits, worker, RunPoller(home), ModelCache(home))
        datasette.add_background_task(state.work, name="nanogpt")
        return state

    async def work(self, datasette: Datasette) -> None:
        """Do what is queued until the server stops."""
        self.stopping = asyncio.Event()
        with _on_stop_signal(self._begin_to_stop) as handlers:
            self.server = next((each.__self__ for each in handlers if hasattr(each, "__self__")), None)
            await self.worker.work(datasette)

    def _begin_to_stop(self) -> None:
        """End the plugin's unfinished answers and stop the run, because the server waits for both."""
        if self.stopping:
            self.stopping.set()
        self.closing = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        """Stop the run, and give answers ANSWER_SECONDS to be complete meanwhile. Then cut the connections,
        because the server would wait for ever for clients that do not read their answers."""
        await asyncio.gather(self.close(), asyncio.sleep(ANSWER_SECONDS))
        for connection in list(_connections_of(self.server)):
            connection.transport.abort()
        await asyncio.sleep(ANSWER_SECONDS)
        if hasattr(self.server, "force_exit"):  # it also waits for pages whose answer nobody can get any more
            self.server.force_exit = True

    async def close(self) -> None:
        await self.worker.close()

    async def read_once(self, function: Callable[..., T], *args: Hashable) -> T:
        """`read_database` for all who ask for the same at the same time: the first one has it read, and if it
        stops waiting, the others still get what was read."""
        key = (function, args)
        if key not in self.reading:
            task = self.reading[key] = asyncio.ensure_future(read_database(function, *args))

            def forget(done: asyncio.Task[T]) -> None:
                del self.reading[key]
                done.cancelled() or done.exception()  # asyncio logs an exception that nobody asked for

            task.add_done_callback(forget)
        return await self.unless_stopping(asyncio.shield(self.reading[key]))

    async def unless_stopping(self, work: Awaitable[T]) -> T:
        """The result of `work`. Raises BusyError if the server is asked to stop before it is done."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.stopping.wait() if self.stopping else asyncio.Event().wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                raise BusyError("The server is stopping")
            return task.result()
        finally:
            task.cancel()
            stopping.cancel()


@contextmanager
def _on_stop_signal(stop: Callable[[], None]) -> Iterator[list[Any]]:
    """Call `stop` in the loop when this process gets SIGINT or SIGTERM, before the other handlers of these
    signals: the server's own one tells plugins only when every answer is complete. Yields the other ones."""
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


def _connections_of(server: Any) -> Iterable[Any]:
    """The open connections of a uvicorn server, each with its `transport`; empty for any other server."""
    return getattr(getattr(server, "server_state", None), "connections", ())


def _limit_sqlite_memory(datasette: Datasette) -> None:
    """Limit the memory of SQLite in this process, so that no SQL can take all memory of the machine.
    Databases in memory could not grow beyond that limit, so it is not set where there is one."""
    if not any(db.is_memory and db.memory_name for db in datasette.databases.values()):
        with closing(sqlite3.connect(":memory:")) as db:
            db.execute(f"pragma hard_heap_limit = {SQLITE_BYTES}")


def _extensions_of(extensions: Iterable[str | tuple[str, str]]) -> list[str]:
    """Datasette's extensions in the form that the option --load-extension takes."""
    return [":".join(extension) if isinstance(extension, tuple) else extension for extension in extensions]


def state_of(datasette: Datasette) -> PluginState:
    return datasette._nanogpt
