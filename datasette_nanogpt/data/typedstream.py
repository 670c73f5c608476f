"""The text in a typedstream, in which Apple's Messages keeps what a message says (`attributedBody`).

It is the serialized form of an NSAttributedString: a header, the names of classes, the string, and then its
attributes. The string comes first, so only the part up to its end is read.
"""

from __future__ import annotations

TYPEDSTREAM = "an Apple typedstream"
_HEADER = b"\x04\x0bstreamtyped"
_STRING_CLASS, _STRING_TYPE = b"NSString", b"\x01+"  # the class of the text, and the type of what follows
_MAX_CLASS_BYTES = 64  # between the two: versions of classes and numbers of those that came before
_INT16, _INT32 = 0x81, 0x82  # instead of a length of one byte: it follows in two bytes or in four
_ATTACHMENT = "\ufffc"  # stands in the text for a picture


def is_typedstream(raw: bytes) -> bool:
    return raw.startswith(_HEADER)


def read_typedstream(raw: bytes) -> str | None:
    """The text of the first string, as far as `raw` has it; None where there is no string."""
    at = raw.find(_STRING_CLASS)
    start = raw.find(_STRING_TYPE, at, at + _MAX_CLASS_BYTES) + len(_STRING_TYPE)
    if at < 0 or start < len(_STRING_TYPE) or start >= len(raw):
        return None
    size, width = raw[start], 0
    if size in (_INT16, _INT32):
        width = 2 if size == _INT16 else 4
        size = int.from_bytes(raw[start + 1 : start + 1 + width], "little")
    text = raw[start + 1 + width :][:size]
    return text.decode("utf-8", "ignore").replace(_ATTACHMENT, "")
