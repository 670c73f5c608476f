"""A table of scores in the user's own database, beside the rows that were scored."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from llm_nanogpt.errors import NanogptError, WrongUsage

from .source import Source

FIGURES = frozenset(["bits_per_byte", "bytes", "tokens", "model"])
PROVENANCE = "seen"  # the column of `Provenance.split_of`, which tables of earlier versions lack


class ScoreTable:
    """A table of scores beside the rows they are of, under the same primary key.

    Raises NanogptError for a view, whose rows have no key, where a table of that name has other columns, and
    where the database cannot be read.
    """

    def __init__(self, source: Source, name: str):
        from sqlite_utils import Database

        if not source.keys:
            raise WrongUsage(f"{source.table} is a view: its rows have no key to save scores under.")
        if taken := {PROVENANCE, *FIGURES} & {key.lower() for key in source.keys}:
            raise WrongUsage(
                f"The key of {source.table} is named {', '.join(sorted(taken))}, which is also the name of a "
                "score: its scores cannot be saved to a table. Leave out --save-table."
            )
        self.source, self.name = source, name
        try:
            self.db = Database(source.database)
            self.table = self.db.table(name)
            columns = self.table.columns_dict
        except sqlite3.Error as error:
            raise NanogptError(f"Cannot write {name} in {source.database}: {error}.") from error
        if columns and columns.keys() - {PROVENANCE} != {*source.keys, *FIGURES}:
            raise WrongUsage(f"The table {name!r} has other columns than scores: choose another name.")

    def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write all scores in one transaction. Rows that were scored before are replaced."""
        keys = self.source.keys
        linked = [(keys[0], self.source.table, keys[0])] if len(keys) == 1 and keys[0] != "rowid" else []
        try:
            with self.db.conn:
                self.table.insert_all(rows, pk=keys, replace=True, foreign_keys=linked, alter=True)
        except sqlite3.Error as error:
            raise NanogptError(f"Cannot write {self.name} in {self.source.database}: {error}.") from error
