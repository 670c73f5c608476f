"""Brackets and quotes: a text that is written closes what it opens, and nothing else, as its table's rows do.

A small model forgets that it has opened one, or has closed it. So what rows hardly ever do becomes less
likely: to close what is not open, or an outer one before an inner one. Once one has been open for longer than
is usual, what closes it becomes more likely, and what opens another one less. Kinds that the rows do not
close, or close without opening, as ")" in lists and emoticons, are left alone.

A straight quote opens and closes. Counted by turns alone, `a "so and "so` is closed, and a small model likes
to write the second of these, too. So where hardly a quote of the rows closes after a space, it opens there,
and where hardly one opens after a word, it closes there; strings of code do both. Nor is a quote opened
within another one, where the rows hardly do that. It ends with its line or, where the rows leave many open in
their lines and close them later, as songs do, with its stanza: at an empty line.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from .lengths import Lengths, measure_lengths

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

PAIRS = {"(": ")", "[": "]", "{": "}", "«": "»"} | {
    "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{FULLWIDTH LEFT PARENTHESIS}": "\N{FULLWIDTH RIGHT PARENTHESIS}",
    "\N{LEFT CORNER BRACKET}": "\N{RIGHT CORNER BRACKET}",
    "\N{LEFT WHITE CORNER BRACKET}": "\N{RIGHT WHITE CORNER BRACKET}",
    "\N{LEFT DOUBLE ANGLE BRACKET}": "\N{RIGHT DOUBLE ANGLE BRACKET}",
    "\N{LEFT BLACK LENTICULAR BRACKET}": "\N{RIGHT BLACK LENTICULAR BRACKET}",
}
OPENERS = {closer: opener for opener, closer in PAIRS.items()}
# Opens and closes. It ends with its line or stanza, or one that is missing would turn all that follow inside
# out; three in a row, as around Python's docstrings, are none (`fences.py`).
QUOTE, THREE_QUOTES = '"', '"""'
KINDS = frozenset([*PAIRS, QUOTE])
SPACED_QUOTE = f" {QUOTE}"  # no kind: it says that a straight one opens after a space or a sign alone
OVER_LINES = f"{QUOTE}\n"  # no kind either: it says that a straight one may go over lines
# Those that may be lone. Brackets stand within one another in code, and now and then in prose.
QUOTES = frozenset([QUOTE, "\N{LEFT DOUBLE QUOTATION MARK}", "«", "\N{LEFT CORNER BRACKET}"])
# What stands before a straight quote that closes, beside letters and numbers. Before other signs it may open.
BEFORE_CLOSING = ".,!?;%)]}\N{HORIZONTAL ELLIPSIS}"

# A kind is followed if the rows have so many, and at most these fractions of them are never closed, or close
# what is not open. Of the blog's "[" these are 3% and 2%, of its "(" 1% each; of a chat's ")" easily half.
FEWEST, LEFT_OPEN, NOT_OPEN = 20, 0.05, 0.02
USUAL, RARE = 0.9, 0.97  # of what the rows have between brackets is shorter
# Nats: what closes a bracket gains them, once it is open for as long as is rare; what rows hardly ever do
# loses them. LOG.md, "Brackets, strings and short texts" and "Lines and apostrophes".
STRENGTH, MISPLACED = 2.0, 6.0
UNLIKELY = -3.0  # nats: an end that is so much less likely than what closes a quote does not count
DEEPEST = 4  # of the brackets that are open, so many decide what a token would do

Event = Literal["opened", "closed", "left open", "was not open", "opened again"]
FAULTS = frozenset(["left open", "was not open", "opened again"])
# What stands before a straight quote; a line break is told from a space where it is OVER_LINES.
Side = Literal["space", "word", "sign", "line"]


def side_of(before: str) -> Side:
    """Of the character `before` a quote; "" at the start of a text."""
    if not before or before.isspace():
        return "space"
    return "word" if before.isalnum() or before in BEFORE_CLOSING else "sign"


def follow(
    text: str,
    opened: list[tuple[str, int]],
    kinds: frozenset[str],
    start: int = 0,
    lone: frozenset[str] = frozenset(),
    side: Side = "space",
) -> Iterator[tuple[Event, str, int]]:
    """What the brackets of `text` do, in order: the event, the kind, and how many characters stood within it.

    `opened` are the kinds that are open before it, innermost last, and where each stands, in characters;
    afterwards those after it. `start` is where the text stands, `side` is what stands before it. `lone` are
    the quotes that are not opened within one another, as `lone_quotes` has them.
    """
    over_lines = OVER_LINES in lone
    for match in _marks(kinds).finditer(text):
        mark, place = match[0], start + match.start()
        if mark == THREE_QUOTES:
            continue
        if mark == "\n" and over_lines and not _is_empty_line(text, match.start(), side):
            continue
        kind = QUOTE if mark == "\n" else OPENERS.get(mark, mark)
        inner = next((i for i in range(len(opened) - 1, -1, -1) if opened[i][0] == kind), None)
        opens = mark in PAIRS or (mark == QUOTE and inner is None)
        if mark == QUOTE and QUOTE in lone:
            at = match.start()
            before = side_of(text[at - 1]) if at else side
            opens = before in ("space", "line") or (opens and not (before == "word" and SPACED_QUOTE in lone))
        if opens and inner is not None and kind in lone:
            yield "opened again", kind, 0
        elif opens:
            opened.append((kind, place))
            yield "opened", kind, 0
        elif inner is None:
            if mark != "\n":
                yield "was not open", kind, 0
        elif mark == "\n":
            del opened[inner]
            yield "left open", kind, 0
        else:
            end = inner + 1 if mark == QUOTE else len(opened)  # a string may have "(" in it
            for within, _ in opened[inner + 1 : end]:
                yield "left open", within, 0
            yield "closed", kind, place - opened[inner][1] - len(mark)
            del opened[inner:end]


def _is_empty_line(text: str, at: int, side: Side) -> bool:
    """Whether the line that the line break at `at` ends is empty."""
    return text[at - 1] == "\n" if at else side == "line"


@lru_cache(64)
def _marks(kinds: frozenset[str]) -> re.Pattern[str]:
    marks = {*kinds, *(PAIRS[kind] for kind in kinds if kind in PAIRS)}
    if QUOTE in kinds:
        marks |= {THREE_QUOTES, "\n"}
    return re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))


def bracket_lengths(texts: Sequence[str]) -> dict[str, Lengths]:
    """The kinds that the rows close nearly always, and how much they have within them."""
    measured = _lengths_within(texts, KINDS)
    if QUOTE not in measured:
        measured |= _lengths_within(texts, frozenset([QUOTE]), frozenset([OVER_LINES]))
    return measured


def _lengths_within(
    texts: Iterable[str], kinds: frozenset[str], lone: frozenset[str] = frozenset()
) -> dict[str, Lengths]:
    counts: Counter[tuple[Event, str]] = Counter()
    lengths: defaultdict[str, list[int]] = defaultdict(list)
    for text in texts:
        opened: list[tuple[str, int]] = []
        for event, kind, length in follow(text, opened, kinds, 0, lone):
            counts[event, kind] += 1
            if event == "closed":
                lengths[kind].append(length)
        for kind, _ in opened:
            counts["left open", kind] += 1
    measured = {}
    for kind, some in sorted(lengths.items()):
        left_open = counts["left open", kind] / counts["opened", kind]
        not_open = counts["was not open", kind] / (len(some) + counts["was not open", kind])
        known = measure_lengths(some, USUAL, RARE)
        if known and len(some) >= FEWEST and left_open <= LEFT_OPEN and not_open <= NOT_OPEN:
            measured[kind] = known
    return measured


def lone_quotes(texts: Sequence[str], kinds: Iterable[str]) -> frozenset[str]:
    """Those of `kinds` that the rows hardly ever open within one another; a straight one after a space counts
    as one that opens. SPACED_QUOTE is beside it if they hardly open one after a word, and OVER_LINES if it is
    not in its line that they close it."""
    quotes = QUOTES.intersection(kinds)
    over_lines = frozenset[str]()
    if QUOTE in quotes and not _lengths_within(texts, frozenset([QUOTE])):
        over_lines = frozenset([OVER_LINES])
    counts: Counter[tuple[Event, str]] = Counter()
    for text in texts if quotes else ():
        events = follow(text, [], quotes, lone=quotes | {SPACED_QUOTE} | over_lines)
        counts.update((event, kind) for event, kind, _ in events)

    def rare(event: Event, kind: str) -> bool:
        return counts[event, kind] <= NOT_OPEN * counts["opened", kind]

    lone = over_lines.union(kind for kind in quotes if rare("opened again", kind))
    return lone | {SPACED_QUOTE} if QUOTE in lone and rare("was not open", QUOTE) else lone


class Effects(NamedTuple):
    """What tokens do at some place of a text, (n_vocab,) each: 1 for those that leave fewer brackets open
    than before and -1 for those that leave more; and the nats that those lose which do what rows hardly ever
    do. Within a lone quote also the ids of those that end its line, or the text, and of those that close it,
    (n,) each; otherwise none."""

    closing: np.ndarray
    misplaced: np.ndarray
    ends: np.ndarray
    closers: np.ndarray


class BracketTokens:
    """The tokens of a vocabulary that have brackets of these `kinds`. `lone` are as `follow` has them."""

    def __init__(self, tokenizer: Vocabulary, kinds: frozenset[str], lone: frozenset[str]) -> None:
        self.kinds, self.lone, self.marks = kinds, lone, _marks(kinds)
        self.n_vocab, self._eot = tokenizer.n_vocab, tokenizer.eot
        tokens = ((i, tokenizer.token_bytes(i).decode("utf-8", "ignore")) for i in range(tokenizer.n_vocab))
        self._tokens = [(i, text) for i, text in tokens if self.marks.search(text)]
        self._effects: dict[tuple[tuple[str, ...], Side], Effects] = {}

    def effects(self, opened: Sequence[str], side: Side = "space") -> Effects:
        """What tokens do where these kinds are open, innermost last, after such a character."""
        import numpy as np

        innermost = tuple(opened[-DEEPEST:])
        place = innermost, side
        if place not in self._effects:
            closing, misplaced = np.zeros((2, self.n_vocab), np.float32)
            for i, text in self._tokens:
                then = [(kind, 0) for kind in innermost]
                events = {event for event, *_ in follow(text, then, self.kinds, 0, self.lone, side)}
                if events & FAULTS:
                    misplaced[i] = MISPLACED
                elif len(then) != len(innermost):
                    closing[i] = 1 if len(then) < len(innermost) else -1
            ends = np.empty(0, np.intp)
            if self.lone.intersection(innermost):
                misplaced[self._eot] = MISPLACED
                breaks = [i for i, text in self._tokens if "\n" in text and misplaced[i]]
                ends = np.array([*breaks, self._eot], np.intp)
            closers = np.flatnonzero(closing > 0) if len(ends) else ends
            self._effects[place] = Effects(closing, misplaced, ends, closers)
        return self._effects[place]


@lru_cache(4)
def bracket_tokens(
    tokenizer: Vocabulary, kinds: frozenset[str], lone: frozenset[str] = frozenset()
) -> BracketTokens:
    """Kept from one text to the next: finding what tokens do takes a millisecond for each place."""
    return BracketTokens(tokenizer, kinds, lone)


class Brackets:
    """The brackets that are open in a text as it is written. What the prompt opens counts from its end."""

    def __init__(
        self,
        tokenizer: Vocabulary,
        lengths: Mapping[str, Lengths],
        prompt: str,
        lone: frozenset[str] = frozenset(),
    ) -> None:
        self._tokens, self._lengths = bracket_tokens(tokenizer, frozenset(lengths), lone), lengths
        self._opened: list[tuple[str, int]] = []
        self._side: Side = "space"  # of the last character, which tells what a straight quote does
        self._length = 0  # in characters, after the prompt
        self._effects = self._tokens.effects(())
        self.add(prompt)
        self._opened, self._length = [(kind, 0) for kind, _ in self._opened], 0

    def add(self, text: str) -> None:
        tokens, side = self._tokens, self._side
        if text and (QUOTE in tokens.lone or OVER_LINES in tokens.lone):
            is_line = text[-1] == "\n" and OVER_LINES in tokens.lone
            self._side = "line" if is_line else side_of(text[-1])
        marked = tokens.marks.search(text)
        if marked:
            for _ in follow(text, self._opened, tokens.kinds, self._length, tokens.lone, side):
                pass
        if marked or self._side != side:
            self._effects = tokens.effects([kind for kind, _ in self._opened], self._side)
        self._length += len(text)

    def penalise(self, logits: np.ndarray) -> None:
        """Put on logits (V,) of the next token what brackets put on some and take off others."""
        if len(self._effects.closers):
            self._close_instead_of_ending(logits)
        logits -= self._effects.misplaced
        if self._opened:
            overdue = max(self._lengths[kind].beyond(self._length - at) for kind, at in self._opened)
            if overdue > 0:
                logits += STRENGTH * overdue * self._effects.closing

    def _close_instead_of_ending(self, logits: np.ndarray) -> None:
        """Give what closes a quote also the probability of what ends its line or the text: a model that would
        end there has forgotten the quote."""
        import numpy as np

        closers, ends = self._effects.closers, self._effects.ends
        closing, ending = logits[closers], logits[ends]
        # Of each the likeliest stands for all: sums take twice as long.
        gain = float(ending.max() - closing.max())
        if gain > UNLIKELY:
            logits[closers] = closing + np.logaddexp(0, gain)
