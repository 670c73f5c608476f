"""What Datasette does to a connection before it is used: extensions, and what plugins add to SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llm_nanogpt.errors import NanogptError

if TYPE_CHECKING:
    from datasette.app import Datasette

_datasette: Datasette | None = None  # whose setup counts: one in a process


def prepare_as(datasette: Datasette) -> None:
    """Prepare every connection as this Datasette would: the server's, or one made of command-line options."""
    global _datasette  # noqa: PLW0603  # there is one server in a process
    _datasette = datasette


def prepare_connection(db: sqlite3.Connection, path: Path) -> None:
    """Load extensions, and call the `prepare_connection` hooks of plugins. Raises NanogptError if that fails.

    Without a Datasette only the hooks of installed plugins are called; those that need one are left out.
    """
    if _datasette is not None:
        try:
            _datasette._prepare_connection(db, _name_of(_datasette, path))
        except Exception as error:  # a plugin may raise anything
            message = f"The connection to {path} cannot be set up: {error}."
            if isinstance(error, AttributeError) and "enable_load_extension" in str(error):
                message = (
                    "This Python was built without SQLite's extensions: use another one, such as your "
                    "system's, or leave them out."
                )
            raise NanogptError(message) from error
    else:
        from datasette.plugins import pm

        for hook in pm.hook.prepare_connection.get_hookimpls():
            with suppress(Exception):  # it may need a Datasette, and there is none
                values = {"conn": db, "database": path.stem, "datasette": None}
                hook.function(*(values[name] for name in hook.argnames))
    db.row_factory = None


def _name_of(datasette: Datasette, path: Path) -> str:
    """What Datasette calls the database in that file."""
    names = (name for name, db in datasette.databases.items() if db.path and Path(db.path) == path)
    return next(names, path.stem)
