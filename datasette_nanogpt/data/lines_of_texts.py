"""Tables in which each row is a line of a book or a song, and rows without text part the paragraphs."""

from __future__ import annotations

from collections.abc import Iterator

from ..formatting import TrainCommand
from .decode import as_text
from .own_messages import find_own
from .parts_of_texts import is_level, values_of
from .row_order import find_rising
from .source import QUERY, Source
from .speakers import have_speakers
from .sqlite import quote

MIN_ROWS = 10  # in fewer rows than this nothing is remarked on
BLANK = 0.03, 0.7  # at least and at most this fraction of the rows have no text
LONGEST = 120  # characters of a line


def are_lines(source: Source) -> bool:
    """Whether rows are lines of several texts, which blank rows part into paragraphs."""
    return bool(_label(source))


def lines_of_texts(source: Source, command: TrainCommand) -> Iterator[str]:
    """A sentence about such a table, with a query that makes one text of the lines of each: read one after
    the other, as rows that belong together are, they would have no paragraphs."""
    if not (label := _label(source)):
        return
    (column,), table = source.body, quote(source.table)
    numbers = [name for name in source.columns if name not in (label, column)]
    order = find_rising(source, [label], numbers) or source.keys[0]
    lines = f"select * from {table} order by {quote(label)}, {quote(order)}"
    text = f"group_concat(ifnull({quote(column)}, ''), char(10)) as {quote(column)}"
    sql = f"select {quote(label)}, {text} from ({lines}) group by {quote(label)}"
    yield (
        f"Rows are lines, and rows without text stand between paragraphs. To read all lines with the same "
        f"{label} as one text: {command.with_query(sql, '--body', column)}"
    )


def _label(source: Source) -> str:
    """The column in which all lines of a text have the same value, "" where rows are no lines."""
    is_whole = source.grouping or source.template or source.where or source.title
    if is_whole or len(source.sample) < MIN_ROWS or len(source.body) != 1 or len(source.keys) != 1:
        return ""
    (column,) = source.body
    if source.table == QUERY or source.kinds[column].format != "plain" or source.kinds[column].markup:
        return ""
    values = [row[column] for row in source.sample]
    texts = [as_text(value).strip("\r\n") for value in values]
    blank = sum(not text.strip() for text in texts)
    are_single = all(len(text) <= LONGEST and "\n" not in text for text in texts)
    if not are_single or not BLANK[0] * len(texts) <= blank <= BLANK[1] * len(texts):
        return ""
    if any(isinstance(value, bytes) for value in values) or have_speakers(source) or find_own(source):
        return ""
    labels = (name for name in source.columns if name != column and is_level(values_of(source, name)))
    return next(labels, "")
