"""Bytes of a database as text (UTF-8, marked UTF-16, Windows-1252, Apple's own), or what else they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from .apple_notes import APPLE_NOTES, read_note
from .chat_phrases import MARK, OMITTED
from .typedstream import TYPEDSTREAM, is_typedstream, read_typedstream

WINDOWS_1252 = "Windows-1252"
# The largest fraction of bytes above 127 in Windows-1252 text: its languages have accents on few letters.
MAX_HIGH_BYTES = 0.3
ENCODED_VALUES = 200  # how many values that are not UTF-8 decide the encoding of a column
MAX_CONTROLS = 0.02  # the largest fraction of control characters in text

# How the bytes begin -> what they are. UNPACKING in packed.py says how to unpack what is compressed.
_MAGIC = (
    (b"\x1f\x8b", "gzip-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"\xfd7zXZ\0", "xz-compressed"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a ZIP, Office or EPUB file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"bplist00", "a property list"),
    (b"\x80\x04\x95", "a Python pickle"),
)
# What programs write where there is nothing (pandas, exports of MySQL, spreadsheets, Reddit, JSON without any
# element), what people write into a form that wants something, and pictures in an export of a chat.
NOTHING = frozenset(
    [
        *("nan", "NaN", "NULL", "None", "null", "\\N", "<NA>", "#N/A", "[deleted]", "[removed]", "[]", "{}"),
        *("-", "--", "\u2013", "\u2014", "n/a", "N/A", "NA", "n.a.", "none", "NONE"),
        "\ufffc",  # where a picture stands that is kept elsewhere
        *(f"{mark}{omitted}" for mark in ("", MARK) for omitted in OMITTED),
    ]
)
NOT_UTF8 = "not UTF-8"
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")
# In a text that was written in another 8-bit encoding, signs stand in the middle of words.
_SIGN_IN_WORD = re.compile(
    "[A-Za-z][\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u201a\u201e\u2020\u2021\u20ac\u2122][A-Za-z]"
)
# UTF-8 read as Windows-1252: part of the bytes are UTF-8, so the rest was damaged.
_MULTI_BYTE = re.compile(rb"[\xc3-\xef][\x80-\xbf]")


class Decoded(NamedTuple):
    """A text, and the encoding where it is not UTF-8; or no text, and what the bytes are instead."""

    text: str | None
    what: str = ""


def decode_bytes(raw: bytes, encoding: str = "") -> Decoded:
    """Bytes as text where they are text, whether SQLite calls them TEXT or BLOB. Never fails.

    `encoding` is what `encoding_of` says of the column; with "" each value decides for itself.
    """
    if kind := binary_kind(raw):
        note = read_note(raw)
        return Decoded(None, kind) if note is None else Decoded(note, APPLE_NOTES)
    if is_typedstream(raw):
        return Decoded(read_typedstream(raw), TYPEDSTREAM)
    try:
        return _without_controls(raw.decode("utf-8-sig"), raw)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and _is_cut(raw, error.start):
            return _without_controls(raw[: error.start].decode("utf-8-sig"), raw)
    if text := _with_surrogates(raw):
        return _without_controls(text, raw)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Decoded(raw[: len(raw) // 2 * 2].decode("utf-16", "replace"), "UTF-16")
    many = MAX_HIGH_BYTES if not encoding else 1  # "où", alone, has more than others
    if encoding != NOT_UTF8 and (text := _windows_1252(raw, many)):
        return Decoded(text, WINDOWS_1252)
    return Decoded(None, NOT_UTF8 if not _CONTROL.search(raw.decode("latin-1")) else "binary")


def as_text(value: object) -> str:
    """A value as the table has it, "" for none and for bytes that are no text."""
    if isinstance(value, bytes):
        return decode_bytes(value).text or ""
    return "" if value is None else str(value)


def _with_surrogates(raw: bytes) -> str | None:
    """The text of bytes with halves of characters of UTF-16, for which UTF-8 has no place, as some programs
    write them: two that go together are one character (CESU-8), others are U+FFFD. None for other bytes."""
    try:
        halves = raw.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encoding_of(values: Iterable[object]) -> str:
    """How the values of a column that are not UTF-8 are read, by the first ENCODED_VALUES of them: "" where
    all are UTF-8, Windows-1252 where that makes sense of all others, else NOT_UTF8, and they are skipped.

    A few words in another encoding make sense in Windows-1252 by chance; the rest of the column shows it.
    """
    raw = (value for value in values if isinstance(value, bytes))
    others = list(islice((v for v in raw if decode_bytes(v, NOT_UTF8).what == NOT_UTF8), ENCODED_VALUES))
    if not others:
        return ""
    return WINDOWS_1252 if _windows_1252(b"\n".join(others), MAX_HIGH_BYTES) else NOT_UTF8


def _is_cut(raw: bytes, start: int) -> bool:
    """Whether what begins at `start`, near the end, is half of a character rather than a last letter in
    Windows-1252, as the é of `caf\\xe9` is: some bytes hardly ever end a text."""
    return not raw[:start].isascii() or len(raw) - start > 1 or raw[start] in b"\xc2\xc3\xe2"


def _without_controls(text: str, raw: bytes) -> Decoded:
    text = text.rstrip("\0")
    if "\0" in text or len(_CONTROL.findall(text)) > MAX_CONTROLS * len(text) or (raw and not text):
        return Decoded(None, "binary")
    return Decoded(text)


def binary_kind(raw: bytes) -> str:
    """What bytes with a known beginning are; "" for others."""
    if kind := next((kind for magic, kind in _MAGIC if raw.startswith(magic)), ""):
        return kind
    if re.match(rb"BZh[1-9]1AY&SY", raw):
        return "bz2-compressed"
    if raw[:4] == b"RIFF":
        return "an image or sound in RIFF"
    if raw[4:8] == b"ftyp":
        return "a video or a HEIC image"
    # zlib has no magic number: these are the headers of its levels. "x^" may begin a text, too.
    is_zlib = len(raw) > 2 and raw[0] == 0x78 and raw[1] in (0x01, 0x5E, 0x9C, 0xDA)
    return "zlib-compressed" if is_zlib and _HIGH.search(raw[2:12]) else ""


def _windows_1252(raw: bytes, max_high: float) -> str | None:
    """The text of bytes that make sense in Windows-1252, else None. At most the fraction `max_high` of them
    are not ASCII."""
    if _MULTI_BYTE.search(raw) or len(_HIGH.findall(raw)) > max_high * len(raw):
        return None
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) or _SIGN_IN_WORD.search(text) else text
