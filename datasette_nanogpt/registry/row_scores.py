"""How typical each row of a table is for a model: its bits per byte, kept in the registry.

Few bits per byte: the row is like the others. The figures belong to the weights that gave them: of a model
that was trained again they are stale, and of each model and table the last ones alone are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasette.utils import tilde_encode

from . import queue

REPORT_SECONDS = 1.0  # between writes to the registry
KEPT = ("finished", "stopped")  # states of a run whose figures stand
BY = {"least": "bits_per_byte desc, id", "most": "bits_per_byte, id"}


def row_path(values: Sequence[Any]) -> str | None:
    """The address of a row in its table, as Datasette has it, by its primary key. None where it has none."""
    if not values or any(value is None or isinstance(value, bytes) for value in values):
        return None
    return ",".join(tilde_encode(str(value)) for value in values)


def digest(text: str) -> bytes:
    """What tells whether a row has changed since it was scored."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def forget_earlier(home: Path, run: dict[str, Any], version: str) -> None:
    """Figures of the same rows, and those of weights that are no more."""
    gone = "kind = 'score' and name = ? and id < ? and status not in ('queued', 'preparing', 'running') and "
    gone += "(database = ? and \"table\" = ? or json_extract(plan, '$.version') is not ?)"
    values = [run["name"], run["id"], run["database"], run["table"], version]
    with queue.registry(home) as db:
        db.execute(f"delete from scores where run in (select id from runs where {gone})", values)
        db.execute(f"delete from runs where {gone}", values)


# ---- What was found


def scorings(home: Path, name: str, database: str, table: str) -> tuple[dict | None, dict | None]:
    """The run whose figures stand, and the last one of all, if it is another: of a model and a table."""
    where = "kind = 'score' and name = ? and database = ? and \"table\" = ?"
    found = queue.runs(home, where, name, database, table)
    with_figures = [run for run in found if run["status"] in KEPT and run["plan"]]
    of_last = [run for run in with_figures if _version(run) == _version(with_figures[0])]
    # A scoring that was stopped does not take the place of a whole one of the same weights.
    kept = next((run for run in of_last if run["status"] == "finished"), next(iter(of_last), None))
    return kept, (found[0] if found and found[0] is not kept else None)


def _version(run: dict[str, Any]) -> str:
    return json.loads(run["plan"])["version"]


def page(home: Path, run: int, by: str, number: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """Page `number`, from 1, of the figures of a run, sorted as `BY` has it, and how many rows there are."""
    with queue.registry(home) as db:
        (count,) = db.execute("select count(*) from scores where run = ?", [run]).fetchone()
        select = f"select * from scores where run = ? order by {BY[by]} limit ? offset ?"
        found = db.execute(select, [run, size, (number - 1) * size])
        return [dict(row) for row in found], count


def figure(home: Path, run: int, row: str) -> dict[str, Any] | None:
    """The figures of one row, with its `rank`: 1 is the most typical, and rows that tie share one."""
    with queue.registry(home) as db:
        found = db.execute("select * from scores where run = ? and row = ?", [run, row]).fetchone()
        if found is None:
            return None
        select = "select count(*) + 1 from scores where run = ? and bits_per_byte < ?"
        (rank,) = db.execute(select, [run, found["bits_per_byte"]]).fetchone()
        return {**dict(found), "rank": rank}
