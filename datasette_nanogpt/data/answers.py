"""Rows that answer other rows of their own table, as those of a forum do: how to read them together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..formatting import TrainCommand, shell_command
from .column_names import words_of
from .conversation_columns import find_conversation
from .links import link_of
from .row_order import find_order
from .sample import SAMPLE_ROWS, Value
from .source import QUERY, Source
from .speakers import have_speakers
from .sqlite import connect, quote

MIN_ROWS = 10  # in fewer rows than this nothing is remarked on
MIN_ANSWERS = 0.1  # of the rows must answer another one
MIN_THERE = 0.5  # of the rows that are answered must be in the table: archives lack those of others
MIN_TITLED, MAX_TITLED = 0.6, 0.2  # of the rows that answer none have titles, and at most of those that do
# Names of columns with the key of the row that a row answers, or of the first one of all, as one word.
_PARENTS = frozenset(
    name + end
    for name in (
        *("parent", "parentpost", "parentcomment", "parentmessage", "inreplyto", "inreplytostatus"),
        *("replyto",),
        *("inreplytomessage", "replytomessage", "answerto", "root", "rootpost", "threadroot"),
    )
    for end in ("", "id", "key", "guid")
)


def answers(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such rows, with the options or the query that put the answers below what they answer;
    none where rows make conversations by another column."""
    if source.template or source.grouping or source.where or source.table == QUERY or not source.body:
        return
    if len(source.sample) < MIN_ROWS or len(source.keys) != 1 or find_conversation(source)[0]:
        return
    for parent in source.columns:
        if "".join(words_of(parent)) in _PARENTS and parent not in source.text_columns:
            with connect(source.database) as db:
                depth = _depth(db, source, parent)
            if depth:
                yield _told(source, command, parent, depth > 1)
                return


def _depth(db: sqlite3.Connection, source: Source, parent: str) -> int:
    """How many rows may be above a row: 1 where what is answered answers nothing itself, else 2; 0 where rows
    do not answer each other, or have titles of their own."""
    if link_of(db, source, parent):  # which is in another table
        return 0
    answering = [row for row in source.sample if not _is_none(row[parent])]
    if len(answering) < MIN_ANSWERS * len(source.sample):
        return 0
    is_reply = "reply" in "".join(words_of(parent))
    # Folders are above each other, too.
    if not (_share_titles(source, parent) if source.title else is_reply or have_speakers(source)):
        return 0
    ids = list(dict.fromkeys(row[parent] for row in answering))[:SAMPLE_ROWS]
    key, marks = quote(source.keys[0]), ", ".join("?" * len(ids))
    sql = f"select {quote(parent)} from {quote(source.table)} where {key} in ({marks})"
    above = [value for (value,) in db.execute(sql, ids)]
    if len(above) < MIN_THERE * len(ids):
        return 0
    return 1 if all(map(_is_none, above)) else 2


def _share_titles(source: Source, parent: str) -> bool:
    """Whether the rows that answer none have titles, and the others do not."""
    titled: dict[bool, list[bool]] = {True: [], False: []}
    for row in source.sample:
        titled[_is_none(row[parent])].append(bool(str(row[source.title or ""] or "").strip()))
    first, answering = titled[True], titled[False]
    return sum(first) >= MIN_TITLED * len(first) and sum(answering) <= MAX_TITLED * len(answering)


def _is_none(value: Value) -> bool:
    return value in (None, "", 0, "0")


def _told(source: Source, command: TrainCommand, parent: str, is_deep: bool) -> str:
    key, time = source.keys[0], find_order(source) or source.keys[0]
    if is_deep:
        here, up, name = quote(source.table), quote(parent), quote(key)
        first = f"{up} is null or {up} not in (select {name} from {here})"
        sql = (
            f"with recursive thread(id, root) as (select {name}, {name} from {here} where {first} union all "
            f"select {here}.{name}, thread.root from thread join {here} on {here}.{up} = thread.id) "
            f"select {here}.*, thread.root from {here} join thread on {here}.{name} = thread.id"
        )
        place = f"case when root <> {name} then {quote(time)} end"
        do = command.with_query(sql, "--group-by", "root", "--order-by", place)
    else:
        values = {row[parent] for row in source.sample}
        up = quote(parent)
        no = next((f"nullif({up}, {value!r})" for value in (0, "", "0") if value in values), up)
        place = f"case when {no} is not null then {quote(time)} end"
        by = f"ifnull({no}, {quote(key)})"
        do = shell_command(["--group-by", by, "--order-by", place])
    titles = f" Those that do not have the titles ({source.title})." if source.title else ""
    return (
        f"Rows answer other rows of {source.table} ({parent}).{titles} To read each with its answers below "
        f"it as one text: {do}"
    )
