"""A disk that refuses something: the run goes on where it can, and ends in a line where it cannot."""

import errno
import logging
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import tiny_config
from test_pipeline import TINY, database, options, run  # noqa: F401

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.events import BestWeights, Evaluation, Finished, Note
from datasette_nanogpt.registry.manage import rename_model
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.training import model_folder, saving
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.recipe import Settings, Stage
from datasette_nanogpt.training.results import Results
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.trainer import Training
from llm_nanogpt import change_steps, renaming
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.commands import nanogpt
from llm_nanogpt.errors import NanogptError

ERRORS = (errno.EIO, errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENOSPC)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(saving, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(saving, "ATTEMPT_SECONDS", 0.0)


def refuse(monkeypatch, name, code, times, skip=0):
    """The function of that name in model_folder.py fails so often, after so many times that it works."""
    works, calls = getattr(model_folder, name), [0]

    def fail(*args, **kwargs):
        calls[0] += 1
        if skip < calls[0] <= skip + times:
            raise OSError(code, os.strerror(code), str(args[0]))
        return works(*args, **kwargs)

    monkeypatch.setattr(model_folder, name, fail)


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("name", ["write_weights", "write_state", "write_meta", "publish"])
def test_a_save_that_failed_is_made_up_for(options, home, monkeypatch, name, code):  # noqa: F811
    refuse(monkeypatch, name, code, times=1)
    events = run(replace(options, max_iters=8))
    notes = [e.text for e in events if isinstance(e, Note)]
    assert any(f"cannot be written ({os.strerror(code)}): training goes on" in note for note in notes), notes
    assert any("can be written again" in note for note in notes)
    assert isinstance(events[-1], Finished)
    scores = [e.val_bpb for e in events if isinstance(e, Evaluation)]
    checkpoint = read_checkpoint(home / "nanogpt-blog")
    assert float(checkpoint.weights["val_bpb"]) == checkpoint.meta["score"]["val_bpb"] == min(scores)


def test_the_best_weights_wait_as_they_were():
    """Training goes on to change the tensors that they are in."""
    written = []

    class Folder:
        path, notes = "m", ()

        def write_weights(self, best):
            written.append(best.tensors["a"].tolist())
            if len(written) < 3:
                raise OSError(errno.EIO, "Input/output error")

    saver, weights = saving.Saver(Folder()), np.zeros(2, np.float32)
    saver.weights(BestWeights(tiny_config(), {"a": weights}, 1, 2.0, 3.0))
    weights += 1
    for _ in range(3):
        saver.retry()
    assert written == [[0, 0]] * 3 and len([*saver.notes()]) == 2


@pytest.mark.parametrize("code", ERRORS)
def test_a_disk_that_never_works_again_ends_the_run_in_a_line(database, home, monkeypatch, code):  # noqa: F811
    refuse(monkeypatch, "write_weights", code, times=10**6, skip=1)
    arguments = [str(database), "entry", "--max-iters", "40", "--eval-interval", "4"]
    for key, value in TINY.items():
        if key not in ("max_iters", "eval_interval"):
            flag = f"--{key.replace('_', '-')}"
            arguments += [flag, str(value)] if value is not False else [f"--no-{key}"]
    done = CliRunner().invoke(train_command, arguments)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.exit_code == 1 and len(errors) == 1 and "should not" not in errors[0], done.output
    reason = "is full" if code == errno.ENOSPC else os.strerror(code)
    score = read_checkpoint(home / "nanogpt-blog").weights
    kept = f"What was saved last is in {home / 'nanogpt-blog'}, of step {score['step']} "
    assert reason in errors[0] and kept in errors[0] and "--resume" in errors[0]
    assert f"({float(score['val_bpb']):.3f} bits per byte)" in errors[0]
    assert find_runs(home)[0]["status"] == "failed"


def test_a_home_that_is_removed_meanwhile_is_made_again(options, home):  # noqa: F811
    events = []
    for event in train_table(replace(options, max_iters=40, eval_interval=4)):
        events.append(event)
        if isinstance(event, Evaluation) and event.step == 8:
            shutil.rmtree(home)
    assert isinstance(events[-1], Finished)
    checkpoint = read_checkpoint(home / "nanogpt-blog")
    assert int(checkpoint.weights["step"]) > 8 and checkpoint.meta["training"]["status"] == "finished"


@pytest.mark.parametrize("removed", ["all", "training"])
@pytest.mark.parametrize("at", [8, 40])
def test_a_model_that_is_removed_while_it_trains_can_be_resumed(options, home, at, removed):  # noqa: F811
    """Also if no better score, or no other score at all, comes after that."""
    folder, notes = home / "nanogpt-blog", []
    for event in train_table(replace(options, max_iters=40, eval_interval=4)):
        notes += [event.text] if isinstance(event, Note) else []
        if isinstance(event, Evaluation) and event.step == at:
            before = {path.relative_to(folder) for path in folder.rglob("*")}
            shutil.rmtree(folder if removed == "all" else folder / "training")
    assert isinstance(event, Finished) and {path.relative_to(folder) for path in folder.rglob("*")} == before
    assert at == 40 or [note for note in notes if "was removed" in note] == notes[:1]
    go_on = replace(options, resume=True, max_iters=44, eval_interval=4)
    assert run(go_on)[-1].step == 44


def test_teachers_that_are_removed_are_put_back(tmp_path, bpe, monkeypatch):
    """Those that no model learns from any more are deleted for good."""
    monkeypatch.setattr(model_folder, "model_card", lambda meta: "")
    config, meta = tiny_config(vocab_size=bpe.n_vocab), {"name": "m", "options": {}}
    settings = Settings(2, 1e-3, 0.1, 0, 0.0, 0.0, 0, "cpu", False, False, stage=1, teachers=(0,))
    (tmp_path / "m").mkdir()
    bpe.save(tmp_path / "m", config.block_size)
    folder = model_folder.ModelFolder(tmp_path / "m", config, [Stage(config, settings)] * 2, bpe, meta)
    for stage in (0, 1):
        folder.write_teacher(stage, config, {"a": torch.zeros(stage)})
    shutil.rmtree(tmp_path / "m")
    folder.write_meta()
    assert (tmp_path / "m" / "training" / "teacher-1.safetensors").exists() and folder.notes
    folder.stages = [Stage(config, replace(settings, teachers=()))]
    folder.drop_teachers(0)
    folder.write_meta()
    assert [path.name for path in (tmp_path / "m" / "training").iterdir()] == ["teacher-0.safetensors"]


def test_a_lock_that_cannot_be_deleted_hides_no_error(options, home, monkeypatch):  # noqa: F811
    def fail(path, *args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    run(replace(options, max_iters=4))
    refuse(monkeypatch, "write_weights", errno.EROFS, times=10**6)
    events = train_table(replace(options, max_iters=8, seed=2))
    next(e for e in events if isinstance(e, Evaluation))
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", fail)
        with pytest.raises(NanogptError, match=r"Read-only file system.*is as it was before this run"):
            list(events)
    assert CliRunner().invoke(nanogpt, ["models"]).exit_code == 0 and not list(home.glob(".*.lock"))


def test_a_run_without_a_log_prints_no_traceback(options, home, monkeypatch, capfd):  # noqa: F811
    home.mkdir()
    (home / ".logs").write_text("not a folder")
    refuse(monkeypatch, "write_weights", errno.EIO, times=10**6)
    handlers = logging.getLogger().handlers[:]  # pytest's own would hide what Python does without any
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(NanogptError, match="Input/output error"):
        run(replace(options, max_iters=4))
    assert handlers and "Traceback" not in capfd.readouterr().err
    assert not logging.getLogger("datasette_nanogpt").handlers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_told_in_a_line(options, home):  # noqa: F811
    home.mkdir(mode=0o500)
    with pytest.raises(NanogptError, match="Cannot write in"):
        run(options)


@pytest.mark.parametrize("file", ["train.bin", "val.bin", "state.safetensors"])
@pytest.mark.parametrize("how", ["gone", "cut", "noise", "a pipe"])
def test_a_resume_without_what_it_needs_is_told_in_a_line(options, home, file, how):  # noqa: F811
    run(replace(options, max_iters=4))
    path = home / "nanogpt-blog" / "training" / file
    data = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(data[:-2])
    elif how == "noise":
        path.write_bytes(b"\xff" * len(data))
    elif how == "a pipe":
        os.mkfifo(path)
    with pytest.raises(NanogptError, match="train it again without --resume") as ex:
        run(replace(options, max_iters=8, resume=True))
    assert "\n" not in str(ex.value) and "should not" not in str(ex.value)
    assert CliRunner().invoke(nanogpt, ["sample", "nanogpt-blog", "-n", "1"]).exit_code == 0
    assert isinstance(run(replace(options, max_iters=4))[-1], Finished)  # as the message says


def test_a_disk_that_refuses_something_as_a_model_is_replaced_loses_neither(options, home, monkeypatch):  # noqa: F811
    """Each step of it, once: the hidden folder has the old model by then."""
    run(replace(options, max_iters=4))
    folder = home / "nanogpt-blog"
    old = (folder / "model.safetensors").read_bytes()
    works = change_steps.sync_folder
    for number in range(2):
        calls = []

        def fail(path, calls=calls, number=number):
            calls.append(path)
            if len(calls) == number + 1:
                raise OSError(errno.EIO, "Input/output error", str(path))
            works(path)

        monkeypatch.setattr(change_steps, "sync_folder", fail)
        assert isinstance(run(replace(options, max_iters=8, seed=number + 1))[-1], Finished)
        assert len(calls) > number
        monkeypatch.setattr(change_steps, "sync_folder", works)
        assert read_checkpoint(folder).meta["options"]["seed"] == number + 1
        kept = (home / ".replaced" / "nanogpt-blog" / "model.safetensors").read_bytes()
        assert kept == old and not list(home.glob(".nanogpt-blog.*"))
        CliRunner().invoke(nanogpt, ["restore", "nanogpt-blog"])
        shutil.rmtree(home / ".replaced")


def test_a_rename_that_the_disk_refuses_half_way_is_finished_by_the_next_command(options, home, monkeypatch):  # noqa: F811
    run(replace(options, max_iters=4))
    works = renaming.write_json

    def fail(file, value):
        raise OSError(errno.EIO, "Input/output error", str(file))

    monkeypatch.setattr(renaming, "write_json", fail)
    with pytest.raises(NanogptError, match="Cannot change"):
        rename_model(home / "nanogpt-blog", "other")
    monkeypatch.setattr(renaming, "write_json", works)
    assert CliRunner().invoke(nanogpt, ["models"]).exit_code == 0
    assert read_checkpoint(home / "other").meta["name"] == "other" and not list(home.glob(".*.change"))


def test_tokens_that_cannot_be_opened_now_are_not_called_lost(options, home, monkeypatch):  # noqa: F811
    def refuse(*args, **kwargs):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("datasette_nanogpt.data.token_files.np.memmap", refuse)
    with pytest.raises(NanogptError) as told:
        list(train_table(options))
    assert "Too many open files" in str(told.value) and "ulimit -n" in str(told.value)
    assert "lost its tokens" not in str(told.value) and "\n" not in str(told.value)


def test_a_training_folder_that_refuses_is_not_called_saved(options, home, monkeypatch):  # noqa: F811
    """Weights and scores beside it are written, but no state."""
    refuse(monkeypatch, "write_state", errno.EROFS, times=10**6)
    events = run(replace(options, max_iters=24))
    notes = [e.text for e in events if isinstance(e, Note) and "written" in e.text]
    assert len(notes) == 1 and "/training cannot be written (Read-only" in notes[0], notes
    assert "--resume would lose its progress" in notes[0]
    assert isinstance(events[-1], Finished)


def test_a_model_of_an_earlier_run_is_not_called_what_was_saved_last(options, home, monkeypatch):  # noqa: F811
    """Nor is it the one to resume."""
    run(options)
    refuse(monkeypatch, "write_weights", errno.ENOSPC, times=100)
    with pytest.raises(
        NanogptError, match=r"full\. nanogpt-blog is as it was before this run: make room"
    ) as told:
        run(options)
    assert "train again" in str(told.value) and "--resume" not in str(told.value)


def test_a_run_that_memory_ends_says_what_it_has_kept(options, home, monkeypatch):  # noqa: F811
    run(options)  # which is no model of the next run
    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", no_memory_after(Training.evaluate, 0))
        with pytest.raises(NanogptError, match="not enough memory") as told:
            run(options)
    assert "--resume" not in str(told.value)
    with monkeypatch.context() as patch:
        patch.setattr(Results, "score", no_memory_after(Results.score, 1))
        with pytest.raises(NanogptError, match="not enough memory") as told:
            run(options)
    kept = f"What was saved last is in {home / 'nanogpt-blog'}, of step "
    assert kept in str(told.value) and str(told.value).endswith(": --resume goes on with it")
    assert run(TrainOptions(options.database, "entry", resume=True))[-1].step == options.max_iters


def no_memory_after(function, times):
    """The function, which has no memory left once it was called so often."""
    calls = []

    def called(*args):
        calls.append(args)
        if len(calls) > times:
            raise MemoryError
        return function(*args)

    return called
