"""Sentences that end in a condition which leaves rows out, and one condition for several of them."""

from __future__ import annotations

from collections.abc import Sequence

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand, shell_command
from .sample import Value
from .source import Source
from .sqlite import connect, quote

MIN_FRACTION = 0.02  # of the rows: fewer are not told
MAX_BY_PROGRAMS = 0.9  # of the rows: more that a program seems to have written are what the table is


class Exclusion(str):
    """A sentence that ends in the option `--where`; `condition` is the SQL in it, without the run's own."""

    condition: str


def exclusion(source: Source, told: str, condition: str) -> Exclusion:
    """`told` says what for, as "… To leave these out"."""
    sentence = Exclusion(f"{told}: {shell_command(['--where', _with_own(source, [condition])])}")
    sentence.condition = condition
    return sentence


def is_told(source: Source, count: int, most: float = 1.0) -> bool:
    """Whether so many rows of the sample are worth a sentence: some, and less than the fraction `most`."""
    return MIN_FRACTION * len(source.sample) < count < most * len(source.sample)


def without_null(source: Source, column: str) -> str:
    """SQL for a column that has "" for NULL, which is neither in a list nor not in it."""
    has_null = any(row[column] is None for row in source.sample)
    return f"ifnull({quote(column)}, '')" if has_null else quote(column)


def all_at_once(source: Source, remarks: Sequence[str], command: TrainCommand) -> list[str]:
    """A sentence with one condition for all exclusions among the remarks, where there are several: of two
    options `--where` the last one counts. It has the whole command where `command` has what was typed."""
    conditions = list(dict.fromkeys(r.condition for r in remarks if isinstance(r, Exclusion)))
    if len(conditions) < 2:
        return []
    where = _with_own(source, conditions)
    if not _has_rows(source, conditions):
        return []
    typed = command.with_condition(where) if command.rows else shell_command(["--where", where])
    return [f"To do all of this at once, in one condition: {typed}"]


def _with_own(source: Source, conditions: Sequence[str]) -> str:
    """Conditions in one, after the run's own."""
    if source.where:
        end = "\n" if "--" in source.where else ""  # of a comment
        own = [f"({source.where}{end})"]
    else:
        own = []
    if len(conditions) + len(own) < 2:
        return conditions[0]
    return " and ".join([*own, *(f"({each})" if " or " in each else each for each in conditions)])


def _has_rows(source: Source, conditions: Sequence[str]) -> bool:
    """Whether any row is left; also where that cannot be told in time."""
    condition = " and ".join(f"({each})" for each in conditions)
    try:
        with connect(source.database) as db:
            rows = f"select 1 from (select * from {source.from_sql}) where {condition} limit 1"
            return db.execute(rows).fetchone() is not None
    except NanogptError:
        return True


def listed(values: Sequence[Value]) -> str:
    """Strings and numbers as SQL has them, between commas."""
    return ", ".join(
        str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
        for value in values
    )
