"""Text that is still encoded: RTF, escapes, percent signs, and UTF-8 that was read as Windows-1252."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_RTF_DESTINATION = re.compile(
    r"\{\\(?:\*|fonttbl|colortbl|stylesheet|info|pict|header|footer|generator)(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
)
_RTF_WORD = re.compile(
    r"\\u(?P<unicode>-?\d{1,6}) ?(?:\\'[0-9a-fA-F]{2}|\?)?|\\'(?P<byte>[0-9a-fA-F]{2})"
    r"|\\(?P<line>par|line|sect|page)\b ?|\\(?P<sign>[\\{}\n~_-])|\\(?P<tab>tab)\b ?"
    r"|\\[a-zA-Z]{1,32}-?\d{0,10} ?|[{}\r\n]"
)
_SIGNS = {"\n": "\n", "~": "\xa0", "_": "-", "-": ""}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrt\"'/\\]))")
_ESCAPED = {"n": "\n", "r": "", "t": "\t"}
_PERCENT = re.compile(r"%[0-9A-F]{2}")
# A byte of UTF-8 from 0xC2 on as Windows-1252 has it, and the bytes that follow it.
_WRONG = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201a"
    "\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122\ufffd]{1,3}"
)


def is_rtf(text: str) -> bool:
    return text.lstrip()[:5] == "{\\rtf"


def read_rtf(text: str) -> str:
    """The text of RTF, without fonts, styles and pictures."""
    if not is_rtf(text):
        return text

    def shown(word: re.Match[str]) -> str:
        if word["unicode"]:
            return chr(int(word["unicode"]) % 65_536)
        if word["byte"]:
            return bytes.fromhex(word["byte"]).decode("cp1252", "replace")
        if word["sign"]:
            return _SIGNS.get(word["sign"], word["sign"])
        return "\n" if word["line"] else "\t" if word["tab"] else ""

    plain = _RTF_WORD.sub(shown, _RTF_DESTINATION.sub("", text))
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def is_percent_encoded(text: str) -> bool:
    """Whether `text` is as in the query of an address: without a space, and signs as %2C."""
    return not re.search(r"\s", text.strip()) and len(_PERCENT.findall(text)) > 2 and "://" not in text[:12]


def read_percent_encoded(text: str) -> str:
    return text if re.search(r"\s", text.strip()) else unquote_plus(text)


def is_escaped(text: str) -> bool:
    """Whether `text` has `\\n` for line breaks, as in JSON or SQL, and no line break."""
    return "\\n" in text and "\n" not in text


def read_escaped(text: str) -> str:
    def shown(escape: re.Match[str]) -> str:
        return chr(int(escape[1], 16)) if escape[1] else _ESCAPED.get(escape[2], escape[2])

    if "\n" in text:
        return text
    return _ESCAPE.sub(shown, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_wrongly_decoded(text: str) -> bool:
    """Whether `text` is UTF-8 that was read as Windows-1252: "cafÃ©"."""
    return any(read_wrongly_decoded(found[0]) != found[0] for found in _WRONG.finditer(text))


def read_wrongly_decoded(text: str) -> str:
    def shown(wrong: re.Match[str]) -> str:
        for end in range(len(wrong[0]), 1, -1):
            try:
                raw = b"".join(_byte(sign) for sign in wrong[0][:end])
                return raw.decode() + wrong[0][end:]
            except ValueError:
                continue
        return wrong[0]

    return _WRONG.sub(shown, text)


def _byte(sign: str) -> bytes:
    """The byte that was read as `sign`; Windows-1252 has no sign for five bytes."""
    try:
        return sign.encode("cp1252")
    except UnicodeEncodeError:
        return sign.encode("latin-1")
