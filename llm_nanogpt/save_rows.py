"""Saving texts as rows of a table, with their columns, the model that wrote them, and how."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .conditions import RowContinuation, layout_of
from .errors import InvalidOptions, NanogptError, Problem

if TYPE_CHECKING:
    from .generate import Continuation
    from .loading import OpenedModel

WHOLE = "text"  # the column for texts whose columns cannot be told apart, such as conversations


class RowTable:
    """A table of a SQLite file that texts are added to; it is created, or gets the columns that it lacks.

    Raises InvalidOptions for a view, and for the table that the model was trained on: what a model wrote
    would be trained on as if somebody had.
    """

    def __init__(self, opened: OpenedModel, database: str, name: str) -> None:
        from sqlite_utils import Database

        self.opened, self.database, self.name = opened, database, name
        self.source = opened.checkpoint.meta.get("source") or {}
        tables = [str(known.get("table")) for known in self.source.get("tables") or [self.source]]
        here = str(Path(os.path.expanduser(database)).absolute())
        if here == self.source.get("database") and name.lower() in map(str.lower, tables):
            message = f"{opened.checkpoint.name} was trained on {name}: choose another table for its texts"
            raise InvalidOptions([Problem("save_table", "trained_on", message)])
        if name.lower().startswith("sqlite_"):
            message = f"SQLite keeps names like {name} for itself: choose another name for the table"
            raise InvalidOptions([Problem("save_table", "reserved", message)])
        try:
            self.db = Database(here)
            views = self.db.view_names()
            self.db.conn.execute("begin immediate")  # fails now, and not once a text is written
            self.db.conn.rollback()
        except sqlite3.Error as ex:
            raise NanogptError(f"Cannot write in {database}: {ex}") from ex
        if name in views:
            message = f"{name} is a view of {database}: choose another name for the table"
            raise InvalidOptions([Problem("save_table", "view", message)])

    def add(self, run: Continuation, text: str, options: Mapping[str, Any]) -> None:
        """Write the row of a `text` that is done, with its prompt. `options` are all that it was written
        with."""
        row = {
            "model": self.opened.version,
            "seed": options["seed"],
            "settings": json.dumps(options, ensure_ascii=False),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "finish_reason": run.finish_reason,
        }
        columns = self.columns(run, text)
        taken = {name.lower() for name in columns}
        # A column of the template keeps its name; ours gives way.
        row = {f"nanogpt_{name}" if name in taken else name: value for name, value in row.items()}
        try:
            with self.db.conn:
                self.db.table(self.name).insert({**columns, **row}, alter=True)
        except sqlite3.Error as ex:
            raise NanogptError(f"Cannot write the table {self.name} in {self.database}: {ex}") from ex

    def columns(self, run: Continuation, text: str) -> dict[str, str | None]:
        """The columns of a text; all of it in one where they cannot be told apart."""
        if self.source.get("group_by"):
            return {WHOLE: text}
        if isinstance(run, RowContinuation):
            return run.columns
        try:
            return layout_of(self.source).split(text)
        except NanogptError:
            return {WHOLE: text}
