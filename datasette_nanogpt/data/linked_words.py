"""The words that definitions are of, where a third table says which belong together: in WordNet several words
share a sense, and a word has several."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from ..formatting import TrainCommand
from .column_names import words_of
from .sample import SAMPLE_ROWS
from .source import QUERY, Source
from .sqlite import column_names, connect, primary_key, quote
from .tables import readable_tables

_WORDS = frozenset(["word", "lemma", "headword", "term", "written_form"])
MIN_LED = 0.8  # the fraction of the rows that must have a word


class _Words(NamedTuple):
    """Where the words are: the table of pairs, its columns, and the table with the words."""

    pairs: str
    here: str  # in both the pairs and the source
    there: str  # in both the pairs and the table of words
    table: str
    word: str

    @property
    def sql(self) -> str:
        """SQL for all words of each row, by its key."""
        pairs, table, there = quote(self.pairs), quote(self.table), quote(self.there)
        words = f"group_concat({table}.{quote(self.word)}, ', ') as words"
        join = f"{pairs} join {table} on {pairs}.{there} = {table}.{there}"
        return f"select {pairs}.{quote(self.here)} as key, {words} from {join} group by 1"


def linked_words(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such words, with a command that reads them as titles. The caller may see all
    tables."""
    if source.has_titles or source.template or source.grouping or source.where or source.table == QUERY:
        return
    with connect(source.database) as db:
        found = next((words for words in _found(db, source) if _are_led(db, source, words)), None)
    if found is None or not source.body:
        return
    here, title = quote(source.table), next(n for n in ("words", "its_words") if n not in source.columns)
    texts = [f"{here}.{quote(name)}" for name in source.body]
    sql = (
        f"select named.words as {title}, {', '.join(texts)} from {here} left join ({found.sql}) as named "
        f"on named.key = {here}.{quote(found.here)}"
    )
    yield (
        f"The words that these rows are about are in {found.table} ({found.word}), to which {found.pairs} "
        f"leads. To read them as titles: {command.with_query(sql, '--title', title)}"
    )


def _found(db: sqlite3.Connection, source: Source) -> Iterator[_Words]:
    columns = {table: column_names(db, quote(table)) for table in readable_tables(db)}
    keys = [column for column in source.columns if column.lower().endswith("id")]
    for table, names in columns.items():
        word = next((name for name in names if "_".join(words_of(name)) in _WORDS), None)
        key = primary_key(db, table)
        if word is None or len(key) != 1 or table == source.table or not key[0].lower().endswith("id"):
            continue
        for pairs, both in columns.items():
            if pairs in (table, source.table) or key[0] not in both:
                continue
            here = next((column for column in keys if column in both and column != key[0]), None)
            if here:
                yield _Words(pairs, here, key[0], table, word)


def _are_led(db: sqlite3.Connection, source: Source, words: _Words) -> bool:
    """Whether most rows have words: some of them are looked for."""
    ids = list(dict.fromkeys(row[words.here] for row in source.sample))[:SAMPLE_ROWS]
    marks = ", ".join("?" * len(ids))
    pairs, name = quote(words.pairs), quote(words.here)
    sql = f"select count(distinct {name}) from {pairs} where {name} in ({marks})"
    (count,) = db.execute(sql, ids).fetchone()
    return bool(count >= MIN_LED * len(ids) > 0)
