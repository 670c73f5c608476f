"""Which rows belong together as one text, by the columns of their table alone, and in which order."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Sequence, Set
from itertools import pairwise, permutations

from .column_names import words_of
from .debates import SPEECHES, find_debate, words_of_text
from .decode import as_text
from .long_parts import find_long_parts
from .parts_of_texts import (
    MAX_DISTINCT,
    are_fractions,
    are_logs,
    are_selections,
    are_together,
    are_whole,
    is_level,
    numbers_of,
    repeats,
    values_of,
)
from .sample import BLOCKS, Value
from .shapes import shape_of
from .sms import sms_columns
from .source import Source
from .speakers import have_speakers

SHORT = 200  # characters: half of the rows of a chat are shorter
# Words of columns that say where a row belongs to, and in which order.
CONVERSATIONS = (
    *("thread", "conversation", "chat", "channel", "topic", "dialog", "dialogue", "room", "session"),
    *(
        "video",
        "episode",
        "scene",
        "poem",
        "song",
        "hymn",
        "psalm",
        "canto",
        "chapter",
        "story",
        "transcript",
        "meeting",
        "movie",
        "film",
        "play",
        "debate",
    ),
    *("peer", "context", "convo", "buffer"),  # of Telegram, Skype and Quassel
)
# Of these those in which also longer rows answer each other, where a column has their numbers.
_DISCUSSIONS = (
    "conversation",
    "thread",
    "discussion",
    "chat",
    "topic",
    "dialog",
    "dialogue",
    "issue",
    "ticket",
    "debate",
    "meeting",
    "hearing",
    "sitting",
    "interview",
)
# Tables of what people say of a thing, and in an assembly, and words of columns that have the number of it.
_COMMENTS = frozenset(["comment", "comments", "reply", "replies", "journal", "journals"])
_COMMENTED = (
    *(
        "post",
        "article",
        "entry",
        "story",
        "page",
        "photo",
        "video",
        "link",
        "item",
        "question",
        "answer",
        "task",
    ),
    *("card", "pull", "merge", "bug", "case", "event", "submission", "commit", "object", "node", "content"),
)
_DEBATED = ("subsection", "section", "agenda", "motion", "bill")
_PARTS = frozenset(["chapter", "scene", "canto", "act", "part"])  # numbered anew in the next whole
_LINES = frozenset(["line", "lineno"])
_SUBJECTS = ("subject", "stream")  # of messages, where others say who wrote them
_STREAMS = ("stream", "recipient", "newsgroup", "forum")  # several of which may have the same subject
_PLACES = (
    "position",
    "pos",
    "line",
    "lineno",
    "seq",
    "sequence",
    "number",
    "index",
    "idx",
    "order",
    "ordinal",
)
_ORDERS = (
    *(*_PLACES, "step", "start", "turn", "ts", "timestamp", "datetime", "time", "sent", "created", "date"),
    *("at", "when", "dateline"),
)
_ORDER_WORDS = frozenset(_ORDERS)
_ASKED = frozenset(["prompt", "question", "query", "input", "user", "human", "instruction"])
_ANSWERED = frozenset(["response", "answer", "reply", "output", "assistant", "bot", "completion"])
MAX_LABELS = 6  # columns of which each two are tried: the verses of a chapter of a book
MAX_RETITLED = 1.3  # titles per thread, where rows have those of their threads
MAX_UNORDERED = 0.1  # of the rows may have no time, where another column has one in more rows
MIN_RISING = 5  # steps from one row of a group to the next
SMALLEST_TIME = 1e8  # seconds from 1970 or 2001: smaller numbers are none of a time

_RE = re.compile(r"(?:(?:re|aw|sv|antw|odp|ответ)\s?(?:\[\d+\])?:\s*)+", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_THING = re.compile(r"t\d_[0-9a-z]{3,10}")  # a key of Reddit's, which begins with what it is of
DIGITS = re.compile(r"\d{4,}(?:\.\d+)?")
DATE = re.compile(r"\d{4}-\d\d")


def are_short(source: Source) -> bool:
    """Whether rows are as short as messages are."""
    html = {column for column in source.body if source.kinds[column].format == "html"}
    lengths = [sum(_length(row[name], name in html) for name in source.body) for row in source.sample]
    return statistics.median(lengths) <= SHORT


def _length(value: Value, is_html: bool) -> int:
    text = as_text(value)
    return len(_TAG.sub("", text) if is_html else text)


def find_conversation(source: Source) -> tuple[list[str], str | None]:
    """`_find_group` of short rows; of longer ones, which may be texts by themselves, only where they seem to
    answer each other: they have no titles, a column has the number of their thread or of what they are about,
    and others say who wrote them, or one what was asked and one what was answered; or `find_long_parts`."""
    if are_selections(source) or are_logs(source):
        return [], None
    is_named = are_short(source) and _conversation(source)
    thread = [] if is_named else _thread(source)
    if thread and _have_sides(source) and _share_titles(source, thread[-1]):
        others = [column for column in source.columns if column not in source.text_columns]
        order = _counter(source, thread, others) or find_place(source, thread[-1]) or find_order(source)
        if order := order or _rising(source, thread, others):
            return thread, order
    if are_short(source):
        return _find_group(source)
    debate = find_debate(source)
    return (debate, find_order(source)) if debate else find_long_parts(source)


def _conversation(source: Source) -> str | None:
    """The column of a name that says that its rows belong together; ActSceneLine is that of a line."""
    if named := _named(source, CONVERSATIONS, repeats, _LINES):
        return named
    of_sms = sms_columns(source)
    return of_sms[0] if of_sms and repeats(values_of(source, of_sms[0])) else None


def _thread(source: Source) -> list[str]:
    """The column with the number of the thread of a row, or of what it is about, as comments are about posts;
    with it the column that says what that is: `noteable_type` and `noteable_id`."""

    def fits(values: Sequence[Value]) -> bool:
        return repeats(values) and are_ids(values)

    if thread := _named(source, _DISCUSSIONS, fits):
        return [thread]
    kinds = {words_of(column)[:-1]: column for column in source.columns if words_of(column)[-1] == "type"}
    for column in source.columns:
        *words, last = words_of(column)
        if last == "id" and words and tuple(words) in kinds and fits(values_of(source, column)):
            kind = kinds[tuple(words)]
            return [kind, column] if len(set(values_of(source, kind))) > 1 else [column]
    of_table = words_of_text(source)
    of_comments = of_table & _COMMENTS and _named(source, _COMMENTED, fits)
    thread = of_comments or (of_table & SPEECHES and _named(source, _DEBATED, fits)) or None
    return [thread] if thread else []


def _rising(source: Source, group: Sequence[str], columns: Sequence[str]) -> str | None:
    """A column of numbers that rise from one row of a group to the next, in the order of the table."""
    keys = values_of(source, *group)
    for column in columns if are_together(keys) else ():
        numbers = numbers_of(values_of(source, column))
        steps = list(zip(pairwise(keys), pairwise(numbers), strict=True)) if numbers else []
        if column not in group and steps and all(a < b for (one, other), (a, b) in steps if one == other):
            return column
    return None


def _share_titles(source: Source, thread: str) -> bool:
    """Whether rows have no titles of their own: none, or that of their thread, as "Re: Soup" in a forum."""
    if not source.has_titles:
        return True
    if source.title is None:
        return False
    rows = [(row[thread], str(row[source.title] or "")) for row in source.sample]
    titles = {(key, _RE.sub("", title).strip().lower()) for key, title in rows if title.strip()}
    return len(titles) <= MAX_RETITLED * len({key for key, _ in rows})


def _have_sides(source: Source) -> bool:
    words = [frozenset(words_of(column)) for column in source.body]
    if any(map(_ASKED.intersection, words)) and any(map(_ANSWERED.intersection, words)):
        return True
    return have_speakers(source)


def are_ids(values: Sequence[Value]) -> bool:
    """Whether values are the keys or numbers of something."""
    ids = ("numbers", "UUIDs", "hexadecimal", "keys")
    filled = [value for value in values if value not in (None, "")]
    return all(isinstance(v, int) or shape_of(str(v)) in ids or _THING.fullmatch(str(v)) for v in filled)


def _find_group(source: Source) -> tuple[list[str], str | None]:
    """The columns whose values the rows of one text share, [] for none, and the column that orders them.

    Names propose one. If its numbers begin again, as those of chapters do in each book, the column in which
    they do goes with it. Without a name it is a column in each value of which the numbers of another column
    rise, to begin again in the next one, as the lines of files do.
    """
    of_text = source.text_columns
    others = [column for column in source.columns if column not in of_text]
    labels = [column for column in others if repeats(values_of(source, column))]
    if about := _conversation(source):
        group = [about]
        values = values_of(source, about)
        are_numbers = all(isinstance(value, int) for value in values)
        if not are_together(values) and (are_numbers or not _PARTS.isdisjoint(words_of(about))):
            rest = [label for label in labels if label != about]
            above = [label for label in rest if are_together(values_of(source, label))]
            levels = [[label] for label in above]  # and the books of each translation
            levels += [
                [a, b] for a in above for b in labels[:MAX_LABELS] if is_level(values_of(source, a, b))
            ]
            whole = ([*key, about] for key in levels if about not in key)
            group = next((key for key in whole if is_level(values_of(source, *key))), group)
        order = _counter(source, group, others) or find_order(source)
        return group, order or (None if source.keys else row_number(source))
    # Lines may have the title of their text, all the same one.
    if have_speakers(source) and (subject := _named(source, _SUBJECTS, repeats) or _subject_title(source)):
        stream = _named(source, _STREAMS, repeats)
        both = [stream, subject] if stream and stream != subject else [subject]
        are_apart = len(set(values_of(source, *both))) > len(set(values_of(source, subject)))
        group = both if are_apart and repeats(values_of(source, *both)) else [subject]
        return group, find_order(source)
    labels += [source.title] if source.title and repeats(values_of(source, source.title)) else []
    for label in (label for label in labels if not set(words_of(label)) & set(_PLACES)):
        by_name = sorted(others, key=lambda name: _ORDER_WORDS.isdisjoint(words_of(name)))
        for order in _counters(source, [label], by_name):
            if are_whole(source, [label], order):
                return [label], order
    for outer, inner in permutations(labels[:MAX_LABELS], 2):
        if are_together(values_of(source, outer)) and is_level(values_of(source, outer, inner)):
            order = _counter(source, [outer, inner], others)
            if order and are_whole(source, [outer, inner], order):
                return [outer, inner], order
    ids = [label for label in labels if words_of(label)[-1] in ("id", "uuid", "guid", "key")]
    for label in ids if not source.has_titles else ():
        if order := find_place(source, label):
            return [label], order
    return [], None


def _subject_title(source: Source) -> str | None:
    """The title, where many messages have the same subject; in mail others answer with "Re: "."""
    if source.title is None or set(words_of(source.title)).isdisjoint(_SUBJECTS):
        return None
    values = values_of(source, source.title)
    return source.title if repeats(values) and not any(_RE.match(str(value)) for value in values) else None


def _counter(source: Source, group: Sequence[str], columns: Sequence[str]) -> str | None:
    return next(_counters(source, group, columns), None)


def _counters(source: Source, group: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """The columns of numbers that rise in the rows of each group, and begin again in the next group. Where
    rows between those of the sample are missing, the next number may be any."""
    keys = values_of(source, *group)
    if not are_together(keys):
        return
    gaps = BLOCKS if len(keys) < source.row_count else 0
    for column in columns:
        numbers = numbers_of(values_of(source, column))
        if column not in group and numbers and not are_fractions(numbers):
            steps = list(zip(pairwise(keys), pairwise(numbers), strict=True))
            rising = [last < number for (a, b), (last, number) in steps if a == b]
            again = [last >= number for (a, b), (last, number) in steps if a != b]
            exceptions = len(again) - sum(again)
            if all(rising) and exceptions <= gaps and (not gaps or _is_often(rising, again)):
                yield column


def _is_often(rising: Sequence[bool], again: Sequence[bool]) -> bool:
    return len(rising) >= MIN_RISING and 2 * sum(again) > len(again)


def find_place(source: Source, group: str) -> str | None:
    """A column whose name says that it has the places of rows in their group: no two rows have the same, and
    the first is 0 or 1."""

    def fits(values: Sequence[Value]) -> bool:
        numbers = [value for value in values if isinstance(value, int)]
        pairs = set(zip(values_of(source, group), values, strict=True))
        are_low = len(numbers) == len(values) and min(numbers) in (0, 1)
        return are_low and len(pairs) == len(values) and len(set(numbers)) <= MAX_DISTINCT * len(values)

    return _named(source, _PLACES, fits)


def row_number(source: Source) -> str | None:
    """The column of a view that has the number of a row of its table."""
    for column in source.columns:
        numbers = values_of(source, column)
        are_ids = words_of(column)[-1] in ("id", "rowid") and len(set(numbers)) == len(numbers)
        if are_ids and all(isinstance(number, int) for number in numbers):
            return column
    return None


def find_order(source: Source) -> str | None:
    """The column that says when a row was written."""
    return _named(source, _ORDERS, _sorts_all) or _named(source, _ORDERS, _sorts)


def _sorts_all(values: Sequence[Value]) -> bool:
    """Whether nearly all rows have their place: in a backup of SMS `date_sent` is 0 in one's own."""
    are_times = any(isinstance(value, int | float) and value > SMALLEST_TIME for value in values)
    missing = sum(value in (None, "") or (are_times and value == 0) for value in values)
    return missing <= MAX_UNORDERED * len(values) and _sorts(values)


def _sorts(values: Sequence[Value]) -> bool:
    """Whether SQLite puts such values in the order of people: numbers, dates with the year first, and text of
    digits that is always as long."""
    if len(set(values)) < 2:
        return False
    digits = {len(v) for v in values if isinstance(v, str) and DIGITS.fullmatch(v)}
    if len(digits) == 1 and all(isinstance(v, str) and DIGITS.fullmatch(v) for v in values if v):
        return True
    return all(isinstance(value, int | float) or DATE.match(str(value)) for value in values if value)


def _named(
    source: Source,
    names: Sequence[str],
    fits: Callable[[Sequence[Value]], bool] = bool,
    but: Set[str] = frozenset(),
) -> str | None:
    """The column that has one of these words in its name, the best first; not one of the text, or whose name
    ends in one of the words `but`."""
    of_text = source.text_columns
    columns = [column for column in source.columns if column not in of_text]
    columns = [column for column in columns if words_of(column)[-1] not in but]
    if names is _ORDERS:  # created_by says by whom, and not when
        columns = [column for column in columns if "by" not in words_of(column)]
    columns = [column for column in columns if fits(values_of(source, column))]
    words = {column: {*words_of(column), words_of(column)[-1].removesuffix("id")} for column in columns}
    return next((column for name in names for column in columns if name in words[column]), None)
