"""Numbers with their nouns: "1 row", "2,000 rows"."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the singular or plural: "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
