"""JSON that is not read and has more text in it than what is, and the SQL that reads it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..formatting import TrainCommand
from .shapes import letters, shape_of
from .source import QUERY, Source
from .sqlite import quote

MORE_TEXT = 2  # times the letters that are read
MAX_DEPTH = 20  # levels of JSON


def unread_json(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about the first such column of the source's sample, with the command that reads it."""
    if source.template or source.grouping or source.table == QUERY:
        return
    read = sum(letters(str(row[column] or "")) for row in source.sample for column in source.body)
    for column in (name for name, why in source.left_out.items() if why == "JSON"):
        texts: Counter[str] = Counter()
        for row in source.sample:
            for path, text in _strings(_parsed(row[column]), "$", 0):
                texts[path] += letters(text)
        path, most = next(iter(texts.most_common(1)), ("", 0))
        if most > MORE_TEXT * read:
            others = [quote(name) for name in (source.title, *source.body) if name]
            extracted = f"json_extract({quote(column)}, '{path}') as text"
            sql = f"select {', '.join([*others, extracted])} from {source.from_typed}"
            told = f"There is more text in {column}, which is JSON. To read {path} of it"
            yield f"{told}: {command.with_query(sql)}"
            return


def _parsed(value: object) -> Any:
    """What JSON says; None where `value` is no JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """The prose in JSON, each string with its path as SQLite has it; of lists the first element alone."""
    if isinstance(value, str) and " " in value.strip() and "'" not in path and not shape_of(value):
        yield path, value
    elif isinstance(value, list) and value and depth < MAX_DEPTH:
        yield from _strings(value[0], f"{path}[0]", depth + 1)
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        for key, each in value.items():
            if '"' not in key:
                name = key if key.isidentifier() else f'"{key}"'
                yield from _strings(each, f"{path}.{name}", depth + 1)
