"""Speeches of an assembly that have the title of their debate, and no number of it."""

from __future__ import annotations

from .column_names import named, words_of
from .parts_of_texts import is_level, values_of
from .source import Source
from .speakers import have_speakers

SPEECHES = frozenset(
    ["speech", "speeches", "contribution", "contributions", "intervention", "interventions"]
)  # words of tables and columns
_TITLES = ("title", "heading", "topic", "debate", "subject", "motion")
_DAYS = ("date", "day", "sitting")


def find_debate(source: Source) -> list[str]:
    """The column with the title of the debate, [] for none, and that with its day, where several debates have
    the same title."""
    if SPEECHES.isdisjoint(words_of_text(source)) or not have_speakers(source):
        return []
    others = [column for column in source.columns if column not in source.body]
    titles = {column: values_of(source, column) for column in named(_TITLES, others)}
    titles = {column: values for column, values in titles.items() if isinstance(values[0], str)}
    if title := next((column for column, values in titles.items() if is_level(values)), None):
        return [title]
    pairs = ([day, title] for title in titles for day in named(_DAYS, others))
    return next((pair for pair in pairs if is_level(values_of(source, *pair))), [])


def words_of_text(source: Source) -> set[str]:
    """The words of the names of the table and of the columns with the text."""
    return {word for name in (source.table, *source.body) for word in words_of(name)}
