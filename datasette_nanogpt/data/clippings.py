"""`My Clippings.txt`, in which a Kindle keeps what somebody marked in books: the book, a line that says where
and when, a blank line, and the passage."""

from __future__ import annotations

import re

MIN_CLIPPINGS, MIN_FRACTION = 3, 0.5  # in a file, and of its parts that are clippings
END = "<|endoftext|>"  # between documents, see markers.py

_SEPARATOR = re.compile(r"^={10}[ \t]*$", re.MULTILINE)
# The second line begins with "- " in every language, has a number (a page or a location), and date and time
# behind a bar.
_CLIPPING = re.compile(
    r"\s*\ufeff?(?P<book>\S[^\n]{0,500})\n-[ \t]?(?=[^\n|]{0,200}\d)[^\n|]{3,200}"
    r"\|[^\n]{0,200}\d:\d\d[^\n]{0,20}"
    r"(?:\n[ \t]*(?:\n\s*(?P<text>.*))?)?\Z",
    re.DOTALL,
)


def split_clipping(text: str) -> tuple[str | None, str] | None:
    """The book and the passage of a single clipping, None for other text. A bookmark has neither."""
    parts = _parts(text)
    found = _CLIPPING.match(parts[0]) if len(parts) == 1 else None
    if not found:
        return None
    passage = (found["text"] or "").strip()
    return (found["book"].strip() if passage else None), passage


def are_clippings(text: str) -> bool:
    """Whether a text is a file of clippings."""
    parts = _parts(text)
    found = sum(bool(_CLIPPING.match(part)) for part in parts)
    return found >= MIN_CLIPPINGS and found > MIN_FRACTION * len(parts)


def read_clippings(text: str) -> str:
    """Each passage below its book, with a marker between them."""
    read = (split_clipping(part) or (None, part.strip()) for part in _parts(text))
    return f"\n{END}\n".join("\n\n".join(filter(None, each)) for each in read if each[1])


def _parts(text: str) -> list[str]:
    return [part for part in _SEPARATOR.split(text.replace("\r\n", "\n")) if part.strip("\ufeff \t\n")]
