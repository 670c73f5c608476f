"""What the page of a run says in each state: waiting, preparing, running, ending, done or broken off."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_nanogpt.counts import counted

from ..formatting import duration, seconds_between
from ..registry.runs import DIVERGED, MEMORY, NAME, OVER, is_resumed, plan_of, settings_of
from ..training.replaced import kept_at_first_score, what_is_kept
from . import forms
from .disk_full import disk_was_full
from .headline import Scored, headline, levels
from .run_phases import last_parts, parts_of, phase_of, why_slow

Run = Mapping[str, Any]
CAUSES = {MEMORY: "memory ran out", NAME: "its name is taken", DIVERGED: "training broke down"}
REASON_LENGTH = 70  # characters: about half a line of a page
# What stands in place of its first text, by phase.
NOTHING = (
    "Nothing yet. At first it throws words of the rows together; then come phrases, and with some luck "
    "sentences that sound like the rows."
)
RESUMED = "Nothing yet in this run."  # the same of a run that goes on: it is past those phrases
UNWRITTEN = {"preparing": NOTHING, "running": NOTHING, "ending": RESUMED}
# Why a run trains several models: benchmarks/LOG.md, "A population".
SEVERAL = (
    "A run of this length trains several models, one after the other. Later ones are taught by earlier ones, "
    "which ends better than training one model for as long."
)
# The names of options that have no field in the form.
OTHER_LABELS = {"force": "Replace the existing model", "resume": "Keep training"}


def state_as_json(
    run: Run, first: Scored | None, training_bpb: float | None, last: Scored | None = None
) -> dict[str, Any]:
    """What changes on the page during a run. `first` is the first score of its best model, `last` the last
    score, and `training_bpb` the bits per byte of the text that it reads, until it has a score."""
    parts, prepared = parts_of(run)
    phase = phase_of(run)
    preparing, unwritten = phase == "preparing", UNWRITTEN.get(phase, "")
    return {
        "phase": phase,
        "model": run["model"] if phase == "running" else None,
        "parts": parts if preparing else last_parts(run) if phase == "ending" else [],
        "slow": why_slow(run) if preparing else "",
        "stage": SEVERAL if run["model"] and phase == "running" else "",
        "headline": headline(run, first, training_bpb, last),
        "levels": levels(run),
        "bar": prepared if preparing else run["progress"],
        "waits_for": run.get("before"),
        "unwritten": RESUMED if unwritten and is_resumed(run) else unwritten,
    }


def slower_notice(run: Run, slower: str) -> str:
    """That a run is far slower than an earlier one, as `slower` has it, and what that means for it."""
    minutes = settings_of(run).get("minutes")
    if minutes:
        time = "its minute" if minutes == 1 else f"its {minutes:g} minutes"
        so_what = f"In {time} it reads so much less text, and will write worse than that run"
    else:
        so_what = "It will take so much longer"
    remedy = "End other programs, or stop and start again when the machine is idle."
    return f"Other programs probably keep this machine busy: training is {slower}. {so_what}. {remedy}"


def what_it_replaces(home: Path, run: Run) -> str:
    """What happens at the first score of a run that is not over to the model that has its name, in sentences
    that follow whose model that is. Before the run has read its text, it is taken for that of the model."""
    if run["status"] in OVER:
        return ""
    if is_resumed(run):
        return "From its first score on it is the model of this run, which trains it on."
    kept = what_is_kept(plan_of(run)) or kept_at_first_score(home / run["name"])
    return in_words_of_the_form(" ".join(["At its first score this run takes the name.", *kept]))


def replaced_a_better_model(run: Run) -> str:
    """A sentence for a run whose model replaces a better one on the same held-out rows; "" for others."""
    before, bpb = plan_of(run).get("replaces_bpb"), run["val_bpb"]
    if before is None or bpb is None or bpb <= before:
        return ""
    if run["status"] in OVER:
        return replaced_better(before, bpb)
    kept = "It is kept, and can be brought back when this run is over."
    return f"{replaced_better(before, bpb, 'replaces')} {kept}"


def replaced_better(before: float, bpb: float, verb: str = "replaced") -> str:
    """The sentence for a run with the score `bpb` that replaced a model with a better one, `before`."""
    return (
        f"The model that this run {verb} is better on the same held-out rows: {before:.3f} bits per byte, "
        f"not {bpb:.3f}."
    )


def how_long(run: Run) -> str:
    """For a run that is over: its steps, and how long it took; "" where that is not known, as when its server
    was lost."""
    if not (run["step"] and run["started"] and run["ended"]) or run["restarts"]:
        return ""
    seconds = seconds_between(run["started"], run["ended"])
    if seconds < 0:  # the clock was set back meanwhile
        return ""
    steps = run["step"] - (plan_of(run).get("resumed_from") or 0)
    return f"{counted(steps, 'step')} in {duration(seconds)}, preparation included."


def short_reason(run: Run) -> str:
    """Half a line on why a run was stopped or broke off; "" for any other, and where nothing is known."""
    if run["status"] not in ("stopped", "failed", "interrupted"):
        return ""
    if run["goes_on"]:
        return "goes on by itself"
    if run["status"] == "stopped":
        at = f"at step {run['step']:,}" if run["step"] else "before its first step"
        return at if run["kind"] != "train" or run["val_bpb"] is not None else f"{at}, with nothing to keep"
    if disk_was_full(run):
        return "the disk was full"
    if run["cause"] in CAUSES:
        return CAUSES[run["cause"]]
    first_sentence = re.split(r"(?<=\w)[.!] |\n", in_words_of_the_form(run["error"] or ""))[0]
    first_sentence = re.sub(r"^(The|This|There|It) ", lambda word: word[0].lower(), first_sentence)
    return textwrap.shorten(first_sentence.rstrip("."), REASON_LENGTH, placeholder=" …")


def readable_log(text: str) -> str:
    """The lines of a log without their date and the level of most of them."""
    return re.sub(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d{3} (?:INFO )?", r"\1 ", text, flags=re.MULTILINE)


def in_words_of_the_form(text: str) -> str:
    """A message in which options have the names of the form, not those of the command line."""

    def label(match: re.Match[str]) -> str:
        option = match[1].replace("-", "_")
        known = forms.LABELS.get(option) or OTHER_LABELS.get(option)
        return f"“{known}”" if known else match[0]

    # The form replaces no model of another table.
    text = re.sub(
        "([Cc])hoose another with --name, or replace it with --force", r"\1hoose another name", text
    )
    return re.sub(r"--([a-z][a-z-]*[a-z])", label, text)
