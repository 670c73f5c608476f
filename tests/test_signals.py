"""Ctrl+C before training begins, even if a library swallows it, and during training; closed terminals."""

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS
from test_pipeline import database  # noqa: F401

from datasette_nanogpt.cli import stop_on_signals, train_command
from datasette_nanogpt.events import Evaluation, Prepared
from datasette_nanogpt.registry.runs import find_runs
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from llm_nanogpt.checkpoint import read_checkpoint

SHAPE = "--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --vocab-size 300"
TINY = [*SHAPE.split(), "--max-iters", "2", "--device", "cpu", "--no-compile"]


@pytest.fixture(autouse=True)
def ctrl_c():
    """The tests may run where it is ignored, as in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_was_swallowed_still_keeps_training_from_beginning():
    stop, before = Stop(), signal.getsignal(signal.SIGINT)
    with stop_on_signals(stop) as training_begins:
        with suppress(KeyboardInterrupt):  # as some imports do
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            training_begins()
    assert not stop.requests and signal.getsignal(signal.SIGINT) == before


def test_once_training_has_begun_an_interrupt_is_a_request():
    stop = Stop()
    with stop_on_signals(stop) as training_begins:
        training_begins()
        signal.raise_signal(signal.SIGINT)
    assert stop.requests == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_before_it_trains_is_recorded_as_stopped(database, home, monkeypatch, number):  # noqa: F811
    def prepare(self, corpus, final):
        signal.raise_signal(number)
        yield

    monkeypatch.setattr("datasette_nanogpt.training.table_run.TableRun.prepare", prepare)
    handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, handler)  # the tests may run where it is ignored, as under nohup
    try:
        done = CliRunner().invoke(train_command, [str(database), "entry", "--name", "m", *TINY])
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, before)
    assert done.exit_code == 128 + number and "nothing was changed" in done.stderr
    (run,) = find_runs(home)
    assert run["status"] == "stopped" and run["ended"] and not run["error"]
    assert not [*home.glob(".m.*")]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize("ignored", [False, True])
def test_the_end_of_the_terminal_stops_training_unless_nohup_ignores_it(ignored):
    stop = Stop()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with stop_on_signals(stop) as training_begins:
            training_begins()
            signal.raise_signal(signal.SIGHUP)
        assert stop.requests == (0 if ignored else 2)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_cannot_be_printed_ends_no_training(database, home, monkeypatch, code):  # noqa: F811
    """As when the terminal is closed, or the disk is full that a log is written to."""
    told = []

    def refuse(self, event):
        if isinstance(event, Evaluation):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr("datasette_nanogpt.terminal.PlainDisplay.event", refuse)
    monkeypatch.setattr("datasette_nanogpt.cli.silence", lambda ex, what: told.append(ex))
    done = CliRunner().invoke(train_command, [str(database), "entry", "--name", "m", *TINY])
    assert done.exit_code == 0, done.output
    assert told and told[0].errno == code and read_checkpoint(home / "m").weights["val_bpb"]


def test_a_reader_that_goes_away_stops_training_which_keeps_what_it_has_learned(database, home):  # noqa: F811
    command = [
        sys.executable,
        "-m",
        "datasette",
        "nanogpt-train",
        str(database),
        "entry",
        "--name",
        "m",
        *TINY,
    ]
    command += ["--max-iters", "1000000", "--eval-interval", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert any("bits per byte on held-out text" in line for line in process.stdout)
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(HANG_SECONDS) == 0
    assert told == "Nothing more is printed (Broken pipe): training stops, and keeps what it has learned.\n"
    (run,) = find_runs(home)
    trained = read_checkpoint(home / "m").meta["training"]
    assert run["status"] == trained["status"] == "stopped" and trained["step"] >= 20


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="this system has no Ctrl+Z")
def test_a_pause_does_not_count_as_training(database, monkeypatch):  # noqa: F811
    """As with Ctrl+Z, and `fg` an hour later."""
    hours, stop = [0.0], Stop()
    moved = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 * hours[0])
    monkeypatch.setattr("datasette_nanogpt.training.clock.time", moved)
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
    options = TrainOptions(str(database), "entry", minutes=0.1, device="cpu", compile=False, **shape)
    before = signal.getsignal(signal.SIGCONT)
    with stop_on_signals(stop) as training_begins:
        for event in train_table(options, stop):
            if isinstance(event, Prepared):
                training_begins()
                hours[0] = 1.0
                signal.raise_signal(signal.SIGCONT)
    assert signal.getsignal(signal.SIGCONT) == before
    assert event.status == "finished" and event.step > 1 and event.seconds < 60
