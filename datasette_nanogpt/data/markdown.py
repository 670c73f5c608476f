"""What stands in markdown and is not shown, or is no text: comments, and pictures alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Code, in which a comment is what is written about, and comments. As wide as a template for an issue is long.
_CODE_OR_COMMENT = re.compile(
    r"^[ >]*(?P<fence>```+|~~~+).*?(?:^[ >]*(?P=fence)|\Z)|`[^`\n]+`|^(?: {4}|\t)[^\n]*"
    r"|(?P<comment>(?:(?P<line>^ {0,3})|(?<=[\])]))<!--.{0,5000}?-->(?(line)[ \t]*(?P<after>\n*)))",
    re.MULTILINE | re.DOTALL,
)
_PICTURE = r"!\[[^\[\]\n]*\]\([^()\n]*\)|!\[\[[^\[\]\n]+\]\]"
_PICTURES = re.compile(rf"\s*(?:(?:{_PICTURE}|\[(?:{_PICTURE})\]\([^()\n]*\))\s*)+")
MIN_FRACTION = 0.02  # of the texts must have a comment: one in code, now and then, is what the code writes


def has_comments(texts: Sequence[str], at_the_start: bool = False) -> bool:
    """Whether enough of the texts have one, but for code. `at_the_start`: only above a text, where few texts
    have anything else of markdown."""
    found = (text for text in texts if not at_the_start or text.lstrip().startswith("<!--"))
    count = sum("-->" in text and without_comments(text) != text for text in found)
    return count > MIN_FRACTION * len(texts)


def without_comments(text: str) -> str:
    """`text` without `<!-- ... -->` on lines of their own and behind links, where programs put them."""
    if "-->" not in text:
        return text
    left = _CODE_OR_COMMENT.sub(_without, text)
    return text if left == text else left.strip("\n")


def _without(found: re.Match[str]) -> str:
    """Code as it is; of a comment on lines of its own the blank lines below it, if none are above."""
    if not found["comment"]:
        return found[0]
    is_below_blank = not found.start() or found.string.endswith("\n\n", 0, found.start())
    return "" if is_below_blank else (found["after"] or "")[1:]


def are_pictures(text: str) -> bool:
    """Whether there is nothing in `text` but pictures."""
    return text.lstrip().startswith(("![", "[![")) and bool(_PICTURES.fullmatch(text))
