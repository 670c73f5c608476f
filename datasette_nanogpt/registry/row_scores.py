"""How typical each row of a table is for a model: its bits per byte, kept in the registry.

A row with few bits per byte is like the others. The figures belong to the weights that they were computed
with: once the model is trained again they are stale. Only the last figures of each model and table are kept.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasette.utils import tilde_encode

from ..formatting import seconds_between
from .db import registry
from .runs import UNDER_WAY, delete_runs, find_runs, plan_of

WITH_FIGURES = ("finished", "stopped", "interrupted")  # the states of a scoring whose figures are shown
FEW_ROWS = 8  # with fewer, their average says little
GOES_ON = ("queued", *UNDER_WAY)  # the states of a scoring whose figures so far are shown
ORDER = {"least": "bits_per_byte desc, id", "most": "bits_per_byte, id"}  # least or most typical first
# Which rows come before one in each order; rows that tie have the order of their ids.
BEFORE = {
    order: f"(bits_per_byte {comes} :bits_per_byte or bits_per_byte = :bits_per_byte and id < :id)"
    for order, comes in {"least": ">", "most": "<"}.items()
}


def row_path(values: Sequence[Any]) -> str | None:
    """A row's primary key as Datasette's URLs have it. None if the row has no key that a URL can name."""
    if not values or any(value is None or isinstance(value, bytes) for value in values):
        return None
    return ",".join(tilde_encode(str(value)) for value in values)


def digest(text: str) -> bytes:
    """8 bytes that tell whether a row has changed since it was scored."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def delete_earlier(home: Path, run: dict[str, Any], version: str) -> None:
    """Delete earlier figures of the same rows, and those of the model's earlier weights.

    `run` is a scoring with figures, `version` that of the weights it used.
    """
    delete_runs(
        home,
        "kind = 'score' and status != 'queued' and name = ? and id < ? and "
        "(database = ? and \"table\" = ? or json_extract(plan, '$.version') is not ?)",
        [run["name"], run["id"], run["database"], run["table"], version],
    )


# ---- Reading the figures


def scorings(
    home: Path, name: str, database: str, table: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The scoring of a table by a model whose figures are shown; and the last scoring, if it is another one
    or is still under way."""
    runs = find_runs(
        home, "kind = 'score' and name = ? and database = ? and \"table\" = ?", name, database, table
    )
    with_figures = [run for run in runs if run["status"] in (*WITH_FIGURES, *GOES_ON) and run["plan"]]
    of_last_version = [run for run in with_figures if _version(run) == _version(with_figures[0])]
    # A complete scoring is shown rather than a stopped or unfinished one by the same weights.
    complete = [run for run in of_last_version if run["status"] == "finished"]
    shown = next(iter(complete + of_last_version), None)
    last = runs[0] if runs else None
    return shown, (last if last and (last is not shown or last["status"] in GOES_ON) else None)


def scored_by(home: Path, database: str, table: str) -> set[str]:
    """The names of the models with figures of a table."""
    where = "kind = 'score' and database = ? and \"table\" = ? and plan is not null"
    return {run["name"] for run in find_runs(home, where, database, table) if run["status"] in WITH_FIGURES}


def _version(run: dict[str, Any]) -> str:
    return plan_of(run)["version"]


def count(home: Path, run: int) -> int:
    """How many rows a run has scored."""
    with registry(home) as db:
        return int(db.execute("select count(*) as n from scores where run = ?", [run]).fetchone()["n"])


def spread(home: Path, run: int, count: int) -> tuple[float, float, float]:
    """The fewest bits per byte, those in the middle, and the most of the `count` rows that a run has scored;
    0 if it has scored none."""
    select = "select bits_per_byte as bits from scores where run = ? order by bits_per_byte"
    with registry(home) as db:
        places = (("", 0), ("", count // 2), (" desc", 0))
        found = [db.execute(f"{select}{order} limit 1 offset {at}", [run]).fetchone() for order, at in places]
    low, middle, high = (float(row["bits"]) if row else 0.0 for row in found)
    return low, middle, high


def flattered(home: Path, run: int) -> bool | None:
    """Whether rows that were trained on have a better score than held-out rows, by more than another choice
    of rows would move it: two standard errors. None where there are too few of either to say."""
    select = """
        select seen, count(*) as n, sum(bytes) as bytes, sum(bits) as bits, sum(bytes * bytes) as bytes2,
            sum(bits * bytes) as both, sum(bits * bits) as bits2
        from (select seen, bytes, bits_per_byte * bytes as bits from scores where run = ?)
        where seen in ('trained', 'held out') group by seen"""
    with registry(home) as db:
        sums = {row["seen"]: row for row in db.execute(select, [run])}
    if len(sums) < 2 or min(row["n"] for row in sums.values()) < FEW_ROWS:
        return None
    score, variance = {}, 0.0
    for kind, row in sums.items():
        score[kind] = mean = row["bits"] / row["bytes"]
        # As training.verdict.standard_error: what varies is a row's bits beyond the mean times its bytes.
        beyond = row["bits2"] - 2 * mean * row["both"] + mean**2 * row["bytes2"]
        variance += max(beyond, 0.0) * row["n"] / (row["n"] - 1) / row["bytes"] ** 2
    return bool(score["held out"] - score["trained"] > 2 * math.sqrt(variance))


def scoring_speed(home: Path) -> float | None:
    """Products of bytes and parameters a second of the last scoring here that was finished; None before."""
    for run in find_runs(home, "kind = 'score' and status = 'finished' and plan is not null")[:1]:
        plan = plan_of(run)
        size = sum(kind["bytes"] for kind in plan["seen"].values())
        seconds = seconds_between(run["started"], run["ended"])
        return size * plan["parameters"] / seconds if seconds > 0 and plan.get("parameters") else None
    return None


def page(home: Path, run: int, order: str, start: int, size: int) -> list[dict[str, Any]]:
    """So many of a run's figures after the first `start` ones, in an order of `ORDER`."""
    with registry(home) as db:
        rows = db.execute(
            f"select * from scores where run = ? order by {ORDER[order]} limit ? offset ?",
            [run, size, start],
        )
        return [dict(row) for row in rows]


def figure(home: Path, run: int, row: str, order: str = "most") -> dict[str, Any] | None:
    """The figures of one row; its `rank`: 1 is the most typical, and rows that tie share a rank; how many
    rows are `worse`; and its `place`, from 1, among the pages in an order of `ORDER`, where each row has its
    own."""
    with registry(home) as db:
        scored = db.execute("select * from scores where run = ? and row = ?", [run, row]).fetchone()
        if scored is None:
            return None
        count = "select count(*) as n from scores where run = :run and "
        better = db.execute(count + "bits_per_byte < :bits_per_byte", dict(scored)).fetchone()
        worse = db.execute(count + "bits_per_byte > :bits_per_byte", dict(scored)).fetchone()
        before = db.execute(count + BEFORE[order], dict(scored)).fetchone()
        places = {"rank": better["n"] + 1, "worse": worse["n"], "place": before["n"] + 1}
        return dict(scored) | places
