"""Titles that a third table leads to, as in Apple's Mail, and full-text indexes that have no texts."""

import shlex
import sqlite3

import pytest
from odd_tables import ROWS, Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection
from llm_nanogpt.errors import InvalidOptions


def mail(path, subject="subject", summary="summary"):
    with sqlite3.connect(path) as db:
        db.execute("create table subjects (ROWID integer primary key, subject text)")
        db.execute("create table summaries (ROWID integer primary key, summary text)")
        db.execute(
            f"create table messages (ROWID integer primary key, sender int, {subject} int, {summary} int)"
        )
        for i in range(ROWS):
            writer = Writer(i)
            db.execute("insert into subjects values (?, ?)", [i + 100, writer.title()])
            db.execute("insert into summaries values (?, ?)", [i + 500, writer.paragraph()])
            db.execute("insert into messages values (?, 1, ?, ?)", [i, i + 100, i + 500])
    db.close()
    return str(path)


def told(path):
    (table,) = preview(open_corpus(path, ["summaries"])).tables
    return [remark for remark in table.remarks if "leads to both" in remark]


@pytest.mark.parametrize("names", [("subject", "summary"), ("subject_id", "summary_id")])
def test_subjects_of_apples_mail(tmp_path, names):
    path = mail(tmp_path / "mail.db", *names)
    (remark,) = told(path)
    command = shlex.split(remark.partition(": ")[2])
    source = open_source(path, "query", Selection(sql=command[command.index("--sql") + 1], title="title"))
    assert [*source.documents()] == [f"{Writer(i).title()}\n\n{second(i)}" for i in range(ROWS)]


def second(i):
    writer = Writer(i)
    writer.title()
    return writer.paragraph()


def test_columns_of_other_names_lead_nowhere(tmp_path):
    assert told(mail(tmp_path / "mail.db", "a", "b")) == []


INDEXES = {
    "fts5(title, body, content='')": "no texts",
    'fts4(content="", title, body)': "no texts",
    "fts5(title, body, content='note')": "which is not in this database",
    "fts5(title, body, content=[empty])": "which is empty",
}


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_without_texts(tmp_path, index):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table empty (title, body)")
        db.execute(f"create virtual table docs using {index}")
        db.executemany(
            "insert into docs (rowid, title, body) values (?, ?, ?)",
            [(i, Writer(i).title(), Writer(i).text()) for i in range(ROWS)],
        )
    db.close()
    with pytest.raises(InvalidOptions, match=INDEXES[index]):
        open_source(path, "docs")
    if "''" in index or '""' in index:
        with pytest.raises(InvalidOptions, match="There is nothing to train on. The full-text index 'docs'"):
            open_corpus(path)


def test_an_index_of_a_table_is_read(tmp_path):
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table note (id integer primary key, title, body)")
        rows = [(i, Writer(i).title(), Writer(i).text()) for i in range(ROWS)]
        db.executemany("insert into note values (?, ?, ?)", rows)
        db.execute("create virtual table docs using fts5(title, body, content='note', content_rowid='id')")
        db.execute("insert into docs (docs) values ('rebuild')")
    db.close()
    assert len([*open_source(path, "docs").documents()]) == ROWS
