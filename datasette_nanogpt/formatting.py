"""How times, sizes, columns and commands are written."""

from __future__ import annotations

import math
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from llm_nanogpt.counts import counted

MAX_LISTED = 40  # columns that are all told: tables of surveys have hundreds
MAX_ALIKE = 5  # columns of the same reason that are told where there are more
_CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")  # all but the tab and the end of a line
_SPECIAL = re.compile(r"[$`\\!]")  # to a shell between double quotation marks


def utc_now() -> str:
    """The time, as the registry and nanogpt.json store it: UTC, ISO 8601, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_between(start: str, end: str) -> float:
    """Seconds between two times of `utc_now`."""
    began, ended = (datetime.fromisoformat(time).astimezone(UTC) for time in (start, end))
    return (ended - began).total_seconds()


def duration(seconds: float) -> str:
    """Seconds as 9s, 9m 05s or 1h 9m."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"


def in_minutes(minutes: float) -> str:
    """Minutes as 1 minute or 0.5 minutes."""
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


def time_left(seconds: float) -> str:
    """The time until a run's end, in round figures: the last score takes some seconds more."""
    if seconds < 5:
        return "a few seconds left"
    tens, minutes = 10 * math.ceil(seconds / 10), round(seconds / 60)
    if tens < 60:
        return f"about {tens} seconds left"
    return f"about {counted(minutes, 'minute') if minutes < 100 else duration(60 * minutes)} left"


def text_size(n_bytes: float) -> str:
    """Bytes as 33 bytes, 9.1 kB or 0.12 MB."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} bytes"
    return f"{n_bytes / 1e6:.2f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"


def memory_size(n_bytes: float) -> str:
    """Bytes of memory as 640 MB, 2.5 GB or 1,200 GB."""
    if n_bytes < 1e9:
        return f"{n_bytes / 1e6:.0f} MB"
    return f"{n_bytes / 1e9:,.{0 if n_bytes >= 1e11 else 1}f} GB"


def about_memory(n_bytes: float) -> str:
    """An estimate of memory, of which only two digits say something: about 500 MB."""
    return f"about {memory_size(float(f'{n_bytes:.2g}'))}".replace(".0 GB", " GB")


def shown_name(name: str) -> str:
    """The name of a table or column in a line for people: in quotation marks where it would not be seen."""
    return name if name.strip() and name.isprintable() else repr(name)


def without_controls(text: str) -> str:
    """Text for a terminal, which would obey control characters that a row has in it."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def without_gaps(text: str) -> str:
    """Text with one blank line where it has several, to show its beginning in little room."""
    return re.sub(r"\n(?:[^\S\n]*\n){2,}", "\n\n", text)


def not_read(left_out: Mapping[str, str]) -> str:
    """The columns that are not read, those with the same reason together; of very many the first ones."""
    by_reason = defaultdict[str, list[str]](list)
    for name, why in left_out.items():
        by_reason[why].append(name)
    most = MAX_ALIKE if len(left_out) > MAX_LISTED else MAX_LISTED
    parts = []
    for why, names in by_reason.items():
        more = f" and {len(names) - most:,} more" if len(names) > most else ""
        parts.append(f"{', '.join(map(shown_name, names[:most]))}{more} ({why})")
    return (", " if len(parts) == len(left_out) else "; ").join(parts)


def shell_command(words: Iterable[str]) -> str:
    """A command to type in a shell, as `shlex.join` has it, but easier to read where it has SQL: a word with
    single quotation marks is put between double ones."""
    return " ".join(map(_shell_word, words))


def train_words(database: str, tables: Iterable[str] = (), options: Iterable[str] = ()) -> list[str]:
    """The words of a command that trains. Names that begin with a hyphen are not taken for options."""
    rows = [f"./{database}" if database.startswith("-") else database, *tables]
    if any(word.startswith("-") for word in rows):
        return ["datasette", "nanogpt-train", *options, "--", *rows]
    return ["datasette", "nanogpt-train", *rows, *options]


class TrainCommand(NamedTuple):
    """The command that trains, as somebody typed it, to be told with other rows."""

    database: str
    options: Sequence[str] = ()  # those that do not say what is read: --name blog
    tables: Sequence[str] = ()
    of_rows: Sequence[str] = ()  # the options that say what is read of them, but the condition

    @property
    def rows(self) -> list[str]:
        """All that says what is read."""
        return [*self.tables, *self.of_rows]

    def with_condition(self, where: str) -> str:
        """The command that trains on those of the rows that fulfil a condition."""
        options = [*self.of_rows, "--where", where, *self.options]
        return shell_command(train_words(self.database, self.tables, options))

    def with_table(self, table: str) -> str:
        """The command that trains on another table."""
        return shell_command(train_words(self.database, [table], self.options))

    def with_query(self, sql: str, *options: str) -> str:
        """The command that trains on the rows of a query."""
        return shell_command(train_words(self.database, (), ["--sql", sql, *options, *self.options]))


def _shell_word(word: str) -> str:
    if "'" not in word or _SPECIAL.search(word):
        return shlex.quote(word)
    quotes = word.replace('"', '\\"')
    return f'"{quotes}"'
