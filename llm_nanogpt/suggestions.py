"""What somebody who misspelt a name may have meant."""

from __future__ import annotations

from collections.abc import Sequence

CLOSE = 0.6  # difflib's ratio: "entry" and "entries" have 0.67, "bodies" and "body" 0.6
BEGINNING = 3  # letters of the beginning of a name that may be meant: "temp" and "temperature" have 0.53


def closest(wrong: str, names: Sequence[str]) -> str | None:
    """The one of `names` that is most like a wrong name, whatever the case of letters, or the only one of
    which it is the beginning (`temp`); None if none is."""
    from difflib import get_close_matches  # takes 5 ms

    lower = {name.lower(): name for name in reversed(names)}
    near = get_close_matches(wrong.lower(), list(lower), 1, CLOSE)
    begun = [name for name in lower if len(wrong) >= BEGINNING and name.startswith(wrong.lower())]
    if len(begun) == 1:
        return lower[begun[0]]
    return lower[near[0]] if near else None


def did_you_mean(wrong: Sequence[str], names: Sequence[str]) -> str:
    """A sentence with a space before it, for the end of a message about these wrong names; "" where none of
    `names` is close to one."""
    meant = dict.fromkeys(near for each in wrong if (near := closest(each, names)))
    return f" Did you mean {' and '.join(meant)}?" if meant else ""
