"""Documents: the title and the texts of a row as one string, and strings in batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Control characters, the byte order mark, marks of the direction of writing, which programs put before lines
# and names, and halves of surrogate pairs: nothing that a model should write.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# Line breaks of other systems, also those to which a program added what it took to be missing, and the end of
# a page; then separators of fields and records (those of Anki's cards among them), and of paragraphs.
_LINE_BREAK = re.compile("\r+\n|[\r\x0b\x0c\x85\u2028]")
_PARAGRAPH_BREAK = re.compile(
    # NUL parts fields, but not letters, as in UTF-16.
    "\n*[\x1c-\x1f\u2029][\n\x1c-\x1f\u2029]*|(?<=[^\0][^\0\n])\0+(?=[^\0-\x1f][^\0])"
)


def join_document(title: str | None, bodies: Iterable[str]) -> str:
    """Title, blank line, bodies separated by blank lines; "" where there is no text at all.

    Breaks become `\\n` and control characters are dropped. The first line of a body keeps its indent.
    """
    bodies = (clean_text(body).strip("\n").rstrip() for body in bodies)
    return "\n\n".join(part for part in (" ".join(clean_text(title or "").split()), *bodies) if part)


def without_heading(text: str, title: str) -> str:
    """`text` without a first line that only says the title again: "# The harbour". It may be all of it."""
    first, _, rest = text.lstrip().partition("\n")
    same = " ".join(first.strip("# \t\r").split()).casefold() == " ".join(title.split()).casefold()
    return rest.lstrip("=-\r\n") if same else text


def clean_text(text: str) -> str:
    """`text` with `\\n` for every line end, two for separators, and without control characters."""
    text = _LINE_BREAK.sub("\n", text)
    return _CONTROL.sub("", _PARAGRAPH_BREAK.sub("\n\n", text))


def batches(texts: Iterable[str], characters: int) -> Iterator[list[str]]:
    """Group `texts`, in order, into lists of at least `characters` in all; the last may have fewer."""
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
