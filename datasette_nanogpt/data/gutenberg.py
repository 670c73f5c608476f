"""Books of Project Gutenberg, without the licence and what else stands before and after them."""

from __future__ import annotations

import re

_START = re.compile(
    r"\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E?BOOK[^*]{0,400}\*{3}"
    r"|\*END\*THE SMALL PRINT![^\n]*\*END\*"
)
_END = re.compile(
    r"^[ \t]*\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|^[ \t]*End of (?:the |this )?Project Gutenberg",
    re.MULTILINE,
)
_TITLE = re.compile(r"^Title:[ \t]*(\S[^\n]*(?:\n[ \t]+\S[^\n]*){0,3})", re.MULTILINE)
# Who made the file, above the book.
_MADE_BY = re.compile(
    r"\s*(?:(?:E-?text )?(?:produced|prepared|transcribed|scanned)(?: and \w+)? by|This e-?text was)\b"
    r"[^\n]*\n"
    r"(?:[^\n]+\n)*",
    re.IGNORECASE,
)
LONGEST_START = 30_000  # characters: older licences stand before the book


def split_book(text: str) -> tuple[str | None, str] | None:
    """The title of a whole book, and the book alone; None for other texts."""
    is_of_gutenberg = "PROJECT GUTENBERG" in text[:LONGEST_START].upper()
    start = _START.search(text, 0, LONGEST_START) if is_of_gutenberg else None
    if not start:
        return None
    title = _TITLE.search(text, 0, start.start())
    end = _END.search(text, start.end())
    book = text[start.end() : end.start() if end else len(text)]
    if made := _MADE_BY.match(book):
        book = book[made.end() :]
    return (" ".join(title[1].split()) if title else None), book.strip("\n")
