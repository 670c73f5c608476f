"""Front matter: what a static site generator stores above the text of a page, such as its title."""

from __future__ import annotations

import json
import re

# The whole block at the start of the text: YAML between --- lines (the last may be ...), TOML between +++.
_BLOCK = re.compile(
    r"\ufeff?\s*(?:(?P<yaml>---)[ \t]*\n(?P<yaml_lines>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
    r"|\+\+\+[ \t]*\n(?P<toml_lines>.*?)^\+\+\+[ \t]*(?:\n|\Z))",
    re.DOTALL | re.MULTILINE,
)
_YAML_LINE = re.compile(r"(?:[\w.-]+|\"[^\"\n]+\"|'[^'\n]+')[ \t]*:(?:[ \t].*)?$|[ \t#\]}-].*$|$", re.ASCII)
_TOML_LINE = re.compile(r"[\w.\"'-]+[ \t]*=.*$|[ \t#\[\]}\"'].*$|$", re.ASCII)
_TITLE = re.compile(r"^(?:title|Title|\"title\"|'title')[ \t]*[:=][ \t]*(.*(?:\n[ \t]+.+)*)", re.MULTILINE)
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
        return None, value
    is_yaml = block["yaml"] is not None
    lines = (block["yaml_lines"] if is_yaml else block["toml_lines"]).splitlines()
    line = _YAML_LINE if is_yaml else _TOML_LINE
    separator = ":" if is_yaml else "="
    # Inside a block of several lines everything is allowed, but the first line is always a key.
    if not any(separator in each for each in lines) or not all(map(line.match, lines)):
        return None, value
    title = _TITLE.search("\n".join(lines))
    return (_scalar(title[1]) or None) if title else None, text[block.end() :]


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
