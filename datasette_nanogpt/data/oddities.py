"""Warnings, in sentences, about text that somebody may not mean to train on: data, logs, repeated lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import regex

from .repeated_lines import repeated_lines
from .source import QUERY, Source

MIN_LETTERS = 0.7  # the fraction of letters in prose, not counting white space; code and logs have fewer
MAX_DIGITS = 0.15  # the fraction of digits in prose
MAX_WORD = 40  # letters: the longest mean word of a script with spaces
DATA = {"JSON": "JSON", "hex": "hexadecimal numbers", "base64": "base64"}

_NO_LETTERS = regex.compile(
    r"[^\p{L}\p{M}\u0f0b\u1361]+"
)  # a sign parts syllables in Tibetan, words in Amharic
_WORD = re.compile(r"\S+")


def oddities(source: Source, documents: Sequence[str]) -> Iterator[str]:
    """Sentences about `documents`, which are some of the source's."""
    has_order = source.grouping.order if source.grouping else source.order_by
    if not has_order and not source.keys and source.row_count > 1:
        what = "query" if source.table == QUERY else "view"
        yield (
            f"The rows of a {what} come in no order that SQLite promises, whatever its SQL says: the same "
            "command may hold out other rows the next time."
        )
    for column, kind in source.kinds.items():
        if column in source.body and kind.data:
            yield f"Most of {column} is {DATA.get(kind.data, kind.data)}, which is learned as it is."
    text = "".join("".join(document.split()) for document in documents)
    if text and not source.data:
        yield from _machine_text(documents, text)
    yield from repeated_lines(source, documents)


def _machine_text(documents: Sequence[str], text: str) -> Iterator[str]:
    words = [word for document in documents for word in _WORD.findall(document)]
    letters = len(_NO_LETTERS.sub("", text)) / len(text)
    digits = sum(map(str.isdecimal, text)) / len(text)
    if words and sum(map(len, words)) / len(words) > MAX_WORD and text.isascii():
        yield "Most of the text has no spaces, as codes have: a model can learn little from it."
    elif letters < MIN_LETTERS or digits > MAX_DIGITS:
        yield (
            f"{1 - letters:.0%} of the characters are digits and signs, as in logs, tables and code, "
            "so the score says less about how well the model writes."
        )
