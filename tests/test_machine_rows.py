"""Rows that nobody wrote are told, with the option that leaves them out."""

import json
import random
import shlex
import sqlite3
import time

import pytest

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.machine_rows import machine_rows
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection

ROWS = 100
WORDS = ["we", "meet", "at", "the", "old", "mill", "beside", "river", "and", "bring", "bread", "for", "today"]


def says(i):
    chosen = random.Random(i)
    return " ".join(chosen.choice(WORDS) for _ in range(9))


def told(tmp_path, columns, row):
    """What is told of ROWS rows, and how many are left by what is told first."""
    path = str(tmp_path / "t.db")
    rows = [row(i) for i in range(ROWS)]
    with sqlite3.connect(path) as db:
        db.execute(f"create table message ({columns})")
        db.executemany(f"insert into message values ({', '.join('?' * len(rows[0]))})", rows)
    db.close()
    remarks = list(machine_rows(open_source(path, "message"), "rows"))
    if not remarks:
        return remarks, ROWS
    where = shlex.split(remarks[0].partition("--where")[2])[0]
    return remarks, open_source(path, "message", Selection(where=where)).row_count


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        (("Default", "GuildMemberJoin"), lambda i: "Joined the server."),  # Discord
        ((None, "channel_join"), lambda i: f"<@U0{i}> has joined the channel"),  # Slack
        (("message", "service"), lambda i: f"{'Ada' if i % 20 else 'Ben'} pinned a message"),  # Telegram
        (("", "system_join_channel"), lambda i: f"{WORDS[i // 10]} joined the channel."),  # Mattermost
        (("text", "system"), lambda i: "You turned on disappearing messages"),
        ((None, "bot_message"), says),
        (("RichText", "ThreadActivity/AddMember"), lambda i: "18:ada"),
    ],
)
def test_messages_of_the_program(tmp_path, kinds, text):
    columns = f"id integer primary key, {'messagetype' if kinds[0] == 'RichText' else 'subtype'}, body"
    remarks, left = told(
        tmp_path, columns, lambda i: (i, kinds[1], text(i)) if i % 10 == 0 else (i, kinds[0], says(i))
    )
    assert len(remarks) == 1 and left == 90


def test_kinds_that_are_numbers(tmp_path):
    """As in Gitea, Quassel and Skype, where 1 may be what people wrote."""

    def row(i):
        return (i, 7, ["#tea", "bye for now"][i % 20 > 0]) if i % 10 == 0 else (i, 1 + i % 2, says(i))

    remarks, left = told(tmp_path, "id integer primary key, type int, message", row)
    assert len(remarks) == 1 and "type is 7: nobody" in remarks[0] and left == 90


def test_numbers_of_what_people_wrote(tmp_path):
    columns = "id integer primary key, type int, body"
    assert told(tmp_path, columns, lambda i: (i, i % 10, says(i))) == ([], ROWS)


@pytest.mark.parametrize("kinds", [(1, 2), ("system", None)])
def test_what_most_rows_are_is_not_what_nobody_wrote(tmp_path, kinds):
    """Weather reports are alike, and a table of them is no chat with a few messages in it."""

    def row(i):
        return (i, kinds[0], f"Light rain, {i} degrees, wind from west.") if i % 3 else (i, kinds[1], says(i))

    assert told(tmp_path, "id integer primary key, type, body", row) == ([], ROWS)


def test_kinds_without_text_are_skipped_anyway(tmp_path):
    """As calls and changes of keys are in Signal."""
    columns = "id integer primary key, type, body"
    assert told(
        tmp_path,
        columns,
        lambda i: (i, ["incoming", "outgoing", "call-history"][i % 3], says(i) if i % 3 < 2 else None),
    ) == ([], ROWS)


LINES = [
    "You sent an attachment.",
    "Ada Lee sent a photo.",
    "You missed a call from Ada Lee.",
    "The video chat ended.",
    "Reacted \u2764 to your message ",
    "You named the group Friday crew.",
    "Ada Lee set the nickname for Ben to Benny.",
    "Ada Lee added Ben Ito to the group.",
    "Ada left the group.",
    "Missed voice call",
]


def test_lines_of_a_chat_program_among_those_of_people(tmp_path):
    def row(i):
        return i, "Ada Lee", LINES[i // 5] if i % 5 == 0 and i < 50 else None if i == 51 else says(i)

    remarks, left = told(tmp_path, "id integer primary key, sender_name, content", row)
    assert len(remarks) == 1 and left == 90
    assert '10 rows are what a chat program says ("' in remarks[0]


def test_lines_of_whatsapp_on_an_iphone(tmp_path):
    """Before them is a mark of the direction of writing."""

    def row(i):
        return i, "Ada Lee", "\u200eThis message was deleted." if i % 5 == 0 else says(i)

    remarks, left = told(tmp_path, "id integer primary key, sender_name, content", row)
    assert len(remarks) == 1 and left == 80


@pytest.mark.parametrize("omitted", ["<Media omitted>", "\u200eimage omitted", "<Medien ausgeschlossen>"])
def test_pictures_that_an_export_leaves_out_are_no_text(tmp_path, omitted):
    def row(i):
        return i, "Ada Lee", omitted if i % 5 == 0 else says(i)

    assert told(tmp_path, "id integer primary key, sender_name, content", row) == ([], ROWS)
    source = open_source(str(tmp_path / "t.db"), "message")
    assert len([*source.documents()]) == 80
    assert source.skipped == {f"only {omitted.lstrip(chr(0x200E))!r}": 20}


@pytest.mark.parametrize(
    "lines",
    [
        ["Du hast diese Nachricht gelöscht.", "Verpasster Sprachanruf um 10:12"],
        ["Vous avez supprimé ce message", "Ada a rejoint le groupe"],
        ["Eliminaste este mensaje.", "Llamada perdida", "Eva se unió usando el enlace de invitación"],
        ["Missed call", "Eva Horn joined the channel"],
    ],
)
def test_lines_in_other_languages(tmp_path, lines):
    columns = "id integer primary key, sender, text"
    remarks, left = told(tmp_path, columns, lambda i: (i, "Ada", lines[i % len(lines)] if i < 9 else says(i)))
    assert len(remarks) == 1 and "what a chat program says" in remarks[0] and left == ROWS - 9


PEOPLE = ["Ada Lee", "Ben Ito", "Cy O'Hara"]


@pytest.mark.parametrize("line", ["{} liittyi kanavalle", "{} muutti aiheeksi 'kahvi {}'", "{} dodaje {}"])
def test_nobody_begins_with_the_own_name(tmp_path, line):
    def row(i):
        name = PEOPLE[i % 3]
        return i, name, line.format(name, PEOPLE[i % 2]) if i % 10 == 0 else says(i)

    remarks, left = told(tmp_path, "id integer primary key, author, text", row)
    assert len(remarks) == 1 and "begin with the name in author" in remarks[0] and left == 90


def test_lines_that_nobody_wrote(tmp_path):
    def row(i):
        return (i, None, f"{PEOPLE[i % 3]} liittyi kanavalle") if i % 10 == 0 else (i, PEOPLE[i % 3], says(i))

    remarks, left = told(tmp_path, "id integer primary key, sender, text", row)
    assert len(remarks) == 1 and "10 rows have no sender" in remarks[0] and left == 90


def test_a_number_of_who_wrote_a_row_may_be_0(tmp_path):
    columns = "id integer primary key, poster_id int, text"
    assert told(tmp_path, columns, lambda i: (i, i % 10, says(i if i % 10 else 0))) == ([], ROWS)


@pytest.mark.parametrize("start", ["", "Ada", "{} "])
def test_rows_without_a_name_may_be_texts(tmp_path, start):
    def row(i):
        name = None if i % 10 == 0 else PEOPLE[i % 3]
        return i, name, f"{start.format(name)}{says(i)}"

    assert told(tmp_path, "id integer primary key, author, text", row) == ([], ROWS)


@pytest.mark.parametrize(
    "text", ["I left the group.", "Ada sent a photo. Nice one!", "I joined the call and nobody spoke", "jo"]
)
def test_people_say_some_of_it_themselves(tmp_path, text):
    columns = "id integer primary key, sender_name, content"
    assert told(tmp_path, columns, lambda i: (i, "Ada", says(i) if i % 5 else text)) == ([], ROWS)


@pytest.mark.parametrize("key", ["isBot", "is_bot", "bot"])
def test_bots_in_json(tmp_path, key):
    def row(i):
        return i, json.dumps({"id": 8, "name": "Mee", key: i % 5 == 0}) if i else "not JSON", says(i)

    remarks, left = told(tmp_path, "id integer primary key, author, body", row)
    assert len(remarks) == 1 and left == 81


@pytest.mark.parametrize("bot", ["AutoModerator", "dependabot[bot]", "RemindMeBot", "build-bot", "Bot"])
def test_bots_by_name(tmp_path, bot):
    def row(i):
        return i, bot if i % 5 == 0 else ["Talbot", "Ada", None][i % 3], says(i)

    remarks, left = told(tmp_path, "id integer primary key, author, body", row)
    assert len(remarks) == 1 and f"author says ({bot})" in remarks[0] and left == 80


def test_what_bots_alone_wrote_is_what_the_table_is(tmp_path):
    columns = "id integer primary key, author, body"
    assert told(tmp_path, columns, lambda i: (i, f"{PEOPLE[i % 3]}Bot", says(i))) == ([], ROWS)


def test_sounds_of_a_transcript(tmp_path):
    def row(i):
        return i, i // 10, [" [MUSIC]", " (applause)"][i % 2] if i < 10 else f" {says(i)}"

    remarks, left = told(tmp_path, "id integer primary key, episode_id, text", row)
    assert "[MUSIC]" in remarks[0] and left == 90


def test_messages_of_merges(tmp_path):
    merges = ["Merge branch 'mill' into main", "Merge pull request #12 from ada/mill\n\nThe mill"]
    remarks, left = told(
        tmp_path, "sha text primary key, message", lambda i: (f"{i}", merges[i % 2] if i % 5 < 2 else says(i))
    )
    assert remarks[0].startswith(
        "40 rows begin with 'Merge branch ' or 'Merge pull request #', as git writes"
    )
    assert left == 60


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ("id integer primary key, type, body", lambda i: (i, ["joined", "note"][i % 2], says(i))),
        ("id integer primary key, type, body", lambda i: (i, ["Default", "Reply"][i % 2], says(i))),
        ("id integer primary key, kind, body", lambda i: (i, ["event", "story"][i % 2], says(i))),
        ("id integer primary key, author, body", lambda i: (i, '{"name": "Ada", "bot": false}', says(i))),
        ("id integer primary key, body", lambda i: (i, f"[{says(i)}]" if i % 5 else f"({says(i)})")),
    ],
)
def test_what_people_wrote_is_not_told(tmp_path, columns, row):
    assert told(tmp_path, columns, row) == ([], ROWS)


@pytest.mark.parametrize(("column", "bot", "person"), [("type", "Bot", "User"), ("is_bot", 1, 0)])
def test_bots_among_the_people(tmp_path, column, bot, person):
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table users (id integer primary key, login text, {column})")
        db.execute("create table comment (id integer primary key, user integer references users(id), body)")
        db.executemany("insert into users values (?, ?, ?)", [(1, "ada", person), (2, "ci", bot)])
        rows = [(i, None if i == 1 else 2 if i % 10 == 0 else 1, says(i)) for i in range(ROWS)]
        db.executemany("insert into comment values (?, ?, ?)", rows)
    db.close()
    (table,) = preview(open_corpus(path, ["comment"])).tables
    (remark,) = [remark for remark in table.remarks if "by a bot" in remark]
    where = shlex.split(remark)[-1]
    assert open_source(path, "comment", Selection(where=where)).row_count == 90


def test_what_is_left_out_already_is_not_told_again(tmp_path):
    """An IRC log: where the rows with text are chosen by `type`, nothing else is said of its values."""
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.execute("create table log (id integer primary key, type, line)")
        joined = [(i, "join", "has joined #tea") for i in range(0, ROWS, 3)]
        db.executemany("insert into log values (?, ?, ?)", joined)
        db.executemany(
            "insert into log values (?, ?, ?)", [(i, "msg", says(i)) for i in range(ROWS) if i % 3]
        )
    db.close()
    remarks = preview(open_corpus(path, ["log"])).tables[0].remarks
    assert [remark.rpartition(": ")[2] for remark in remarks if "--where" in remark] == [
        """--where "type = 'msg'\""""
    ]


def test_long_words_take_little_time(tmp_path):
    began = time.process_time()
    columns = "id integer primary key, subtype, body"
    told(tmp_path, columns, lambda i: (i, "system" if i % 2 else "text", '"a' * 2_500))
    assert time.process_time() - began < 5  # by the square it takes a minute
