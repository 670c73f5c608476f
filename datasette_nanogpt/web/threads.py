"""Work beside the server's loop, in threads that never keep the server from stopping.

`asyncio.to_thread` would: Python waits for its threads before it ends, however long their SQL takes.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore, Thread
from typing import Any, TypeVar

from llm_nanogpt.errors import NanogptError

from ..data.sqlite import time_limit
from ..registry.db import RegistryError

T = TypeVar("T")


class BusyError(NanogptError):
    """The server cannot do this now, and may be able to shortly."""


# What is answered with 503, and never taken for a mistake in what was asked.
UNAVAILABLE = (BusyError, RegistryError)

READERS = 4  # how many threads may read databases at once: SQL may take any time
READ_SECONDS = 20.0  # how long one of them may work for a request before it is interrupted
GRACE_SECONDS = 1.0  # that SQLite then gets to notice it, between two rows or two calls of a function
REGISTRY_SECONDS = 2.0  # how long a page of Datasette waits for a registry that somebody has locked
WAIT_SECONDS = 5.0  # how long to wait until one of the threads is free
_free = BoundedSemaphore(READERS)


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function in a thread of its own. Python does not wait for that thread when the process ends.

    If the caller stops waiting, the thread continues, and its result is dropped.
    """
    return await _start(function, *args)


def _start(function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
    """Start a thread for a call, and return the future of its result."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def answer(set_answer: Callable[[Any], None], value: Any) -> None:
        if not future.done():  # it is done if the caller has stopped waiting
            set_answer(value)

    def work() -> None:
        try:
            ended: tuple[Callable[[Any], None], Any] = future.set_result, context.run(function, *args)
        except BaseException as ex:
            ended = future.set_exception, ex
        with suppress(RuntimeError):  # the loop is closed: the server has stopped meanwhile
            loop.call_soon_threadsafe(answer, *ended)

    Thread(target=work, name=f"nanogpt {function}", daemon=True).start()
    return future


async def read_database(function: Callable[..., T], *args: Any) -> T:
    """Call a function that reads a database, in one of READERS threads, within READ_SECONDS.

    Raises NanogptError if it takes longer, and BusyError if all threads are busy: SQLite cannot interrupt a
    single call of a function, which keeps its thread until it is done.
    """
    waits = round(WAIT_SECONDS / 0.05)
    while not _free.acquire(blocking=False):
        if not (waits := waits - 1):
            raise BusyError("Too many tables are being read at the moment: try again shortly")
        await asyncio.sleep(0.05)

    def read() -> T:
        try:
            with time_limit(READ_SECONDS):
                return function(*args)
        finally:
            _free.release()

    try:
        return await asyncio.wait_for(_start(read), READ_SECONDS + GRACE_SECONDS)
    except TimeoutError:
        raise NanogptError("Reading the rows takes too long: try a simpler condition.") from None
