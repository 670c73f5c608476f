"""Who may see what: a run or a model belongs to the Datasette tables it was made from.

A model can recite its rows, so everything about it needs `view-table` on every one of these tables. What
was trained on a query needs `execute-sql` on the database. What no attached database holds, nobody sees.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from datasette.resources import DatabaseResource, TableResource

from llm_nanogpt.checkpoint import Checkpoint, checkpoints
from llm_nanogpt.errors import NanogptError

# No table can have this name, so only rules of the whole database or instance speak about it.
NO_TABLE = "\0"


@dataclass(frozen=True)
class Origin:
    """Where text came from, in Datasette's words. No `tables`: from a query."""

    database: str
    tables: tuple[str, ...]


def origin(datasette: Any, database: str | None, tables: Any) -> Origin | None:
    """The origin of text from a file, `tables` being a name, several, or nothing for a query."""
    if not database:
        return None
    wanted = os.path.realpath(database)
    for name, db in datasette.databases.items():
        if db.path and not db.is_memory and os.path.realpath(db.path) == wanted:
            return Origin(name, (tables,) if isinstance(tables, str) else tuple(tables or ()))
    return None


def origin_of_run(datasette: Any, run: Mapping[str, Any]) -> Origin | None:
    settings = json.loads(run["settings"] or "{}")
    return origin(datasette, run["database"], None if settings.get("sql") else settings.get("table"))


def origin_of_model(datasette: Any, meta: Mapping[str, Any]) -> Origin | None:
    source = meta.get("source") or {}
    tables = [known["table"] for known in source.get("tables") or ([source] if source.get("table") else [])]
    return origin(datasette, source.get("database"), None if source.get("sql") else tables)


async def visible_models(
    datasette: Any, actor: Any, wanted: Callable[[Origin], bool]
) -> list[tuple[Checkpoint, Origin]]:
    """The models of `wanted` origins that the actor may see, without those that do not load."""
    found = []
    for _, checkpoint in await asyncio.to_thread(lambda: list(checkpoints(datasette._nanogpt.home))):
        if not isinstance(checkpoint, NanogptError):
            of = origin_of_model(datasette, checkpoint.meta)
            if of and wanted(of) and await may(datasette, actor, "view-table", of):
                found.append((checkpoint, of))
    return found


async def models_of_table(datasette: Any, actor: Any, database: str, table: str) -> list[Checkpoint]:
    """The visible models that were trained on a table, among others maybe; the last trained one first."""

    def here(of: Origin) -> bool:
        return of.database == database and table in of.tables

    found = [one for one, _ in await visible_models(datasette, actor, here)]
    return sorted(found, key=lambda one: (one.meta.get("training") or {}).get("updated") or "", reverse=True)


async def may(datasette: Any, actor: Any, action: str, origin: Origin | None) -> bool:
    """Whether the actor may do `action`, one of those on tables, with all of an origin."""
    if origin is None:
        return False
    if not origin.tables and not await datasette.allowed(
        action="execute-sql", resource=DatabaseResource(origin.database), actor=actor
    ):
        return False
    for table in origin.tables or (NO_TABLE,):
        resource = TableResource(origin.database, table)
        if not await datasette.allowed(action=action, resource=resource, actor=actor):
            return False
    return True


async def may_anywhere(datasette: Any, actor: Any) -> bool:
    """Whether there is any table that the actor may train on or write with."""
    for action in ("nanogpt-train", "nanogpt-generate"):
        if (await datasette.allowed_resources(action, actor, limit=1)).resources:
            return True
    return False
