"""Lines that a program or a typist broke at a column, as in mail and old files of text, in one piece again.

Such a line is full: the first word of the next one had no room on it. Lines of verse, of code, of lists and
of tables end before that, and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

WIDTHS = range(45, 101)  # characters, at which lines are broken: narrower ones may be columns of a table
MIN_LINES = 8  # of a text that can show at which column it was broken
MIN_LINES_TOGETHER = 30  # of texts that have fewer each
MIN_SHARE, MIN_TEXTS = 0.05, 3  # texts with so many lines, of all
# Of the lines of such texts so many are full: 0.9 to 1 of mail and books, 0.1 to 0.3 of verse, 0.3 to 0.7 of
# docstrings with code and lists.
MIN_FULL = 0.8
MIN_FULL_HERE = 0.5  # of the lines of a paragraph whose lines are joined: there may be verse between prose
NEARLY = 0.75  # of the width: a line that goes on in small letters, and was broken by hand
LONGEST_WORD = 12  # characters of the next line's first word that count: links are longer
WIDEST = 0.05  # the fraction of the lines that may be longer than the width: links again
_ITEM = re.compile(r"(?:[-*+\u2022\u2013\u2014]|\(?(?:\d{1,3}|[a-z]|[ivxIVX]{2,4})[.)]|\[\d{1,3}\])[ \t]")
# What begins a line of its own: a list, a table, a heading, a quote, a directive, what is set by spaces.
_OWN_LINE = re.compile(
    r"[|>=~+:@.\\]|[#$%]+[ !]|[-_*]{2,}|```|.*\S(?:[ ]{3,}|\t|[ ]*\.{4,})\S|https?://\S+\Z"
)
_ENDS = re.compile(r".*(?:[|\\{]|[ ]{2}|[-=_*~]{3,})\Z")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_WITHOUT_SPACES = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]\Z")  # Chinese and Japanese


def wrapped_at(texts: Sequence[str]) -> int:
    """The column at which most of the texts that have enough lines to show it were broken, 0 for none."""
    widths = [width for text in texts if (width := _width_of(text)) is not None]
    enough = len(widths) >= max(min(MIN_TEXTS, len(texts)), MIN_SHARE * len(texts))
    if not enough:  # paragraphs, a row each
        return _width_of("\n\n".join(texts), MIN_LINES_TOGETHER) or 0
    wrapped = sorted(filter(None, widths))
    return wrapped[len(wrapped) // 2] if len(wrapped) > MIN_FULL * len(widths) else 0


def join_wrapped(text: str, usual: int) -> str:
    """`text` with a line for each of its paragraphs, where it was broken at a column: the `usual` one of its
    table, where it is too short to tell."""
    text = text.replace("\r\n", "\n")
    width = _width_of(text)
    width = usual if width is None else width
    return "\n".join(line for block in _blocks(text) for line in _joined(block, width)) if width else text


def _width_of(text: str, min_lines: int = MIN_LINES) -> int | None:
    """The column at which a text was broken, 0 if it was not; None where there are too few lines."""
    steps = list(_steps(text.replace("\r\n", "\n")))
    if len(steps) < min_lines:
        return None
    width = _width(steps)
    full = sum(_is_full(line, following, width) for line, following in steps)
    return width if width in WIDTHS and full >= MIN_FULL * len(steps) else 0


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines without a blank one between them; a blank line, and each of a fenced block, is one by itself."""
    block: list[str] = []
    fenced = False
    for line in text.split("\n"):
        is_fence = bool(_FENCE.match(line))
        if fenced or is_fence or not line.strip():
            if block:
                yield block
                block = []
            yield [line]
            fenced ^= is_fence
        else:
            block.append(line)
    if block:
        yield block


def _steps(text: str) -> Iterator[tuple[str, str]]:
    """The lines that may go on in the next one, each with that."""
    for block in _blocks(text):
        yield from ((a, b) for a, b in pairwise(block) if _may_go_on(a, b))


def _may_go_on(line: str, following: str) -> bool:
    start, rest = _indent(line), following.lstrip()
    is_item = bool(_ITEM.match(line.lstrip()))
    if _ITEM.match(rest) or _OWN_LINE.match(rest) or _OWN_LINE.match(line.lstrip()) or _ENDS.match(line):
        return False
    return is_item or _indent(following) <= start


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _width(steps: Sequence[tuple[str, str]]) -> int:
    lengths = sorted(len(line.rstrip()) for line, _ in steps)
    return lengths[int((1 - WIDEST) * (len(lengths) - 1))] if lengths else 0


def _is_full(line: str, following: str, width: int) -> bool:
    word = following.split(maxsplit=1)[0]
    return len(line.rstrip()) + 1 + min(len(word), LONGEST_WORD) > width


def _joined(block: Sequence[str], width: int) -> list[str]:
    """The lines of a block, those that go on in the next one together with that."""
    steps = [(_may_go_on(a, b), _is_full(a, b, width), a, b) for a, b in pairwise(block)]
    tried = [is_full for may, is_full, _, _ in steps if may]
    if sum(tried) < MIN_FULL_HERE * len(tried) or not tried:
        return list(block)
    lines = [block[0]]
    for may, is_full, line, following in steps:
        goes_on = following.lstrip()[0].islower() and len(line.rstrip()) >= NEARLY * width
        if may and (is_full or goes_on):
            before = lines[-1].rstrip()
            lines[-1] = before + ("" if _WITHOUT_SPACES.search(before) else " ") + following.strip()
        else:
            lines.append(following)
    return lines
