"""Reading and scoring the rows of a table in the way that a model was trained on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from llm_nanogpt.checkpoint import Checkpoint

from .open_source import open_source
from .source import ALL_ROWS, Selection, Source
from .text_kinds import TextKind

if TYPE_CHECKING:
    from llm_nanogpt.loading import OpenedModel
    from llm_nanogpt.score import Score


@dataclass(frozen=True)
class ScoredRow:
    """A row, and how well a model predicts it."""

    keys: dict[str, Any]  # the columns of the primary key; empty for a view
    text: str  # as the model reads it
    score: Score
    split: str | None  # as `Provenance.split_of` returns it


def open_rows(checkpoint: Checkpoint, database: str, table: str, selection: Selection = ALL_ROWS) -> Source:
    """The rows of a table, as `datasette nanogpt-train` reads them: from the columns that the model was
    trained on, by the same template and in the same conversations, if it was trained on a table of that name
    and `selection` names no others.

    Raises InvalidOptions and NanogptError as `open_source` does.
    """
    trained_on = checkpoint.meta.get("source") or {}
    for known in trained_on.get("tables") or [trained_on]:
        if known.get("table") == table and selection.title is None and not selection.body:
            same = {key: known.get(key) for key in ("template", "group_by", "order_by")}
            if not known.get("template"):
                same |= {"title": known.get("title") or "", "body": known.get("body") or ()}
            same_columns = replace(selection, **same)
            source = open_source(database, table, same_columns)
            # The columns keep the kinds of text that they had in training, whatever a sample says now.
            return replace(source, kinds=source.kinds | _kinds(known), speaker=known.get("speaker"))
    return open_source(database, table, selection)


def has_titles(checkpoint: Checkpoint, table: str) -> bool:
    """Whether the rows of a table had titles in training."""
    source = checkpoint.meta.get("source") or {}
    return any(
        known.get("title") for known in source.get("tables") or [source] if known.get("table") == table
    )


def _kinds(known: Mapping[str, Any]) -> dict[str, TextKind]:
    """How the columns of a table were read. Older models only know which ones held HTML."""
    if known.get("kinds"):
        facts = {each.name for each in fields(TextKind)}
        return {
            column: TextKind(**{key: value for key, value in (kind or {}).items() if key in facts})
            for column, kind in known["kinds"].items()
        }
    html = known.get("html") or ()
    return {column: TextKind("html" if column in html else "plain") for column in known.get("body") or ()}


def score_each_row(
    opened: OpenedModel,
    source: Source,
    scattered: bool = False,
    skip: Callable[[dict[str, Any]], bool] | None = None,
) -> Iterator[ScoredRow]:
    """Score the rows of a table one by one, in its order or `scattered`, but for those whose keys are to be
    skipped. The model must have been opened on the CPU.

    The table is copied to a temporary file first, so that others can write to it in the meantime.
    """
    from llm_nanogpt.score import score

    from .provenance import Provenance

    provenance = Provenance(opened.checkpoint)
    for keys, text in source.keyed_documents_from_copy(scattered):
        if skip and skip(keys):
            continue
        row_score = score(opened, text)
        yield ScoredRow(keys, text, row_score, provenance.split_of(row_score.tokens[:-1]))
