"""A table of scores in the user's own database, beside the rows that were scored."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from llm_nanogpt.errors import NanogptError

from .source import Source


class ScoreTable:
    """A table of scores beside the rows they are of, under the same primary key.

    Raises NanogptError for a view, whose rows have no key, and where a table of that name holds other things.
    """

    def __init__(self, source: Source, name: str):
        from sqlite_utils import Database

        self.source, self.name, self.db = source, name, Database(source.database)
        if not source.keys:
            raise NanogptError(f"{source.table} is a view: its rows have no key to save scores under")
        columns = self.db[name].columns_dict
        figures = {"bits_per_byte", "bytes", "tokens", "model"}
        if taken := {"seen", *figures} & {key.lower() for key in source.keys}:
            raise NanogptError(
                f"{source.table} has a key named {', '.join(sorted(taken))}, as a score is: "
                "its scores cannot stand under that key, leave out --save-table"
            )
        if columns and columns.keys() - {"seen"} != {*source.keys, *figures}:
            raise NanogptError(f"The table {name!r} is of something else: choose another name")

    def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write all scores in one transaction. Rows that were scored before are replaced."""
        keys = self.source.keys
        linked = [(keys[0], self.source.table, keys[0])] if len(keys) == 1 and keys[0] != "rowid" else []
        try:
            with self.db.conn:
                self.db[self.name].insert_all(rows, pk=keys, replace=True, foreign_keys=linked, alter=True)
        except sqlite3.Error as ex:
            raise NanogptError(f"Cannot write {self.name} in {self.source.database}: {ex}") from ex
