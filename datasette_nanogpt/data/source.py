"""Documents from the rows of a SQLite table or query, one row at a time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pluggy import HookCaller

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem

from ..hookspecs import document_hook
from .column_content import columns_of
from .columns import choose_columns, missing_columns
from .decode import NOT_UTF8, WINDOWS_1252, Decoded, cure, decode_bytes, encoding_of
from .documents import join_document
from .sample import Relation, Value, read_sample
from .sqlite import (
    column_names,
    connect,
    database_path,
    explain_sql,
    find_name,
    list_names,
    order_by,
    primary_key,
    quote,
    rowid_name,
    unique_columns,
)
from .tables import find_table
from .text_kinds import TextKind, documents_of, read_text, read_title

DIGEST_ROWS = 10_000  # read between two figures of progress
QUERY = "query"  # the name that stands for a table's when the rows are those of a query
Key = dict[str, Any]  # the primary key of a row: column -> value; {} in a view or query


@dataclass(frozen=True)
class Selection:
    """Which rows to read and which of their columns, as far as somebody said so.

    `title` and `body` name columns; where they do not, columns are guessed from a sample of the rows.
    `title=""` means no title. `where` is an SQL condition; `sql` is a query whose rows are read instead of a
    table's. `text` is how the body is read, one of TEXT_FORMATS; None: as the sample tells.
    """

    title: str | None = None
    body: Sequence[str] = ()
    where: str | None = None
    sql: str | None = None
    text: str | None = None


ALL_ROWS = Selection()


@dataclass
class Source:
    """The rows of one table or query that will be trained on, and how they are read.

    `skipped` counts rows by the reason why `documents()` left them out: after a whole pass,
    documents + skipped == rows, unless markers in a row make several documents of it.
    """

    database: Path  # absolute
    table: str
    columns: tuple[str, ...]  # all of the table's
    title: str | None
    body: tuple[str, ...]
    kinds: dict[str, TextKind]  # how each of `text_columns` is read
    row_count: int
    from_sql: str  # what stands after `from`
    order_by: str  # SQL, "" for the order in which SQLite yields them
    keys: tuple[str, ...]  # the columns of the primary key, or rowid; none in a view or query
    left_out: Mapping[str, str] = field(default_factory=dict)  # why each other column is not read, in words
    skipped: Counter[str] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)  # rows with text in an encoding other than UTF-8
    attachments: int = 0  # to mail, in the rows that were read
    sample: Sequence[Mapping[str, Value]] = field(default=(), repr=False)  # the beginnings of some rows
    _encodings: dict[str, str] = field(default_factory=dict, repr=False)  # of columns, see `_decode`

    @property
    def text_columns(self) -> list[str]:
        """The columns that become text: the title, if there is one, and the body."""
        return [*([self.title] if self.title else []), *self.body]

    @property
    def html_columns(self) -> frozenset[str]:
        """The columns of `body` that hold HTML."""
        return frozenset(column for column in self.body if self.kinds[column].format == "html")

    @property
    def has_titles(self) -> bool:
        """Whether most documents begin with a title."""
        return bool(self.title) or any(self.kinds[column].format == "mail" for column in self.body)

    @property
    def read_as_text(self) -> list[str]:
        """What is in the columns that is not text but read as such, in words: "HTML", "front matter"."""
        return list(dict.fromkeys(name for column in self.body for name in self.kinds[column].names))

    @property
    def has_markers(self) -> bool:
        """Whether `<|endoftext|>` in a row ends a document."""
        return any(self.kinds[column].markers for column in self.body)

    @property
    def data(self) -> list[str]:
        """What most values of a column of `body` are instead of text, in words: "JSON", "hex"."""
        return list(dict.fromkeys(self.kinds[c].data for c in self.body if self.kinds[c].data))

    def read_sample(self) -> tuple[list[str], list[str]]:
        """The documents of the sample, from all over the table, and the remarks on them."""
        looked = replace(self, skipped=Counter(), decoded=Counter(), attachments=0)
        hook = document_hook()
        documents = [text for row in self.sample for text in looked._documents(hook, row)]
        whole = len(self.sample) == self.row_count
        return documents, looked.remarks("" if whole else f" of the {len(self.sample):,} rows looked at")

    def remarks(self, of: str = " rows") -> list[str]:
        """What was decoded and skipped in the rows that were read, and what can be done about it."""
        of = of or " rows"
        remarks = [f"{n:,}{of} are in {encoding}, and decoded." for encoding, n in self.decoded.items()]
        if any(self.kinds[column].format == "mail" for column in self.body):
            told = f"{self.attachments:,} attachments{'' if of == ' rows' else of}"
            remarks.append(f"Headers and quoted replies of mail are left out, and {told}.")
        for reason, n in self.skipped.items():
            remark = f"{n:,}{of} are skipped: {reason}."
            for column in self.text_columns:
                if reason.startswith(f"{column} is "):
                    what = reason.removeprefix(f"{column} is ")
                    remark += " " + cure(what, str(self.database), self.table, column)
            remarks.append(remark)
        return remarks

    def documents(self) -> Iterator[str]:
        """Stream one document per row that has text, always in the same order.

        Raises NanogptError when the database cannot be read to the end, or a plugin's
        `nanogpt_document` returns something that is not text.
        """
        return (text for _, text in self._read(()))

    def keyed_documents(self) -> Iterator[tuple[Key, str]]:
        """`documents()`, each with the primary key of its row."""
        return ((dict(zip(self.keys, values, strict=True)), text) for values, text in self._read(self.keys))

    def keyed_documents_from_copy(self) -> Iterator[tuple[Key, str]]:
        """`keyed_documents()`, all copied to a temporary file before the first one comes: slow work on each
        would otherwise keep others from writing to the database meanwhile.

        Raises NanogptError where the copy does not fit on the disk.
        """
        with closing(sqlite3.connect("", check_same_thread=False)) as copy:
            names = ", ".join(f"c{i}" for i in range(len(self.keys) + 1))
            copy.execute(f"create table document ({names})")
            marks = ", ".join("?" * (len(self.keys) + 1))
            rows = ((*values, text) for values, text in self._read(self.keys))
            try:
                copy.executemany(f"insert into document values ({marks})", rows)
            except sqlite3.Error as error:
                raise NanogptError(
                    f"Cannot copy the rows to a temporary file: {error}. Is the disk full?"
                ) from error
            for *values, text in copy.execute("select * from document order by rowid"):
                yield dict(zip(self.keys, values, strict=True)), text

    def documents_by_key(self, keys: Iterable[Sequence[str]]) -> Iterator[str | None]:
        """The document of each row with these values of `self.keys`, None where there is no such row."""
        hook = document_hook()
        columns = self._columns_to_read(hook)
        condition = " and ".join(f"{quote(key)} = ?" for key in self.keys)
        select = f"select {', '.join(map(quote, columns)) or 'null'} from {quote(self.table)}"
        with connect(self.database) as db:
            for values in keys:
                row = None
                if len(values) == len(self.keys):
                    row = db.execute(f"{select} where {condition}", values).fetchone()
                yield (
                    "\n\n".join(self._documents(hook, dict(zip(columns, row, strict=True)))) if row else None
                )

    def digest(self) -> Generator[int, None, tuple[bytes, int]]:
        """A hash of all values that `documents()` reads, in order, and how many bytes they have. Yields the
        number of rows read, now and then."""
        blake, size = hashlib.blake2b(digest_size=16), 0
        with connect(self.database) as db:
            db.text_factory = bytearray  # undecoded, and not mistaken for a BLOB, which is bytes
            for row, values in enumerate(db.execute(self._select(self.text_columns))):
                if row % DIGEST_ROWS == 0:
                    yield row
                for value in values:
                    if isinstance(value, bytes | bytearray):
                        size += len(value)
                        kind = b"text" if isinstance(value, bytearray) else b"blob"
                        blake.update(b"%s%d:" % (kind, len(value)))
                        blake.update(value)
                    else:
                        blake.update(repr(value).encode() + b";")
        return blake.digest(), size

    def _read(self, keys: Sequence[str]) -> Iterator[tuple[Sequence[Any], str]]:
        """The values of `keys` and the document of every row that has text; more than one where markers
        stand between them."""
        self.skipped.clear()
        self.decoded.clear()
        self.attachments = 0
        hook = document_hook()
        columns = self._columns_to_read(hook)
        with connect(self.database) as db:
            for values in db.execute(self._select([*keys, *columns])):
                row = dict(zip(columns, values[len(keys) :], strict=True))
                for document in self._documents(hook, row):
                    yield values[: len(keys)], document

    def _columns_to_read(self, hook: HookCaller | None) -> list[str]:
        return list(self.columns) if hook else self.text_columns

    def _select(self, columns: Sequence[str]) -> str:
        return f"select {', '.join(map(quote, columns)) or 'null'} from {self.from_sql} {self.order_by}"

    def _documents(self, hook: HookCaller | None, row: Mapping[str, Value]) -> list[str]:
        """The documents of a row, none where it is left out, which is counted."""
        text = self._document_of_plugin(hook, row) if hook else None
        if text is None:
            return self._title_and_body([row[column] for column in self.text_columns])
        return [text] if text else []

    def _document_of_plugin(self, hook: HookCaller, row: Mapping[str, Value]) -> str | None:
        """The plugin's document of a row, "" if it is left out, None if the plugin has no opinion."""
        answer = hook(database=self.database.stem, table=self.table, row=row)
        if answer is False:
            self.skipped["left out by a plugin"] += 1
            return ""
        if answer is None:
            return None
        if not isinstance(answer, str):
            raise NanogptError(
                "A plugin's nanogpt_document() must return a str, False or None, "
                f"not {type(answer).__name__}."
            )
        return next(iter(self._count_empty([join_document(None, [answer])])), "")

    def _title_and_body(self, values: Sequence[Value]) -> list[str]:
        texts: list[str] = []
        encodings: set[str] = set()
        for column, value in zip(self.text_columns, values, strict=True):
            plain = "" if value is None else str(value)
            decoded, what = self._decode(column, value) if isinstance(value, bytes) else (plain, "")
            if decoded is None:
                # Half a row would teach titles without texts.
                self.skipped[f"{column} is {what}"] += 1
                return []
            encodings |= {what} if what else set()
            texts.append(decoded)
        self.decoded.update(encodings)
        title = None
        if self.title:
            has_entities = self.kinds[self.title].entities or bool(self.html_columns)
            title = read_title(texts.pop(0), entities=has_entities)
        bodies: list[str] = []
        others: list[str] = []  # documents after a marker
        for column, value in zip(self.body, texts, strict=True):
            text = read_text(value, self.kinds[column])
            title = title or text.title
            self.attachments += text.attachments
            first, *rest = documents_of(text.text, self.kinds[column]) or [""]
            bodies.append(first)
            others += rest
        return self._count_empty([join_document(title, bodies), *(join_document(None, [o]) for o in others)])

    def _decode(self, column: str, raw: bytes) -> Decoded:
        """A value as text. How bytes that are not UTF-8 are read is the same for all of a column: where the
        sample had none of them, the whole column is looked through once."""
        decoded = decode_bytes(raw, self.kinds[column].encoding)
        if self.kinds[column].encoding or decoded.what not in (WINDOWS_1252, NOT_UTF8):
            return decoded
        if column not in self._encodings:
            with connect(self.database) as db:
                rows = db.execute(f"select {quote(column)} from {self.from_sql}")
                self._encodings[column] = encoding_of(value for (value,) in rows)
        return decode_bytes(raw, self._encodings[column])

    def _count_empty(self, documents: Sequence[str]) -> list[str]:
        documents = [document for document in documents if document]
        if not documents:
            self.skipped["no text"] += 1
        return documents


def open_source(database: str, table: str, selection: Selection = ALL_ROWS) -> Source:
    """Find a table's rows and the columns to read; reads a bounded sample, and counts the rows.

    With `selection.sql` the rows are those of the query, and `table` is only what it is called. Raises
    InvalidOptions for whatever makes the table unfit to train on, NanogptError where the file cannot be read.
    """
    path = database_path(database)
    with connect(path) as db:
        sql, where = selection.sql, selection.where
        if sql is None:
            table = find_table(db, database, table)
            description, from_sql = f"Table {table!r}", quote(table)
        else:
            sql = sql.strip().rstrip(";")
            description, from_sql = "The query", f"({sql}\n)"  # the line break ends a comment in `sql`
        with explain_sql("sql", sql):
            columns = column_names(db, from_sql)
        from_sql += f" where ({where}\n)" if where else ""
        relation = Relation(table, description, columns, from_sql, database)
        row_count = _count_rows(db, relation, sql, where)
        order, rowid = "", None
        keys: tuple[str, ...] = ()
        unique: set[str] = set()
        if sql is None:
            order, keys, unique = order_by(db, table), primary_key(db, table), unique_columns(db, table)
            rowid = None if where else rowid_name(db, table)
        sample = read_sample(db, replace(relation, row_count=row_count, rowid=rowid))
        found = columns_of(sample, selection.text)
        choice = choose_columns(relation, found, selection.title, selection.body, unique)
        kinds = {c.name: c.kind for c in found if c.name in choice.body}
        kinds |= {c.name: replace(c, text_format=None).kind for c in found if c.name == choice.title}
    rows = [dict(zip(sample, values, strict=True)) for values in zip(*sample.values(), strict=True)]
    source = Source(path, table, columns, choice.title, choice.body, kinds, row_count, from_sql, order, keys)
    return replace(source, left_out=choice.left_out, sample=rows)


def _count_rows(db: sqlite3.Connection, relation: Relation, sql: str | None, where: str | None) -> int:
    """How many rows there are. Raises InvalidOptions if there are none."""
    advice = f" The columns are: {list_names(relation.columns)}."
    # The query alone was tried before: what fails now is the condition, if there is one.
    with explain_sql("sql", sql), explain_sql("where", where, advice):
        (count,) = db.execute(f"select count(*) from {relation.from_sql}").fetchone()
    if count:
        return count
    if where:
        problem = Problem("where", "no_rows", f"No row matches the condition {where!r}: try another one.")
    elif sql:
        problem = Problem("sql", "no_rows", "The query returns no rows: try another one.")
    else:
        message = f"{relation.description} is empty: fill it first, or choose another table."
        problem = Problem("table", "no_rows", message)
    raise InvalidOptions([problem])


def open_sources(database: str, tables: Sequence[str], selection: Selection = ALL_ROWS) -> list[Source]:
    """A Source for each of `tables`, or the one of `selection.sql`; of the columns that `selection` names
    each table uses those that it has.

    Raises InvalidOptions with everything that is wrong, a Problem each.
    """
    if len(tables) < 2:
        return [open_source(database, tables[0] if tables else QUERY, selection)]
    columns: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    with connect(database_path(database)) as db:
        for table in tables:
            try:
                columns[table] = column_names(db, quote(find_table(db, database, table)))
            except InvalidOptions as error:
                problems += error.problems
    everywhere = list(dict.fromkeys(name for names in columns.values() for name in names))
    missing = missing_columns("The tables have", everywhere, selection.title, selection.body)
    if missing and not problems:
        problems += missing
    sources = []
    for table, names in columns.items() if not missing else ():
        title = selection.title
        if title and not find_name(title, names):
            title = None
        own = replace(
            selection, title=title, body=[name for name in selection.body if find_name(name, names)]
        )
        try:
            sources.append(open_source(database, table, own))
        except InvalidOptions as error:
            problems += error.problems
    if problems:
        raise InvalidOptions(problems)
    return sources
