"""The figures and samples of a run, as its chart and those who follow it read them from the registry."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

# [id, step, seconds, train_bpb, val_bpb, model]; bits per byte, None where there are none
Metric = list[Any]
# A single window says little. The weight of the figures before the last one, where the slider of the chart
# begins, and how many figures count: those of the last 20 s.
SMOOTHING, TRAINING_ROWS = 0.8, 40
FEW_ROWS = 20  # fewer figures than this are not smoothed: they fall too fast
# The number of the model that is made of others (training/join_models.py), whose step is theirs. Models that
# are trained have the numbers from 1 that the command and the page of the run call them by.
JOINED = 0


def metrics_after(
    db: sqlite3.Connection, run: int, after: int = 0, points: int | None = None, limit: int = -1
) -> list[Metric]:
    """The metrics of a run after the one with the id `after`, the first `limit` of them: every score, and of
    the rest no more than about `points`."""
    # 9e999 is infinity, which JSON does not know.
    figures = "nullif(train_bpb, 9e999), nullif(val_bpb, 9e999), ifnull(model, 1)"
    select = f"select id, step, seconds, {figures} from metrics"
    having = " where run = ? and id > ? and step is not null order by id limit ?"
    rows = [list(row) for row in db.execute(select + having, [run, after, limit])]
    every = max(1, math.ceil(len(rows) / points)) if points else 1
    return [row for i, row in enumerate(rows) if i % every == 0 or row[4] is not None or i == len(rows) - 1]


class Score(NamedTuple):
    """A score of one of a run's models."""

    step: int
    bpb: float | None  # bits per byte; None where it was infinite
    model: int  # its number; JOINED for the one that is made of others


def scores_of(db: sqlite3.Connection, run: int) -> list[Score]:
    """All scores of a run, in their order."""
    select = (
        "select step, nullif(val_bpb, 9e999), ifnull(model, 1) from metrics "
        "where run = ? and val_bpb is not null order by id"
    )
    return [Score(*row) for row in db.execute(select, [run])]


def first_score(scores: Sequence[Score]) -> Score | None:
    """The first score of the model that has the best one; None if there is none."""
    best = min(scores, key=lambda score: math.inf if score.bpb is None else score.bpb, default=None)
    return next((score for score in scores if best and score.model == best.model), None)


def model_name(number: int) -> str:
    """What a model of a run is called, as on its chart (static/chart_math.js)."""
    return "the joined model" if number == JOINED else f"model {number}"


def training_now(db: sqlite3.Connection, run: int) -> float | None:
    """Bits per byte of the text that a run was last trained on, smoothed as in the chart of its page
    (static/chart_math.js), over its last TRAINING_ROWS figures, or the last of fewer than FEW_ROWS; None if
    it has none."""
    last = "select nullif(train_bpb, 9e999) from metrics where run = ? and train_bpb is not null"
    rows = db.execute(f"{last} order by id desc limit ?", [run, TRAINING_ROWS])
    figures = [bpb for (bpb,) in rows if bpb is not None]
    if len(figures) < FEW_ROWS:
        return next(iter(figures), None)
    weights = [SMOOTHING**age for age in range(len(figures))]
    return sum(w * bpb for w, bpb in zip(weights, figures, strict=True)) / sum(weights)


def mean_speed(db: sqlite3.Connection, run: int) -> float | None:
    """Tokens a second of a run, over all its training: on a busy machine, those of its last half second may
    be half as many. None where it was not measured."""
    mean = "select avg(tokens_per_second) from metrics where run = ? and tokens_per_second is not null"
    speed: float | None = db.execute(mean, [run]).fetchone()[0]
    return speed


def speed_of_last_model(db: sqlite3.Connection, run: int) -> tuple[float | None, float]:
    """Mean tokens a second of the last model of a run, as earlier ones may be smaller, and for how many
    seconds it was trained; None where the speed was not measured."""
    trained = "from metrics where run = ?1 and tokens_per_second is not null"
    last = f"select model {trained} order by id desc limit 1"
    select = f"select avg(tokens_per_second), max(seconds) - min(seconds) {trained} and model is ({last})"
    speed, seconds = db.execute(select, [run]).fetchone()
    return speed, seconds or 0.0


def samples_after(db: sqlite3.Connection, run: int, after: int = 0, limit: int = -1) -> list[dict[str, Any]]:
    """The samples of a run after the one with the id `after`, the first `limit` of them."""
    select = "select id, step, nullif(val_bpb, 9e999) as val_bpb, sample from samples"
    having = " where run = ? and id > ? order by id limit ?"
    return [dict(row) for row in db.execute(select + having, [run, after, limit])]


def bits_of_documents(db: sqlite3.Connection, run: int) -> tuple[list[float], list[float]]:
    """The bits and bytes of the first held-out documents, or of all; empty if not measured."""
    select = "select bits, bytes from documents where run = ? order by id desc limit 1"
    row = db.execute(select, [run]).fetchone()
    return (json.loads(row[0]), json.loads(row[1])) if row else ([], [])


def last_sample(db: sqlite3.Connection, name: str, database: str, table: str) -> str:
    """What the model of that name wrote last in a run on that table; "" if nothing is known."""
    select = (
        "select sample from samples where run = (select max(id) from runs where name = ? and kind = 'train' "
        'and database = ? and "table" = ? and val_bpb is not null) order by id desc limit 1'
    )
    row = db.execute(select, [name, database, table]).fetchone()
    return str(row["sample"]) if row else ""


def scores_of_runs(db: sqlite3.Connection, runs: list[int]) -> dict[int, list[float]]:
    """Every score of each run, in bits per byte, by the run's id."""
    marks = ", ".join("?" * len(runs))
    select = f"select run, val_bpb from metrics where val_bpb is not null and run in ({marks}) order by id"
    scores: dict[int, list[float]] = {}
    for run, bpb in db.execute(select, runs):
        scores.setdefault(run, []).append(bpb)
    return scores
