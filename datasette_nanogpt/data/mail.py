"""Text as mail programs send it: quoted-printable bodies and encoded words in headers."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error

_EQUALS = re.compile(r"=")
_ENCODED = re.compile(r"=(?:[0-9A-F]{2}|[ \t]*(?:\r?\n|\Z))")
_SOFT_END = re.compile(r"=[ \t]*\r?\n|=\Z")
# A line is cut near 76 characters, at a space perhaps. Shorter ones end so in code: `options =`.
_CUT_LINE = re.compile(r"^.{50,}=[ \t]*\r?$", re.MULTILINE)
# UTF-8 of several bytes, or one byte beyond ASCII inside a word (Windows-1252 and its kin).
_LETTERS = re.compile(r"=[C-F][0-9A-F]=[89AB][0-9A-F]|=[89A-F][0-9A-F](?=[a-z])")
_BYTES = re.compile(r"(?:=[0-9A-F]{2})+")
_WORD = re.compile(r"(?<!`)=\?([\w.:-]+)(?:\*[\w-]*)?\?([QqBb])\?([^?\s]*)\?=(?!`)", re.ASCII)
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[\w.:-]+\?[QqBb]\?)", re.ASCII)


def is_quoted_printable(text: str) -> bool:
    """Whether `text` was left in its transfer encoding: every `=` in it is followed by two hexadecimal digits
    or ends a line, and some of these are line ends or letters beyond ASCII. Addresses and formulas have other
    ones."""
    equals = len(_EQUALS.findall(text))
    if not equals or len(_ENCODED.findall(text)) < equals:
        return False
    return bool(
        _LETTERS.search(text)
        or ("=3D" in text and _SOFT_END.search(text))
        or len(_CUT_LINE.findall(text)) > 1
    )


def decode_quoted_printable(text: str) -> str:
    """The text that was encoded. Bytes that are not UTF-8 are read as Windows-1252."""
    text = _SOFT_END.sub("", text)
    return _BYTES.sub(lambda run: decode_charset(bytes.fromhex(run[0].replace("=", "")), "utf-8"), text)


def decode_words(text: str) -> str:
    """`text` with every encoded word of RFC 2047 (`=?utf-8?Q?caf=C3=A9?=`) decoded.

    A word in backquotes is text about mail and stays.
    """
    return _WORD.sub(_decoded_word, _BETWEEN_WORDS.sub(r"\1", text)) if "=?" in text else text


def _decoded_word(word: re.Match[str]) -> str:
    charset, encoding, data = word.groups()
    if encoding in "Qq":
        data = data.replace("_", " ")
        return decode_charset(
            b"".join(
                bytes.fromhex(part[1:]) if re.fullmatch("=[0-9A-Fa-f]{2}", part) else part.encode()
                for part in re.findall("=[0-9A-Fa-f]{2}|[^=]+|=", data)
            ),
            charset,
        )
    try:
        return decode_charset(b64decode(data + "=" * (-len(data) % 4), validate=True), charset)
    except (Base64Error, ValueError):
        return word[0]


def decode_charset(data: bytes, charset: str) -> str:
    """Bytes as text, in UTF-8 or Windows-1252 where they are not in that charset."""
    for name in (charset, "utf-8", "cp1252"):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin1")
