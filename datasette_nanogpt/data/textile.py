"""Textile, the markup of Redmine and of older blogs, to text. Code stays exactly as it is."""

from __future__ import annotations

import re

from .around_code import fenced, rewrite_around
from .jira import table_rows

_MORE = r"(?:\([^()\n]*\)|\{[^{}\n]*\}|\[[^\[\]\n]*\]|[<>=])*"  # classes, styles and languages
# Between tags, or a block that begins with "bc." and ends with a blank line, or with "bc.." and ends where
# the next block begins.
_CODE = re.compile(
    r"<(pre|notextile)\b[^<>]*>(?P<code>.*?)</\1>"
    rf"|^bc{_MORE}\.\.[ \t]+(?P<long>.*?)(?=\n+(?:h[1-6]|bq|p|bc|pre){_MORE}\.{{1,2}}[ \t]|\s*\Z)"
    rf"|^bc{_MORE}\.[ \t]+(?P<block>[^\n]+(?:\n(?![ \t]*(?:\n|\Z))[^\n]+)*)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_LANGUAGE = re.compile(r"\s*<code\s+class=\"(?:language-)?([a-zA-Z][\w+#-]*)\"", re.IGNORECASE)
_LINK = re.compile(r"\"([^\"\n()]+)(?:\([^()\n]*\))?\":(?:https?:|mailto:|ftp:|/|#)[^\s\"<>]*[\w/#=&-]")
_MONO = re.compile(r"(?<![\w@])@([^@\s](?:[^@\n]{0,200}[^@\s])?)@(?![\w@])")
_BLOCK = rf"(?:h[1-6]|bq|p|bc|pre|fn\d+){_MORE}\.{{1,2}}[ \t]+"
_START = re.compile(rf"^{_BLOCK}(?=\S)", re.MULTILINE)
_HEADING = re.compile(r"^h[1-6]\.[ \t]+\S", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*[*#]+[ \t]+(?=\S)", re.MULTILINE)
_PICTURE = re.compile(
    r"!(?:[<>=])?[^\s!|]+\.(?:png|jpe?g|gif|svg|webp|bmp)(?:\([^()\n]*\))?!(?::\S+)?", re.IGNORECASE
)
_MACRO = re.compile(r"^[ \t]*\{\{[a-z_>]+(?:\([^()\n]*\))?(?:\}\})?[ \t]*\n|^[ \t]*\}\}[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"</?code\b[^<>]*>", re.IGNORECASE)


def is_textile(text: str) -> bool:
    """Whether a text has a link as in Textile, or a heading and code; Jira has the same headings."""
    return bool(_LINK.search(text)) or bool(
        _HEADING.search(text) and (_MONO.search(text) or _CODE.search(text))
    )


def read_textile(text: str) -> str:
    """Headings, quotes and links without their signs, pictures left out. Emphasis stays, as in markdown, and
    a block of code is between backticks."""
    return rewrite_around(_CODE, text.replace("\r\n", "\n"), _without_signs, _read_code)


def _read_code(found: re.Match[str]) -> str:
    if code := found["code"]:
        language = _LANGUAGE.match(code)
        return fenced(found, _TAG.sub("", code), language[1].lower() if language else "")
    return fenced(found, f"{found['long'] or found['block'] or ''}\n")


def _without_signs(text: str) -> str:
    text = _LINK.sub(r"\1", _START.sub("", _PICTURE.sub("", _MACRO.sub("", text))))
    return table_rows(_MONO.sub(r"\1", _TAG.sub("", _ITEM.sub("- ", text))))
