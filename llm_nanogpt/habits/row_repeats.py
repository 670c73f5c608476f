"""Repetitions in the rows of a table: DRY lets pass what the rows repeat themselves.

The rows of some tables are made of the same few sentences: recipes, weather reports, results of games. There
"Simmer in stock for" comes back in the same row with another number. Where DRY (`repetition.py`) holds that
number back, something else takes its place: "Simmer in stock for  potatoes minutes". So it begins beyond the
lengths that are common in the rows, and does not take all numbers for the same.
benchmarks/LOG.md, "Rows that repeat themselves", has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..repetition import LONGEST_MATCH, NUMBER, SHORT, default_allowed_length

if TYPE_CHECKING:
    from ..vocabulary import Vocabulary

# If more than the rest of the rows' tokens lengthen repetitions that are longer than DRY lets pass, it begins
# at lengths that are rare. In prose 0.3 to 4% of the tokens lengthen one of three tokens or more, in
# rows made of the same sentences 13 to 32%.
USUAL, RARE = 0.95, 0.99
# A row is looked at in stretches of so many tokens, each by itself: in 500 tokens long prose repeats
# as much as short recipes do. The stretch that repeats least counts: if only the head of an article repeats
# itself, as a table does, a model that may do so too goes in circles everywhere.
TOKENS, CHARACTERS, STRETCHES = 100, 400, 5
ROWS = 1000
FEWEST = 1000  # tokens: fewer say nothing about what is usual
# Words stand twice running at 0.2 to 2.3 of 10,000 tokens of prose, notes, verse and documentation. Where
# they do more often, as in songs and some languages, they may.
DOUBLED = 0.0005


def common_repeat(texts: Iterable[str], tokenizer: Vocabulary) -> int | None:
    """How many tokens may be repeated without penalty, at most LONGEST_MATCH, where the rows `texts` repeat
    more than DRY lets pass by default; None where they do not, or where there is too little text to tell."""
    import numpy as np

    size = CHARACTERS if tokenizer.is_char else TOKENS
    numbers = frozenset(tokenizer.numbers.tolist())
    stretches: list[list[int]] = [[] for _ in range(STRETCHES)]
    for text in islice(texts, ROWS):
        # Hardly a token has more than ten characters.
        ids = [NUMBER if i in numbers else i for i in tokenizer.encode(text[: 10 * size * STRETCHES])]
        for n, lengths in enumerate(stretches):
            stretch = ids[n * size : (n + 1) * size]
            if n == 0 or len(stretch) == size:  # the rest of a row has less to repeat
                lengths.extend(repeat_lengths(stretch))
    measured = [
        np.quantile(lengths, (USUAL, RARE), method="higher").tolist()
        for lengths in stretches
        if len(lengths) >= FEWEST
    ]
    if not measured:
        return None
    usual, rare = map(min, zip(*measured, strict=True))
    return min(rare + 1, LONGEST_MATCH) if usual >= default_allowed_length(tokenizer.is_char) else None


def doubles_words(texts: Iterable[str], tokenizer: Vocabulary) -> bool:
    """Whether the rows `texts` have words twice running more often than most, or too little text to tell."""
    tokens = doubled = 0
    begin_words = tokenizer.begin_words.tolist()
    for text in islice(texts, ROWS):
        ids = tokenizer.encode(text[: 10 * TOKENS * STRETCHES])
        tokens += len(ids)
        doubled += sum(
            begin_words[ids[at]] and ids[at : at + n] == ids[at + n : at + 2 * n]
            for n in range(1, SHORT + 1)
            for at in range(len(ids) - 2 * n + 1)
        )
    return tokens < FEWEST or doubled > DOUBLED * tokens


def repeat_lengths(ids: Iterable[int]) -> Iterator[int]:
    """For each of `ids`, how many before it stood before the same id already, as DRY counts them."""
    places: dict[int, list[int]] = defaultdict(list)
    before: dict[int, int] = {}  # places of the last id -> length of the repetition that ends there
    for at, token in enumerate(ids):
        here = {place: before.get(place - 1, 0) + 1 for place in places[token]}
        yield max(here.values(), default=1) - 1
        places[token].append(at)
        before = here
