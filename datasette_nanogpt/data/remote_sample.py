"""Some rows from all over a table of a Datasette on the web, in few requests.

A page of the JSON API begins after the row that `_next` names by its primary key, whether or not there is a
row with that key: so a key between the first one and the last leads to the middle of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from llm_nanogpt.errors import NanogptError

from .datasette_client import DatasetteClient, Page
from .sample import SAMPLE_ROWS

PLACES = 8  # how many places rows are taken from, the first and the last page included; a request each

Row = dict[str, Any]


def sample_table(client: DatasetteClient, table: str, where: str | None) -> list[Row]:
    """About SAMPLE_ROWS rows of a table or view, all of a small one; the first ones where the server gives no
    others."""
    first = client.first_page(table, where)
    if not first.next_page:
        return _spread(first.rows, SAMPLE_ROWS)
    size = min(SAMPLE_ROWS // PLACES, len(first.rows))
    rows = _spread(first.rows, size)
    with suppress(NanogptError):
        for more in _elsewhere(client, table, where, first, size):
            rows += more
    return _fill(rows, first.rows)


def sample_query(client: DatasetteClient, sql: str, where: str | None) -> list[Row]:
    """About SAMPLE_ROWS rows of a query, which has pages by number."""
    first = client.query(sql, where, "", SAMPLE_ROWS)
    if not first.next_page:
        return first.rows
    size = min(SAMPLE_ROWS // PLACES, len(first.rows))
    rows = _spread(first.rows, size)
    with suppress(NanogptError):
        total = client.count(sql, where)
        for place in range(1, PLACES):
            rows += client.query(sql, where, str((total - size) * place // (PLACES - 1)), size).rows
    return _fill(rows, first.rows)


def _elsewhere(
    client: DatasetteClient, table: str, where: str | None, first: Page, size: int
) -> Iterator[list[Row]]:
    """`size` rows of each of the other places, the last ones first."""
    from datasette.utils import tilde_encode

    if not first.keys:  # a view, which has pages by number
        for place in range(1, PLACES):
            yield client.rows_at(table, where, size, [("_next", str(first.total * place // PLACES))])
        return
    key, *others = first.keys
    last = client.rows_at(table, where, size, [("_sort_desc", key)])
    yield last
    keys = [row[key] for row in (*first.rows, *reversed(last))]
    alphabet = sorted(set("".join(map(str, keys))))
    rest = [tilde_encode(str(first.rows[0][other])) for other in others]
    for place in range(1, PLACES - 1):
        between = _between(keys[0], keys[-1], place / (PLACES - 1), alphabet)
        token = ",".join([tilde_encode(between), *rest])
        yield client.rows_at(table, where, size, [("_next", token)])


def _between(low: object, high: object, fraction: float, alphabet: Sequence[str] = ()) -> str:
    """A key at about that fraction of the way between two keys, as a page's address has it. `alphabet` are
    the characters of texts, sorted."""
    if isinstance(low, int) and isinstance(high, int):
        return str(low + int((high - low) * fraction))
    if isinstance(low, float | int) and isinstance(high, float | int):
        return str(low + (high - low) * fraction)
    start, end = str(low), str(high)
    differ = (i for i, (a, b) in enumerate(zip(start, end, strict=False)) if a != b)
    same = next(differ, min(len(start), len(end)))
    # The next two characters, as one alone has few values: a number in base len(alphabet).
    base = len(alphabet)
    first, last = (_number(text[same : same + 2], alphabet) for text in (start, end))
    at = first + int((last - first) * fraction)
    return start[:same] + (alphabet[at // base] + alphabet[at % base] if base else "")


def _number(digits: str, alphabet: Sequence[str]) -> int:
    """The number that two digits are; one that is missing counts as the lowest."""
    values = [alphabet.index(digit) for digit in digits] + [0, 0]
    return values[0] * len(alphabet) + values[1]


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` rows at equal distances."""
    return [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else list(rows)


def _fill(rows: Sequence[Row], more: Sequence[Row]) -> list[Row]:
    """The rows, each once, with others of the first page where too few of them differ."""
    distinct = {json.dumps(row, sort_keys=True): row for row in [*rows, *more]}
    return list(distinct.values())[:SAMPLE_ROWS]
