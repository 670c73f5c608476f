"""Lines that end because they were full, as in mail, books and docstrings: paragraphs become one line each.

A model does not count characters. From such lines it learns that lines end, but not where, and breaks its own
in the middle of a sentence. Verse, code, lists and tables keep their lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

import regex

MIN_WIDTH, MAX_WIDTH = 20, 140  # characters of a full line; no editor wraps later
MIN_LINES = 3  # of a paragraph that tells whether texts are wrapped
MIN_BREAKS = 10  # in such paragraphs
MIN_FULL = 0.6  # the fraction of these lines that are full: measured in LOG.md ("Lines that were wrapped")
MIN_LOWER = 0.5  # the fraction of these lines that begin with a small letter: in verse few do
# Of the width: a line that ends within a sentence is at least so long, unless it was meant to end there.
MIN_LENGTH = 0.6
MIN_PROSE = 0.9  # the fraction of letters and spaces in indented lines: code has fewer
MAX_LENGTH = 1.5  # of the width: a text that is mostly longer lines was not wrapped, though others were

_FENCE = regex.compile(r"[ \t]*(?:```|~~~)")
_ITEM = regex.compile(r"[ \t]*(?:[-*+\u2022\u2013]|\(?(?:\d{1,3}|[a-zA-Z])[.)])[ \t]+")
# Quotes, headings, rows of tables, prompts, fields, directives, tags and rules begin a line of their own.
_OWN = regex.compile(
    r"[>|#$%@<]|>>> |\.\.(?:\.|[ \t])|:[\w ]+:|[\w-]+: |[=*~^_+-]{3,}$|.* \| |.*\S(?: {3,}|\t)"
)
_LAST = regex.compile(r"#{1,6} |.*(?: {2}|\\|<br ?/?>)$")  # a heading, and markdown's own breaks
_SENTENCE_END = regex.compile(r".*[.!?:;\u3002\uff01\uff1f\u0964]['\"\u2019\u201d)\]*_]*$")
_WITHOUT_SPACES = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u3001-\u301f\uff00-\uffef]")


def wrapped_width(texts: Sequence[str]) -> int:
    """The characters of a full line where `texts` were wrapped; 0 where their lines were ended on purpose."""
    full, small, widths = [], [], []
    for lines in (lines for text in texts for lines in _paragraphs(text) if len(lines) >= MIN_LINES):
        width = _longest(lines)
        if MIN_WIDTH <= width <= MAX_WIDTH:
            widths.append(width)
            # The longest line is full by definition.
            full += [_is_full(a, b, width) for a, b in pairwise(lines) if len(a.rstrip()) < width]
            starts = [line.lstrip()[:1] for line in lines[1:]]
            # A script may have no small letters; numbers begin the lines of a list.
            small += [s.islower() for s in starts if s.lower() != s.upper() or s.isdecimal()]
    is_wrapped = len(full) >= MIN_BREAKS and sum(full) >= MIN_FULL * len(full)
    return round(median(widths)) if is_wrapped and sum(small) >= MIN_LOWER * len(small) else 0


def join_lines(text: str, width: int) -> str:
    """`text` with a line for each paragraph, if its lines were wrapped at about `width` characters."""
    paragraphs = list(_paragraphs(text))
    long = sum(len(line) for lines in paragraphs for line in lines if len(line) > MAX_LENGTH * width)
    if 2 * long > len(text):
        return text
    return "\n".join(line for lines in paragraphs for line in _joined(lines, width))


def _joined(lines: list[str], width: int) -> Iterator[str]:
    """The lines of a paragraph, those joined that were one."""
    own = _longest(lines) if len(lines) >= MIN_LINES else width
    is_full = [_is_full(a, b, own) for a, b in pairwise(lines)]
    is_wrapped = own >= MIN_LENGTH * width and 2 * sum(is_full) >= len(is_full)
    if not is_wrapped:
        own = width
    joined = lines[0]
    for before, after in pairwise(lines):
        begins = after.lstrip()
        within = len(before) >= MIN_LENGTH * width and begins[0].islower() and not _SENTENCE_END.match(before)
        if _is_full(before, after, own) or (within and (is_wrapped or len(lines) < MIN_LINES)):
            joined = joined.rstrip()
            joined += _between(joined, begins) + begins
        else:
            yield joined
            joined = after
    yield joined


def _between(before: str, after: str) -> str:
    """What stands for the break: nothing in Chinese and Japanese, and after the hyphen of a compound."""
    if _WITHOUT_SPACES.match(before[-1]) and _WITHOUT_SPACES.match(after[0]):
        return ""
    is_divided = before[-1] in "-\u2010" and before[-2:-1].isalpha() and after[0].isalpha()
    return "" if is_divided else " "


def _is_full(line: str, after: str, width: int) -> bool:
    """Whether the first word `after` the line would have made it longer than `width`."""
    word = after.split(maxsplit=1)[0]
    return len(line.rstrip()) + 1 + (1 if _WITHOUT_SPACES.match(word[0]) else len(word)) > width


def _longest(lines: Sequence[str]) -> int:
    """The characters of the longest line. Addresses cannot be wrapped, so they do not count."""
    return max((len(line.rstrip()) for line in lines if "://" not in line), default=0)


def _paragraphs(text: str) -> Iterator[list[str]]:
    """All lines, in paragraphs: lists of those that may be one. Code and blank lines are alone."""
    lines: list[str] = []
    in_code = False
    for line in text.replace("\r\n", "\n").split("\n"):
        is_fence = _FENCE.match(line) is not None
        if lines and (in_code or is_fence or not _may_go_on(lines, line)):
            yield from _unless_code(lines)
            lines = []
        in_code ^= is_fence
        lines.append(line)
    yield from _unless_code(lines)


def _unless_code(lines: list[str]) -> Iterator[list[str]]:
    written = "".join(lines)
    prose = sum(sign.isalpha() or sign.isspace() for sign in written)
    if _indent(lines[0]) >= 4 and not _ITEM.match(lines[0]) and prose < MIN_PROSE * len(written):
        yield from ([line] for line in lines)
    else:
        yield lines


def _may_go_on(lines: Sequence[str], line: str) -> bool:
    """Whether `line` may continue a paragraph of `lines`."""
    last, begins = lines[-1], line.lstrip()
    if not last.strip() or not begins or _LAST.match(last) or _OWN.match(begins) or _ITEM.match(line):
        return False
    before, now = _indent(last), _indent(line)
    if len(lines) == 1:  # the first line may begin further to the right, or with the sign of an item
        item = _ITEM.match(last)
        return now <= (item.end() if item else before)
    return now == before


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
