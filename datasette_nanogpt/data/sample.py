"""Some rows from all over a table, view or query, at a cost that does not grow with it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..formatting import shown_name
from .sqlite import list_names, quote_column

SAMPLE_ROWS = 200
BLOCKS = 20  # places of the table that the rows are taken from
COUNTED_ROWS = 200_000  # of a table with gaps between its rowids: so many are quickly counted to a place
MAX_GAPS = 10  # rowids per row
SAMPLE_CHARS = 5_000  # how much of each value is read
# How much is read of JSON, which makes no sense unless it is whole, and of mail, which begins with headers.
WHOLE_CHARS = 100_000
# After this time no further place of a view is read: SQLite has to compute the rows that it skips.
SAMPLE_SECONDS = 2.0

Value = str | int | float | bytes | None  # of one column of a row


@dataclass(frozen=True)
class Relation:
    """What is read: a table, a view or a query, with its condition if it has one."""

    name: str  # of the table
    description: str  # for messages: "Table 'entry'" or "The query"
    columns: tuple[str, ...]
    from_sql: str  # what stands after `from`
    database: str  # as it was given, for commands to type
    row_count: int = 0
    rowid: str | None = None  # a name of the rowid, where `from_sql` is a table alone

    @property
    def its_columns(self) -> str:
        """A sentence after one about SQL that does not work. Of several tables one may lack a column."""
        of = f" of {shown_name(self.name)}" if self.description.startswith("Table") else ""
        return f"The columns{of} are: {list_names(self.columns)}."


def read_sample(db: sqlite3.Connection, relation: Relation) -> dict[str, list[Value]]:
    """The beginnings of the values of about SAMPLE_ROWS rows, by column: all rows of a small table, else some
    from each of BLOCKS places."""
    names = [quote_column(column) for column in relation.columns]
    select = f"select {', '.join(map(_beginning, names))} from {relation.from_sql}"
    if relation.row_count <= SAMPLE_ROWS:
        rows = db.execute(select).fetchmany(SAMPLE_ROWS)
    else:
        rows = list(_by_rowid(db, select, relation)) if relation.rowid else []
        # One row has a rowid far from all others', or rowids have gaps: that of a verse begins with its book,
        # and the first row after each gap is that of a first chapter.
        if len(rows) < SAMPLE_ROWS // 2 or _has_gaps(db, relation):
            rows = list(_by_offset(db, select, relation.row_count))
    return {name: [row[i] for row in rows] for i, name in enumerate(relation.columns)}


def _has_gaps(db: sqlite3.Connection, relation: Relation) -> bool:
    if not relation.rowid or relation.row_count > COUNTED_ROWS:
        return False
    first, last = _ends(db, relation)
    return last - first > MAX_GAPS * relation.row_count


def _ends(db: sqlite3.Connection, relation: Relation) -> tuple[int, int]:
    """The first rowid and the last."""
    rowid = relation.rowid
    first, last = db.execute(f"select min({rowid}), max({rowid}) from {relation.from_sql}").fetchone()
    return first, last


def _beginning(name: str) -> str:
    """SQL for the beginning of a column's value."""
    json = f"substr(ltrim({name}), 1, 1) in ('{{', '[', '\"') and length({name}) <= {WHOLE_CHARS}"
    start = f"lower(substr({name}, 1, {SAMPLE_CHARS}))"
    mail = f"instr({start}, '\nmime-version: ') or instr({start}, '\nmessage-id: ')"
    return (
        f"case when typeof({name}) not in ('text', 'blob') then {name} "
        f"when typeof({name}) = 'text' and {json} then {name} "
        f"when {mail} then substr({name}, 1, {WHOLE_CHARS}) else substr({name}, 1, {SAMPLE_CHARS}) end"
    )


def _by_rowid(db: sqlite3.Connection, select: str, relation: Relation) -> Iterator[tuple[Value, ...]]:
    """Rows from BLOCKS places at equal distances between the first rowid and the last."""
    rowid = relation.rowid
    first, last = _ends(db, relation)
    starts = [first + (last - first) * block // BLOCKS for block in range(BLOCKS)]
    for start, end in zip(starts, [*starts[1:], last + 1], strict=True):
        yield from db.execute(
            f"{select} where {rowid} >= ? and {rowid} < ? order by {rowid} limit {SAMPLE_ROWS // BLOCKS}",
            [start, end],
        )


def _by_offset(db: sqlite3.Connection, select: str, row_count: int) -> Iterator[tuple[Value, ...]]:
    """The first rows, then rows of other places, the middle ones first, as long as there is time."""
    began = time.monotonic()
    rows: dict[int, list[tuple[Value, ...]]] = {}
    for block in sorted(range(BLOCKS), key=lambda block: (block > 0, abs(block - BLOCKS // 2))):
        if block and time.monotonic() - began > SAMPLE_SECONDS:
            break
        offset = row_count * block // BLOCKS
        rows[block] = db.execute(f"{select} limit {SAMPLE_ROWS // BLOCKS} offset {offset}").fetchall()
    for block in sorted(rows):  # as the table has them: which rows follow each other says what they are
        yield from rows[block]
