"""Rewriting a text around its code, which stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable

# Fences, of which the last may be open, and code within a line.
MARKDOWN_CODE = re.compile(r"^[ >]*(```+|~~~+).*?(?:^[ >]*\1|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# What stands for a piece of code has its number, of ten digits from _ZERO on, between two ends, the first of
# _ENDS that the text lacks. Unicode keeps these characters for private use, and no font of icons has them, as
# fonts have those from U+E000. They are no letters, digits or spaces.
_ZERO, _ENDS = 0xF0000, range(0xF000A, 0xFFFFE)
_AS_DIGIT = {_ZERO + digit: str(digit) for digit in range(10)}


def fenced(found: re.Match[str], code: str, language: str = "") -> str:
    """Code of several lines between backticks, as markdown has it, on lines of its own in the text that it
    was found in, so that nothing takes its lines for those of a paragraph. Code within a line stays bare."""
    if "\n" not in code:
        return code
    text, fence = found.string, "````" if "```" in code else "```"
    before = "" if found.start() == 0 or text[found.start() - 1] == "\n" else "\n"
    after = "" if found.end() == len(text) or text[found.end()] == "\n" else "\n"
    return f"{before}{fence}{language}\n{code.strip(chr(10))}\n{fence}{after}"


def rewrite_around(
    code: re.Pattern[str],
    text: str,
    rewrite: Callable[[str], str],
    read_code: Callable[[re.Match[str]], str] = lambda found: found[0],
) -> str:
    """`text` as `rewrite` makes it, but for what `code` finds, of which `read_code` says how it is kept.

    `rewrite` gets the text in one piece, with something else in the places of code. If it got the pieces
    between code, each would seem to begin and end with a line, and signs around code would not be pairs.
    """
    kept: list[str] = []
    end = next(chr(number) for number in _ENDS if chr(number) not in text)
    places = re.compile(f"{end}([{chr(_ZERO)}-{chr(_ZERO + 9)}]+){end}")

    def take_out(found: re.Match[str]) -> str:
        kept.append(read_code(found))
        number = "".join(chr(_ZERO + int(digit)) for digit in str(len(kept) - 1))
        return f"{end}{number}{end}"

    def put_back(place: re.Match[str]) -> str:
        number = int(place[1].translate(_AS_DIGIT))
        return kept[number] if number < len(kept) else place[0]

    return places.sub(put_back, rewrite(code.sub(take_out, text)))
