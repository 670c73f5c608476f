"""When a run scores its model, and when scores say that a model has learnt what there is to learn."""

from __future__ import annotations

import math

from .clock import Clock
from .recipe import Settings

# Without --eval-interval, if scores are cheap: the fewest for a model, and the most seconds between them.
EVALUATIONS, SCORE_SECONDS = 12, 20.0
EVALUATION_FRACTION = 0.05  # scores may take this fraction of the time; if they took more, there are fewer
UNSCORED_SECONDS = 60.0  # a run of less than this has no time for a score before its end
# The first score comes this many seconds after the first step of a run, to show soon that the run works and
# to save something; later, if it would take longer than all that came before it.
FIRST_EVALUATION_SECONDS = 4.0
# That of a student comes after this many seconds at most: before, it is far worse than its teachers.
STUDENT_EVALUATION_SECONDS = 60.0
# A model ends early after this many scores in a row without improvement that span at least this fraction of
# its time: more training would only teach it the text by heart.
PATIENCE, PATIENCE_FRACTION = 3, 0.25
WORSE = 1.01  # a score above the lowest one times this is no improvement


class ScoreSchedule:
    """The scores of one model in training.

    `best` is the best score of the run before it, inf if there is none; `step_tokens` are the tokens of a
    training step in all processes, `val_tokens` those that a score reads.
    """

    def __init__(self, clock: Clock, settings: Settings, best: float, step_tokens: int, val_tokens: int):
        self.clock, self.settings = clock, settings
        self.step_tokens, self.val_tokens = step_tokens, val_tokens
        self.run_has_score = best < math.inf
        self.lowest = best if clock.start_step == 0 else math.inf  # of this model's scores
        self.scores_without_improvement = 0
        self.improved_at = clock.seconds  # of the last score that was an improvement
        self.next_evaluation = math.inf  # in seconds of the run

    def begin(self, is_student: bool) -> None:
        """Choose the time of the first score, right before the first step. A student is only scored once it
        has learnt for a while."""
        limit = self.clock.limit_seconds
        of_student = min(limit / EVALUATIONS, STUDENT_EVALUATION_SECONDS)
        first = of_student if is_student else FIRST_EVALUATION_SECONDS
        self.next_evaluation = math.inf if limit < UNSCORED_SECONDS else self.clock.seconds + first

    @property
    def due(self) -> bool:
        """Whether to score the model after this step."""
        due = self.clock.seconds >= self.next_evaluation
        if due and not self.run_has_score:
            due = self.expected_seconds <= self.clock.seconds
        # However long the interval is, a first score comes soon, so that a kill does not lose everything.
        if interval := self.settings.eval_interval:
            return self.clock.step % interval == 0 or (due and not self.run_has_score)
        return due

    @property
    def expected_seconds(self) -> float:
        """Seconds that the first score will take, from the steps so far, a third of which is forward."""
        return self.clock.seconds_per_step() / self.step_tokens * self.val_tokens / 3

    def add(self, val_bpb: float) -> None:
        """Note a score."""
        improved = val_bpb <= WORSE * self.lowest
        self.scores_without_improvement = 0 if improved else self.scores_without_improvement + 1
        self.improved_at = self.clock.seconds if improved else self.improved_at
        self.lowest = min(self.lowest, val_bpb)
        self.run_has_score = True

    def plan_next(self, cost: float) -> None:
        """Choose the time of the next score; the last one took `cost` seconds, with its sample and saving."""
        pause = min(self.clock.expected_seconds() / EVALUATIONS, SCORE_SECONDS - cost)
        self.next_evaluation = self.clock.seconds + max(pause, cost / EVALUATION_FRACTION)

    @property
    def past_its_best(self) -> bool:
        """Whether to end early. A run with a number of steps never does, nor does nanoGPT's recipe."""
        clock = self.clock
        if not (clock.by_time and self.settings.decay_share):
            return False
        length = clock.expected_seconds() - clock.start_seconds
        long_ago = clock.seconds - self.improved_at >= PATIENCE_FRACTION * length
        return self.scores_without_improvement >= PATIENCE and long_ago
