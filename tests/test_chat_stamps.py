"""Dates and times before the lines of a chat that is one text are left out; those of other texts stay."""

import sqlite3
import time

import pytest

from datasette_nanogpt.data.conversation_hints import conversations
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text

SAID = ["Ada: Shall we meet at the mill?", "Ben: Yes: at eight.", "Ada: Bring bread!\nAnd a lamp."] * 3
IRC = ["<ada> Shall we meet?", "<@ben> yes", "<ada> at 10:00"] * 3


def read(text):
    kind = kind_of([text] * 5)
    return kind.markup, read_text(text, kind).text


@pytest.mark.parametrize(
    ("stamp", "lines"),
    [
        ("[01/03/21, 10:{:02}:00] ", SAID),
        ("\u200e[1.3.21, 10:{:02}:00] ", SAID),
        ("[3/1/21, 10:{:02}:00\u202fPM] ", SAID),
        ("01/03/2021, 10:{:02} - ", SAID),
        ("3/1/21, 10:{:02} am - ", SAID),
        ("[2021-03-01 10:{:02}:00] ", IRC),
        ("2021-03-01T10:{:02}:00 ", IRC),
        ("10:{:02} ", IRC),
    ],
)
def test_lines_of_a_chat(stamp, lines):
    text = "\r\n".join(stamp.format(i) + line for i, line in enumerate(lines))
    gone = stamp.format(59) + ("ada left the group" if lines is SAID else "-!- ada has quit")
    if stamp.startswith("10"):  # without a name it may be anything
        gone = ""
    assert read(f"{gone}\r\n{text}".lstrip()) == ("times of a chat", "\n".join(lines))


PROGRAM = [
    "<Media omitted>",
    "\u200eimage omitted",
    "This message was deleted",
    "IMG-20210301-WA0001.jpg (file attached)",
    "IMG-20210301-WA0001.jpg (Datei angehängt)",
    "\u200e<attached: 00000012-PHOTO-2021-03-01.jpg>",
    "report.pdf \u2022 \u200e12 pages \u200edocument omitted",
]


@pytest.mark.parametrize("stamp", ["[01/03/21, 10:{:02}:00] ", "01/03/2021, 10:{:02} - "])
def test_what_a_program_says_is_left_out(stamp):
    lines = [*SAID, *(f"Ben: {line}" for line in PROGRAM), "Ada: No! \u200e<This message was edited>"]
    text = "\n".join(stamp.format(i) + line for i, line in enumerate(lines))
    assert read(text)[1].split("\n") == "\n".join([*SAID, "Ada: No!"]).split("\n")


def test_what_is_said_of_a_picture_stays():
    lines = [*SAID, "Ben: IMG-1.jpg (file attached)\nThe mill, today", "Ada: <Media omitted>"]
    text = "\n".join(f"01/03/2021, 10:{i:02} - {line}" for i, line in enumerate(lines))
    assert read(text)[1] == "\n".join([*SAID, "Ben: The mill, today"])


LINE = "[LINE] Chat history with Ada\nSaved on: 2021/03/01 10:00\n\n2021/03/01(Mon)\n" + "".join(
    f"10:{i:02}\t{'Ada' if i % 2 else 'Ben'}\t{'Bread?' if i % 5 else '[Sticker]'}\n" for i in range(20)
)
KAKAO = "--------------- 2021년 3월 1일 월요일 ---------------\n" + "".join(
    f"[{'Ada' if i % 2 else 'Ben'}] [오후 3:{i:02}] {'Bread?' if i % 5 else '사진'}\n" for i in range(20)
)
KAKAO_ON_A_PHONE = "2021년 3월 1일 월요일\n" + "".join(
    f"2021년 3월 1일 오후 3:{i:02}, {'Ada' if i % 2 else 'Ben'} : {'Bread?' if i % 5 else '사진'}\n"
    for i in range(20)
)


@pytest.mark.parametrize("text", [LINE, KAKAO, KAKAO_ON_A_PHONE], ids=["LINE", "KakaoTalk", "on a phone"])
def test_other_programs(text):
    said = [f"{'Ada' if i % 2 else 'Ben'}: Bread?" for i in range(20) if i % 5]
    assert read(text) == ("times of a chat", "\n".join(said))


def test_rows_that_are_lines_of_a_chat(tmp_path):
    """As sqlite-utils insert --lines makes them of an export."""
    says = [f"{'Ada' if i % 2 else 'Ben'}: We meet at the mill number {i}." for i in range(120)]
    lines = [f"{1 + i // 12:02}/03/2021, 10:{i % 60:02} - {line}" for i, line in enumerate(says)]
    lines[5:5] = ["And bring bread, as ever.", "01/03/2021, 10:05 - Ada added Ben"]
    with sqlite3.connect(tmp_path / "chat.db") as db:
        db.execute("create table chat (line text)")
        db.executemany("insert into chat values (?)", [(line,) for line in lines])
    db.close()
    path = str(tmp_path / "chat.db")
    source = open_source(path, "chat")
    (told,) = conversations(source)
    assert told.endswith("--group-by 'rowid / 50' --order-by rowid")
    source = open_source(path, "chat", Selection(group_by="rowid / 50", order_by="rowid"))
    says[5:5] = ["And bring bread, as ever."]
    assert "\n".join(source.documents()) == "\n".join(says)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"2021-03-01 10:{i:02}:00 {'INFO' if i % 2 else 'ERROR'}: it broke" for i in range(9)),
        "\n".join(f"01.03.2021 10:{i:02} Walk {i}: it was fine" for i in range(9)),
        "\n".join(f"10:{i:02} Ada: leaves" for i in range(9)),
        "\n".join(SAID),
        "[01/03/21, 10:00:00] Ada: once\n\nand then a text about it\n" * 2,
    ],
)
def test_other_texts_stay(text):
    assert read(text)[0] != "times of a chat"


def test_long_lines_take_little_time():
    began = time.process_time()
    read("[01/03/21, 10:00] " * 20_000)
    read("10:00 " * 60_000)
    read("01/03/2021, 10:00 - Ada: <Media omitted> \u200e" * 9_000)
    read("[01/03/21, 10:00:00] Ada:\n" * 20_000)
    read("a.jpg (" * 60_000)
    assert time.process_time() - began < 5
