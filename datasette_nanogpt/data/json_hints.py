"""JSON that is not read although it has more text than the columns that are, and the SQL that reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..formatting import TrainCommand
from .json_values import json_or_none
from .shapes import letters, shape_of
from .source import QUERY, Source
from .sqlite import quote

MAX_DEPTH = 20  # levels of JSON that are looked at
MAX_ELEMENTS = 100  # elements of a list that are looked at
COMPARED = 20  # a text whose first characters, so many, are in the columns that are read does not count
_EACH = "[*]"  # stands in a path for each element of a list


def unread_json(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the first such column, by the source's sample, with the command that reads it."""
    if source.template or source.grouping or source.table == QUERY:
        return
    read = sum(letters(str(row[column] or "")) for row in source.sample for column in source.body)
    for column in (name for name, why in source.left_out.items() if why == "JSON"):
        values = [json_or_none(row[column]) for row in source.sample]
        found = [list(_strings(value, "$", 0)) for value in values]
        texts = Counter[str]()
        for row, strings in zip(source.sample, found, strict=True):
            body = " ".join(str(row[name]) for name in source.body)
            for path, text in strings:
                texts[path] += letters(text) if text.strip()[:COMPARED] not in body else 0
        path, most = next(iter(texts.most_common(1)), ("", 0))
        if most > read:
            if all(sum(each == path for each, _ in strings) < 2 for strings in found):  # lists of one element
                path = path.replace(_EACH, "[0]")
            others = [quote(name) for name in (source.title, *source.body) if name]
            is_all = all(
                value is not None or row[column] is None
                for value, row in zip(values, source.sample, strict=True)
            )
            sql = f"select {', '.join([*others, _extracted(column, path, is_all)])} from {source.from_typed}"
            told = f"There is more text in {column}, which is JSON. To read {path} of it"
            yield f"{told}: {command.with_query(sql)}"
            return


def _extracted(column: str, path: str, is_all: bool) -> str:
    """SQL for the text at a path, with a line for each element of a list. `is_all`: all values are JSON."""
    value = quote(column) if is_all else f"iif(json_valid({quote(column)}), {quote(column)}, null)"
    before, is_list, after = path.partition(_EACH)
    if not is_list:
        return f"json_extract({value}, '{path}') as text"
    elements = f"json_each({value})" if before == "$" else f"json_each({value}, '{before}')"
    if not after:
        return f"(select group_concat(value, char(10)) from {elements}) as text"
    each = f"json_extract(value, '${after.replace(_EACH, '[0]')}')"
    kind = "array" if after.startswith("[") else "object"
    return f"(select group_concat({each}, char(10)) from {elements} where type = '{kind}') as text"


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """The strings of prose in JSON, each with its path as SQLite writes it, in which `_EACH` stands for the
    number of an element."""
    if isinstance(value, str) and " " in value.strip() and "'" not in path and not shape_of(value):
        yield path, value
    elif isinstance(value, list) and value and depth < MAX_DEPTH:
        for each in value[:MAX_ELEMENTS]:
            yield from _strings(each, f"{path}{_EACH}", depth + 1)
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        for key, each in value.items():
            if '"' not in key:
                name = key if key.isidentifier() else f'"{key}"'
                yield from _strings(each, f"{path}.{name}", depth + 1)
