"""How many steps and seconds a run has trained, and how long it will take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..events import Position
from .lr_schedule import LRSchedule
from .recipe import Settings


class Clock:
    """Counts the steps and seconds of a run, and of the model in training.

    The schedule has a unit of its own: seconds where minutes limit the model, else steps.
    """

    def __init__(self, settings: Settings, start: Position):
        """`start` is where this process continues the run: in the middle of the model, or before it."""
        s = self.settings = settings
        self.step = start.step  # of the run
        self.start_step, self.start_seconds = start.start_step, start.start_seconds  # of the model
        self.session_step, self.session_seconds = start.step, start.seconds  # of this process's steps
        self.was_paused: Callable[[], bool] = lambda: False  # since it was asked
        self._looked = time.monotonic()
        self.started = self._looked - start.seconds
        self.limit_seconds = s.minutes * 60 if s.minutes else math.inf
        self.by_time = s.minutes is not None
        length = self.limit_seconds - self.start_seconds
        if not self.by_time:
            length = float((s.max_iters or 0) - self.start_step)
        self.schedule = LRSchedule(length, s.warmup_steps, s.decay_share)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all resumes. A pause does not count, nor do the few milliseconds
        since somebody looked before it."""
        now = time.monotonic()
        if self.was_paused():
            self.started += now - self._looked
        self._looked = now
        return now - self.started

    @property
    def model_steps(self) -> int:
        """Steps that this model was trained for."""
        return self.step - self.start_step

    @property
    def now(self) -> float:
        """How far the model is, in the schedule's unit. Of two limits the nearer one counts, in seconds."""
        if not self.by_time:
            return float(self.model_steps)
        seconds = self.seconds - self.start_seconds
        if not (limit := self.settings.max_iters):
            return seconds
        return max(seconds, self.model_steps / max(limit - self.start_step, 1) * self.schedule.length)

    @property
    def over(self) -> bool:
        """Whether the model has had all its training, or the time is up."""
        return self.schedule.done(self.now) or self.seconds >= self.limit_seconds

    def begin_session(self) -> None:
        """Measure speed from now on: the time before was not spent on steps."""
        self.session_seconds, self.session_step = self.seconds, self.step

    @property
    def annealing(self) -> bool:
        """Whether this model is ending early and its learning rate runs down."""
        return self.schedule.stop_at is not None

    def anneal(self, seconds: float) -> None:
        """Begin to run the learning rate down, over `seconds`."""
        self.schedule.anneal(self.model_steps, self.now, seconds * self.pace)

    @property
    def pace(self) -> float:
        """Units of the schedule per second."""
        if self.by_time:
            return max(1.0, self.now / max(self.seconds - self.start_seconds, 1e-9))
        steps, seconds = self.step - self.session_step, self.seconds - self.session_seconds
        return max(steps, 1) / max(seconds, 1e-9)

    def expected_seconds(self) -> float:
        """Seconds of the run until this model is done, estimated from its speed so far."""
        schedule = self.schedule
        end = schedule.length if schedule.stop_at is None else schedule.stop_at + schedule.stop_length
        left = max(end - self.now, 0.0) / self.pace
        return min(self.seconds + left, max(self.limit_seconds, self.seconds))

    def expected_run_seconds(self) -> float:
        """Seconds of the whole run, with the models that follow."""
        s, expected = self.settings, self.expected_seconds()
        limit = (s.run_minutes or s.minutes or math.inf) * 60
        return max(expected, min(expected / s.share, limit))

    def seconds_per_step(self) -> float:
        """The mean of the steps of this process so far."""
        return (self.seconds - self.session_seconds) / max(self.step - self.session_step, 1)
