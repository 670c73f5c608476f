"""Dates and times before the lines of a chat that is one text, as WhatsApp and programs of IRC export it."""

from __future__ import annotations

import re

MIN_LINES, MIN_FRACTION = 5, 0.4  # lines with a time and a name: others go on with the one before
MAX_NAMES = 0.5  # different names per such line: in a diary each line begins with something else
# What programs write where people have their names.
LOG_LEVELS = frozenset(
    [
        *("debug", "info", "information", "notice", "warn", "warning", "error", "err", "fatal", "critical"),
        *("trace", "verbose", "severe", "fine", "emergency", "alert"),
    ]
)
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"
_TIME = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[ \u202f\xa0]?[AaPp]\.?[Mm]\.?)?"
_MARKS = "[\u200e\u200f\u202a]*"  # of the direction of writing, which WhatsApp puts there
# `[01/03/21, 10:00:00] `, `01/03/2021, 10:00 - `, `2021-03-01 10:00:00 `, and `10:00 ` before `<ada>`
# `(?>`: the spaces after a time belong to it, or a line with a name would be taken for one without.
_STAMP = (
    rf"^{_MARKS}(?>\[(?:{_DATE},?[ T]{{1,3}})?{_TIME}\][ \t]*"
    rf"|{_DATE},?[ T]{{1,3}}{_TIME}(?:[ \t]+-[ \t]+|[ \t]+)|{_TIME}[ \t]+(?=<))"
)
_WHO = rf"{_MARKS}(?:<[ @+%&~]?(?P<nick>[^\s<>]{{1,30}})>|(?P<who>[^\n:<>\[\]]{{1,60}}):(?=[ \t]))"
_SAID = re.compile(_STAMP + rf"(?={_WHO})", re.MULTILINE)
_NOT_SAID = re.compile(_STAMP + rf"(?!{_WHO})[^\n]*(?:\n|\Z)", re.MULTILINE)


def has_chat_stamps(text: str) -> bool:
    """Whether many lines begin with a time and one of a few names."""
    text = text.replace("\r\n", "\n")
    names = [(said["nick"] or said["who"]).strip().lower() for said in _SAID.finditer(text)]
    lines = sum(bool(line.strip()) for line in text.split("\n"))
    if len(names) < max(MIN_LINES, MIN_FRACTION * lines) or not LOG_LEVELS.isdisjoint(names):
        return False
    return 1 < len({*names}) <= MAX_NAMES * len(names)


def without_chat_stamps(text: str) -> str:
    """`text` without these times, and without the lines that have a time and no name: who came and went."""
    return _SAID.sub("", _NOT_SAID.sub("", text.replace("\r\n", "\n")))
