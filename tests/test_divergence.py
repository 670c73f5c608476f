"""A loss that gets out of hand: training goes back, or ends, and no good model is lost by it."""

import json
import math
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_pipeline import database, options, run  # noqa: F401
from test_trainer import SETTINGS, new_model, tokens  # noqa: F401

from datasette_nanogpt.data.dataloader import Tokens
from datasette_nanogpt.events import BestWeights, Evaluation, Finished, Note, Position, TrainState
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.training import trainer
from datasette_nanogpt.training.divergence import unigram_nats
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.trainer import Training
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError, TrainingDiverged


def events_of(training, after_step=lambda training: None):
    """All events; `after_step` may damage what is learnt."""
    step = training.train_step

    def step_and_more(*args):
        step(*args)
        after_step(training)

    training.train_step = step_and_more
    return training.run(Stop())


def spoil(at, value, times=1):
    """Sets the output matrix to `value` after that step, so often."""
    left = [times]

    def after_step(training):
        if training.clock.step == at and left[0]:
            left[0] -= 1
            with torch.no_grad():
                training.model.output.fill_(value) if np.isnan(value) else training.model.output.mul_(value)

    return after_step


def test_the_unigram_is_a_plain_count():
    train, val = np.array([0, 1, 1, 2], np.uint16), np.array([0, 1, 3, 0], np.uint16)
    # Of 4 tokens and 4 kinds: 0 has 2 of 8, 1 has 3, 2 has 2, 3 has 1.
    expected = -(math.log(3 / 8) + math.log(1 / 8) + math.log(2 / 8)) / 3
    assert unigram_nats(Tokens(train, val, 1, 1)) == pytest.approx(expected)


@pytest.mark.parametrize("value", [math.nan, 1e4, 1e30])
def test_it_goes_back_to_the_last_good_state_at_half_the_rate(tokens, value):  # noqa: F811
    training = Training(new_model(), tokens, SETTINGS)
    events = list(events_of(training, spoil(17, value)))
    (told,) = (e.text for e in events if isinstance(e, Note))
    assert told.endswith("Back to step 10, at half the rate: 0.01."), told
    scores = [e for e in events if isinstance(e, Evaluation)]
    assert [e.step for e in scores] == [10, 20, 30, 40] and scores[-1].val_bpb < scores[0].val_bpb
    assert all(math.isfinite(e.val_bpb) and math.isfinite(e.train_loss) for e in scores)
    assert training.position.lr_factor == 0.5
    # What a resume would go on from is good as well.
    states = [e.position for e in events if isinstance(e, TrainState)]
    assert [p.step for p in states] == [10, 10, 20, 30, 40] and states[1].lr_factor == 0.5


def test_the_state_that_it_goes_back_to_stays_as_it_was_however_often(tokens):  # noqa: F811
    training = Training(new_model(), tokens, SETTINGS)
    told = [e.text for e in events_of(training, spoil(17, math.nan, times=3)) if isinstance(e, Note)]
    assert len(told) == 3 and all("Back to step 10" in text for text in told), told
    assert training.position.lr_factor == 1 / 8


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
@pytest.mark.parametrize("rate", [1e3, 1e38])
def test_it_gives_up_after_three_new_attempts(tokens, arch, rate):  # noqa: F811
    kept = []
    events = Training(new_model(arch), tokens, replace(SETTINGS, learning_rate=rate)).run(Stop())
    with pytest.raises(TrainingDiverged, match="after 3 new attempts: leave --learning-rate out") as ex:
        deque(map(kept.append, events))
    assert "\n" not in str(ex.value)
    assert not any(isinstance(e, BestWeights | Evaluation) for e in kept)
    assert sum(isinstance(e, Note) for e in kept) == 3


def test_a_time_that_is_over_leaves_no_new_attempt(tokens):  # noqa: F811
    settings = replace(SETTINGS, max_iters=None, minutes=0.01, eval_interval=None)
    training = Training(new_model(), tokens, settings)
    with pytest.raises(NanogptError, match="no time to try again"):
        list(events_of(training, lambda t: t.model.output.data.fill_(math.nan)))


def test_what_a_model_began_with_is_better_than_nothing(tokens):  # noqa: F811
    settings = replace(SETTINGS, max_iters=None, minutes=0.01, eval_interval=None)
    training = Training(new_model(), tokens, settings)
    training.last_good.unigram = 100.0
    events = list(events_of(training, lambda t: t.model.output.data.fill_(math.nan)))
    (score,) = (e for e in events if isinstance(e, Evaluation))
    assert score.step == 0 and score.best and math.isfinite(score.val_bpb)
    assert any(isinstance(e, BestWeights) for e in events)


def test_a_model_that_has_not_learnt_yet_is_not_one_that_diverged(tokens):  # noqa: F811
    settings = replace(SETTINGS, learning_rate=1e-9, max_iters=2, eval_interval=1)
    events = list(Training(new_model("gpt2"), tokens, settings).run(Stop()))
    training = Training(new_model("gpt2"), tokens, settings)
    assert events[-1].val_loss > training.last_good.unigram
    assert any(isinstance(e, BestWeights) for e in events) and not any(isinstance(e, Note) for e in events)


def test_a_model_that_learns_its_text_by_heart_is_not_one_that_diverged(tokens):  # noqa: F811
    little = replace(tokens, train=tokens.train[:200], val=tokens.val[::-1].copy())
    settings = replace(SETTINGS, max_iters=150, eval_interval=50, decay_share=0.0)
    training = Training(new_model(), little, settings)
    events = list(training.run(Stop()))
    assert events[-1].val_loss > training.last_good.unigram > events[-1].train_loss
    assert not any(isinstance(e, Note) for e in events)


def test_weights_that_are_no_numbers_are_no_state(tokens, monkeypatch):  # noqa: F811
    monkeypatch.setattr(trainer, "STATE_SECONDS", 0.0)
    training = Training(new_model(), tokens, replace(SETTINGS, eval_interval=10))
    for event in events_of(training, spoil(13, math.nan)):
        if isinstance(event, TrainState):
            assert all(t.isfinite().all() for t in event.tensors.values() if t.is_floating_point())


def test_a_resumed_run_keeps_the_rate_that_worked(tokens):  # noqa: F811
    begun = Training(new_model(), tokens, SETTINGS).state()
    state = replace(begun, position=Position(5, best=9.0, lr_factor=0.25))
    training = Training(new_model(), tokens, SETTINGS, state)
    next(e for e in training.run(Stop()) if isinstance(e, Evaluation))
    assert training.lr_scale <= 0.25


# ---- Whole runs


def test_a_run_out_of_hand_leaves_the_model_that_was_there(options, home, monkeypatch):  # noqa: F811
    run(replace(options, max_iters=4))
    folder = home / "nanogpt-blog"
    before = (folder / "model.safetensors").read_bytes()
    step = Training.train_step

    def step_out_of_hand(training, *args):  # at no rate that is allowed does this model get so
        step(training, *args)
        with torch.no_grad():
            training.model.output.mul_(10)

    monkeypatch.setattr(Training, "train_step", step_out_of_hand)
    with pytest.raises(NanogptError, match="after 3 new attempts"):
        run(replace(options, max_iters=400, eval_interval=20, seed=3))
    assert (folder / "model.safetensors").read_bytes() == before
    assert not list(home.glob(".*.new")) and not (home / ".replaced").exists()
    failed = find_runs(home)[0]
    assert failed["status"] == "failed" and "worse than" in failed["error"] and failed["val_bpb"] is None


def test_a_model_that_knows_nothing_replaces_none(options, home):  # noqa: F811
    run(replace(options, max_iters=4))
    before = read_checkpoint(home / "nanogpt-blog").version
    options = replace(options, arch="gpt2", max_iters=2, learning_rate=1e-9)
    with pytest.raises(NanogptError, match="nanogpt-blog stays as it was: train for longer"):
        run(options)
    assert read_checkpoint(home / "nanogpt-blog").version == before
    # Where there is none it is better than none.
    assert isinstance(run(replace(options, name="other"))[-1], Finished)
    assert json.loads((home / "other" / "nanogpt.json").read_text())["score"]["step"] in (1, 2)
