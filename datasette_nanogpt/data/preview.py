"""How the rows of a table will be read, to look at before a model is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from ..events import Preview, TablePreview
from ..formatting import TrainCommand
from .answers import answers
from .columns import NoTextError
from .corpus import Corpus
from .credentials import credentials
from .earlier_texts import earlier_texts
from .exclusions import all_at_once
from .field_values import field_values
from .json_hints import unread_json
from .lines_of_texts import lines_of_texts
from .linked_conversations import linked_conversations
from .linked_notes import linked_notes
from .linked_parts import linked_parts
from .linked_subjects import linked_subjects
from .linked_titles import linked_titles
from .linked_words import linked_words
from .machine_rows import linked_bots
from .oddities import oddities
from .questions import linked_questions
from .row_hints import row_hints
from .source import Source
from .sqlite import list_names
from .unread_parents import unread_parents

SHOWN = 20_000  # characters of a document: some have as many megabytes
ALIKE = 400  # characters at the beginning, about as many as a terminal shows
SKIPPED = 20  # documents for each one shown, that may be skipped because they begin like it


def preview(corpus: Corpus, documents: int = 1, command: TrainCommand | None = None) -> Preview:
    """The beginnings of the first `documents` documents of each table of a corpus, what they are made of, and
    what is odd. `command` is what was typed, for those that are told."""
    command = command or TrainCommand(corpus.database)
    tables: list[TablePreview] = []
    for source in corpus.sources:
        # Not in preview_source, which pages use: those who see a table there may not see the other one.
        linked = [
            *linked_titles(source, command),
            *linked_words(source, command),
            *linked_subjects(source, command),
            *linked_notes(source, command),
            *linked_parts(source, command),
            *field_values(source, command, bool(corpus.chosen)),
            *linked_questions(source, command),
            *linked_conversations(source, command),
            *answers(source, command),
            *earlier_texts(source, command),
            *linked_bots(source),
            *unread_parents(source),
        ]
        tables.append(preview_source(source, command, documents, linked))
    if corpus.chosen:
        tables[0] = replace(tables[0], remarks=[corpus.chosen, *tables[0].remarks])
    return Preview([replace(table, table="the query") for table in tables] if corpus.sql else tables)


def refuse_without_text(corpus: Corpus, shown: Preview) -> None:
    """Raises NoTextError where no row of a corpus has any text: then all of them were read for the preview.
    Of rows on the web only some were, which may not be those that have text."""
    if corpus.remote or any(table.documents for table in shown.tables):
        return
    rows = list_names([table.table for table in shown.tables])
    remarks = [remark for table in shown.tables for remark in table.remarks]
    advice = "Choose other columns for the title and the text, or another table."
    raise NoTextError(" ".join([f"None of the rows of {rows} has any text.", *remarks, advice]))


def preview_source(
    source: Source, command: TrainCommand, documents: int = 1, linked: Sequence[str] = ()
) -> TablePreview:
    """How the rows of one table will be read. `linked` is what other tables say of them."""
    sample, skipped = source.read_sample()
    remarks = [
        *skipped,
        *credentials(source),
        *oddities(source, sample),
        *row_hints(source),
        *lines_of_texts(source, command),
        *unread_json(source, command),
        *linked,
    ]
    return TablePreview(
        table=source.table,
        rows=source.row_count,
        title=source.title,
        body=list(source.body),
        text=_describe_text(source),
        read_as={column: kind.names for column, kind in source.kinds.items() if kind.names},
        left_out=dict(source.left_out),
        template=source.template is not None,
        documents=_beginnings(source, documents),
        remarks=[*map(str, remarks), *all_at_once(source, remarks, command)],
    )


def _beginnings(source: Source, count: int) -> list[str]:
    """Of the first documents, leaving out those that begin like one before, as versions of a text do."""
    beginnings: dict[str, str] = {}
    for text in islice(source.documents(), count * SKIPPED):
        beginnings.setdefault(text[:ALIKE], text[:SHOWN])
        if len(beginnings) == count:
            break
    return [*beginnings.values()]


def _describe_text(source: Source) -> str:
    """How columns become a document where they are not one after the other; "" where they are."""
    parts = ["by the template"] if source.template else []
    if grouping := source.grouping:
        order = f" in the order of {grouping.order_by}" if grouping.order_by else ""
        parts.append(f"the rows of each {grouping.group_by}{order} as one of {grouping.count:,} texts")
        if speaker := source.speaker:
            rows = "the first of its rows" if source.kinds[speaker].turns else "each row"
            parts.append(f"{speaker} before {rows}")
    if any(kind.question for kind in source.kinds.values()) and not source.template:
        parts.append("each answer after its question")
    return ", ".join(parts)
