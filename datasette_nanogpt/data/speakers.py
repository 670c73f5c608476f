"""Which column says who wrote a row. `speaker_names.py` finds the name in what it says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from . import translated_names
from .column_content import FEW_ROWS, MOST, Column, columns_of
from .column_names import NAMED_THINGS, NAMES, named, words_of
from .source import Source
from .speaker_names import is_id, speaker_name

# Names of columns that say who wrote a row, best guess first.
SPEAKERS = (
    *("speaker", "speaker_name", "sender", "author", "from", "role", "user", "username", "nickname", "nick"),
    *("screen_name", "sender_name", "author_name", "user_name", "written_by", "posted_by"),
    *("created_by", "handle", "who", "displayname", "display_name"),
    *(
        "character",
        "char",
        "npc",
        "creator",
        "poster",
        "commenter",
        "reporter",
        "player",
        *translated_names.SPEAKERS,
        "name",
    ),
)
MIN_SAME = 0.65  # the fraction of the rows
_NOT_A_PERSON = frozenset(
    [
        *("numbers", "UUIDs", "hexadecimal", "dates", "URLs", "file paths", "file names", "long codes"),
        *("encoded data", "JSON"),
    ]
)
# Last words of columns that say something else of who wrote a row: author_association, user_agent.
_NOT_NAMES = frozenset(
    [
        *("association", "type", "kind", "agent", "url", "avatar", "image", "status", "state", "count"),
        *("color",),
        *("flair", "language", "lang", "locale", "ip", "timezone", "tz", "date", "time", "at", "level"),
        *("rank",),
        *("tier", "badge", "badges", "country", "location", "gender", "age", "hash", "token", "version"),
    ]
)
# Words of columns that may say who wrote a whole work, as a poem, and not who speaks in it.
_OF_WORKS = frozenset(["author", "creator", "by"])
# What has a name and writes nothing: book_name, channel_name.
_THINGS = NAMED_THINGS | frozenset(
    ["file", "channel", "room", "group", "chat", "server", "team", "topic", "project", "section", "list"]
)


def find_speaker(columns: Sequence[Column]) -> str | None:
    """The column that says who wrote a row: words before keys, whole names before words of names. A number or
    an id is no name; of JSON it is the name in it."""
    filled = [c for c in columns if c.filled_rows and not c.is_bytes and _has_names(c)]
    filled = [c for c in filled if words_of(c.name)[-1] not in _NOT_NAMES and not names_a_thing(c.name)]
    names = speakers_among([c.name for c in filled if not _is_one(c)])
    words = {c.name for c in filled if not c.what}
    return next(iter(sorted(names, key=lambda name: name not in words)), None)


def find_speaker_of(source: Source) -> str | None:
    """The column that says who wrote a row of a source that is not grouped yet."""
    others = {
        name: [row[name] for row in source.sample] for name in source.columns if name not in source.body
    }
    return find_speaker(columns_of(others))


def have_speakers(source: Source) -> bool:
    """Whether a column is named as one that says who wrote a row."""
    columns = [column for column in source.columns if column not in source.body]
    return bool(speakers_among([column.lower().removesuffix("id") for column in columns]))


def speak_for_several_rows(names: Sequence[object]) -> bool:
    """Whether most rows follow another one of the same person, as the lines of a play and the pieces of a
    transcript do; in a chat every second one does."""
    said = [name for name in names if name]
    steps = [a == b for a, b in pairwise(said)]
    return len({*said}) > 1 and sum(steps) > MIN_SAME * len(steps)


def speakers_among(names: Sequence[str]) -> list[str]:
    """Those of the names of columns that say who wrote a row, best guess first."""
    others = (("display", "as"), ("by",))  # the first of these is Hansard's
    return [*named(SPEAKERS, names), *(name for name in names if words_of(name) in others)]


def may_speak(name: str) -> bool:
    """Whether a column has the name of one that says who wrote a row, and not of a thing."""
    return bool(speakers_among([name])) and not names_a_thing(name)


def may_be_author(name: str) -> bool:
    """Whether a column may say who wrote a work of which rows are lines or parts."""
    return not _OF_WORKS.isdisjoint(words_of(name))


def names_a_thing(name: str) -> bool:
    """Whether a column has the name of what writes nothing."""
    words = words_of(name)
    return words[-1] in NAMES and not _THINGS.isdisjoint(words)


def _is_one(column: Column) -> bool:
    """Whether all rows have the same name, as that of whose archive it is."""
    return len(column.values) >= FEW_ROWS and len(set(column.values)) == 1


def _has_names(column: Column) -> bool:
    if not column.texts:
        return False
    objects = sum(text.lstrip()[:1] == "{" for text in column.texts)
    if objects > MOST * len(column.texts):
        return sum(bool(speaker_name(text)) for text in column.texts) > MOST * len(column.texts)
    if column.is_long or column.what in _NOT_A_PERSON:
        return False
    return sum(is_id(text) for text in column.texts) <= MOST * len(column.texts)
