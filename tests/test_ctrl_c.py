"""Ctrl+C while Python still imports what a command needs, or a library in C++."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import HANG_SECONDS

from llm_nanogpt.ctrl_c import command_begins, end_quietly, waits_for_import

# Ctrl+C comes as a module is looked for.
INTERRUPT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = {words!r}
from {program}.cli import cli
cli()
"""


@pytest.fixture(autouse=True)
def of_python():
    """Python's own handler: a server of an earlier test in this process may have left another."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("datasette_nanogpt.cli", ["datasette", "nanogpt-train", "x.db"]),
        ("datasette_nanogpt.training.options", ["datasette", "nanogpt-train", "x.db"]),
        ("datasette_nanogpt.cli", ["datasette", "nanogpt-demo-db", "x.db"]),
        ("llm_nanogpt.llm_model", ["llm", "nanogpt", "models"]),
        ("llm_nanogpt.listing", ["llm", "nanogpt", "models"]),
        ("llm_nanogpt.llm_model", ["llm", "-m", "nanogpt-tiny", "x"]),
    ],
)
def test_ctrl_c_in_an_import_is_a_line(module, words, make_model):
    make_model("nanogpt-tiny")
    code = INTERRUPT.format(module=module, words=words, program=words[0])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("datasette_nanogpt.cli", ["datasette", "inspect", "x.db"]),
        ("llm_nanogpt.llm_model", ["llm", "-m", "of-another-plugin", "x"]),
    ],
)
def test_other_commands_are_left_alone(module, words, home):
    code = INTERRUPT.format(module=module, words=words, program=words[0])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode != 130 and "KeyboardInterrupt" in done.stderr


def test_an_import_is_not_interrupted():
    before, steps = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with waits_for_import("torch"):
            signal.raise_signal(signal.SIGINT)
            steps.append("loaded")
        steps.append("went on")
    assert steps == ["loaded"] and signal.getsignal(signal.SIGINT) == before


def test_a_second_ctrl_c_does_not_wait(capfd):
    with pytest.raises(KeyboardInterrupt), waits_for_import("torch"):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        assert capfd.readouterr().err == "\nStopping as soon as torch is loaded.\n"
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")


def test_an_error_of_an_import_is_raised():
    with pytest.raises(ImportError), waits_for_import("torch"):
        raise ImportError
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_a_server_keeps_its_own_ctrl_c():
    def of_the_server(number, frame):
        pass

    before = signal.signal(signal.SIGINT, of_the_server)
    try:
        end_quietly()
        command_begins()
        assert signal.getsignal(signal.SIGINT) is of_the_server
    finally:
        signal.signal(signal.SIGINT, before)

    def in_a_thread():
        end_quietly()
        with waits_for_import("torch"):
            seen.append(signal.getsignal(signal.SIGINT))

    seen = []
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_job_in_the_background_ignores_it_still():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        end_quietly()
        with waits_for_import("torch"):
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_closed_input_is_an_empty_one(make_model):
    make_model("nanogpt-tiny")
    llm = os.path.join(os.path.dirname(sys.executable), "llm")
    words = f"{llm} -m nanogpt-tiny x -o max_tokens 2 <&-"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
