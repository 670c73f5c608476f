"""Compressed values: notes of Apple's are read, and a command that unpacks others has been tried on them."""

import bz2
import gzip
import lzma
import os
import sqlite3
import zlib

import pytest
from conftest import convert_as_told

from datasette_nanogpt.data.apple_notes import APPLE_NOTES
from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.decode import decode_bytes
from datasette_nanogpt.data.open_source import open_source

LOCKED = b"\x9c\xfe\x01\x00\x93\x80" * 40


def prose(i):
    return f"Note {i}\nNumber {i}: we meet at the old mill — beside the river, {'or bread ' * (i % 9)}please."


def varint(n):
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + varint(n >> 7)


def field(number, raw):
    return bytes([number << 3 | 2]) + varint(len(raw)) + raw


def note(text):
    style = field(5, b"\x08\x05\x12\x04\x08\x00\x10\x00")
    inner = b"\x08\x00\x10\x00" + field(3, field(2, text.encode()) + style * 3)
    return gzip.compress(b"\x08\x00" + field(2, inner))


def table(path, values):
    with sqlite3.connect(path) as db:
        db.execute("create table t (id integer primary key, data)")
        db.executemany("insert into t (data) values (?)", [(value,) for value in values])
    return str(path)


@pytest.mark.parametrize("text", ["ok", "Grüße 👍🏽\nMorgen", "a" * 127, "ü" * 64, "b c " * 50_000])
def test_the_text_of_a_note_is_read(text):
    assert decode_bytes(note(text)) == (text, APPLE_NOTES)
    cut = note(os.urandom(9000).hex() + "ä")[:5000]
    assert len(decode_bytes(cut).text) > 5000


def test_pictures_in_a_note_leave_no_sign():
    assert decode_bytes(note("Look\ufffc")).text == "Look"


@pytest.mark.parametrize(
    "inside", [b"", b"Plain text \x12", bytes(range(256)), b"\x12\xff\xff", b"\x12\x03\x1a\x01"]
)
def test_other_packed_data_is_no_note(inside):
    assert decode_bytes(gzip.compress(inside)) == (None, "gzip-compressed")
    assert decode_bytes(gzip.compress(inside)[:6]) == (None, "gzip-compressed")


def test_notes_are_read_and_locked_ones_counted(tmp_path):
    path = table(tmp_path / "notes.db", [LOCKED if i % 20 == 5 else note(prose(i)) for i in range(60)])
    source = open_source(path, "t")
    assert list(source.documents())[0] == prose(0)
    assert source.skipped == {"data is binary": 3} and source.decoded == {APPLE_NOTES: 57}
    assert source.remarks()[0] == "57 rows are in the format of Apple's Notes, and decoded."


PACKINGS = {"zlib": zlib.compress, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("how", PACKINGS)
@pytest.mark.parametrize("other", [None, LOCKED, "no bytes"], ids=["null", "locked", "text"])
def test_the_command_that_is_told_leaves_out_other_rows(tmp_path, how, other):
    texts = [prose(i) * 9 for i in range(40)]
    values = [other if i % 20 == 5 else PACKINGS[how](text.encode()) for i, text in enumerate(texts)]
    path = table(tmp_path / "any.db", values)
    with pytest.raises(NoTextError, match=f"Column data is {how}-compressed. To unpack it") as told:
        open_source(path, "t")
    convert_as_told(str(told.value))
    assert next(open_source(path, "t").documents()) == texts[0].strip()


@pytest.mark.parametrize("how", PACKINGS)
@pytest.mark.parametrize(
    ("inside", "what"),
    [
        (lambda i: bytes([i, 0, 0x90, 1, 2, 0]) * 90, "binary"),
        (lambda i: b"\x89PNG\r\n\x1a\n\0\0" + bytes([i]) * 99, "a PNG image"),
        (lambda i: prose(i).replace("—", "é").encode("cp1252") * 9, "Windows-1252"),
    ],
    ids=["binary", "picture", "Windows-1252"],
)
def test_no_command_is_told_that_would_not_give_text(tmp_path, how, inside, what):
    path = table(tmp_path / "any.db", [PACKINGS[how](inside(i)) for i in range(40)])
    with pytest.raises(NoTextError, match=f"Unpacked, it is {what} and not text in UTF-8.") as told:
        open_source(path, "t")
    assert "sqlite-utils" not in str(told.value)


def test_damaged_data_is_told(tmp_path):
    path = table(tmp_path / "any.db", [b"\x1f\x8b\x08\x00" + LOCKED for _ in range(40)])
    with pytest.raises(NoTextError, match="Unpacked, it is damaged data and not text in UTF-8."):
        open_source(path, "t")


@pytest.mark.parametrize("every", [3, 1])
def test_a_command_names_the_database_as_it_was_typed(tmp_path, monkeypatch, every):
    """Where some rows are compressed, and where all are."""
    table(
        tmp_path / "notes.db",
        [zlib.compress(prose(i).encode()) if i % every == 0 else prose(i) for i in range(30)],
    )
    monkeypatch.chdir(tmp_path)
    if every == 1:
        with pytest.raises(NoTextError) as error:
            open_source("notes.db", "t")
        told = str(error.value)
    else:
        (told,) = open_source("notes.db", "t").read_sample()[1]
    assert "`sqlite-utils convert notes.db t data " in told
