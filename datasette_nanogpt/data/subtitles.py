"""What is spoken or sung in subtitles and synchronised lyrics, without their times.

SRT, WebVTT and SBV have a line with two times above each caption, ASS and SSA a line with fields for each,
LRC a time before each line of a song. The captions of YouTube are XML.
"""

from __future__ import annotations

import re
from html import unescape

_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_CUE = re.compile(rf"^[ \t]*{_TIME}(?:[ \t]*-->[ \t]*|,){_TIME}[^\n]*$", re.MULTILINE)
_CUE_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>|<[\d:.]+>|\{\\[^{}\n]*\}")
_VOICE = re.compile(r"<v(?:\.[\w.]+)?[ \t]+([^<>\n]+)>")  # WebVTT's, with who speaks
_NOTES = re.compile("[\u2669-\u266c]")  # around what is sung
_LONGEST_CREDIT = 150  # characters
# Lines in which somebody says where the subtitles come from.
_CREDIT = re.compile(
    r"\W*(?:(?:downloaded from|subtitles? (?:by|from)|subtitled by|captions? by|captioned by"
    r"|(?:re-?)?sync(?:ed|hroni[sz]ed)?(?: (?:and|&) corrected)? by|untertitel (?:von|der)|sous-titres? par"
    r"|sottotitoli (?:di|a cura)|subtítulos (?:por|de)|legendas (?:por|de)) .*"
    r"|.*\b(?:opensubtitles|addic7ed|amara|subscene|podnapisi|yifysubtitles|tvsubtitles)\.(?:org|com|net)\b.*)",
    re.IGNORECASE,
)
_CUE_NUMBER = re.compile(r"\d+")
_VTT_HEADER = re.compile(r"\s*WEBVTT|NOTE\b|STYLE\b|REGION\b")
# Nine fields, of which the second and third are times, and the text.
_ASS = re.compile(
    r"^Dialogue:[^,\n]*,\s*\d+:\d\d:\d\d\.\d\d,\s*\d+:\d\d:\d\d\.\d\d,(?:[^,\n]*,){6}(.*)$", re.MULTILINE
)
_ASS_BREAK = re.compile(r"\\[Nn]")
_LRC = re.compile(r"^[ \t]*(?:\[\d{1,3}:\d\d\.\d{2,3}\][ \t]*)+", re.MULTILINE)
_LRC_HEADER = re.compile(r"^\[[a-z#]{1,6}:[^\]\n]*\]$", re.MULTILINE)  # [ar:...], [length:...]
_XML_CUE = re.compile(
    r"<(text|p)\s[^<>]*\b(?:start|t)=\"[\d.]+\"[^<>]*\b(?:dur|d)=\"[\d.]+\"[^<>]*>([^<>]*)</\1>"
)
MIN_CUES = 3  # with fewer lines that begin with a time, or fewer tags, text may be about them


def is_subtitles(text: str) -> bool:
    return bool(_CUE.search(text) or _ASS.search(text)) or any(
        len(cue.findall(text)) >= MIN_CUES for cue in (_LRC, _XML_CUE)
    )


def has_signs(text: str) -> bool:
    """Whether one cue has what players read and nobody says: `<i>`, `{\\an8}`, notes."""
    return bool(_CUE_TAG.search(text) or _NOTES.search(text))


def read_subtitles(text: str) -> str:
    """The lines that are spoken; those that a caption repeats as it scrolls stand once."""
    text = _with_voices(text.replace("\r\n", "\n"))
    if _ASS.search(text):
        text = "\n".join(_ASS_BREAK.sub("\n", line.replace("\\h", " ")) for line in _ASS.findall(text))
    elif _LRC.search(text):
        return _CUE_TAG.sub("", _LRC.sub("", _LRC_HEADER.sub("", text))).strip("\n")
    elif captions := _XML_CUE.findall(text):
        text = "\n".join(unescape(caption) for _, caption in captions)
    else:
        text = "\n".join(_captions(text))
    lines: list[str] = []
    for line in (_line(line) for line in text.split("\n")):
        if line and line not in lines[-2:]:
            lines.append(line)
    return "\n".join(lines)


def read_cue(text: str) -> str:
    """What is spoken in one cue, "" where it only says where the subtitles come from."""
    text = _with_voices(text.replace("\r\n", "\n"))
    return "\n".join(map(_line, text.split("\n"))).strip("\n")


def _with_voices(text: str) -> str:
    """The text with the name of who speaks before the first line of each."""
    last = ""

    def name(voice: re.Match[str]) -> str:
        nonlocal last
        before, last = last, voice[1].strip()
        return "" if before == last else f"{last}: "

    return _VOICE.sub(name, text)


def _line(line: str) -> str:
    """A line without tags and notes; not one of those who made the subtitles."""
    line = _NOTES.sub("", unescape(_CUE_TAG.sub("", line)).strip()).strip()
    return "" if len(line) <= _LONGEST_CREDIT and _CREDIT.fullmatch(line) else line


def _captions(text: str) -> list[str]:
    """The lines below times, and those of blocks without any time."""
    kept: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text):
        cues = list(_CUE.finditer(block))
        if cues:
            kept += block[cues[0].end() :].split("\n")
        elif not _VTT_HEADER.match(block) and not _CUE_NUMBER.fullmatch(block.strip()):
            kept += block.split("\n")
    return [line for line in kept if not _CUE.match(line)]
