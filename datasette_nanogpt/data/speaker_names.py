"""The name in what a column says of who wrote a row: text, or JSON of a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .json_values import object_or_none
from .shapes import shape_of

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
    return 0 < len(value) <= LONGEST_NAME and "\n" not in value and not is_id(value)


def is_id(text: str) -> bool:
    """Whether a program numbers people like that."""
    word = text.strip()
    return bool(_NUMBERED.fullmatch(word)) or shape_of(word) in ("numbers", "UUIDs", "hexadecimal")
