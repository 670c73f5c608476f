"""Who wrote a row, by a column of names, of ids or of JSON."""

import json
import sqlite3

import pytest

from datasette_nanogpt.data.column_content import Column
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.speaker_names import speaker_name
from datasette_nanogpt.data.speakers import find_speaker
from datasette_nanogpt.formatting import TrainCommand


@pytest.mark.parametrize(
    ("person", "name"),
    [
        (
            {"id": "80000000000", "name": "anna", "nickname": "Anna", "isBot": False},
            "Anna",
        ),  # Discord's exporter
        ({"id": "80000000000", "username": "anna_b", "global_name": "Anna B.", "avatar": None}, "Anna B."),
        ({"id": "80000000000", "username": "anna_b", "global_name": None}, "anna_b"),
        ({"login": "anna", "id": 12, "node_id": "MDQ6VXNlcjE=", "type": "User"}, "anna"),  # GitHub
        (
            {"id": "U024BE7LH", "profile": {"display_name": "", "real_name": "Anna Berg"}},
            "Anna Berg",
        ),  # Slack
        ({"id": 1, "is_bot": False, "first_name": "Anna", "last_name": "Berg"}, "Anna Berg"),  # Telegram
        ({"displayName": "Anna Berg", "emailAddress": "anna@example.com"}, "Anna Berg"),
        ({"name": {"first": "Anna", "last": "Berg"}}, "Anna Berg"),
        ({"fullName": "Łukasz Żak"}, "Łukasz Żak"),
        ({"id": "80000000000", "name": "3f2b8c1e-0b7e-4b60-9d8a-7b9a5b0c1d2e"}, ""),
        ({"id": 12, "team": {"name": "Acme"}}, ""),
        ({}, ""),
    ],
)
def test_the_name_in_json(person, name):
    assert speaker_name(json.dumps(person)) == name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("by", True),
        ("speakername", True),
        ("SenderName", True),
        ("char", True),
        ("npc", True),
        ("stand_by", False),
        ("edited_by", False),
    ],
)
def test_names_of_columns_with_who_wrote_it(name, found):
    column = Column(name, ["Ada", "Ben", "Cara", "Ada"] * 9)
    assert find_speaker([column]) == (name if found else None)


WHO = ["EMMA", "EMMA", "EMMA", "EMMA", "BEN", "BEN", "BEN"]


@pytest.mark.parametrize(
    ("who", "starts"),
    [
        (WHO * 9, ["EMMA: line 0.", "line 1.", "line 2.", "line 3.", "BEN: line 4.", "line 5.", "line 6."]),
        (["EMMA", "BEN"] * 30, [f"{['EMMA', 'BEN'][i % 2]}: line {i}." for i in range(7)]),
        ([*["EMMA"] * 60, None], [f"EMMA: line {i}." for i in range(7)]),  # nobody is no other person
        (["EMMA"] * 60, [f"line {i}." for i in range(7)]),  # the same name in all rows says nothing
    ],
)
def test_who_speaks_is_said_once_for_several_lines(tmp_path, who, starts):
    path = str(tmp_path / "play.db")
    with sqlite3.connect(path) as db:
        db.execute("create table lines (id integer primary key, scene int, player, text)")
        rows = [(i, i // 21, name, f"line {i}.") for i, name in enumerate(who)]
        db.executemany("insert into lines values (?, ?, ?, ?)", rows)
    db.close()
    source = open_source(path, "lines", Selection(group_by="scene"))
    first, second, *_ = source.documents()
    assert first.split("\n")[:7] == starts
    assert second.startswith(f"{who[21]}: " if source.speaker else "line")
    told = preview_source(source, TrainCommand(path)).text
    assert ("player before the first of its rows" in told) == ("line 1." in starts and "BEN" in who)


def test_pieces_of_one_speaker_are_one_line(tmp_path):
    path = str(tmp_path / "talk.db")
    with sqlite3.connect(path) as db:
        db.execute("create table segment (id integer primary key, talk int, speaker, text)")
        rows = [(i, i // 28, name, f" and so {i}") for i, name in enumerate(WHO * 8)]
        db.executemany("insert into segment values (?, ?, ?, ?)", rows)
    db.close()
    text = next(open_source(path, "segment", Selection(group_by="talk")).documents())
    assert text.split("\n")[:2] == [
        "EMMA: and so 0 and so 1 and so 2 and so 3",
        "BEN: and so 4 and so 5 and so 6",
    ]


def test_other_text_is_the_name_itself():
    assert [speaker_name(text) for text in ("Ada\n Byron", "{not JSON", "")] == ["Ada Byron", "{not JSON", ""]


@pytest.mark.parametrize(
    "values",
    [
        ["3f2b8c1e-0b7e-4b60-9d8a-7b9a5b0c1d2e", "90e78d58-3fc8-2a9e-3010-473041ddd43f"],
        ["f3857beed9ccfc362418fe0d504e15e3", "73c48d28ea6e389c3b9e64e018aca4c0"],
        ["800000000000000001", "800000000000000002"],
        [12, 13],
        ["U024BE7LH", "U03A1B2C3"],
        ['{"id": 12}', '{"id": 13}'],
        ["https://example.com/u/1", "https://example.com/u/2"],
    ],
)
def test_an_id_is_no_name(values):
    assert find_speaker([Column("user", values)]) is None


@pytest.mark.parametrize(
    "values",
    [["SPEAKER_00", "SPEAKER_01"], ["anna99", "bo"], ["ANNA2005", "ben1999"], ["a@example.com", "b@b.org"]],
)
def test_labels_and_handles_are_names(values):
    assert find_speaker([Column("user", values)]) == "user"


def test_the_name_in_json_leads_the_line(tmp_path):
    path = str(tmp_path / "chat.db")
    with sqlite3.connect(path) as db:
        db.execute("create table messages (id integer primary key, channel, author, content)")
        people = [
            json.dumps({"id": "8000000000", "nickname": n, "isBot": False, "url": "x" * 300})
            for n in ("Anna", "Bo")
        ]
        rows = [(i // 4, people[i % 2], f" words {i} of a message") for i in range(20)]
        db.executemany("insert into messages (channel, author, content) values (?, ?, ?)", rows)
    found = open_source(path, "messages", Selection(group_by="channel"))
    first = next(found.documents()).split("\n")
    assert found.speaker == "author"
    assert first[:2] == ["Anna: words 0 of a message", "Bo: words 1 of a message"]


def test_what_else_is_said_of_people_is_no_name():
    values = ["NONE", "OWNER", "NONE", "MEMBER"]
    assert find_speaker([Column(name, values) for name in ("author_association", "userAgent")]) is None


@pytest.mark.parametrize("name", ["book_name", "channelName", "file_name", "group_name"])
def test_what_a_thing_is_called_is_no_speaker(name):
    values = ["Genesis", "Exodus", "Ruth"] * 5
    assert find_speaker([Column(name, values)]) is None
    assert find_speaker([Column(name, values), Column("nick_name", values)]) == "nick_name"


def test_whose_archive_it_is_is_no_speaker():
    assert find_speaker([Column("user", ["anna"] * 20)]) is None
    assert find_speaker([Column("user", ["anna"] * 19 + [None])]) == "user"
    assert find_speaker([Column("user", ["anna"] * 20), Column("nick", ["bo", "cy"] * 10)]) == "nick"
