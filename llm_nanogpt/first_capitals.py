"""Capitals at the beginning of words: names have one, and other words only where a sentence or line begins.

Young models write "costello" and "epicteto", and in German, where nouns have capitals, "katzen" and
"Schneiden". benchmarks/LOG.md, "Texts that are cut, again, and names", has the figures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import regex

# What stands between two words within a sentence; after anything else a word may begin with a capital.
_WITHIN = regex.compile(r",? +")


def is_within_sentence(gap: str) -> bool:
    """Whether a word stands within a sentence that has `gap` between it and the word before it."""
    return _WITHIN.fullmatch(gap) is not None


def begins_with_capital(word: str) -> bool:
    """Whether a word has a capital at its beginning, and none later: "The"."""
    return word[:1] != word[:1].lower() and word[1:] == word[1:].lower()


def with_capital(word: str) -> str:
    """A word in small letters with a capital at its beginning."""
    return word[:1].upper() + word[1:]


class FirstCapitals(NamedTuple):
    """Words of a table, in small letters: those that have a capital at their beginning somewhere in it, and
    of these the names, which have one everywhere."""

    words: frozenset[str]
    names: frozenset[str]

    def allow(self, word: str, beginning: Iterable[str], within: bool) -> bool:
        """Whether `word` may begin with a small letter, or a capital, as it does. `beginning` are the words
        that it is, or can become; `within` is whether it stands within a sentence."""
        if word[0] == word[0].lower():
            return not self.names or any(each not in self.names for each in beginning)
        if not within or not begins_with_capital(word):
            return True
        return any(each in self.words for each in beginning)


def first_capitals(written: Iterable[str], known: Collection[str]) -> FirstCapitals:
    """Of the words that are `known`, as they are `written` in the rows."""
    forms = set(written)
    words = frozenset(each for each in known if each.islower() and with_capital(each) in forms)
    return FirstCapitals(words, frozenset(each for each in words if each not in forms))


def read_first_capitals(listed: Iterable[str]) -> FirstCapitals:
    """Of a list that has words with a capital as they are, and names only so."""
    listed = set(listed)
    words = frozenset(each.lower() for each in filter(begins_with_capital, listed))
    return FirstCapitals(words, words - listed)
