"""Rows that belong together and have titles, authors or numbers of their own."""

import random
import shlex
import sqlite3

import pytest
from test_conversation_hints import told, words, written

from datasette_nanogpt.data.linked_conversations import linked_conversations
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.formatting import TrainCommand


def grouped(path, options, table="t", sql=None):
    """The documents that the options of a remark make, which are given as it has them."""
    typed = shlex.split(options)
    pairs = list(zip(typed[::2], typed[1::2], strict=True))
    given = {name[2:].replace("-", "_"): value for name, value in pairs if name != "--body"}
    body = [value for name, value in pairs if name == "--body"]
    return list(open_source(path, table, Selection(body=body, sql=sql, **given)).documents())


def test_videos_of_a_channel_are_texts_by_themselves(tmp_path):
    rows = [
        (i, words(1000 + i, 4), f"channel{i % 5}", f"2024-01-{1 + i // 9:02}", words(i, 12))
        for i in range(150)
    ]
    assert told(tmp_path, "id integer primary key, title, channelTitle, publishedAt, description", rows) == []


@pytest.mark.parametrize("length", [12, 90])
def test_chapters_keep_their_titles(tmp_path, length):
    rows = [
        (i, i // 6, i % 6, f"Chapter {i % 6}" if i % 2 else words(1000 + i, 3), words(i, length))
        for i in range(120)
    ]
    columns = "id integer primary key, work_id int, chapter int, chapter_title, content"
    options = told(tmp_path, columns, rows)[0]
    first, *_ = grouped(str(tmp_path / "t.db"), options)
    assert first.startswith(f"{rows[0][3]}\n\n{rows[0][4]}\n{rows[1][3]}\n\n{rows[1][4]}\n")


def test_chapters_of_a_book_with_a_name(tmp_path):
    rows = [
        (f"The {words(i // 12, 4)}", i % 12 + 1, f"CHAPTER {i % 12 + 1}", words(i, 90)) for i in range(96)
    ]
    options = told(tmp_path, "book, chapter_no int, chapter_heading, content", rows)[0]
    first = sorted(grouped(str(tmp_path / "t.db"), options))[0]
    assert first.startswith(f"{min(row[0] for row in rows)}\n\nCHAPTER 1\n\n") and "\nCHAPTER 2\n\n" in first


def test_phrases_of_a_topic_are_no_text(tmp_path):
    rows = [(i, ["food", "travel", "work"][i * i % 7 % 3], words(i, 6)) for i in range(120)]
    assert told(tmp_path, "id integer primary key, topic, phrase", rows) == []


def test_chapters_keep_their_titles_below_that_of_their_work(tmp_path):
    rows = [(i // 6, i % 6, words(2000 + i, 3), words(i, 90)) for i in range(120)]
    path = written(tmp_path, "work_id int, number int, chapter_title, content", rows, "chapters")
    with sqlite3.connect(path) as db:
        db.execute("create table works (work_id integer primary key, title)")
        db.executemany(
            "insert into works values (?, ?)", [(i, f"The {words(3000 + i, 3)}") for i in range(20)]
        )
    db.close()
    given = Selection(group_by="work_id", order_by="number", title="", body=["chapter_title", "content"])
    source = open_source(path, "chapters", given)
    (told_of_titles,) = linked_conversations(source, TrainCommand(path))
    options = shlex.split(told_of_titles.partition(path)[2])
    (sql,) = options[1:2]
    first, *_ = grouped(path, shlex.join(options[2:]), sql=sql)
    assert first.startswith(f"The {words(3000, 3)}\n\n{rows[0][2]}\n\n{rows[0][3]}\n{rows[1][2]}\n\n")


def test_sections_have_their_headings_below_the_title_of_the_page(tmp_path):
    headings = ["History", "Geography", "Culture", "Notes"]
    rows = [(i // 4, words(1000 + i // 4, 3), i % 4, headings[i % 4], words(i, 12)) for i in range(120)]
    columns = "page_id int, page_title, section_index int, section_title, text"
    options = told(tmp_path, columns, rows)[0]
    first, *_ = grouped(str(tmp_path / "t.db"), options)
    assert first.startswith(f"{rows[0][1]}\n\nHistory\n\n{rows[0][4]}\nGeography\n\n{rows[1][4]}\n")


def test_the_author_of_a_poem_does_not_speak_its_lines(tmp_path):
    rows = [
        (i // 10, words(1000 + i // 10, 3), f"Author {i // 10 % 7}", i % 10, words(i, 6)) for i in range(200)
    ]
    path = written(tmp_path, "poem_id int, title, author, line int, text", rows)
    selection = Selection(group_by="poem_id", order_by="line")
    source = open_source(path, "t", selection)
    assert source.speaker is None and "Author" not in "".join(source.documents())
    by_number = Selection(group_by="'poem ' || poem_id", order_by="line")
    assert open_source(path, "t", by_number).speaker is None


def test_speeches_of_one_day_are_in_the_order_of_their_numbers(tmp_path):
    rows = [
        (i, f"2024-05-{1 + i // 24:02}", words(1000 + i // 8, 3), i % 8 + 1, f"Member {i % 5}", words(i, 60))
        for i in range(144)
    ]
    columns = "id integer primary key, date, debate, speech_no int, speaker, speech"
    typed = shlex.split(told(tmp_path, columns, rows)[0])
    assert typed[:4] == ["--group-by", "debate", "--order-by", "speech_no"]


REFERENCES = {
    "Bible": lambda i: f"{['Gen', 'Exod', 'Ruth'][i // 60]}.{i % 60 // 12 + 1}.{i % 12 + 1}",
    "verses with a colon": lambda i: f"{['1 Kings', 'Psalms'][i // 90]} {i % 90 // 15 + 1}:{i % 15 + 1}",
    "turns before a court": lambda i: f"22-{i // 9:03}_{i % 9}",
    "strings of a game": lambda i: f"STR_{i // 9:02}_{i % 9:03}",
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_verses_by_what_they_are_cited_as(tmp_path, kind):
    rows = [(REFERENCES[kind](i), words(i, 9)) for i in range(180)]
    options = told(tmp_path, "ref, verse_text", rows)[0]
    documents = grouped(str(tmp_path / "t.db"), options)
    size = {"Bible": 12, "verses with a colon": 15}.get(kind, 9)
    assert len(documents) == 180 // size
    assert "\n".join(row[1] for row in rows[:size]) in documents


@pytest.mark.parametrize(
    "reference",
    [
        lambda i: f"ABC-{i}",
        lambda i: f"2024-{i // 28 + 1:02}-{i % 28 + 1:02}",
        lambda i: f"SHIRT-{i // 10}",
        lambda i: f"2024_{i // 28 + 1:02}_{i % 28 + 1:02}",
        lambda i: f"A{random.Random(i).randint(1, 9)}-{random.Random(i).randint(1, 999)}",
        lambda i: f"v1.{i // 9}.{i % 9 * 7 % 9}",
    ],
)
def test_keys_and_dates_are_no_references(tmp_path, reference):
    rows = [(reference(i), words(i, 9)) for i in range(150)]
    assert told(tmp_path, "ref, note_text", rows) == []


@pytest.mark.parametrize("column", ["name", "speaker_name"])
def test_who_speaks_is_no_heading(tmp_path, column):
    rows = [(i // 12, i % 12, f"{words(i, 1)} {words(1000 + i % 90, 2)}", words(i, 20)) for i in range(150)]
    told_first = told(tmp_path, f"chapter int, id int, {column}, text", rows)[0]
    assert told_first == "--group-by chapter --order-by id"


def test_the_office_of_a_speaker_is_no_heading(tmp_path):
    rows = [
        (
            i,
            f"Motion {i // 10}",
            words(900 + i, 2) if i % 10 == 0 else "PRIME MINISTER",
            f"Ada {i % 7}",
            words(i, 20),
        )
        for i in range(150)
    ]
    columns = "id integer primary key, minor_heading, major_heading, display_as, speech"
    assert "--body" not in told(tmp_path, columns, rows)[0]
