"""Which rows belong together, by the columns of the table alone."""

import random
import shlex
import sqlite3

import pytest
from test_linked_conversations import WORDS

from datasette_nanogpt.data.conversation_hints import conversations
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection


def words(i, count):
    chosen = random.Random(i)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


def written(tmp_path, columns, rows, table="t"):
    """The path of a database with this table."""
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table {table} ({columns})")
        db.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)
    db.close()
    return path


def told(tmp_path, columns, rows, table="t"):
    path = written(tmp_path, columns, rows, table)
    return [remark.rpartition(": ")[2] for remark in conversations(open_source(path, table))]


def steps(shuffled=False):
    """275 steps of recipes, of which only a sample is looked at."""
    chosen = random.Random(4)
    rows = [
        (f"{recipe:032x}", place, words(100 * recipe + place, 9))
        for recipe in range(1000, 1060)
        for place in range(chosen.randint(2, 7))
    ]
    chosen.shuffle(rows) if shuffled else None
    return [(f"{i + 5000:032x}", *row) for i, row in enumerate(rows)]


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_steps_of_recipes(tmp_path, shuffled):
    columns = "id char(32) primary key, recipe_id char(32), position integer, text"
    assert told(tmp_path, columns, steps(shuffled)) == ["--group-by recipe_id --order-by position"]


def test_long_posts_of_a_topic(tmp_path):
    rows = [(i, i % 3, 1 + i // 5, 1 + i % 5, words(i, 90)) for i in range(210)]
    columns = "id integer primary key, user_id int, topic_id int, post_number int, raw"
    assert told(tmp_path, columns, rows) == ["--group-by topic_id --order-by post_number"]


def test_long_comments_on_an_issue(tmp_path):
    rows = [(i, i % 3, 1 + i % 60, f"2024-01-{1 + i // 9:02} 10:00", words(i, 90)) for i in range(210)]
    columns = "id integer primary key, user int, issue int, created_at, body"
    assert told(tmp_path, columns, rows) == ["--group-by issue --order-by created_at"]


SAID = "2024-01-{:02} 10:00"
DISCUSSED = [
    (
        "journals",
        "id integer primary key, journalized_id int, journalized_type, user_id int, notes, created_on",
        lambda i: (i, 1 + i // 3, "Issue", i % 9, "" if i % 3 else words(i, 30), SAID.format(1 + i // 9)),
        "--group-by journalized_id --order-by created_on",
    ),
    (
        "notes",
        "id integer primary key, noteable_type, noteable_id int, author_id int, note, created_at",
        lambda i: (i, ["Issue", "Merge"][i % 2], i % 60, i % 9, words(i, 30), SAID.format(1 + i // 9)),
        """--group-by "noteable_type || ' ' || noteable_id" --order-by created_at""",
    ),
    (
        "Comments",
        "Id integer primary key, PostId int, UserId int, CreationDate, Text",
        lambda i: (i, i % 60, i % 9, SAID.format(1 + i // 9), words(i, 60)),
        "--group-by PostId --order-by CreationDate",
    ),
    (
        "comments",
        "id text primary key, link_id text, author, created_utc int, body",
        lambda i: (f"c{i:05x}", f"t3_a{i % 60}x", f"ada{i % 9}", 1600000000 + i * 60, words(i, 9)),
        "--group-by link_id --order-by created_utc",
    ),
    (
        "speech",
        "id integer primary key, section_id int, subsection_id int, speaker_id int, hpos int, body",
        lambda i: (i, 0, i // 12, i % 9, i, words(i, 90)),
        "--group-by subsection_id --order-by id",
    ),
]


@pytest.mark.parametrize(
    ("table", "columns", "row", "options"), DISCUSSED, ids=[each[0] for each in DISCUSSED]
)
def test_what_people_say_of_one_thing(tmp_path, table, columns, row, options):
    found = told(tmp_path, columns, [row(i) for i in range(180)], table)[0]
    assert shlex.split(found) == shlex.split(options)


def test_discussions_of_numbered_people(tmp_path):
    """As Moodle has them."""
    rows = [(i, 1 + i // 5, i % 9, 10**9 + i, f"Re: Topic {i // 5}", words(i, 90)) for i in range(210)]
    columns = "id integer primary key, discussion int, userid int, created int, subject, message"
    assert told(tmp_path, columns, rows) == ["--group-by discussion --order-by created"]


@pytest.mark.parametrize("name", ["convo_id", "bufferid"])  # of Skype and Quassel
def test_other_names_of_chats(tmp_path, name):
    rows = [(i, 1 + i % 40, 10**9 + i, words(i, 9)) for i in range(210)]
    columns = f"id integer primary key, {name} int, timestamp int, body"
    assert told(tmp_path, columns, rows) == [f"--group-by {name} --order-by timestamp"]


def test_names_without_an_underscore(tmp_path):
    """As vBulletin has them."""
    rows = [(i, 1 + i // 5, f"anna{i % 3}", 10**9 + i, words(i, 90)) for i in range(210)]
    columns = "postid integer primary key, threadid int, username, dateline int, pagetext"
    assert told(tmp_path, columns, rows) == ["--group-by threadid --order-by dateline"]


def test_what_was_asked_and_answered(tmp_path):
    rows = [
        (
            f"01h{i:010x}k",
            f"{i // 3:08x}-14b0-44d7-9acd-6c7687a66e00",
            words(i, 40),
            words(i + 1000, 90),
            f"2024-01-{1 + i // 9:02}T10:00",
        )
        for i in range(120)
    ]
    columns = "id text primary key, conversation_id text, prompt text, response text, datetime_utc text"
    assert told(tmp_path, columns, rows) == ["--group-by conversation_id --order-by datetime_utc"]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        # Articles with titles, about a few topics, or in an issue of a magazine.
        (
            "id integer primary key, author, topic_id int, title, body",
            lambda i: (i, "Ada", i % 9, words(i, 4), words(i, 90)),
        ),
        (
            "id integer primary key, author, issue int, title, body",
            lambda i: (i, "Ada", i // 9, words(i, 4), words(i, 90)),
        ),
        # A topic in words is a label.
        (
            "id integer primary key, author, topic, posted, body",
            lambda i: (i, "Ada", WORDS[i % 9], f"2024-01-{1 + i // 9:02}", words(i, 90)),
        ),
        # Nobody is said to have written these.
        (
            "id integer primary key, topic_id int, created, body",
            lambda i: (i, i % 9, f"2024-01-{1 + i // 9:02}", words(i, 90)),
        ),
        # Reviews of books, each a text of its own.
        (
            "id integer primary key, book_id int, user_id int, posted, body",
            lambda i: (i, i % 9, i % 7, f"2024-01-{1 + i // 9:02}", words(i, 90)),
        ),
        # Short notes in folders, of which the position says nothing.
        (
            "id integer primary key, folder_id int, position int, note",
            lambda i: (i, i % 9, i * 7 % 100, words(i, 9)),
        ),
        # Tasks have names of their own.
        (
            "id integer primary key, project_id int, position int, title, note",
            lambda i: (i, i % 9, i // 9, words(i, 3), words(i + 1000, 9)),
        ),
    ],
)
def test_whole_texts_are_not_put_together(tmp_path, columns, row):
    assert told(tmp_path, columns, [row(i) for i in range(120)]) == []


def clock(seconds):
    return f"00:{int(seconds) // 60:02}:{seconds % 60:06.3f}".replace(".", ",")


def offset(i):
    return sum(random.Random(j).randint(50, 900) for j in range(i % 6 + 1)) * (1 + i % 6)


@pytest.mark.parametrize(
    ("table", "columns", "row"),
    [
        # What somebody marked in pages and books: no speakers, and only parts of a text.
        (
            "highlights",
            "id integer primary key, url, text, position int",
            lambda i: (i, f"https://ex.org/{i // 6}", words(i, 9), i % 6),
        ),
        (
            "marks",
            "id integer primary key, url, text, start_offset int, end_offset int",
            lambda i: (i, f"https://ex.org/{i // 6}", words(i, 9), offset(i), offset(i) + 40),
        ),
        (
            "Bookmark",
            "BookmarkID integer primary key, VolumeID, ChapterProgress real, Text, DateCreated",
            lambda i: (i, f"b{i // 6}.epub", i % 6 / 7, words(i, 9), f"2024-01-{1 + i // 9:02}"),
        ),
        (
            "marks",
            "id integer primary key, book_id int, chapter_progress real, passage, created_at",
            lambda i: (i, i // 6, i % 6 / 7, words(i, 9), f"2024-01-{1 + i // 9:02}"),
        ),
        # Short reviews of films.
        (
            "reviews",
            "id integer primary key, movie int, posted, comment",
            lambda i: (i, i % 9, f"2024-01-{1 + i // 9:02}", words(i, 9)),
        ),
    ],
)
def test_what_was_taken_from_texts_is_not_put_together(tmp_path, table, columns, row):
    assert told(tmp_path, columns, [row(i) for i in range(120)], table) == []


@pytest.mark.parametrize(
    ("columns", "row", "options"),
    [
        # Subtitles without a name that says so: each lasts until about the next one.
        (
            "id integer primary key, file, text, start real, end real",
            lambda i: (i, f"{i // 12}.mkv", words(i, 6), i % 12 * 3.1 + i % 5 * 0.2, i % 12 * 3.1 + 2.7),
            "--group-by file --order-by start",
        ),
        # Times as a clock shows them.
        (
            "id integer primary key, file, text, start_time, end_time",
            lambda i: (
                i,
                f"{i // 12}.mkv",
                words(i, 6),
                clock(i % 12 * 3.1 + i % 5 * 0.2),
                clock(i % 12 * 3.1 + 2.7),
            ),
            "--group-by file --order-by start_time",
        ),
        # Whisper's numbers go on in the next file, and places in the sound are no times.
        (
            "file, id integer primary key, seek int, text, start real, end real",
            lambda i: (
                f"{i // 12}.mp3",
                i,
                i % 12 * 310 + i * i % 7 * 20,
                words(i, 6),
                i % 12 * 3.1,
                i % 12 * 3.1 + 2.7,
            ),
            "--group-by file --order-by start",
        ),
        # Lines of which a few are missing.
        (
            "id integer primary key, source_file, n int, text",
            lambda i: (i, f"{i // 12}.txt", i % 12 + (i % 12 > 6), words(i, 6)),
            "--group-by source_file --order-by n",
        ),
    ],
)
def test_lines_of_a_text_are_put_together(tmp_path, columns, row, options):
    assert told(tmp_path, columns, [row(i) for i in range(120)])[:1] == [options]


def test_a_long_recording_of_which_only_places_are_looked_at(tmp_path):
    chosen = random.Random(3)
    rows = []
    for i in range(960):
        start = 0 if i % 160 == 0 else rows[-1][4] + chosen.choice([0, 0, 0.4])
        rows.append((f"{i // 160}.mp3", i, words(i, 6), start, start + chosen.uniform(1.5, 6)))
    columns = "file, id integer primary key, text, start real, end real"
    assert told(tmp_path, columns, rows)[:1] == ["--group-by file --order-by start"]


@pytest.mark.parametrize("names", ["b int, c int, v int, t text", "book int, chapter int, verse int, text"])
def test_the_verses_of_a_chapter_of_a_book(tmp_path, names):
    """The numbers of their rows are far apart, so that places of the table are looked for by counting."""
    verses = [(b, c, v) for b in range(1, 9) for c in range(1, 9) for v in range(1, 7 + (b * c) % 9)]
    rows = [(b * 10**6 + c * 1000 + v, b, c, v, words(i, 9)) for i, (b, c, v) in enumerate(verses)]
    columns = f"id integer primary key, {names}"
    first, second, third, _ = (name.split()[0] for name in names.split(", "))
    group = f"--group-by \"{first} || ' ' || {second}\""
    assert told(tmp_path, columns, rows) == [f"{group} --order-by {third}"]


def test_the_verses_of_many_books(tmp_path):
    """A row that follows a gap between the numbers of the rows is that of a first chapter."""
    chosen = random.Random(6)
    verses = [
        (b, c, v)
        for b in range(1, 41)
        for c in range(1, chosen.randint(2, 9))
        for v in range(1, chosen.randint(15, 35))
    ]
    rows = [(b * 10**6 + c * 1000 + v, b, c, v, words(i, 9)) for i, (b, c, v) in enumerate(verses)]
    told_first = told(tmp_path, "id integer primary key, b int, c int, v int, t text", rows)[0]
    assert shlex.split(told_first)[1::2] == ["b || ' ' || c", "v"]


@pytest.mark.parametrize("table", ["verse", "clause"])
def test_numbers_in_columns_of_text(tmp_path, table):
    """As `sqlite-utils insert --csv --no-detect-types` and old exports write them: 10 would come before 9."""
    places = [(b, c, v) for b in range(1, 7) for c in range(1, 6) for v in range(1, 7 + (b * c) % 9)]
    if table == "clause":
        columns, rows = "id text, act_id text, number text, text", [(b * 9 + c, v) for b, c, v in places]
        options = ["--group-by", "act_id", "--order-by", "cast(number as integer)"]
    else:
        columns, rows = "id text, book text, chapter text, verse text, text", places
        options = ["--group-by", "book || ' ' || chapter", "--order-by", "cast(verse as integer)"]
    found = told(tmp_path, columns, [(str(i), *map(str, row), words(i, 9)) for i, row in enumerate(rows)])
    assert [shlex.split(each) for each in found] == [options]
    group_by, order_by = options[1::2]
    source = open_source(str(tmp_path / "t.db"), "t", Selection(group_by=group_by, order_by=order_by))
    last = [text.splitlines()[-1] for text in source.documents()]
    highest = [i for i, row in enumerate(rows) if i + 1 == len(rows) or rows[i + 1][-1] == 1]
    assert sorted(last) == sorted(words(i, 9) for i in highest)


def test_chapters_with_the_same_names_in_several_laws(tmp_path):
    rows = [
        (i, i // 25, f"Chapter {i % 25 // 5 + 1}", i % 25 + 1, words(i, 4) if i % 2 else "", words(i, 20))
        for i in range(150)
    ]
    columns = "id integer primary key, law_id int, chapter, article int, heading, text"
    (options,) = (shlex.split(each) for each in told(tmp_path, columns, rows))
    assert options[:2] == ["--group-by", "law_id || ' ' || chapter"]


@pytest.mark.parametrize(
    ("name", "title"),
    [("tale", True), ("story", True), ("chat", False), ("channel", False), ("scene", False)],
)
def test_what_rows_are_of_is_the_title_of_all_of_them(tmp_path, name, title):
    """The name of a tale, but not of a room, nor a key."""
    rows = [
        (f"The {words(i // 8, 5)}" if name != "scene" else f"scene_{i // 8}", i % 8 + 1, words(i, 12))
        for i in range(240)
    ]
    options = ["--group-by", name, "--order-by", "part", *(["--title", name] if title else [])]
    assert shlex.split(told(tmp_path, f"{name}, part int, text", rows)[0]) == options


def test_the_chapters_of_the_books_of_two_translations(tmp_path):
    places = [(t, b, c, v) for t in (1, 2) for b in (1, 2) for c in (1, 2, 3) for v in range(1, 15)]
    rows = [(i, *place, words(i, 9)) for i, place in enumerate(places)]
    columns = "id integer primary key, translation_id int, book_id int, chapter int, verse int, text"
    group = "translation_id || ' ' || book_id || ' ' || chapter"
    assert told(tmp_path, columns, rows)[0] == f'--group-by "{group}" --order-by verse'


def test_long_speeches_of_a_debate(tmp_path):
    rows = [(i, i // 6, i % 6, f"Ada {WORDS[i % 9]}", words(i, 90)) for i in range(210)]
    columns = "id integer primary key, debate_id int, speech_order int, speaker, speech"
    assert told(tmp_path, columns, rows) == ["--group-by debate_id --order-by speech_order"]


@pytest.mark.parametrize(("every_day", "length"), [(False, 90), (True, 90), (False, 25)])
def test_speeches_with_the_title_of_their_debate(tmp_path, every_day, length):
    """As in Hansard; questions are asked on several days."""
    rows = [
        (
            f"2024-05-{1 + i // 30:02}",
            f"Motion {(motion := i // 10 % 3 if every_day else i // 10)}: {words(motion, 3)}",
            f"Member {i % 7}",
            words(i, length),
        )
        for i in range(240)
    ]
    columns = "id integer primary key, date, minor_heading, speakername, speech"
    (options,) = (shlex.split(each) for each in told(tmp_path, columns, [(None, *row) for row in rows]))
    by = "date || ' ' || minor_heading" if every_day else "minor_heading"
    assert options[:2] == ["--group-by", by]
    assert options[-2:] == ["--title", "minor_heading"]
    source = open_source(str(tmp_path / "t.db"), "t", Selection(group_by=by, title="minor_heading"))
    first = next(source.documents())
    assert source.grouping.count == 24 and first.startswith("Motion 0: ") and "\nMember 1: " in first


def test_messages_of_telegram(tmp_path):
    rows = [(i, 9000 + i % 30, 1600000000 + i * 300, 7000 + i % 6, words(i, 9)) for i in range(210)]
    columns = "ID integer primary key, ContextID int, Date timestamp, FromID int, Message text"
    assert told(tmp_path, columns, rows) == ["--group-by ContextID --order-by Date"]


def test_lines_with_the_title_of_their_page(tmp_path):
    """As in an outline of Roam or Logseq."""
    rows = [(f"{i:09x}", words(1000 + i // 7, 3), i % 7, words(i, 9)) for i in range(210)]
    columns = 'uid text primary key, page_title, "order" int, string'
    (options,) = told(tmp_path, columns, rows)
    assert options == "--group-by page_title --order-by order --title page_title"
    selection = Selection(group_by="page_title", order_by="order", title="page_title")
    found = open_source(str(tmp_path / "t.db"), "t", selection)
    start = f"{words(1000, 3)}\n\n{words(0, 9)}\n{words(1, 9)}\n"
    assert any(document.startswith(start) for document in found.documents())
    own = [(f"{i:09x}", words(1000 + i, 3), i % 7, words(i, 9)) for i in range(210)]
    (tmp_path / "t.db").unlink()
    assert told(tmp_path, columns, own) == []


@pytest.mark.parametrize("subjects", [4, 60])
def test_messages_with_a_subject(tmp_path, subjects):
    """Zulip's: where many subjects are there, they are the titles."""
    rows = [(i, words(900 + i % subjects, 3), words(i, 9), i % 9, 1600000000 + i * 300) for i in range(210)]
    columns = "id integer primary key, subject, content text, sender_id int, date_sent int"
    options = told(tmp_path, columns, rows)[0]
    title = " --title subject" if subjects == 60 else ""
    assert options == f"--group-by subject --order-by date_sent{title}"


def test_the_same_subject_in_several_streams(tmp_path):
    rows = [(i, WORDS[i % 4], i // 4 % 3, words(i, 9), i % 9, 1600000000 + i * 300) for i in range(210)]
    columns = "id integer primary key, subject, recipient_id int, content text, sender_id int, date_sent int"
    group = "recipient_id || ' ' || subject"
    assert told(tmp_path, columns, rows)[0] == f'--group-by "{group}" --order-by date_sent'


def test_mail_with_the_subjects_of_others_is_not_put_together(tmp_path):
    subject = {0: "", 1: "Re: ", 2: "Re: "}
    rows = [(i, subject[i % 3] + words(900 + i // 3, 3), words(i, 9), f"Ada {i % 9}") for i in range(210)]
    assert told(tmp_path, "id integer primary key, subject, body, sender", rows) == []


def posts(own):
    """Long posts of 42 topics, in a forum that gives each a title of its own, or that of its topic."""
    titles = [
        f"{'Re: ' if i % 5 and not own else ''}{words(900 + (i if own else i // 5), 3)}" for i in range(210)
    ]
    return [(i, 1 + i // 5, f"anna{i % 3}", 10**9 + i, titles[i], words(i, 90)) for i in range(210)]


@pytest.mark.parametrize("own", [False, True])
def test_long_posts_with_the_title_of_their_topic(tmp_path, own):
    columns = "post_id integer primary key, topic_id int, username, post_time int, post_subject, post_text"
    options = told(tmp_path, columns, posts(own))
    assert options == ([] if own else ["--group-by topic_id --order-by post_time"])
    if not own:
        selection = Selection(group_by="topic_id", order_by="post_time")
        document = next(open_source(str(tmp_path / "t.db"), "t", selection).documents())
        assert document.count("Re: ") == 0 and document.count("\n") == 6


MESSAGES = {  # of one chat: people write several a day
    "id int, timestamp, author_name, content": lambda i: (
        (i, f"2024-03-{1 + i // 9:02}T10:{i % 60:02}", ["ada", "ben", "cara"][i * i % 3])
    ),
    "date_unixtime int, [from], text": lambda i: (1_700_000_000 + i * 9000, ["ada", "ben"][i * i % 3 % 2]),
    # WhatsApp, by other programs: SQLite does not sort such dates, but the rows are in their order.
    "date, time, author, message": lambda i: (
        (f"{1 + i // 9}/3/21", f"{1 + i % 12}:{i % 60:02} PM", ["ada", "ben", "cara"][i * i % 3])
    ),
    "day, author, message": lambda i: (f"{1 + i // 9}/3/21, {i % 12}:00 PM", ["ada", "ben"][i * i % 3 % 2]),
    "posted, author, message": lambda i: (f"{1 + i // 9}.3.2021 9:00", ["ada", "ben"][i * i % 3 % 2]),
}


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ("gespräch, absender, zeit, nachricht", "--group-by 'gespräch' --order-by zeit"),
        ("conversa_id, remetente, data_envio, mensagem", "--group-by conversa_id --order-by data_envio"),
        ("conversación, emisor, fecha, mensaje", "--group-by 'conversación' --order-by fecha"),
        ("чат, отправитель, время, сообщение", "--group-by 'чат' --order-by 'время'"),
        ("会话, 发送者, 发送时间, 内容", "--group-by '会话' --order-by '发送时间'"),
        ("トーク, 送信者, 日時, メッセージ", "--group-by 'トーク' --order-by '日時'"),
        ("대화방, 보낸사람, 시간, 내용", "--group-by '대화방' --order-by '시간'"),
    ],
)
def test_chats_in_other_languages(tmp_path, columns, options):
    who = ["Ada", "Ben", "Cy"]
    rows = [
        (f"k{i // 7}", who[i % 3], f"2024-03-{1 + i // 9:02} 10:{i % 60:02}", words(i, 7)) for i in range(180)
    ]
    assert told(tmp_path, columns, rows) == [options]
    group, order = shlex.split(options)[1::2]
    source = open_source(str(tmp_path / "t.db"), "t", Selection(group_by=group, order_by=order))
    assert next(source.documents()).startswith("Ada: ")


def test_an_export_of_skype(tmp_path):
    columns = "id text primary key, displayName, originalarrivaltime, messagetype, content, conversationid"
    who = ["Ada", "Ben", "Cy"]
    rows = [
        (f"{i:016}", who[i % 3], f"2024-03-01T10:{i % 60:02}:00Z", "RichText", words(i, 7), f"8:{i // 9}")
        for i in range(150)
    ]
    options, *_ = told(tmp_path, columns, rows)
    assert options == "--group-by conversationid --order-by originalarrivaltime"
    selection = Selection(group_by="conversationid", order_by="originalarrivaltime")
    assert next(open_source(str(tmp_path / "t.db"), "t", selection).documents()).startswith("Ada: ")


@pytest.mark.parametrize("columns", MESSAGES)
def test_messages_of_one_chat_are_read_by_days(tmp_path, columns):
    rows = [(*MESSAGES[columns](i), words(i, 7)) for i in range(150)]
    (options,) = (shlex.split(each) for each in told(tmp_path, columns, rows))
    assert options[::2] == ["--group-by", "--order-by"]
    source = open_source(str(tmp_path / "t.db"), "t", Selection(group_by=options[1], order_by=options[3]))
    _, first, *_ = source.documents()
    assert source.grouping.count < 20 and first.startswith(("ada: ", "ben: ")) and len(first.splitlines()) > 5


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        # Of other people each time, and of one.
        ("date, author, text", lambda i: (f"2024-03-{1 + i // 9:02}", words(i, 2), words(i, 9))),
        ("date, author, text", lambda i: (f"2024-03-{1 + i // 9:02}", "ada", words(i, 9))),
        # Few a day.
        ("date, author, text", lambda i: (f"20{i // 12:02}-{1 + i % 12:02}-01", "ab"[i % 2], words(i, 9))),
        # Changes to a program.
        (
            "sha, date, author, message",
            lambda i: (f"{i * 7**20:040x}"[:40], f"2024-03-{1 + i // 9:02}", "ab"[i % 2], words(i, 9)),
        ),
        # Reviews.
        (
            "date, author, stars int, review",
            lambda i: (f"2024-03-{1 + i // 9:02}", "ab"[i % 2], i % 5, words(i, 9)),
        ),
        # Posts of several people, which answer nobody.
        (
            "uri, created_at, author_handle, text, like_count int",
            lambda i: (f"at://{i}", f"2024-03-{1 + i // 9:02}", "ab"[i % 2] * 3, words(i, 9), i % 4),
        ),
        # Long texts.
        ("date, author, text", lambda i: (f"2024-03-{1 + i // 9:02}", "ab"[i % 2], words(i, 90))),
    ],
)
def test_rows_of_a_day_that_are_no_chat(tmp_path, columns, row):
    assert told(tmp_path, columns, [row(i) for i in range(150)]) == []


def test_who_wrote_a_row_is_no_time(tmp_path):
    rows = [
        (i, i // 6, i * 7 % 5, f"2024-05-{1 + i // 20:02} 10:{i % 60:02}", words(i, 9)) for i in range(180)
    ]
    columns = "id integer primary key, thread_id int, created_by int, created_at, text"
    assert told(tmp_path, columns, rows) == ["--group-by thread_id --order-by created_at"]


def test_a_time_that_few_rows_have_is_no_order(tmp_path):
    """SMS Backup: `date_sent` is 0 in what one wrote oneself."""
    rows = [(i, 1600000000 + i, (1600000000 + i) * (i % 2), f"Ada {i % 30}", words(i, 9)) for i in range(210)]
    columns = "id integer primary key, date int, date_sent int, chat_name, body"
    assert told(tmp_path, columns, rows)[0] == "--group-by chat_name --order-by date"


def sms(path, types, name="address"):
    """Messages with four people, as exports of Android have them."""
    with sqlite3.connect(path) as db:
        db.execute(f"create table messages ({name} text, date integer, type, body text)")
        for i in range(60):
            number = f"+4915112345{i * 7 % 4}"
            at = 1_600_000_000_000 + i * 600_000
            db.execute(
                "insert into messages values (?, ?, ?, ?)", [number, at, types[i % len(types)], TEXT[i]]
            )
    return open_source(str(path), "messages")


TEXT = [
    f"Please buy {['bread', 'soup', 'milk', 'tea'][i * i % 4]} {i}, see you at the pump." for i in range(60)
]


@pytest.mark.parametrize(("types", "kind"), [([1, 2, 2], int), (["1", "2", "1", "3"], str)])
def test_short_messages_of_a_phone(tmp_path, types, kind):
    """A text for each number; who wrote what is told, and not that nobody did."""
    told = list(row_hints(sms(tmp_path / "sms.db", types)))
    assert not any("nobody" in each for each in told)
    assert any("--group-by address --order-by date" in each for each in told)
    (by_whom,) = (each for each in told if "--template" in each)
    options = Selection(group_by="address", order_by="date", template=shlex.split(by_whom)[-1])
    first = next(open_source(str(tmp_path / "sms.db"), "messages", options).documents()).split("\n")
    for line in first:
        who, _, text = line.partition(": ")
        assert (who == "I") == (str(types[TEXT.index(text) % len(types)]) == "2")
    assert len(first) == 15


@pytest.mark.parametrize(
    ("types", "name"), [([1, 2], "place"), ([1, 12], "address"), (["a", "b"], "address")]
)
def test_other_types_say_nothing_of_who_wrote(tmp_path, types, name):
    assert not any("--template" in each for each in row_hints(sms(tmp_path / "any.db", types, name)))


@pytest.mark.parametrize("key", ["tid", "topic_id"])
def test_posts_of_a_forum_with_the_titles_of_their_threads(tmp_path, key):
    rows = [
        (i, i // 6, f"{'RE: ' if i % 6 else ''}Of boat {i // 6}", i % 5, i, words(i, 60)) for i in range(90)
    ]
    columns = f"pid integer primary key, {key} int, subject, username, dateline int, message"
    (options,) = told(tmp_path, columns, rows, "posts")
    assert options == f"--group-by {key} --order-by dateline"
