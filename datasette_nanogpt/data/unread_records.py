"""Rows that somebody may not mean to train on by what is in their JSON: {"text": ..., "trashed": true}."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from .exclusions import Exclusion, exclusion, is_told, not_among
from .json_values import object_or_none
from .sample import Value
from .source import Source
from .sqlite import quote
from .unread_rows import unread_values

MAX_TOLD = 2  # so many keys are reported


def unread_records(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, each with the option that leaves them out. `of` is
    what a sentence calls the rows that were looked at, such as "rows"."""
    yield from islice(
        (told for column in source.columns for told in _of_column(source, column, of)), MAX_TOLD
    )


def _of_column(source: Source, column: str, of: str) -> Iterator[Exclusion]:
    records = [record for row in source.sample if (record := object_or_none(row[column]))]
    for key in dict.fromkeys(key for record in records for key in record):
        values = [record[key] for record in records if key in record]
        plain = [value for value in values if isinstance(value, str | int | float)]  # with true and false
        if len(plain) < len(values) or '"' in key or "'" in key:
            continue
        unread, is_since = unread_values(key, list(dict.fromkeys(map(_in_sql, plain))))
        count = sum(_in_sql(value) in unread for value in plain)
        if is_since or not is_told(source, count):
            continue
        shown = sorted({json.dumps(value, ensure_ascii=False) for value in plain if _in_sql(value) in unread})
        name, path = quote(column), f"$.{key}" if key.isidentifier() and key.isascii() else f'$."{key}"'
        state = f"json_extract(case when json_valid({name}) then {name} end, '{path}')"
        told = f"In {count:,} {of} {key} in {column} is {' or '.join(shown)}. To leave these out"
        yield exclusion(source, told, f"ifnull({state}, '') {not_among(sorted(unread, key=str))}")


def _in_sql(value: str | int | float) -> Value:
    """A value of JSON as SQLite has it: true is 1."""
    return int(value) if isinstance(value, bool) else value
