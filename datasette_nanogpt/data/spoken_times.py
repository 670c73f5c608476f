"""Times in the transcript of a recording, at which what follows was said: before a line, or after a name."""

from __future__ import annotations

import re
from itertools import pairwise

MIN_TIMES = 5  # in a text
MIN_LINES = 0.2  # the fraction of the lines that have a time
LATEST_START = 120  # seconds from the start of a recording to what is said first; a timetable begins later
MIN_RISING = 0.9  # the fraction of the times that are later than the one before
_TIME = r"(?P<{}>(?:\d{{1,2}}:)?\d{{1,2}}:\d{{2}})(?:[.,]\d{{1,3}})?"
_NAME = r"(?P<{}>[^\W\d_][^\n\[\](){{}}:]{{0,59}}?)"
# `[00:01:02] `, `1:02 - `, `00:01:02` alone on its line; `Ada (00:01:02): `; `Ada [1:02]` and `Ada 1:02`
# above what is said.
_SPOKEN = re.compile(
    rf"^[ \t]*(?:[\[(]?{_TIME.format('before')}[\])]?(?:[ \t]*[-\u2013\u2014|:][ \t]+|[ \t]+|[ \t]*(?:\n|\Z))"
    rf"|{_NAME.format('who')}[ \t]*[\[(]{_TIME.format('after')}[\])][ \t]*:?[ \t]*\n?"
    rf"|{_NAME.format('above')}[ \t,]+{_TIME.format('behind')}[ \t]*:?[ \t]*(?:\n|\Z))",
    re.MULTILINE,
)


def has_spoken_times(text: str) -> bool:
    """Whether many lines begin with times that rise from the start of a recording on."""
    text = text.replace("\r\n", "\n")
    times = [_seconds(spoken) for spoken in _SPOKEN.finditer(text)]
    lines = sum(bool(line.strip()) for line in text.split("\n"))
    if len(times) < max(MIN_TIMES, MIN_LINES * lines) or times[0] > LATEST_START:
        return False
    return sum(a <= b for a, b in pairwise(times)) >= MIN_RISING * (len(times) - 1)


def without_spoken_times(text: str) -> str:
    """`text` without these times, and with who speaks before what is said."""

    def name(spoken: re.Match[str]) -> str:
        who = spoken["who"] or spoken["above"]
        return f"{who.strip(' ,')}: " if who else ""

    return _SPOKEN.sub(name, text.replace("\r\n", "\n"))


def _seconds(spoken: re.Match[str]) -> int:
    seconds = 0
    for part in (spoken["before"] or spoken["after"] or spoken["behind"]).split(":"):
        seconds = 60 * seconds + int(part)
    return seconds
