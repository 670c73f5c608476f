"""Words: runs of letters with their marks and digits, in any script, compared without regard to case."""

from __future__ import annotations

import regex

# Scripts that put no spaces between words: each of their characters, with its marks, counts as a word.
SPACELESS = "".join(
    rf"\p{{Script={name}}}" for name in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
)
LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{SPACELESS}]]"
APOSTROPHE = "['\N{RIGHT SINGLE QUOTATION MARK}]"
WORD = regex.compile(rf"(?V1){LETTER}+(?:{APOSTROPHE}{LETTER}+)*|[{SPACELESS}]\p{{M}}*")


def words(text: str) -> list[str]:
    """The words of `text`, case folded: "Ada's 2 Bären" has "ada's", "2" and "bären"."""
    return [word.casefold() for word in WORD.findall(text)]
