"""Whether a text is the code of a program, whose tags are for the program to write, not to be read."""

from __future__ import annotations

import re

_SAMPLE = 20_000  # characters of a text that are looked at
# Code in a page or in markdown, and comments, which are prose.
_NOT_LOOKED_AT = re.compile(
    r"<(pre|script|style)\b.*?(?:</\1>|\Z)|```.*?(?:```|\Z)|/\*.*?\*/", re.DOTALL | re.IGNORECASE
)
_LINE = re.compile(r"\S[^\n]*")
_LINE_OF_CODE = re.compile(
    r"[=()\[\]{}].*;$|^(?:return|break|continue|[a-z_]\w*) ?[\w.]*;$|(?<![%}])[{}]$|[})\]][,;)]+$|=>$"
    r"|\breturn \($|^(?://|import .*;$|@[A-Z]\w+)"
)
_PHP = re.compile(r"\s*<\?(?:php\b|=)")
# The fraction of lines that end, or begin, as only lines of code do. Half of the JavaScript and C of some
# packages have 0.4 and more, of their documentation in markdown 1 in 100, of a blog about code none.
_MIN_LINES = 0.2


def is_program(text: str) -> bool:
    """Whether `text` is code of the family of C, Java, JavaScript or PHP, as a whole."""
    text = text[:_SAMPLE]
    if _PHP.match(text):
        return True
    if text.lstrip().startswith("<"):
        return False
    lines = [line.strip() for line in _LINE.findall(_NOT_LOOKED_AT.sub("", text))]
    return sum(bool(_LINE_OF_CODE.search(line)) for line in lines) >= max(2, _MIN_LINES * len(lines))
