"""What somebody who misspelt a name may have meant."""

from __future__ import annotations

from collections.abc import Sequence

CLOSE = 0.6  # difflib's ratio: "entry" and "entries" have 0.67, "bodies" and "body" 0.6


def closest(wrong: str, names: Sequence[str]) -> str | None:
    """The one of `names` that is most like a wrong name, whatever the case of letters; None if none is."""
    from difflib import get_close_matches  # takes 5 ms

    lower = {name.lower(): name for name in reversed(names)}
    near = get_close_matches(wrong.lower(), list(lower), 1, CLOSE)
    return lower[near[0]] if near else None


def did_you_mean(wrong: Sequence[str], names: Sequence[str]) -> str:
    """A sentence with a space before it, for the end of a message about these wrong names; "" where none of
    `names` is close to one."""
    meant = dict.fromkeys(near for each in wrong if (near := closest(each, names)))
    return f" Did you mean {' and '.join(meant)}?" if meant else ""
