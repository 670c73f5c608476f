"""Two runs side by side: /-/nanogpt/compare?run=1&run=2."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasette import Request, Response
from datasette.app import Datasette

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError

from ...formatting import duration, in_minutes, time_left
from ...registry.db import registry
from ...registry.metrics import mean_speed, metrics_after, samples_after
from ...registry.runs import OVER, find_run, plan_of, settings_of
from ...training.verdict import ODD
from ..chart import NARROW, WIDE, Score, two_lines
from ..comparison import both, describe_settings, margin_between, planned_settings, same_value
from ..disk_full import free_space
from ..headline import levels, unit_of, without_busy
from ..machines import caution_of
from ..outcome import Outcome, outcome_of, take_either, tell_times, why_no_score
from ..permissions import Origin, may, origin_of_model
from ..responses import changed, json_error, not_done, page, render, sent_json, wants_json
from ..run_offers import form_filled_in, made_by
from ..run_phases import last_part
from ..shown_models import find_model
from ..shown_runs import as_seen_by, require_run, run_as_json, verdict_of
from ..state import state_of
from ..threads import UNAVAILABLE, in_thread
from ..train_again import minutes_again, train_again

# Seconds of training after which both scores are shown.
MARKS = (10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400)

SHORT = 45  # seconds: the last score of a run of a minute, the shortest that is offered, comes later

Line = tuple[str, str, str]  # the name of a figure, and its value for each run


class Side(NamedTuple):
    """One of the two runs, and what the page shows of it."""

    run: dict[str, Any]  # with the mean of its tokens a second
    as_json: dict[str, Any]
    origin: Origin
    scores: list[Score]
    text: str  # the last one that it wrote
    settings: dict[str, str]
    model: str  # the name to write with; "" if the model that it made is gone or replaced
    again: str  # the address of the form that starts it again; "" where this visitor cannot


@page("GET", "POST")
async def compare_page(datasette: Datasette, request: Request) -> Response:
    home = state_of(datasette).home
    numbers = [text for text in request.args.getlist("run") if text.isdecimal() and len(text) < 16]
    if len(numbers) != 2:
        return _ask_for_two(datasette, request)
    if request.method == "POST":
        return await _train_again(datasette, request, numbers)
    sides = [await _side(datasette, request, int(number)) for number in numbers]
    runs, scores = [side.run for side in sides], [side.scores for side in sides]
    one, other = runs
    margin = await in_thread(margin_between, home, one, other)
    outcome = outcome_of(one, other, margin, _runs_of_seconds(runs, scores))
    outcome = (take_either if outcome.equal else tell_times)(outcome, runs, scores)
    lists = _lists(sides, outcome)
    caution = outcome.advice or (caution_of(one, other) if all(scores) else "")
    shown = [side.as_json for side in sides]
    if wants_json(request):
        words = f"{outcome.headline} {outcome.reason}"
        return Response.json({"ok": True, "runs": shown, "outcome": words, "caution": caution, **lists})
    models = {side.run["id"]: side.model for side in sides if side.model}
    write_with = models.get(outcome.better or 0, "")
    either = [name for name in dict.fromkeys(models.values()) if name != write_with] if outcome.equal else []
    startable = [(side.run["id"], side.again) for side in sides if side.again]
    again = {run: (f"Start run {run} again", address) for run, address in startable}
    chart, narrow = (two_lines(scores[0], scores[1], size) for size in (WIDE, NARROW))
    context = {
        **{"runs": shown, "texts": [side.text for side in sides]},
        **{"outcome": outcome, "caution": caution, **lists},
        "again": {run: link for run, link in again.items() if run in outcome.again},
        "longer": _longer(datasette, runs, outcome, again),
        **_of_the_outcome(outcome, runs, scores, again),
        **{"write_with": write_with, "either": either},
        "chart": chart,
        "narrow": narrow,
        "no_chart": "" if chart else _why_no_chart(one, other),
        **_told_apart(lists["settings"], lists["figures"]),
        "crumbs_of": _shared([side.origin for side in sides]),
    }
    return await render(datasette, request, "nanogpt_compare.html", context)


async def _side(datasette: Datasette, request: Request, number: int) -> Side:
    home = state_of(datasette).home
    run, origin = await require_run(datasette, request, await in_thread(find_run, home, number))
    may_train = await may(datasette, request.actor, "nanogpt-train", origin)
    run = await as_seen_by(datasette, request.actor, run, origin)
    as_json = run_as_json(run, origin)
    run |= {"tokens_per_second": await in_thread(_speed, home, run["id"]) or run["tokens_per_second"]}
    checkpoint = await in_thread(find_model, home, run["name"])
    model = ""
    if checkpoint and made_by(run, checkpoint) and origin_of_model(datasette, checkpoint.meta) == origin:
        model = run["name"]
    again = await in_thread(form_filled_in, datasette, run, origin) if may_train else None
    return Side(
        run,
        as_json,
        origin,
        scores=await in_thread(_scores, home, run["id"]),
        text=await in_thread(_last_text, home, run["id"]),
        settings=_settings(run, may_train),
        model=model,
        again=again or "",
    )


def _lists(sides: Sequence[Side], outcome: Outcome) -> dict[str, list[Line]]:
    """The tables of the page: the settings of both runs, their figures, scores and verdicts."""
    one, other = sides
    are_scored = bool(one.scores and other.scores)
    figures = _beside(_figures(one.run, one.scores), _figures(other.run, other.scores))
    if not are_scored:  # there is nothing to set against what one of them has
        figures = [line for line in figures if all(line[1:])]
    verdicts = _beside(
        _for_table(_verdict(one.run), outcome),
        _for_table(_verdict(other.run), outcome),
        [_unknown(side.run) for side in sides],
    )
    planned = planned_settings(one.run), planned_settings(other.run)
    return {
        "settings": _side_by_side((one.settings, other.settings), planned),
        "figures": figures,
        "scores": _at_marks(one.scores, other.scores),
        "verdicts": verdicts if are_scored else [],
    }


def _side_by_side(
    given: Sequence[Mapping[str, str]], planned: Sequence[Mapping[str, str]]
) -> list[tuple[str, str, str]]:
    """The settings of two runs, those that differ first; what was not given is as it was planned."""
    columns = (*given, *planned)
    lines = [(key, *both(*(each.get(key) for each in columns))) for key in {**given[0], **given[1]}]
    return sorted(lines, key=lambda line: same_value(*line[1:]))


def _runs_of_seconds(
    runs: Sequence[Mapping[str, Any]], scores: Sequence[Sequence[Score]]
) -> dict[int, float]:
    """The ids of the runs that are too short to judge, with their seconds."""
    last = {run["id"]: side[-1][0] for run, side in zip(runs, scores, strict=True) if side}
    return {run: seconds for run, seconds in last.items() if seconds < SHORT}


def _longer(
    datasette: Datasette, runs: list[dict[str, Any]], outcome: Outcome, again: Container[int]
) -> float | None:
    """For how many minutes to train those again that were too short to compare; None if that does not help,
    or this visitor may not start `again` each of them."""
    is_too_short = outcome.comparable and not outcome.advice and bool(outcome.again)
    if not is_too_short or any(run not in again for run in outcome.again):
        return None
    return minutes_again(runs, state_of(datasette).limits.max_minutes)


def _ask_for_two(datasette: Datasette, request: Request) -> Response:
    """The answer to an address that does not name two runs."""
    if wants_json(request):
        return json_error("Name two runs, as in ?run=1&run=2")
    message = "Tick the boxes of two runs in the list below, then press Compare two runs"
    datasette.add_message(request, message, datasette.WARNING)
    return Response.redirect(datasette.urls.path("/-/nanogpt"))


async def _train_again(datasette: Datasette, request: Request, numbers: Sequence[str]) -> Response:
    """Queue both runs again for the same time, or only the one that had seconds if the other one had more;
    the list of runs then shows them."""
    home, found = state_of(datasette).home, []
    for number in numbers:
        run = await in_thread(find_run, home, int(number))
        found.append(await require_run(datasette, request, run, change=True))
    minutes = minutes_again([run for run, _ in found], state_of(datasette).limits.max_minutes)
    scores = [await in_thread(_scores, home, run["id"]) for run, _ in found]
    good = [run["id"] for (run, _), side in zip(found, scores, strict=True) if side and side[-1][0] >= SHORT]
    if len(good) == 1:
        found = [each for each in found if each[0]["id"] not in good]
    queued: list[int] = []
    try:
        for run, origin in found:
            if not await in_thread(form_filled_in, datasette, run, origin):
                raise NanogptError(f"Run {run['id']} can only be started again in a terminal")
            queued.append(await train_again(datasette, request, run, origin, minutes))
    except UNAVAILABLE:
        raise
    except NanogptError as ex:
        if answer := not_done(datasette, request, ex):
            return answer
    if queued and not sent_json(request):
        are = f"Runs {queued[0]} and {queued[1]} are" if len(queued) > 1 else f"Run {queued[0]} is"
        then = f"it with run {good[0]} here when it is" if len(good) == 1 else "them here when both are"
        datasette.add_message(request, f"{are} in the queue: compare {then} over")
    return changed(datasette, request, "/-/nanogpt", {"runs": queued})


def _of_the_outcome(
    outcome: Outcome,
    runs: Sequence[dict[str, Any]],
    scores: Sequence[Sequence[Score]],
    again: Container[int],
) -> dict[str, Any]:
    """What is said around the outcome. The runs in `again` can be started again."""
    equal = outcome.equal_times is not None
    failed = [run for run in runs if run["id"] in outcome.again and run["id"] in again]
    freeing = next((f"It failed: t{told[1:]}" for run in failed if (told := free_space(run))), "")
    return {
        "notes": _notes(runs, scores, equal),
        "under_way": [run for run in runs if run["status"] not in OVER],
        "scored_on": _scored_on(runs, outcome.comparable),
        "equal_time": min(side[-1][0] for side in scores) if equal else None,
        "duration": duration,
        "freeing": freeing,  # what must be done before it is started again
    }


def _told_apart(settings: Sequence[Line], figures: Sequence[Line]) -> dict[str, Any]:
    """The settings and the figures that differ, and all that are the same."""
    same = [line for line in figures if line[1] == line[2]]
    return {
        "differ": [line for line in settings if not same_value(*line[1:])],
        "figures": [line for line in figures if line not in same],
        "same": same + [line for line in settings if same_value(*line[1:])],
        "better_of": _better_of,
    }


def _shared(origins: Sequence[Origin]) -> tuple[str | None, str | None]:
    """The database and the table of both runs, as far as they are the same."""
    database = origins[0].database if origins[0].database == origins[1].database else None
    table = origins[0].tables[0] if origins[0] == origins[1] and len(origins[0].tables) == 1 else None
    return database, table


def _better_of(line: Line) -> int | None:
    """Which of the two scores of a line is better, 1 or 2; None where that is neither."""
    one, other = line[1:]
    if not (one and other) or one == other:
        return None
    return 1 if float(one) < float(other) else 2


def _notes(runs: Sequence[dict[str, Any]], scores: Sequence[Sequence[Score]], equal_times: bool) -> list[str]:
    """What stands below the score of each run: why it has none, how long a run that has not ended has
    trained, and, where the scores are those after equal times, which one it has now."""
    after = duration(min(side[-1][0] for side in scores)) if equal_times else ""
    notes = []
    for run, own in zip(runs, scores, strict=True):
        trained = duration(own[-1][0]) if own else ""
        now = f"{run['val_bpb']:.3f} {{}}, after {trained}" if equal_times and trained != after else ""
        if not own or run["val_bpb"] is None:
            notes.append(why_no_score(run))
        elif run["status"] not in OVER:
            minutes = settings_of(run).get("minutes")
            of = f" of {in_minutes(minutes)}" if minutes else ""
            left = f", {time_left(run['eta'])}" if run["eta"] is not None and not last_part(run) else ""
            here = f"After {after}; {now.format('now')}{of}" if now else f"After {trained}{of}"
            notes.append(f"{here if equal_times else f'Still training, {trained}{of}'}{left}")
        else:
            at_end = f"; {now.format('at its end')}" if now else ", its end"
            notes.append(f"After {after}{at_end}" if equal_times else "")
    return notes


def _scored_on(runs: Sequence[dict[str, Any]], comparable: bool) -> str:
    """What the scores of two runs mean; "" if neither has one."""
    if not comparable:
        scored = any(run["val_bpb"] is not None for run in runs)
        return "Bits per byte of held-out text, lower is better." if scored else ""
    run = runs[0]
    plan = plan_of(run)
    documents, gzip_bpb = (plan.get("corpus") or {}).get("val_documents"), plan.get("gzip_bpb")
    of = f"{documents:,} {unit_of(run)} that neither has read" if documents else "held-out text"
    return f"Bits per byte of {of}, lower is better" + (f"; gzip needs {gzip_bpb:.3f}." if gzip_bpb else ".")


def _why_no_chart(a: dict[str, Any], b: dict[str, Any]) -> str:
    """A sentence in place of the chart of two runs, none of which has two scores."""
    if any(run["status"] not in OVER for run in (a, b)):
        return "There is no chart yet: it begins with the second score of a run."
    if a["val_bpb"] is None and b["val_bpb"] is None:
        return "There is no chart, as neither run has a score."
    return "No chart: each run has only one score."


def _scores(home: Path, run: int) -> list[Score]:
    with registry(home) as db:
        metrics = metrics_after(db, run, points=1)
    return [(metric[2] or 0.0, metric[4]) for metric in metrics if metric[4] is not None]


def _speed(home: Path, run: int) -> float | None:
    with registry(home) as db:
        return mean_speed(db, run)


def _last_text(home: Path, run: int) -> str:
    with registry(home) as db:
        return "".join(sample["sample"] for sample in samples_after(db, run)[-1:])


def _figures(run: dict[str, Any], scores: Sequence[Score]) -> dict[str, str]:
    """The result of a run."""
    plan = plan_of(run)
    config, source = plan.get("config"), plan.get("source") or {}
    figures = {
        "bits per byte": f"{run['val_bpb']:.3f}" if run["val_bpb"] is not None else "",
        "status": run["status"],
        "training": duration(scores[-1][0]) if scores else "",
        "steps": f"{run['step']:,}" if run["step"] else "",
        "rows": f"{source['rows']:,}" if source.get("rows") else "",
        "parameters": f"{GPTConfig(**config).parameters:,}" if config else "",
        "layers x width": f"{config['n_layer']} x {config['n_embd']}" if config else "",
        "tokens a second": f"{run['tokens_per_second']:,.0f}" if run["tokens_per_second"] else "",
        "memory": f"{run['memory'] / 1e6:,.0f} MB" if run["memory"] else "",
        "started (UTC)": (run["started"] or "")[:16].replace("T", " "),
    }
    return {key: value for key, value in figures.items() if value}


def _verdict(run: dict[str, Any]) -> dict[str, str]:
    """The verdict of a run. One of seconds may have none, but what its texts read like is known."""
    now = [level["label"] for level in levels(run) if level["state"] == "now"]
    return ({"reads like": now[0]} if now else {}) | verdict_of(run)


def _settings(run: dict[str, Any], may_train: bool) -> dict[str, str]:
    given = settings_of(run)
    return describe_settings({k: v for k, v in given.items() if k not in ("name", "force")}, may_train)


def _for_table(verdict: dict[str, str], outcome: Outcome) -> dict[str, str]:
    """A verdict in which the number of texts, such as 11 in "11 texts", stands before their figures, and what
    is odd in them after these; without a busy machine if the outcome is about it."""
    lines: dict[str, str] = {}
    for heading, line in verdict.items():
        n = re.fullmatch(r"(\d+) texts", heading)
        lines |= {"its texts": f"of {n[1]}, {line}"} if n else {heading: line}
    if (odd := lines.pop(ODD, "")) and "its texts" in lines:
        lines["its texts"] += f"; {odd}"
    if outcome.advice and "limited by" in lines:
        lines["limited by"] = without_busy(lines["limited by"])
    return lines


def _unknown(run: dict[str, Any]) -> str:
    """What stands in place of a line that a verdict does not have."""
    return "not measured" if run["status"] in OVER else "known at its end"


def _beside(a: dict[str, str], b: dict[str, str], missing: Sequence[str] = ("", "")) -> list[Line]:
    return [(key, a.get(key, missing[0]), b.get(key, missing[1])) for key in dict.fromkeys([*a, *b])]


def _at_marks(a: Sequence[Score], b: Sequence[Score]) -> list[Line]:
    """The best score of each run so far, after equal times in training, the last one as long as both trained.
    Times after which neither has a better one are left out."""
    if not (a and b):
        return []
    end, lines = min(a[-1][0], b[-1][0]), dict[str, tuple[str, str]]()
    for mark in (*(each for each in MARKS if each < end), end):
        best = [min((bpb for seconds, bpb in side if seconds <= mark), default=None) for side in (a, b)]
        one, other = (f"{bpb:.3f}" if bpb else "" for bpb in best)
        if (one or other) and (one, other) != next(reversed(lines.values()), None):
            lines[f"after {duration(mark)}"] = (one, other)
    return [(after, *both_scores) for after, both_scores in lines.items()]
