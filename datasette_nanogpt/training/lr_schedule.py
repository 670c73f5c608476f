"""How the learning rate runs, and how a run is asked to stop.

Warmup, stable, decay: up in a few steps, level, then down a straight line to zero. The level part may
end at any time, so a person can stop when bored and still get an annealed model.
"""

from __future__ import annotations

from dataclasses import dataclass

ANNEAL_FRACTION = 0.1  # of the time trained so far, spent on annealing after a stop
ANNEAL_SECONDS = (2.0, 30.0)  # at least and at most


class Stop:
    """Asks a run to stop: once to anneal, twice to stop at once. Safe to call from a signal handler."""

    def __init__(self):
        self.requests = 0

    def request(self) -> None:
        self.requests += 1


@dataclass
class LRSchedule:
    """The share of the full learning rate at each moment.

    A run is measured in seconds (`minutes` was given) or in steps (`max_iters` was): `length` is in
    that unit, and so is the `now` of each call.
    """

    length: float
    warmup_steps: int
    decay_fraction: float  # of the length; 0 keeps the rate constant, as nanoGPT's decay_lr=False does
    stop_at: float | None = None  # set by anneal(): when the early decay began,
    stop_from: float = 1.0  # the share of the rate it began at,
    stop_length: float = 0.0  # and how long it takes

    def get_lr_scale(self, step: int, now: float) -> float:
        """0 to 1. The first step already learns: it gets 1 / (warmup_steps + 1)."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        if self.stop_at is not None:
            left = 1 - (now - self.stop_at) / max(self.stop_length, 1e-9)
            return self.stop_from * min(1.0, max(0.0, left))
        if not self.decay_fraction:
            return warm
        return warm * min(1.0, max(0.0, (self.length - now) / (self.length * self.decay_fraction)))

    def progress(self, now: float) -> float:
        """How much of the length is over, 0 to 1."""
        return min(1.0, max(0.0, now / max(self.length, 1e-9)))

    def anneal(self, step: int, now: float, length: float) -> None:
        """Begin the early decay, `length` long, from wherever the rate is."""
        self.stop_from = self.get_lr_scale(step, now)
        self.stop_at, self.stop_length = now, min(length, max(self.length - now, 0.0))

    def done(self, now: float) -> bool:
        end = self.length if self.stop_at is None else self.stop_at + self.stop_length
        return now >= end
