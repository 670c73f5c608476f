"""How a text reads, in numbers: whether it goes in circles, its real words and its open brackets.

Nothing here needs a model. Words are those of `llm_nanogpt.words`. More figures are in
benchmarks/text_figures.py; what they are for real rows and for models is in benchmarks/LOG.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

import numpy as np
import regex

from llm_nanogpt.words import LETTERS, fold, words

PHRASE_WORDS, PHRASE_TIMES = 4, 5  # a loop: a phrase of at least this many words, this many times running
STRING_CHARACTERS, STRING_TIMES = range(2, 41), 7  # or a string of this many characters, this many times
# Prose has at least this fraction of letters among its characters without spaces, and at least this many
# words in the median text, of at most so many texts.
PROSE_LETTERS, PROSE_WORDS, PROSE_TEXTS = 0.65, 4, 200

BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
ECHO_CHARACTERS, ECHO_TIMES = "2,12", 3  # a short string so many times running: an echo

_ECHO = regex.compile(rf"(?s)(.{{{ECHO_CHARACTERS}}}?)\1{{{ECHO_TIMES - 1},}}")
_PROSE_LETTERS = regex.compile(r"[\p{L}\p{M}]")


def has_loop(text: str) -> bool:
    """Whether a phrase of four words or more stands five times running, or a short string seven times.

    A string of one character, or without a letter or digit, is no loop: rows have rules such as "-----".
    """
    spaced = text.split()
    numbers: dict[str, int] = {}
    ids = np.array([numbers.setdefault(word, len(numbers)) for word in spaced], dtype=np.int64)
    for size in range(PHRASE_WORDS, len(ids) // PHRASE_TIMES + 1):
        if any(True for _ in _repeats(ids, size, PHRASE_TIMES)):
            return True
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for size in STRING_CHARACTERS:
        for start in _repeats(characters, size, STRING_TIMES):
            string = text[start : start + size]
            if len(set(string)) > 1 and any(map(str.isalnum, string)):
                return True
    return False


def _repeats(symbols: np.ndarray, size: int, times: int) -> Iterable[int]:
    """Where `size` of `symbols` (n,) stand `times` times running: the start of each longest such stretch."""
    same = symbols[size:] == symbols[:-size]  # as the symbol `size` before it
    breaks = np.flatnonzero(~np.concatenate([[False], same, [False]]))
    long = np.diff(breaks) - 1 >= size * (times - 1)
    return (int(start) for start in breaks[:-1][long])


def has_echo(text: str) -> bool:
    """Whether a short string with a letter or digit stands three times running: "0.0.0", "very very very"."""
    return any(len(set(m[1])) > 1 and any(map(str.isalnum, m[1])) for m in _ECHO.finditer(text))


def open_brackets(text: str) -> int:
    """How many brackets of a kind the text leaves open; the kind that it leaves most of counts."""
    return max(_left_open(text, *pair)[0] for pair in BRACKETS)


def surplus_brackets(text: str) -> int:
    """How many brackets it closes without having opened one of their kind."""
    return sum(_left_open(text, *pair)[1] for pair in BRACKETS)


def _left_open(text: str, opener: str, closer: str) -> tuple[int, int]:
    """How many are open at the end of `text`, and how many are closed that were not open."""
    opened = surplus = 0
    for character in text:
        if character == opener:
            opened += 1
        elif character == closer and opened:
            opened -= 1
        elif character == closer:
            surplus += 1
    return opened, surplus


def real_word_fraction(text: str, known: Collection[str]) -> float | None:
    """The fraction of the words of `text` that are in `known`, case folded. Numbers do not count, nor do the
    characters of scripts without spaces between words.

    None for a text without words, or mostly in such a script.
    """
    spelled = [word for word in LETTERS.findall(text) if not word.isnumeric()]
    characters = [word for word in words(text) if not LETTERS.match(word)]
    if len(spelled) <= len(characters):
        return None
    return sum(fold(word) in known or word in known for word in spelled) / len(spelled)


def is_prose(texts: Iterable[str]) -> bool:
    """Whether texts could have sentences: most of their characters are letters, and they have several words.

    Documentation and notes in markdown have 80% letters, verse 95%; codes, numbers and JSON have less than
    60%, and names a word or two.
    """
    some = [text for text in islice(texts, PROSE_TEXTS) if text.strip()]
    characters = sum(len("".join(text.split())) for text in some)
    spelled = sum(len(_PROSE_LETTERS.findall(text)) for text in some)
    lengths = sorted(len(words(text)) for text in some)
    several = bool(lengths) and lengths[len(lengths) // 2] >= PROSE_WORDS
    return several and spelled >= PROSE_LETTERS * characters
