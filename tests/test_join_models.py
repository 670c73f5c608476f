"""Models joined into a wider one: what it predicts, and what a run keeps of it."""

from dataclasses import replace

import pytest
import sqlite_utils
import torch
from conftest import TEXTS, tiny_config

from datasette_nanogpt.events import Busy, Evaluation, Finished, Note
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.metrics import JOINED, scores_of, speed_of_last_model
from datasette_nanogpt.training import choose_members, join_models, joined_size, measure, reading, sizes
from datasette_nanogpt.training.disk import bytes_of_run
from datasette_nanogpt.training.join_models import best_alike, join, models_to_join, planned_parameters
from datasette_nanogpt.training.joined_size import joined_config
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.recipe import plan_stages
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.train_state import read_state, write_teacher
from llm_nanogpt import gpt_numpy
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.gpt_torch import build

IDS = torch.arange(24).reshape(2, 12) * 7 % 50


def model(seed):
    """A model in which every block changes something, and every gain is another one."""
    torch.manual_seed(seed)
    built = build(replace(tiny_config(), tied=False))
    for p in built.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return built.eval()


def of_size(built, scale):
    """The same model, as its norms undo `scale`."""
    state = built.state_dict()
    for name in state:
        if name.endswith(("embed_tokens.weight", "o_proj.weight", "down_proj.weight")):
            state[name] = state[name] * scale
    copy = build(built.config)
    copy.load_state_dict(state)
    return copy.eval()


def test_copies_of_a_model_predict_joined_what_it_predicts_whatever_their_size():
    one = model(0)
    joined = join([one, of_size(one, 3.0), of_size(one, 0.2)])
    assert joined.config == joined_config(one.config, 3)
    torch.testing.assert_close(joined.logits(IDS), one.logits(IDS), rtol=1e-4, atol=1e-4)


def test_sampling_leaves_out_the_zeros_of_a_joined_model():
    joined = join([model(seed) for seed in range(3)])
    ours = gpt_numpy.build(joined.config, {name: t.numpy() for name, t in joined.state_dict().items()})
    assert ours.blocks == 3 and sum(
        m.size for *_, qkv, o, up, down in ours.layers for m in (qkv, o, up, down)
    ) == (sum(p.count_nonzero() for name, p in joined.named_parameters() if name.endswith("_proj.weight")))
    logits = ours.logits(IDS[0].tolist(), ours.new_cache())
    torch.testing.assert_close(torch.from_numpy(logits), joined.logits(IDS)[0], rtol=1e-4, atol=1e-4)


def test_a_joined_model_is_near_the_mean_of_the_logits_and_no_model_alone_is():
    models = [model(seed) for seed in (1, 2)]
    mean = sum(each.logits(IDS) for each in models) / 2

    def far(logits):
        return float((logits - mean).square().mean() / mean.square().mean())

    assert far(join(models).logits(IDS)) < 0.2 * min(far(each.logits(IDS)) for each in models)


def test_only_models_of_one_shape_are_joined_and_only_so_many(tmp_path, monkeypatch):
    last = model(0)
    for stage, teacher in enumerate((model(1), model(1), model(2), model(3))):
        write_teacher(tmp_path, stage, teacher.config, teacher.state_dict())
    joined = models_to_join(tmp_path, last, (3, None, 2, 1))
    assert joined[1] is last and len(joined) == joined_size.MOST_JOINED
    torch.testing.assert_close(joined[0].logits(IDS), model(3).logits(IDS))
    assert models_to_join(tmp_path, last, (None,)) == []
    assert models_to_join(tmp_path, last, (9, None)) == []  # somebody has removed it
    assert len(models_to_join(tmp_path, last, (1, 2, 3), joined_config(last.config, 2).parameters)) == 2
    monkeypatch.setattr(joined_size, "MOST_PARAMETERS", joined_config(last.config, 2).parameters)
    assert len(models_to_join(tmp_path, last, (1, 2, 3, None))) == 2
    monkeypatch.setattr(join_models, "available_memory", lambda: 1000)
    assert models_to_join(tmp_path, last, (1, 2, 3, None)) == []


def test_models_that_were_stopped_early_are_not_joined_and_the_best_come_first(monkeypatch):
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e11)
    _, stages = plan_stages(TrainOptions("a.db", "t", minutes=1e4, device="cpu"), 200_000, 1024, "cpu")
    alike = [stages[-1]] * 4
    assert best_alike(alike, 3, {0: 2.02, 1: 2.0, 2: 2.1}) == [1, 0, None]
    assert best_alike(alike[:2], 1, {}) == [None, 0]


def test_a_plan_counts_the_joined_model_in_memory_and_on_the_disk(monkeypatch):
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e11)
    _, stages = plan_stages(TrainOptions("a.db", "t", minutes=1e4, device="cpu"), 200_000, 1024, "cpu")
    alike = [stage for stage in stages if stage.config == stages[-1].config]
    assert len(alike) > 3  # so many minutes
    joined = planned_parameters(stages, {})
    assert joined == joined_config(stages[-1].config, 2).parameters  # a third would make it too big
    assert planned_parameters(stages, {"size": "m"}) == planned_parameters(stages[:1], {}) == 0
    assert bytes_of_run(stages, 1000, joined) - bytes_of_run(stages, 1000) == 4 * joined


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(choose_members, "MAX_MODELS", 3)  # s, m, m
    monkeypatch.setattr(reading, "MOST_REPEATS", 1)
    path = tmp_path / "blog.db"
    sqlite_utils.Database(path)["entry"].insert_all({"id": i, "body": t} for i, t in enumerate(TEXTS[:60]))
    shape = {"block_size": 16, "batch_size": 64, "vocab_size": 300}
    return TrainOptions(str(path), "entry", minutes=0.4, device="cpu", compile=False, **shape)


@pytest.mark.parametrize("worth", [10.0, 0.0], ids=["kept", "not-worth-it"])
def test_a_run_keeps_the_joined_model_if_it_is_worth_its_size_and_a_resume_knows(
    options, home, monkeypatch, worth
):
    monkeypatch.setattr(join_models, "WORTH_JOINING", worth)  # of models this young anything may be better
    monkeypatch.setattr(join_models, "FAR_WORSE", 10.0)
    events = list(train_table(options))
    scores = [e for e in events if isinstance(e, Evaluation)]
    checkpoint, done = read_checkpoint(home / "nanogpt-blog"), events[-1]
    width = checkpoint.meta["generations"][-1]["config"]["n_embd"]
    told = [e.text for e in events if isinstance(e, Note) and " joined into one of" in e.text]
    assert len(told) == (worth > 0) and isinstance(done, Finished)
    assert checkpoint.config.n_embd == (2 * width if worth else width)
    assert checkpoint.meta["parameters"] == checkpoint.config.parameters == done.parameters
    assert checkpoint.meta["score"]["val_bpb"] == done.val_bpb
    assert float(checkpoint.weights["val_bpb"]) == done.val_bpb
    lines = checkpoint.meta["verdict"]["lines"]
    assert ("made of" in lines) == (worth > 0)
    with registry(home) as db:
        models = {score.model for score in scores_of(db, 1)}
        # As the lines "Now model 2 of 3" have them.
        assert models == {1, 2, 3, *([JOINED] if worth else [])}
        assert speed_of_last_model(db, 1)[0]  # of the last one that was trained
    if worth:
        assert f"{done.val_bpb:.3f} bits per byte" in lines["made of"]
        assert done.val_bpb == scores[-1].val_bpb and scores[-1].step == scores[-2].step
        assert read_state(home / "nanogpt-blog").position.stage == 2
        *_, resumed = train_table(TrainOptions(options.database, "entry", resume=True, minutes=0.5))
        assert resumed.val_bpb <= done.val_bpb


def test_a_stop_at_once_leaves_joining_to_a_resume(options, home, monkeypatch):
    """The models are as tiny as nothing is joined whose size is set by hand, and end with their epochs."""
    monkeypatch.setattr(sizes, "SIZES", dict.fromkeys(sizes.SIZES, (1, 16)))
    monkeypatch.setattr(sizes, "HEAD_WIDTH", 8)
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e15)
    monkeypatch.setattr(join_models, "WORTH_JOINING", 10.0)
    monkeypatch.setattr(join_models, "FAR_WORSE", 10.0)
    stop, told = Stop(), []
    for event in train_table(replace(options, minutes=5.0), stop):
        if isinstance(event, Busy) and "joined into one" in str(event):
            stop.ask(2)
        told += [event.text] if isinstance(event, Note) else []
    assert event.status == "stopped" and event.models == 3
    assert told[-1].startswith("Stopped before the models were joined: --resume joins them")
    width = read_checkpoint(home / "nanogpt-blog").config.n_embd
    steps = event.step
    *_, done = train_table(TrainOptions(options.database, "entry", resume=True))
    assert (done.status, done.step) == ("finished", steps)
    assert read_checkpoint(home / "nanogpt-blog").config.n_embd > width


def test_a_size_that_was_asked_for_is_the_size_of_the_model(options, home, monkeypatch):
    monkeypatch.setattr(join_models, "WORTH_JOINING", 10.0)
    monkeypatch.setattr(choose_members, "MAX_MODELS", 2)
    list(train_table(replace(options, size="xs", minutes=0.2)))
    assert read_checkpoint(home / "nanogpt-blog").config.n_embd == 64
