"""A prompt, a title or columns of a held-out document to try a new model with.

Of some held-out documents the one is taken whose beginning a person would soonest type: without numbers and
marks, and in words that other documents have, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import regex

from llm_nanogpt.conditions import can_be_given, layout_of
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.habits.brackets import PAIRS, QUOTE
from llm_nanogpt.habits.starts import kind_of_start
from llm_nanogpt.titles import Titles
from llm_nanogpt.tokenizer import Tokenizer
from llm_nanogpt.words import LETTER, SPACELESS, WORD, words

from ..data.column_names import TITLES, named
from ..data.dataloader import Tokens
from ..data.token_files import document_ends

TOKENS = 200  # how much of a document is decoded to find its first words
WORDS, CHARACTERS = 2, 40  # the longest prompt
DOCUMENTS, TITLE_CHARACTERS = 20, 60  # how many documents are looked at, and how long a title may be
MARKUP = frozenset("<>{}[]|=`\\~^*#@")  # signs that a person hardly begins to type with
OFTEN = 4  # of DOCUMENTS: a word of one letter that fewer have, as "C", is a name or was cut off
# In a script without spaces the prompt is the first clause; one longer than CLAUSE characters is cut to CUT.
CLAUSE, CUT = 20, 8

_CLAUSE = regex.compile(
    rf"(?V1)(?P<clause>[{SPACELESS}](?:[{SPACELESS}]|\p{{M}})*)|{WORD.pattern.removeprefix('(?V1)')}"
)
# So many characters with their marks; the vowels that Thai and Lao write before a consonant are not the last.
_START = regex.compile(rf"(?:[\u0e40-\u0e44\u0ec0-\u0ec4]?\X){{{CUT}}}(?<![\u0e40-\u0e44\u0ec0-\u0ec4])")


# The rest of a string without spaces, after a word in it: ".retr" of "poplib.POP3.retr".
_REST = regex.compile(rf"(?V1)[[^\s]--[{SPACELESS}]]*{LETTER}")


def prompt_from(tokens: np.ndarray, tokenizer: Tokenizer) -> str:
    """The words that a held-out document begins with, as they stand there.

    `tokens` are those of a token file, with `<|endoftext|>` before and after each document.
    """
    texts = list(_beginnings(tokens, tokenizer))
    found = [prompt for prompt in map(first_words, texts) if prompt]
    return next(iter(soonest_typed(found, texts)), "The")


def _beginnings(tokens: np.ndarray, tokenizer: Tokenizer) -> Iterator[str]:
    for begin in islice(document_ends(tokens), DOCUMENTS):
        start = tokens[begin + 1 : begin + TOKENS]
        ends = np.flatnonzero(start == tokenizer.eot)
        text = tokenizer.decode(start[: ends[0]] if len(ends) else start)
        yield text.rstrip("\N{REPLACEMENT CHARACTER}")


def soonest_typed(prompts: Sequence[str], texts: Sequence[str] = ()) -> list[str]:
    """Those first that a person would soonest type, else in their order: those with the fewest oddities, and
    then the fewest words that only one of `texts` has, where these are given."""
    kinds = Counter(map(kind_of_start, prompts))
    usual = max(kinds, key=lambda kind: (kind in ("capital", "letter"), kinds[kind]), default="")
    documents = Counter(word for text in texts for word in set(words(text)))

    def oddities(prompt: str) -> tuple[int, int]:
        found = words(prompt)
        odd = [
            kind_of_start(prompt) != usual,
            any(map(str.isnumeric, found)),
            not MARKUP.isdisjoint(prompt),
            any(prompt.count(opener) > prompt.count(closer) for opener, closer in PAIRS.items()),
            prompt.count(QUOTE) % 2,
        ]
        rare = sum(documents[word] < (OFTEN if len(word) == 1 else 2) for word in found) if texts else 0
        return sum(map(bool, odd)), rare

    return sorted(prompts, key=oddities)


def to_try(tokens: Tokens, source: Mapping[str, Any]) -> dict[str, Any]:
    """The `title` or `conditions` of a held-out document to write with; `source` is that of nanogpt.json."""
    if tokens.titles and source.get("template"):
        return {"conditions": conditions_from(tokens.val, tokens.titles, source)}
    return {"title": title_from(tokens.val, tokens.titles)} if tokens.titles else {}


def title_from(tokens: np.ndarray, titles: Titles) -> str:
    """A title of a held-out document that is short enough to be typed; "" without one."""
    heads = (
        titles.tokenizer.decode(titles.head(tokens[begin : begin + titles.longest])).strip()
        for begin in islice(document_ends(tokens), DOCUMENTS)
    )
    found = [title for title in heads if title and len(title) <= TITLE_CHARACTERS]
    return next(iter(soonest_typed(found)), "")


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
    or its beginning, in a script without spaces. A string without spaces is not cut, and who says something,
    "Hugo: ", does not count."""
    line = text.strip().split("\n", 1)[0].rstrip()
    end = count = 0
    for word in _CLAUSE.finditer(line):
        if word.start() < end:
            continue
        clause, rest = word["clause"], _REST.match(line, word.end())
        stop = rest.end() if rest else word.end()
        if count >= WORDS or stop > CHARACTERS or (clause and end):
            break
        if clause:
            start = _START.match(clause) if len(clause) > CLAUSE else None
            return line[: word.start() + start.end()] if start else line[: word.end()]
        end = stop
        count += not line.startswith(":", end)
    return line[:end] or line[: CHARACTERS // 4]
