"""What is in a column, by a sample of its rows: how much prose, or what else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from .column_names import words_of
from .decode import NOTHING, decode_bytes, encoding_of
from .documents import without_heading
from .mail import decode_words
from .packed import TEXT_IN_BASE64, are_texts_in_base64
from .sample import SAMPLE_CHARS, Value
from .shapes import is_slug, letters, shape_of
from .text_kinds import TextKind, kind_of
from .values_as_text import read_text

MOST = 0.5  # "most" means more than this fraction of the values
MIN_DISTINCT = 0.1  # below this fraction of distinct values, a column says little about each row
MAX_SHARED = 0.5  # above this fraction of rows with one and the same value, it says nothing either
NEARLY_ALL = 0.9  # of a column with few values, "the same in most rows" is said above this fraction
FEW_VALUES = "few different values"
CODES = ("encoded data", "long codes")  # which may be base64
FEW_ROWS = 5  # in fewer rows than this, equal values may be chance
COMPARED_LETTERS = 40  # how many letters of a text are looked for in another column's
CUT_LETTERS = 20  # at the end of a text that is cut there may be others: "… read more"
COMPARED_ROWS = 50  # rows that are compared
# In a column whose rows share values these are labels, if at least so many rows have one, and the values that
# differ have fewer letters than this per row.
LABELLED_ROWS, LABEL_LETTERS = 20, 10
FEW_NOTHING = 3  # rows that must have the same "No Negative": once, it may be an answer
KEY_CHARS = range(5, 41)  # the lengths of a key that is one word with digits in it
LONG_VALUE = 200  # characters

_HEADING = re.compile(r"\s*#\s|(?:\s|<(?!h\d)[a-zA-Z!?][^<>]*>)*<h\d", re.IGNORECASE)  # above a text
_NO = re.compile(r"[Nn]o ([A-Za-z]+)")
_NOT_COMPARED = re.compile(r"[\W_]+")


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a sample."""

    name: str
    values: Sequence[Value]  # the beginnings
    text_format: str | None = None  # what somebody said, see `kind_of`

    @cached_property
    def texts(self) -> list[str]:
        """What can be read as text, without the empty values."""
        return [text for text in self.text_by_row if text]

    @cached_property
    def text_by_row(self) -> list[str]:
        """The text of each row, "" where there is none."""
        texts = [self._text(value) or "" for value in self.values]
        nothing = ("", self._nothing)
        return [
            text if text.strip("\0 \t\r\n") not in nothing and text not in NOTHING else "" for text in texts
        ]

    @cached_property
    def filled_rows(self) -> int:
        return sum(
            value is not None and value not in ("", b"") and value not in NOTHING for value in self.values
        )

    @property
    def filled(self) -> float:
        """The fraction of the rows that have text."""
        return len(self.texts) / max(len(self.values), 1)

    @cached_property
    def kind(self) -> TextKind:
        return replace(kind_of(self.texts, self.text_format), encoding=self._encoding, nothing=self._nothing)

    @cached_property
    def _encoding(self) -> str:
        return encoding_of(self.values)

    @cached_property
    def _nothing(self) -> str:
        """What several rows have for no text: "No" and a word of the column's name, as "No Negative"."""
        texts = [value.strip() for value in self.values if isinstance(value, str)]
        words = words_of(self.name)
        named = Counter(t for t in texts if (no := _NO.fullmatch(t)) and no[1].lower() in words)
        return max((text for text, count in named.items() if count >= FEW_NOTHING), default="")

    def _text(self, value: Value) -> str | None:
        text = decode_bytes(value, self._encoding).text if isinstance(value, bytes) else value
        return text if isinstance(text, str) else None

    @cached_property
    def what(self) -> str:
        """What most values are if not words ("dates", "a PNG image"), "" if they are words."""
        if sum(self._others.values()) > MOST * self.filled_rows:
            what = next(iter(self._others), "")
            return TEXT_IN_BASE64 if what in CODES and are_texts_in_base64(self.texts) else what
        return "keys" if self._are_keys else ""

    @property
    def _are_keys(self) -> bool:
        """Whether all values are single words, and most have both digits and letters, or digits alone."""
        words = [text.strip() for text in self.texts]
        return all(len(word) in KEY_CHARS for word in words) and self._are_codes(words)

    @property
    def are_short_keys(self) -> bool:
        """Whether all of many values are words as keys are, of any length: "k12". They may be titles."""
        words = [text.strip() for text in self.texts]
        return (
            len(words) >= LABELLED_ROWS and max(map(len, words)) < KEY_CHARS.stop and self._are_codes(words)
        )

    @staticmethod
    def _are_codes(words: Sequence[str]) -> bool:
        if not all(word.isascii() and len(word.split()) == 1 for word in words):
            return False
        return sum(any(map(str.isdigit, word)) for word in words) > MOST * max(len(words), 1)

    @cached_property
    def _others(self) -> Counter[str]:
        """How many values are not words, by what they are, the most common first."""
        others = Counter("numbers" for value in self.values if isinstance(value, int | float))
        raw = [value for value in self.values if isinstance(value, bytes) and value]
        decoded = (decode_bytes(value, self._encoding) for value in raw)
        others.update(what for text, what in decoded if text is None)
        if not self.kind.is_embedded:
            others.update(shape for text in self.texts if (shape := shape_of(decode_words(text))))
        return Counter(dict(others.most_common()))

    @cached_property
    def prose(self) -> float:
        """Letters of prose per row, counting equal texts once; 0 where most values are not words."""
        if self.what:
            return 0.0
        embedded = self.kind.is_embedded
        texts = [read_text(text, self.kind).text if embedded else text for text in set(self.texts)]
        count = sum(letters(text) for text in texts if embedded or not shape_of(decode_words(text)))
        return count / max(len(self.values), 1)

    @cached_property
    def sameness(self) -> str:
        """Why the values say nothing about their rows ("the same in most rows"), "" if they do."""
        if self.filled_rows < FEW_ROWS or not self.texts:
            return ""
        counts = Counter(self.texts)
        shared = max(counts.values()) / len(self.texts)
        few = len(counts) < MIN_DISTINCT * len(self.texts)
        if few and shared <= NEARLY_ALL:  # as the two sides of a chat, one of which wrote a little more
            return FEW_VALUES
        return "the same in most rows" if shared > MAX_SHARED else ""

    @property
    def distinct(self) -> float:
        """The fraction of different values among those that have text."""
        return len(set(self.texts)) / max(len(self.texts), 1)

    @property
    def is_label(self) -> bool:
        """Whether there are a few short values, each in many rows: a kind, a state, an author."""
        few = self.filled_rows >= LABELLED_ROWS and self.sameness and self.prose < LABEL_LETTERS
        return bool(few) and not self.is_long

    @property
    def is_long(self) -> bool:
        return sum(map(len, self.texts)) > LONG_VALUE * len(self.texts)

    @property
    def mean_size(self) -> float:
        """Mean length of the values that are text or bytes, in characters or bytes. Values are cut short."""
        sizes = [len(value) for value in self.values if isinstance(value, str | bytes) and value]
        return sum(sizes) / max(len(sizes), 1)

    @property
    def slugs(self) -> bool:
        return sum(map(is_slug, self.texts)) > MOST * len(self.texts)

    @cached_property
    def is_bytes(self) -> bool:
        """Whether most values are bytes that cannot be read as text."""
        unread = sum(isinstance(value, bytes) and self._text(value) is None for value in self.values)
        return unread > MOST * self.filled_rows


def columns_of(sample: Mapping[str, Sequence[Value]], text_format: str | None = None) -> list[Column]:
    return [Column(name, values, text_format) for name, values in sample.items()]


def says_the_same(column: Column, other: Column) -> bool:
    """Whether most texts of one column begin as those of the other do, or are found in them."""
    pairs = [
        (_plain(a, column.kind), _plain(b, other.kind))
        for a, b in zip(column.text_by_row, other.text_by_row, strict=True)
        if a and b
    ][:COMPARED_ROWS]
    return sum(_repeats(a, b) or _repeats(b, a) for a, b in pairs) > MOST * len(pairs)


def is_contained(column: Column, other: Column) -> bool:
    """Whether most texts of one column are found in those of the other, as far as the sample has them: their
    beginnings, and what is in their middle."""
    pairs = [pair for pair in zip(column.text_by_row, other.text_by_row, strict=True) if all(pair)]
    plain = [(_plain(a, column.kind), _plain(b, other.kind)) for a, b in pairs[:COMPARED_ROWS]]
    return sum(_repeats(a, b) and _middle(a, b) in b for a, b in plain) > MOST * len(plain)


def _middle(text: str, other: str) -> str:
    """Letters from the middle of `text`; where the sample has less of `other`, from as far as it goes."""
    length = len(text)
    if len(other) < length and len(other) > SAMPLE_CHARS // 2:
        length = len(other)
    return text[length // 2 :][:COMPARED_LETTERS]


def is_beginning(column: Column, other: Column) -> bool:
    """Whether most texts of one column are only the beginnings of those of the other, as teasers are."""
    pairs = [pair for pair in zip(column.text_by_row, other.text_by_row, strict=True) if all(pair)]
    plain = [(_plain(a, column.kind), _plain(b, other.kind)) for a, b in pairs[:COMPARED_ROWS]]
    cut = [(a, b) for a, b in plain if len(a) < len(b)]
    begins = sum(b.startswith(a[: max(COMPARED_LETTERS, len(a) - CUT_LETTERS)]) for a, b in cut)
    return len(cut) > MOST * len(plain) and begins > MOST * len(cut)


def repeats_title(body: Column, title: Column) -> bool:
    """Whether most texts begin with a heading, or a paragraph of one line, that is the title."""
    pairs = [pair for pair in zip(body.text_by_row, title.text_by_row, strict=True) if all(pair)]
    pairs = pairs[:COMPARED_ROWS]
    again = sum(_has_heading(value, read_text(value, body.kind).text, name) for value, name in pairs)
    return again > MOST * len(pairs)


def _has_heading(value: str, text: str, title: str) -> bool:
    rest = without_heading(text, title)
    is_apart = text.lstrip().partition("\n")[2].startswith("\n") or not rest.strip()
    return rest != text and (is_apart or bool(_HEADING.match(value)))


def _repeats(text: str, other: str) -> bool:
    """Whether `text` is in `other`. A short text must be at its start: any word may occur in a long text."""
    start = text[:COMPARED_LETTERS]
    return bool(text) and (start in other if len(start) == COMPARED_LETTERS else other.startswith(start))


def _plain(text: str, kind: TextKind) -> str:
    """A text's letters and digits alone."""
    return _NOT_COMPARED.sub("", read_text(text, kind).text).lower()
