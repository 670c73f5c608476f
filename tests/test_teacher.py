"""Runs of two models, the first of which teaches the second: real text, through the pipeline."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlite_utils
import torch
from conftest import TEXTS, tiny_config

from datasette_nanogpt.events import Evaluation, Finished, Note, Position, Prepared, Step
from datasette_nanogpt.training import choose_members, flops, measure, population, reading, replan, trainer
from datasette_nanogpt.training.budget import SCORING_FRACTION
from datasette_nanogpt.training.distributed import SINGLE_PROCESS
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.recipe import Settings, Stage
from datasette_nanogpt.training.sizes import SIZES, make_config
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.train_state import read_state, read_teacher
from llm_nanogpt.checkpoint import read_checkpoint, read_weights
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import build


@pytest.fixture
def options(tmp_path, monkeypatch, narrow_sizes):
    monkeypatch.setattr(choose_members, "MAX_MODELS", 2)  # more take longer, and so do more epochs
    monkeypatch.setattr(reading, "MOST_REPEATS", 1)
    path = tmp_path / "blog.db"
    sqlite_utils.Database(path)["entry"].insert_all({"id": i, "body": t} for i, t in enumerate(TEXTS[:200]))
    shape = {"size": "m", "block_size": 16, "batch_size": 64, "vocab_size": 300}
    return TrainOptions(str(path), "entry", minutes=0.9, device="cpu", compile=False, **shape)


@pytest.fixture
def every_step_is_told(monkeypatch):
    """A busy machine may be through the first model in the time between two reports."""
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0)


def last_step(folder, generation=-1):
    return read_checkpoint(folder).meta["generations"][generation]["settings"]["max_iters"]


def test_the_second_model_is_bigger_and_the_better_one_is_kept(options, home):
    events = list(train_table(options))
    folder = home / "nanogpt-blog"
    checkpoint, prepared = read_checkpoint(folder), next(e for e in events if isinstance(e, Prepared))
    teacher = read_teacher(folder, 0)
    assert (teacher.config.n_layer, prepared.config.n_layer) == (SIZES["s"][0], SIZES["m"][0])
    between, end = last_step(folder, 0), last_step(folder)
    scores = [e for e in events if isinstance(e, Evaluation)]
    assert [e.step for e in scores] == [between, end] and events[-1].step == end == 2 * between
    assert events[-1].models == 2 and events[-1].epochs == pytest.approx(population.MAX_EPOCHS, abs=0.1)
    where = [type(e) for e in events if isinstance(e, Evaluation | Note)]
    assert where == [Note, Evaluation, Note, Evaluation, Note]  # the last one says why no other model follows
    steps = [e for e in events if isinstance(e, Step)]
    assert all(e.seconds + e.eta < 55 for e in steps)  # the minutes are those of both
    assert all(e.progress < 0.9 for e in steps if e.step < between)
    # The folder has the weights, the shape and the score of one model, whichever it is.
    best = min(scores, key=lambda e: e.val_bpb)
    assert best is scores[1], "a bigger model with a teacher should be better here"
    assert checkpoint.meta["score"]["val_bpb"] == best.val_bpb == float(checkpoint.weights["val_bpb"])
    assert (
        checkpoint.config == prepared.config and checkpoint.meta["parameters"] == prepared.config.parameters
    )
    assert sum(w.size for w in read_weights(checkpoint).values()) == prepared.config.parameters
    assert not (home / ".nanogpt-blog.new").exists()


@pytest.mark.usefixtures("every_step_is_told")
def test_a_stop_in_the_first_keeps_that_one_and_a_resume_goes_on_to_the_second(options, home):
    stop = Stop()
    for event in train_table(options, stop):
        if isinstance(event, Step):
            stop.request()
    folder = home / "nanogpt-blog"
    assert event.status == "stopped" and event.step <= last_step(folder, 0)
    assert read_checkpoint(folder).config.n_layer == SIZES["s"][0]
    *_, done = train_table(TrainOptions(options.database, "entry", resume=True))
    assert isinstance(done, Finished) and done.step == last_step(folder)
    assert read_state(folder).position.stage == 1


@pytest.mark.usefixtures("every_step_is_told")
def test_a_resume_may_end_in_the_first(options, home):
    stop, folder = Stop(), home / "nanogpt-blog"
    for event in train_table(options, stop):
        if isinstance(event, Step):
            stop.request()
    at = read_state(folder).position
    end = at.step + 3
    assert end < last_step(folder, 0)
    *_, done = train_table(TrainOptions(options.database, "entry", resume=True, max_iters=end))
    assert (done.status, done.step, done.models) == ("finished", end, 1)


@pytest.mark.usefixtures("every_step_is_told")
def test_a_stop_in_the_second_is_not_told_as_if_that_were_saved(options, home):
    stop, second = Stop(), False
    for event in train_table(options, stop):
        second = second or (isinstance(event, Note) and event.text.startswith("Now model 2"))
        if second and isinstance(event, Step):
            stop.request()
            stop.request()
    assert read_checkpoint(home / "nanogpt-blog").config.n_layer == SIZES["s"][0]
    limit = event.verdict["limited by"]
    assert limit.startswith("the stop at step ") and ": an earlier model is saved, as the last one" in limit


def test_a_second_model_that_was_cut_short_is_resumed_and_the_first_stays_until_it_is_better(
    options, home, monkeypatch
):
    monkeypatch.setattr(trainer, "STATE_SECONDS", 0.0)
    folder, run = home / "nanogpt-blog", train_table(options)
    begun = 0
    for event in run:
        begun += begun > 1 if isinstance(event, Step) else isinstance(event, Note)
        if begun == 4:
            break
    run.close()  # as if killed
    at = read_state(folder).position
    checkpoint = read_checkpoint(folder)
    assert at.stage == 1 and at.step > last_step(folder, 0)
    assert checkpoint.config.n_layer == SIZES["s"][0] and read_weights(checkpoint)
    events = list(train_table(TrainOptions(options.database, "entry", resume=True, minutes=0.9)))
    assert next(e for e in events if isinstance(e, Prepared)).resumed_from == at.step
    notes = [e.text.split(",")[0] for e in events if isinstance(e, Note)]
    assert notes == ["Now model 2 of 2", "No other model follows: a run trains at most 2."]
    assert events[-1].step == last_step(folder) and events[-1].val_bpb < json.loads(
        checkpoint.weights["val_bpb"]
    )
    assert read_checkpoint(folder).config.n_layer == SIZES["m"][0]
    more = replace(options, size=None, block_size=None, batch_size=None, vocab_size=None, compile=None)
    for minutes in (None, 0.9):  # that is what it had
        with pytest.raises(NanogptError, match="give a larger --minutes"):
            list(train_table(replace(more, resume=True, minutes=minutes)))
    *_, longer = train_table(replace(more, resume=True, minutes=None, max_iters=events[-1].step + 5))
    assert longer.step == events[-1].step + 5


def test_models_that_there_is_no_time_for_are_left_out(options, home, monkeypatch):
    monkeypatch.setattr(choose_members, "MAX_MODELS", 4)
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e15)
    monkeypatch.setattr(replan, "leave_out", lambda members, at, *_: {1, 2} if at == 0 else set())
    monkeypatch.setattr(replan, "one_more", lambda *_: None)
    monkeypatch.setattr(choose_members, "choose_population", lambda *_: [])
    # Its steps end the first model, though it gets a small part of the minutes and the machine may be busy.
    events = list(train_table(replace(options, minutes=12.0)))
    notes = [e.text for e in events if isinstance(e, Note)]
    assert [note[:16] for note in notes] == ["Now model 1 of 4", "Steps take longe", "Now model 2 of 2"]
    generations = read_checkpoint(home / "nanogpt-blog").meta["generations"]
    assert [g["config"]["n_layer"] for g in generations] == [SIZES["s"][0], SIZES["m"][0]]
    assert [g["settings"]["generation"] for g in generations] == [0, 1]
    steps = [g["settings"]["max_iters"] for g in generations]
    assert events[-1].models == 2 and events[-1].step == steps[1] == 2 * steps[0]


def test_where_there_is_time_left_one_more_model_follows(options, home, monkeypatch):
    options = replace(options, size="s")
    monkeypatch.setitem(SIZES, "s", (2, 128))  # wider than xs, which would be its teacher
    prepared = next(e for e in train_table(replace(options, max_iters=1)) if isinstance(e, Prepared))
    tokens = prepared.corpus["train_tokens"]
    config = make_config("s", 300, {"block_size": 16})
    readings = population.MAX_EPOCHS * tokens / 1024 * flops.work_per_step(config, 1024)
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1.3 * readings / 54)  # too slow for a teacher
    events = list(train_table(replace(options, name="fast")))
    notes = [e.text for e in events if isinstance(e, Note)]
    wanted = ["There is time fo", "Now model 2 of 2", "No other model f"]
    assert [note[:16] for note in notes] == wanted
    one, two = [g["settings"] for g in read_checkpoint(home / "fast").meta["generations"]]
    assert one["max_iters"] < events[-1].step <= two["max_iters"] <= 4 * one["max_iters"] + 1
    assert two["weight_decay"] < one["weight_decay"] and events[-1].seconds < 56
    # A resume goes on in the second.
    more = two["max_iters"] + 5
    *_, done = train_table(replace(options, name="fast", resume=True, minutes=None, max_iters=more))
    assert (done.models, done.step) == (2, more)


@pytest.mark.parametrize("improved", [False, True])
def test_students_follow_as_long_as_one_of_them_is_better(improved):
    """The first model of a size may be worse than the small ones before it."""
    s, m = (make_config(size, 300, {"block_size": 64}) for size in ("s", "m"))
    settings = Settings(8, 0.01, 0.1, 2, 0.5, 0.0, 0, "cpu", False, False, minutes=600.0, max_iters=40)
    second = replace(settings, stage=1, generation=1, teachers=(0,), max_iters=80)
    third = replace(settings, stage=2, generation=2, teachers=(1,), max_iters=200)
    run = [Stage(s, settings), Stage(m, second), Stage(m, third)]
    for count in (2, 3):
        training = SimpleNamespace(
            group=SINGLE_PROCESS,
            tokens=SimpleNamespace(train=range(5_000)),
            model=SimpleNamespace(config=m),
            speed=SimpleNamespace(tokens_per_second=10_000.0),
            best=1.0 if improved else 1.5,
            best_before=1.5,
        )
        position = Position(step=run[count - 1].settings.max_iters, seconds=60.0, stage=count)
        after, change = replan.next_stages(run[:count], training, position)
        assert len(after) == (count + 1 if improved or count == 2 else count)
        added = len(after) > count
        ends = "The last model is no better than those before it, so no other one follows."
        assert change == ("There is time for one more model." if added else ends)
        again, _ = replan.next_stages(run[:count], training, position, was_joined=True)
        assert len(again) > count  # none has to be better than all of them joined
        longer, _ = replan.next_stages(run[:count], training, position, will_join=True)
        place, before = longer[-1].settings, run[count - 1].settings
        assert len(longer) == count + 1  # another of its generation, which need not be better alone
        assert (place.generation, place.member) == (before.generation, 1)
        assert place.teachers == before.teachers and place.weight_decay > 0


def test_why_no_other_model_follows():
    assert "no better than those before" in replan.why_no_more(3, better=False)
    assert replan.why_no_more(choose_members.MAX_MODELS, better=True) == (
        f"No other model follows: a run trains at most {choose_members.MAX_MODELS}."
    )
    assert replan.why_no_more(3, better=True) == ""  # too little time, which needs no words


@pytest.mark.parametrize(("device", "left_out"), [("cpu", 2), ("cuda", 0)])
def test_on_a_gpu_the_small_first_model_does_not_say_how_fast_the_others_are(monkeypatch, device, left_out):
    """Its steps take as long as theirs there, nearly all of it for launching."""
    s, m = (make_config(size, 300, {"block_size": 64}) for size in ("s", "m"))
    settings = Settings(8, 0.01, 0.1, 2, 0.5, 0.0, 0, device, False, False, minutes=10.0, max_iters=40)
    members = population.chain([s, m, m, m])
    run = [
        Stage(c, replace(settings, stage=i, teachers=each.teachers, generation=i, max_iters=40 * (i + 1)))
        for i, (c, each) in enumerate(zip([s, m, m, m], members, strict=True))
    ]
    work = sum(reading.Reading(5_000, 512).works(members)[1:])
    monkeypatch.setattr(measure, "training_flops", lambda *_: work / 500)
    training = SimpleNamespace(
        group=SINGLE_PROCESS,
        tokens=SimpleNamespace(train=range(5_000)),
        model=SimpleNamespace(config=s),
        speed=SimpleNamespace(tokens_per_second=0.2 * work / 500 / flops.work_per_step(s, 512) * 512),
    )
    after, change = replan.next_stages(run, training, Position(step=40, seconds=10.0, stage=1))
    assert len(after) == 4 - left_out and bool(change) == bool(left_out)


@pytest.mark.parametrize(("time", "left"), [(1.05, 3), (0.8, 2)])
def test_a_pair_that_has_less_time_than_planned_reads_less_before_one_is_left_out(time, left):
    s, m = (make_config(size, 300, {"block_size": 64}) for size in ("s", "m"))
    settings = Settings(8, 0.01, 0.1, 2, 0.5, 0.0, 0, "cpu", False, False, minutes=10.0, max_iters=40)
    members = [replace(each, epochs=3.0) for each in population.chain([s, m, m], joined=True)]
    of_text = reading.Reading(50_000, 512)
    ends = itertools.accumulate([40, *(of_text.steps(each, 4.0) for each in members[1:])])
    run = [
        Stage(
            each.config, replace(settings, stage=i, teachers=each.teachers, generation=i > 0, max_iters=end)
        )
        for i, (each, end) in enumerate(zip(members, ends, strict=True))
    ]
    work = sum(of_text.works(members)[1:])
    seconds = 600 - 10.0
    speed = time * work / (1 - SCORING_FRACTION) / seconds / flops.work_per_token(s, 512)
    training = SimpleNamespace(
        group=SINGLE_PROCESS,
        tokens=SimpleNamespace(train=range(50_000)),
        model=SimpleNamespace(config=s),
        speed=SimpleNamespace(tokens_per_second=speed),
    )
    position = Position(step=40, seconds=10.0, stage=1)
    after, change = replan.next_stages(run, training, position, will_join=True)
    assert len(after) == left and bool(change) == (left < 3)
    steps = [b.settings.max_iters - a.settings.max_iters for a, b in itertools.pairwise(after)]
    if left == 3:
        assert steps[0] == pytest.approx(steps[1], abs=1) and 293 <= steps[0] < 320


def test_a_teachers_probabilities_count_beside_the_text():
    torch.manual_seed(0)
    model, teacher = build(tiny_config()), build(tiny_config())
    ids = torch.randint(400, (2, 17))
    x, y = ids[:, :-1], ids[:, 1:]
    guesses = teacher.next_token_probs(x)
    assert guesses.shape == (2, 16, 400) and torch.allclose(guesses.sum(-1), torch.ones(2, 16))
    every = torch.arange(400).expand(2, 16, 400)
    own, theirs = model(x, y, teacher_probs=(every, guesses))
    assert own.item() == pytest.approx(model(x, y).item(), rel=1e-5)
    sure = torch.nn.functional.one_hot(y, 400).float()
    assert model(x, y, teacher_probs=(every, sure))[1].item() == pytest.approx(own.item(), rel=1e-5)
    # Nobody is nearer to a teacher's guesses than the teacher.
    assert teacher(x, y, teacher_probs=(every, guesses))[1] < theirs


def test_tokens_that_are_not_kept_count_as_one():
    torch.manual_seed(0)
    model, teacher = build(tiny_config()), build(tiny_config())
    x = torch.randint(400, (2, 16))
    probs, likeliest = teacher.next_token_probs(x).topk(5, dim=-1)
    own = model.next_token_probs(x).gather(2, likeliest)
    rest, own_rest = 1 - probs.sum(-1), 1 - own.sum(-1)
    wanted = -((probs * own.log()).sum(-1) + rest * own_rest.log()).mean()
    assert model(x, x, teacher_probs=(likeliest, probs))[1].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert torch.isfinite(model(x, x, teacher_probs=(likeliest, probs / probs.sum(-1, keepdim=True)))).all()
