"""Words that are divided at the ends of lines, as in scans of newspapers and books, in one piece."""

from __future__ import annotations

import regex

MIN_DIVIDED = 2  # words in a text
# So many lines end in a divided word. Of a blog that was wrapped at 40 or 72 characters, 3 to 4% of the lines
# end in the hyphen of a compound ("command-line").
MIN_LINES = 0.07

# A hyphen, a soft one, or the sign that OCR puts for one, between small letters. The rest of the word may be
# all there is on its line.
_DIVIDED = regex.compile(r"(?<=\p{Ll}{2})(?:[-\u2010\u00ad]|\u00ac)[ \t]*\n[ \t]*(\p{Ll}\S*)(?:[ \t]+|\n|\Z)")


def is_hyphenated(text: str) -> bool:
    divided = len(_DIVIDED.findall(text))
    return divided >= max(MIN_DIVIDED, MIN_LINES * text.count("\n"))


def join_hyphenated(text: str) -> str:
    """The text with each divided word at the end of the line on which it begins."""
    return _DIVIDED.sub(r"\1\n", text)
