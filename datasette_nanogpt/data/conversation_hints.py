"""What is said of rows that belong together: how to read them as one text, or to make more texts of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from ..formatting import shell_command
from .column_content import FEW_VALUES, columns_of
from .column_names import words_of
from .conversation_columns import are_short, find_conversation, share_titles
from .exclusions import exclusion
from .long_parts import find_number
from .markup import CHAT
from .parts_of_texts import are_logs, are_selections, are_together, in_order, values_of
from .references import find_reference
from .row_order import DATE, DIGITS, SMALLEST_TIME, find_order, row_number
from .source import Source
from .speakers import find_speaker_of, may_be_author, may_speak
from .sqlite import connect, quote

# If the table is in the order of its groups, this fraction of the steps within them may go back in time.
MAX_FALLING = 0.1
# Words in names of columns whose values are labels, and not titles of what is said there.
_NO_TITLES = frozenset(
    [
        *("chat", "channel", "room", "session", "group", "server", "forum", "stream", "peer", "contact"),
        *("subject", "file", "filename", "path", "folder", "url", "date", "day", "recipient", "with"),
        *("type", "kind", "status", "state", "category", "language"),
    ]
)
# The last words of names of columns with headings, and the fraction of the rows that must have one.
_HEADINGS = frozenset(["title", "heading", "header", "headline", "subheading", "subtitle"])
MIN_HEADED = 0.5
# Words in names of tables and columns whose rows are not a chat, though people write several a day: changes
# to programs, what they think of things, and what they tell everybody.
_NO_CHAT = frozenset(
    [
        *("sha", "hash", "commit", "commits", "stars", "score", "rating", "ply", "product", "like", "likes"),
        *("tweet", "tweets", "retweet", "retweets", "status", "statuses", "toots", "posts", "favorites"),
    ]
)
# Rows are a chat if each person wrote so many, and this fraction of them is not by who wrote the row before.
MIN_SAID, MIN_CHANGES = 5, 0.2
DAYS_ROWS, MIN_A_DAY = 1000, 3  # so many rows are counted by days, and a day must have so many on average
LINES_OF_A_TEXT = 50  # of a chat of which each row has a line
FEW_TEXTS = 20  # of fewer texts than this, only one or two are held out

# Times as numbers: from, up to, what they are divided by, and seconds from 1970 to where they begin. Apple's
# begin in 2001.
_APPLE = " + 978307200"
_UNITS = (
    (1e17, 1e19, " / 1000000000", _APPLE),
    (1e14, 5e15, " / 1000000", ""),
    (1e11, 5e12, " / 1000", ""),
    (8.5e8, 5e9, "", ""),
    (SMALLEST_TIME, 8.5e8, "", _APPLE),
)

# A day, and what is between it and the time.
_DAY_AND_TIME = re.compile(r"(\d{1,4}([./-])\d{1,2}\2\d{1,4}\.?)(?:(,|[ T]) ?\d{1,2}[:.]\d\d.{0,12})?")


def conversations(source: Source) -> Iterator[str]:
    """Rows that belong together, and how to read them as one text."""
    group, order = find_conversation(source)
    if not group:
        yield from _lines_of_a_chat(source)
        yield from _by_reference(source) if are_short(source) else ()
        yield from _days_of_a_chat(source)
        return
    by = " || ' ' || ".join(map(quote, group)) if len(group) > 1 else group[0]
    yield from suggestions(source, by, " and ".join(group), order if order not in group else None)


def _lines_of_a_chat(source: Source) -> Iterator[str]:
    """About rows that are lines of a file in which a program exported a chat."""
    is_chat = any(source.kinds[column].markup == CHAT for column in source.body)
    if is_chat and are_short(source) and len(source.keys) == 1 and _has_numbers_for_keys(source):
        (key,) = source.keys
        options = shell_command(["--group-by", f"{quote(key)} / {LINES_OF_A_TEXT}", "--order-by", key])
        yield f"Rows are lines of a chat. To read each {LINES_OF_A_TEXT} lines as one text: {options}"


def _by_reference(source: Source) -> Iterator[str]:
    """About short rows that a column cites by their text and number, as it does verses."""
    if found := None if source.has_titles else find_reference(source):
        first, second = found.examples
        yield (
            f"Rows are short, and {found.column} numbers those of each text ({first}, {second}). To read "
            f"those of each as one text: {shell_command(['--group-by', found.sql])}"
        )


def _days_of_a_chat(source: Source) -> Iterator[str]:
    """About short rows that the same few people wrote, several a day, where no column says of which chat."""
    order, speaker = find_order(source), find_speaker_of(source)
    day = _day(source, order) if order else ""
    if not day:
        order, day = _day_as_written(source)
    if not order or not speaker or not day or source.has_titles or not source.body or not are_short(source):
        return
    if are_selections(source) or are_logs(source) or not _NO_CHAT.isdisjoint(_words_of_all(source)):
        return
    who = [row[speaker] for row in source.sample if row[speaker]]
    changes = sum(a != b for a, b in pairwise(who))
    if len(set(who)) * MIN_SAID > len(who) or changes < MIN_CHANGES * len(who):
        return
    rows = f"select {day} as day from {source.from_sql} limit {DAYS_ROWS}"
    with connect(source.database) as db:
        days, count = db.execute(f"select count(distinct day), count(*) from ({rows})").fetchone()
    if 1 < days <= count / MIN_A_DAY:
        options = shell_command(["--group-by", _unquoted(source, day), "--order-by", order])
        yield (
            f"Rows are short, and {speaker} says who wrote each. If they are a chat, read all rows of a day "
            f"as one text: {options}"
        )


def _day_as_written(source: Source) -> tuple[str | None, str]:
    """The column with the number of a row, and SQL for the day of a column of dates that SQLite does not
    sort ("3/1/21, 10:00 AM"), where rows stand in the order of their days; None and "" without any."""
    if len(source.keys) != 1 or not _has_numbers_for_keys(source):
        return None, ""
    for column in source.columns:
        values = [row[column] for row in source.sample]
        dates = [_DAY_AND_TIME.fullmatch(value) for value in values if isinstance(value, str)]
        days = [date[1] for date in dates if date]
        if len(days) == len(values) > 0 and column not in source.text_columns and are_together(days):
            (key,), name = source.keys, quote(column)
            after = {date[3] or "" for date in dates if date}
            if after == {""}:
                return key, name
            if len(after) == 1:
                return key, f"substr({name}, 1, instr({name}, '{after.pop()}') - 1)"
    return None, ""


def _unquoted(source: Source, sql: str) -> str:
    """A column as somebody types it; other SQL as it is."""
    return next((column for column in source.columns if quote(column) == sql), sql)


def _has_numbers_for_keys(source: Source) -> bool:
    (key,) = source.keys
    return all(isinstance(row.get(key, 0), int) for row in source.sample)


def _words_of_all(source: Source) -> set[str]:
    return {word for name in (source.table, *source.columns) for word in words_of(name)}


def suggestions(source: Source, by: str, same: str, order: str | None) -> Iterator[str]:
    """Sentences with the options that read the rows with the same `by` as one text, and those of a day where
    these are few texts. `same` says in words what is the same."""
    values = [row[by] for row in source.sample] if by in source.columns else []
    alone = f" Rows without a {same} stay texts by themselves." if None in values else ""
    command = ["--group-by", by, *(["--order-by", in_order(source, order)] if order else [])]
    # Of two columns the second may have the titles: each debate of a day, not each episode of a series.
    names = [name for name in source.columns if by == name or by.endswith(f" {quote(name)}")]
    titles = next((["--title", n] for n in names if n == source.title or _are_titles(source, n)), [])
    command += _with_headings(source, by, titles) or titles
    many = "Rows are short, and many have" if are_short(source) else "Many rows have"
    yield (
        f"{many} the same {same}.{alone} To read all rows with the same {same} as one "
        f"text: {shell_command(command)}"
    )
    few = 0 < len({value for value in values if value not in (None, "")}) < FEW_TEXTS
    if few and order and (by_day := _by_day(source, by, order)):
        yield (
            f"These are few texts, of which a tenth is held out to score the model. To make one of each day "
            f"instead: {by_day}"
        )


def _with_headings(source: Source, by: str, titles: Sequence[str]) -> list[str]:
    """Options that keep what each row of a group is called, which is above its text then: the titles of
    chapters, and headings below the title of a page. `titles` is the option with that of the group."""
    group = [name for name in source.columns if by == name or re.search(rf"\b{re.escape(name)}\b", by)]
    title = source.title
    if not group or not source.body or any(source.kinds[column].instead for column in source.body):
        return []
    if title and title not in group and not may_speak(title) and not share_titles(source, group):
        of_group = by if by in group and _says_what_is_told(source, by) else ""
        options = [*(titles or ["--title", of_group]), "--body", title]
    elif heading := _heading(source, group):
        options = [*(titles or (["--title", title] if title else [])), "--body", heading]
    else:
        return []
    return [*options, *(word for column in source.body for word in ("--body", column))]


def _heading(source: Source, group: Sequence[str]) -> str | None:
    """A column that is not read, named like a heading, in which the rows of a group have different words."""
    others = [name for name in source.left_out if name not in group and words_of(name)[-1] in _HEADINGS]
    speaker = find_speaker_of(source)
    if speaker and not may_be_author(speaker):  # who says it stands above a text, or in its place
        return None
    for column in columns_of({name: [row[name] for row in source.sample] for name in others}):
        is_filled = column.filled > MIN_HEADED and not column.what and not column.are_short_keys
        is_filled = is_filled and column.sameness in ("", FEW_VALUES)
        if is_filled and not share_titles(source, group, column.name):
            return column.name
    return None


def _are_titles(source: Source, by: str) -> bool:
    """Whether a column says in words what all rows with the same value are of, where these have no titles."""
    return not source.has_titles and _says_what_is_told(source, by)


def _says_what_is_told(source: Source, by: str) -> bool:
    """Whether a column has the names of what is told: a tale, and not a room or a person."""
    if not _NO_TITLES.isdisjoint(words_of(by)):
        return False
    (column,) = columns_of({by: [row[by] for row in source.sample]})
    return bool(column.texts) and not column.what and not column.are_short_keys and not may_speak(by)


def groups(source: Source) -> Iterator[str]:
    """What may be amiss with the grouping that was asked for."""
    grouping = source.grouping
    if grouping is None:
        return
    by, order = grouping.group_by, grouping.order_by
    if grouping.alone:
        without = f"{_sql(source, by)} is not null"
        told = f"{grouping.alone:,} rows have no {by}: each is a text by itself. To leave these out"
        yield exclusion(source, told, without)
    if grouping.count < FEW_TEXTS:
        told = (
            f"The rows make only {grouping.count:,} texts, of which {max(1, grouping.count // 10)} "
            "will be held out: the score says little about so few."
        )
        time = order if order in source.columns else find_order(source)
        if time and (by_day := _by_day(source, by, time)):
            told += f" To make one text of each day: {by_day}"
        yield told
    if order:
        return
    group = [name for name in source.columns if name == by or re.search(rf"\b{re.escape(name)}\b", by)]
    order = find_number(source, group) or find_order(source)
    if not source.keys:
        order = order or row_number(source)
    elif not order or _are_in_order(source, group, order):
        return
    if order:
        sql = in_order(source, order)
        yield f"To have the rows of each text in their order: {shell_command(['--order-by', sql])}"


def _are_in_order(source: Source, group: Sequence[str], order: str) -> bool:
    """Whether the rows of a group are in that order in the table, but for a few."""
    values = defaultdict[Any, list[Any]](list)
    for row, place in zip(source.sample, values_of(source, order), strict=True):
        values[tuple(row[name] for name in group)].append(place)
    steps = [(a, b) for of_group in values.values() for a, b in pairwise(of_group) if type(a) is type(b)]
    falling = sum(a > b for a, b in steps if a is not None)
    return falling <= MAX_FALLING * len(steps)


def _by_day(source: Source, by: str, order: str) -> str:
    """The options that make a text of each day of each `by`, "" where `order` is no column of known times."""
    day = _day(source, order)
    by_day = f"{_sql(source, by)} || ' ' || {day}"
    return shell_command(["--group-by", by_day, "--order-by", order]) if day else ""


def _sql(source: Source, by: str) -> str:
    """SQL of a column or an expression."""
    if by in source.columns:
        return quote(by)
    return f"({by})"


def _day(source: Source, column: str) -> str:
    """SQL for the day of a column of times, "" where it is unknown how these are written."""
    values = [value for row in source.sample if (value := row[column]) not in (None, "", 0)]
    if not values:
        return ""
    name = _sql(source, column)
    if all(isinstance(value, str) and DATE.match(value) for value in values):
        return f"date({name})"
    if all(isinstance(value, str) and DIGITS.fullmatch(value) for value in values):
        name = f"cast({name} as real)"
    elif not all(isinstance(value, int | float) for value in values):
        return ""
    first, last = (function(float(value) for value in values) for function in (min, max))
    for low, high, divided, added in _UNITS:
        if low <= first and last < high:
            return f"date({name}{divided}{added}, 'unixepoch')"
    return ""
