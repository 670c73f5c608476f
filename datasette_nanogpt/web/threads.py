"""Work beside the server's loop, in threads that never keep the server from stopping.

`asyncio.to_thread` would: Python waits for its threads before it ends, however long their SQL takes.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function in a thread of its own, which Python does not wait for when it ends.

    Where the caller stops waiting, the thread goes on by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def answer(set_answer: Callable[[Any], None], value: Any) -> None:
        if not future.done():  # nobody stopped waiting
            set_answer(value)

    def work() -> None:
        try:
            ended: tuple[Callable[[Any], None], Any] = future.set_result, context.run(function, *args)
        except BaseException as ex:
            ended = future.set_exception, ex
        with suppress(RuntimeError):  # the loop is closed: the server has stopped meanwhile
            loop.call_soon_threadsafe(answer, *ended)

    Thread(target=work, name=f"nanogpt {function}", daemon=True).start()
    return await future
