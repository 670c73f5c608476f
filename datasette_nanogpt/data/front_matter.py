"""Front matter: what programs store above the text of a page, such as its title.

Static site generators have YAML or TOML between lines of signs, JSON (Hugo), or lines such as "Title: A walk"
(Pelican, MultiMarkdown) and ".. title: A walk" (Nikola). Org mode has keywords and a drawer of properties,
AsciiDoc a heading and attributes, and a passage from a Kindle its book. Books of Project Gutenberg have a
licence around them.
"""

from __future__ import annotations

import json
import re

from .clippings import split_clipping
from .gutenberg import split_book
from .latex import split_document

# The whole block at the start of the text: YAML between --- lines (the last may be ...), TOML between +++.
_BLOCK = re.compile(
    r"\ufeff?\s*(?:(?P<yaml>---)[ \t]*\n(?P<yaml_lines>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
    r"|\+\+\+[ \t]*\n(?P<toml_lines>.*?)^\+\+\+[ \t]*(?:\n|\Z))",
    re.DOTALL | re.MULTILINE,
)
_YAML_LINE = re.compile(r"(?:[\w.-]+|\"[^\"\n]+\"|'[^'\n]+')[ \t]*:(?:[ \t].*)?$|[ \t#\]}-].*$|$", re.ASCII)
_TOML_LINE = re.compile(r"[\w.\"'-]+[ \t]*=.*$|[ \t#\[\]}\"'].*$|$", re.ASCII)
_TITLE = re.compile(r"^(?:title|Title|\"title\"|'title')[ \t]*[:=][ \t]*(.*(?:\n[ \t]+.+)*)", re.MULTILINE)
# Lines of keys alone above the text, one of them such as only a program needs.
_KEYS = "title|subtitle|summary|description|authors?|lang|language|url|link|css|copyright"
_PROGRAM_KEYS = "date|modified|category|categories|tags?|keywords|slug|status|layout|template|permalink|draft"
_PELICAN = re.compile(
    rf"\ufeff?(?=(?:\S[^\n]*\n)*(?:{_PROGRAM_KEYS}):)"
    rf"(?P<lines>(?:(?:{_KEYS}|{_PROGRAM_KEYS})::?[ \t]*[^\n]*\n(?:[ \t]+\S[^\n]*\n)*){{2,}})\s*\n",
    re.IGNORECASE,
)
_NIKOLA = re.compile(r"\ufeff?\s*(?P<lines>(?:\.\. [a-z_]+:[^\n]*\n)+)\s*\n")
_ORG = re.compile(
    r"\ufeff?\s*(?P<lines>(?::PROPERTIES:[ \t]*\n(?::[^\s:]+:[^\n]*\n)*:END:[ \t]*\n\s*)?"
    r"(?:\#\+[a-z_]+:[^\n]*(?:\n|\Z)\s*)*)",
    re.IGNORECASE,
)
_ASCIIDOC = re.compile(
    r"\ufeff?\s*(?P<lines>= [^\n]+\n(?:[^\n:=][^\n]*\n){0,2}(?::!?[\w-]+!?:[^\n]*(?:\n|\Z))+)\n*"
)
_JSON = re.compile(r"\ufeff?\s*(?=\{\s*\")")
_JSON_KEYS = frozenset(f"title|{_PROGRAM_KEYS}".replace("?", "").split("|"))
_TITLE_ABOVE = re.compile(r"^(?:title::?|\.\. title:|\#\+title:|=)[ \t]+(.+)", re.IGNORECASE | re.MULTILINE)
LONGEST = 20_000  # characters: a longer block is text between two horizontal rules


def split_front_matter(text: str) -> tuple[str | None, str]:
    """The title in the front matter of `text`, None where it has none, and the text below it.

    `text` is returned as it is where it has no front matter: two horizontal rules with prose between them are
    text.
    """
    value = text
    text = text.replace("\r\n", "\n") if text[:2_000].count("\r\n") else text
    block = _BLOCK.match(text[: LONGEST + 10])
    if not block:
        heading, rest = _split_keys(text)
        return (None, value) if rest == text else (heading, rest)
    is_yaml = block["yaml"] is not None
    lines = (block["yaml_lines"] if is_yaml else block["toml_lines"]).splitlines()
    line = _YAML_LINE if is_yaml else _TOML_LINE
    separator = ":" if is_yaml else "="
    # Inside a block of several lines everything is allowed, but the first line is always a key.
    if not any(separator in each for each in lines) or not all(map(line.match, lines)):
        return None, value
    title = _TITLE.search("\n".join(lines))
    return (_scalar(title[1]) or None) if title else None, text[block.end() :]


def _split_keys(text: str) -> tuple[str | None, str]:
    """The title among the keys above `text`, and what is below them: all of it without any."""
    start = text[:LONGEST]
    if opened := _JSON.match(start):
        return _split_json(text, opened.end())
    if whole := split_document(text) or split_book(text):
        return whole
    if clipping := split_clipping(start) if len(text) <= LONGEST else None:
        return clipping
    for pattern in (_PELICAN, _NIKOLA, _ORG, _ASCIIDOC):
        if (block := pattern.match(start)) and block["lines"]:
            title = _TITLE_ABOVE.search(block["lines"])
            if title or pattern is _ORG:
                return (title[1].strip() if title else None), text[block.end() :]
    return None, text


def _split_json(text: str, opened: int) -> tuple[str | None, str]:
    """The same of an object in JSON, on lines of its own. JSON that nothing follows is the text itself."""
    try:
        keys, end = json.JSONDecoder().raw_decode(text[:LONGEST], opened)
    except (ValueError, RecursionError):
        return None, text
    below = text[end:]
    if not below.strip() or not re.match(r"[ \t]*\n", below) or _JSON_KEYS.isdisjoint(map(str.lower, keys)):
        return None, text
    title = next((value for key, value in keys.items() if key.lower() == "title"), None)
    return (title if isinstance(title, str) and title else None), below.lstrip("\n")


def _scalar(value: str) -> str:
    """A YAML or TOML string: quoted, folded over lines, or bare with a comment after it."""
    value = re.sub(r"^[>|][+-]?\d?[ \t]*\n", "", value)
    value = " ".join(value.split())
    if value[:1] == '"' and (end := re.match(r'"(?:[^"\\]|\\.)*"', value)):
        try:
            return str(json.loads(end[0]))
        except ValueError:
            return end[0][1:-1]
    if value[:1] == "'" and (end := re.match(r"'(?:[^']|'')*'", value)):
        return end[0][1:-1].replace("''", "'")
    return re.sub(r"[ \t]+#.*$", "", value)
