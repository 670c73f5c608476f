"""Who may see what: a run or a model belongs to the Datasette tables it was made from.

A model can repeat its rows word for word, so everything about it needs `view-table` on each of these tables.
A model that was trained on a query needs `execute-sql` on the database. A run or a model of a database that
is not attached to this server is shown to nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasette import NotFound, Request
from datasette.app import Datasette
from datasette.database import Database
from datasette.permissions import Action
from datasette.resources import DatabaseResource, TableResource
from datasette.utils import tilde_decode

from llm_nanogpt.checkpoint import Checkpoint
from llm_nanogpt.home import model_names

from ..registry.runs import settings_of
from .model_cache import source_of
from .state import state_of
from .threads import in_thread

Actor = Mapping[str, Any] | None  # None: not logged in
# No table can have this name, so only rules for the whole database or the whole instance apply to it.
NO_TABLE = "\0"
MENU_SECONDS = 5.0  # how old the list of models may be that decides whether the main menu has its link


def actions() -> list[Action]:
    """The two permissions of the plugin, both on tables."""
    descriptions = {
        "nanogpt-train": "Train a GPT on a table",
        "nanogpt-generate": "Write with the GPT of a table",
    }
    return [
        Action(name=name, description=text, resource_class=TableResource, also_requires="view-table")
        for name, text in descriptions.items()
    ]


@dataclass(frozen=True)
class Origin:
    """The tables that text came from, by Datasette's names; `tables` is empty for a query."""

    database: str
    tables: tuple[str, ...]


NOWHERE = Origin(NO_TABLE, (NO_TABLE,))


def origin(datasette: Datasette, database: str | None, tables: str | Sequence[str] | None) -> Origin | None:
    """The origin of text from a database file; `tables` is a name, several, or None for a query. None if the
    file is not attached to this server."""
    if not database:
        return None
    wanted = os.path.realpath(database)
    for name, db in datasette.databases.items():
        if db.path and not db.is_memory and os.path.realpath(db.path) == wanted:
            return Origin(name, (tables,) if isinstance(tables, str) else tuple(tables or ()))
    return None


def origin_of_run(datasette: Datasette, run: Mapping[str, Any]) -> Origin | None:
    settings = settings_of(run)
    return origin(datasette, run["database"], None if settings.get("sql") else settings.get("table"))


def origin_of_model(datasette: Datasette, meta: Mapping[str, Any]) -> Origin | None:
    return origin(datasette, *source_of(meta))


async def table_of_request(datasette: Datasette, request: Request) -> tuple[Database, str]:
    """The database, and the table or view, that an address names. Raises NotFound if there is none or the
    actor may not see it. Both check the same permission, so that they cannot be told apart."""
    database, table = (tilde_decode(request.url_vars[key]) for key in ("database", "table"))
    db = next((db for db in datasette.databases.values() if db.route == database), None)
    resource = TableResource(db.name if db else database, table)
    allowed = await datasette.allowed(action="view-table", resource=resource, actor=request.actor)
    if db is None or not (await db.table_exists(table) or await db.view_exists(table)) or not allowed:
        raise NotFound(f"There is no table {table}")
    return db, table


async def visible_models(
    datasette: Datasette, actor: Actor, wanted: Callable[[Origin], bool]
) -> list[tuple[Checkpoint, Origin]]:
    """The models of `wanted` origins that the actor may see, without those that do not load."""
    models: list[tuple[Checkpoint, Origin]] = []
    # Finding a file among the databases and checking a permission are slow: once for all models of a table.
    for source, checkpoints in (await in_thread(state_of(datasette).models.read)).items():
        of = origin(datasette, *source)
        if of and wanted(of) and await may(datasette, actor, "view-table", of):
            models += [(checkpoint, of) for checkpoint in checkpoints]
    return sorted(models, key=lambda model: model[0].name)


async def models_to_write_with(
    datasette: Datasette, actor: Actor, models: Sequence[tuple[Checkpoint, Origin]]
) -> list[Checkpoint]:
    """Those of the models that the actor may write with, in the same order."""
    allowed = {of: await may(datasette, actor, "nanogpt-generate", of) for of in {of for _, of in models}}
    return [checkpoint for checkpoint, of in models if allowed[of]]


async def names_in_sight(datasette: Datasette, actor: Actor) -> frozenset[str] | None:
    """The names of the models that the actor may see; None if that is all of them. Root may know of all."""
    if (actor or {}).get("id") == "root":
        return None
    visible = frozenset(model.name for model, _ in await visible_models(datasette, actor, lambda _: True))
    names = await in_thread(model_names, state_of(datasette).home)
    return None if visible.issuperset(names) else visible


async def models_of_table(
    datasette: Datasette, actor: Actor, database: str, table: str
) -> list[tuple[Checkpoint, Origin]]:
    """The visible models that were trained on a table, alone or with others, the last trained one first."""

    def here(of: Origin) -> bool:
        return of.database == database and table in of.tables

    models = await visible_models(datasette, actor, here)
    return sorted(models, key=lambda model: model[0].trained, reverse=True)


async def may(datasette: Datasette, actor: Actor, action: str, origin: Origin | None) -> bool:
    """Whether the actor may do `action`, an action on tables, with every table of an origin."""
    if origin is None:
        return False
    if not origin.tables and not await may_write_sql(datasette, actor, origin.database):
        return False
    for table in origin.tables or (NO_TABLE,):
        resource = TableResource(origin.database, table)
        if not await datasette.allowed(action=action, resource=resource, actor=actor):
            return False
    return True


async def may_write_sql(datasette: Datasette, actor: Actor, database: str) -> bool:
    """Whether the actor may write SQL for a database."""
    resource = DatabaseResource(database)
    return await datasette.allowed(action="execute-sql", resource=resource, actor=actor)


async def may_anywhere(datasette: Datasette, actor: Actor) -> bool:
    """Whether there is any table that the actor may train on or write with."""
    for action in ("nanogpt-train", "nanogpt-generate"):
        if (await datasette.allowed_resources(action, actor, limit=1)).resources:
            return True
        # allowed_resources lists nothing if one table denies what others allow, so check the databases, and
        # the tables that the configuration has rules for.
        rules = (datasette.config or {}).get("databases") or {}
        for database in datasette.databases:
            for table in (NO_TABLE, *((rules.get(database) or {}).get("tables") or {})):
                resource = TableResource(database, table)
                if await datasette.allowed(action=action, resource=resource, actor=actor):
                    return True
    # Every page has this menu, so the list of models may be some seconds old.
    for source in await in_thread(state_of(datasette).models.read, MENU_SECONDS):
        if await may(datasette, actor, "nanogpt-generate", origin(datasette, *source)):
            return True
    return False
