"""Chats as programs keep them: conversations and people are in other tables, and times are numbers."""

import json
import shlex
import sqlite3

import pytest

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from llm_nanogpt.errors import InvalidOptions

DAY = 86_400
WORDS = [
    "we",
    "meet",
    "at",
    "the",
    "old",
    "mill",
    "beside",
    "the",
    "river",
    "and",
    "bring",
    "bread",
    "for",
    "all",
    "who",
    "come",
    "by",
    "boat",
    "today",
]


def says(i):
    return " ".join(WORDS[(i * 7 + j * 3) % len(WORDS)] for j in range(6)) + f" {i}"


@pytest.fixture
def chat(tmp_path):
    """chat(script, insert, rows) makes a database with a table `message` and returns its path."""

    def make(script, insert="", rows=()):
        path = str(tmp_path / "chat.db")
        db = sqlite3.connect(path)
        with db:
            db.executescript(script)
            if insert:
                db.executemany(insert, rows)
        db.close()
        return path

    return make


def remarks(path, table="message", **options):
    (told,) = preview(open_corpus(path, [table], Selection(**options))).tables
    return told.remarks


def options_of(remark):
    """The options at the end of a remark, as `Selection` has them."""
    words = shlex.split(remark.partition(": ")[2])
    words = words[next(i for i, word in enumerate(words) if word.startswith("--")) :]
    return {word[2:].replace("-", "_"): words[i + 1] for i, word in enumerate(words) if word.startswith("--")}


TIMES = {
    "date": (lambda i: f"2024-05-{1 + i // 20:02} 10:{i % 60:02}", "date(sent)"),
    "seconds": (lambda i: 1_700_000_000 + i * DAY // 20, "date(sent, 'unixepoch')"),
    "milliseconds": (lambda i: (1_700_000_000 + i * DAY // 20) * 1000, "date(sent / 1000, 'unixepoch')"),
    "Slack": (
        lambda i: f"{1_700_000_000 + i * DAY // 20}.000{i:03}",
        "date(cast(sent as real), 'unixepoch')",
    ),
    "Apple": (lambda i: 700_000_000 + i * DAY // 20, "date(sent + 978307200, 'unixepoch')"),
    "Apple, nanoseconds": (
        lambda i: (700_000_000 + i * DAY // 20) * 10**9,
        "date(sent / 1000000000 + 978307200, 'unixepoch')",
    ),
}


@pytest.mark.parametrize(("time", "day"), TIMES.values(), ids=TIMES)
def test_few_conversations_are_told_with_the_option_for_days(chat, time, day):
    path = chat(
        "create table message (id integer primary key, chat_id int, text text, sent)",
        "insert into message values (?, ?, ?, ?)",
        [(i, i % 3, says(i), time(i)) for i in range(200)],
    )
    suggested = [remark for remark in remarks(path) if "--group-by" in remark]
    assert options_of(suggested[0]) == {"group_by": "chat_id", "order_by": "sent"}
    by_day = options_of(suggested[1])
    assert by_day == {"group_by": f"chat_id || ' ' || {day}", "order_by": "sent"}
    assert 30 <= open_source(path, "message", Selection(**by_day)).document_count <= 33
    (told,) = [each for each in remarks(path, group_by="chat_id") if "only 3 texts" in each]
    assert options_of(told) == by_day
    assert not any("only" in each for each in remarks(path, **by_day))


def test_a_pair_of_keys_says_which_conversation_a_message_is_in(chat):
    """As in Apple's Messages."""
    path = chat(
        "create table message (ROWID integer primary key, handle_id int, text, date int, is_from_me int);"
        "create table handle (ROWID integer primary key, id text);"
        "create table chat_message_join (chat_id int, message_id int, primary key (chat_id, message_id))",
        "insert into message values (?, ?, ?, ?, ?)",
        [(i, i % 5, says(i), 600_000_000 + i * 600, i % 2) for i in range(200)],
    )
    with sqlite3.connect(path) as db:
        pairs = [(i % 40, i) for i in range(200)]
        db.executemany("insert into chat_message_join values (?, ?)", pairs)
        people = [(i, f"person{i}@example.org") for i in range(5)]
        db.executemany("insert into handle values (?, ?)", people)
    told = [options_of(each) for each in remarks(path) if "--group-by" in each]
    assert told[0]["order_by"] == "date"
    grouped = open_source(path, "message", Selection(**told[0]))
    assert grouped.document_count == 40
    assert next(grouped.documents()) == "\n".join(says(i) for i in range(0, 200, 40))
    (corpus,) = open_corpus(path, [], Selection(**told[1])).sources
    assert corpus.speaker == "speaker"
    assert next(corpus.documents()).startswith(
        f"person0@example.org: {says(0)}\nperson0@example.org: {says(40)}"
    )


def test_a_number_is_no_name_and_the_name_is_found(chat):
    path = chat(
        "create table member (id integer primary key, phone text, nickname text);"
        "create table message (id integer primary key, room int, member_id int references member,"
        " sender_id int, text text, sent text)",
        "insert into message values (?, ?, ?, ?, ?, ?)",
        [(i, i // 5, i % 4, i % 4, says(i), f"2024-05-{1 + i // 20:02}") for i in range(200)],
    )
    with sqlite3.connect(path) as db:
        people = [(i, f"49171234{i}", ["Ada", "Ben", "Cem", "Dora"][i]) for i in range(4)]
        db.executemany("insert into member values (?, ?, ?)", people)
    grouped = open_source(path, "message", Selection(group_by="room", order_by="id"))
    assert grouped.speaker is None
    (told,) = [each for each in remarks(path) if "The names of who wrote" in each]
    assert "member (nickname)" in told
    (source,) = open_corpus(path, [], Selection(**options_of(told))).sources
    assert next(source.documents()).startswith(f"Ada: {says(0)}\nBen: {says(1)}\nCem: ")


@pytest.mark.parametrize("column", ["author_id", "creator_id", "SenderId", "posted_by_author"])
@pytest.mark.parametrize("table", ["users", "person", "auth_user"])
@pytest.mark.parametrize("key", [int, lambda i: f"0f8fad5b-d9cb-469f-a165-70867728950{i}"])
def test_who_wrote_a_row_may_be_in_any_table_of_people(chat, column, table, key):
    path = chat(
        f"create table {table} (id primary key, name text);"
        f"create table message (id integer primary key, topic_id int, {column}, text text, sent text)",
        "insert into message values (?, ?, ?, ?, ?)",
        [(i, i // 5, key(i % 4), says(i), f"2024-05-{1 + i // 20:02}") for i in range(200)],
    )
    with sqlite3.connect(path) as db:
        people = [(key(i), ["Ada", "Ben", "Cem", "Dora"][i]) for i in range(4)]
        db.executemany(f"insert into {table} values (?, ?)", people)
    (told,) = [each for each in remarks(path) if "The names of who wrote" in each]
    (source,) = open_corpus(path, [], Selection(**options_of(told))).sources
    assert next(source.documents()).startswith(f"Ada: {says(0)}\nBen: {says(1)}\nCem: ")


def test_a_table_goes_before_a_view_with_the_same_text(chat):
    path = chat(
        "create table message (id integer primary key, chat_id int, text text);"
        "create table chat (id integer primary key, subject text);"
        "insert into chat values (0, 'Family'), (1, 'Work'), (2, null);"
        "create view named as select message.id as _id, subject as chat_name, text as body from message"
        " join chat on chat.id = chat_id",
        "insert into message values (?, ?, ?)",
        [(i, i % 3, says(i)) for i in range(200)],
    )
    with pytest.raises(InvalidOptions, match=r"The one with the most text: \S+ nanogpt-train \S+ message$"):
        open_corpus(path)
    (told,) = [each for each in remarks(path, "named") if "--group-by" in each]
    assert options_of(told) == {"group_by": "chat_name", "order_by": "_id"}
    assert "Rows without a chat_name stay texts by themselves" in told
    without = remarks(path, "named", group_by="chat_name")
    assert any("come in no order" in each for each in without)
    assert any(each.endswith("--order-by _id") for each in without)
    assert any(each.startswith("66 rows have no chat_name: each is a text by itself") for each in without)
    ordered = remarks(path, "named", group_by="chat_name", order_by="_id")
    assert not any("come in no order" in each for each in ordered)


def test_the_title_of_a_conversation_is_told_with_who_wrote_it(chat):
    path = chat(
        "create table users (id integer primary key, username text);"
        "create table topics (id integer primary key, title text);"
        "create table posts (id integer primary key, user_id integer references users(id),"
        " topic_id integer references topics(id), post_number integer, raw text);"
        "insert into users values (1, 'ada'), (2, 'ben');"
        + "".join(f"insert into topics values ({i}, 'All about number {i}');" for i in range(30)),
        "insert into posts values (?, ?, ?, ?, ?)",
        [(i, 1 + i % 2, i // 6, 1 + i % 6, " ".join(says(i + j) for j in range(12))) for i in range(180)],
    )
    first, second = remarks(path, "posts")
    assert "--group-by topic_id --order-by post_number" in first
    assert "may be in users (username)" in second and "may be in topics (title)" in second
    source = open_source(path, "query", Selection(**options_of(second)))
    document = next(source.documents())
    assert document.startswith(f"All about number 0\n\nada: {says(0)}")


def test_the_name_of_a_recipe_is_told_beside_a_column_of_titles(chat):
    path = chat(
        "create table recipes (id integer primary key, name text);"
        "create table steps (id integer primary key, recipe_id integer references recipes(id),"
        " position integer, title text, text text);"
        + "".join(f"insert into recipes values ({i}, 'Cake {i}');" for i in range(40)),
        "insert into steps values (?, ?, ?, ?, ?)",
        [(i, i // 5, i % 5, "", says(i)) for i in range(200)],
    )
    first, second = remarks(path, "steps")
    assert first.endswith("--group-by recipe_id --order-by position")
    source = open_source(path, "query", Selection(**options_of(second)))
    assert next(source.documents()).startswith(f"Cake 0\n\n{says(0)}\n{says(1)}")


def test_what_a_channel_is_called_is_no_title(chat):
    path = chat(
        "create table channels (id integer primary key, name text);"
        "create table message (id integer primary key, channel_id integer references channels(id),"
        " sender text, sent text, text text);"
        + "".join(f"insert into channels values ({i}, 'room {i}');" for i in range(30)),
        "insert into message values (?, ?, ?, ?, ?)",
        [(i, i % 30, "Ada", f"2024-01-{1 + i % 28:02}", says(i)) for i in range(200)],
    )
    (only,) = remarks(path)
    assert "--group-by channel_id" in only


@pytest.mark.parametrize(("flag", "suggested"), [(", is_from_me int", 1), (", likes int", 0)])
def test_the_posts_of_a_handle_are_no_conversation(chat, flag, suggested):
    path = chat(
        f"create table post (id integer primary key, handle text, text text, created_at text{flag})",
        "insert into post values (?, ?, ?, ?, ?)",
        [(i, f"ada{i % 30}.example.org", says(i), f"2024-05-{1 + i // 20:02}", i % 2) for i in range(200)],
    )
    told = [each for each in remarks(path, "post") if "--group-by handle" in each]
    assert bool(told) == bool(suggested)


def test_columns_with_names_that_sql_reserves(chat):
    """Prosody's archive: `with` says with whom, and `when` is the time."""
    script = 'create table message (id integer primary key, "when" int, "with" text, body text)'
    rows = [(i, 1_600_000_000 + i * DAY // 9, f"{'abc'[i % 3]}@example.org", says(i)) for i in range(240)]
    stanza = f"<message xmlns='jabber:client' type='chat' id='{'0' * 200}'><body>"
    rows = [(*row[:3], f"{stanza}{row[3]}</body><active xmlns='x'/></message>") for row in rows]
    path = chat(script, "insert into message values (?, ?, ?, ?)", rows)
    first, by_day, *_ = remarks(path)
    assert first.endswith(": --group-by with --order-by when")
    _, by, _, order = shlex.split(by_day.rpartition(": ")[2])
    assert open_source(path, "message", Selection(group_by=by, order_by=order)).grouping.count > 20


def test_the_titles_of_what_notes_are_about(chat):
    """As in Redmine: a column beside the number says of what it is."""
    path = chat(
        "create table message (id integer primary key, journalized_id int, journalized_type, user_id int,"
        "notes, created_on); create table issues (id integer primary key, subject, description)",
        "insert into message values (?, ?, 'Issue', ?, ?, ?)",
        [(i, 1 + i // 4, i % 7, says(i), f"2024-05-01 {i // 10:02}:{i % 10:02}") for i in range(200)],
    )
    with sqlite3.connect(path) as db:
        issues = [(i, f"The gate number {i} does not open", says(i)) for i in range(1, 60)]
        db.executemany("insert into issues values (?, ?, ?)", issues)
    told = [each for each in remarks(path) if "may be in issues (subject)" in each]
    options = options_of(told[0])
    assert (options["group_by"], options["order_by"]) == ("journalized_id", "created_on")
    document = next(open_source(path, "query", Selection(**options)).documents())
    assert document.startswith("The gate number 1 does not open\n\n")


@pytest.mark.parametrize("prefix", ["", "t3_"])
def test_the_titles_of_what_comments_on_reddit_are_about(chat, prefix):
    path = chat(
        "create table comments (id text primary key, link_id, author, created_utc int, body);"
        "create table submissions (id text primary key, title, selftext)",
        "insert into comments values (?, ?, ?, ?, ?)",
        [(f"c{i:05x}", f"t3_a{i // 4}z", f"ada{i % 7}", 1_600_000_000 + i, says(i)) for i in range(200)],
    )
    with sqlite3.connect(path) as db:
        posts = [(f"{prefix}a{i}z", f"The gate number {i} does not open", says(i)) for i in range(40)]
        db.executemany("insert into submissions values (?, ?, ?)", posts)
    options = options_of(
        next(each for each in remarks(path, "comments") if "may be in submissions (title)" in each)
    )
    assert (options["group_by"], options["order_by"]) == ("link_id", "created_utc")
    documents = list(open_source(path, "query", Selection(**options)).documents())
    assert any(each.startswith("The gate number 1 does not open\n\nada") for each in documents)


def bugs(i):
    return f"The gate number {i} does not open"


@pytest.mark.parametrize(
    ("key", "label", "speaker"),
    [
        ("bug_id", "short_desc", "who int"),  # Bugzilla
        ("bug_id", "title", "author"),
        ("bug_id", "summary", "by"),
    ],
)
def test_what_several_people_say_of_one_thing(chat, key, label, speaker):
    """Whatever their table is called: a column leads to a table with titles, others say who and when."""
    path = chat(
        f"create table longdescs (id integer primary key, {key} int, {speaker}, bug_when, thetext);"
        f"create table bugs ({key} integer primary key, status, {label})",
        "insert into longdescs values (?, ?, ?, ?, ?)",
        [
            (i, 1 + i // 3, f"{i % 6}@example.org", f"2024-05-{1 + i // 20:02}", says(i) * 20)
            for i in range(180)
        ],
    )
    with sqlite3.connect(path) as db:
        db.executemany("insert into bugs values (?, 'new', ?)", [(i, bugs(i)) for i in range(1, 70)])
    told = remarks(path, "longdescs")
    assert any(each.endswith(f": --group-by {key} --order-by bug_when") for each in told)
    options = options_of(next(each for each in told if f"may be in bugs ({label})" in each))
    documents = list(open_source(path, "query", Selection(**options)).documents())
    assert len(documents) == 60 and documents[0].startswith(f"{bugs(1)}\n\n")


@pytest.mark.parametrize(("table", "of"), [("CaseComment", "Case"), ("ticket_replies", "tickets")])
def test_a_parent_is_in_the_table_that_the_name_begins_with(chat, table, of):
    """As in Salesforce, whose exports are files of CSV without keys."""
    path = chat(
        f'create table "{table}" (Id, ParentId, CommentBody, CreatedById, CreatedDate);'
        f'create table "{of}" (Id, Subject, Description)',
        f'insert into "{table}" values (?, ?, ?, ?, ?)',
        [
            (f"00a{i:015x}", f"500{i // 4:015x}", says(i), f"005{i % 6:015x}", f"2024-05-01 10:{i % 60:02}")
            for i in range(200)
        ],
    )
    with sqlite3.connect(path) as db:
        cases = [(f"500{i:015x}", bugs(i), says(i)) for i in range(60)]
        db.executemany(f'insert into "{of}" values (?, ?, ?)', cases)
    told = [each for each in remarks(path, table) if f"may be in {of} (Subject)" in each]
    options = options_of(told[0])
    assert (options["group_by"], options["order_by"]) == ("ParentId", "CreatedDate")
    document = next(open_source(path, "query", Selection(**options)).documents())
    assert document.startswith(f"{bugs(0)}\n\n{says(0)}")


def test_a_key_of_the_same_name_leads_to_another_table(chat):
    """Tables from CSV files have no keys; the names of their columns say what belongs together."""
    path = chat(
        "create table movie_lines (lineID, movieID, character, text);"
        "create table movie_titles (movieID, title, year)",
        "insert into movie_lines values (?, ?, ?, ?)",
        [(f"L{i}", f"m{i // 8}", ["ADA", "BEN"][i % 2], says(i)) for i in range(240)],
    )
    with sqlite3.connect(path) as db:
        titles = [(f"m{i}", f"the gates of {i} towns", "1999") for i in range(40)]
        db.executemany("insert into movie_titles values (?, ?, ?)", titles)
    told = [each for each in remarks(path, "movie_lines") if "may be in movie_titles (title)" in each]
    document = next(open_source(path, "query", Selection(**options_of(told[0]))).documents())
    assert document.startswith(f"the gates of 0 towns\n\nADA: {says(0)}")


@pytest.mark.parametrize(
    ("column", "sent", "received"),
    [
        ("direction", "outgoing", "incoming"),
        ("type", "sent", "received"),
        ("is_send", 1, 0),
        ("type", 10485783, 10485780),  # of Signal on Android
    ],
)
def test_which_messages_are_ones_own(chat, column, sent, received):
    path = chat(
        "create table message (id integer primary key, thread_id int, from_recipient_id int, date int, body, "
        f"{column})",
        "insert into message values (?, ?, ?, ?, ?, ?)",
        [
            (i, i % 4, i % 5, 1_700_000_000 + i * DAY // 20, says(i), [received, sent][i // 3 % 2])
            for i in range(100)
        ],
    )
    told = remarks(path)
    (own,) = [remark for remark in told if "as speaker" in remark]
    source = open_corpus(path, [], Selection(**options_of(own))).sources[0]
    document = next(source.documents())
    assert document.startswith("them: ") and "\nme: " in document


def test_calls_are_no_messages_of_either_side(chat):
    path = chat(
        "create table message (id integer primary key, thread_id int, date int, body, type)",
        "insert into message values (?, ?, ?, ?, ?)",
        [(i, i % 4, 1_700_000_000 + i, says(i), "note" if i % 3 else "incoming") for i in range(100)],
    )
    assert not any("as speaker" in remark for remark in remarks(path))


def test_messages_that_are_in_json_as_well_are_short(chat):
    """As Signal on a computer has them."""
    path = chat(
        "create table message (id integer primary key, json, conversationId, sent_at int, body, type)",
        "insert into message values (?, ?, ?, ?, ?, ?)",
        [
            (
                i,
                json.dumps({"id": f"{i:032x}", "body": says(i), "attachments": [], "sentTo": ["a" * 150]}),
                f"{i % 4:08x}-1111-4222-8333-123456789abc",
                1_700_000_000_000 + i * DAY * 50,
                says(i) if i % 20 else "",
                ["incoming", "outgoing"][i // 3 % 2],
            )
            for i in range(100)
        ],
    )
    assert any("--group-by conversationId --order-by sent_at" in remark for remark in remarks(path))


def test_a_handle_of_a_chat_may_be_a_talker(chat):
    path = chat(
        "create table message (id integer primary key, talker, createTime int, content, isSend int)",
        "insert into message values (?, ?, ?, ?, ?)",
        [
            (i, ["wxid_ab12cd34ef56gh", "12345@chatroom"][i % 2], 1_700_000_000 + i, says(i), i // 3 % 2)
            for i in range(100)
        ],
    )
    (own,) = [remark for remark in remarks(path) if "as speaker" in remark]
    assert options_of(own)["group_by"] == "talker"
