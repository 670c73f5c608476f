"""Which phase a run is in, and the parts of its work before its first step and after its last one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..events import LastPart, Part
from ..formatting import duration, seconds_between, time_left, utc_now
from ..registry.runs import is_resumed

Run = Mapping[str, Any]

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


def last_parts(run: Run) -> list[dict[str, str]]:
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


def why_slow(run: Run) -> str:
    """How long a run has been preparing, and where nothing else moves why that may be; "" for any other."""
    if not run["started"]:
        return ""
    seconds = seconds_between(run["started"], utc_now())
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
