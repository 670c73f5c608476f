"""A table to train on from its page: its rows, and the names that its models can have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import name_after

from ..data.corpus import default_name, location
from ..data.open_source import open_source
from ..data.source import Selection, Source
from ..data.sqlite import time_limit
from ..registry.manage import name_taken
from .limits import Limits

# The time limits for reading the rows that meet a condition, and for reading a whole table or view.
CONDITION_SECONDS, TABLE_SECONDS = 10.0, 15.0


@dataclass(frozen=True)
class Target:
    """A table or view of an attached database, where its models go, and what is allowed there."""

    home: Path
    limits: Limits
    path: str | None  # the database's file
    in_memory: bool
    table: str
    # The models that the actor may see; None means all. Nothing is said about the others, not even that a
    # name is taken.
    visible: frozenset[str] | None = None

    @property
    def database(self) -> str:
        """The path of the file as the registry and nanogpt.json have it."""
        return location(str(self.path))

    def open(self, selection: Selection) -> Source:
        """The rows as the process that trains will read them. Raises NanogptError if that process could
        not."""
        if self.in_memory or not self.path:
            raise NanogptError(
                "This database is in memory, where no other process can read it: save it to a file to "
                "train on it"
            )
        if not os.access(self.path, os.R_OK):
            raise NanogptError(
                "The file of this database cannot be read: it was moved, or Datasette's user may not read it"
            )
        return open_source(self.path, self.table, selection)

    def modified(self) -> tuple[int, ...]:
        """Times and sizes that change with every write to the database: of its file and its write-ahead
        log."""
        files = [Path(f"{self.path}{suffix}") for suffix in ("", "-wal")] if self.path else []
        stats = [file.stat() for file in files if file.exists()]
        return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_size))

    def default_name(self) -> str:
        """A name that no model has yet: the command line's default, or with the table in it if that is
        taken."""
        stem = default_name(str(self.path))
        if self.visible is not None or name_taken(self.home, stem, self.database, self.table):
            stem = self.own_name()
        numbered: Iterator[str] = (f"{stem}-{number}" for number in count(2))
        return next(name for name in chain([stem], numbered) if not (self.home / name).exists())

    def own_name(self) -> str:
        """The beginning of names that only models of this table have."""
        return default_name(str(self.path)) + name_after(self.table).removeprefix("nanogpt")


def reading_time(selection: Selection) -> AbstractContextManager[None]:
    """Limits how long reading the rows of a table may take in this block: less time with a condition."""
    return time_limit(CONDITION_SECONDS if selection.where else TABLE_SECONDS)
