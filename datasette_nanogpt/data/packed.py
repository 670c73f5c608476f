"""Values that are compressed or in another encoding: what to do about them."""

from __future__ import annotations

import base64
import bz2
import importlib
import lzma
import shlex
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .decode import NOT_UTF8, binary_kind, decode_bytes
from .sqlite import quote

TEXT_IN_BASE64 = "text in base64"
MIN_BASE64, MOSTLY_BASE64 = 5, 0.9  # values, and the fraction of them that must be text
PRINTABLE = 0.98  # the fraction of characters of text
LONG_ENOUGH = 30  # bytes: fewer may be text by chance
TRIED = 200  # values that are unpacked before a command is told that does it
MAX_UNPACKED = 100_000  # bytes of each
PLUGIN = "A plugin with the hook nanogpt_document can say what its text is."


class Packing(NamedTuple):
    """How compressed values begin, and the Python for `sqlite-utils convert` that unpacks one."""

    magic: str  # in hexadecimal
    expression: str
    module: str


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


UNPACKING = {
    "zlib-compressed": Packing("78", "zlib.decompress(value).decode()", "zlib"),
    "gzip-compressed": Packing("1F8B", "gzip.decompress(value).decode()", "gzip"),
    "bz2-compressed": Packing("425A68", "bz2.decompress(value).decode()", "bz2"),
    "xz-compressed": Packing("FD377A585A00", "lzma.decompress(value).decode()", "lzma"),
    "zstd-compressed": Packing(
        "28B52FFD",
        "zstandard.ZstdDecompressor().decompressobj().decompress(value).decode()",
        "zstandard",
    ),
}


def are_texts_in_base64(values: Sequence[str]) -> bool:
    """Whether nearly all values are base64 of text, by their beginnings."""
    values = values[:TRIED]
    read = sum(_is_text_in_base64(value) for value in values)
    return len(values) >= MIN_BASE64 and read >= MOSTLY_BASE64 * len(values)


def _is_text_in_base64(value: str) -> bool:
    letters = "".join(value.split())
    try:
        raw = base64.b64decode(letters[: len(letters) // 4 * 4], validate=True)
    except ValueError:
        return False
    # The sample may end within a character.
    text = raw.decode("utf-8", "ignore") if len(raw) > LONG_ENOUGH else ""
    signs = "".join(text.split())
    is_whole = len(text.encode()) >= len(raw) - 3 and sum(map(str.isprintable, signs)) >= PRINTABLE * len(
        signs
    )
    return bool(signs) and is_whole and not signs.startswith(("<svg", "<?xml"))  # a picture


def cure(what: str, database: str, table: str, column: str, values: Iterable[object]) -> str:
    """What to do about values that are `what`, as `decode_bytes` calls it: whole sentences. `values` are the
    beginnings of some; a command that unpacks them is told only if it gives text for all of these."""
    convert = ["sqlite-utils", "convert", database, table, column]
    if not "".join(convert).isprintable():  # nothing to type
        return PLUGIN
    if packing := UNPACKING.get(what):
        raw = [value for value in values if isinstance(value, bytes) and binary_kind(value) == what][:TRIED]
        inside = Counter(_inside(value, what) for value in raw)
        if packing.module in inside:
            return f"To see what is inside, `pip install {packing.module}` and try again."
        if list(inside) != [""]:
            kind = next((kind for kind, _ in inside.most_common() if kind), "")
            return f"Unpacked, it is {kind} and not text in UTF-8. {PLUGIN}" if kind else PLUGIN
        where = f"hex(substr({quote(column)}, 1, {len(packing.magic) // 2})) = '{packing.magic}'"
        command = [*convert, packing.expression, "--import", packing.module, "--where", where]
        return f"To unpack it, in a copy of the database, use `{shlex.join(command)}`."
    if what == TEXT_IN_BASE64:
        command = [*convert, "base64.b64decode(value).decode()", "--import", "base64"]
        return f"To decode it, in a copy of the database, use `{shlex.join(command)}`."
    if what == NOT_UTF8:  # a function of SQLite's gets no text that is not UTF-8, but a BLOB
        as_blob = f"update {quote(table)} set {quote(column)} = cast({quote(column)} as blob)"
        first = shlex.join(["sqlite-utils", database, as_blob])
        second = shlex.join([*convert, 'value.decode("ENCODING")'])
        return f"If you know its encoding, in a copy of the database, use `{first} && {second}`."
    return PLUGIN


def _inside(raw: bytes, what: str) -> str:
    """What a compressed value is once it is unpacked: "" for text in UTF-8, or the name of the module that it
    takes to tell."""
    try:
        unpacked = _unpacker(what).decompress(raw, MAX_UNPACKED)
    except ImportError:
        return UNPACKING[what].module
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
        return "damaged data"
    text, kind = decode_bytes(unpacked)
    return kind if text is None or kind else ""


def _unpacker(what: str) -> _Unpacker:
    """Raises ImportError where there is none."""
    if what == "bz2-compressed":
        return bz2.BZ2Decompressor()
    if what == "xz-compressed":
        return lzma.LZMADecompressor()
    if what == "zstd-compressed":
        return _Zstandard()
    return zlib.decompressobj(zlib.MAX_WBITS | (16 if what == "gzip-compressed" else 0))


class _Zstandard:
    def __init__(self) -> None:
        self._module = importlib.import_module("zstandard")

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        with self._module.ZstdDecompressor().stream_reader(data) as reader:
            return bytes(reader.read(max_length))
