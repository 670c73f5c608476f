"""Titles in another table, to which a foreign key or the name of a column leads, or which leads here."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand
from .body_columns import LONGEST_LINE
from .column_names import LINES, NAMED_THINGS, NAMES, THINGS, TITLES, named, words_of
from .conversation_columns import CONVERSATIONS, find_conversation
from .links import link_of, links_to
from .open_source import open_source
from .source import QUERY, Source
from .sqlite import connect, primary_key, quote

MIN_DISTINCT = 0.8  # the fraction of rows that lead to a row of their own: many comments have the same post
# A part of one of these may have its title, as several other parts have.
_WHOLES = frozenset(["book", "document", "recipe", "episode", "lecture", "talk", "film", "movie", "play"])
_ROOMS = frozenset(
    ["channel", "room", "chat", "session", "group", "server"]
)  # what they are called is a label
_THINGS = NAMED_THINGS | frozenset(CONVERSATIONS) | _WHOLES


class LinkedTitle(NamedTuple):
    """A title in another table: the column that leads there, and what it leads to."""

    column: str
    table: str
    key: str
    title: str
    cut: int = 0  # characters of a value before the key

    def join(self, here: str) -> str:
        """SQL that joins the table with the titles to `here`."""
        there = quote(self.table)
        value = f"{quote(here)}.{quote(self.column)}"
        value = f"substr({value}, {self.cut + 1})" if self.cut else value
        return f" left join {there} on {value} = {there}.{quote(self.key)}"

    @property
    def sql(self) -> str:
        return f"{quote(self.table)}.{quote(self.title)}"

    def alias(self, source: Source) -> str:
        """What a query calls the title beside the columns of a source."""
        thing = "_".join(words_of(self.table)).removesuffix("s")
        return next(n for n in ("title", f"{thing}_title", f"title_of_{thing}_") if n not in source.columns)


def linked_titles(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the first such titles, with a command that reads them; none where rows have titles, or
    make conversations, whose titles `linked_conversations` tells."""
    if source.has_titles or source.template or source.grouping or source.where or source.table == QUERY:
        return
    if find_conversation(source)[0]:
        return
    for column in source.columns:
        values = {row[column] for row in source.sample if row[column] is not None}
        is_own = len(values) >= MIN_DISTINCT * len(source.sample)
        title = linked_title(source, column) if len(values) > 1 else None
        if title and (is_own or _is_thing(title.table, _WHOLES)):
            # A title that many rows share would not be taken for one.
            yield _told(source, command, title, *([] if is_own else ["--title", title.title]))
            return
    if title := _title_that_leads_to(source):
        yield _told(source, command, title)


def _told(source: Source, command: TrainCommand, title: LinkedTitle, *options: str) -> str:
    here = quote(source.table)
    texts = [f"{here}.{quote(name)}" for name in source.body]
    sql = f"select {', '.join([title.sql, *texts])} from {here}{title.join(source.table)}"
    told = f"The titles of these rows may be in {title.table} ({title.title}). To read them"
    return f"{told}: {command.with_query(sql, *options)}"


def _title_that_leads_to(source: Source) -> LinkedTitle | None:
    """The title in a table whose rows lead to those of the source, one to each: in Trilium the texts of the
    notes are in a table of their own."""
    with connect(source.database) as db:
        keys = primary_key(db, source.table)
        links = list(links_to(db, source))
    for link in links:
        if title := title_of(str(source.database), link.table):
            return LinkedTitle(keys[0], link.table, link.key, title)
    return None


def linked_title(source: Source, column: str) -> LinkedTitle | None:
    """The title to which a column of a source leads by a foreign key or its name."""
    with connect(source.database) as db:
        link = link_of(db, source, column) if source.table != QUERY else None
    title = title_of(str(source.database), link.table) if link else None
    return LinkedTitle(column, link.table, link.key, title, link.cut) if link and title else None


def title_of(database: str, table: str) -> str | None:
    """The column of a table with a title, which may be all its text; not the name of a person or a room."""
    if _is_thing(table, _ROOMS):
        return None
    try:
        found = open_source(database, table)
    except NanogptError:
        return None
    labels = [found.title] if found.title else list(found.body[:1])
    titles = named((*TITLES, *sorted(THINGS)), labels, table)
    titles += named(LINES, labels) if found.title or _are_lines(found, *labels) else []
    return next((title for title in titles if not _may_be_person(title, table)), None)


def _are_lines(source: Source, column: str = "") -> bool:
    """Whether a column is as short as the summary of a bug is."""
    texts = [value for row in source.sample if isinstance(value := row.get(column), str) and value]
    return bool(texts) and statistics.median(map(len, texts)) <= LONGEST_LINE


def _may_be_person(title: str, table: str) -> bool:
    words = frozenset(words_of(title))
    return bool(words & frozenset(NAMES)) and not (_is_thing(table, _THINGS) or words & NAMED_THINGS)


def _is_thing(table: str, things: frozenset[str]) -> bool:
    """Whether a table has things with titles, by its name in the singular or the plural."""
    last = words_of(table)[-1]
    return bool(
        things & {last, last.removesuffix("s"), last.removesuffix("es"), f"{last.removesuffix('ies')}y"}
    )
