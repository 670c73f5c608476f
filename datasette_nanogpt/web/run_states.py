"""What the page of a run says in each state: waiting, preparing, running, ending, done or broken off."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_nanogpt.counts import counted

from ..events import LastPart, Part
from ..formatting import duration, in_minutes, time_left
from ..registry.runs import DIVERGED, MEMORY, NAME, OVER, is_resumed, plan_of, settings_of
from ..training.replaced import kept_at_first_score, what_is_kept
from ..training.verdict import BUSY, CERTAINTY, LEVELS, WITH_FAULTS, level_of
from . import forms
from .disk_full import disk_was_full
from .first_score import is_short, when_first

Run = Mapping[str, Any]
Scored = tuple[float | None, str]  # a score in bits per byte, and the name of its model if a run has several

# The label of each part of the work before training, and about which fraction of that work it is. On two
# cores, a table of 2 MB takes 10 s in all.
PARTS: dict[str, tuple[str, float]] = {
    Part.LOOKING: ("Look through the rows", 0.1),
    Part.READING: ("Read the text", 0.3),
    Part.DEDUPLICATING: ("Find copies and near-duplicates", 0.1),
    Part.VOCABULARY: ("Make a vocabulary", 0.15),
    Part.TOKENIZING: ("Turn the text into tokens", 0.15),
    Part.MEASURING: ("Measure how fast this machine is", 0.1),
    Part.BUILDING: ("Build the model", 0.1),
}
# What is counted, where the label says the rest and a line of a phone has no room for it.
UNITS: dict[str, str] = {Part.DEDUPLICATING: "found", Part.VOCABULARY: "tokens"}
LAST_PARTS: dict[str, str] = {
    LastPart.SCORING: "Score it for the last time",
    LastPart.JUDGING: "Find out what it can do",
}
BEFORE = 0.1  # the fraction of a part that is not among these, such as fetching rows
START = ("Start the training program", 0.1)  # the first part of every run
MUCH_PREPARED = 0.3  # the fraction of the work before training from which on the rest is told from it
SLOW_START = 10.0  # seconds after which the page says how long a run has been preparing
CAUSES = {MEMORY: "memory ran out", NAME: "its name is taken", DIVERGED: "training broke down"}
REASON_LENGTH = 70  # characters: about half a line of a page
# What stands in place of its first text, by phase.
UNWRITTEN = {
    "preparing": "Nothing yet. At first it throws words of the rows together; then come phrases, and with "
    "some luck sentences that sound like the rows.",
    "ending": "Nothing yet in this run.",
}
UNWRITTEN["running"] = UNWRITTEN["preparing"]
RESUMED = "Nothing yet in this run."  # the same of a run that goes on: it is past those phrases
UNIT, OF_TRAINING = "bits per byte", "bits per byte on the text that it is reading"  # after the number
# Why a run trains several models: benchmarks/LOG.md, "A population".
SEVERAL = (
    "A run of this length trains several models, one after the other. Later ones are taught by earlier ones, "
    "which ends better than training one model for as long."
)
# The names of options that have no field in the form.
OTHER_LABELS = {"force": "Replace the existing model", "resume": "Keep training"}


def phase_of(run: Run) -> str:
    """The page's state for a run: queued, preparing, running, ending, done or broken. A run that was stopped
    after its first score is done."""
    match run["status"]:
        case "running" if last_part(run):
            return "ending"
        case "finished":
            return "done"
        case "stopped":
            return "broken" if run["val_bpb"] is None else "done"
        case "failed" | "interrupted":
            return "broken"
        case status:
            return str(status)


def last_part(run: Run) -> str | None:
    """Which part of the work after its last step a run is at; None if it is not that far."""
    begun = _begun(run) if run["status"] == "running" else []
    return next((name for name, *_ in reversed(begun) if name in LAST_PARTS), None)


def _begun(run: Run) -> list[list[Any]]:
    """The parts that have begun, in order: the name of each, what is done, of how much, and the unit."""
    return list(json.loads(run["preparing"] or "[]"))


def state_as_json(
    run: Run, first: Scored | None, training_bpb: float | None, last: Scored | None = None
) -> dict[str, Any]:
    """What changes on the page during a run. `first` is the first score of its best model, `last` the last
    score, and `training_bpb` the bits per byte of the text that it reads, until it has a score."""
    parts, prepared = parts_of(run)
    phase = phase_of(run)
    preparing = phase == "preparing"
    return {
        "phase": phase,
        "model": run["model"] if phase == "running" else None,
        "parts": parts if preparing else _last_parts(run) if phase == "ending" else [],
        "slow": _why_slow(run) if preparing else "",
        "stage": SEVERAL if run["model"] and phase == "running" else "",
        "headline": headline(run, first, training_bpb, last),
        "levels": levels(run),
        "bar": prepared if preparing else run["progress"],
        "waits_for": run.get("before"),
        "unwritten": RESUMED if phase == "running" and is_resumed(run) else UNWRITTEN.get(phase, ""),
    }


def parts_of(run: Run) -> tuple[list[dict[str, str]], float | None]:
    """The parts of the work before training, with their counts, and the fraction of all the work that is
    done, from 0 to 1; None before the first part begins. A resumed run has only one part."""
    begun = {name: tuple(progress) for name, *progress in _begun(run) if name not in LAST_PARTS}
    resumed = is_resumed(run)
    names = [name for name in begun if name not in PARTS]
    names += [Part.BUILDING] if resumed else PARTS
    now = max((names.index(name) for name in begun if name in names), default=-1)
    started = "now" if now < 0 else "done"
    parts = [{"label": START[0], "state": started, "count": ""}]
    done_weight, all_weight = START[1], START[1]
    for i, name in enumerate(names):
        label, weight = PARTS.get(name, (name[:1].upper() + name[1:], BEFORE))
        done, total, unit = begun.get(name, (0, 0, ""))
        state = "done" if i < now else "now" if i == now else "next"
        unit = UNITS.get(name, unit) if unit else ""
        parts.append({"label": label, "state": state, "count": _count(state, done, total, unit)})
        all_weight += weight
        done_weight += weight * (1.0 if i < now else done / total if i == now and total else 0.0)
    return parts, None if now < 0 else min(1.0, done_weight / all_weight)


def _last_parts(run: Run) -> list[dict[str, str]]:
    """The parts of the work after the last step, with what the run is doing in them. A part that was left
    out, because the run had just been scored or was to stop at once, is not among them."""
    now = last_part(run)
    begun = [name for name, *_ in _begun(run)]
    steps = f"{run['step']:,} steps" if run["step"] else ""
    parts = [{"label": "Train", "state": "done", "count": steps}]
    names = list(LAST_PARTS)
    for i, name in enumerate(names):
        state = "now" if name == now else "done" if name in begun else "next"
        if state != "next" or i > names.index(now or name):
            count = (run["note"] or "") if state == "now" and run["note"] != name else ""
            if name == LastPart.SCORING:  # how far it is: the part's name says what it does
                count = "".join(re.findall(r"\d+%$", count))
            count = count.removesuffix(" to judge it by")  # which its name says, too
            parts.append({"label": LAST_PARTS[name], "state": state, "count": count})
    return parts


def _why_slow(run: Run) -> str:
    """How long a run has been preparing, and where nothing else moves why that may be; "" for any other."""
    if not run["started"]:
        return ""
    started = datetime.fromisoformat(run["started"]).astimezone(UTC)
    seconds = (datetime.now(UTC) - started).total_seconds()
    if seconds < SLOW_START:
        return ""
    begun = _begun(run)
    if begun and begun[-1][0] != Part.MEASURING:  # its count moves
        done = parts_of(run)[1] or 0.0
        left = f", {time_left(seconds * (1 / done - 1))} until it trains" if done > MUCH_PREPARED else ""
        return f"{duration(seconds)} so far{left}."
    why = "other programs go first, so this takes longer on a busy computer"
    return f"{duration(seconds)} so far: {why}."


def _count(state: str, done: int, total: int, unit: str) -> str:
    if not unit or state == "next":
        return ""
    if state == "now" and total:
        return f"{done:,} of {total:,} {unit}"
    return f"{total or done:,} {unit}"


def headline(
    run: Run, first: Scored | None, training_bpb: float | None = None, last: Scored | None = None
) -> dict[str, str]:
    """The main number of a run, and how to judge it. Before the first score it is the number for the text
    that the run is reading; nothing is said of scores before there is a number."""
    bpb, plan = run["val_bpb"], plan_of(run)
    over = run["status"] in OVER
    eta = run["eta"] if run["eta"] is not None else _planned_seconds(run)
    left = time_left(eta) if eta is not None and not over and not last_part(run) else ""
    if run["status"] == "preparing" and (minutes := settings_of(run).get("minutes")) and not is_resumed(run):
        left = f"then at most {in_minutes(minutes)} of training"
    if bpb is None:
        if training_bpb is None or run["status"] != "running":
            return {"number": "", "unit": UNIT, "fell": "", "left": left}
        return {"number": f"{training_bpb:.3f}", "unit": OF_TRAINING, "fell": when_first(run), "left": left}
    gzip_bpb = plan.get("gzip_bpb")
    remarks, before = _certainty(json.loads(run["verdict"] or "{}"), unit_of(run)) if over else ([], [])
    first_bpb, model = first or (None, "")
    lower = (first_bpb - bpb) / first_bpb if first_bpb else 0.0
    fell = f"own {lower:.0%} from" if round(lower, 2) > 0 else ""
    if model and not over:
        down = f", d{fell} its first score" if fell else ""
        behind = last and last[0] and last[0] > bpb and last[1] != model
        now = f"; {last[1]} is at {last[0]:.3f}" if last and behind else ""
        remarks.append(f"Best so far, by {model}{down}{now}.")
    elif fell:
        score = f"the first score of {model}" if model else "its first score"
        remarks.append(f"D{fell} {score}, {first_bpb:.3f}.")
    if gzip_bpb:
        final = over and not is_short(settings_of(run))
        than = "Better than" if bpb < gzip_bpb else "Not as good as" if final else "Not yet as good as"
        remarks.append(f"{than} gzip, the file compressor: {gzip_bpb:.3f}.")
    remarks += before
    return {"number": f"{bpb:.3f}", "unit": UNIT, "fell": " ".join(remarks), "left": left}


def _certainty(verdict: Mapping[str, str], unit: str) -> tuple[list[str], list[str]]:
    """What a verdict says of a score beyond its number and gzip's, as sentences: how certain it is, and which
    score the run before had; none where it does not say. A held-out document is a `unit`."""
    if not (told := CERTAINTY.fullmatch(verdict.get("score", ""))):
        return [], []

    def measured(of: re.Match[str]) -> str:
        return f"measured on {of[1] or ''}{of[2]} {unit}{', which' if of[1] else ' that'} it never read"

    certain = re.sub(r"\bof (the ends of )?([\d,]+) (?:held-out )?documents", measured, told[1])
    before = [f"{_capitalized(told[2])}."] if told[2] else []
    return [f"{_capitalized(part)}." for part in certain.split("; ")], before


def unit_of(run: Run) -> str:
    """What a document of a run is: a row of its table, or several."""
    source = plan_of(run).get("source") or {}
    grouped = source.get("group_by") or settings_of(run).get("group_by")
    return "documents" if grouped else "rows"


def verdict_below(run: Run, verdict: Mapping[str, str]) -> dict[str, str]:
    """The lines of a verdict that the page does not show above: as its levels, below its number, or, of a run
    on a busy machine, as a notice."""
    lines = dict(verdict)
    if _certainty(lines, unit_of(run)) != ([], []) and run["val_bpb"] is not None:
        del lines["score"]
    if levels(run) and lines.get("reads like", "").removesuffix(WITH_FAULTS) in [like for _, like in LEVELS]:
        del lines["reads like"]
    if "limited by" in lines:
        lines["limited by"] = without_busy(lines["limited by"])
    return {re.sub(r"^\d+ texts$", r"checked on \g<0>", heading): line for heading, line in lines.items()}


def without_busy(limit: str) -> str:
    """What limits a run, without what is said elsewhere of a busy machine."""
    return BUSY.sub("", limit)


def busy_notice(verdict: Mapping[str, str]) -> str:
    """Why a run on a busy machine has the score that it has; "" for any other."""
    if not (busy := BUSY.search(verdict.get("limited by", ""))):
        return ""
    return f"Other programs probably kept this machine busy: training was {busy[1]}, so it read less text."


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _planned_seconds(run: Run) -> float | None:
    """How long a run that is about to make its first steps was given; None for any other."""
    minutes = settings_of(run).get("minutes")
    if run["status"] != "running" or run["step"] or is_resumed(run) or not minutes:
        return None
    return 60.0 * minutes


def levels(run: Run) -> list[dict[str, str]]:
    """What texts with each level of score read like, the lowest level first, and which level the run has
    reached: none before its first score. Empty if the text has no sentences, or a score will never come."""
    bpb, letters = run["val_bpb"], plan_of(run).get("letters")
    if not letters or (bpb is None and run["status"] != "running"):
        return []
    now = level_of(bpb / letters) if bpb is not None else len(LEVELS)
    states = ["next" if i < now else "now" if i == now else "done" for i in range(len(LEVELS))]
    return [{"label": like, "state": state} for (_, like), state in zip(LEVELS, states, strict=True)][::-1]


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
    started, ended = (datetime.fromisoformat(run[key]).astimezone(UTC) for key in ("started", "ended"))
    if ended < started:  # the clock was set back meanwhile
        return ""
    steps = run["step"] - (plan_of(run).get("resumed_from") or 0)
    took = duration((ended - started).total_seconds())
    return f"{counted(steps, 'step')} in {took}, preparation included."


def advice_of(verdict: Mapping[str, str]) -> dict[str, str]:
    """The command that a verdict advises, and why; "" for a part that it does not have."""
    command, _, why = verdict.get("next", "").rpartition("  (")
    return {"command": command, "why": why.removesuffix(")") if command else why}


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
