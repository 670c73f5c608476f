"""Dates and times before the lines of a chat that is one text, as WhatsApp, LINE, KakaoTalk and programs of
IRC export it, or of which each row has a line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .chat_phrases import MARK, pattern_of, without_placeholders

MIN_LINES, MIN_FRACTION = 5, 0.4  # lines with a time and a name: others go on with the one before
MAX_NAMES = 0.5  # different names per such line: in a diary each line begins with something else
ONE_LINE = 0.9  # the fraction of the texts that must be one line, if each row has a line of a chat
START = 200  # characters of each line are enough
# What programs write where people have their names.
LOG_LEVELS = frozenset(
    [
        *("debug", "info", "information", "notice", "warn", "warning", "error", "err", "fatal", "critical"),
        *("trace", "verbose", "severe", "fine", "emergency", "alert"),
    ]
)
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"
_TIME = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[ \u202f\xa0]?[AaPp]\.?[ \xa0]?[Mm]\.?)?"
_MARKS = "[\u200e\u200f\u202a]*"  # of the direction of writing, which WhatsApp puts there
# `[01/03/21, 10:00:00] `, `01/03/2021, 10:00 - `, `2021-03-01 10:00:00 `, and `10:00 ` before `<ada>`
# `(?>`: the spaces after a time belong to it, or a line with a name would be taken for one without.
_STAMP = (
    rf"^{_MARKS}(?>\[(?:{_DATE},?[ T]{{1,3}})?{_TIME}\][ \t]*"
    rf"|{_DATE},?[ T]{{1,3}}{_TIME}(?:[ \t]+-[ \t]+|[ \t]+)|{_TIME}[ \t]+(?=<))"
)
_WHO = rf"{_MARKS}(?:<[ @+%&~]?(?P<nick>[^\s<>]{{1,30}})>|(?P<who>[^\n:<>\[\]]{{1,60}}):(?=[ \t]|$))"
_SAID = re.compile(_STAMP + rf"(?={_WHO})", re.MULTILINE)
_NOT_SAID = re.compile(_STAMP + rf"(?!{_WHO})[^\n]*(?:\n|\Z)", re.MULTILINE)
_SAYS = re.compile(_STAMP + _WHO + r"[ \t]*(?P<said>[^\n]+)", re.MULTILINE)
_SAYS_NOTHING = re.compile(_STAMP + _WHO + rf"[ \t]*(?:\n(?={_STAMP})|\n?\Z)", re.MULTILINE)
_SAYS_BELOW = re.compile(rf"({_STAMP}{_WHO})[ \t]*\n", re.MULTILINE)
# LINE: `10:00`, a tab, who, a tab, and what was said, with lines of dates between them.
# KakaoTalk: `[Ada] [오후 3:00] `, and `2021년 3월 1일 오후 3:00, Ada : `.
_DAY = r"\d{1,2}:\d{2}(?:[ \xa0]?[AaPp][Mm])?"
_KOREAN_TIME = rf"(?:(?:오전|오후)[ ]?)?{_DAY}"
_TO_SAY = (
    rf"^(?:(?:(?:오전|오후|午前|午後|上午|下午)[ ]?)?{_DAY}\t(?P<line>[^\t\n]{{1,60}})\t[ ]?"
    rf"|\[(?P<kakao>[^\[\]\n]{{1,60}})\] \[{_KOREAN_TIME}\][ ]"
    rf"|\d{{4}}년 \d{{1,2}}월 \d{{1,2}}일 {_KOREAN_TIME}, (?P<phone>[^\n:]{{1,60}}) : )"
)
_WITH_TABS = re.compile(_TO_SAY, re.MULTILINE)
_PICTURE = "Sticker|Photo|Video|File|이모티콘|스티커|사진|동영상|파일|スタンプ|写真|動画|貼圖|照片|影片"
_PICTURE_ALONE = re.compile(rf"{_TO_SAY}\[?(?:{_PICTURE})\]?[ \t]*(?:\n|\Z)", re.MULTILINE)
_DAYS = re.compile(
    rf"^\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}[ ]?(?:\(\w{{1,9}}\)|\w{{1,9}})?[ \t]*(?:\n|\Z)"
    rf"|^(?:-{{5,}}[ ])?\d{{4}}년 \d{{1,2}}월 \d{{1,2}}일[^\n:]{{0,12}}(?:[ ]-{{5,}})?[ \t]*(?:\n|\Z)"
    rf"|^\[LINE\][^\n]*\n(?:[^\n]*{_DAY}[^\n]*\n)?|^(?:Saved on|저장한 날짜|保存日時)[^\n]{{0,40}}\n",
    re.MULTILINE,
)


def has_chat_stamps(text: str) -> bool:
    """Whether many lines begin with a time and one of a few names."""
    text = text.replace("\r\n", "\n")
    names = [(said["nick"] or said["who"]).strip().lower() for said in _SAID.finditer(text)]
    names = names or [_name(said).strip().lower() for said in _WITH_TABS.finditer(text)]
    lines = sum(bool(line.strip()) for line in text.split("\n"))
    if len(names) < max(MIN_LINES, MIN_FRACTION * lines) or not LOG_LEVELS.isdisjoint(names):
        return False
    return 1 < len({*names}) <= MAX_NAMES * len(names)


def are_lines_of_a_chat(texts: Sequence[str]) -> bool:
    """Whether texts are lines of a chat, one each."""
    lines = sum("\n" not in text.strip() for text in texts)
    return lines >= ONE_LINE * len(texts) and has_chat_stamps(
        "\n".join(text.strip()[:START] for text in texts)
    )


def without_chat_stamps(text: str) -> str:
    """`text` without these times, and without the lines that have a time and no name, who came and went,
    those that a program wrote, and those that had only a picture."""
    text = text.replace("\r\n", "\n")
    if _WITH_TABS.search(text):
        return _WITH_TABS.sub(lambda said: f"{_name(said)}: ", _PICTURE_ALONE.sub("", _DAYS.sub("", text)))
    text = _SAYS_NOTHING.sub("", _SAYS.sub(_without_program, text))
    return _SAID.sub("", _NOT_SAID.sub("", _SAYS_BELOW.sub(r"\1 ", text)))


def _without_program(line: re.Match[str]) -> str:
    """A line without what a program said, and without what stands for a picture."""
    said = without_placeholders(line["said"])
    is_of_program = pattern_of(said.strip().lstrip(MARK))
    return line.string[line.start() : line.start("said")] + ("" if is_of_program else said)


def _name(said: re.Match[str]) -> str:
    return next(name for name in said.groupdict().values() if name is not None)
