"""What somebody may want to know of the rows: which to leave out, and which belong together."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from ..formatting import shell_command
from .column_names import words_of
from .decode import NOTHING, cure, decode_bytes
from .sample import Value
from .source import Source
from .sqlite import quote
from .unread_rows import listed, unread_rows, where_option

MIN_ROWS = 10  # in fewer rows than this nothing is remarked on
MIN_SHARE = 0.1  # the fraction of the rows that must be concerned
NEARLY_ALL = 0.9  # of the rows without text must have bytes that may be their text
SHORT = 200  # characters: half of the rows of a chat are shorter
MAX_DISTINCT = 0.7  # of the rows, at most, begin another conversation
# Words of columns that say where a row belongs to, and in which order.
_CONVERSATIONS = (
    *("thread", "conversation", "chat", "channel", "topic", "dialog", "dialogue", "room", "session"),
    *(
        "video",
        "episode",
        "scene",
        "poem",
        "song",
        "chapter",
        "story",
        "transcript",
        "meeting",
        "movie",
        "film",
        "play",
        "debate",
    ),
)
_ORDERS = (
    *("position", "line", "lineno", "seq", "sequence", "number", "index", "order", "start", "turn", "ts"),
    *("timestamp", "time", "sent", "created", "date", "at"),
)

_DIGITS = re.compile(r"\d{4,}(?:\.\d+)?")
_DATE = re.compile(r"\d{4}-\d\d")


def row_hints(source: Source) -> Iterator[str]:
    """Sentences about the rows of the source's sample, each with what to add to the command."""
    rows = len(source.sample)
    if rows < MIN_ROWS or source.template:
        return
    of = "rows" if rows == source.row_count else f"of the {rows:,} rows looked at"
    yield from _texts_in_bytes(source, of)
    if source.grouping is None:
        yield from _titles_alone(source, of)
    yield from unread_rows(source, of)
    if source.grouping is None:
        yield from _conversations(source)


def _texts_in_bytes(source: Source, of: str) -> Iterator[str]:
    """About the columns that may have the text where that of other columns is missing."""
    for column in source.body:
        if source.kinds[column].instead:
            others = " and ".join(name for name in source.body if not source.kinds[name].instead)
            yield f"{column} says the same as {others}, and is read only in rows in which {others} is empty."
    empty = [row for row in source.sample if all(_is_empty(row[column]) for column in source.body)]
    if len(empty) <= MIN_SHARE * len(source.sample):
        return
    for column in source.left_out:
        raw = [value for row in empty if isinstance(value := row[column], bytes) and value]
        if len(raw) >= NEARLY_ALL * len(empty):
            what = Counter(decode_bytes(value).what for value in raw).most_common(1)[0][0] or "text"
            cured = cure(what, str(source.database), source.table, column) if what != "text" else ""
            yield (
                f"{len(empty):,} {of} have no text, and {len(raw):,} of these have a value in {column} "
                f"({what}), which may be their text. {cured}".rstrip()
            )


def _titles_alone(source: Source, of: str) -> Iterator[str]:
    if source.title is None or not source.body:
        return
    alone = [
        row
        for row in source.sample
        if not _is_empty(row[source.title]) and all(_is_empty(row[column]) for column in source.body)
    ]
    if len(alone) > MIN_SHARE * len(source.sample):
        filled = " or ".join(_is_filled(column, [row[column] for row in alone]) for column in source.body)
        yield (
            f"{len(alone):,} {of} have a title and no text: the model learns the titles alone. "
            f"To leave them out: {where_option(source, filled)}"
        )


def _is_empty(value: Value) -> bool:
    if isinstance(value, str | bytes):
        return not value.strip() or value in NOTHING
    return value is None


def _is_filled(column: str, empty: Sequence[Value]) -> str:
    """SQL for the rows in which a column has text. `empty` are values of it that are none."""
    texts = [v.decode("latin-1") if isinstance(v, bytes) else v for v in empty if isinstance(v, str | bytes)]
    signs = {text for text in texts if text.strip()}
    blanks = set("".join(texts)) & set("\t\n\r")
    trimmed = f"trim({quote(column)}{', char(9, 10, 13, 32)' if blanks else ''})"
    return f"{trimmed} not in ({listed(['', *sorted(signs)])})"


def _conversations(source: Source) -> Iterator[str]:
    """Short rows that belong together, and how to read them as one text."""
    lengths = [sum(len(str(row[column] or "")) for column in source.body) for row in source.sample]
    if statistics.median(lengths) > SHORT:
        return
    group, order = _find_group(source)
    if not group:
        return
    by = " || ' ' || ".join(map(quote, group)) if len(group) > 1 else group[0]
    command = ["--group-by", by, *(["--order-by", order] if order and order not in group else [])]
    same = " and ".join(group)
    yield (
        f"Rows are short, and many have the same {same}. To read all rows with the same {same} as one "
        f"text: {shell_command(command)}"
    )


def _find_group(source: Source) -> tuple[list[str], str | None]:
    """The columns whose values the rows of one text share, [] for none, and the column that orders them.

    Names propose one. If its numbers begin again, as those of chapters do in each book, the column in which
    they do goes with it. Without a name it is a column in each value of which the numbers of another column
    rise, to begin again in the next one, as the lines of files do.
    """
    of_text = source.text_columns
    others = [column for column in source.columns if column not in of_text]
    labels = [column for column in others if _repeats(_values(source, column))]
    if named := _named(source, _CONVERSATIONS, _repeats):
        group = [named]
        values = _values(source, named)
        if not _are_together(values) and all(isinstance(value, int) for value in values):
            above = [label for label in labels if label != named and _are_together(_values(source, label))]
            pairs = ([label, named] for label in above if _is_level(_values(source, label, named)))
            group = next(pairs, group)
        return group, _counter(source, group, others) or _named(source, _ORDERS, _sorts)
    for label in labels:
        if order := _counter(source, [label], others):
            return [label], order
    return [], None


def _values(source: Source, *columns: str) -> list[Any]:
    """The values of a column in the rows of the sample, or of several as tuples."""
    rows = (tuple(row[column] for column in columns) for row in source.sample)
    return [row if len(columns) > 1 else row[0] for row in rows]


def _repeats(values: Sequence[Any]) -> bool:
    """Whether several rows have the same value, but not all."""
    filled = [value for value in values if value not in (None, "")]
    return 1 < len(set(filled)) <= MAX_DISTINCT * len(filled)


def _are_together(values: Sequence[Any]) -> bool:
    """Whether the rows with the same value follow each other."""
    return 1 + sum(a != b for a, b in pairwise(values)) == len(set(values))


def _is_level(values: Sequence[Any]) -> bool:
    return _repeats(values) and _are_together(values)


def _counter(source: Source, group: Sequence[str], columns: Sequence[str]) -> str | None:
    """A column of numbers that rise in the rows of each group, and begin again in the next group."""
    keys = _values(source, *group)
    if not _are_together(keys):
        return None
    for column in columns:
        numbers = _values(source, column)
        if column not in group and all(isinstance(number, int | float) for number in numbers):
            steps = zip(pairwise(keys), pairwise(numbers), strict=True)
            if all((a == b) == (last < number) for (a, b), (last, number) in steps):
                return column
    return None


def _sorts(values: Sequence[Value]) -> bool:
    """Whether SQLite puts such values in the order of people: numbers, dates with the year first, and text of
    digits that is always as long."""
    digits = {len(v) for v in values if isinstance(v, str) and _DIGITS.fullmatch(v)}
    if len(digits) == 1 and all(isinstance(v, str) and _DIGITS.fullmatch(v) for v in values if v):
        return True
    return all(isinstance(value, int | float) or _DATE.match(str(value)) for value in values if value)


def _named(
    source: Source, names: Sequence[str], fits: Callable[[Sequence[Value]], bool] = bool
) -> str | None:
    """The column that has one of these words in its name, the best first; not one of the text."""
    of_text = source.text_columns
    columns = [column for column in source.columns if column not in of_text]
    columns = [column for column in columns if fits([row[column] for row in source.sample])]
    return next((column for name in names for column in columns if name in words_of(column)), None)
