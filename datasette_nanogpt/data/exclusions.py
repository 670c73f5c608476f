"""Sentences that end in a condition which leaves rows out, and one condition for several of them."""

from __future__ import annotations

from collections.abc import Sequence

from llm_nanogpt.errors import NanogptError

from ..formatting import TrainCommand, shell_command
from .sample import Value
from .source import Source
from .sqlite import connect, quote

MIN_FRACTION = 0.02  # the fraction of the rows from which on a kind of rows is worth a sentence
# The fraction of the rows up to which those of a program are: if it wrote more, they are what the table has.
MAX_BY_PROGRAMS = 0.9


class Exclusion(str):
    """A sentence that ends in the option `--where`; `condition` is the SQL in it, without the run's own."""

    condition: str


def exclusion(source: Source, told: str, condition: str) -> Exclusion:
    """The sentence `told`, which ends in what the condition is for ("… To leave these out"), with the option
    that has the condition."""
    sentence = Exclusion(f"{told}: {shell_command(['--where', _with_own(source, [condition])])}")
    sentence.condition = condition
    return sentence


def is_told(source: Source, count: int, most: float = 1.0) -> bool:
    """Whether so many rows of the sample are worth a sentence: some, and less than the fraction `most`."""
    return MIN_FRACTION * len(source.sample) < count < most * len(source.sample)


def without_null(source: Source, column: str) -> str:
    """SQL for a column, with "" in place of NULL: in SQL, NULL is neither in a list nor not in it."""
    has_null = any(row[column] is None for row in source.sample)
    return f"ifnull({quote(column)}, '')" if has_null else quote(column)


def all_at_once(source: Source, remarks: Sequence[str], command: TrainCommand) -> list[str]:
    """A sentence with one condition for all exclusions among the remarks, if there are several: a command
    takes one `--where`. It has the whole command if `command` knows what was typed."""
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
        end = "\n" if "--" in source.where else ""  # else a comment would swallow the bracket
        own = [f"({source.where}{end})"]
    else:
        own = []
    if len(conditions) + len(own) < 2:
        return conditions[0]
    return " and ".join([*own, *(f"({each})" if " or " in each else each for each in conditions)])


def _has_rows(source: Source, conditions: Sequence[str]) -> bool:
    """Whether any row is left; True also if that cannot be found out in time."""
    condition = " and ".join(f"({each})" for each in conditions)
    try:
        with connect(source.database) as db:
            rows = f"select 1 from (select * from {source.from_sql}) where {condition} limit 1"
            return db.execute(rows).fetchone() is not None
    except NanogptError:
        return True


def among(values: Sequence[Value]) -> str:
    """The end of a condition that is true where a column has one of the values."""
    return f"= {listed(values)}" if len(values) == 1 else f"in ({listed(values)})"


def not_among(values: Sequence[Value]) -> str:
    return f"<> {listed(values)}" if len(values) == 1 else f"not in ({listed(values)})"


def listed(values: Sequence[Value]) -> str:
    """Strings and numbers as SQL writes them, with commas between them."""
    return ", ".join(
        str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
        for value in values
    )
