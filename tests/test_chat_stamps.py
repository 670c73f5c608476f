"""Dates and times before the lines of a chat that is one text are left out; those of other texts stay."""

import time

import pytest

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
    assert time.process_time() - began < 5
