"""What a terminal shows of a run."""

import pytest

from datasette_nanogpt.events import Busy, Evaluation, Step
from datasette_nanogpt.terminal import BAR_COLUMNS, TerminalDisplay, status

STEP = Step(
    step=1234,
    train_loss=3.25,
    train_bpb=1.5,
    tokens_per_second=12345.0,
    learning_rate=0.02,
    seconds=60.0,
    progress=0.1,
    eta=573.0,
    mfu=0.61,
    memory=None,
)
EVERYTHING = "step 1,234  loss 3.250  2.125 bits per byte  12,345 tokens/s (61% MFU)  9m 33s left"


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (120, EVERYTHING),
        (80, "step 1,234  loss 3.250  2.125 bits per byte  9m 33s left"),
        (60, "step 1,234  2.125 bits per byte  9m 33s left"),
        (50, "2.125 bits per byte  9m 33s left"),
        (30, "9m 33s left"),
    ],
)
def test_the_line_fits_and_keeps_the_time_left(columns, line):
    assert status(STEP, "2.125 bits per byte", columns) == line
    assert len(line) + BAR_COLUMNS <= columns


def test_before_the_first_score_there_is_none():
    assert status(STEP, "", 120) == EVERYTHING.replace("2.125 bits per byte  ", "")


def test_a_bar_does_not_go_on_scoring_once_the_score_is_there(capsys):
    with TerminalDisplay() as display:
        for event in (
            STEP,
            Busy("scoring on held-out text, 98%"),
            Evaluation(1234, 2.125, 4.5, 3.25, 61.0, True, "Row"),
        ):
            display.event(event)
        out, err = capsys.readouterr()
    assert "2.125 bits per byte" in out and "scoring" in err
    assert "scoring" not in err.split("\r")[-1] and "9m 33s left" in err.split("\r")[-1]
