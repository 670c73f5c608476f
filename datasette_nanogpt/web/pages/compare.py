"""Two runs side by side: /-/nanogpt/compare?run=1&run=2."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasette import Request, Response
from datasette.app import Datasette

from llm_nanogpt.config import GPTConfig

from ...formatting import duration
from ...registry.db import registry
from ...registry.metrics import metrics_after, samples_after
from ...registry.runs import find_run
from ..comparison import describe_settings, held_out_alike, margin_between
from ..permissions import may
from ..responses import json_error, page, render, wants_json
from ..shown_runs import as_seen_by, require_run, run_as_json, verdict_of
from ..state import state_of
from ..threads import in_thread

# Seconds of training after which both scores are shown.
MARKS = (10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400)
WIDTH, HEIGHT = 520, 230  # the size of the chart, in its own units

# A gap of more than this many margins, three standard errors, is due to the choice of rows once in 370 times.
CLEARLY = 1.5
AUTOMATIC = "automatic"  # in place of a setting that the planner chose

Score = tuple[float, float]  # seconds of training, bits per byte
Line = tuple[str, str, str]  # the name of a figure, and its value for each run


@page
async def compare_page(datasette: Datasette, request: Request) -> Response:
    home = state_of(datasette).home
    numbers = [text for text in request.args.getlist("run") if text.isdecimal() and len(text) < 16]
    if len(numbers) != 2:
        if wants_json(request):
            return json_error("Name two runs, as in ?run=1&run=2")
        message = "Tick the boxes of two runs in the list below, then press Compare two runs"
        datasette.add_message(request, message, datasette.WARNING)
        return Response.redirect(datasette.urls.path("/-/nanogpt"))
    runs, scores, texts, sides, rows = [], [], [], [], []
    for number in numbers:
        run, origin = await require_run(datasette, request, await in_thread(find_run, home, int(number)))
        may_train = await may(datasette, request.actor, "nanogpt-train", origin)
        run = await as_seen_by(datasette, request.actor, run, origin)
        rows.append(run)
        runs.append(run_as_json(run, origin))
        scores.append(await in_thread(_scores, home, run["id"]))
        texts.append(await in_thread(_last_text, home, run["id"]))
        sides.append((_figures(run, scores[-1]), _settings(run, may_train), verdict_of(run)))
    figures, given, verdicts = zip(*sides, strict=True)
    one, other = rows
    settings = _beside(given[0], given[1], AUTOMATIC)
    settings.sort(key=lambda line: line[1] == line[2])  # what differs first
    lists = {
        "settings": settings,
        "figures": _beside(*figures),
        "scores": _at_marks(*scores),
        "verdicts": _beside(*verdicts),
    }
    outcome = _outcome(one, other, await in_thread(margin_between, home, one, other))
    if wants_json(request):
        return Response.json({"ok": True, "runs": runs, "outcome": outcome[1], **lists})
    context = {"runs": runs, "texts": texts, **lists, "chart": _chart(*scores), "outcome": outcome}
    context |= {
        "differ": [line for line in settings if line[1] != line[2]],
        "same": [line for line in settings if line[1] == line[2]],
    }
    return await render(datasette, request, "nanogpt_compare.html", context)


def _outcome(a: dict[str, Any], b: dict[str, Any], margin: float | None) -> tuple[bool, str]:
    """Whether the scores of two runs can be compared, and what to make of them: which is better, and how sure
    that is, or why they cannot be. `margin` is that of `margin_between`."""
    without = [run for run in (a, b) if run["val_bpb"] is None]
    if without:
        return False, f"Run {without[0]['id']} has no score: there is nothing to compare yet."
    if not held_out_alike(a, b):
        return False, "The two runs were scored on different held-out rows: their scores cannot be compared."
    better, worse = sorted((a, b), key=lambda run: float(run["val_bpb"]))
    less = worse["val_bpb"] - better["val_bpb"]
    if round(less, 3) == 0:
        return True, f"Both come to {better['val_bpb']:.3f} bits per byte of the same held-out rows."
    percent = f"{less / worse['val_bpb']:.{0 if less > worse['val_bpb'] / 100 else 1}%}"
    figures = (
        f"{better['val_bpb']:.3f} bits per byte of the same held-out rows, "
        f"{less:.3f} ({percent}) less than run {worse['id']}"
    )
    if margin is None:
        return True, f"Run {better['id']} is better: {figures}. How sure that is was not measured."
    if less <= margin:
        return True, (
            f"There is no clear difference. Run {better['id']} has {figures}, but on other rows like these "
            f"the gap could be {margin:.3f} more or less."
        )
    sure = "clearly" if less > CLEARLY * margin else "probably"
    return True, f"Run {better['id']} is {sure} better: {figures}, give or take {margin:.3f}."


def _scores(home: Path, run: int) -> list[Score]:
    with registry(home) as db:
        metrics = metrics_after(db, run, points=1)
    return [(metric[2] or 0.0, metric[4]) for metric in metrics if metric[4] is not None]


def _last_text(home: Path, run: int) -> str:
    with registry(home) as db:
        return "".join(sample["sample"] for sample in samples_after(db, run)[-1:])


def _figures(run: dict[str, Any], scores: Sequence[Score]) -> dict[str, str]:
    """The result of a run."""
    plan = json.loads(run["plan"] or "{}")
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


def _settings(run: dict[str, Any], may_train: bool) -> dict[str, str]:
    given = json.loads(run["settings"] or "{}")
    return describe_settings({k: v for k, v in given.items() if k not in ("name", "force")}, may_train)


def _beside(a: dict[str, str], b: dict[str, str], missing: str = "") -> list[Line]:
    return [(key, a.get(key, missing), b.get(key, missing)) for key in dict.fromkeys([*a, *b])]


def _at_marks(a: Sequence[Score], b: Sequence[Score]) -> list[Line]:
    """The best score of each run so far, after equal times in training."""
    lines = []
    for mark in MARKS:
        best = [min((bpb for seconds, bpb in side if seconds <= mark), default=None) for side in (a, b)]
        if any(side and side[-1][0] >= mark for side in (a, b)):
            lines.append((f"after {duration(mark)}", *(f"{bpb:.3f}" if bpb else "" for bpb in best)))
    last = [f"{min(bpb for _, bpb in side):.3f}" if side else "" for side in (a, b)]
    lines.append(("at the end", *last))
    return [(label, one, other) for label, one, other in lines if one or other]


def _chart(a: Sequence[Score], b: Sequence[Score]) -> dict[str, Any] | None:
    """The points of both lines of scores, and the ends of the axes. None if neither run has two."""
    if len(a) < 2 and len(b) < 2:
        return None
    bits = [bpb for _, bpb in (*a, *b)]
    low, high, end = min(bits), max(bits), max(seconds for seconds, _ in (*a, *b)) or 1.0

    scale, digits = HEIGHT / ((high - low) or 1.0), 2 if high - low > 0.1 else 3
    return {
        "sides": [
            [(round(seconds / end * WIDTH, 1), round((high - bpb) * scale, 1)) for seconds, bpb in side]
            for side in (a, b)
        ],
        "ticks": [(HEIGHT * i / 4, f"{high - (high - low) * i / 4:.{digits}f}") for i in range(5)],
        "end": duration(end),
        "size": (WIDTH, HEIGHT),
    }
