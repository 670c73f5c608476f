"""Ctrl+C before training begins, even if a library swallows it, and during training."""

import signal
from contextlib import suppress

import pytest

from datasette_nanogpt.cli import stop_on_signals
from datasette_nanogpt.training.lr_schedule import Stop


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
