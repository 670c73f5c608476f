"""The answers to the pages that follow a run and ask every second.

One reading of the registry serves all that ask at about the same time.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

from ..registry.db import NoRegistryError, registry
from ..registry.metrics import (
    first_score,
    metrics_after,
    model_name,
    samples_after,
    scores_of,
    training_now,
)
from ..registry.runs import run_as_dict
from .threads import in_thread

FRESH_SECONDS = 0.5  # the same question within this time gets the same answer

# The most metrics and samples in one answer, about 1 MB, which stays in memory while a slow client reads it.
METRICS, SAMPLES = 10_000, 500
PAGE_SAMPLES = 100  # how many samples, of 600 bytes each, a page begins with: it stays under 200 kB

Place = tuple[int, int]  # the ids of the last metric and the last sample that a page has


def read_run(home: Path, run: int, after: Place = (0, 0), points: int | None = None) -> dict[str, Any] | None:
    """The `row` of a run, the `first` score of its best model and the `last` one of the model that is trained
    now, each with that model's name (before that the bits per byte of the text it reads), its `metrics` and
    `samples` after a place, and the `next` place to ask from. None if there is no such run.

    With `points`, at most about that many metrics, and the last PAGE_SAMPLES samples. Without, at most
    METRICS and SAMPLES at once: if `more` is true, there are others after `next`.

    Raises RegistryError if the registry cannot be read.
    """
    try:
        with registry(home) as db:
            return _read_run(db, run, after, points)
    except NoRegistryError:
        return None


def _read_run(db: sqlite3.Connection, run: int, after: Place, points: int | None) -> dict[str, Any] | None:
    row = db.execute("select * from runs where id = ?", [run]).fetchone()
    if row is None:
        return None
    metric, sample = after
    metrics = metrics_after(db, run, metric, points, -1 if points else METRICS)
    samples = samples_after(db, run, sample, -1 if points else SAMPLES)
    samples = samples[-PAGE_SAMPLES:] if points else samples
    scores = scores_of(db, run)
    models = {score.model for score in scores}
    names = {model: model_name(model) for model in models} if row["model"] or len(models) > 1 else {}
    whose = {(score.step, score.bpb): names.get(score.model, "") for score in scores}
    first = first_score(scores)
    return {
        "row": run_as_dict(db, row),
        "first": first and (first.bpb, names.get(first.model, "")),
        "last": (scores[-1].bpb, names.get(scores[-1].model, "")) if scores else None,
        "training_bpb": training_now(db, run) if row["val_bpb"] is None else None,
        "metrics": metrics,
        "samples": [{**each, "model": whose.get((each["step"], each["val_bpb"]), "")} for each in samples],
        "next": f"{metrics[-1][0] if metrics else metric}.{samples[-1]['id'] if samples else sample}",
        "more": not points and (len(samples) == SAMPLES or len(metrics) == METRICS),
    }


class RunPoller:
    """Reads the registry once for all pages that ask the same within a moment."""

    def __init__(self, home: Path):
        self.home = home
        self.answers: dict[tuple[int, Place], tuple[float, asyncio.Task[dict[str, Any] | None]]] = {}

    async def poll(self, run: int, after: Place) -> dict[str, Any] | None:
        """`read_run` after a place; the answer is at most FRESH_SECONDS old."""
        now = time.monotonic()
        if (run, after) not in self.answers or self.answers[run, after][0] < now - FRESH_SECONDS:
            self.answers = {
                key: answer for key, answer in self.answers.items() if answer[0] >= now - FRESH_SECONDS
            }
            task = asyncio.create_task(in_thread(read_run, self.home, run, after))
            self.answers[run, after] = now, task
        # A page that goes away does not take the answer from the others.
        return await asyncio.shield(self.answers[run, after][1])

    def forget(self) -> None:
        """Read again next time: something was changed in this process."""
        self.answers = {}
