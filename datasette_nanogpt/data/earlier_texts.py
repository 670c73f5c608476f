"""Rows with earlier texts of a page, where no column numbers the versions: how to read the newest."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..formatting import TrainCommand
from .column_names import TITLES, named, words_of
from .decode import as_text
from .exclusions import exclusion
from .sample import Value
from .source import QUERY, Source
from .sqlite import column_names, connect, primary_key, quote
from .tables import readable_tables
from .unread_rows import versions

MIN_ROWS = 20  # of fewer rows than this nothing is said
MIN_EARLIER = 0.1  # the fraction of the rows that must be earlier texts
MIN_NEWEST = 0.5  # the fraction of the things with a newest text for which that must be in the table
# The fraction of the shorter of two texts that must be in the longer one, if they are versions of one.
MIN_ALIKE = 0.5
RUN = 4  # words that are compared together: other texts have the same words in another order
MIN_WORDS = 12  # shorter texts are not compared
_NEWEST = frozenset(["latest", "newest", "current", "head", "live"])
_VERSIONS = frozenset(["revision", "revisions", "rev", "version", "versions"])
_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"[a-z]+:\d+")  # of a text in a store: "tt:15"


def earlier_texts(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such rows, with what reads the newest text of each alone. Only for a caller who may
    see all tables."""
    if source.template or source.grouping or source.where or source.table == QUERY or not source.body:
        return
    if len(source.sample) < MIN_ROWS or len(source.keys) != 1 or any(versions(source)):
        return
    with connect(source.database) as db:
        newest = next(_newest(db, source), None)
        count = newest.count(db) if newest else 0
    if newest:
        told = f"{source.row_count - count:,} of {source.row_count:,} rows are earlier texts"
        told += f": the newest are those of {newest.pointer}. To read these alone"
        told += ", with their titles" if newest.title and not source.title else ""
        yield f"{told}: {command.with_query(newest.sql(source))}"
        return
    key = quote(source.keys[0])
    for column in source.columns:
        if column not in (*source.keys, *source.body) and _are_versions(source, column):
            last = f"select max({key}) from {quote(source.table)} group by {quote(column)}"
            told = (
                f"Rows with the same {column} have most of their text in common, as versions of one text have"
            )
            yield exclusion(source, f"{told}. To read only the last one of each", f"{key} in ({last})")
            return


# ---- By a column that leads to the newest


class _Newest(NamedTuple):
    """The tables from one whose rows each have a newest text to the texts, as SQL after `from`."""

    pointer: str  # the column that leads there, in words
    join: str
    title: str  # SQL, "" for none

    def count(self, db: sqlite3.Connection) -> int:
        (count,) = db.execute(f"select count(*) from {self.join}").fetchone()
        return int(count)

    def sql(self, source: Source) -> str:
        here = quote(source.table)
        columns = [f"{here}.{quote(name)}" for name in (source.title, *source.body) if name]
        title = [f"{self.title} as title"] if self.title and not source.title else []
        return f"select {', '.join([*title, *columns])} from {self.join}"


def _newest(db: sqlite3.Connection, source: Source) -> Iterator[_Newest]:
    tables = [table for table in readable_tables(db) if table != source.table]
    columns = {table: column_names(db, quote(table)) for table in tables}
    for table in tables:
        for column in [name for name in columns[table] if not _NEWEST.isdisjoint(words_of(name))]:
            pointer = f"{quote(table)}.{quote(column)}"
            titles = named(TITLES, columns[table], table)
            title = f"{quote(table)}.{quote(titles[0])}" if titles else ""
            (things,) = db.execute(f"select count({pointer}) from {quote(table)}").fetchone()
            for way in _ways(db, source, columns, pointer):
                found = _Newest(f"{table} ({column})", f"{quote(table)} {way}", title)
                count = found.count(db)
                if count >= MIN_NEWEST * things > 0 and count <= (1 - MIN_EARLIER) * source.row_count:
                    yield found


def _ways(
    db: sqlite3.Connection, source: Source, columns: Mapping[str, Sequence[str]], pointer: str
) -> Iterator[str]:
    """Joins from a column with the newest version to the texts: at once, by a table of versions, or by one
    that says where the content of a version is, as in newer wikis."""
    thing = words_of(source.table)[-1].removesuffix("s")
    here = quote(source.table)
    key = f"{here}.{quote(source.keys[0])}"
    if {thing, f"{thing}s"} & {*words_of(pointer)[-3:]}:
        yield f"join {here} on {key} = {pointer}"
    for table, names in columns.items():
        to_text = [name for name in names if words_of(name)[-2:] == (thing, "id")]
        keys = primary_key(db, table) if to_text else ()
        if len(keys) == 1 and not _VERSIONS.isdisjoint(words_of(table)):
            there = quote(table)
            version = f"{there} on {there}.{quote(keys[0])} = {pointer}"
            yield f"join {version} join {here} on {key} = {there}.{quote(to_text[0])}"
    for table, names in columns.items():
        addresses = [name for name in names if words_of(name)[-1] == "address"]
        keys = primary_key(db, table) if addresses else ()
        prefix = _prefix(db, table, addresses[0]) if len(keys) == 1 else ""
        for other, others in columns.items() if prefix else ():
            of = [name for name in others if words_of(name)[-2:] == ("revision", "id")]
            to = [name for name in others if words_of(name)[-2:] == (words_of(table)[-1], "id")]
            if of and to:
                slot, content = quote(other), quote(table)
                number = f"cast(substr({content}.{quote(addresses[0])}, {len(prefix) + 1}) as integer)"
                yield (
                    f"join {slot} on {slot}.{quote(of[0])} = {pointer} "
                    f"join {content} on {content}.{quote(keys[0])} = {slot}.{quote(to[0])} "
                    f"join {here} on {key} = {number}"
                )


def _prefix(db: sqlite3.Connection, table: str, column: str) -> str:
    """What stands before the number in the addresses of texts, "" where they are others."""
    row = db.execute(
        f"select {quote(column)} from {quote(table)} where {quote(column)} is not null"
    ).fetchone()
    address = as_text(row[0]) if row else ""
    return address.rpartition(":")[0] + ":" if _ADDRESS.fullmatch(address) else ""


# ---- By what the texts have in common


def _are_versions(source: Source, column: str) -> bool:
    """Whether rows with the same value have most of their text in common, and rows with others do not."""
    groups = defaultdict[Value, list[frozenset[tuple[str, ...]]]](list)
    firsts: list[frozenset[tuple[str, ...]]] = []
    for row in source.sample:
        runs = _runs(" ".join(as_text(row[name]) for name in source.body))
        if row[column] not in (None, "") and runs:
            firsts += [] if row[column] in groups else [runs]
            groups[row[column]].append(runs)
    pairs = [pair for texts in groups.values() for pair in pairwise(texts)]
    if len(groups) < 2 or len(pairs) < MIN_EARLIER * len(source.sample):
        return False
    others = [*pairwise(firsts)]
    same, chance = (sum(_are_alike(*pair) for pair in each) for each in (pairs, others))
    return 2 * same > len(pairs) and 4 * chance < len(others)


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    if len(words) < MIN_WORDS:
        return frozenset()
    return frozenset(zip(*(words[i:] for i in range(RUN)), strict=False))


def _are_alike(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> bool:
    return len(a & b) >= MIN_ALIKE * min(len(a), len(b))
