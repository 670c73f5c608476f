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

from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.template import Template

from ..hookspecs import document_hook
from .conversations import Grouping, join_rows
from .decode import encoding_of
from .packed import cure
from .row_reader import NO_TEXT, ONLY, RowReader, RowText
from .sample import Value
from .sqlite import connect, quote, quote_column
from .text_kinds import TextKind

DIGEST_ROWS = 10_000  # rows that are read between two reports of progress
GOLDEN = 2654435769  # 2**32 divided by the golden ratio
QUERY = "query"  # the name that stands for a table's when the rows are those of a query
Key = dict[str, Any]  # the primary key of a row: column -> value; {} in a view or query


@dataclass(frozen=True)
class Selection:
    """Which rows to read, and which of their columns, as the options say.

    `title` and `body` name columns; where they do not, columns are guessed from a sample of the rows.
    `title=""` means no title. `where` is an SQL condition; `sql` is a query whose rows are read instead of a
    table's. `text` is how the body is read, one of TEXT_FORMATS; None: as the sample suggests. `template`
    says what a row's text is, see llm_nanogpt/template.py; then there is neither title nor body. Rows with
    the same `group_by` become one document, in the order of `order_by`: columns, or SQL expressions of
    columns.
    """

    title: str | None = None
    body: Sequence[str] = ()
    where: str | None = None
    sql: str | None = None
    text: str | None = None
    template: str | None = None
    group_by: str | None = None
    order_by: str | None = None


ALL_ROWS = Selection()


@dataclass
class Source:
    """The rows of one table or query that will be trained on, and how they are read.

    `skipped` counts rows by the reason why `documents()` left them out: after a whole pass,
    documents + skipped == rows, unless markers in a row make several documents of it, or a grouping one of
    several rows.
    """

    database: Path  # absolute
    table: str
    columns: tuple[str, ...]  # all of the table's
    title: str | None
    body: tuple[str, ...]  # with a template all columns that it names
    kinds: dict[str, TextKind]  # how each of `text_columns` is read
    row_count: int
    from_sql: str  # what stands after `from`
    order_by: str  # SQL, "" for the order in which SQLite yields them
    keys: tuple[str, ...]  # the columns of the primary key, or rowid; none in a view or query
    left_out: Mapping[str, str] = field(default_factory=dict)  # why each other column is not read, in words
    skipped: Counter[str] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)  # rows with text in an encoding other than UTF-8
    attachments: int = 0  # to mail, in the rows that were read
    cut: int = 0  # texts of mail without their quoted replies and signatures, in the rows that were read
    sample: Sequence[Mapping[str, Value]] = field(default=(), repr=False)  # the beginnings of some rows
    template: Template | None = None
    grouping: Grouping | None = None
    speaker: str | None = None  # the column that leads each row's text in a conversation
    where: str | None = None  # the condition in which `from_sql` ends
    typed_database: str = ""  # as somebody gave it, for commands to type
    columns_given: bool = False  # somebody named the columns of the text
    rows_read: int = 0  # in the pass under way, or the last one
    _encodings: dict[str, str] = field(default_factory=dict, repr=False)  # of columns, see `_encoding`

    @property
    def text_columns(self) -> list[str]:
        """The columns that become text: the title and the speaker, if there are any, and the body."""
        return self._reader().columns

    @property
    def from_typed(self) -> str:
        """`from_sql` as people type it, where that says the same."""
        last_line = self.from_sql.removesuffix("\n)").rpartition("\n")[2]  # which may end in a comment
        is_same = self.from_sql.endswith("\n)") and "--" not in last_line
        return f"{self.from_sql[:-2]})" if is_same else self.from_sql

    @property
    def columns_to_fetch(self) -> list[str]:
        """The columns that documents are made of and grouped by; none for all of them."""
        grouping = self.grouping
        if not grouping:
            return self.text_columns
        given = [name for name in (grouping.group_by, grouping.order_by) if name]
        # An expression may need any column.
        all_named = len(grouping.columns) == len(given)
        return list(dict.fromkeys([*self.text_columns, *grouping.columns])) if all_named else []

    @property
    def document_count(self) -> int:
        """About how many documents there are: those that are left out count."""
        return self.grouping.count if self.grouping else self.row_count

    @property
    def has_titles(self) -> bool:
        """Whether documents begin with a line or more that tell what the rest is about, and a blank line."""
        if self.template:
            return self.template.has_header and not self.grouping
        return bool(self.title) or any(
            self.kinds[column].format == "mail" or self.kinds[column].titled for column in self.body
        )

    @property
    def html_columns(self) -> frozenset[str]:
        """The columns of `body` that hold HTML."""
        return frozenset(column for column in self.body if self.kinds[column].format == "html")

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

    @property
    def looked_at(self) -> str:
        """What the sample is, after a number of rows in it: "rows" of all, "of the 200 rows looked at"."""
        whole = len(self.sample) == self.row_count
        return "rows" if whole else f"of the {len(self.sample):,} rows looked at"

    def read_sample(self) -> tuple[list[str], list[str]]:
        """The documents of the sample, from all over the table, and the remarks on them. Rows of a
        conversation are by themselves here."""
        looked = replace(self, skipped=Counter(), decoded=Counter())
        reader = looked._reader()
        documents = [text for row in self.sample for text in reader.documents(row)]
        looked.attachments, looked.cut = reader.attachments, reader.cut
        return documents, looked.remarks(f" {self.looked_at}")

    def remarks(self, of: str = " rows") -> list[str]:
        """What was decoded and skipped in the rows that were read, and what can be done about it."""
        remarks = [f"{n:,}{of} are in {encoding}, and decoded." for encoding, n in self.decoded.items()]
        if any(self.kinds[column].format == "mail" for column in self.body):
            told = f", and {counted(self.attachments, 'attachment')}{'' if of == ' rows' else of}"
            told = told if self.attachments else ""
            remarks.append(f"Headers, quoted replies and signatures of mail are left out{told}.")
        elif self.cut:
            kinds = (self.kinds[column] for column in self.body)
            keep = next(kind.format for kind in kinds if kind.replies or kind.mailed)
            remarks.append(
                f"Quoted replies and signatures of mail are left out of {self.cut:,}{of}. To keep them: "
                f"--text {keep}"
            )
        for reason, n in _told_together(self.skipped):
            remark = f"{'1 row is' if n == 1 and of == ' rows' else f'{n:,}{of} are'} skipped: {reason}."
            for column in self.text_columns:
                if reason.startswith(f"{column} is "):
                    what = reason.removeprefix(f"{column} is ")
                    values = [row[column] for row in self.sample]
                    remark += " " + cure(what, self.typed_database, self.table, column, values)
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

    def keyed_documents_from_copy(self, scattered: bool = False) -> Iterator[tuple[Key, str]]:
        """`keyed_documents()`, all copied to a temporary file before the first one comes: slow work on each
        would otherwise keep others from writing to the database meanwhile. `scattered`: in an order in which
        the first ones are from all over the table, always the same.

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
            # Multiples of the golden ratio, in fractions of 2**32, are spread evenly however many there are.
            order = f"(rowid * {GOLDEN}) & {2**32 - 1}" if scattered else "rowid"
            rowids = copy.execute(f"select rowid from document order by {order}")
            for (rowid,) in rowids:
                *values, text = copy.execute("select * from document where rowid = ?", [rowid]).fetchone()
                yield dict(zip(self.keys, values, strict=True)), text

    def documents_by_key(self, keys: Iterable[Sequence[str]]) -> Iterator[str | None]:
        """The document of each row with these values of `self.keys`, None where there is no such row. With a
        grouping it is that of the conversation that the row is in."""
        reader = self._reader()
        columns = self._columns_to_read(reader)
        condition = " and ".join(f"{quote_column(key)} = ?" for key in self.keys)
        select = f"select {', '.join(map(quote_column, columns)) or 'null'} from {quote(self.table)}"
        with connect(self.database) as db:
            for values in keys:
                if len(values) != len(self.keys):
                    yield None
                elif self.grouping:
                    yield self._conversation(db, reader, values, condition)
                else:
                    row = db.execute(f"{select} where {condition}", values).fetchone()
                    documents = reader.documents(dict(zip(columns, row, strict=True))) if row else []
                    yield "\n\n".join(documents) if row else None

    def _conversation(
        self, db: sqlite3.Connection, reader: RowReader, key: Sequence[str], condition: str
    ) -> str | None:
        """The conversation of the row with that key, which `condition` compares; of a long one that was cut,
        the part that begins with the row, else the first."""
        assert self.grouping  # noqa: S101  # the caller has checked that
        columns, by = self._columns_to_read(reader), self.grouping.by
        group = f"select ({by}) from {quote(self.table)} where {condition}"
        (name,) = db.execute(group, key).fetchone() or (None,)
        of_group = f"({by}) is ({group})" if name is not None else condition
        joiner = "and" if self.where else "where"
        rows = db.execute(self._select([*self.keys, *columns], f"{joiner} {of_group}"), key)
        parts = [([*map(str, first)], text) for first, text in self._grouped(reader, columns, rows)]
        begins = (text for first, text in parts if first == [*map(str, key)])
        return next(begins, parts[0][1] if parts else None)

    def grouped_rows(self) -> Iterator[tuple[Any, RowText]]:
        """The group and the text of each row, in the order of the conversations, to show what becomes one
        document. Nothing is counted."""
        looked = replace(self, skipped=Counter(), decoded=Counter())
        reader = looked._reader()
        columns = looked._columns_to_read(reader)
        with connect(self.database) as db:
            rows = looked._row_texts(reader, columns, db.execute(self._select(columns)))
            yield from ((group, text) for _, group, text in rows)

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
        stand between them. With a grouping: the values of its first row and each conversation."""
        self.skipped.clear()
        self.decoded.clear()
        self.rows_read = 0
        reader = self._reader()
        columns = self._columns_to_read(reader)
        with connect(self.database) as db:
            rows = self._counted(reader, db.execute(self._select([*keys, *columns])))
            if self.grouping:
                yield from self._grouped(reader, columns, rows)
                return
            for values in rows:
                row = dict(zip(columns, values[len(keys) :], strict=True))
                for document in reader.documents(row):
                    yield values[: len(keys)], document

    def _counted(self, reader: RowReader, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for row in rows:
            self.rows_read += 1
            yield row
            self.attachments, self.cut = reader.attachments, reader.cut

    def _grouped(
        self, reader: RowReader, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[Sequence[Any], str]]:
        """The keys and the document of each conversation, from rows of keys, `columns`, and the group."""
        texts = self._row_texts(reader, columns, rows)
        return ((keys, document) for keys, document in join_rows(texts) if document)

    def _row_texts(
        self, reader: RowReader, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[Sequence[Any], Any, RowText]]:
        """The keys, the group and the text of each of these rows that has one."""
        for values in rows:
            at = len(values) - 1 - len(columns)
            text = reader.read(dict(zip(columns, values[at:-1], strict=True)))
            if text and (text.title or text.text.strip() or text.others):
                yield values[:at], values[-1], text
            elif text:
                self.skipped[NO_TEXT] += 1

    def _reader(self) -> RowReader:
        return RowReader(
            self.database.stem,
            self.table,
            self.title,
            self.body,
            self.kinds,
            self._encoding,
            template=self.template,
            speaker=self.speaker,
            hook=None if self.template else document_hook(),
            skipped=self.skipped,
            decoded=self.decoded,
        )

    def _encoding(self, column: str) -> str:
        """How bytes of a column that are not UTF-8 are read, the same for all of it: where the sample had
        none of them, the whole column is looked through once."""
        if column not in self._encodings:
            with connect(self.database) as db:
                rows = db.execute(f"select {quote_column(column)} from {self.from_sql}")
                self._encodings[column] = encoding_of(value for (value,) in rows)
        return self._encodings[column]

    def _columns_to_read(self, reader: RowReader) -> list[str]:
        return list(self.columns) if reader.hook else reader.columns

    def _select(self, columns: Sequence[str], condition: str = "") -> str:
        """SQL for these columns of all rows, and for the group of each where they are grouped."""
        names = [*map(quote_column, columns), *([f"({self.grouping.by})"] if self.grouping else [])]
        return f"select {', '.join(names) or 'null'} from {self.from_sql} {condition} {self.order_by}"


def _told_together(skipped: Counter[str]) -> list[tuple[str, int]]:
    """The reasons for skipping rows, with those for having no text as one, where there are several."""
    without = {reason: n for reason, n in skipped.items() if reason == NO_TEXT or reason.startswith(ONLY)}
    if len(without) < 2:
        return [*skipped.items()]
    parts = [f"{reason} in {n:,}" for reason, n in without.items()]
    others = [(reason, n) for reason, n in skipped.items() if reason not in without]
    return [(", ".join(parts), sum(without.values())), *others]
