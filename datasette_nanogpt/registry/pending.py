"""What the registry is still to be told of models that were renamed or removed.

Folders and aliases are changed by llm_nanogpt, which knows nothing of nanogpt.db: it leaves a note of each
change in `<home>/.changes`. Whoever opens the registry next does the rest, in the order of the changes. To do
it twice does no harm, so a note is deleted after the commit.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.changes import PENDING


def finish_pending(home: Path, db: sqlite3.Connection) -> None:
    """Tell the registry what it was not told yet. If it is locked, that is left for the next time."""
    try:
        notes = sorted(os.listdir(home / PENDING))
    except OSError:  # there are none
        return
    with suppress(sqlite3.OperationalError, OSError):
        for note in notes:
            _finish(home, db, home / PENDING / note)
        (home / PENDING).rmdir()


def _finish(home: Path, db: sqlite3.Connection, note: Path) -> None:
    with db:
        db.execute("begin immediate")
        try:  # another process may have done it before we could begin
            change = json.loads(note.read_text("utf-8"))
        except (OSError, ValueError):
            change = {}
        logs = _tell(home, db, change)
    for log in logs:
        (home / log).unlink(missing_ok=True)
    note.unlink(missing_ok=True)


def _tell(home: Path, db: sqlite3.Connection, change: dict[str, Any]) -> list[str]:
    """Change the rows. Returns the logs of runs that were deleted."""
    match change:
        case {"kind": "rename", "name": str(name), "new_name": str(new_name)}:
            folder = str(home / new_name)
            db.execute(
                "update runs set name = ?2, settings = iif(json_extract(settings, '$.name') = ?1, "
                "json_set(settings, '$.name', ?2), settings), plan = iif(json_extract(plan, '$.name') = ?1, "
                "json_set(plan, '$.name', ?2, '$.folder', ?3), plan) where name = ?1",
                [name, new_name, folder],
            )
        case {"kind": "remove", "name": str(name)}:
            return delete_rows(db, "kind = 'score' and name = ?", [name])
    return []


def delete_rows(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[str]:
    """Delete the runs that meet an SQL condition and are not under way, and all that is recorded of them.

    Returns their logs, relative to the home.
    """
    rows = db.execute(
        f"select id, log from runs where ({where}) and status not in ('preparing', 'running')", values
    ).fetchall()
    for run, _ in rows:
        for table in ("metrics", "samples", "scores"):
            db.execute(f"delete from {table} where run = ?", [run])
        db.execute("delete from runs where id = ?", [run])
    return [log or f".logs/run-{run}.log" for run, log in rows]
