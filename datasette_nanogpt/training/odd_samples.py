"""What is odd in the texts that a model wrote at the end of its run: what they have clearly more often than
rows that are cut at the same length, and what would help.

A score can be good and texts odd all the same: they may end too soon, or begin in the middle of a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm_nanogpt.words import WordList

from ..data.text_faults import (
    Usual,
    chance_of_more,
    has_long_line,
    has_new_joined_word,
    has_odd_end,
    has_odd_quotes,
    has_odd_start,
    has_open_fence,
    repeats_item,
)
from ..data.text_metrics import has_echo, has_loop, open_brackets, real_word_fraction, surplus_brackets

# Brackets of a kind that are left open: fewer may be open where a text is cut.
MANY_OPEN = 3
# The chance that a verdict names anything where texts are as rows are. Each kind has its part of it.
CHANCE = 0.05
KINDS = {
    "circles": "say something twice in a row",
    "words": "have words that no row has",
    "open": "leave quotes, brackets or code blocks open",
    "lines": "have lines longer than those of rows",
    "start": "start as hardly a row does",
    "end": "end in a place where hardly a row does",
    "soon": "end within {tokens} tokens",
    "on": "go on beyond {tokens} tokens",
}
BY_COLUMNS = frozenset(["start", "end", "soon", "on"])  # a template shows where a row's columns begin and end


@dataclass(frozen=True)
class Sample:
    """A text from its start, and whether it ended by itself and was not cut."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Oddity:
    """`texts` of `of` texts have what `rows` of `of_rows` rows have."""

    kind: str  # a key of KINDS
    texts: int
    of: int
    rows: int
    of_rows: int


def find_odd(
    samples: Sequence[Sample], rows: Sequence[Sample], usual: Usual, known: WordList | None
) -> list[Oddity]:
    """What samples have more often than rows, by Fisher's exact test; the most certain first.

    `rows` were held out, or they would have no new words; `known` are the words of the others.
    """

    def has_new_words(text: str) -> bool:
        fraction = real_word_fraction(text, known) if known else None
        new = known is not None and known.joined is not None and has_new_joined_word(text, usual)
        return new or (fraction is not None and fraction < 1)

    tests: dict[str, Callable[[Sample], bool]] = {
        "circles": lambda s: has_loop(s.text) or has_echo(s.text) or repeats_item(s.text),
        "words": lambda s: has_new_words(s.text),
        "open": lambda s: _leaves_open(s.text),
        "lines": lambda s: has_long_line(s.text, usual),
        "start": lambda s: has_odd_start(s.text, usual),
        "end": lambda s: s.ended and has_odd_end(s.text, usual),
        "soon": lambda s: s.ended,
        "on": lambda s: not s.ended,
    }
    found = []
    for kind, has in tests.items():
        texts, others = sum(map(has, samples)), sum(map(has, rows))
        chance = chance_of_more(texts, len(samples), others, len(rows))
        if rows and chance < CHANCE / len(tests):
            found.append((chance, Oddity(kind, texts, len(samples), others, len(rows))))
    return [oddity for _, oddity in sorted(found, key=lambda each: each[0])]


def _leaves_open(text: str) -> bool:
    brackets = open_brackets(text) >= MANY_OPEN or surplus_brackets(text) > 0
    return brackets or has_odd_quotes(text) or has_open_fence(text)


def describe_odd(odd: Sequence[Oddity], tokens: int, more: str, columns: bool) -> str:
    """A sentence, "" where nothing is odd. `tokens` is where texts were cut, `more` what a better score needs
    more of, and `columns` whether a row has several columns and no template."""
    if not odd:
        return ""
    parts = [f"{o.texts} {KINDS[o.kind].format(tokens=tokens)} (rows: {o.rows} of {o.of_rows})" for o in odd]
    kinds = {o.kind for o in odd}
    cures = [more]
    if "circles" in kinds:
        cures.append("`-o temperature 1` against repetition")
    if columns and kinds & BY_COLUMNS:
        cures.append("a `--template` that shows where columns begin and end")
    compared = f"of {odd[0].of} texts, beside rows cut at the same length"
    return f"{compared}, {_listed(parts, 'and')}; what may help: {_listed(cures, 'or')}"


def _listed(parts: Sequence[str], word: str) -> str:
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else parts[0]
