"""The learning rate over a run, and how a run is asked to stop.

Warmup, stable, decay: up in a few steps, constant, then down in a straight line to 0. The constant part can
end at any time, so that a run that is stopped early still ends with a decay, without which its score would be
worse.
"""

from __future__ import annotations

from dataclasses import dataclass

# After a stop the learning rate runs down over this fraction of the time trained so far, but over at least
# the first and at most the second number of seconds.
ANNEAL_FRACTION, ANNEAL_SECONDS = 0.1, (2.0, 30.0)
# How often a run whose loss got out of hand goes back, each time at half the rate, before it gives up. Here,
# and not in divergence.py, because pages need it without torch.
MAX_RETURNS = 3


class Stop:
    """Asks a run to stop: once to let the learning rate run down first, twice to stop at once. Also tells it
    that it was paused, as by Ctrl+Z.

    Signals and other threads may do so at any moment, even in the middle of another request. None is lost,
    because appending to a list is a single step; adding 1 to a number takes three.
    """

    def __init__(self) -> None:
        self._signals: list[None] = []
        self._asked = [0]
        self._paused: list[None] = []

    @property
    def requests(self) -> int:
        """0, 1 to let the learning rate run down, 2 or more to stop at once."""
        return max(len(self._signals), *self._asked)

    def request(self) -> None:
        """Ask once more, from this process."""
        self._signals.append(None)

    def ask(self, requests: int) -> None:
        """Raise the number of requests to `requests`: those that the registry has from other processes, or 2
        to stop at once."""
        if requests > self.requests:
            self._asked.append(requests)

    def goes_on(self) -> None:
        """Tell the run that it goes on after a pause."""
        self._paused.append(None)

    def was_paused(self) -> bool:
        """Whether the run was paused since this was asked."""
        paused = bool(self._paused)
        self._paused.clear()
        return paused


@dataclass
class LRSchedule:
    """The learning rate at each moment of a run, as a fraction of the full one.

    A run is measured in seconds (if `minutes` limit it) or in steps (if only `max_iters` does): `length` is
    in that unit, and so is the `now` of each call.
    """

    length: float
    warmup_steps: int
    decay_share: float  # of the length, at its end; 0: constant, as with nanoGPT's decay_lr = False
    # Set by anneal(): when the early decay began, from which fraction of the rate, and how long it takes.
    stop_at: float | None = None
    stop_from: float = 1.0
    stop_length: float = 0.0

    def get_lr_scale(self, step: int, now: float) -> float:
        """The factor for the learning rate, 0 to 1: nanoGPT's get_lr.

        The first step already learns: it gets 1 / (warmup_steps + 1).
        """
        warmup = min(1.0, (step + 1) / (self.warmup_steps + 1))
        if self.stop_at is not None:
            left = 1 - (now - self.stop_at) / max(self.stop_length, 1e-9)
            return self.stop_from * min(1.0, max(0.0, left))
        if not self.decay_share:
            return warmup
        return warmup * min(1.0, max(0.0, (self.length - now) / (self.length * self.decay_share)))

    def progress(self, now: float) -> float:
        """The fraction of the length that is over, 0 to 1."""
        return min(1.0, max(0.0, now / max(self.length, 1e-9)))

    def anneal(self, step: int, now: float, length: float) -> None:
        """Begin the early decay, `length` long, from wherever the rate is."""
        self.stop_from = self.get_lr_scale(step, now)
        self.stop_at, self.stop_length = now, min(length, max(self.length - now, 0.0))

    def done(self, now: float) -> bool:
        """Whether the run is over."""
        end = self.length if self.stop_at is None else self.stop_at + self.stop_length
        return now >= end
