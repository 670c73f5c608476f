"""Conversations: several rows as one document, in their order."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm_nanogpt.errors import InvalidOptions, Problem

from .documents import join_document
from .row_reader import RowText
from .sample import Relation
from .sqlite import explain_sql, find_name, quote_column

# A longer conversation becomes several documents, so that memory does not grow with the table.
MAX_CHARACTERS = 1_000_000
_DIRECTION = re.compile(r"(.+?)(\s+(?:asc|desc))\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Grouping:
    """Which rows are one document: those with the same value of `by`, in the order of `order`, both SQL."""

    group_by: str  # as it was asked for: a column or SQL
    order_by: str | None
    by: str
    order: str | None
    columns: tuple[str, ...]  # the columns that `group_by` and `order_by` name; none for an expression
    count: int  # how many documents there are: a row without a value is one of its own
    alone: int = 0  # how many rows have no value

    def sql_order(self, rest: str) -> str:
        """SQL that has the rows of each document together. `rest` orders a table, "" if nothing does."""
        # As Python compares them, whatever the column's collation is.
        parts = [
            f"({self.by}) is null",
            f"({self.by}) collate binary",
            *([self.order] if self.order else []),
        ]
        return "order by " + ", ".join([*parts, *([rest.removeprefix("order by ")] if rest else [])])


def open_grouping(
    db: sqlite3.Connection, relation: Relation, group_by: str | None, order: str | None
) -> Grouping | None:
    """The grouping by a column, or by an SQL expression of columns; None where rows are not grouped.

    Raises InvalidOptions where there are no such columns.
    """
    if group_by is None:
        return None
    match = _DIRECTION.fullmatch(order) if order and not find_name(order, relation.columns) else None
    by_what, direction = (match[1], match[2]) if match else (order, "")
    given = {"group_by": group_by, "order_by": by_what}
    columns, sql, problems = [], dict[str, str | None](), list[Problem]()
    for option, text in given.items():
        column = find_name(text, relation.columns) if text else None
        if column is not None:
            columns.append(column)
        sql[option] = text if column is None else quote_column(column)
        try:
            with explain_sql(option, text, f" {relation.its_columns}", relation.columns):
                if text:
                    db.execute(f"select ({sql[option]}\n) from {relation.from_sql} limit 1").fetchone()
        except InvalidOptions as error:
            problems += error.problems
    if problems or sql["group_by"] is None:
        raise InvalidOptions(problems)
    by = sql["group_by"]
    counts = f"count(distinct ({by}) collate binary), ifnull(sum(({by}) is null), 0)"
    groups, alone = db.execute(f"select {counts} from {relation.from_sql}").fetchone()
    sql_order = f"({sql['order_by']}){direction}" if order else None
    return Grouping(group_by, order, by, sql_order, tuple(columns), groups + alone, alone)


def several_in_a_group(db: sqlite3.Connection, relation: Relation, grouping: Grouping, column: str) -> bool:
    """Whether the rows of one group or more have different values of a column, of which some may be missing.
    Who wrote a poem is the same in all its lines, and speaks none of them."""
    rows = f"select ({grouping.by}) collate binary as g, ifnull({quote_column(column)}, '') as v"
    differ = f"select 1 from ({rows} from {relation.from_sql}) where g is not null group by g"
    return bool(db.execute(f"{differ} having count(distinct v collate binary) > 1 limit 1").fetchone())


def join_rows(rows: Iterable[tuple[Sequence[Any], Any, RowText]]) -> Iterator[tuple[Sequence[Any], str]]:
    """Documents of rows in the order of their groups, each with the keys of its first row.

    A row is its keys, the value of its group, and its text. The title of a document is the first that one of
    its rows has. Rows are on lines of their own; a text that ends in line breaks of its own keeps those,
    and one that goes on follows on the same line.
    """
    keys: Sequence[Any] = ()
    last, title, texts, size = None, "", list[str](), 0
    speaker = ""
    for row_keys, group, row in rows:
        if texts and (group is None or group != last or size > MAX_CHARACTERS):
            yield keys, join_document(title, ["".join(texts)])
            title, texts, size = "", [], 0
        if not texts:
            keys, last = row_keys, group
        title = title or row.title
        is_new = not texts or row.speaker != speaker
        if row.goes_on and not is_new:
            texts[-1] = texts[-1].removesuffix("\n")
        first, speaker = (row.with_speaker if is_new else row.text), row.speaker
        for text in (first, *row.others):
            texts.append(text if text.endswith("\n") or not text else f"{text}\n")
            size += len(text)
    if texts:
        yield keys, join_document(title, ["".join(texts)])
