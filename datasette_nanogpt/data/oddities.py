"""Warnings, in sentences, about text that somebody may not mean to train on: data, logs, repeated lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import regex

from ..formatting import shell_command
from .source import QUERY, Source
from .sqlite import quote

MIN_DOCUMENTS = 10  # with fewer documents, lines that repeat are not reported
REPEATED = 0.5  # a line is reported if at least this fraction of the documents have it
REPEATED_CHARS = 8  # shorter lines are not reported
MAX_REPORTED = 3  # how many repeated lines are reported
SHOWN_CHARS = 60  # how much of a line is shown
MIN_LETTERS = 0.7  # the fraction of letters in prose, not counting white space; code and logs have fewer
MAX_DIGITS = 0.15  # the fraction of digits in prose
MAX_WORD = 40  # letters: the longest mean word of a script with spaces
DATA = {"JSON": "JSON", "hex": "hexadecimal numbers", "base64": "base64"}

_NO_LETTERS = regex.compile(
    r"[^\p{L}\p{M}\u0f0b\u1361]+"
)  # a sign parts syllables in Tibetan, words in Amharic
_TEXT_LINE = re.compile(r"(?!```|~~~).*\w")
_WORD = re.compile(r"\S+")


def oddities(source: Source, documents: Sequence[str], database: str) -> Iterator[str]:
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
    yield from _repeated_lines(source, documents, database)


def _machine_text(documents: Sequence[str], text: str) -> Iterator[str]:
    words = [word for document in documents for word in _WORD.findall(document)]
    letters = len(_NO_LETTERS.sub("", text)) / len(text)
    digits = sum(map(str.isdecimal, text)) / len(text)
    if words and sum(map(len, words)) / len(words) > MAX_WORD and text.isascii():
        yield "Most of the text has no spaces, as codes have: a model can learn little from it."
    elif letters < MIN_LETTERS or digits > MAX_DIGITS:
        yield (
            f"{1 - letters:.0%} of the characters are digits and signs, as in logs, tables and code: "
            "text of machines rather than of people."
        )


def _repeated_lines(source: Source, documents: Sequence[str], database: str) -> Iterator[str]:
    if len(documents) < MIN_DOCUMENTS:
        return
    counts: Counter[str] = Counter()
    for document in documents:
        lines = dict.fromkeys(line.strip() for line in document.split("\n"))
        counts.update(line for line in lines if len(line) >= REPEATED_CHARS and _TEXT_LINE.match(line))
    often = [(line, n) for line, n in counts.most_common(MAX_REPORTED) if n >= REPEATED * len(documents)]
    for i, (line, n) in enumerate(often):
        shown = line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…"
        is_plain = n <= sum(any(line in str(row[c]) for c in source.body) for row in source.sample)
        cure = f" To leave it out: {_without(source, line, database)}" if i == 0 and is_plain else ""
        yield f"{n} of {len(documents)} rows looked at have the line {shown!r}.{cure}"


def _without(source: Source, line: str, database: str) -> str:
    """A command that trains on the rows without that line, which stands in their columns as it does here."""
    title = [quote(source.title)] if source.title else []
    text = "'" + line.replace("'", "''") + "'"
    bodies = [f"replace({quote(column)}, {text}, '') as {quote(column)}" for column in source.body]
    sql = f"select {', '.join([*title, *bodies])} from {' '.join(source.from_sql.split())}"
    return shell_command(["datasette", "nanogpt-train", database, "--sql", sql])
