"""The rows of a table as a model that was trained on it reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llm_nanogpt.checkpoint import Checkpoint

from .source import Source, open_source


def open_rows(
    checkpoint: Checkpoint,
    database: str,
    table: str,
    *,
    title: str | None = None,
    body: Sequence[str] = (),
    where: str | None = None,
) -> Source:
    """The rows of a table, as `datasette nanogpt-train` reads them: in the columns the model was trained on,
    if it was trained on a table of that name."""
    learnt = checkpoint.meta.get("source") or {}
    for known in learnt.get("tables", [learnt]):
        if known.get("table") == table and title is None and not body:
            found = open_source(database, table, title=known["title"] or "", body=known["body"], where=where)
            # What was HTML then is not for a sample of other rows to decide.
            return replace(found, is_html=frozenset(known.get("html") or ()))
    return open_source(database, table, title=title, body=tuple(body), where=where)
