"""Who may see nanogpt.db when a Datasette serves it.

It holds samples of private tables, SQL, actors and paths. So only root may see it or do anything with it,
unless the configuration has a rule for this database.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from datasette.app import Datasette
from datasette.permissions import PermissionSQL
from datasette.resources import DatabaseResource, TableResource

from llm_nanogpt.home import nanogpt_home

from ..registry.db import registry_file
from ..registry.waiting import is_locked
from .permissions import Actor

BUSY_SECONDS = 0.1  # how long to wait for a locked database: meanwhile the server does nothing else
REASON = "nanogpt.db has rows of private tables"


def own_tables_rules(datasette: Datasette, actor: Actor, action: str) -> PermissionSQL | None:
    """Deny an action on every database that is a registry, for Datasette's hook permission_resources_sql.
    A rule for a database takes precedence over the rules for the whole instance."""
    known = datasette.actions.get(action)
    if known is None or known.resource_class not in (DatabaseResource, TableResource):
        return None
    if datasette.root_enabled and actor and actor.get("id") == "root":
        return None
    denied = [name for name in _registries(datasette) if not _has_rule(datasette, name, action)]
    if denied and datasette.crossdb and action == "execute-sql":
        denied.append("_memory")  # from there, SQL reaches every database
    if not denied:
        return None
    rows = " union all ".join(
        f"select :nanogpt_denied_{i} as parent, null as child, 0 as allow, :nanogpt_reason as reason"
        for i in range(len(denied))
    )
    names = {f"nanogpt_denied_{i}": name for i, name in enumerate(denied)}
    return PermissionSQL(sql=rows, params={**names, "nanogpt_reason": REASON})


def _registries(datasette: Datasette) -> Iterator[str]:
    """The names of the databases that are this home's registry, or a copy of any registry."""
    own = os.path.realpath(registry_file(nanogpt_home()))
    for name, database in datasette.databases.items():
        if database.path and not database.is_memory:
            path = os.path.realpath(database.path)
            if path == own or _may_be_registry(path):
                yield name


def _may_be_registry(path: str) -> bool:
    """Whether the database at a path is a registry, or is locked, so that it may be one."""
    try:
        return _has_our_tables(path, _inode(path))
    except sqlite3.OperationalError:
        return True


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


@lru_cache(maxsize=1000)
def _has_our_tables(path: str, _inode: int) -> bool:
    """Whether our migrations were applied to the database at a path. Raises OperationalError, which the cache
    does not keep, while somebody has it locked."""
    try:
        with closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as db:
            select = "select 1 from _sqlite_migrations where migration_set = 'datasette-nanogpt'"
            return db.execute(select).fetchone() is not None
    except sqlite3.Error as ex:
        if is_locked(ex):
            raise
        return False


def _has_rule(datasette: Datasette, database: str, action: str) -> bool:
    """Whether the configuration says who may do this with this database. Then its author has decided."""
    rules = ((datasette.config or {}).get("databases") or {}).get(database) or {}
    keys = ["allow"] if action.startswith("view-") else []
    keys += ["allow", "allow_sql"] if action == "execute-sql" else []
    return action in (rules.get("permissions") or {}) or any(key in rules for key in keys)
