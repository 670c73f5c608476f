"""The statements that every writer of the registry needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any


def insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Add a row of these columns to a table. Returns its id."""
    columns = ", ".join(f'"{column}"' for column in values)
    marks = ", ".join("?" for _ in values)
    added = db.execute(f"insert into {table} ({columns}) values ({marks})", [*values.values()])
    return int(added.lastrowid or 0)


def update_run(db: sqlite3.Connection, run: int, values: Mapping[str, Any]) -> None:
    """Change these columns of a run."""
    changes = ", ".join(f'"{column}" = ?' for column in values)
    db.execute(f"update runs set {changes} where id = ?", [*values.values(), run])
