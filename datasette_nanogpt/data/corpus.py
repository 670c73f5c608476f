"""Everything that one model is trained on: tables or a query, in a SQLite file or a Datasette on the web."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from llm_nanogpt.errors import InvalidOptions, Problem
from llm_nanogpt.home import name_after

from ..events import Progress
from .datasette_client import Address, DatasetteClient, read_address
from .open_source import open_sources
from .remote import RemoteCopy, open_remote
from .source import ALL_ROWS, Selection, Source
from .table_choice import only_remote_table, only_table

T = TypeVar("T")


@dataclass
class Corpus:
    """One or several tables of a database, or a query."""

    database: str  # absolute path, or URL
    sources: list[Source]
    where: str | None = None
    sql: str | None = None
    fetched: str | None = None  # when a remote database was copied: UTC, ISO 8601
    remote: RemoteCopy | None = None  # what `load` fetches; until then `sources` are those of a sample
    chosen: str = ""  # where nobody named a table: a sentence that says why it is this one

    @property
    def name(self) -> str:
        """The table, or the tables, or the query."""
        return self.sql or ", ".join(source.table for source in self.sources)

    @property
    def has_titles(self) -> bool:
        """Whether documents begin with a title and a blank line, at least those of one table."""
        return any(source.has_titles for source in self.sources)

    @property
    def row_count(self) -> int:
        return sum(source.row_count for source in self.sources)

    @property
    def document_count(self) -> int:
        """About how many documents there are: those that are left out count."""
        return sum(source.document_count for source in self.sources)

    def load(self) -> Iterator[Progress]:
        """Fetch the rows, if they are on the web."""
        if self.remote:
            self.fetched, self.sources = yield from self.remote.fetch(self.sources)
            self.remote = None

    def documents(self) -> Iterator[str]:
        """The documents of every table, one table after the other. See `Source.documents`."""
        for source in self.sources:
            yield from source.documents()

    def digest(self) -> Generator[int, None, tuple[str, int]]:
        """A hash of all that is read and of how, in hexadecimal, and the bytes of text. Yields the number
        of rows read."""
        blake, total, before = hashlib.blake2b(digest_size=16), 0, 0
        for source in self.sources:
            values, size = yield from _add_to(before, source.digest())
            before += source.row_count
            kinds = [source.kinds[column] for column in source.text_columns]
            how = [source.text_columns, kinds, bool(source.title)]
            how += [source.template.source] if source.template else []
            how += [source.grouping, source.speaker] if source.grouping else []
            blake.update(values + repr(tuple(how)).encode())
            total += size
        return blake.hexdigest(), total

    def describe(self) -> dict[str, Any]:
        """What nanogpt.json keeps. `table` is for people; each table's own facts are in `tables`."""
        return {
            "database": self.database,
            "table": self.name,
            "title": next((source.title for source in self.sources if source.title), None),
            "body": list(dict.fromkeys(column for source in self.sources for column in source.body)),
            "html": sorted({column for source in self.sources for column in source.html_columns}),
            "read_as_text": list(
                dict.fromkeys(name for source in self.sources for name in source.read_as_text)
            ),
            "markers": any(source.has_markers for source in self.sources),
            "data": list(dict.fromkeys(name for source in self.sources for name in source.data)),
            **_text_options(self.sources[0]),
            "where": self.where,
            "sql": self.sql,
            "fetched": self.fetched,
            "rows": self.row_count,
            "tables": [
                {
                    "table": source.table,
                    "title": source.title,
                    "body": list(source.body),
                    **_text_options(source),
                    "html": sorted(source.html_columns),
                    "kinds": {column: kind.as_json() for column, kind in source.kinds.items()},
                    "left_out": dict(source.left_out),
                    "rows": source.row_count,
                    "skipped": dict(source.skipped),
                    "decoded": dict(source.decoded),
                    "remarks": source.remarks(),
                }
                for source in self.sources
            ],
        }


def _text_options(source: Source) -> dict[str, Any]:
    """What a document is, where it is not the title and the body of a row."""
    grouping = source.grouping
    options = {
        "template": source.template and source.template.source,
        "group_by": grouping and grouping.group_by,
        "order_by": grouping and grouping.order_by,
        "speaker": source.speaker,
        "documents": grouping and grouping.count,
    }
    return {name: value for name, value in options.items() if value is not None}


def _add_to(rows: int, steps: Generator[int, None, T]) -> Generator[int, None, T]:
    """`steps`, with `rows` added to each number of rows."""
    while True:
        try:
            yield rows + next(steps)
        except StopIteration as end:
            return end.value


def is_url(database: str) -> bool:
    return database.startswith(("http://", "https://"))


def location(database: str) -> str:
    """Where a database is, always written the same way: as nanogpt.json has it, to recognise it by."""
    if is_url(database):
        return database.rstrip("/")
    path = os.fsencode(Path(os.path.expanduser(database)).absolute())
    return path.decode("utf-8", "backslashreplace")  # a name need not be UTF-8, but what we write must be


def is_same_database(recorded: str | None, database: str) -> bool:
    """Whether `database` is the one that nanogpt.json calls `recorded`, by another path perhaps: through a
    link, or because the file has moved and nothing is left in its old place."""
    if not recorded or is_url(recorded) or is_url(database):
        return recorded == location(database)
    here = os.path.expanduser(database)
    try:
        return os.path.samefile(recorded, here)
    except OSError:  # one of them is not there
        return recorded == location(database) or (os.path.exists(here) and not os.path.exists(recorded))


def default_name(database: str) -> str:
    """The name of a model of that database, where nobody chose one: after its file or its address."""
    if not is_url(database):
        return name_after(Path(database).stem)
    from datasette.utils import tilde_decode

    place = re.split(r"[?#]", database)[0].rstrip("/").removesuffix(".json")
    return name_after(tilde_decode(place.rpartition("/")[2]))


def _database_among(tables: Sequence[str], database: str) -> str:
    """The one of `tables` that is a file while `database` is not: they were swapped. "" if they were not."""
    if is_url(database) or os.path.exists(os.path.expanduser(database)):
        return ""
    return next((table for table in tables if os.path.isfile(os.path.expanduser(table))), "")


def open_corpus(
    database: str,
    tables: Sequence[str] = (),
    selection: Selection = ALL_ROWS,
    *,
    token: str | None = None,
    refresh: bool = False,
    typed: Sequence[str] = (),
) -> Corpus:
    """Open `tables`, or the rows of the query `selection.sql`, of a SQLite file or of a Datasette's URL.

    Without `tables` it is the only one with text. Of several each uses the named columns that it has.
    `token` and `refresh` are for URLs: an API token, and whether to fetch again what was fetched before.
    `typed` has the options of the command, for one that names a table.
    Raises InvalidOptions with everything that is wrong, a Problem each, and NanogptError where the database
    cannot be read.
    """
    tables, sql = list(dict.fromkeys(tables)), selection.sql
    if tables and sql is not None:
        message = "Name the tables to train on or give a query, not both."
        raise InvalidOptions([Problem("sql", "conflict", message)])
    address = _address(database, tables, sql) if is_url(database) else None
    if address:
        tables = [address.table] if address.table else tables
        selection = replace(selection, sql=address.sql or sql)
        sql = selection.sql
    if swapped := _database_among(tables, database):
        message = f"There is no file {database}, but a file {swapped}: the database comes before its tables."
        raise InvalidOptions([Problem("database", "missing", message)])
    chosen = ""
    if not tables and sql is None:
        if address:
            table, chosen = only_remote_table(address.database, token, typed)
        else:
            table, chosen = only_table(database, typed)
        tables = [table]
    if address:
        try:
            fetched, sources, remote = open_remote(address, tables, selection, token=token, refresh=refresh)
        except InvalidOptions as ex:
            if not _may_be_below_a_prefix(address, ex, token):
                raise
            table, chosen = only_remote_table(address.whole, token, typed)
            address, tables = Address(address.whole), [table]
            fetched, sources, remote = open_remote(address, tables, selection, token=token, refresh=refresh)
        return Corpus(location(database), sources, selection.where, sql, fetched, remote, chosen)
    if token or refresh:
        what = "An API token" if token else "To fetch again"
        message = f"{what} is for the URL of a Datasette: leave it out for a file."
        raise InvalidOptions([Problem("token" if token else "refresh", "conflict", message)])
    sources = open_sources(database, tables, selection)
    return Corpus(location(database), sources, selection.where, sql, chosen=chosen)


def _may_be_below_a_prefix(address: Address, ex: InvalidOptions, token: str | None) -> bool:
    """Whether what looks like the address of a table, which there is not, is that of a database, or of all
    databases, of a Datasette whose `base_url` is a path."""
    if not address.table or address.filters or all(problem.code != "missing" for problem in ex.problems):
        return False
    client = DatasetteClient(address.whole, token)
    return bool(client.contents() or client.databases())


def _address(url: str, tables: Sequence[str], sql: str | None) -> Address:
    """With tables or a query the URL is a database's, else it may be that of a table or of a query."""
    return Address(location(url)) if tables or sql is not None else read_address(url)
