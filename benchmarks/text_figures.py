"""Figures on a text that only benchmarks need: what it repeats, what no row has, and how far its words are
from those of rows. What a run measures is in datasette_nanogpt/data/text_metrics.py and text_faults.py.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from datasette_nanogpt.data.text_faults import has_odd_quotes
from llm_nanogpt.habits.sign_runs import split_at_words
from llm_nanogpt.words import LETTERS, PART, WordList, fold, words

_TWO_SPACES = re.compile(r"\S {2,}\S")


def compressed_fraction(text: str) -> float:
    """What zlib leaves of a text, a fraction of its bytes: less of one that goes in circles. Only texts of
    about the same length can be compared."""
    data = text.encode("utf-8", "replace")
    return len(zlib.compress(data, 9)) / max(len(data), 1)


def has_odd_capitals(text: str, known: WordList) -> bool:
    """Whether a word has capitals in it where those that are known have none: "frequeStS", and "THE" where
    `known` has those in capitals."""
    return any(known.keeps_as_written(word) and not known.knows(word) for word in LETTERS.findall(text))


def longest_string(text: str) -> int:
    """The characters of the longest stretch without a space."""
    return max(map(len, text.split()), default=0)


def longest_sign_run(text: str) -> int:
    """The characters of the longest stretch without a word of two letters: "9d2b780a-6d70-1"."""
    return max(map(len, split_at_words(text)))


def has_odd_quotes_in_line(text: str) -> bool:
    return any(map(has_odd_quotes, text.split("\n")))


@dataclass(frozen=True)
class UsualNumbers:
    """The numbers of rows: the digits of the longest one, and the words beside numbers (`_number_pairs`)."""

    digits: int
    pairs: frozenset[tuple[str, str]]


def measure_numbers(rows: Sequence[str]) -> UsualNumbers:
    return UsualNumbers(
        digits=max((len(number) for row in rows for number in re.findall(r"\d+", row)), default=0),
        pairs=frozenset(pair for row in rows for pair in _number_pairs(row)),
    )


def has_odd_number(text: str, usual: UsualNumbers) -> bool:
    """Whether a number is longer than all of the rows, is beside a word beside which no row has one, or is
    missing: two spaces are left of it."""
    return bool(
        any(len(number) > usual.digits for number in re.findall(r"\d+", text))
        or any(pair not in usual.pairs for pair in _number_pairs(text))
        or any(_TWO_SPACES.search(line.strip()) for line in text.split("\n"))
    )


def _number_pairs(text: str) -> Iterable[tuple[str, str]]:
    """Each word with a number before or after it, the number as "0"."""
    spelled = ["0" if word.isnumeric() else fold(word) for word in PART.findall(text)]
    return (pair for pair in pairwise(spelled) if (pair[0] == "0") != (pair[1] == "0"))


def distinct_fraction(text: str) -> float | None:
    """The number of different words in `text` to the number of words; None for a text without words."""
    spelled = words(text)
    return len(set(spelled)) / len(spelled) if spelled else None


def repeated_ngram_fraction(text: str, n: int = 4) -> float | None:
    """The fraction of the runs of `n` words in `text` that stand in it before; None where it has none."""
    ngrams = _ngrams(text, n)
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else None


def ngram_distance(texts: Iterable[str], other_texts: Iterable[str], n: int) -> float:
    """Jensen-Shannon divergence, in bits, of the runs of `n` words in two collections of texts.

    0: each run has the same frequency in both; 1: they have none in common. Like MAUVE (2102.01454) it
    counts both what only the first has and what it lacks. It falls with the amount of text, so compare only
    collections of equal size.
    """
    counts = [Counter(ngram for text in side for ngram in _ngrams(text, n)) for side in (texts, other_texts)]
    totals = [sum(count.values()) for count in counts]
    if not all(totals):
        return 1.0
    distance = 0.0
    for ngram in counts[0].keys() | counts[1].keys():
        frequencies = [count[ngram] / total for count, total in zip(counts, totals, strict=True)]
        middle = sum(frequencies) / 2
        distance += sum(p / 2 * math.log2(p / middle) for p in frequencies if p)
    return distance


def _ngrams(text: str, n: int) -> Sequence[tuple[str, ...]]:
    spelled = words(text)
    return [tuple(spelled[i : i + n]) for i in range(len(spelled) - n + 1)]
