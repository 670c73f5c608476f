"""The columns that can be given on a model's page: their names, and their common values in the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.conditions import can_be_given, layout_of, read_row
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.tokenizer import Tokenizer

from ..data.token_files import documents

ROWS = 1000  # how many rows are searched for common values: the first ones, as the training text is shuffled
HEAD_TOKENS = 200  # how many tokens of each row are read; all columns but the last must end within them
# The most common values of a column are offered, at most CHOICES, each in at least REPEATED rows, if together
# they make up the fraction COMMON of the rows.
CHOICES = 30
COMMON = 0.5
REPEATED = 2
LONGEST = 60  # how many characters a value in a list may have
LINES = 0.1  # of the rows with a column, at least, have line breaks in it: then its field takes several lines


@dataclass(frozen=True)
class Column:
    """A column that can be given."""

    name: str
    choices: tuple[str, ...] = ()  # its common values, the most common first; () if it has none
    example: str = ""  # its most common value; "" if none is known
    lines: bool = False  # whether its values have line breaks


def columns_to_set(checkpoint: Checkpoint) -> list[Column]:
    """The columns of `settable`, with their common values."""
    names = settable(checkpoint)
    try:
        known = _columns(checkpoint.path, checkpoint.version) if names else {}
    except NanogptError:  # the model was removed meanwhile
        known = {}
    return [known.get(name, Column(name)) for name in names]


def settable(checkpoint: Checkpoint) -> list[str]:
    """The columns of a template that can be given, in its order. Empty without a template, and where the rows
    of a conversation make one text."""
    source = _source(checkpoint)
    if not source.get("template") or source.get("group_by"):
        return []
    try:
        return layout_of(source).settable
    except NanogptError:  # the columns cannot be told apart in a text
        return []


def last_column(checkpoint: Checkpoint) -> str:
    """The name of the last column, which the model writes and a prompt begins; "" without a template."""
    return " or ".join(layout_of(_source(checkpoint)).last)


def held_out_columns(checkpoint: Checkpoint, tokens: int) -> Iterator[dict[str, str]]:
    """The columns above the text of each held-out row, if they end within that many tokens and can be given
    without the others."""
    source = _source(checkpoint)
    for columns in _heads(checkpoint, "val.bin", tokens):
        if can_be_given(source, head := _short(columns)):
            yield head


def written_columns(checkpoint: Checkpoint, settings: Mapping[str, Any], written: str) -> dict[str, Any]:
    """The parts of a text that was `written` with these settings: what it `begins` with, its `columns`, and
    the `rest`, which is the beginning of its last column. Empty for models without columns to set. Raises
    NanogptError for unknown columns."""
    if not settable(checkpoint):
        return {}
    begins, columns, last = read_row(_source(checkpoint), settings["set"], settings["prompt"], written)
    rest = columns.pop(last, None) if last else None
    return {"begins": begins, "columns": columns, "rest": rest}


def _source(checkpoint: Checkpoint) -> dict[str, Any]:
    return checkpoint.meta.get("source") or {}


@lru_cache(maxsize=64)
def _columns(folder: Path, _version: str) -> dict[str, Column]:
    counts: dict[str, Counter[str]] = {}
    filled, with_lines = Counter[str](), Counter[str]()
    rows = 0
    for columns in _heads(read_checkpoint(folder), "train.bin", HEAD_TOKENS):
        rows += 1
        filled.update(columns.keys())
        with_lines.update(name for name, value in columns.items() if "\n" in value.strip())
        for name, value in _short(columns).items():
            counts.setdefault(name, Counter())[value] += 1
    known = {}
    for name, n_filled in filled.items():
        counter = counts.get(name, Counter())
        common = {value: n for value, n in counter.most_common(CHOICES) if n >= REPEATED}
        offered = tuple(common) if sum(common.values()) >= COMMON * rows else ()
        example = next(iter(counter.most_common(1)), ("", 0))[0]
        known[name] = Column(name, offered, example, with_lines[name] >= LINES * n_filled)
    return known


def _short(columns: Mapping[str, str]) -> dict[str, str]:
    """Those that fit into a list of choices."""
    return {name: value for name, value in columns.items() if len(value) <= LONGEST and "\n" not in value}


def _heads(checkpoint: Checkpoint, file: str, most_tokens: int) -> Iterator[dict[str, str]]:
    """The columns that can be given, of each of the first ROWS documents of a token file whose last column
    begins within `most_tokens` tokens."""
    layout = layout_of(_source(checkpoint))
    can_be_set = set(layout.settable)
    tokenizer = Tokenizer.load(checkpoint.path)
    for ids in islice(documents(checkpoint.path, file, checkpoint.config.vocab_size), ROWS):
        columns, last = layout.split_last(tokenizer.decode(ids[1:most_tokens]))
        if last is None or columns[last] is None:
            continue
        yield {name: value for name, value in columns.items() if name in can_be_set and value}
