"""Verses of the Bible without Strong's numbers, which stand behind their words, and without notes."""

from __future__ import annotations

import re

# `<S>7225</S>` as MyBible has them, `{H7225}`, `{(H8804)}`, `[G3056]`, `<H7225>`.
_NUMBER = re.compile(r"[ \t]*<S>\d+</S>|[ \t]*(?:\{\(?|\[|<W?)[HG]\d{1,5}[a-z]?(?:\)?\}|\]|>)", re.ASCII)
MIN_NUMBERS = 3  # in a verse
_NOTE = re.compile(r"<(f|m|n|h)>[^<>]*</\1>")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>")


def has_strongs_numbers(text: str) -> bool:
    return len(_NUMBER.findall(text)) >= MIN_NUMBERS


def without_strongs_numbers(text: str) -> str:
    return _TAG.sub("", _NOTE.sub("", _NUMBER.sub("", text))).strip()
