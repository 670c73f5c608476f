"""Reading one database of a Datasette on the web over its JSON API, in pages, with retries."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem
from llm_nanogpt.suggestions import did_you_mean

from .sqlite import list_names

if TYPE_CHECKING:
    from tenacity import RetryCallState

# How often a request is tried; less often before the first answer, when no fetched rows can be lost.
ATTEMPTS, FIRST_ATTEMPTS = 9, 4
FIRST_WAIT, MAX_WAIT = 0.5, 60.0  # seconds between attempts; doubled each time, with jitter
MAX_RETRY_AFTER = 300.0  # seconds that a server may ask us to wait
MAX_FIRST_RETRY_AFTER = 10.0  # the same before its first answer, while nothing is shown yet
RETRIED_STATUS = {429, 500, 502, 503, 504}
TIMEOUT = 60  # seconds, for one answer
ANOTHER_TIME = "Check the address, or try again later."
QUERY_ROWS = 1000  # a page of a query: Datasette's default for max_returned_rows

Params = list[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """Some rows of a table or query."""

    rows: list[dict[str, Any]]
    next_page: str  # token of the next page, "" after the last
    total: int  # rows in all pages; 0: not known
    keys: tuple[str, ...] = ()  # the columns of the primary key, or rowid; none for a view or query


@dataclass(frozen=True)
class Address:
    """What somebody copied from the address bar of a browser."""

    database: str  # its address
    table: str | None = None
    filters: tuple[tuple[str, str], ...] = ()  # parameters that choose and sort the rows
    sql: str | None = None
    whole: str = ""  # all of a table's address: of a Datasette below a prefix it may be that of a database


def read_address(url: str) -> Address:
    """The database, the table and the rows that the address of a Datasette's page, or of its JSON, shows."""
    from datasette.utils import tilde_decode

    parts = urlsplit(url)
    path = re.sub(r"\.(json|csv|blob)$", "", parts.path.rstrip("/"))
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    sql = dict(parameters).get("sql")
    base = f"{parts.scheme}://{parts.netloc}"
    if sql:
        return Address(base + path.removesuffix("/-/query"), sql=sql)
    database, _, table = path.rpartition("/")
    if not database.strip("/"):
        return Address(base + path)
    filters = tuple((key, value) for key, value in parameters if _chooses_rows(key))
    return Address(base + database, tilde_decode(table), filters, whole=base + path)


def _chooses_rows(parameter: str) -> bool:
    """Whether a parameter of a table's address decides which rows it shows, and in which order."""
    chosen = ("_search", "_where", "_sort", "_sort_desc", "_through", "_searchmode")
    return not parameter.startswith("_") or parameter in chosen or parameter.startswith("_search_")


class TemporaryError(Exception):
    """A response that may be better next time."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait  # seconds that the server asks for


class DatasetteClient:
    """One database of a Datasette, 0.60 or later: both shapes of its JSON have what is read here."""

    def __init__(self, url: str, token: str | None, filters: Sequence[tuple[str, str]] = ()):
        import httpx2

        headers = {"User-Agent": f"datasette-nanogpt/{version('datasette-nanogpt')}"}
        if token := (token or os.environ.get("DATASETTE_TOKEN") or "").strip():
            if not (token.isascii() and token.isprintable()):
                message = "An API token has letters, digits and signs of ASCII alone: copy it again."
                raise InvalidOptions([Problem("token", "invalid", message)])
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self.filters = list(filters)  # of a table's address: which rows, and in which order
        self.client = httpx2.Client(headers=headers, follow_redirects=True, timeout=TIMEOUT)
        self.attempts = FIRST_ATTEMPTS

    def first_page(self, table: str, where: str | None) -> Page:
        """As many of the first rows of a table as the server gives at once, with all columns, the number of
        all rows, and the primary key; in the order of that, whatever the address says."""
        params = [("_size", "max"), ("_extra", "count"), ("_extra", "primary_keys")]
        return self._page(table, [*self._unsorted(), *params], where)

    def beginning(self, table: str, size: int) -> Page:
        """The first `size` rows of a table or view, and the number of all rows. Tried twice at most."""
        return self._page(table, [("_size", str(size)), ("_extra", "count")], None, attempts=2)

    def rows_at(self, table: str, where: str | None, size: int, place: Params) -> list[dict[str, Any]]:
        """`size` rows of a table from a `place` on: a `_next` or a `_sort_desc`. Tried twice at most."""
        params = [*self._unsorted(), ("_size", str(size)), ("_nocount", "1"), *place]
        return self._page(table, params, where, attempts=2).rows

    def _unsorted(self) -> Params:
        return [each for each in self.filters if not each[0].startswith("_sort")]

    def page(
        self, table: str, columns: Sequence[str], where: str | None, next_page: str, *, with_total: bool
    ) -> Page:
        """As many rows of a table as the server gives at once, from `next_page` on; all columns if none are
        named."""
        params = [*self.filters, ("_size", "max")]
        params += [("_col", column) for column in columns]
        params += [("_next", next_page)] if next_page else []
        params += [("_extra", "count")] if with_total else [("_nocount", "1")]
        return self._page(table, params, where)

    def _page(self, table: str, params: Params, where: str | None, attempts: int = 0) -> Page:
        from datasette.utils import tilde_encode

        params = [("_shape", "objects"), *params, ("_nofacet", "1"), ("_nosuggest", "1")]
        params += [("_where", f"{where}\n")] if where else []  # the line break ends a comment
        data = self._get(f"{self.url}/{tilde_encode(table)}.json", params, table, attempts)
        total = data.get("count") or data.get("filtered_table_rows_count")  # 1.0, 0.6x
        rows = data["rows"]
        keys = tuple(data.get("primary_keys") or (["rowid"] if rows and "rowid" in rows[0] else []))
        return Page(rows, data.get("next") or "", total or 0, keys)

    def query(self, sql: str, where: str | None, next_page: str, size: int = QUERY_ROWS) -> Page:
        """Rows of a query, which has pages only if we ask for them: `next_page` is an offset."""
        start, condition = int(next_page or 0), f"where ({where}\n) " if where else ""
        limited = f"select * from (\n{sql.strip().rstrip(';')}\n) {condition}limit {size} offset {start}"
        data = self._get(f"{self.url}.json", [("sql", limited), ("_shape", "objects")], None)
        rows = data["rows"]
        more = bool(rows) and (len(rows) == size or data.get("truncated"))
        return Page(rows, str(start + len(rows)) if more else "", 0)

    def count(self, sql: str, where: str | None) -> int:
        """How many rows a query has."""
        condition = f"where ({where}\n)" if where else ""
        counted = f"select count(*) as n from (\n{sql.strip().rstrip(';')}\n) {condition}"
        rows = self._get(f"{self.url}.json", [("sql", counted), ("_shape", "objects")], None, 2)["rows"]
        return int(rows[0]["n"])

    def _get(self, url: str, params: Params, table: str | None, attempts: int = 0) -> dict[str, Any]:
        """The JSON of an answer, after up to `attempts` tries (0: the usual number) while trying again may
        help. Raises NanogptError."""
        import httpx2
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            wait_exponential,
            wait_random,
        )

        backoff = wait_exponential(FIRST_WAIT, MAX_WAIT) + wait_random(0, FIRST_WAIT)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), error.wait if isinstance(error, TemporaryError) else 0.0)

        enough = stop_after_attempt(attempts or self.attempts)

        def stop(state: RetryCallState) -> bool:
            too_long = self.attempts == FIRST_ATTEMPTS and wait(state) > MAX_FIRST_RETRY_AFTER
            return enough(state) or too_long

        retrying = Retrying(
            retry=retry_if_exception_type((TemporaryError, httpx2.TransportError)),
            stop=stop,
            wait=wait,
            reraise=True,
        )
        try:
            data = retrying(self._get_once, url, params, table)
        except (TemporaryError, httpx2.RequestError, httpx2.InvalidURL) as error:
            reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
            fetching = self.attempts == ATTEMPTS
            advice = "Try again later: what was fetched so far is kept." if fetching else ANOTHER_TIME
            raise NanogptError(f"{self.url} does not answer ({reason}). {advice}") from error
        self.attempts = ATTEMPTS
        return data

    def _get_once(self, url: str, params: Params, table: str | None) -> dict[str, Any]:
        response = self.client.get(url, params=tuple(params))
        status = response.status_code
        if status in RETRIED_STATUS:
            after = response.headers.get("retry-after", "")
            seconds = float(after) if after.isdecimal() else 0.0
            asked = f", it asks to wait for {seconds:,.0f} s" if seconds > MAX_FIRST_RETRY_AFTER else ""
            raise TemporaryError(f"status {status}{asked}", min(seconds, MAX_RETRY_AFTER))
        is_json = response.headers.get("content-type", "").startswith("application/json")
        try:
            data = response.json() if is_json else {}
        except ValueError:
            raise TemporaryError("its JSON is cut off") from None
        self._check_allowed(status)
        if status == 404 and table:
            message = f"{self.url} has no table {table!r}.{self._list_tables(table)}"
            raise InvalidOptions([Problem("table", "missing", message)])
        if status == 200 and "rows" not in data and self.attempts == ATTEMPTS:  # as where one must log in
            raise TemporaryError("it sent a page in place of rows")
        if status == 404 or (status == 200 and "rows" not in data):
            message = f"{self.url} is not a database of a Datasette: give https://HOST/DATABASE."
            raise InvalidOptions([Problem("database", "missing", message)])
        # The page of a row is below that of its table; before Datasette 1.0 it takes every parameter.
        if table and ("primary_key_values" in data or (status == 400 and "_extra" in str(data.get("error")))):
            message = f"{response.url.copy_with(query=None)} is a row: give the address of its table's page."
            raise InvalidOptions([Problem("database", "row", message)])
        if status != 200:
            raise NanogptError(f"{self.url} answers: {data.get('error') or f'status {status}'}.")
        return data

    def _check_allowed(self, status: int) -> None:
        if status in (401, 403):
            message = f"{self.url} does not let you read this: give an API token that it accepts."
            raise InvalidOptions([Problem("token", "forbidden", message)])

    def _list_tables(self, wrong: str = "") -> str:
        contents = self.contents()
        if contents is None:
            return " Give the database as https://HOST/DATABASE."
        names = [*contents[0]]
        return f" It has: {list_names(names)}.{did_you_mean([wrong], names)}" if names else ""

    def contents(self) -> tuple[dict[str, int], list[str]] | None:
        """Tables of the database -> their rows (0: not known), and its views. None if its address is not that
        of one. Raises InvalidOptions where a token is needed."""
        import httpx2

        try:
            response = self.client.get(f"{self.url}.json")
            self._check_allowed(response.status_code)
            data = response.raise_for_status().json()
            tables = {each["name"]: each.get("count") or 0 for each in data["tables"] if not each["hidden"]}
            return tables, [view["name"] for view in data.get("views") or ()]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError, AttributeError):
            return None

    def databases(self) -> list[str]:
        """The addresses of all databases, if the address is that of a Datasette; else none."""
        import httpx2
        from datasette.utils import tilde_encode

        try:
            data = self.client.get(f"{self.url}/-/databases.json").raise_for_status().json()
            listed = data["databases"] if isinstance(data, dict) else data  # 1.0, 0.6x
            routes = [str(each.get("route") or each["name"]) for each in listed]
            return [f"{self.url}/{tilde_encode(route)}" for route in routes]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError, AttributeError):
            return []
