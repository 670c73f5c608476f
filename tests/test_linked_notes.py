"""What people said of a thing is told with the title of the thing, also two tables away."""

import shlex
import sqlite3

from odd_tables import Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import QUERY, Selection

BUGS, NOTES = 20, 60


def write(path, of="bug_id"):
    with sqlite3.connect(path) as db:
        db.executescript(
            f"""create table mantis_bug_table (id integer primary key, bug_text_id int, summary text);
            create table mantis_bugnote_table (id integer primary key, {of} int, reporter_id int,
              bugnote_text_id int, view_state int, last_modified int, date_submitted int);
            create table mantis_bugnote_text_table (id integer primary key, note text)"""
        )
        bugs = [(i, i, Writer(i).title()) for i in range(1, BUGS + 1)]
        db.executemany("insert into mantis_bug_table values (?, ?, ?)", bugs)
        for i in range(1, NOTES + 1):
            time = 1_500_000_000 + i
            of_note = (i, 1 + i % BUGS, i % 5, i, 50 if i % 6 == 0 else 10, time, time)
            db.execute("insert into mantis_bugnote_table values (?, ?, ?, ?, ?, ?, ?)", of_note)
            db.execute("insert into mantis_bugnote_text_table values (?, ?)", (i, Writer(i).paragraph()))
    db.close()


def told(path):
    remarks = preview(open_corpus(path, ["mantis_bugnote_text_table"])).tables[0].remarks
    return [remark for remark in remarks if "--sql" in remark]


def test_notes_on_bugs_with_what_each_bug_is_called(tmp_path):
    write(path := str(tmp_path / "any.db"))
    (sentence,) = told(path)
    options = shlex.split(sentence.partition("--sql")[2])
    assert options[1:] == ["--group-by", "bug_id", "--order-by", "date_submitted", "--title", "title"]
    source = open_source(
        path, QUERY, Selection(sql=options[0], group_by="bug_id", order_by="date_submitted", title="title")
    )
    documents = list(source.documents())
    assert source.row_count == NOTES - NOTES // 6  # without the private ones
    assert {text.partition("\n")[0] for text in documents} <= {Writer(i).title() for i in range(1, BUGS + 1)}


def test_numbers_of_what_has_no_table(tmp_path):
    write(path := str(tmp_path / "any.db"), of="project_id")
    assert told(path) == []


def test_names_of_tables_that_begin_with_that_of_the_program(tmp_path):
    """As in Jira, where `issueid` leads to `jiraissue`."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table jiraissue (id integer primary key, summary text, description text)")
        columns = "id integer primary key, issueid int, author text, actionbody text, created"
        db.execute(f"create table jiraaction ({columns})")
        bugs = [(i, Writer(i + 500).title(), Writer(i).paragraph()) for i in range(1, BUGS + 1)]
        db.executemany("insert into jiraissue values (?, ?, ?)", bugs)
        of_all = [(i, 1 + i // 3 % BUGS, f"ada{i % 4}", Writer(i).sentence(), 1e9 + i) for i in range(NOTES)]
        db.executemany("insert into jiraaction values (?, ?, ?, ?, ?)", of_all)
    db.close()
    remarks = preview(open_corpus(path, ["jiraaction"])).tables[0].remarks
    assert any(
        "may be in jiraissue (summary)" in remark and "--group-by issueid" in remark for remark in remarks
    )
