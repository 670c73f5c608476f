"""What a stranger expects to be read of tables as people publish them."""

import gzip
import json
import shlex
import sqlite3

import pytest
from odd_tables import ROWS, Writer, number, same
from published_tables import PUBLISHED, WITHOUT_TEXT
from test_odd_tables import write

from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview, preview_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand
from llm_nanogpt.errors import NanogptError


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_read_of_it(tmp_path, name, reverse):
    columns, title, body = PUBLISHED[name]
    found = open_source(write(tmp_path / "any.db", columns, reverse), "t")
    assert found.title == title, found.left_out
    assert sorted(found.body) == sorted(body), found.left_out
    assert found.read_as_text in ([], ["HTML"])
    documents = list(found.documents())
    assert len(documents) == found.row_count
    assert not any("<p>" in document or '["' in document for document in documents)


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_labels_and_keys_are_no_text(tmp_path, name):
    path = write(tmp_path / "any.db", WITHOUT_TEXT[name])
    with pytest.raises(NoTextError, match="no column of plain text"):
        open_source(path, "t")
    with pytest.raises(NanogptError, match="None of them has a column of text"):
        open_corpus(path)


def test_the_tables_of_revisions_are_not_proposed(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        for table, copies in (("body_revision", 5), ("body", 1), ("notes_normalized", 3)):
            db.execute(f"create table {table} (body)")
            rows = [(f"The {i}th morning at the harbour was quiet. " * 3 * copies,) for i in range(20)]
            db.executemany(f"insert into {table} values (?)", rows)
    assert open_corpus(path).name == "body"


def remarks(path):
    found = open_source(path, "t")
    return " ".join(preview_source(found, TrainCommand(path)).remarks)


def test_underscores_of_titles_are_spaces(tmp_path):
    def title(w):
        words = w.title()
        return words.split()[0] if w.i % 2 else words.replace(" ", "_") + "_(film)"

    path = write(tmp_path / "any.db", {"page_title": title, "text": Writer.text})
    assert next(open_source(path, "t").documents()).split("\n")[0].endswith(" (film)")
    columns = {"title": lambda w: f"{w.title()} of snake_case", "text": Writer.text}
    assert "snake_case" in next(open_source(write(tmp_path / "other.db", columns), "t").documents())


def test_nothing_in_words_is_no_text(tmp_path):
    columns = {
        "title": lambda w: "nan" if w.i % 10 == 0 else w.title(),
        "body": lambda w: "[removed]" if w.i % 5 == 0 else w.text(),
    }
    path = write(tmp_path / "any.db", columns)
    found = open_source(path, "t")
    documents = list(found.documents())
    assert found.skipped == {"only '[removed]'": 6}
    assert not any("nan" in text.split() or "[removed]" in text for text in documents)
    assert "6 rows are skipped: only '[removed]'." in remarks(path)


def test_several_sorts_of_no_text_are_told_at_once(tmp_path):
    """As rows of Reddit that were removed, or deleted by who wrote them."""
    columns = {"id": lambda w: w.i, "body": lambda w: ["[removed]", "[deleted]", "", w.text()][w.i % 4]}
    expected = "45 rows are skipped: only '[removed]' in 15, only '[deleted]' in 15, no text in 15."
    assert remarks(write(tmp_path / "any.db", columns)) == expected


def test_titles_alone_are_told(tmp_path):
    columns = {"Title": Writer.title, "My Review": lambda w: w.text() if w.i % 4 == 0 else ""}
    path = write(tmp_path / "any.db", columns)
    told = remarks(path)
    assert "45 rows have a title and no text" in told
    assert shlex.split(told)[-1] == """trim("My Review") <> ''"""
    assert "titles" not in remarks(write(tmp_path / "b.db", {"title": Writer.title, "text": Writer.text}))


def test_revisions_and_drafts_are_told(tmp_path):
    columns = {
        "post_title": Writer.title,
        "post_content": Writer.text,
        "post_status": lambda w: ["publish", "inherit", "auto-draft"][w.i % 3],
    }
    told = remarks(write(tmp_path / "any.db", columns))
    assert "In 40 rows post_status is auto-draft or inherit." in told
    assert shlex.split(told)[-1] == "post_status not in ('auto-draft', 'inherit')"


@pytest.mark.parametrize("own", ["i % 2 = 0", "i < 40 or i > 50", "i >= 10 -- the first ones are tests"])
def test_what_leaves_rows_out_keeps_the_condition_of_the_run(tmp_path, own):
    """The option replaces the one that was given: the rows that it left out came back."""
    columns = {
        "i": number,
        "title": Writer.title,
        "body": lambda w: [w.text(), " ", "nan", "\n"][w.i % 4],
        "more": lambda w: w.text() * 2 if w.i % 4 in (0, 1) else None,
        "state": lambda w: [None, "deleted", "published"][w.i % 3],
    }
    path = write(tmp_path / "any.db", columns)
    found = open_source(path, "t", Selection(body=["body", "more"], where=own))
    rows = [row["i"] for row in found.sample]
    no_text, no_draft = (remark for remark in row_hints(found))
    for remark, kept in ((no_text, lambda i: i % 4 in (0, 1)), (no_draft, lambda i: i % 3 != 1)):
        where = shlex.split(remark.split("out: ")[1])[-1]
        left = open_source(path, "t", Selection(body=["body", "more"], where=where))
        assert [row["i"] for row in left.sample] == [i for i in rows if kept(i)]


def nested(w):
    opinions = [{"type": "majority", "author": "LEE, J.", "text": w.story}]
    return json.dumps({"data": {"head matter": w.title(), "opinions": opinions}, "status": "ok"})


def test_more_text_in_json_is_told(tmp_path):
    path = write(tmp_path / "any.db", {"name": lambda w: f"{w.name()} v. {w.name()}", "casebody": nested})
    told = remarks(path)
    assert "more text in casebody, which is JSON. To read $.data.opinions[0].text of it" in told
    found = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    assert found.body == ("text",) and Writer(0).story in next(found.documents())
    beside = {
        "title": Writer.title,
        "body": Writer.text,
        "settings": lambda w: json.dumps({"at": [w.title()]}),
    }
    assert "JSON" not in remarks(write(tmp_path / "b.db", beside))


@pytest.mark.parametrize("is_all", [True, False], ids=["all JSON", "some rows without"])
@pytest.mark.parametrize("key", ["meant", "what is meant"])
def test_text_in_all_elements_of_a_list_is_told(tmp_path, key, is_all):
    def senses(w):
        return json.dumps([{"n": n, key: w.sentence(), "of": ["old"]} for n in range(1 + w.i % 4)])

    path = write(
        tmp_path / "any.db",
        {"word": Writer.title, "used": lambda w: w.sentence(8)}
        | {"senses": lambda w: senses(w) if is_all or w.i % 9 else "none"},
    )
    told = remarks(path)
    assert "There is more text in senses, which is JSON. To read $[*]" in told
    found = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    documents = list(found.documents())
    whole = [1 + i % 4 for i in range(ROWS) if is_all or i % 9]
    assert found.body == ("text",) and sum(text.count(".") for text in documents) == sum(whole)


def test_text_in_json_that_is_read_anyway_is_not_told(tmp_path):
    columns = {
        "text": Writer.text,
        "blocks": lambda w: json.dumps([{"elements": [{"text": w.text() + " :-)"}]}]),
    }
    assert "JSON" not in remarks(write(tmp_path / "any.db", columns))


def test_definitions_in_a_list_are_read(tmp_path):
    def senses(w):
        return json.dumps([{"n": n, "def": w.sentence(), "labels": ["old"]} for n in range(1 + w.i % 3)])

    path = write(tmp_path / "any.db", {"headword": Writer.title, "senses": senses})
    found = open_source(path, "t")
    first, second = list(found.documents())[:2]
    assert found.body == ("senses",) and "{" not in first + second and second.count(".") == 2


def test_what_many_rows_share_is_no_title_beside_another(tmp_path):
    columns = {"product_title": lambda w: f"The mill {w.i // 10}", "review_headline": Writer.title}
    path = write(tmp_path / "any.db", columns | {"review_body": Writer.text})
    assert open_source(path, "t").title == "review_headline"
    path = write(tmp_path / "b.db", {"product_title": columns["product_title"], "body": Writer.text})
    assert open_source(path, "t").title == "product_title"


def test_blank_bytes_are_no_text(tmp_path):
    path = write(tmp_path / "any.db", {"title": Writer.title, "body": lambda w: [b" \n", w.text()][w.i % 2]})
    assert "30 rows have a title and no text" in remarks(path)


@pytest.mark.parametrize(
    ("columns", "command"),
    [
        (
            {"chat": lambda w: w.i % 4, "ts": Writer.date, "msg": Writer.sentence},
            "--group-by chat --order-by ts",
        ),
        (  # numbers in words sort where all are as long
            {"channel": lambda w: w.i % 4, "ts": lambda w: f"16{w.i:08d}.000200", "msg": Writer.sentence},
            "--group-by channel --order-by ts",
        ),
        (
            {"channel": lambda w: w.i % 4, "ts": lambda w: f"1600{w.i}", "msg": Writer.sentence},
            "--group-by channel --order-by 'cast(ts as integer)'",
        ),
        (
            {"video_id": lambda w: w.i // 9, "start": lambda w: w.i * 2.5, "text": Writer.sentence},
            "--group-by video_id --order-by start",
        ),
        (
            {"movieID": lambda w: w.i % 4, "lineID": lambda w: f"L{w.i}", "text": Writer.sentence},
            "--group-by movieID",
        ),
        (  # the numbers of chapters begin again in each book
            {"book": lambda w: w.i // 20, "chapter": lambda w: w.i // 5 % 4, "text": Writer.sentence},
            """--group-by "book || ' ' || chapter\"""",
        ),
        (
            {"series": lambda w: "AB"[w.i // 30], "episode": lambda w: w.i // 10 % 3, "n": lambda w: w.i % 10}
            | {"text": Writer.sentence},
            """--group-by "series || ' ' || episode" --order-by n""",
        ),
        (  # no name says so, but the numbers of lines do
            {"path": lambda w: f"/talks/{w.i // 12}.srt", "cue": lambda w: w.i % 12, "text": Writer.sentence},
            "--group-by path --order-by cue",
        ),
        (
            {"sceneLine": lambda w: f"1.1.{w.i}", "play": lambda w: w.i // 20, "text": Writer.sentence},
            "--group-by play",
        ),
        ({"path": lambda w: f"/talks/{w.i // 12}", "cue": lambda w: w.i % 7, "text": Writer.sentence}, None),
        ({"shop": lambda w: w.i // 12, "stars": lambda w: w.i % 5, "text": Writer.sentence}, None),
        ({"topic": lambda w: w.i % 4, "body": Writer.text}, None),
        ({"session": lambda w: w.i, "body": Writer.sentence}, None),
    ],
)
def test_rows_of_a_conversation_are_told(tmp_path, columns, command):
    told = remarks(write(tmp_path / "any.db", columns))
    told, _, _ = told.partition(" These are few texts, ")
    assert told.endswith(f" text: {command}") if command else "--group-by" not in told


def test_the_group_that_is_suggested_can_be_typed(tmp_path):
    columns = {"season": lambda w: w.i // 30, "episode": lambda w: w.i // 10 % 3, "text": Writer.sentence}
    path = write(tmp_path / "any.db", columns)
    group = shlex.split(remarks(path))[-1]
    found = open_source(path, "t", Selection(group_by=group))
    assert found.grouping.count == 6 == len(list(found.documents()))


def test_a_heading_within_divs_is_not_repeated(tmp_path):
    titles = {}
    columns = {
        "title": lambda w: titles.setdefault(w.i, w.title()),
        "body": lambda w: f"<div><h1>{titles[w.i]}</h1></div>\n<div><br></div>\n<div>{w.paragraph()}</div>",
    }
    document = next(open_source(write(tmp_path / "any.db", columns), "t").documents())
    assert document.count(titles[0]) == 1


def test_a_table_whose_tokenizer_is_missing_is_read_in_its_contents(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table messages_content (docid integer primary key, c0body, c1subject)")
        rows = [(f"The {i}th morning at the harbour was quiet.", f"Morning {i}") for i in range(20)]
        db.executemany("insert into messages_content (c0body, c1subject) values (?, ?)", rows)
        db.execute("pragma writable_schema = 1")
        sql = "create virtual table messages using fts3(tokenize mozporter, body, subject)"
        db.execute("insert into sqlite_master values ('table', 'messages', 'messages', 0, ?)", [sql])
    assert open_corpus(path).name == "messages_content"
    with sqlite3.connect(path) as db:
        db.execute("create table notes (id integer primary key, message_id int, note)")
        notes = [(i, f"What was said in the {i}th morning of the year.") for i in range(20)]
        db.executemany("insert into notes (message_id, note) values (?, ?)", notes)
    assert preview(open_corpus(path, ["notes"])).tables[0].body == ["note"]


def test_tables_with_packed_text_are_named(tmp_path):
    path = write(tmp_path / "any.db", {"title": Writer.title, "snippet": Writer.sentence})
    with sqlite3.connect(path) as db:
        db.execute("create table packed (id, data)")
        db.executemany(
            "insert into packed values (?, ?)", [(i, gzip.compress(b"a" * 900)) for i in range(20)]
        )
    with pytest.raises(NanogptError, match="What is in packed has to be unpacked"):
        open_corpus(path)


def test_the_log_of_git_is_no_mail_and_says_its_subjects_once(tmp_path):
    subjects = {}
    columns = {
        "hash": Writer.hash,
        "author_email": same("ada@example.org"),
        "committed_at": Writer.date,
        "subject": lambda w: subjects.setdefault(w.i, w.title()),
        "message": lambda w: subjects[w.i] + (f"\n\n{w.text()}\n\n> as it was" if w.i % 3 == 0 else ""),
    }
    found = open_source(write(tmp_path / "any.db", columns), "t")
    documents = list(found.documents())
    assert (found.title, found.body) == ("subject", ("message",)) and found.read_as_text == []
    assert all(document.count(subjects[i]) == 1 for i, document in enumerate(documents))
    assert documents[0].endswith("> as it was") and documents[1] == subjects[1]


def test_labels_among_the_changes_of_a_ticket_are_told(tmp_path):
    kinds = ["comment", "status", "owner"]
    columns = {
        "ticket": lambda w: w.i // 3,
        "field": lambda w: kinds[w.i % 3],
        "newvalue": lambda w: [w.paragraph(), w.pick("closed", "new"), w.name()][w.i % 3],
    }
    path = write(tmp_path / "any.db", columns)
    told = remarks(path)
    assert "40 rows have labels in newvalue; text is in those in which field is comment." in told
    where = shlex.split(told)[-1]
    assert open_source(path, "t", Selection(where=where)).row_count == ROWS // 3


def test_what_is_skipped_anyway_is_told_once(tmp_path):
    columns = {"author": Writer.name, "body": lambda w: "[deleted]" if w.i % 5 == 0 else w.text()}
    assert remarks(write(tmp_path / "any.db", columns)) == "12 rows are skipped: only '[deleted]'."


@pytest.mark.parametrize(
    ("column", "first", "is_told"), [("book", 0, True), ("book_id", 0, True), ("book", 900, False)]
)
def test_titles_are_found_by_the_name_of_a_column(tmp_path, column, first, is_told):
    """As in Calibre, which has no foreign keys."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table books (id integer primary key, title, isbn)")
        db.execute(f"create table comments (id integer primary key, {column} int, text)")
        for w in map(Writer, range(ROWS)):
            db.execute("insert into books values (?, ?, ?)", [w.i, w.title(), w.hash()])
            db.execute("insert into comments values (?, ?, ?)", [w.i, first + w.i, w.text()])
    told = " ".join(preview(open_corpus(path, ["comments"])).tables[0].remarks)
    assert ("may be in books (title)" in told) == is_told


def test_a_key_is_no_title(tmp_path):
    """As in Kindle's lists of words."""
    columns = {"word_key": lambda w: f"en:{w.pick('mill', 'boat')} {w.i}", "usage": Writer.paragraph}
    assert open_source(write(tmp_path / "any.db", columns), "t").title is None
