"""Misskey's markup: `$[x2 text]`, `<center>`, `?[label](address)`."""

from __future__ import annotations

import re

_FUNCTION = re.compile(r"\$\[[a-z0-9]+(?:\.[^\s\[\]]{1,100})?[ \n]")
_INNERMOST = re.compile(r"\$\[(?P<name>[a-z0-9]+)(?:\.[^\s\[\]$]{1,100})?[ \n](?P<text>[^\[\]]*)\]")
_TAG = re.compile(r"</?(?:center|small|plain|b|i|s)>")
_LINK = re.compile(r"\?(\[[^\[\]\n]+\]\([^()\s]+\))")
DEEPEST = 10  # functions in each other


def has_misskey(text: str) -> bool:
    return bool(_FUNCTION.search(text))


def read_misskey(text: str) -> str:
    """What stands in functions and tags; of `$[ruby base reading]` the base."""
    text = _LINK.sub(r"\1", _TAG.sub("", text))
    for _ in range(DEEPEST):
        text, count = _INNERMOST.subn(_inside, text)
        if not count:
            break
    return text


def _inside(found: re.Match[str]) -> str:
    if found["name"] == "unixtime":
        return ""
    return found["text"].rsplit(" ", 1)[0] if found["name"] == "ruby" else found["text"]
