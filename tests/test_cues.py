"""Rows that are a cue of subtitles or a segment of a transcript each."""

import random
import sqlite3

import pytest

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection

WORDS = ["we", "meet", "at", "the", "old", "mill", "beside", "river", "and", "bring", "bread", "for", "today"]


def says(i):
    chosen = random.Random(i)
    return " ".join(chosen.choice(WORDS) for _ in range(6))


def opened(tmp_path, columns, texts, **options):
    path = str(tmp_path / "t.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table t (file, {columns[0]}, {columns[1]}, text)")
        rows = [(f"{i // 40}.srt", i % 40 * 3.5, i % 40 * 3.5 + 3, text) for i, text in enumerate(texts)]
        db.executemany("insert into t values (?, ?, ?, ?)", rows)
    db.close()
    return open_source(path, "t", Selection(**options))


SIGNS = [
    ("<i>{}</i>", "{}"),
    ("{{\\an8}}{}", "{}"),
    ("\u266a {} \u266a", "{}"),
    ('<font color="#ffff00">{}</font>', "{}"),
    ("- {}\n- No.", "- {}\n- No."),
]


@pytest.mark.parametrize("columns", [("start", "end"), ("start_time", "end_time"), ("start", "duration")])
def test_signs_of_subtitles_are_left_out(tmp_path, columns):
    texts = [SIGNS[i % 5][0].format(says(i)) if i % 3 == 0 else says(i) for i in range(120)]
    texts[0] = "Downloaded from www.OpenSubtitles.org"
    source = opened(tmp_path, columns, texts)
    expected = [SIGNS[i % 5][1].format(says(i)) if i % 3 == 0 else says(i) for i in range(1, 120)]
    assert list(source.documents()) == expected
    assert source.skipped == {"no text": 1}


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (("page", "chapter"), "<i>{}</i>"),
        (("start", "end"), '<p>{} <a href="/">the <i>mill</i></a></p>'),
    ],
)
def test_html_is_read_as_it_was(tmp_path, columns, text):
    source = opened(tmp_path, columns, [text.format(says(i)) for i in range(80)])
    assert source.kinds["text"].format == "html"


@pytest.mark.parametrize("group", [None, "file"])
def test_parts_of_a_running_text_are_joined_by_their_spaces(tmp_path, group):
    source = opened(tmp_path, ("start", "end"), [f" {says(i)}" for i in range(80)], group_by=group)
    documents = list(source.documents())
    if group:
        assert documents == [" ".join(says(40 * file + i) for i in range(40)) for file in range(2)]
    else:
        assert documents == [says(i) for i in range(80)]


def test_a_space_before_few_rows_joins_nothing(tmp_path):
    texts = [" " * (i % 5 == 0) + says(i) for i in range(80)]
    document = next(opened(tmp_path, ("start", "end"), texts, group_by="file").documents())
    assert document.count("\n") == 39


@pytest.mark.parametrize("apart", [False, True])
def test_rows_that_are_words_are_sentences(tmp_path, apart):
    """As word-level transcripts have them, and treebanks, in which signs are rows of their own."""
    sentences = [f"{says(i).capitalize()}, {says(i + 500)}." for i in range(40)]
    split = [s.replace(",", " ,").replace(".", " .").split() if apart else s.split() for s in sentences]
    texts = [word for sentence in split for word in sentence]
    source = opened(tmp_path, ("start", "end"), texts, group_by="'all'")
    assert next(source.documents()) == " ".join(sentences)


def test_words_of_a_list_keep_their_lines(tmp_path):
    texts = [f"{WORDS[i % 13]}{chr(97 + i % 26)}" for i in range(160)]
    source = opened(tmp_path, ("start", "end"), texts, group_by="file")
    assert next(source.documents()).count("\n") == 39


def test_the_words_of_a_treebank(tmp_path):
    path = str(tmp_path / "t.db")
    words = [word for i in range(60) for word in f"{says(i).capitalize()} , {says(i + 500)} .".split()]
    with sqlite3.connect(path) as db:
        db.execute("create table t (sent_id int, token_id int, form, lemma)")
        rows = [(i // 14, i % 14, word, word.lower()) for i, word in enumerate(words)]
        db.executemany("insert into t values (?, ?, ?, ?)", rows)
    db.close()
    source = open_source(path, "t", Selection(group_by="sent_id", order_by="token_id"))
    assert (source.title, source.body) == (None, ("form",))
    assert next(source.documents()) == f"{says(0).capitalize()}, {says(500)}."
