"""Which of two runs is better, and how sure that is: the head of their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llm_nanogpt.counts import counted

from ..formatting import duration
from ..registry.runs import OVER
from ..training.run_before import held_out_alike
from .chart import Score
from .machines import UNEVEN, times_as_fast
from .run_states import short_reason

# A gap of more than this many margins, three standard errors, is due to the choice of rows once in 370 times.
CLEARLY = 1.5
NOTICEABLE = 0.02  # a gap of less than this fraction of the score can be sure, but is hardly seen in texts
QUICKER = 0.8  # of two equally good runs, one that trained for less than this fraction of the other's time


class Outcome(NamedTuple):
    """Whether the scores of two runs can be compared, which is better and how sure that is, and by how much,
    or why they cannot be compared."""

    comparable: bool
    headline: str
    reason: str
    better: int | None = None  # the id of the run whose model is worth writing with, if that is known
    advice: str = ""  # what to do for a fair comparison, if the reason does not say it
    again: tuple[int, ...] = ()  # the ids of the runs to train again for that
    equal: bool = False  # whether either model can be taken; `better` is then the run that took less time
    equal_times: Mapping[int, float] | None = None  # the scores that the headline is about, by the runs' ids


def outcome_of(
    a: dict[str, Any], b: dict[str, Any], margin: float | None, short: Mapping[int, float]
) -> Outcome:
    """What to make of the scores of two runs. `margin` is that of `margin_between`; `short` has the ids of
    those of seconds, and these."""
    if outcome := _not_comparable(a, b):
        return outcome
    better, worse = sorted((a, b), key=lambda run: float(run["val_bpb"]))
    less = worse["val_bpb"] - better["val_bpb"]
    if round(less, 3) == 0:
        reason = "They have the same score on the same held-out rows."
        return Outcome(True, "Both are equally good.", reason, equal=True)
    percent = f"{less / worse['val_bpb']:.{0 if less > worse['val_bpb'] / 100 else 1}%}"
    much = f"{less:.3f} bits per byte ({percent}) less on the same held-out rows"
    if margin is not None and less <= margin:
        gap = f"on other rows like these the gap could be {margin:.3f} more or less"
        reason = f"Run {better['id']} needs {much}, but {gap}."
        return Outcome(True, "There is no clear difference.", reason, equal=True)
    so_far = "" if all(run["status"] in OVER for run in (a, b)) else " so far"
    if margin is None and short and not so_far:
        return _of_seconds(better["id"], f"{less:.3f} bits per byte ({percent}) better", much, short)
    little = "" if less >= NOTICEABLE * worse["val_bpb"] else "a little "
    sure = "clearly " if margin is not None and less > CLEARLY * margin else "probably "
    sure = little if little and sure == "clearly " else sure + little
    whose = f"Run {better['id']}, {better['name']},"
    times = times_as_fast(better, worse)
    but = (
        f", but its machine was {times:.{0 if times >= 10 else 1}f} times as fast" if times >= UNEVEN else ""
    )
    fair = f"To compare fairly, train run {worse['id']} again when the machine is idle."
    advised = (fair, (worse["id"],)) if but and not so_far else ("", ())
    if margin is None:
        not_sure = "" if but else " It was not measured how certain this is."
        headline = f"{whose} scored better{so_far}{but}."
        return Outcome(True, headline, f"It needs {much}.{not_sure}", better["id"], *advised)
    headline = f"{whose} is {sure}better{so_far}{but}."
    give_or_take = f"give or take {f'{margin:.3f}' if round(margin, 3) else 'less than 0.001'}"
    so_what = ": measurable, but you will hardly notice it" if little else ""
    return Outcome(True, headline, f"It needs {much}, {give_or_take}{so_what}.", better["id"], *advised)


def _not_comparable(a: dict[str, Any], b: dict[str, Any]) -> Outcome | None:
    """Why the scores of two runs cannot be compared; None if they can."""
    without = [run for run in (a, b) if run["val_bpb"] is None]
    if without:
        over = [run["id"] for run in without if run["status"] in OVER]
        headline = f"Run {without[0]['id']} has no score to compare{'' if over else ' yet'}."
        why = f"{why_no_score(without[0]) or 'It was not scored'}." if over else ""
        return Outcome(False, headline, why, again=tuple(over[:1]))
    if not held_out_alike(a, b):
        why = "The two runs were scored on different held-out rows: their text or their seed differs."
        return Outcome(False, "These scores cannot be compared.", why)
    return None


def _of_seconds(better: int, by_so_much: str, much: str, short: Mapping[int, float]) -> Outcome:
    """The outcome where one run or both, those in `short`, trained for seconds."""
    if len(short) > 1:
        why = f"Run {better} is {by_so_much}, but both trained for only seconds."
        return Outcome(True, "Too short to tell.", why, again=tuple(short))
    ((run, seconds),) = short.items()
    though = "though it" if run == better else f"but run {run}"
    trained = f"{though} trained for only {counted(max(1, round(seconds)), 'second')}"
    return Outcome(
        True, f"Run {better} is better, {trained}.", f"It needs {much}.", better, again=tuple(short)
    )


def take_either(
    outcome: Outcome, runs: Sequence[dict[str, Any]], scores: Sequence[Sequence[Score]]
) -> Outcome:
    """What follows for two runs that are about as good: either will do, and which one was clearly quicker, by
    how long each trained until its last score."""
    if any(run["status"] not in OVER for run in runs):
        return outcome
    seconds = [side[-1][0] if side else 0.0 for side in scores]
    short, long = sorted(seconds)
    if not 0 < short < QUICKER * long:
        return outcome._replace(reason=f"{outcome.reason} Take either.")
    quick = runs[list(seconds).index(short)]["id"]
    took = f"run {quick} trained for {duration(short)}, not {duration(long)}"
    return outcome._replace(reason=f"{outcome.reason} Take either; {took}.", better=quick)


def tell_times(
    outcome: Outcome, runs: Sequence[dict[str, Any]], scores: Sequence[Sequence[Score]]
) -> Outcome:
    """The outcome of two runs with scores of which one has not ended: how they compare after equal times, if
    that is known, or else their last scores with how long each has trained. How sure that is is only known at
    the end."""
    if not outcome.comparable or all(run["status"] in OVER for run in runs) or not all(scores):
        return outcome
    short, long = sorted((0, 1), key=lambda i: scores[i][-1][0])
    time = {runs[i]["id"]: duration(scores[i][-1][0]) for i in (short, long)}
    ahead, behind = runs[long]["id"], runs[short]["id"]
    before = [bpb for seconds, bpb in scores[long] if seconds <= scores[short][-1][0]]
    if not before:
        better, worse = sorted(time, key=lambda run: run != outcome.better)
        headline = f"{outcome.headline.removesuffix('.')}, after {time[better]} against {time[worse]}."
        return outcome if time[ahead] == time[behind] else outcome._replace(headline=headline)
    equal = {ahead: min(before), behind: runs[short]["val_bpb"]}
    gap = round(equal[behind] - equal[ahead], 3)
    percent = f"{abs(gap) / max(equal.values()):.{0 if abs(gap) > max(equal.values()) / 100 else 1}%}"
    which = f"run {ahead if gap > 0 else behind} is {abs(gap):.3f} bits per byte ({percent}) better"
    fair = f"After {time[behind]} each, {which if gap else 'both are equally good'}."
    return outcome._replace(headline=fair, reason="", equal_times=equal)


def why_no_score(run: dict[str, Any]) -> str:
    """Why a run that is over has no score, as far as that is known."""
    how = {"failed": "It failed: ", "interrupted": "It was interrupted: ", "stopped": "It was stopped "}
    reason = short_reason(run)
    return f"{how[run['status']]}{reason}" if reason and not run["goes_on"] else ""
