"""The text of a note as Apple's Notes keeps it (`ZDATA` of ZICNOTEDATA): gzip around Protocol Buffers.

Its text is the string in field 2 of field 3 of field 2; the rest is how it looks. Locked ones are encrypted.
"""

from __future__ import annotations

import zlib

APPLE_NOTES = "the format of Apple's Notes"
_GZIP = b"\x1f\x8b"
_PATH = (2, 3, 2)  # the numbers of the fields, each within the one before
_HEAD = 200  # bytes: the fields before the text are short
_MAX_SIZE = 64 << 20  # bytes that are unpacked
_ATTACHMENT = "\ufffc"  # stands in the text for a picture, a table or a drawing
_VARINT, _INT64, _BYTES, _INT32 = 0, 1, 2, 5  # types of fields


def read_note(raw: bytes) -> str | None:
    """The text of a note, as far as `raw` has it; None where it is none."""
    if not raw.startswith(_GZIP) or _find_text(_unpack(raw, _HEAD)) is None:
        return None
    unpacked = _unpack(raw, _MAX_SIZE)
    found = _find_text(unpacked)
    if not found:
        return None
    start, end = found
    try:
        text = unpacked[start:end].decode("utf-8", "strict" if end <= len(unpacked) else "ignore")
    except UnicodeDecodeError:
        return None
    return text.replace(_ATTACHMENT, "")


def _unpack(raw: bytes, size: int) -> bytes:
    """The first `size` bytes that are packed in `raw`, of which the end may be missing."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, size)
    except zlib.error:
        return b""


def _find_text(raw: bytes) -> tuple[int, int] | None:
    """Where the text begins and ends, which may be after the end of `raw`."""
    start, end = 0, len(raw)
    for number in _PATH:
        field = _find_field(raw, start, min(end, len(raw)), number)
        if field is None:
            return None
        start, end = field
    return start, end


def _find_field(raw: bytes, at: int, end: int, number: int) -> tuple[int, int] | None:
    """Where the first field of bytes with that number begins and ends, among those from `at` to `end`."""
    while at < end:
        tag, at = _varint(raw, at)
        kind = tag & 7
        size = 0
        if kind == _VARINT:
            _, at = _varint(raw, at)
        elif kind == _BYTES:
            size, at = _varint(raw, at)
            if tag >> 3 == number:
                return at, at + size
        elif kind in (_INT64, _INT32):
            size = 8 if kind == _INT64 else 4
        else:
            return None
        at += size
    return None


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, seven bits in a byte, and where it ends."""
    value = shift = 0
    while at < len(raw):
        value |= (raw[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if raw[at - 1] < 0x80:
            break
    return value, at
