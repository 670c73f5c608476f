"""BBCode, the markup of forums, to text."""

from __future__ import annotations

import re

from .nested import without_nested

_NAMES = (
    "b|i|u|s|quote|url|img|code|list|size|color|font|center|left|right|align|justify|email|youtube|spoiler|media"
    "|video|audio|attachment|attach|hr|table|tr|td|th|h[1-6]|indent|sub|sup|strike|user|mention|php|html|flash|li"
    "|ul|ol|highlight|hide|html|noparse|pre|o|m"
)
_END = re.compile(r"\[/(?:b|i|u|quote|url|img|list|size|color|code|spoiler)(?::\w+)*\]", re.IGNORECASE)
_GONE = re.compile(
    r"\[(img|attachment|attach|flash|youtube|video|media|audio)\b[^\[\]\n]*\][^\[\]]*\[/\1(?::\w+)*\]",
    re.IGNORECASE,
)
_QUOTE = re.compile(
    r"\[quote(?:[=:\s][^\[\]\n]*)?\](?:(?!\[/?quote)[\s\S])*\[/quote(?::\w+)*\]\n*", re.IGNORECASE
)
_ITEM = re.compile(r"[ \t]*\[\*(?::\w+)*\][ \t]*|\[li\]", re.IGNORECASE)
_TAG = re.compile(rf"\[/?(?:{_NAMES}|\*)(?:[=:\s][^\[\]\n]*)?\]", re.IGNORECASE)


def has_bbcode(text: str) -> bool:
    """Whether a text has the end of such a tag: what is about them rarely closes one."""
    return bool(_END.search(text))


def read_bbcode(text: str) -> str:
    """Without quoted posts, as replies of mail are without them, and without pictures."""
    text = without_nested(_QUOTE, _GONE.sub("", text))
    return _TAG.sub("", _ITEM.sub("- ", text))
