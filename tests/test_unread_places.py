"""Rows in folders of drafts, Spam or Trash, and pages of talk in a wiki, are told."""

import shlex
import time

import pytest
from odd_tables import ROWS, Writer, same
from test_odd_tables import write

from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.unread_places import unread_places


def hints(tmp_path, columns):
    path = write(tmp_path / "any.db", {"title": Writer.title, "body": Writer.text} | columns)
    found = open_source(path, "t")
    told = list(unread_places(found, "rows"))
    assert {*told} <= {*row_hints(found)}
    return path, told


def of(*values):
    return lambda w: values[w.i % len(values)]


def page(w):
    return f"'''{w.title()}''' is in [[{w.title()}]].\n\n== {w.title()} ==\n{w.text()}"


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("folder", of("INBOX", "Sent", "Spam", "Drafts"), 30),
        ("mailbox", of("INBOX", "INBOX.Trash", None), 20),
        ("label", of("[Gmail]/Spam", "Work"), 30),
        ("folder", of("inbox", "sent", "deleted_items"), 20),  # of Enron
        ("folder_name", of("Papierkorb", "Gedichte", "Entwürfe"), 40),
        ("X-Gmail-Labels", of("Inbox,Opened", "Spam", "Inbox,Important", "Trash,Opened", "Sent"), 24),
        ("labelIds", of('["INBOX", "IMPORTANT"]', '["SPAM", "UNREAD"]', "[]"), 20),
        ("tags", of("inbox unread", "inbox spam", "sent", "draft"), 30),  # notmuch
        ("tags", of('["inbox", "unread"]', '["spam", "unread"]', '["sent"]'), 20),
        ("path", of("_posts/a.md", "_posts/b.md", "_drafts/c.md"), 20),
        ("path", of("posts/a.md", "/home/drafts/b.md", "posts/drafts.md", "draft/d.md"), 30),
        ("file", of("draft-one.md", "Draft two.md", "drafting.md", "note.md"), 30),
        ("file", of(r"C:\notes\a.txt", r"C:\notes\drafts\b.txt"), 30),
        ("file", of(".trash/a.md", "Daily/b.md"), 30),
    ],
)
def test_what_is_in_such_a_folder_is_told(tmp_path, name, value, count):
    path, told = hints(tmp_path, {name: value})
    assert len(told) == 1 and f"{count} rows " in told[0]
    left = open_source(path, "t", Selection(where=shlex.split(told[0])[-1]))
    assert left.row_count == ROWS - count
    assert list(unread_places(left, "rows")) == []


@pytest.mark.parametrize(
    ("start", "count"),
    [
        (of("---\ntitle: A\ndraft: true\n---\n\n", "---\ntitle: B\ndraft: false\n---\n\n"), 30),
        (of("+++\ntitle = 'A'\ndraft = true\n+++\n\n", "+++\ntitle = 'B'\n+++\n\n"), 30),
        (of("---\nlayout: post\npublished: false\n---\n", "---\nlayout: post\n---\n", ""), 20),
        (of("---\nlayout: post\n---\nWrite this:\ndraft: true\n\n", "---\nlayout: post\n---\n"), 0),
    ],
)
def test_drafts_by_their_front_matter(tmp_path, start, count):
    path, told = hints(tmp_path, {"body": lambda w: start(w) + w.text()})
    assert len(told) == bool(count)
    if told:
        assert told[0].startswith(f"{count} rows are drafts")
        left = open_source(path, "t", Selection(where=shlex.split(told[0].partition("out: ")[2])[-1]))
        assert left.row_count == ROWS - count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("folder", same("Drafts")),  # nothing would be left
        ("folder", of("Journal", "Work")),
        ("labels", of("spam filters, mail", "life")),
        ("path", of("posts/drafts.md", "posts/overdraft.md")),
        ("kind", of("trash", "tree")),
        ("namespace", of(0, 1)),  # of no wiki
    ],
)
def test_other_folders_are_not(tmp_path, name, value):
    assert hints(tmp_path, {name: value})[1] == []


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        ({"page_namespace": of(0, 0, 0, 1, 2, 10)}, 30),
        ({"ns": of(0, 0, 1)}, 20),
        ({"title": lambda w: of("", "", "Talk:", "User talk:")(w) + w.title()}, 30),
        ({"title": lambda w: of("", "", "", "Vorlage:", "Benutzer_Diskussion:")(w) + w.title()}, 24),
        ({"title": lambda w: of("", "", f"{w.title()}: ")(w) + w.title()}, 0),
        ({"page_namespace": same(0)}, 0),
        ({"page_namespace": of(0, 1, 1, 4)}, 45),  # with more talk than articles
        ({"page_namespace": of("0", "0", "1")}, 20),  # of a CSV file
        ({"page_namespace": of(2, 2, 3)}, 20),  # of users alone
        ({"page_namespace": of(2, 4)}, 0),
    ],
)
def test_pages_of_a_wiki_that_are_no_articles(tmp_path, columns, count):
    path, told = hints(tmp_path, {"body": page} | columns)
    assert len(told) == bool(count)
    if told:
        assert f"{count} rows " in told[0]
        left = open_source(path, "t", Selection(where=shlex.split(told[0])[-1]))
        assert left.row_count == ROWS - count


def test_long_values_take_little_time(tmp_path):
    began = time.process_time()
    hints(tmp_path, {"file": same("[" + "/" * 90_000 + "\n")})
    assert time.process_time() - began < 10  # by the square it takes many minutes


@pytest.mark.parametrize(
    "values", [("nba draft", "spam mail", "bread"), ('["spam"]', '["bread", "draft"]', "")]
)
def test_tags_of_what_a_text_is_about_are_not_told(tmp_path, values):
    assert hints(tmp_path, {"tags": of(*values)})[1] == []
