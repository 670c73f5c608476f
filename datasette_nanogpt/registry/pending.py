"""Changes that the registry has yet to learn of: models that were renamed or removed, and ends of runs.

llm_nanogpt changes folders and aliases and knows nothing of nanogpt.db: it leaves a note of each change in
`<home>/.changes`. So does a run that ends while the registry cannot be written. The next process that opens
the registry applies the notes in order. Applying one twice does no harm, so a note is deleted after the
commit.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_nanogpt.atomic import write_json
from llm_nanogpt.change_steps import PENDING, new_note
from llm_nanogpt.renaming import rename_in_verdict

from .run_log import run_log_name
from .statements import insert
from .waiting import begin

WAIT_MS = 100  # how long to wait for another writer before notes are left for the next time


def finish_pending(home: Path, db: sqlite3.Connection) -> None:
    """Apply all notes to the registry. If it is locked, they are left for the next time, as nobody needs to
    wait for them."""
    try:
        notes = sorted(name for name in os.listdir(home / PENDING) if name.endswith(".json"))
    except OSError:  # there are none
        return
    (patience,) = db.execute("pragma busy_timeout").fetchone()
    db.execute(f"pragma busy_timeout = {min(patience, WAIT_MS)}")
    with suppress(sqlite3.OperationalError, OSError):
        for note in notes:
            _finish(home, db, home / PENDING / note)
        for part in (home / PENDING).glob(".*.part"):
            part.unlink(missing_ok=True)
        (home / PENDING).rmdir()
    db.execute(f"pragma busy_timeout = {patience}")


def _finish(home: Path, db: sqlite3.Connection, note: Path) -> None:
    with db:
        begin(db)
        try:  # another process may have done it before we could begin
            change = json.loads(note.read_text("utf-8"))
        except (OSError, ValueError):
            change = {}
        logs = _apply(home, db, change)
    for log in logs:
        (home / log).unlink(missing_ok=True)
    note.unlink(missing_ok=True)


def _apply(home: Path, db: sqlite3.Connection, change: dict[str, Any]) -> list[str]:
    """Apply one change. Returns the logs of runs that it deleted."""
    match change:
        case {"kind": "rename", "name": str(name), "new_name": str(new_name)}:
            folder = json.dumps(str(home / new_name))  # which need not be UTF-8
            # A training that had the name by default must have it in its settings from now on.
            db.execute(
                "update runs set name = ?2, settings = "
                "iif(kind = 'train' or json_extract(settings, '$.name') = ?1, "
                "json_set(settings, '$.name', ?2), settings), plan = iif(json_extract(plan, '$.name') = ?1, "
                "json_set(plan, '$.name', ?2, '$.folder', json(?3)), plan) where name = ?1",
                [name, new_name, folder],
            )
            for run, verdict in db.execute(
                "select id, verdict from runs where name = ?", [new_name]
            ).fetchall():
                with suppress(ValueError, TypeError):  # it has none
                    lines = rename_in_verdict(json.loads(verdict), name, new_name)
                    db.execute("update runs set verdict = ? where id = ?", [json.dumps(lines), run])
            db.execute("update texts set model = ? where model = ?", [new_name, name])
        case {"kind": "remove", "name": str(name)}:
            db.execute("delete from texts where model = ?", [name])
            return delete_rows(db, "kind = 'score' and name = ?", [name])
        case {"kind": "run", "row": dict(row), "rows": list(rows)}:
            known = db.execute(
                "select 1 from runs where name = ? and started = ? and ended = ?",
                [row["name"], row["started"], row["ended"]],
            )
            if not known.fetchone():
                write_run(db, row, row.keys(), rows)
    return []


def leave_for_later(home: Path, note: dict[str, Any]) -> None:
    """Leave a note for the next process that opens the registry."""
    write_json(new_note(home), note)


def write_run(
    db: sqlite3.Connection,
    row: dict[str, Any],
    changed: Iterable[str],
    rows: Iterable[tuple[str, dict[str, Any]]],
) -> tuple[int, int]:
    """Write what has changed in a run's row, and add rows of metrics and samples. The caller commits.

    A row that was deleted is added again, in a new registry under another number if necessary. The column
    `stop_requested`, which others write, is not overwritten. Returns the run's number and that column.
    """
    # The name is always among them, so that the update has something to set.
    values = {column: row[column] for column in {"name", *changed} - {"id", "stop_requested"}}
    changes = ", ".join(f'"{column}" = ?' for column in values)
    # Another run may have the number in a registry that is not the one this run began in.
    ours = "id = ? and name = ? and started = ?"
    which = [row["id"], row["name"], row["started"]]
    run = row["id"]
    if not db.execute(f"update runs set {changes} where {ours}", [*values.values(), *which]).rowcount:
        if db.execute("select 1 from runs where id = ?", [run]).fetchone():
            run = None
        run = insert(db, "runs", row | {"id": run})
    for table, each in rows:
        insert(db, table, {"run": run} | each)
    return run, db.execute("select stop_requested from runs where id = ?", [run]).fetchone()[0] or 0


def delete_rows(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[str]:
    """Delete the runs that meet an SQL condition and are not under way, with everything recorded about them.

    Returns their logs, relative to the home.
    """
    rows = db.execute(
        f"select id, log from runs where ({where}) and status not in ('preparing', 'running')", values
    ).fetchall()
    for run, _ in rows:
        for table in ("metrics", "samples", "scores", "documents"):
            db.execute(f"delete from {table} where run = ?", [run])
        db.execute("delete from runs where id = ?", [run])
    return [log or run_log_name(run) for run, log in rows]
