"""`<|startoftext|>` and `<|endoftext|>` written into rows, as in text files for GPT-2, between documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_MARKER = re.compile(r"<\|(?:startoftext|endoftext|begin_of_text|end_of_text)\|>")
_RUN = re.compile(rf"{_MARKER.pattern}(?:\s*{_MARKER.pattern})*")
_START = re.compile(r"<\|(?:startoftext|begin_of_text)\|>\Z")
_QUOTES, _PUNCTUATION = frozenset("'\"()\u201c\u201d\u2018\u2019"), frozenset(",.;:)")
# Markers count as separators if at least this fraction of them stand between documents: text about markers
# has most of them inside sentences.
MIN_PLACED = 0.9
MIN_ROWS = 0.1  # and if at least this fraction of the rows have any


def has_markers(texts: Sequence[str]) -> bool:
    """Whether the markers in a column of `texts` separate documents, rather than being written about."""
    marked = [text for text in texts if _MARKER.search(text)]
    markers = sum(len(_MARKER.findall(text)) for text in marked)
    placed = sum(len(_MARKER.findall(run[0])) for text in marked for run in _separators(text))
    return markers > 0 and placed >= markers * MIN_PLACED and len(marked) >= len(texts) * MIN_ROWS


def split_at_markers(text: str) -> list[str]:
    """The documents between the markers of `text`; none of them is empty. Markers inside prose stay."""
    parts, start = [], 0
    for run in _separators(text):
        parts.append(text[start : run.start()])
        start = run.end()
    return [part for part in (*parts, text[start:]) if part.strip()]


def _separators(text: str) -> Iterator[re.Match[str]]:
    return (run for run in _RUN.finditer(text) if _is_separator(text, run))


def _is_separator(text: str, run: re.Match[str]) -> bool:
    """Whether markers stand where documents meet: at an end of the text, alone in their lines, or with no
    space to the text that they touch. In prose they have spaces, quotes or punctuation around them."""
    before, after = text[: run.start()], text[run.end() :]
    left, right = before[-1:], after[:1]
    opens = bool(_START.search(run[0]))
    begins_line = not before.rstrip(" \t") or before.rstrip(" \t").endswith("\n")
    if not after.strip() or (opens and (begins_line or run[0].count("<|") > 1)):
        return True
    if right in _PUNCTUATION or "`" in (left, right) or (left in _QUOTES and right in _QUOTES):
        return False
    ends_line = after.lstrip(" \t").startswith(("\n", "\r"))
    touches = (begins_line or not left.isspace()) and (ends_line or not right.isspace())
    return touches or not before.strip()
