"""Which rows belong together as one text, by the columns of their table alone. `row_order.py` orders them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from itertools import permutations

from . import translated_names
from .column_names import words_of
from .debates import SPEECHES, find_debate, words_of_text
from .decode import as_text
from .long_parts import find_long_parts
from .parts_of_texts import (
    are_fields,
    are_logs,
    are_selections,
    are_together,
    are_whole,
    is_level,
    repeats,
    values_of,
)
from .row_order import (
    ORDER_WORDS,
    PLACES,
    column_named,
    find_counter,
    find_counters,
    find_order,
    find_place,
    find_rising,
    row_number,
)
from .sample import Value
from .shapes import shape_of
from .sms import sms_columns
from .source import Source
from .speakers import have_speakers, may_speak
from .text_kinds import TextKind
from .values_as_text import read_text

SHORT = 200  # characters: half of the rows of a chat are shorter
# Words of columns that say where a row belongs to, and in which order.
CONVERSATIONS = (
    *("thread", "conversation", "chat", "channel", "topic", "dialog", "dialogue", "room", "session"),
    *("video", "episode", "scene", "poem", "song", "hymn", "psalm", "canto", "chapter", "story"),
    *("transcript", "meeting", "movie", "film", "play", "debate"),
    *("peer", "context", "convo", "buffer"),  # of Telegram, Skype and Quassel
    *translated_names.CONVERSATIONS,
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
    *("post", "article", "entry", "story", "page", "photo", "video", "link", "item", "question"),
    *("answer", "task"),
    *("card", "pull", "merge", "bug", "case", "event", "submission", "commit", "object", "node", "content"),
)
_DEBATED = ("subsection", "section", "agenda", "motion", "bill")
_PARTS = frozenset(["chapter", "scene", "canto", "act", "part"])  # numbered anew in the next whole
_LINES = frozenset(["line", "lineno"])
_SUBJECTS = ("subject", "stream")  # of messages, where others say who wrote them
_STREAMS = ("stream", "recipient", "newsgroup", "forum")  # several of which may have the same subject
_ASKED = frozenset(["prompt", "question", "query", "input", "user", "human", "instruction"])
_ANSWERED = frozenset(["response", "answer", "reply", "output", "assistant", "bot", "completion"])
MAX_LABELS = 6  # columns of which each two are tried: the verses of a chapter of a book
MAX_RETITLED = 1.3  # titles per thread, where rows have those of their threads
MIN_TITLED = 0.5  # the fraction of the rows that have titles, where rows have titles of their own

_RE = re.compile(r"(?:(?:re|aw|sv|antw|odp|ответ)\s?(?:\[\d+\])?:\s*)+", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_THING = re.compile(r"t\d_[0-9a-z]{3,10}")  # a key of Reddit's, which begins with what it is of


def are_short(source: Source) -> bool:
    """Whether rows are as short as messages are."""
    kinds = {column: kind for column in source.body if not (kind := source.kinds[column]).instead}
    lengths = [sum(_length(row[name], kind) for name, kind in kinds.items()) for row in source.sample]
    return statistics.median(lengths) <= SHORT


def _length(value: Value, kind: TextKind) -> int:
    text = as_text(value)
    if kind.is_embedded:
        return len(read_text(text, kind).text)
    return len(_TAG.sub("", text) if kind.format == "html" else text)


def find_conversation(source: Source) -> tuple[list[str], str | None]:
    """The columns whose values the rows of one text share, [] for none, and the column that orders them.

    Short rows are taken for parts of a text on slight grounds. Longer ones may be texts by themselves. They
    are parts only where they seem to answer each other (they have no titles, a column has the number of their
    thread or of what they are about, and others say who wrote them, or one what was asked and one what was
    answered), are of a debate, or are numbered as pages are.
    """
    if are_selections(source) or are_logs(source) or are_fields(source):
        return [], None
    is_short = are_short(source)
    about = _conversation(source) if is_short else None
    if about and (_have_own_titles(source, about) or _is_label(source, about)):
        about = None
    thread = [] if about else _thread(source)
    if thread and _have_sides(source) and (not source.has_titles or share_titles(source, thread[-1:])):
        others = _not_text(source)
        order = find_counter(source, thread, others) or find_place(source, thread[-1]) or find_order(source)
        if order := order or find_rising(source, thread, others):
            return thread, order
    if about:
        return _with_levels_above(source, about)
    debate = find_debate(source)
    if is_short and (found := _with_subject(source)):
        return found
    if debate:
        return debate, find_counter(source, debate, _not_text(source)) or find_order(source)
    return _with_numbers(source) if is_short else find_long_parts(source)


def _conversation(source: Source) -> str | None:
    """The column of a name that says that its rows belong together; ActSceneLine is that of a line."""
    columns = [column for column in source.columns if words_of(column)[-1] not in _LINES]
    if named := column_named(source, CONVERSATIONS, repeats, columns):
        return named
    of_sms = sms_columns(source)
    return of_sms[0] if of_sms and repeats(values_of(source, of_sms[0])) else None


def _thread(source: Source) -> list[str]:
    """The column with the number of the thread of a row, or of what it is about, as comments are about posts;
    with it the column that says what that is: `noteable_type` and `noteable_id`."""

    def fits(values: Sequence[Value]) -> bool:
        return repeats(values) and are_ids(values)

    if thread := column_named(source, _DISCUSSIONS, fits):
        return [thread]
    # Of forums (MyBB, FluxBB), whose posts have the titles of their threads; elsewhere it may be anything.
    if source.has_titles and (thread := column_named(source, ("tid",), fits)):
        return [thread]
    kinds = {words_of(column)[:-1]: column for column in source.columns if words_of(column)[-1] == "type"}
    for column in source.columns:
        *words, last = words_of(column)
        if last == "id" and words and tuple(words) in kinds and fits(values_of(source, column)):
            kind = kinds[tuple(words)]
            return [kind, column] if len(set(values_of(source, kind))) > 1 else [column]
    of_table = words_of_text(source)
    of_comments = of_table & _COMMENTS and column_named(source, _COMMENTED, fits)
    thread = of_comments or (of_table & SPEECHES and column_named(source, _DEBATED, fits)) or None
    return [thread] if thread else []


def _have_own_titles(source: Source, about: str) -> bool:
    """Whether rows of a channel or the like have titles of their own, as videos have and messages have not;
    chapters and scenes may have some and are parts of a text all the same."""
    title = source.title
    if title is None or may_speak(title) or not _PARTS.isdisjoint(words_of(about)):
        return False
    titled = sum(row[title] not in (None, "") for row in source.sample)
    return titled > MIN_TITLED * len(source.sample) and not share_titles(source, [about])


def _is_label(source: Source, about: str) -> bool:
    """Whether nothing says in which order the rows of a topic or the like stand, nor who wrote them, and they
    do not follow each other: phrases about food and travel."""
    values = values_of(source, about)
    is_scattered = "topic" in words_of(about) and not are_ids(values) and not are_together(values)
    return is_scattered and find_order(source) is None and not have_speakers(source)


def share_titles(source: Source, group: Sequence[str], title: str | None = None) -> bool:
    """Whether the rows of a group have no titles of their own: few have one, or they have that of their
    group, as "Re: Soup" in a forum. `title` is a column; without it that of the titles."""
    title = title or source.title
    if title is None:
        return False
    keys = values_of(source, *group)
    named = [(key, str(row[title] or "")) for key, row in zip(keys, source.sample, strict=True)]
    titles = {(key, _RE.sub("", name).strip().lower()) for key, name in named if name.strip()}
    return len(titles) <= MAX_RETITLED * len(set(keys))


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


def _with_levels_above(source: Source, about: str) -> tuple[list[str], str | None]:
    """The group of a column that is named as one. If its numbers begin again, as those of chapters do in each
    book, the columns in which they do go with it."""
    group = [about]
    values = values_of(source, about)
    are_numbers = all(isinstance(value, int) for value in values)
    if not are_together(values) and (are_numbers or not _PARTS.isdisjoint(words_of(about))):
        labels = _labels(source)
        above = [label for label in labels if label != about and are_together(values_of(source, label))]
        levels = [[label] for label in above]  # and the books of each translation
        levels += [[a, b] for a in above for b in labels[:MAX_LABELS] if is_level(values_of(source, a, b))]
        whole = ([*key, about] for key in levels if about not in key)
        found = next((key for key in whole if is_level(values_of(source, *key))), None)
        if not found and (counted := next((label for label in above if _counts(source, label, about)), None)):
            return [counted], about
        group = found or group
    order = find_counter(source, group, _not_text(source)) or find_order(source)
    return group, order or (None if source.keys else row_number(source))


def _counts(source: Source, label: str, place: str) -> bool:
    """Whether `place` numbers the rows with the same label, as chapters that are a row each."""
    return place in find_counters(source, [label], [place])


def _with_subject(source: Source) -> tuple[list[str], str | None] | None:
    """The messages of the same subject, where a column says who wrote them, and those of each stream where
    several have the same subject."""
    subject = column_named(source, _SUBJECTS, repeats) or _subject_title(source)
    if not subject or not have_speakers(source):
        return None
    stream = column_named(source, _STREAMS, repeats)
    both = [stream, subject] if stream and stream != subject else [subject]
    are_apart = len(set(values_of(source, *both))) > len(set(values_of(source, subject)))
    group = both if are_apart and repeats(values_of(source, *both)) else [subject]
    return group, find_order(source)


def _with_numbers(source: Source) -> tuple[list[str], str | None]:
    """A column in each value of which the numbers of another column rise, to begin again in the next one, as
    the lines of files do."""
    labels, others = _labels(source), _not_text(source)
    # Lines may have the title of their text, all the same one.
    labels += [source.title] if source.title and repeats(values_of(source, source.title)) else []
    for label in (label for label in labels if not set(words_of(label)) & set(PLACES)):
        by_name = sorted(others, key=lambda name: ORDER_WORDS.isdisjoint(words_of(name)))
        for order in find_counters(source, [label], by_name):
            if are_whole(source, [label], order):
                return [label], order
    for outer, inner in permutations(labels[:MAX_LABELS], 2):
        if are_together(values_of(source, outer)) and is_level(values_of(source, outer, inner)):
            counter = find_counter(source, [outer, inner], others)
            if counter and are_whole(source, [outer, inner], counter):
                return [outer, inner], counter
    ids = [label for label in labels if words_of(label)[-1] in ("id", "uuid", "guid", "key")]
    for label in ids if not source.has_titles else ():
        if place := find_place(source, label):
            return [label], place
    return [], None


def _labels(source: Source) -> list[str]:
    """The columns in which several rows have the same value."""
    return [column for column in _not_text(source) if repeats(values_of(source, column))]


def _not_text(source: Source) -> list[str]:
    of_text = source.text_columns
    return [column for column in source.columns if column not in of_text]


def _subject_title(source: Source) -> str | None:
    """The title, where many messages have the same subject; in mail others answer with "Re: "."""
    if source.title is None or set(words_of(source.title)).isdisjoint(_SUBJECTS):
        return None
    values = values_of(source, source.title)
    return source.title if repeats(values) and not any(_RE.match(str(value)) for value in values) else None
