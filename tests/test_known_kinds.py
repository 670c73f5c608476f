"""What kinds and states of a known program say of a row is told."""

import shlex
import sqlite3

import pytest
from odd_tables import Writer

from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.source import Selection

ROWS = 60


def remarks_of(tmp_path, table, columns, row):
    path = str(tmp_path / "t.db")
    rows = [row(Writer(i)) for i in range(ROWS)]
    with sqlite3.connect(path) as db:
        db.execute(f"create table {table} ({columns})")
        db.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)
    db.close()
    return path, preview(open_corpus(path, [table])).tables[0].remarks


POSTS = "id integer primary key, user_id int, topic_id int, post_number int, raw text, post_type int"
NOTES = "id integer primary key, bug_id int, reporter_id int, note text, view_state int"
SMS = "_id integer primary key, thread_id int, address text, date int, type int, body text"


@pytest.mark.parametrize(
    ("table", "columns", "row", "count", "meaning"),
    [
        (
            "posts",
            POSTS,
            lambda w: (w.i, w.i % 7, w.i // 6, w.i % 6, w.paragraph(), 4 if w.i % 20 == 0 else 1),
            3,
            "whispers",
        ),
        (
            "posts",
            POSTS,
            lambda w: (
                w.i,
                1,
                w.i // 6,
                w.i % 6,
                "Closed." if w.i % 6 == 5 else w.text(),
                1 + 2 * (w.i % 6 == 5),
            ),
            10,
            "done with the topic",
        ),
        (
            "bugnotes",
            NOTES,
            lambda w: (w.i, w.i // 4, w.i % 5, w.paragraph(), 50 if w.i == 7 else 10),
            1,
            "private",
        ),
        (
            "sms",
            SMS,
            lambda w: (w.i, w.i % 5, f"+4670{w.i % 5}", 1_600_000_000_000 + w.i, 1 + w.i % 3, w.sentence()),
            20,
            "drafts",
        ),
        (
            "wp_posts",
            "ID integer primary key, post_title, post_content, post_type, post_status",
            lambda w: (
                w.i,
                w.title(),
                w.text() if w.i % 6 else ".title { color: #333; }",
                "post" if w.i % 6 else "custom_css",
                "publish",
            ),
            10,
            "the look of the site",
        ),
        (
            "posts",  # Stack Exchange
            "Id integer primary key, PostTypeId int, ParentId int, Body, Score int, OwnerUserId int, Title",
            lambda w: (w.i, [1, 2, 2, 5][w.i % 4], None, w.paragraph(), w.i, w.i % 7, None),
            15,
            "5 for what is said of a tag",
        ),
        (
            "experiments",  # eLabFTW
            "id integer primary key, title, body, elabid, state int",
            lambda w: (w.i, w.title(), w.text(), w.hash(), 1 + (w.i % 6 == 0) + (w.i % 12 == 0)),
            10,
            "2 for what is archived, 3 for what is deleted",
        ),
        (
            "logs",  # Gajim
            "log_line_id integer primary key, jid_id int, contact_name, time int, kind int, message",
            lambda w: (w.i, w.i % 4, w.name(), w.i, w.i % 5, "joined" if w.i % 5 < 2 else w.sentence()),
            24,
            "0 and 1 for who came and went",
        ),
        (
            "posts",
            "hash text primary key, href, description, extended, shared, toread",
            lambda w: (w.hash(), w.url(), w.title(), w.paragraph(), "no" if w.i == 3 else "yes", "no"),
            1,
            "private bookmarks",
        ),
    ],
)
def test_kinds_of_known_programs(tmp_path, table, columns, row, count, meaning):
    path, remarks = remarks_of(tmp_path, table, columns, row)
    (told,) = [remark for remark in remarks if meaning in remark and "--where" in remark]
    assert not any("nobody seems to have written" in remark for remark in remarks)
    where = shlex.split(told.partition("--where")[2])[0]
    assert open_source(path, table, Selection(where=where)).row_count == ROWS - count


def test_kinds_of_other_programs(tmp_path):
    columns = "id integer primary key, name, body, post_type int"
    _, remarks = remarks_of(tmp_path, "posts", columns, lambda w: (w.i, w.title(), w.text(), 1 + w.i % 4))
    assert not any("post_type" in remark for remark in remarks)
