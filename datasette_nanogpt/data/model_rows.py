"""The rows of a table as a model that was trained on it reads them."""

from __future__ import annotations

from dataclasses import replace

from llm_nanogpt.checkpoint import Checkpoint

from .source import ALL_ROWS, Selection, Source, open_source


def open_rows(checkpoint: Checkpoint, database: str, table: str, selection: Selection = ALL_ROWS) -> Source:
    """The rows of a table, as `datasette nanogpt-train` reads them: from the columns that the model was
    trained on, if it was trained on a table of that name and `selection` names no others.

    Raises InvalidOptions and NanogptError as `open_source` does.
    """
    trained_on = checkpoint.meta.get("source") or {}
    for known in trained_on.get("tables", [trained_on]):
        if known.get("table") == table and selection.title is None and not selection.body:
            same_columns = replace(selection, title=known["title"] or "", body=known["body"])
            source = open_source(database, table, same_columns)
            # Which columns held HTML then is not for a sample of other rows to decide.
            return replace(source, html_columns=frozenset(known.get("html") or ()))
    return open_source(database, table, selection)
