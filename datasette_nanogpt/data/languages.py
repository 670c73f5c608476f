"""Rows in several languages, of which a model would write a mixture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .column_names import LANGUAGES, words_of
from .exclusions import MIN_FRACTION, Exclusion, exclusion
from .source import Source
from .sqlite import quote

MAX_MAIN = 0.9  # of the rows may be in one language without a remark: the others are quotations, say
MAX_TOLD = 4  # languages
_NAMES_OF_COLUMNS = """
lang language langcode locale sprache langue idioma lingua taal sprak jezyk язык мова 言語 语言 語言 언어
"""
_NAMES = frozenset(_NAMES_OF_COLUMNS.split())
_OF_OTHERS = frozenset(["original", "source", "native", "target", "programming", "interface", "ui", "user"])
_REGION = re.compile(r"[-_][A-Za-z0-9]{2,8}")  # en-GB, zh_Hans


def several_languages(source: Source, of: str) -> Iterator[Exclusion]:
    """A sentence about them, with the option that reads the most common language alone."""
    for column in source.columns:
        words = frozenset(words_of(column))
        if column in source.text_columns or not words & _NAMES or words & _OF_OTHERS:
            continue
        values = [row[column] for row in source.sample]
        counts = Counter(value for value in values if isinstance(value, str) and value)
        rows = counts.total()
        if not rows or not all(_REGION.sub("", value).casefold() in LANGUAGES for value in counts):
            continue
        often = [(name, n) for name, n in counts.most_common() if n > MIN_FRACTION * rows]
        often = often or counts.most_common()  # so many languages that each has few rows
        main, most = often[0]
        if len({_REGION.sub("", name) for name, _ in often}) < 2 or most > MAX_MAIN * rows:
            continue
        told = ", ".join(f"{name} in {n:,}" for name, n in often[:MAX_TOLD])
        more = f" and {len(often) - MAX_TOLD} more" if len(often) > MAX_TOLD else ""
        yield exclusion(
            source,
            f"The {of} are in {len(often)} languages ({column}: {told}{more}): the model would mix them. "
            "To train on one",
            f"{quote(column)} = '{main}'",
        )
        return
