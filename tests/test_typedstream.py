"""Messages of iMessage: the text is in a typedstream, in all rows or in those in which `text` is empty."""

import sqlite3

import pytest

from datasette_nanogpt.data.decode import decode_bytes
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.typedstream import TYPEDSTREAM
from datasette_nanogpt.formatting import TrainCommand

HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84"
BASE = b"\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84"
PLAIN = HEADER + BASE + b"\x08NSString\x01\x94\x84\x01+"
MUTABLE = HEADER + b"\x19NSMutableAttributedString\x00\x84\x84" + BASE
MUTABLE += b"\x0fNSMutableString\x01\x84\x84\x08NSString\x01\x95\x84\x01+"
END = b"\x86\x84\x02iI\x01\x1b\x92\x84\x84\x84\x0cNSDictionary\x00\x94\x84\x01i\x01\x92\x84\x96\x96\x86"


def typedstream(text, before=PLAIN):
    raw = text.encode()
    size = bytes([min(len(raw), 255)])
    if 127 < len(raw) <= 32_767:
        size = b"\x81" + len(raw).to_bytes(2, "little")
    if len(raw) > 32_767:
        size = b"\x82" + len(raw).to_bytes(4, "little")
    return before + size + raw + END


@pytest.mark.parametrize("before", [PLAIN, MUTABLE], ids=["plain", "mutable"])
@pytest.mark.parametrize("text", ["ok", "", "Grüße 👍🏽", "a" * 127, "ü" * 64, "b" * 300, "c d " * 20_000])
def test_the_text_of_a_typedstream_is_read(text, before):
    assert decode_bytes(typedstream(text, before)) == (text, TYPEDSTREAM)


def test_a_typedstream_that_is_cut_gives_what_it_has():
    raw = typedstream("ä" * 1000)
    assert decode_bytes(raw[: len(PLAIN) + 6]).text == "ä"
    assert decode_bytes(raw[:30]) == (None, TYPEDSTREAM)
    assert decode_bytes(PLAIN) == (None, TYPEDSTREAM)


def test_pictures_in_a_message_leave_no_sign():
    assert decode_bytes(typedstream("\ufffcLook")).text == "Look"


def says(i):
    return f"Number {i}: we meet at the old mill beside the river, {'and bring your bread ' * (i % 3)}please."


def messages(path, text, body):
    db = sqlite3.connect(path)
    with db:
        db.execute("create table message (text text, attributedBody blob, date int)")
        rows = ((says(i) if text(i) else None, body(i), i) for i in range(100))
        db.executemany("insert into message values (?, ?, ?)", rows)
    db.close()
    return str(path)


@pytest.mark.parametrize("filled", [0, 30, 60, 85], ids=str)
def test_each_message_is_read_once_where_newer_ones_have_an_empty_text(tmp_path, filled):
    path = messages(tmp_path / "chat.db", lambda i: i < filled, lambda i: typedstream(says(i)))
    source = open_source(path, "message")
    assert [document.strip() for document in source.documents()] == [says(i) for i in range(100)]
    assert "binary" not in str(source.left_out)


def test_each_message_is_read_once_where_older_ones_have_no_typedstream(tmp_path):
    path = messages(
        tmp_path / "chat.db", lambda i: i < 60, lambda i: typedstream(says(i)) if i > 20 else None
    )
    source = open_source(path, "message")
    assert [document.strip() for document in source.documents()] == [says(i) for i in range(100)]


def test_where_both_columns_have_the_text_it_is_read_once(tmp_path):
    path = messages(tmp_path / "chat.db", lambda i: i % 3, lambda i: typedstream(says(i)))
    source = open_source(path, "message")
    assert [document.strip() for document in source.documents()] == [says(i) for i in range(100)]
    asked = open_source(path, "message", Selection(body=["text"]))
    assert len(list(asked.documents())) == 66


def test_rows_without_text_whose_bytes_cannot_be_read_are_named(tmp_path):
    raw = b"bplist00\x01\x02" * 9
    path = messages(tmp_path / "chat.db", lambda i: i % 3, lambda i: None if i % 3 else raw)
    remarks = preview_source(open_source(path, "message"), TrainCommand(path)).remarks
    (remark,) = [each for each in remarks if "rows have no text" in each]
    assert remark.startswith("34 rows have no text, and 34 of these have a value in attributedBody")
    assert "a property list" in remark
