"""The parts of a run's work before and after its training, recorded so that a page can tick them off."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import astuple
from typing import Any, TypeVar

from ..events import REPORT_SECONDS, Busy, LastPart, Part, Progress
from ..registry.runs import Run

T = TypeVar("T")
ORDER = {part.value: place for place, part in enumerate([*Part, *LastPart])}  # what is not here comes first


class Parts:
    """The parts that have begun so far."""

    def __init__(self, run: Run):
        self.run = run
        self.begun: dict[str, Progress] = {}

    def begin(self, progress: Progress) -> Progress:
        """Record that a part has begun, or how far it is."""
        self.begun[progress.what] = progress
        self._record(str(progress))
        return progress

    def pass_on_progress(self, steps: Generator[Progress, None, T]) -> Generator[Progress, None, T]:
        """Record each part before training as it begins, pass on how far it is every REPORT_SECONDS, and
        return the result of the steps. Raises KeyboardInterrupt if a stop is asked for."""
        last_report, part = time.monotonic(), None
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return end.value
            if self.run.stop_requested():
                raise KeyboardInterrupt
            due = time.monotonic() - last_report >= REPORT_SECONDS
            if due or progress.what != part:
                part = progress.what
                self.begin(progress)
            if due:
                last_report = time.monotonic()
                yield progress

    def add_results(self, counts: dict[str, Any]) -> None:
        """Take the results of the parts up to the tokens from the counts that nanogpt.json has of a corpus.
        They are recorded with the next part."""
        copies = counts["duplicates"] + counts["near_duplicates"]
        for part in (
            Progress(Part.READING, counts["documents"], unit="documents"),
            Progress(Part.DEDUPLICATING, copies, unit="copies and near-duplicates"),
            Progress(Part.VOCABULARY, counts["vocab_size"], unit="different tokens"),
            Progress(Part.TOKENIZING, counts["train_tokens"] + counts["val_tokens"], unit="tokens"),
        ):
            self.begun[part.what] = part

    def pass_on(self, steps: Generator[Busy, None, T]) -> Generator[Busy, None, T]:
        """Record what is being done, and pass it on. Returns the result of the steps."""
        while True:
            try:
                busy = next(steps)
            except StopIteration as end:
                return end.value
            self.run.update(note=str(busy))
            yield busy

    def go_on(self, note: str | None = None) -> None:
        """Record that training goes on after what looked like the last score: another model follows, or the
        loss got out of hand and steps are made again."""
        if self.begun.pop(LastPart.SCORING, None) or note:
            self._record(note)

    def _record(self, note: str | None) -> None:
        parts = sorted(map(astuple, self.begun.values()), key=lambda part: ORDER.get(part[0], -1))
        self.run.update(note=note, preparing=json.dumps(parts))
