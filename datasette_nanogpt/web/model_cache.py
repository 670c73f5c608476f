"""The models of a home, read again only where their folders changed: every page of a table asks for them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.home import model_names

from ..registry.manage import find_checkpoint

# A folder changes when one of its files is replaced, which is how models are saved. But people edit
# nanogpt.json in place, so it is checked as well.
FILES = ("", "/nanogpt.json")
Stamp = tuple[tuple[int, int, int], ...]  # inode, nanoseconds, bytes of each of FILES
Source = tuple[str | None, tuple[str, ...]]  # a database's file, and the tables in it; () for a query


def source_of(meta: Mapping[str, Any]) -> Source:
    """What a model was trained on, according to its nanogpt.json."""
    source = meta.get("source") or {}
    if source.get("sql"):
        return source.get("database"), ()
    tables = source.get("tables") or ([source] if source.get("table") else [])
    return source.get("database"), tuple(table["table"] for table in tables)


class _Reading(NamedTuple):
    """One reading of a home. It is kept and replaced as a whole, because the threads of several pages read at
    once: of two readings the later to end is kept, and the next one finds what it missed."""

    models: dict[str, tuple[Stamp, Checkpoint | None]]  # by name; None for those that do not load
    by_source: dict[Source, list[Checkpoint]]
    began: float  # time.monotonic()


class ModelCache:
    """Each model with what its files looked like when it was read."""

    def __init__(self, home: Path):
        self.home = home
        self._last = _Reading({}, {}, -math.inf)

    def read(self, max_age: float = 0.0) -> dict[Source, list[Checkpoint]]:
        """The models, grouped by what they were trained on, without those that do not load. They are read
        again if that was more than `max_age` seconds ago."""
        last, began, changed = self._last, time.monotonic(), False
        if began - last.began < max_age:
            return last.by_source
        now: dict[str, tuple[Stamp, Checkpoint | None]] = {}
        for name in model_names(self.home):
            stamp = _stamp(f"{self.home}/{name}")
            known = last.models.get(name)
            if known is None or known[0] != stamp:
                known, changed = (stamp, find_checkpoint(self.home / name)), True
            now[name] = known
        by_source = last.by_source
        if changed or len(now) != len(last.models):
            by_source = {}
            for _, checkpoint in now.values():
                if checkpoint:
                    by_source.setdefault(source_of(checkpoint.meta), []).append(checkpoint)
        self._last = _Reading(now, by_source, began)
        return by_source


def _stamp(folder: str) -> Stamp:
    stats = []
    for file in FILES:
        try:
            stat = os.stat(folder + file)
            stats.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            stats.append((0, 0, 0))
    return tuple(stats)
