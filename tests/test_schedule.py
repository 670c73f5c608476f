"""The learning rate over a run, also over one that is stopped early; and when the first score is due."""

import math
from types import SimpleNamespace

import pytest

from datasette_nanogpt.training.lr_schedule import LRSchedule
from datasette_nanogpt.training.score_schedule import ScoreSchedule


def test_warmup_stable_decay():
    schedule = LRSchedule(length=100, warmup_steps=9, decay_share=0.5)
    assert schedule.get_lr_scale(0, 0) == pytest.approx(0.1)
    assert schedule.get_lr_scale(9, 9) == schedule.get_lr_scale(50, 50) == 1
    assert schedule.get_lr_scale(75, 75) == pytest.approx(0.5)
    assert schedule.get_lr_scale(100, 100) == 0
    assert not schedule.done(99) and schedule.done(100)


def test_progress_goes_from_zero_to_one():
    schedule = LRSchedule(length=100, warmup_steps=9, decay_share=0.5)
    assert [schedule.progress(now) for now in (0, 25, 100, 110)] == [0, 0.25, 1, 1]


def test_constant_rate_never_decays():
    schedule = LRSchedule(length=100, warmup_steps=0, decay_share=0)
    assert schedule.get_lr_scale(99, 99) == 1


@pytest.mark.parametrize("at", [5.0, 40.0, 80.0])
def test_an_early_stop_anneals_from_where_it_is(at):
    schedule = LRSchedule(length=100, warmup_steps=9, decay_share=0.5)
    before = schedule.get_lr_scale(int(at), at)
    schedule.anneal(int(at), at, 10)
    assert schedule.get_lr_scale(int(at), at) == pytest.approx(before)
    assert schedule.get_lr_scale(int(at) + 5, at + 5) == pytest.approx(before / 2)
    assert not schedule.done(at + 9.9) and schedule.done(at + 10)


def test_an_early_stop_never_lasts_longer_than_the_run():
    schedule = LRSchedule(length=100, warmup_steps=0, decay_share=0.5)
    schedule.anneal(97, 97, 10)
    assert schedule.done(100)


@pytest.mark.parametrize(
    ("minutes", "is_student", "seconds"), [(3, False, 4), (3, True, 15), (10, True, 50), (480, True, 60)]
)
def test_a_student_is_scored_within_a_minute_however_long_the_run(minutes, is_student, seconds):
    clock = SimpleNamespace(limit_seconds=60.0 * minutes, seconds=100.0, start_step=7)
    scores = ScoreSchedule(clock, SimpleNamespace(), math.inf, 1024, 5000)
    scores.begin(is_student)
    assert scores.next_evaluation == 100 + seconds
