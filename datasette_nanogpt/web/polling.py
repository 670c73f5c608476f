"""What those who follow a run are told. All of them ask every second, so an answer serves more than one."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.errors import NanogptError

from ..registry.db import registry
from ..registry.metrics import metrics_after, samples_after
from ..registry.runs import run_as_dict

FRESH_SECONDS = 0.5  # who asks the same within them gets the same answer

Place = tuple[int, int]  # the last metric and the last sample that somebody has seen


def read(home: Path, run: int, after: Place = (0, 0), points: int | None = None) -> dict[str, Any] | None:
    """The row of a run, and its metrics and samples after a place; `next` is the place to ask from then."""
    metric, sample = after
    with suppress(NanogptError), registry(home) as db:
        if row := db.execute("select * from runs where id = ?", [run]).fetchone():
            metrics = metrics_after(db, run, metric, points)
            samples = samples_after(db, run, sample)
            next = f"{metrics[-1][0] if metrics else metric}.{samples[-1]['id'] if samples else sample}"
            return {"row": run_as_dict(db, row), "metrics": metrics, "samples": samples, "next": next}
    return None


class News:
    """Reads the registry once for all who ask the same within a moment."""

    def __init__(self, home: Path):
        self.home = home
        self.answers: dict[tuple[int, Place], tuple[float, asyncio.Task]] = {}

    async def after(self, run: int, place: Place) -> dict[str, Any] | None:
        now = time.monotonic()
        if (run, place) not in self.answers or self.answers[run, place][0] < now - FRESH_SECONDS:
            self.answers = {key: a for key, a in self.answers.items() if a[0] >= now - FRESH_SECONDS}
            task = asyncio.create_task(asyncio.to_thread(read, self.home, run, place))
            self.answers[run, place] = now, task
        # Who goes away does not take the answer from the others.
        return await asyncio.shield(self.answers[run, place][1])

    def forget(self) -> None:
        """Something was changed here: nobody gets what was true before."""
        self.answers = {}
