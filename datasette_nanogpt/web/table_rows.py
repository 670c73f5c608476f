"""What the form shows of the rows of a table: read once, and kept until the file changes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError

from ..data.columns import NoTextError
from ..data.corpus import location
from ..data.open_source import open_source
from ..data.preview import preview_source
from ..data.source import Selection, Source
from ..data.sqlite import connect, quote_column, time_limit
from ..data.text_kinds import WRAPPED
from ..data.text_metrics import is_prose
from ..formatting import TrainCommand, not_read, text_size, without_gaps
from ..training.verdict import count_letters

# The time limits for reading the rows that meet a condition, and for reading a whole table or view.
CONDITION_SECONDS, TABLE_SECONDS = 10.0, 15.0
SAMPLED_ROWS = 200  # how many rows are read to estimate how much text there is
MEASURED_ROWS = 100_000  # how many rows are measured; the others are assumed to be as long
EXCERPT = 300  # how many characters of a row are shown
GROUP_ROWS = 4  # how many rows of a conversation are shown,
GROUP_EXCERPT = 70  # and how many characters of each
Modified = tuple[int, ...]


@dataclass(frozen=True)
class TableRows:
    """The rows of a table or view of an attached database."""

    path: str | None  # the database's file
    in_memory: bool
    table: str

    def modified(self) -> Modified:
        """Numbers that change with every write to the database: of its file and its write-ahead log."""
        numbers: list[int] = []
        for file in (f"{self.path}", f"{self.path}-wal"):
            with suppress(OSError):
                stat = os.stat(file)
                numbers += (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return tuple(numbers)


@dataclass(frozen=True)
class RowsRead:
    """What was found in the rows of a selection."""

    table: str  # in the database's own spelling
    figures: dict[str, Any] = field(default_factory=dict)  # how much text there is, and how it reads
    no_text: str = ""  # why the first rows have no text; then there are no figures

    def with_text(self) -> dict[str, Any]:
        """The figures. Raises NoTextError if there is no text."""
        if self.no_text:
            raise NoTextError(self.no_text)
        return self.figures


def read_rows(rows: TableRows, selection: Selection) -> RowsRead:
    """Read the rows as the process that trains will do. Raises NanogptError if that process could not."""
    if rows.in_memory or not rows.path:
        raise NanogptError(
            "This database is in memory, where no other process can read it: save it to a file to train on it"
        )
    if not os.access(rows.path, os.R_OK):
        raise NanogptError(
            "The file of this database cannot be read: it was moved, or Datasette's user may not read it"
        )
    with time_limit(CONDITION_SECONDS if selection.where else TABLE_SECONDS):
        return _read(rows.path, rows.table, selection, rows.modified())


@lru_cache(maxsize=64)
def measure_rows(path: str, table: str, _modified: Modified) -> tuple[int, int]:
    """How many rows a table has, and how many bytes of text: the figures of `read_rows` in half the time, for
    lists of tables. Raises NoTextError if there is no text, and NanogptError if the rows cannot be read."""
    with time_limit(TABLE_SECONDS):
        source = open_source(path, table, Selection())
        texts = list(islice(source.documents(), SAMPLED_ROWS))
        if not texts:
            raise NoTextError("The first rows have no text")
        return source.row_count, _text_bytes(source, texts, source.rows_read)


@lru_cache(maxsize=64)
def _read(path: str, table: str, selection: Selection, _modified: Modified) -> RowsRead:
    source = open_source(path, table, selection)
    texts = list(islice(source.documents(), SAMPLED_ROWS))
    read = source.rows_read
    if not texts:
        message = f"The first rows of {source.table} have no text: name another column to read as text"
        return RowsRead(source.table, no_text=". ".join([message, *source.remarks()]))
    n_bytes = _text_bytes(source, texts, read)
    figures = {
        "rows": source.row_count,
        "bytes": n_bytes,
        "letters": round(n_bytes * sum(map(count_letters, texts)) / sum(len(t.encode()) for t in texts)),
        "prose": is_prose(texts),
        "title": source.title,
        "body": list(source.body),
        "template": source.template is not None,
        "grouping": _grouping(source),
        "notes": _notes(source),
        "remarks": _remarks(source, location(path)),
        "texts": [_excerpt(without_gaps(text), EXCERPT) for text in texts[:2]],
        "captions": [],
    }
    if source.grouping:
        figures |= _conversations(source)
    return RowsRead(source.table, figures)


def _excerpt(text: str, length: int) -> str:
    return text[:length] + ("…" if len(text) > length else "")


def _conversations(source: Source) -> dict[str, list[str]]:
    """The beginnings of the rows of two conversations, and which rows they are."""
    texts, captions = [], []
    by = source.grouping.group_by if source.grouping else ""
    looked_at = list(islice(source.grouped_rows(), SAMPLED_ROWS))
    # A row without a value is a conversation of its own.
    groups = groupby(looked_at, key=lambda row: object() if row[0] is None else row[0])
    for _, members in islice(groups, 2):
        rows = list(members)
        group = rows[0][0]
        cut = "at least " if rows[-1] is looked_at[-1] and len(looked_at) == SAMPLED_ROWS else ""
        read = [text for _, text in rows[:GROUP_ROWS]]
        said = [
            text.text if before and before.speaker == text.speaker else text.with_speaker
            for before, text in zip([None, *read], read, strict=False)
        ]
        shown = [_excerpt(" ".join(text.split()), GROUP_EXCERPT) for text in said]
        if more := len(rows) - len(shown):
            shown.append(f"… and {cut}{counted(more, 'more row')}")
        title = next((text.title for _, text in rows if text.title), "")
        texts.append("\n".join([*([title, ""] if title else []), *shown]))
        which = f"without {by}" if group is None else f"with {by} {_excerpt(str(group), GROUP_EXCERPT)}"
        captions.append(f"{'At least ' if cut else ''}{counted(len(rows), 'row')} {which}, as one text:")
    return {"texts": texts, "captions": captions}


def _remarks(source: Source, database: str) -> list[str]:
    """The columns that are not read and why, and what looks odd in the rows."""
    found = preview_source(source, TrainCommand(database), documents=0)
    left_out = [f"Not read: {not_read(found.left_out)}."] if found.left_out else []
    return [*left_out, *found.remarks]


def remark_on_page(remark: str, may_sql: bool) -> str:
    """A remark that ends in a condition for a terminal, with the field of the form that takes it, which those
    who may not write SQL do not have."""
    told, option, condition = remark.rpartition(": --where ")
    if not option or len(words := shlex.split(condition)) != 1:
        return remark
    if may_sql:
        return f"{told}, enter under Advanced, as the condition on the rows: {words[0]}"
    return (
        f"{told}, filter the rows on the page of the table, or ask for the permission execute-sql, which "
        f"this condition needs: {words[0]}"
    )


def _grouping(source: Source) -> dict[str, Any] | None:
    """How many texts the rows become, and by which columns; None if each is one of its own."""
    if (by := source.grouping) is None:
        return None
    turns = bool(source.speaker) and source.kinds[source.speaker or ""].turns
    by_whom = {"speaker": source.speaker, "turns": turns}
    return {"texts": by.count, "group_by": by.group_by, "order_by": by.order_by} | by_whom


# For somebody who does not know the word.
JOINED = "Lines that were broken to fit a width are joined."


def _notes(source: Source) -> list[str]:
    """Sentences about the text, if that is not plain text."""
    kinds = [kind for kind in source.read_as_text if kind != WRAPPED]
    notes = [f"Read as text: {', '.join(kinds)}."] if kinds else []
    notes += [JOINED] if WRAPPED in source.read_as_text else []
    notes += ["Rows are cut at <|endoftext|>."] if source.has_markers else []
    return notes + ([f"Most of it is {', '.join(source.data)}."] if source.data else [])


def describe_rows(figures: Mapping[str, Any], filters: str) -> list[str]:
    """How many rows meet the `filters`, and what is read of them, in parts: every second one, from the second
    on, is the name of a column."""
    end = "\0"  # of a part; no name has it in it
    rows = counted(figures["rows"], "row")
    rows += f" ({filters})".replace(end, "") if filters else ""
    size = f"bout {text_size(figures['bytes'])} of text."
    if by := figures["grouping"]:
        rows += f" in {counted(by['texts'], 'text')}, one for each {end}{by['group_by']}{end}"
        rows += f", in the order of {end}{by['order_by']}{end}" if by["order_by"] else ""
        each = "what each says" if by["turns"] else "each row"
        rows += f"; {each} begins with its {end}{by['speaker']}{end}" if by["speaker"] else ""
    sentences = [f"{rows}. A{size}" if by else f"{rows}, a{size}"]
    sentences += [f"Title: {end}{figures['title']}{end}."] if figures["title"] else []
    body = ", ".join(f"{end}{name}{end}" for name in figures["body"])
    sentences += [f"Text{', by the template' if figures['template'] else ''}: {body}."] if body else []
    return " ".join([*sentences, *figures["notes"]]).split(end)


def _text_bytes(source: Source, texts: list[str], rows: int) -> int:
    """About how many bytes of text there are. `texts` are the documents of the first `rows` rows.

    Rows differ in length, and the first ones may be the longest, so all rows are measured as they are stored.
    The documents show which fraction of that becomes text.
    """
    stored = _stored_bytes(source)
    of_texts = _stored_bytes(source, rows)
    return round(stored * sum(len(text.encode()) for text in texts) / max(of_texts, 1))


def _stored_bytes(source: Source, rows: int = MEASURED_ROWS) -> float:
    """Bytes in the columns that are read, in the first `rows` rows; by default about those of all rows."""
    lengths = [f"ifnull(length(cast({quote_column(column)} as blob)), 0)" for column in source.text_columns]
    select = f"select sum({' + '.join(lengths) or '0'}) from "
    select += f"(select * from {source.from_sql} {source.order_by} limit ?)"
    with connect(source.database) as db:
        size = db.execute(select, [rows]).fetchone()[0] or 0
    return size * max(1, source.row_count / rows) if rows == MEASURED_ROWS else size
