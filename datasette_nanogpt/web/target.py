"""A table to train on from its page: its rows, and the names that its models can have."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from llm_nanogpt.home import name_after

from ..data.corpus import default_name, location
from ..registry.manage import name_taken
from ..registry.runs import UNDER_WAY, find_runs
from .limits import Limits
from .table_rows import TableRows


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

    @property
    def rows(self) -> TableRows:
        """Its rows, which are the same for everybody who may see them."""
        return TableRows(self.path, self.in_memory, self.table)

    def default_name(self, others: Container[str] = ()) -> str:
        """A name that no model has yet and that is not in `others`: the command line's default, or with the
        table in it if that is taken."""
        stem = default_name(str(self.path))
        if self.visible is not None or name_taken(self.home, stem, self.database, self.table):
            stem = self.own_name()
        numbered: Iterator[str] = (f"{stem}-{number}" for number in count(2))
        names = (name for name in chain([stem], numbered) if name not in others)
        return next(name for name in names if not (self.home / name).exists())

    def name_to_offer(self) -> str:
        """The default name, but not that of a run that waits or is under way: it would be refused."""
        unfinished = find_runs(self.home, "kind = 'train' and status in ('queued', ?, ?)", *UNDER_WAY)
        return self.default_name([run["name"] for run in unfinished])

    def own_name(self) -> str:
        """The beginning of names that only models of this table have."""
        return default_name(str(self.path)) + name_after(self.table).removeprefix("nanogpt")
