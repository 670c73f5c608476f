"""Work in a thread beside the main one, which stays free to show progress and to answer Ctrl+C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
WAIT_SECONDS = 0.2  # between two checks whether the work is done


def in_background(work: Callable[[], T]) -> Future[T]:
    """Begin `work`, and return what will have its result or its exception.

    The threads of an executor keep Python from ending until their work is done; this one does not.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def until_done(future: Future[T]) -> Iterator[None]:
    """Yield a few times per second until the work is done."""
    while not future.done():
        yield
        wait([future], timeout=WAIT_SECONDS)
