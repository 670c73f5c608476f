"""Saves what a run keeps while it trains. An error of the disk does not end the training.

Weights and scores that could not be written wait in memory, and are tried again every few seconds. A state
that could not be written is dropped, because the next one follows soon. One of the two may work where the
other does not: the states are in a folder of their own, and larger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..events import BestWeights, Evaluation, TrainState
from .model_folder import ModelFolder

RETRY_SECONDS = 5.0  # between attempts after a failure
ATTEMPTS, ATTEMPT_SECONDS = 3, 2.0  # `insist` tries this often, with this pause
MODEL, TRAINING = "", "/training"  # what is written, by its place in the model folder


class Saver:
    """Writes what a run keeps into its model folder."""

    def __init__(self, folder: ModelFolder):
        self.folder = folder
        self._weights: BestWeights | None = None  # weights that are not on the disk yet
        self._scores: list[tuple[Evaluation, bool]] = []  # scores that are not, with `may_replace`
        self._notes: list[str] = []  # sentences for people that `notes` has not yielded yet
        self._failures: dict[str, OSError] = {}  # the last one of each of MODEL and TRAINING that fails
        self._next_attempt = 0.0

    def weights(self, best: BestWeights) -> None:
        """Write the best weights."""
        self._weights = best
        self._send()
        if self._weights:  # still waiting: copy them, because training changes these tensors
            tensors = {name: tensor.copy() for name, tensor in best.tensors.items()}
            self._weights = replace(best, tensors=tensors)

    def state(self, state: TrainState) -> None:
        """Write what a resume needs, unless the weights before it are not written."""
        if not self._waits:
            self._attempt(TRAINING, lambda: self.folder.write_state(state))

    def score(self, score: Evaluation, may_replace: bool) -> None:
        """Write a score, once its weights are."""
        self._scores.append((score, may_replace))
        self._send()

    def retry(self) -> None:
        """Write what waits, if it is time to try again."""
        if self._waits and time.monotonic() >= self._next_attempt:
            self._send()

    def finish(self) -> None:
        """Write what waits now. Raises OSError if that cannot be done."""
        if self._waits:
            self._send()
        if self._waits and MODEL in self._failures:
            raise self._failures[MODEL]

    def insist(self, write: Callable[[], None]) -> None:
        """Write what the run cannot go on without, for its training. Raises OSError after ATTEMPTS."""
        for _ in range(ATTEMPTS - 1):
            if self._attempt(TRAINING, write):
                return
            time.sleep(ATTEMPT_SECONDS)
        write()

    def notes(self) -> Iterator[str]:
        """New sentences about the disk, for people."""
        for notes in (self.folder.notes, self._notes):
            while notes:
                yield notes.pop(0)

    @property
    def _waits(self) -> bool:
        return bool(self._weights or self._scores)

    def _send(self) -> None:
        self._attempt(MODEL, self._write_all)

    def _write_all(self) -> None:
        if self._weights:
            self.folder.write_weights(self._weights)
            self._weights = None
        while self._scores:
            self.folder.write_score(*self._scores[0])
            self._scores.pop(0)

    def _attempt(self, what: str, write: Callable[[], None]) -> bool:
        """Whether `write` worked. Notes a failure, and the first success after it."""
        place = f"{self.folder.path}{what}"
        try:
            write()
        except OSError as ex:
            self._next_attempt = time.monotonic() + RETRY_SECONDS
            if what not in self._failures:
                waits = self._waits
                kept = "the best weights wait in memory" if waits else "--resume would lose its progress"
                self._notes.append(
                    f"{place} cannot be written ({ex.strerror or ex}): training goes on, {kept}, and it is "
                    "tried again."
                )
            self._failures[what] = ex
            return False
        if self._failures.pop(what, None):
            saved = "" if self._failures else ": all is saved"
            self._notes.append(f"{place} can be written again{saved}.")
        return True
