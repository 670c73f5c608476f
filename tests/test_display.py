"""What a terminal shows of a run."""

import json

import pytest

from datasette_nanogpt.events import (
    Busy,
    Evaluation,
    Finished,
    Note,
    Part,
    Preview,
    Progress,
    Step,
    TablePreview,
)
from datasette_nanogpt.terminal import (
    BAR_COLUMNS,
    JsonDisplay,
    PlainDisplay,
    TerminalDisplay,
    closing_lines,
    excerpt,
    preview_lines,
    status,
)
from datasette_nanogpt.training.choose_members import MAX_MODELS
from llm_nanogpt.counts import counted

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
EVERYTHING = (
    "step 1,234  loss 3.250  2.125 bits per byte  12,345 tokens/s (61% of this machine's speed)  9m 33s left"
)


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
            Busy("scoring on held-out text", 0.98),
            Evaluation(1234, 2.125, 4.5, 3.25, 61.0, True, "Row"),
        ):
            display.event(event)
        out, err = capsys.readouterr()
    assert "2.125 bits per byte" in out and "scoring on held-out text, 98%" in err
    assert "scoring" not in err.split("\r")[-1] and "9m 33s left" in err.split("\r")[-1]


def test_in_a_pipe_work_is_told_once_some_of_it_is_done(capsys, monkeypatch):
    monkeypatch.setattr("datasette_nanogpt.terminal.WAIT_SECONDS", -1)
    display = PlainDisplay()
    for progress in (
        Progress(Part.LOOKING, 0, 380, "rows"),
        Progress(Part.LOOKING, 190, 380, "rows"),
        Progress(Part.MEASURING),
        Progress(Part.MEASURING),  # which says nothing new
    ):
        display.event(progress)
    assert capsys.readouterr().out.splitlines() == [f"{Part.LOOKING}: 190 of 380 rows", str(Part.MEASURING)]


def test_a_second_ctrl_c_is_named_on_the_terminal_alone(capsys):
    stopping = Note("Stopping: 8 s more while the learning rate runs down, then a last score.", stopping=True)
    for event in (stopping, Note("Now model 2 of 4.")):
        PlainDisplay().event(event)
    assert capsys.readouterr().out.splitlines() == [
        f"{stopping.text} Press Ctrl+C again to stop at once.",
        "Now model 2 of 4.",
    ]


def test_a_stopped_run_has_one_next_step():
    figures = {"step": 23, "best_step": 23, "seconds": 20.0, "seconds_left": 0.0, "mfu": None, "models": 1}
    verdict = {"next": "datasette nanogpt-train a.db t --resume  (goes on where it stopped)"}
    lines = closing_lines(
        Finished(
            **{"status": "stopped", "name": "m", "folder": "/m", "parameters": 1000, "prompt": "a"},
            **{"val_bpb": 3.0, "val_loss": 2.0, "better_before": None, "sample": "", "epochs": 0.01},
            **figures,
            verdict=verdict,
        )
    )
    assert sum("--resume" in line for line in lines) == 1 and "Stopped early." in lines
    assert any("it read the text less than 0.1 times." in line for line in lines)


def finished(**figures):
    """A run that has ended."""
    known = {"status": "finished", "name": "m", "folder": "/m", "parameters": 1000, "prompt": "a", "step": 23}
    known |= {"best_step": 23, "seconds": 20.0, "mfu": None, "models": 1, "val_bpb": 3.0, "val_loss": 2.0}
    return Finished(**{**known, "better_before": None, "sample": "", "epochs": 4.0, **figures})


def test_time_that_no_other_model_would_use_is_told_without_advice_that_changes_nothing():
    few, many = (closing_lines(finished(seconds_left=500.0, models=n)) for n in (3, MAX_MODELS))
    assert any("8m 20s less than planned. To train for longer anyway, use --resume" in line for line in few)
    wanted = f"More minutes would change nothing, as a run trains at most {MAX_MODELS} models."
    assert f"This took 8m 20s less than planned. {wanted}" in many and "--resume" not in "".join(many)


def test_a_table_without_text_and_a_query_are_called_so():
    empty = TablePreview("t", 3, None, ["body"], "", {}, {}, [], ["3 rows have no text."])
    (first, *_) = preview_lines(Preview([empty]))
    assert first == "The rows of t have no text (no title, the text from body)."


def test_several_blank_lines_are_shown_as_one():
    assert excerpt("Ada\n\n\n \n\nBen\n\nCy\n") == "    Ada\n    \n    Ben\n    \n    Cy"


def test_one_is_singular():
    assert [counted(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]


def test_json_has_a_line_for_each_state_not_for_each_percent(capsys):
    making, reading = Progress("making the vocabulary"), Progress("reading", 10, 30, "rows")
    events = [making, making, reading, Progress("reading", 20, 30, "rows"), STEP]
    events += [Busy("scoring", fraction / 100) for fraction in range(100)]
    events += [STEP, Busy("scoring", 0.0), Busy("scoring", 0.5), Busy("writing 20 texts to judge it by")]
    with JsonDisplay() as display:
        for event in events:
            display.event(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["event"], line.get("what"), line.get("done")) for line in lines]
    assert told == [
        ("progress", "making the vocabulary", 0),
        ("progress", "reading", 10),
        ("progress", "reading", 20),
        ("step", None, None),
        ("busy", "scoring", None),
        ("step", None, None),
        ("busy", "scoring", None),
        ("busy", "writing 20 texts to judge it by", None),
    ]
    assert lines[4]["fraction"] == 0.0 and lines[-1]["fraction"] is None
