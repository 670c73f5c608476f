"""Repetitions in the rows of a table: DRY lets pass what the rows repeat themselves.

The rows of some tables are made of the same few sentences: recipes, weather reports, results of games. There
"Simmer in stock for" comes back in the same row with another number. Where DRY (`repetition.py`) holds that
number back, something else takes its place: "Simmer in stock for  potatoes minutes". So it must begin beyond
the lengths that are common in the rows. benchmarks/LOG.md, "Rows that repeat themselves", has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from .repetition import LONGEST_MATCH, NUMBER

if TYPE_CHECKING:
    from .vocabulary import Vocabulary

# At most the rest of the rows' tokens lengthen a repetition that does not pass. In prose 0.3 to 4% of the
# tokens lengthen one of three tokens or more, in rows made of the same sentences 13 to 32%.
COMMON = 0.96
# How much of a row is looked at. In its first 500 tokens long prose repeats as much as short recipes do.
TOKENS, CHARACTERS = 100, 400
ROWS = 1000
FEWEST = 1000  # tokens: fewer say nothing about what is common


def common_repeat(texts: Iterable[str], tokenizer: Vocabulary) -> int | None:
    """How many tokens in a row the rows `texts` may have a second time before a token that lengthens that is
    rare in them, at most LONGEST_MATCH; None where there is too little text to tell."""
    import numpy as np

    limit = CHARACTERS if tokenizer.is_char else TOKENS
    numbers = frozenset(tokenizer.numbers.tolist())
    lengths: list[int] = []
    for text in islice(texts, ROWS):
        ids = tokenizer.encode(text[: 10 * limit])[:limit]  # hardly a token has more than ten characters
        lengths += repeat_lengths(NUMBER if i in numbers else i for i in ids)
    if len(lengths) < FEWEST:
        return None
    return min(int(np.quantile(lengths, COMMON, method="higher")) + 1, LONGEST_MATCH)


def repeat_lengths(ids: Iterable[int]) -> Iterator[int]:
    """For each of `ids`, how many before it stood before the same id already, as DRY counts them."""
    places: dict[int, list[int]] = defaultdict(list)
    before: dict[int, int] = {}  # places of the last id -> length of the repetition that ends there
    for at, token in enumerate(ids):
        here = {place: before.get(place - 1, 0) + 1 for place in places[token]}
        yield max(here.values(), default=1) - 1
        places[token].append(at)
        before = here
