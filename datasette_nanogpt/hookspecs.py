"""The hook that other Datasette plugins can implement."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal

from pluggy import HookCaller, HookspecMarker

hookspec = HookspecMarker("datasette")


@hookspec(firstresult=True)
def nanogpt_document(
    database: str, table: str, row: Mapping[str, str | int | float | bytes | None]
) -> str | Literal[False] | None:
    """The text to train on that one row becomes; the first plugin with an answer decides.

    Implement it in any Datasette plugin with `from datasette import hookimpl`:

        @hookimpl
        def nanogpt_document(database, table, row):
            if table == "messages":
                return f"{row['sender']}: {row['body']}" if row["body"] else False

    `database` is the name Datasette would give it (`blog` for `blog.db`); `row` maps every column
    to a str, int, float, None, or bytes (a BLOB, or text that is not UTF-8).

    Return the text as a str, False to leave the row out, or None for the usual title and body. A run with a
    template asks no plugin; where rows of a conversation become one document, this is one of its parts.
    """


def document_hook() -> HookCaller | None:
    """`pm.hook.nanogpt_document`, or None while no plugin implements it."""
    from datasette.plugins import pm

    hook = getattr(pm.hook, "nanogpt_document", None)
    if hook is None or not hook.has_spec():
        pm.add_hookspecs(sys.modules[__name__])
        hook = pm.hook.nanogpt_document
    return hook if hook.get_hookimpls() else None
