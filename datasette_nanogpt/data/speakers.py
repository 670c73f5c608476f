"""Who wrote a row: which column says so, and the name in what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .column_content import FEW_ROWS, MOST, Column
from .column_names import NAMED_THINGS, NAMES, named, words_of
from .json_values import object_or_none
from .shapes import shape_of

# Names of columns that say who wrote a row, best guess first.
SPEAKERS = (
    *("speaker", "sender", "author", "from", "role", "user", "username", "nickname", "nick", "screen_name"),
    *(
        "speaker_name",
        "sender_name",
        "author_name",
        "user_name",
        "written_by",
        "posted_by",
        "created_by",
        "handle",
        "who",
    ),
    *("character", "creator", "poster", "commenter", "reporter", "player", "name"),
)
MIN_SAME = 0.65  # the fraction of the rows
LONGEST_NAME = 60  # characters
# In an object of JSON: what a person is called, the name that others see first, and objects with a person.
_NAME_KEYS = (
    *("nickname", "nick", "displayname", "globalname", "realname", "fullname", "name", "preferredusername"),
    *("username", "screenname", "login", "handle", "acct", "email"),
)
_PERSON_KEYS = ("user", "author", "profile", "member", "person", "sender", "from", "account", "name", "data")
_FIRST, _LAST = ("firstname", "first", "givenname", "given"), ("lastname", "last", "familyname", "family")
# A word of capitals and digits, as programs number people: U024BE7LH. A name ends in its digits: ANNA2005.
_NUMBERED = re.compile(r"(?=\S*\d)(?=\S*[A-Z])(?![A-Z]+\d+\Z)[A-Z0-9]{8,}|(?=\S*\d)[A-Za-z0-9]{20,}")
_NOT_A_PERSON = frozenset(
    [
        *("numbers", "UUIDs", "hexadecimal", "dates", "URLs", "file paths", "file names", "long codes"),
        *("encoded data", "JSON"),
    ]
)
# Last words of columns that say something else of who wrote a row: author_association, user_agent.
_NOT_NAMES = frozenset(
    [
        *(
            "association",
            "type",
            "kind",
            "agent",
            "url",
            "avatar",
            "image",
            "status",
            "state",
            "count",
            "color",
        ),
        *(
            "flair",
            "language",
            "lang",
            "locale",
            "ip",
            "timezone",
            "tz",
            "date",
            "time",
            "at",
            "level",
            "rank",
        ),
        *("tier", "badge", "badges", "country", "location", "gender", "age", "hash", "token", "version"),
    ]
)
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


def speak_for_several_rows(names: Sequence[object]) -> bool:
    """Whether most rows follow another one of the same person, as the lines of a play and the pieces of a
    transcript do; in a chat every second one does."""
    said = [name for name in names if name]
    steps = [a == b for a, b in pairwise(said)]
    return len({*said}) > 1 and sum(steps) > MIN_SAME * len(steps)


def speakers_among(names: Sequence[str]) -> list[str]:
    """Those of the names of columns that say who wrote a row, best guess first."""
    return [*named(SPEAKERS, names), *(name for name in names if words_of(name) == ("by",))]


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
    return sum(_is_id(text) for text in column.texts) <= MOST * len(column.texts)


def speaker_name(text: str) -> str:
    """The name of who wrote a row, in one line, "" for none; `text` is it, or JSON in which it is."""
    person = object_or_none(text)
    return " ".join(text.split()) if person is None else _person_name(person) or ""


def _person_name(person: Any) -> str | None:
    """The name of a person in JSON: a string, or one in an object, or in an object of that; None for none."""
    if isinstance(person, str):
        return person
    return _name_in(person) or _name_below(person) if isinstance(person, dict) else None


def _name_in(person: Mapping[str, Any]) -> str | None:
    keys = {re.sub(r"[\W_]", "", key).lower(): key for key in person}
    values = {plain: value.strip() for plain, key in keys.items() if isinstance(value := person[key], str)}
    found = {plain: value for plain, value in values.items() if _is_name(value)}
    for key in _NAME_KEYS:
        if key in found:
            return found[key]
    parts = [next((found[key] for key in names if key in found), "") for names in (_FIRST, _LAST)]
    return " ".join(filter(None, parts)) or None


def _name_below(person: Mapping[str, Any]) -> str | None:
    below = (person[key] for key in _PERSON_KEYS if isinstance(person.get(key), dict))
    return next((name for each in below if (name := _name_in(each))), None)


def _is_name(value: str) -> bool:
    return 0 < len(value) <= LONGEST_NAME and "\n" not in value and not _is_id(value)


def _is_id(text: str) -> bool:
    word = text.strip()
    return bool(_NUMBERED.fullmatch(word)) or shape_of(word) in ("numbers", "UUIDs", "hexadecimal")
