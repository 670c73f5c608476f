"""Datasette's hooks. Each is a few lines, and imports what it needs when it is called."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from llm_nanogpt.ctrl_c import end_quietly

if sys.argv[1:2] in (["nanogpt-train"], ["nanogpt-demo-db"]):
    end_quietly()  # Datasette imports more after this package

from pluggy import HookimplMarker

if TYPE_CHECKING:
    import click
    from datasette import Request
    from datasette.app import Datasette
    from datasette.permissions import Action, PermissionSQL

Actor = Mapping[str, Any] | None
Links = Callable[[], Awaitable[list[dict[str, str]]]]

# This is datasette.hookimpl, without the import of datasette: llm imports this package too.
hookimpl = HookimplMarker("datasette")


@hookimpl
def register_commands(cli: click.Group) -> None:
    from .cli import register

    register(cli)


@hookimpl
def register_actions() -> list[Action]:
    from .web.permissions import actions

    return actions()


@hookimpl
def permission_resources_sql(datasette: Datasette, actor: Actor, action: str) -> PermissionSQL | None:
    from .web.own_tables import own_tables_rules

    return own_tables_rules(datasette, actor, action)


@hookimpl
def startup(datasette: Datasette) -> None:
    from .web.state import PluginState

    PluginState.start(datasette)


@hookimpl
def shutdown(datasette: Datasette) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        if state := getattr(datasette, "_nanogpt", None):
            await state.close()

    return close


@hookimpl
def register_routes() -> list[tuple[str, Callable[..., Awaitable[Any]]]]:
    from .web.pages import routes

    return routes()


@hookimpl
def menu_links(datasette: Datasette, actor: Actor) -> Links:
    async def links() -> list[dict[str, str]]:
        from .web.menus import index_link

        return await index_link(datasette, actor)

    return links


@hookimpl
def table_actions(
    datasette: Datasette, actor: Actor, database: str, table: str, request: Request | None
) -> Links:
    async def links() -> list[dict[str, str]]:
        from .web.menus import model_links, train_link

        train = await train_link(datasette, actor, database, table, request)
        return train + await model_links(datasette, actor, database, table)

    return links


@hookimpl
def top_table(
    datasette: Datasette, request: Request, database: str, table: str
) -> Callable[[], Awaitable[str | None]]:
    async def bar() -> str | None:
        from .web.under_way import bar_of_table

        return await bar_of_table(datasette, request, database, table)

    return bar


@hookimpl
def row_actions(datasette: Datasette, actor: Actor, database: str, table: str, row: Any) -> Links:
    async def links() -> list[dict[str, str]]:
        from .web.menus import row_links

        return await row_links(datasette, actor, database, table, row)

    return links


@hookimpl
def view_actions(
    datasette: Datasette, actor: Actor, database: str, view: str, request: Request | None
) -> Links:
    return table_actions(datasette, actor, database, view, request)
