"""The commands as processes: real signals, real kills, real pipes. What needs none is done here."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import llm.cli
import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import HANG_SECONDS, TEXTS

from datasette_nanogpt.cli import train_command
from llm_nanogpt.checkpoint import read_checkpoint

BIN = Path(sys.executable).parent
TINY = ["--n-layer", "1", "--n-head", "2", "--n-embd", "32", "--block-size", "32", "--batch-size", "2"]
TINY += ["--vocab-size", "400", "--device", "cpu", "--no-compile"]
ENDLESS = [*TINY, "--minutes", 5, "--max-iters", 10**7]  # with minutes alone, so little text ends it


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    sqlite_utils.Database(path)["entry"].insert_all(
        {"title": f"T{i}", "body": t} for i, t in enumerate(TEXTS)
    )
    return path


def command(*args) -> list[str]:
    return [BIN / "datasette", "nanogpt-train", *map(str, args)]


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=HANG_SECONDS, **kwargs)


def in_this_process(*args):
    """As a new process does it, which imports torch, datasette and llm anew in three seconds."""
    return CliRunner().invoke(train_command, list(map(str, args)))


def start(*args):
    """A run that has begun to train, and the lines it printed."""
    process = subprocess.Popen(
        [*command(*args), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            return process
    raise AssertionError(process.stderr.read())


def test_piped_output_is_plain_lines(database, home):
    done = run(*command(database, "entry", *TINY, "--max-iters", 20, "--eval-interval", 10))
    assert done.returncode == 0, done.stderr
    preview, text = done.stdout.split("\n\nText:", 1)
    assert "the title from title, the text from body:\n    T0" in preview and "Row 0: quick" in preview
    assert "--title" in preview and "--body" in preview
    lines = f"Text:{text}".splitlines()
    assert lines[0].startswith("Text:  300 rows of entry (title + body), 17.4 kB")
    assert "30 of 300 documents held out" in lines[1] and "little to learn from" in lines[2]
    assert "20 steps" in lines[3]
    assert "memory at most" in lines[4]
    assert lines[5].startswith("step 10: ") and "bits per byte" in lines[5]
    assert lines[-1].startswith("Write with it:  llm -m nanogpt-blog ")
    assert "\x1b" not in done.stdout and "Traceback" not in done.stderr
    name = lines[-1].split()[5]
    written = CliRunner().invoke(llm.cli.cli, ["-m", name, "Row", "-o", "max_tokens", "5", "--no-log"])
    assert written.exit_code == 0 and written.stdout.strip()


def test_a_dry_run_shows_documents_and_the_plan_and_writes_no_model(database, home):
    done = run(*command(database, "entry", *TINY, "--dry-run"))
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("    Row ")]
    assert len(shown) == 3 and "    ---" in done.stdout
    assert "30 of 300 documents held out" in done.stdout and "Model: nanogpt-blog" in done.stdout
    assert done.stdout.endswith("Nothing was trained. To train, leave out --dry-run.\n")
    assert "Press Ctrl+C" not in done.stdout  # there is nothing to stop and to keep
    assert sorted(path.name for path in home.iterdir()) == [".cache"]
    again = in_this_process(database, "entry", "--dry-run", "--resume")
    assert again.exit_code == 2 and again.stderr.startswith("Error: --resume: A dry run")


def test_arguments_in_the_wrong_order(database):
    done = in_this_process("entry", database)
    assert done.exit_code == 2 and "the database comes before its tables" in done.stderr


def test_json_is_an_object_a_line(database):
    done = in_this_process(database, "entry", *TINY, "--max-iters", 4, "--eval-interval", 2, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in events if e["event"] not in ("progress", "step", "busy")] == [
        "preview",
        "prepared",
        "evaluation",
        "evaluation",
        "finished",
    ]
    assert events[-1]["val_bpb"] == min(e["val_bpb"] for e in events if e["event"] == "evaluation")


def test_errors_are_one_line(database, home):
    done = run(*command(database, "nope"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1 and "entry" in done.stderr
    done = in_this_process(database, "entry", "--minutes", 0, "--n-layer", 0)
    assert (done.exit_code, done.stderr.count("Error: ")) == (2, 2)
    assert "0.0." not in done.stderr
    assert (
        all(line.endswith(".") for line in done.stderr.splitlines())
        and "at least 0.001, not 0." in done.stderr
    )
    assert not home.exists()


def test_ctrl_c_anneals_and_keeps_the_model(database, home):
    process = start(database, "entry", *ENDLESS)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    events = map(json.loads, out.splitlines())
    *_, note, evaluation, finished = (e for e in events if e["event"] not in ("step", "busy"))
    assert process.returncode == 0 and "Traceback" not in err
    assert "Stopping" in note["text"] and finished["status"] == "stopped"
    assert read_checkpoint(home / "nanogpt-blog").meta["training"]["status"] == "stopped"
    limits = ["--max-iters", finished["step"] + 10, "--minutes", 1]
    resumed = in_this_process(database, "entry", "--resume", *limits)
    assert resumed.exit_code == 0, resumed.stderr


@pytest.mark.parametrize("signals", [[signal.SIGINT] * 2, [signal.SIGTERM]])
def test_ctrl_c_twice_or_sigterm_saves_at_once(database, home, signals):
    process = start(database, "entry", *ENDLESS)
    process.send_signal(signals[0])
    for number in signals[1:]:
        next(line for line in process.stdout if "Stopping" in line)  # else the two signals would be one
        process.send_signal(number)
    began = time.monotonic()
    process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0 and time.monotonic() - began < 60  # the run has five minutes
    assert read_checkpoint(home / "nanogpt-blog")


def test_ctrl_c_before_training_changes_nothing(database, home):
    process = subprocess.Popen(command(database, "entry", *TINY), stderr=subprocess.PIPE, text=True)
    while not (home / "nanogpt.db").exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_SECONDS)
    if process.returncode == 130:
        assert "nothing was changed" in err and not (home / "nanogpt-blog").exists()
    else:  # the signal came when training had begun
        assert process.returncode == 0
    assert "Traceback" not in err
    assert not [p for p in home.iterdir() if p.name.endswith(".new")]


def test_ctrl_c_before_the_first_step_changes_nothing(database, home):
    """While the trials of a run last: there is nothing yet that could be kept, so nobody waits for them."""
    process = subprocess.Popen(
        [*command(database, "entry", *ENDLESS), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert json.loads(next(line for line in process.stdout if "prepared" in line))["event"] == "prepared"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130 and "nothing was changed" in err and "Traceback" not in err
    assert not any('"step"' in line for line in out.splitlines())
    assert {p.name for p in home.iterdir() if p.is_dir()} <= {".cache", ".logs"}  # no model


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_a_model_that_loads(database, home):
    """Ten SIGKILLs at random moments of one run, resumed each time; then it ends like one never killed."""
    options = [*TINY, "--max-iters", 1500, "--eval-interval", 20]
    assert run(*command(database, "entry", *options, "--name", "whole")).returncode == 0
    whole = read_checkpoint(home / "whole").meta
    rng, kills, steps = random.Random(0), 0, []
    while kills < 10:
        resume = ["--resume"] if (home / "nanogpt-blog").exists() else options
        process = subprocess.Popen(command(database, "entry", *resume), stdout=subprocess.PIPE, text=True)
        if kills > 2:  # the first kills come while preparing, the others after a few scores
            scores = rng.randrange(1, 9)
            for line in process.stdout:
                scores -= line.startswith("step ")
                if not scores:
                    break
        time.sleep(rng.uniform(0, 0.5))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        if (home / "nanogpt-blog").exists():
            steps.append(read_checkpoint(home / "nanogpt-blog").meta["training"]["step"])
            written = run(BIN / "llm", "-m", "nanogpt-blog", "Row", "-o", "max_tokens", "3", "--no-log")
            assert written.returncode == 0, written.stderr
    assert kills == 10 and len(steps) >= 5 and steps == sorted(steps)
    done = run(*command(database, "entry", "--resume"))
    assert done.returncode == 0, done.stderr
    ours = read_checkpoint(home / "nanogpt-blog").meta
    assert ours["training"]["step"] == whole["training"]["step"] == 1500
    assert ours["score"]["val_bpb"] == pytest.approx(whole["score"]["val_bpb"], rel=0.01)
