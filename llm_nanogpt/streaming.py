"""The bridge from a generator to asyncio: text from a thread, for programs that must not block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def in_time_slices(pieces: Generator[T, Any, Any], seconds: float) -> AsyncGenerator[list[T]]:
    """Advance a generator in a thread. Yields lists of what came within `seconds`, at least one piece each.

    One trip to a thread for each list costs less than one for each piece. Closing this closes `pieces`; if
    the thread is advancing it at that moment, the slice under way is the last.
    """

    def fetch() -> list[T]:
        """The next slice; empty at the end."""
        fetched: list[T] = []
        end = time.monotonic() + seconds
        for piece in pieces:
            fetched.append(piece)
            if time.monotonic() >= end:
                break
        return fetched

    try:
        while fetched := await asyncio.to_thread(fetch):
            yield fetched
    finally:
        with suppress(ValueError):  # the thread is advancing it
            pieces.close()
