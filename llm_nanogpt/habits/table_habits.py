"""All habits of a table, each of which has a module beside this one.

`nanogpt.json` keeps them as figures. Older models lack some of them, imported ones have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .brackets import KINDS, OVER_LINES, QUOTES, SPACED_QUOTE, Brackets, bracket_lengths, lone_quotes
from .fences import FENCES, Fences, fence_lengths
from .lengths import Lengths, read_lengths
from .line_fences import LineFences, line_fences
from .line_quotes import BACKTICK, SINGLE_QUOTE, LineQuotes, quoted_lengths
from .lines import LongLine, has_paragraphs, line_lengths
from .opened_prompts import OpenedPrompt, ends_in_item_mark, ends_in_opening
from .prompt_quotes import PromptQuotes, left_open
from .repeated_items import AGAIN, RepeatedItem, items_again
from .row_repeats import common_repeat, doubles_words
from .short_texts import ShortText, text_lengths
from .sign_runs import SignRun, run_lengths
from .spaces import Spaces, has_space_runs
from .starts import Start, common_starts
from .strings import Unbroken, string_lengths

if TYPE_CHECKING:
    import numpy as np

    from ..vocabulary import Vocabulary

COUNTED = 1_000_000  # characters of text that are measured


class Follower(Protocol):
    """Follows a text as it is written, token by token, and makes less likely what is unlike the rows."""

    def add(self, text: str) -> None: ...

    def penalise(self, logits: np.ndarray) -> None:
        """Change logits (n_vocab,) of the next token."""


@dataclass(frozen=True)
class Habits:
    """Lengths in characters: of runs of numbers and signs, of strings without spaces, of whole rows, of
    what stands within brackets, single quotes and fences of each kind that is followed, and of lines.
    `lone_quotes` are those of the brackets that are not opened in one another, and how straight ones stand.
    `paragraphs` says whether long lines end with a sentence. `line_fences` are the kinds of fences that stand
    at the start of a line alone. `repeat` is in tokens: how many DRY lets pass, where the rows repeat more
    than is usual. `doubles_words` says whether words stand twice running as if by rule, or that is not known.
    `starts` are the kinds of characters that rows start with, `items_again` is the fraction of items that are
    said again. `space_runs` says whether lines have several spaces in a row, or that is not known."""

    runs: Lengths | None = None
    strings: Lengths | None = None
    texts: Lengths | None = None
    brackets: Mapping[str, Lengths] = field(default_factory=dict)
    lines: Lengths | None = None
    lone_quotes: frozenset[str] = frozenset()
    paragraphs: bool = False
    single_quotes: Lengths | None = None
    backticks: Lengths | None = None
    fences: Mapping[str, Lengths] = field(default_factory=dict)
    line_fences: tuple[str, ...] = ()
    repeat: int | None = None
    doubles_words: bool = True
    starts: tuple[str, ...] = ()
    items_again: float | None = None
    space_runs: bool = True

    def as_json(self) -> dict[str, Any]:
        """The fields of nanogpt.json's `corpus`."""
        known = {
            "run_lengths": self.runs,
            "string_lengths": self.strings,
            "text_lengths": self.texts,
            "line_lengths": self.lines,
            "quoted_lengths": self.single_quotes,
            "backtick_lengths": self.backticks,
        }
        return {name: lengths._asdict() if lengths else None for name, lengths in known.items()} | {
            "brackets": {kind: lengths._asdict() for kind, lengths in self.brackets.items()},
            "fences": {fence: lengths._asdict() for fence, lengths in self.fences.items()},
            "lone_quotes": sorted(self.lone_quotes),
            "paragraphs": self.paragraphs,
            "line_fences": list(self.line_fences),
            "repeat_length": self.repeat,
            "doubles_words": self.doubles_words,
            "starts": list(self.starts),
            "items_again": self.items_again,
            "space_runs": self.space_runs,
        }

    def followers(self, tokenizer: Vocabulary, prompt: str) -> list[Follower]:
        """Of a text that goes on from `prompt`."""
        each: list[Follower] = []
        if self.runs:
            each.append(SignRun(tokenizer.signs, tokenizer.begins_with_letter, self.runs))
        if self.strings:
            each.append(Unbroken(tokenizer.unbroken, self.strings))
        if self.texts:
            each.append(ShortText(tokenizer.eot, self.texts, prompt))
        if self.brackets:
            each.append(Brackets(tokenizer, self.brackets, prompt, self.lone_quotes))
        if self.fences:
            each.append(Fences(tokenizer, self.fences, prompt))
        if self.line_fences:
            each.append(LineFences(tokenizer, self.line_fences, prompt))
        if self.lines:
            ids = tokenizer.line_breaks, tokenizer.eot
            each.append(LongLine(*ids, self.lines, prompt, self.paragraphs))
        for mark, lengths in ((SINGLE_QUOTE, self.single_quotes), (BACKTICK, self.backticks)):
            if lengths:
                each.append(LineQuotes(tokenizer, mark, lengths, prompt))
        if self.items_again is not None and self.items_again <= AGAIN and not tokenizer.is_char:
            each.append(RepeatedItem(tokenizer, prompt))
        if not self.space_runs:
            each.append(Spaces(tokenizer, prompt))
        if self == Habits():  # an imported model's are not known
            return each
        if ends_in_opening(prompt) or ends_in_item_mark(prompt):
            each.append(OpenedPrompt(tokenizer, ends_in_item_mark(prompt)))
        followed = {*self.brackets, BACKTICK} if self.backticks else self.brackets
        if opened := left_open(prompt, followed):
            each.append(PromptQuotes(tokenizer, opened))
        if self.starts and not prompt:
            each.append(Start(tokenizer, self.starts))
        return each


def measure_habits(texts: Iterable[str], tokenizer: Vocabulary) -> Habits:
    """Of the first million characters of `texts`, rows in no order. `tokenizer` is the one that a model of
    them has."""
    some, left = [], COUNTED
    for text in texts:
        some.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    whole = some[:-1] if left < 0 else some  # what is cut off is short, and leaves brackets open
    lines, brackets = line_lengths(whole), bracket_lengths(whole or some)
    return Habits(
        runs=run_lengths(some),
        strings=string_lengths(some),
        texts=text_lengths(whole),
        brackets=brackets,
        lone_quotes=lone_quotes(whole or some, brackets),
        lines=lines,
        paragraphs=lines is not None and has_paragraphs(whole, lines),
        single_quotes=quoted_lengths(some, SINGLE_QUOTE),
        backticks=quoted_lengths(some, BACKTICK),
        fences=fence_lengths(whole),
        line_fences=line_fences(some),
        repeat=common_repeat(some, tokenizer),
        doubles_words=doubles_words(some, tokenizer),
        starts=common_starts(some),
        items_again=items_again(some),
        space_runs=has_space_runs(some),
    )


def read_habits(corpus: Mapping[str, Any]) -> Habits:
    """What nanogpt.json says of a table's rows."""
    brackets = {kind: read_lengths(lengths) for kind, lengths in (corpus.get("brackets") or {}).items()}
    fences = {fence: read_lengths(lengths) for fence, lengths in (corpus.get("fences") or {}).items()}
    return Habits(
        runs=read_lengths(corpus.get("run_lengths")),
        strings=read_lengths(corpus.get("string_lengths")),
        texts=read_lengths(corpus.get("text_lengths")),
        lines=read_lengths(corpus.get("line_lengths")),
        paragraphs=corpus.get("paragraphs", False),
        single_quotes=read_lengths(corpus.get("quoted_lengths")),
        backticks=read_lengths(corpus.get("backtick_lengths")),
        repeat=corpus.get("repeat_length"),
        doubles_words=corpus.get("doubles_words", True),
        starts=tuple(corpus.get("starts") or ()),
        line_fences=tuple(f for f in corpus.get("line_fences") or () if f in FENCES),
        items_again=corpus.get("items_again"),
        space_runs=corpus.get("space_runs", True),
        lone_quotes=(QUOTES | {SPACED_QUOTE, OVER_LINES}).intersection(corpus.get("lone_quotes") or ()),
        brackets={kind: lengths for kind, lengths in brackets.items() if lengths and kind in KINDS},
        fences={fence: lengths for fence, lengths in fences.items() if lengths and fence in FENCES},
    )
