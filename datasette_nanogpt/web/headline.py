"""The main number of a run, how to judge it, and what the verdict at its end adds to that."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..formatting import in_minutes, time_left
from ..registry.runs import OVER, is_resumed, plan_of, settings_of
from ..training.verdict import BUSY, CERTAINTY, LEVELS, WITH_FAULTS, level_of
from .first_score import is_short, when_first
from .run_phases import Run, last_part

Scored = tuple[float | None, str]  # a score in bits per byte, and the name of its model if a run has several

UNIT, OF_TRAINING = "bits per byte", "bits per byte on the text that it is reading"  # after the number


def headline(
    run: Run, first: Scored | None, training_bpb: float | None = None, last: Scored | None = None
) -> dict[str, str]:
    """The main number of a run, its unit, what says how to judge it (`fell`), and how long is left (`left`).
    Before the first score the number is `training_bpb`, that of the text that the run is reading. `first` is
    the first score of its best model, `last` the last score of any."""
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
    fell = (first_bpb - bpb) / first_bpb if first_bpb else 0.0
    has_fallen = round(fell, 2) > 0
    if model and not over:
        down = f", down {fell:.0%} from its first score" if has_fallen else ""
        behind = last and last[0] and last[0] > bpb and last[1] != model
        now = f"; {last[1]} is at {last[0]:.3f}" if last and behind else ""
        remarks.append(f"Best so far, by {model}{down}{now}.")
    elif has_fallen:
        score = f"the first score of {model}" if model else "its first score"
        remarks.append(f"Down {fell:.0%} from {score}, {first_bpb:.3f}.")
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
    plan = plan_of(run)
    bpb, letters, gzip_bpb = run["val_bpb"], plan.get("letters"), plan.get("gzip_bpb")
    if not letters or (bpb is None and run["status"] != "running"):
        return []
    now = level_of(bpb / letters, bpb / gzip_bpb if gzip_bpb else 0.0) if bpb is not None else len(LEVELS)
    states = ["next" if i < now else "now" if i == now else "done" for i in range(len(LEVELS))]
    return [{"label": like, "state": state} for (_, like), state in zip(LEVELS, states, strict=True)][::-1]


def advice_of(verdict: Mapping[str, str]) -> dict[str, str]:
    """The command that a verdict advises, and why; "" for a part that it does not have."""
    command, _, why = verdict.get("next", "").rpartition("  (")
    return {"command": command, "why": why.removesuffix(")") if command else why}
