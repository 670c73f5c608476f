"""Populations: what teachers predict, kept on disk, and models that learn from their average."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sqlite_utils
import torch
from conftest import TEXTS, tiny_config

from datasette_nanogpt.data.dataloader import Windows
from datasette_nanogpt.events import Busy, Evaluation, Finished, Note, Prepared
from datasette_nanogpt.training import choose_members, disk, measure, population, reading, teacher_probs
from datasette_nanogpt.training.distillation import Repeats
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.teacher_probs import TeacherProbs, file_bytes, write_teacher_probs
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.train_state import read_state, read_teacher, write_state, write_teacher
from llm_nanogpt.atomic import part_of
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import build

T = 32


def models(n: int):
    torch.manual_seed(0)
    made = [build(tiny_config(vocab_size=60, block_size=T)).eval() for _ in range(n)]
    for model in made:
        torch.nn.init.normal_(model.output, std=0.5)
    return made


@pytest.mark.parametrize("length", [2 * T + 1, 300, 301, 333])
def test_every_place_has_the_average_of_its_teachers_after_a_quarter_of_the_context(tmp_path, length):
    tokens = np.random.default_rng(0).integers(60, size=length).astype(np.uint16)
    teachers, file = models(2), tmp_path / "probs.bin"
    fractions = list(write_teacher_probs(file, teachers, Windows(tokens, T, None), "cpu", bf16=False))
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert file.stat().st_size == file_bytes(length, 60) and [*tmp_path.iterdir()] == [file]
    rows = TeacherProbs(file, 60, length)
    ids, probs = rows.at(np.arange(length - 1)[None], "cpu")
    assert ids.shape == (1, length - 1, 60) and torch.allclose(probs.sum(-1), torch.ones(1), atol=0.01)
    # Each row is that of some window which has enough before it.
    repeats = Repeats(tokens, T)
    for place in (0, 5, T - 1, T, T + 7, length - 2):
        wanted = []
        for start in range(max(0, place - T + 1), (0 if place < T else place - T // 4) + 1):
            window = tokens[start : start + T].astype(np.int64)[None]
            x = torch.from_numpy(window)
            mean = sum(t.next_token_probs(x) for t in teachers) / 2
            wanted.append(repeats.improve(mean, window)[0, place - start])
        mine = torch.zeros(60).scatter(0, ids[0, place], probs[0, place])
        assert min((mine - each).abs().max().item() for each in wanted) < 2e-3


def test_of_predictions_that_are_not_complete_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_probs, "logits_per_batch", lambda device: T * 60)
    windows = Windows(np.random.default_rng(0).integers(60, size=333).astype(np.uint16), T, None)
    steps = write_teacher_probs(tmp_path / "probs.bin", models(1), windows, "cpu", bf16=False)
    next(steps)
    assert [part_of(tmp_path / "probs.bin")] == [*tmp_path.iterdir()]  # which is tidied up after a kill
    steps.close()  # as a full disk would end it
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("vocab_size", [2**16, 2**16 + 1])
def test_a_row_has_ids_of_all_sizes(vocab_size):
    """Those of 16 bits have no sign in the file, but have one on the way to it."""
    row = teacher_probs.row_type(vocab_size, 1000)
    probs = torch.zeros(1, 2, vocab_size)
    probs[0, 0, [7, vocab_size - 1]] = torch.tensor([0.25, 0.75])
    first, _ = teacher_probs._rows(probs, row)[0]
    assert list(first["ids"][:2]) == [vocab_size - 1, 7] and list(first["probs"][:3]) == [0.75, 0.25, 0]


def test_the_rows_are_the_same_however_many_windows_are_predicted_at_once(tmp_path, monkeypatch):
    """More at once on a GPU than on a CPU."""
    tokens = np.random.default_rng(0).integers(60, size=333).astype(np.uint16)
    rows = []
    for windows in (1, 3, 1000):
        monkeypatch.setattr(teacher_probs, "logits_per_batch", lambda device, n=windows: n * T * 60)
        for _ in write_teacher_probs(
            tmp_path / "probs", models(2), Windows(tokens, T, None), "cpu", bf16=False
        ):
            pass
        rows.append(TeacherProbs(tmp_path / "probs", 60, len(tokens)).at(np.arange(333)[None], "cpu")[1])
    for other in rows[1:]:
        torch.testing.assert_close(other, rows[0], rtol=2e-3, atol=1e-4)


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A run of five tiny models: two, two that learn from them, and the last student."""
    for name in ("FEWEST_MEMBERS", "MOST_MEMBERS", "FEWEST_GENERATIONS", "MOST_GENERATIONS"):
        monkeypatch.setattr(choose_members, name, 2)
    monkeypatch.setattr(population, "MOST_TEACHERS", 2)
    monkeypatch.setattr(choose_members, "MAX_MODELS", 5)
    monkeypatch.setattr(reading, "MOST_REPEATS", 1)
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e15)
    path = tmp_path / "blog.db"
    sqlite_utils.Database(path)["entry"].insert_all({"id": i, "body": t} for i, t in enumerate(TEXTS[:80]))
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 32, "block_size": 16, "batch_size": 16, "vocab_size": 300}
    return TrainOptions(str(path), "entry", minutes=2.0, device="cpu", compile=False, **shape)


def figures(home):
    rows = sqlite_utils.Database(home / "nanogpt.db").query(
        "select distinct model from metrics where val_bpb is not null order by id"
    )
    return [row["model"] for row in rows]


def test_generations_learn_from_the_average_and_the_best_single_model_is_kept(options, home):
    events = list(train_table(options))
    prepared, done = next(e for e in events if isinstance(e, Prepared)), events[-1]
    assert "2 models" in prepared.plan_reason and "from the text alone" in prepared.plan_reason
    scores = [e for e in events if isinstance(e, Evaluation)]
    assert isinstance(done, Finished) and done.models == 5
    assert done.val_bpb == min(e.val_bpb for e in scores)
    kept = [each["settings"] for each in read_checkpoint(home / "nanogpt-blog").meta["generations"]]
    assert [s["teachers"] for s in kept] == [[], [], [0, 1], [0, 1], [2, 3]]
    assert figures(home) == [1, 2, 3, 4, 5]
    asked = [e.what for e in events if isinstance(e, Busy) and "teachers predict" in e.what]
    assert asked and asked[0].startswith("the 2 teachers predict the text")
    left = {file.name for file in (home / "nanogpt-blog" / "training").glob("teacher*")}
    assert left == {"teachers-2-3.bin", "teacher-2.safetensors", "teacher-3.safetensors"}


def test_a_population_that_was_stopped_goes_on_where_it_was(options, home):
    stop, folder = Stop(), home / "nanogpt-blog"
    for event in train_table(options, stop):
        if isinstance(event, Busy) and "teachers predict" in event.what:
            stop.request()
    assert event.status == "stopped" and event.models == 2
    assert read_state(folder).position.stage == 2 and not read_state(folder).tensors
    events = list(train_table(TrainOptions(options.database, "entry", resume=True)))
    assert (events[-1].status, events[-1].models) == ("finished", 5)
    assert [e.text.split(",")[0] for e in events if isinstance(e, Note)][0] == "Now model 3 of 5"


def test_a_population_that_was_killed_goes_on_where_it_was(options, home):
    run, folder = train_table(options), home / "nanogpt-blog"
    for event in run:
        if isinstance(event, Note) and event.text.startswith("Now model 4 of 5"):
            break
    run.close()  # as if killed
    at = read_state(folder).position
    assert at.stage == 3
    events = list(train_table(TrainOptions(options.database, "entry", resume=True)))
    assert (
        events[-1].models == 5 and next(e for e in events if isinstance(e, Prepared)).resumed_from == at.step
    )


def test_members_that_another_process_had_finished_are_not_trained_again(options, home):
    """As a run of several processes leaves them that was stopped while rank 0 trained the first model."""
    run, folder = train_table(options), home / "nanogpt-blog"
    for event in run:
        if isinstance(event, Note) and event.text.startswith("Now model 2 of 5"):
            break
    run.close()
    config, tensors = read_teacher(folder, 0).config, read_teacher(folder, 0).state_dict()
    state = read_state(folder)
    write_state(folder, replace(state, position=replace(state.position, stage=0, start_step=0)))
    write_teacher(folder, 1, config, tensors)
    before = (folder / "training" / "teacher-1.safetensors").read_bytes()
    resumed = train_table(TrainOptions(options.database, "entry", resume=True))
    trained = []
    for event in resumed:
        if isinstance(event, Note) and event.text.startswith("Now model "):
            trained.append(int(event.text.split()[2]))
            if trained[-1] == 3:
                assert (folder / "training" / "teacher-1.safetensors").read_bytes() == before
    assert trained == [1, 3, 4, 5] and event.models == 5


def test_more_minutes_buy_one_more_student(options, home, monkeypatch):
    *_, done = train_table(options)
    monkeypatch.setattr(choose_members, "MAX_MODELS", 6)
    events = list(train_table(TrainOptions(options.database, "entry", resume=True, minutes=4.0)))
    kept = [each["settings"] for each in read_checkpoint(home / "nanogpt-blog").meta["generations"]]
    assert events[-1].models == 6 and kept[-1]["generation"] == 3
    assert events[-1].step > done.step and events[-1].val_bpb <= done.val_bpb


def test_a_disk_without_room_is_told_before_training(options, home, monkeypatch):
    prepared = next(e for e in train_table(options) if isinstance(e, Prepared))
    assert "of disk space" in prepared.plan_reason
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**5))
    with pytest.raises(NanogptError, match=r"needs .* of disk space, and .* is free: make room"):
        list(train_table(options))
