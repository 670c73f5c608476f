"""A prompt, a title or columns of a held-out document to try a new model with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import Any

import numpy as np
import regex

from llm_nanogpt.conditions import can_be_given, layout_of
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer
from llm_nanogpt.words import SPACELESS, WORD

from ..data.column_names import TITLES, named
from ..data.dataloader import Tokens
from ..data.token_files import document_ends

TOKENS = 200  # how much of a document is decoded to find its first words
WORDS, CHARACTERS = 2, 40  # the longest prompt
DOCUMENTS, TITLE_CHARACTERS = 20, 60  # how many documents are searched for a title, and how long it may be
# In a script without spaces the prompt is the first clause; one longer than CLAUSE characters is cut to CUT.
CLAUSE, CUT = 20, 8

_CLAUSE = regex.compile(
    rf"(?V1)(?P<clause>[{SPACELESS}](?:[{SPACELESS}]|\p{{M}})*)|{WORD.pattern.removeprefix('(?V1)')}"
)
# So many characters with their marks; the vowels that Thai and Lao write before a consonant are not the last.
_START = regex.compile(rf"(?:[\u0e40-\u0e44\u0ec0-\u0ec4]?\X){{{CUT}}}(?<![\u0e40-\u0e44\u0ec0-\u0ec4])")


def prompt_from(tokens: np.ndarray, tokenizer: Tokenizer) -> str:
    """The words that a held-out document begins with, as they stand there.

    `tokens` are those of a token file, with `<|endoftext|>` before and after each document.
    """
    start = tokens[1:TOKENS]
    ends = np.flatnonzero(start == tokenizer.eot)
    text = tokenizer.decode(start[: ends[0]] if len(ends) else start)
    return first_words(text.rstrip("\N{REPLACEMENT CHARACTER}")) or "The"


def to_try(tokens: Tokens, source: Mapping[str, Any]) -> dict[str, Any]:
    """The `title` or `conditions` of a held-out document to write with; `source` is that of nanogpt.json."""
    if tokens.titles and source.get("template"):
        return {"conditions": conditions_from(tokens.val, tokens.titles, source)}
    return {"title": title_from(tokens.val, tokens.titles)} if tokens.titles else {}


def title_from(tokens: np.ndarray, titles: Titles) -> str:
    """The first title among those of held-out documents that is short enough to be typed; "" without one."""
    for begin in islice(document_ends(tokens), DOCUMENTS):
        title = titles.tokenizer.decode(titles.head(tokens[begin : begin + titles.longest])).strip()
        if title and len(title) <= TITLE_CHARACTERS:
            return title
    return ""


def conditions_from(tokens: np.ndarray, titles: Titles, source: Mapping[str, Any]) -> dict[str, str]:
    """The title of a held-out document, or else one or two other columns that stand above its text, to write
    another row with, by the `source` of nanogpt.json; none where they cannot be told apart."""
    try:
        layout = layout_of(source)
    except NanogptError:
        return {}
    rows = []
    for begin in islice(document_ends(tokens), DOCUMENTS):
        head = titles.tokenizer.decode(titles.head(tokens[begin : begin + titles.longest]))
        columns = layout.split(head) if head else {}
        rows.append({k: v for k in layout.settable if (v := columns.get(k)) and "\n" not in v})
    # A title says the most about a row, and steers the soonest.
    only_titles = ({name: row[name] for name in named(TITLES, list(row))[:1]} for row in rows)
    for given in chain(only_titles, (dict(list(row.items())[:2]) for row in rows)):
        if given and len("".join(given.values())) <= TITLE_CHARACTERS and can_be_given(source, given):
            return given
    return {}


def first_words(text: str) -> str:
    """The first two words of a text's first line, with what stands before and between them; the first clause,
    or its beginning, in a script without spaces."""
    line = text.strip().split("\n", 1)[0].rstrip()
    end = 0
    for count, word in enumerate(_CLAUSE.finditer(line)):
        clause = word["clause"]
        if count >= WORDS or word.end() > CHARACTERS or (clause and end):
            break
        if clause:
            start = _START.match(clause) if len(clause) > CLAUSE else None
            return line[: word.start() + start.end()] if start else line[: word.end()]
        end = word.end()
    return line[:end] or line[: CHARACTERS // 4]
