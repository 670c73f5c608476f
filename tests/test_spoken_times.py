"""The times in transcripts of recordings are left out; those of timetables and diaries stay."""

import pytest

from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text

SAID = ["Who is there?", "It is I: at 5:30.", "Come in.", "It is late.", "I know (now).", "Sit down."]
TIMES = [3, 41, 66, 130, 3599, 3700]
WHO = ["Ada Berg", "BEN"]


def clock(seconds):
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def transcript(line, times=TIMES, gap="\n"):
    lines = [
        line.format(time=clock(time), short=f"{time // 60}:{time % 60:02}", who=WHO[i % 2], said=SAID[i])
        for i, time in enumerate(times)
    ]
    return gap.join(lines)


def read(text):
    return read_text(text, kind_of([text] * 5)).text


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("[{time}] {who}: {said}", "{who}: {said}"),
        ("[{time}.250] {who}: {said}", "{who}: {said}"),
        ("({short}) {said}", "{said}"),
        ("{short} {said}", "{said}"),
        ("{short} - {who}: {said}", "{who}: {said}"),
        ("{time}\n{said}", "{said}"),
        ("{who} ({time}): {said}", "{who}: {said}"),
        ("{who} [{short}]\n{said}", "{who}: {said}"),
        ("{who}, {time}\n{said}", "{who}: {said}"),
        ("{who} {short}\r\n{said}", "{who}: {said}"),
    ],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_times_of_a_recording(line, left, gap):
    assert read(transcript(line, gap=gap)) == transcript(left, gap=gap)


@pytest.mark.parametrize(
    "text",
    [
        transcript("{short} {said}", [540, 545, 600, 660, 720, 780]),  # a timetable, from 9:00 on
        transcript("{short} {said}", [60, 30, 20, 100, 50, 10]),  # results of a race
        transcript("{short} {said}", [3, 41, 66]),  # too few
        transcript("{said} At {short} in the night."),
    ],
)
def test_other_times_stay(text):
    assert read(text) == text
