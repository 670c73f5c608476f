"""From a real SQLite file to a model folder, through the Python twin of the command."""

import errno
import json
import os
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import llm
import numpy as np
import pytest
import sqlite_utils
from conftest import TEXTS

from datasette_nanogpt.events import Busy, Evaluation, Finished, Note, Prepared, Progress, Speed, Step
from datasette_nanogpt.registry.db import open_registry
from datasette_nanogpt.registry.runs import Run
from datasette_nanogpt.terminal import closing_lines, plan_lines
from datasette_nanogpt.training import choose_members, measure, preparation, reading, recipe, table_run
from datasette_nanogpt.training.distributed import SINGLE_PROCESS
from datasette_nanogpt.training.dry_run import preview_table
from datasette_nanogpt.training.enough_text import check_enough_text
from datasette_nanogpt.training.failures import explain
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.plan_reasons import times
from datasette_nanogpt.training.recipe import plan_stages
from datasette_nanogpt.training.results import Results
from datasette_nanogpt.training.train import train_table
from llm_nanogpt.checkpoint import read_checkpoint, read_weights, write_weights
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.tokenizer import Tokenizer

TINY = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "block_size": 16,
    "batch_size": 2,
    "vocab_size": 300,
    "max_iters": 8,
    "eval_interval": 4,
    "device": "cpu",
    "compile": False,
}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    db["entry"].insert_all({"id": i, "title": f"T{i}", "body": t} for i, t in enumerate(TEXTS))
    db["note"].insert_all({"id": i, "body": t.upper()} for i, t in enumerate(TEXTS))
    db["number"].insert_all({"id": i, "size": i * 2} for i in range(10))
    db["tiny"].insert({"id": 1, "body": "too little"})
    db["empty"].create({"id": int, "body": str})
    return path


@pytest.fixture
def options(database):
    return TrainOptions(str(database), "entry", **TINY)


def run(options):
    return list(train_table(options))


def assert_same_weights(a, b):
    a, b = (read_weights(read_checkpoint(folder)) for folder in (a, b))
    assert all(np.array_equal(a[name], b[name]) for name in a | b)


def test_each_part_of_the_work_is_noted_for_those_who_wait(options, home):
    db = open_registry(home, create=True)
    db.execute("create table told (note)")
    db.execute("create trigger t after update of note on runs begin insert into told values (new.note); end")
    db.commit()
    run(options)
    parts = [note.partition(":")[0] for (note,) in db.execute("select note from told where note is not null")]
    parts = [part for part in parts if not part.startswith("scoring")]  # only on a busy machine
    each = [
        "looking through the rows",
        "reading",
        "looking for near-duplicates",
        "making the vocabulary",
        "tokenizing",
        "measuring the speed of this machine",
        "building the model",
        "trying what runs fastest here",
        "finding out what it can do",
        "comparing the score with others",
        "writing 20 texts to judge it by",
    ]
    noted = list(dict.fromkeys(parts))
    # In this order; of two that follow each other at once, a busy machine may note only the second.
    assert noted == [part for part in each if part in noted] and len(noted) >= len(each) - 2
    assert tuple(db.execute("select note from runs").fetchone()) == (None,)


def test_a_table_becomes_a_model(options, home):
    *events, last = run(options)
    first = next(event for event in events if isinstance(event, Prepared))
    assert first.corpus["documents"] == 300
    assert isinstance(last, Finished) and last.status == "finished" and last.step == 8
    checkpoint = read_checkpoint(home / "nanogpt-blog")
    meta = checkpoint.meta
    assert meta["source"]["title"] == "title" and meta["source"]["body"] == ["body"]
    assert meta["score"]["val_bpb"] == last.val_bpb == float(checkpoint.weights["val_bpb"])
    assert meta["corpus"]["train_documents"] == 270 and meta["training"]["step"] == 8
    assert Tokenizer.load(checkpoint.path).n_vocab == checkpoint.config.vocab_size == 300
    assert "quick" in Tokenizer.load(checkpoint.path).words
    assert "nanogpt-blog" in (checkpoint.path / "README.md").read_text()
    leftovers = {p.name for p in home.iterdir()} - {
        "nanogpt-blog",
        "nanogpt.db",
        "nanogpt.db-wal",
        "nanogpt.db-shm",
    }
    assert leftovers <= {".nanogpt-blog.lock", ".cache", ".logs"}


def test_a_run_keeps_a_log_that_its_model_names(options, home):
    *_, last = run(options)
    meta = read_checkpoint(home / "nanogpt-blog").meta
    log = (home / meta["training"]["log"]).read_text("utf-8")
    for words in (
        "entry of ",
        "Device: cpu (as asked)",
        "Step 4, ",
        f"{last.val_bpb:.4f}",
        "Finished after 8",
    ):
        assert words in log
    with pytest.raises(NanogptError, match="too little to train on"):
        run(replace(options, block_size=10_000))
    failed = (home / ".logs" / "run-2.log").read_text("utf-8")
    assert "ERROR Failed: " in failed and "too little to train on" in failed and "Traceback" not in failed
    run(replace(options, name="other"))  # another log
    assert (home / meta["training"]["log"]).read_text("utf-8") == log


def test_what_is_unforeseen_leaves_its_traceback_in_the_log(options, home, monkeypatch):
    monkeypatch.setattr(preparation, "plan_stages", lambda *_: 1 / 0)
    with pytest.raises(NanogptError, match=r"ZeroDivisionError.* No model was kept; .*run-1\.log") as told:
        run(options)
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    assert "Traceback" in (home / ".logs" / "run-1.log").read_text("utf-8")


def test_a_score_is_told_once_its_weights_are_in_their_place(options, home):
    scores = 0
    for event in train_table(options):
        if isinstance(event, Evaluation) and event.best:
            scores += 1
            checkpoint = read_checkpoint(home / "nanogpt-blog")
            assert checkpoint.weights["val_bpb"] == repr(event.val_bpb)
            assert checkpoint.meta["score"]["step"] == event.step
    assert scores


def test_the_registry_tells_how_a_run_went(options, home):
    events = run(options)
    db = sqlite_utils.Database(home / "nanogpt.db")
    (row,) = db["runs"].rows
    assert (row["status"], row["name"], row["table"], row["step"]) == ("finished", "nanogpt-blog", "entry", 8)
    assert json.loads(row["plan"])["corpus"]["documents"] == 300
    scores = [(e.step, e.val_bpb) for e in events if isinstance(e, Evaluation)]
    found = db.query("select step, val_bpb from metrics where val_bpb is not null order by id")
    assert [tuple(r.values()) for r in found] == scores
    assert [r["sample"] for r in db["samples"].rows] == [
        e.sample for e in events if isinstance(e, Evaluation)
    ]


def test_a_resumed_run_that_is_stopped_at_once_keeps_what_it_had(options, home):
    for event in train_table(replace(options, max_iters=10**6)):
        if isinstance(event, Evaluation):
            break
    stop = Stop()
    stop.ask(2)
    *_, last = train_table(TrainOptions(options.database, "entry", resume=True, compile=False), stop)
    assert (last.status, last.val_bpb) == ("stopped", event.val_bpb)
    db = sqlite_utils.Database(home / "nanogpt.db")
    assert [row["status"] for row in db["runs"].rows] == ["stopped", "stopped"]


def test_a_stop_at_once_tells_the_steps_that_a_resume_goes_on_from(options, home):
    stop, scored = Stop(), None
    for event in train_table(replace(options, max_iters=10**6, eval_interval=10**5), stop):
        scored = scored or (isinstance(event, Evaluation) and event.step) or None
        if scored and isinstance(event, Step) and event.step > scored:
            stop.ask(2)
    told = read_checkpoint(home / "nanogpt-blog").meta["training"]["step"]
    assert event.step == told > scored
    resumed = next(
        e
        for e in train_table(TrainOptions(options.database, "entry", resume=True, max_iters=10**6))
        if isinstance(e, Prepared)
    )
    assert resumed.resumed_from == told
    assert "(as it was when the run began, " in plan_lines(resumed)[0]


def test_a_stop_during_the_last_score_ends_a_run_that_is_whole(options):
    stop = Stop()
    for event in train_table(options, stop):
        if isinstance(event, Evaluation) and event.step == options.max_iters:
            stop.ask(1)
    assert (event.status, event.step) == ("finished", options.max_iters)


def test_a_run_that_was_killed_is_called_interrupted(options, home):
    run(options)
    db = sqlite_utils.Database(home / "nanogpt.db")
    db["runs"].update(1, {"status": "running"})
    run(options)
    assert [row["status"] for row in db["runs"].rows] == ["interrupted", "finished"]


def test_a_run_that_was_killed_after_its_last_step_is_finished_by_a_resume(options, home):
    for event in train_table(options):
        if isinstance(event, Busy) and str(event).startswith("writing 20 texts"):
            break  # to judge it by
    meta = read_checkpoint(home / "nanogpt-blog").meta
    scored = meta["score"]["val_bpb"]
    assert "verdict" not in meta
    resume = TrainOptions(options.database, "entry", resume=True)
    with pytest.raises(NanogptError, match="as planned"):
        run(replace(resume, max_iters=4))
    *_, last = run(resume)
    assert (last.status, last.step, last.val_bpb) == ("finished", options.max_iters, scored)
    assert read_checkpoint(home / "nanogpt-blog").meta["verdict"]["lines"]
    with pytest.raises(NanogptError, match="as planned"):
        run(resume)


def test_a_kill_between_weights_and_state_does_not_lose_the_better_weights(options, home):
    run(options)
    checkpoint = read_checkpoint(home / "nanogpt-blog")
    score = {"step": "8", "val_bpb": "0.5", "val_loss": "1.5"}
    write_weights(checkpoint.path / "model.safetensors", read_weights(checkpoint), score)
    *_, last = train_table(TrainOptions(options.database, "entry", resume=True, max_iters=12))
    assert (last.val_bpb, last.best_step) == (0.5, 8)
    assert read_checkpoint(home / "nanogpt-blog").weights["val_bpb"] == "0.5"


def test_anyone_may_stop_a_run_through_the_registry(options, home):
    endless = replace(options, max_iters=10**7, eval_interval=10**6)
    events = train_table(endless)
    for event in events:
        if isinstance(event, Step):
            break
    with sqlite3.connect(home / "nanogpt.db") as db:
        db.execute("update runs set stop_requested = 1")
    *_, last = events
    assert (
        last.status == "stopped"
        and read_checkpoint(home / "nanogpt-blog").meta["training"]["status"] == "stopped"
    )


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_every_tokenizer_and_architecture(options, home, arch, tokenizer):
    size = {} if tokenizer == "bpe" else {"vocab_size": None}
    run(replace(options, arch=arch, tokenizer=tokenizer, **size))
    assert read_checkpoint(home / "nanogpt-blog").config.arch == arch


def test_same_options_same_model(options, home):
    for name in ("a", "b"):
        run(replace(options, name=name))
    assert_same_weights(home / "a", home / "b")


def test_resume_ends_where_the_uninterrupted_run_does(options, home):
    *_, expected = run(replace(options, name="whole", max_iters=16))
    for event in train_table(replace(options, name="part", max_iters=16)):
        if isinstance(event, Evaluation) and event.step == 8:
            break
    *_, found = run(TrainOptions(options.database, "entry", name="part", resume=True))
    assert (found.step, found.val_bpb) == (16, expected.val_bpb)
    assert_same_weights(home / "part", home / "whole")


def test_a_finished_run_goes_on_with_a_larger_limit(options, home):
    run(replace(options, body=("body",)))
    resume = TrainOptions(options.database, "entry", resume=True)
    with pytest.raises(NanogptError, match="larger --minutes or --max-iters"):
        run(resume)
    *_, last = run(replace(resume, max_iters=12))
    assert last.step == 12
    with pytest.raises(
        NanogptError, match="leave out --n-layer, --where, or leave out --resume and add --force"
    ):
        run(replace(resume, n_layer=3, where="1", max_iters=20))
    *_, last = run(replace(options, resume=True, body=("body",), max_iters=16))
    assert last.step == 16
    with pytest.raises(NanogptError, match="no model"):
        run(replace(resume, name="other"))
    with pytest.raises(NanogptError, match="was trained on entry of"):
        run(replace(resume, table="note", max_iters=20))


def test_a_database_that_has_moved_is_the_same_one(options, home, tmp_path):
    run(options)
    here, link, there = Path(options.database), tmp_path / "link.db", tmp_path / "there" / "blog.db"
    there.parent.mkdir()
    link.symlink_to(here)
    again = {"table": "entry", "name": "nanogpt-blog", "resume": True}
    assert run(TrainOptions(str(link), **again, max_iters=12))[-1].step == 12
    sqlite_utils.Database(there)["entry"].insert({"title": "Another", "body": "Other rows"})
    with pytest.raises(NanogptError, match="was trained on entry of"):  # the old one is still in its place
        run(TrainOptions(str(there), **again, max_iters=16))
    here.rename(there)
    assert run(TrainOptions(str(there), **again, max_iters=16))[-1].step == 16
    assert read_checkpoint(home / "nanogpt-blog").meta["source"]["database"] == str(there)
    there.rename(here)
    assert run(options)[-1].status == "finished"  # replaces it without force
    other = tmp_path / "other.db"
    here.rename(other)
    with pytest.raises(NanogptError, match="taken by entry of"):
        run(replace(options, database=str(other), name="nanogpt-blog"))


@pytest.mark.parametrize("resume", [False, True])
def test_a_home_that_only_its_owner_may_read_is_told(options, home, monkeypatch, resume):
    home.mkdir(parents=True, exist_ok=True)
    exists = Path.exists

    def refuse(path, **how):
        if path.parent == home:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != home)
    with pytest.raises(NanogptError, match="^Cannot write in .*: set NANOGPT_HOME to a folder that you own$"):
        run(replace(options, resume=resume, max_iters=16))


def test_a_resume_that_breaks_off_goes_on_to_its_own_limit(options, home):
    run(options)
    resume = TrainOptions(options.database, "entry", resume=True)
    for event in train_table(replace(resume, max_iters=16)):
        if isinstance(event, Evaluation) and event.step == 12:
            break
    assert run(resume)[-1].step == 16


def test_little_text_ends_a_run_and_more_minutes_go_on_with_it(options, home, monkeypatch):
    monkeypatch.setattr(choose_members, "MAX_MODELS", 2)
    monkeypatch.setattr(reading, "MOST_REPEATS", 1)  # or else it takes longer
    by_time = replace(options, max_iters=None, minutes=0.9, batch_size=64, eval_interval=None)
    *_, last = run(by_time)
    settings = read_checkpoint(home / "nanogpt-blog").meta["settings"]
    assert last.status == "finished" and last.step == settings["max_iters"] and last.seconds < 50
    for minutes in (last.seconds / 120, 0.9):  # fewer than it took; as many as it had
        with pytest.raises(NanogptError, match="give a larger --minutes"):
            run(TrainOptions(options.database, "entry", resume=True, minutes=minutes))
    monkeypatch.setattr(choose_members, "MAX_MODELS", 3)
    for minutes in (0.89, 1.0):  # others than it had
        for event in train_table(TrainOptions(options.database, "entry", resume=True, minutes=minutes)):
            if isinstance(event, Step):
                break
        assert event.step > last.step


def test_minutes_go_on_with_a_run_that_has_all_its_steps(options, home):
    *_, last = run(options)
    resume = TrainOptions(options.database, "entry", resume=True, minutes=last.seconds / 60 + 1)
    steps = (event.step for event in train_table(resume) if isinstance(event, Step | Evaluation))
    assert next(step for step in steps if step > last.step) > last.step == options.max_iters


def test_a_name_is_not_taken_over(options, home, make_model):
    run(options)
    before = (home / "nanogpt-blog/model.safetensors").read_bytes()
    with pytest.raises(NanogptError, match="taken by entry of .*--name.*--force"):
        run(replace(options, table="note"))
    assert (home / "nanogpt-blog/model.safetensors").read_bytes() == before
    run(replace(options, seed=1))  # the same table may be trained again
    assert (home / "nanogpt-blog/model.safetensors").read_bytes() != before
    run(replace(options, table="note", force=True))
    assert read_checkpoint(home / "nanogpt-blog").meta["source"]["table"] == "note"
    make_model("imported")
    with pytest.raises(NanogptError, match="taken by an imported model"):
        run(replace(options, name="imported"))


def test_a_name_of_another_plugins_model_is_refused(options):
    with pytest.raises(NanogptError, match="llm has a model 'gpt-4o' already"):
        run(replace(options, name="gpt-4o"))


def test_a_name_that_is_an_alias_is_refused(options):
    run(options)
    llm.set_alias("blog", "nanogpt-blog")
    with pytest.raises(NanogptError, match="'blog' is an alias of nanogpt-blog.*llm aliases remove blog"):
        run(replace(options, name="blog"))


def test_what_a_run_replaces_is_told(options, home):
    first = next(e for e in run(options) if isinstance(e, Prepared))
    kept = read_checkpoint(home / "nanogpt-blog")
    score, day = kept.meta["score"]["val_bpb"], kept.meta["training"]["updated"][:10]
    second = next(e for e in run(options) if isinstance(e, Prepared))
    assert first.replaces is None
    assert second.replaces == f"{kept.meta['source']['rows']} rows, {score:.3f} bits per byte, trained {day}"
    assert f"replaces nanogpt-blog: {second.replaces}" in "\n".join(plan_lines(second))
    (home / "nanogpt-blog" / "config.json").unlink()
    third = next(e for e in run(replace(options, force=True)) if isinstance(e, Prepared))
    assert third.replaces == "a folder that holds no model that can be opened"


def test_how_often_the_text_was_read_is_told(options):
    *_, finished = run(replace(options, max_iters=30))
    assert (finished.models, finished.epochs > 0) == (1, True)
    assert f"; it read the text {times(finished.epochs)}." in closing_lines(finished)[1]
    assert "17s less than planned" in closing_lines(replace(finished, seconds_left=17.0))[2]
    several = closing_lines(replace(finished, models=3, epochs=3.96))
    assert several[1].endswith("; the last of 3 models read the text 4.0 times.")


def test_only_a_full_disk_is_called_full(tmp_path):
    told = partial(explain, home=tmp_path, group=SINGLE_PROCESS)
    assert "is full" in told(OSError(errno.ENOSPC, "No space left on device"))
    assert "is full" in told(sqlite3.OperationalError("database or disk is full"))
    other = told(FileNotFoundError(errno.ENOENT, "No such file", "fulltext/model.safetensors"))
    assert other == "The disk reports an error: No such file (fulltext/model.safetensors)"


def test_several_processes_are_planned_for_as_fast_as_they_are_together(options, monkeypatch):
    monkeypatch.setattr(measure, "training_flops", lambda *_: 1e7)
    wanted, rates = replace(options, max_iters=None, batch_size=4), {}
    for processes in (1, 4):
        monkeypatch.setattr(recipe, "rank_and_size", lambda processes=processes: (0, processes))
        _, [(_, settings)] = plan_stages(wanted, 10_000, 300, "cpu")
        rates[processes] = settings.learning_rate
    assert rates == {1: 0.02, 4: 0.01}  # of a text that is read 0.9 times, and 3.5 times


def test_what_is_given_can_be_given_again(options):
    assert "compile" not in replace(options, compile=None).given()
    assert replace(options, compile=False).given()["compile"] is False


def test_a_rate_of_ones_own_leaves_the_shrinking_as_it_is(options):
    shrinking = set()
    for rate in (None, 0.005):
        wanted = replace(options, max_iters=10**6, learning_rate=rate)
        _, [(_, settings)] = plan_stages(wanted, 10_000, 300, "cpu")
        shrinking.add(round(settings.learning_rate * settings.weight_decay, 9))
    assert len(shrinking) == 1 and shrinking != {0.0}


def test_what_is_noted_before_the_first_step_does_not_stay(options, home):
    run, seen = Run(home, "nanogpt-blog", options.database, "entry", {}), []
    events = [Note("Compiling"), Speed(False, True, 1, None, "compiled")]
    training = SimpleNamespace(run=lambda *_: iter(events), settings=SimpleNamespace(seed=0))
    leading = table_run.TableRun(options, run, Stop(), SINGLE_PROCESS)
    leading.folder = SimpleNamespace(tokenizer=None, notes=[])
    leading.results = Results(leading.folder, run, None)
    for _ in leading.train_stage(training):
        seen += [row["note"] for row in open_registry(home).execute("select note from runs")]
    assert seen == ["Compiling", None]


def test_two_runs_do_not_write_one_model(options):
    events = train_table(options)
    while not isinstance(next(events), Progress):
        pass
    with pytest.raises(NanogptError, match="being trained by another process"):
        list(train_table(options))
    events.close()
    run(options)


def test_everything_wrong_is_told_at_once(options, home):
    wrong = replace(
        options,
        table="nope",
        name="a/b",
        n_layer=0,
        dropout=1.0,
        minutes=-1.0,
        device="gpu",
        force=True,
        resume=False,
    )
    with pytest.raises(NanogptError) as ex:
        run(wrong)
    lines = str(ex.value).splitlines()
    assert len(lines) == 6
    for word, line in zip(("minutes", "layers", "dropout", "gpu", "a/b", "nope"), lines, strict=True):
        assert word in line
    assert not home.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "tiny"}, "too little to train on"),
        ({"table": "empty"}, "empty"),
        ({"table": "number"}, "no column of plain text"),
        ({"table": "missing"}, "entry, note"),
        ({"body": ("nope",)}, "The columns are: id, title, body"),
        ({"where": "id <"}, "condition 'id <' does not work"),
        ({"database": "nowhere.db"}, "no file"),
        ({"arch": "gpt2", "n_embd": 15}, "multiple of the . heads"),
        ({"n_embd": 18, "n_head": 6}, "must be an even number"),
        ({"tokenizer": "char"}, "only be set for the bpe tokenizer"),
        ({"force": True, "resume": True}, "choose either force or resume"),
        ({"device": "tpu"}, "cpu, cuda, mps"),
    ],
)
def test_each_mistake_is_one_line_and_leaves_nothing(options, home, changes, message):
    with pytest.raises(NanogptError, match=message) as ex:
        run(replace(options, **changes))
    assert "\n" not in str(ex.value)
    left = {p.name for p in home.iterdir()} if home.exists() else set()
    assert left <= {"nanogpt.db", "nanogpt.db-wal", "nanogpt.db-shm", ".nanogpt-blog.lock", ".cache", ".logs"}


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"table": "tiny", "block_size": None}, "Choose a table with more text"),
        ({"table": "tiny", "block_size": 2}, "Choose a table with more text"),
        ({"block_size": 10_000}, "or a context of at most "),
    ],
)
def test_a_dry_run_refuses_too_little_text_in_the_words_of_the_run(options, changes, advice, home):
    told = []
    for begin in (preview_table, train_table):
        with pytest.raises(InvalidOptions, match="too little to train on") as ex:
            list(begin(replace(options, **changes)))
        told.append(str(ex.value))
    assert told[0] == told[1] and advice in told[0]
    assert not list(home.glob(".*.new"))  # its tokens are gone
    if "at most" in advice:  # which is true
        longest = int(told[0].rpartition(" ")[2])
        check_enough_text({"block_size": longest}, (counts := next_counts(options)))
        with pytest.raises(InvalidOptions):
            check_enough_text({"block_size": longest + 1}, counts)


def next_counts(options):
    return next(event for event in preview_table(options) if isinstance(event, Prepared)).corpus


@pytest.mark.parametrize("begin", [train_table, preview_table])
@pytest.mark.parametrize("home", ["file/models", "/proc/models"])
def test_a_home_that_cannot_be_written(options, tmp_path, monkeypatch, home, begin):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NANOGPT_HOME", str(tmp_path / home))
    with pytest.raises(NanogptError, match="Cannot write in .*: set NANOGPT_HOME to a folder"):
        list(begin(options))


def test_a_failed_run_is_recorded_and_leaves_the_old_model(options, home):
    run(options)
    before = (home / "nanogpt-blog/model.safetensors").read_bytes()
    with pytest.raises(NanogptError, match="too little to train on"):
        run(replace(options, block_size=10_000))
    assert (home / "nanogpt-blog/model.safetensors").read_bytes() == before
    rows = list(sqlite_utils.Database(home / "nanogpt.db")["runs"].rows)
    assert [r["status"] for r in rows] == ["finished", "failed"]
    assert "too little to train on" in rows[1]["error"]


@pytest.mark.parametrize(("flops", "readings"), [(1e16, "many"), (1e3, "few")])
def test_a_size_that_is_given_still_reads_as_often_as_the_machine_can(options, monkeypatch, flops, readings):
    """The rates and the end of a run are of its readings, whoever chose the size."""
    monkeypatch.setattr(measure, "training_flops", lambda *_: flops)
    given = replace(options, minutes=10.0, max_iters=None)
    settings = next(e for e in train_table(given) if isinstance(e, Prepared)).settings
    assert (settings["weight_decay"] > 0, settings["max_iters"] is not None) == (readings == "many",) * 2
