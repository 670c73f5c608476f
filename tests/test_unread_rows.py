"""Rows that somebody may not mean to train on are told, each kind with the condition that leaves it out."""

import json
import shlex
import sqlite3

import pytest
from odd_tables import ROWS, WORDS, Writer, same
from test_odd_tables import write

from datasette_nanogpt.data.column_names import LANGUAGES
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.preview import preview, preview_source
from datasette_nanogpt.data.row_hints import row_hints
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.unread_records import unread_records
from datasette_nanogpt.data.unread_rows import unread_rows
from datasette_nanogpt.formatting import TrainCommand


def hints(tmp_path, columns):
    path = write(tmp_path / "any.db", {"title": Writer.title, "body": Writer.text} | columns)
    return path, list(unread_rows(open_source(path, "t"), "rows"))


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("is_deleted", lambda w: int(w.i % 4 == 0), 15),
        ("deleted", lambda w: str(w.i % 4 == 0).lower(), 15),
        ("isTrashed", lambda w: ["No", "YES", None][w.i % 3], 20),
        ("ZTRASHED", lambda w: int(w.i < 3), 3),
        ("deleted_at", lambda w: w.date() if w.i % 5 == 0 else None, 12),
        ("deleted_on", lambda w: w.date() if w.i % 5 == 0 else ["", "0000-00-00 00:00:00"][w.i % 2], 12),
        ("trashed_time", lambda w: 1_600_000_000 + w.i if w.i % 5 == 0 else [0, None][w.i % 2], 12),
        ("DeleteAt", lambda w: 1_600_000_000_000 + w.i if w.i % 5 == 0 else 0, 12),  # Mattermost
        ("draft", lambda w: [True, False, False][w.i % 3], 20),
        ("published", lambda w: [0, 1, 1, None][w.i % 4], 15),
        ("is_published", lambda w: "fttt"[w.i % 4], 15),
        ("publishedAt", lambda w: w.date() if w.i % 4 else None, 15),
        ("published_at", lambda w: w.date() if w.i % 4 else ["", None][w.i % 2], 15),
        ("is_conflict", lambda w: int(w.i % 20 == 0), 3),
        ("is_hidden", lambda w: int(w.i % 20 == 0), 3),
        ("private", lambda w: ["yes", "no"][w.i % 2], 30),
        ("archivedAt", lambda w: w.date() if w.i % 5 == 0 else None, 12),
        ("is_archived", lambda w: w.i % 2, 30),
        ("isJunk", lambda w: int(w.i % 20 == 0), 3),
        ("state", lambda w: ["Hidden", "shown"][w.i % 2], 30),
        ("status", lambda w: ["read", "unread", "removed"][w.i % 3], 20),  # Miniflux
        ("status", lambda w: ["Unpublished", "Live", None][w.i % 3], 20),
        ("estado", lambda w: ["borrador", "publicado"][w.i % 2], 30),
        ("statut", lambda w: ["Brouillon", "Publié", "Corbeille"][w.i % 3], 40),
        ("Status", lambda w: ["Entwurf", "veröffentlicht"][w.i % 2], 30),
        ("situação", lambda w: ["rascunho", "publicado"][w.i % 2], 30),
        ("статус", lambda w: ["черновик", "опубликовано"][w.i % 2], 30),
        ("状态", lambda w: ["草稿", "已发布"][w.i % 2], 30),
        ("ステータス", lambda w: ["下書き", "公開"][w.i % 2], 30),
        ("publié", lambda w: ["oui", "non"][w.i % 2], 30),
        ("gelöscht", lambda w: ["ja", "nein"][w.i % 2], 30),
        ("ZMARKEDFORDELETION", lambda w: int(w.i % 10 == 0), 6),
        ("ZISPASSWORDPROTECTED", lambda w: int(w.i % 10 == 0), 6),
        ("ZPERMANENTLYDELETED", lambda w: int(w.i % 10 == 0), 6),
        ("ZANNOTATIONDELETED", lambda w: int(w.i % 10 == 0), 6),
        ("visible", lambda w: -1 if w.i % 10 == 0 else 1, 6),  # MyBB
        ("ZENCRYPTED", lambda w: int(w.i % 10 == 0), 6),
        ("is_discard", lambda w: int(w.i % 10 == 0), 6),
        ("dead", lambda w: int(w.i % 10 == 0) or None, 6),
        ("private_notes", lambda w: int(w.i % 10 == 0), 6),
        ("comment_approved", lambda w: ["1", "1", "spam", "0"][w.i % 4], 30),
        ("user_deleted", lambda w: int(w.i % 10 == 0), 6),
        ("已删除", lambda w: int(w.i % 10 == 0), 6),
        ("Gelöscht", lambda w: int(w.i % 10 == 0), 6),
        ("удалён", lambda w: int(w.i % 10 == 0), 6),
        ("visibility", lambda w: ["public", "unlisted", "private", "direct"][w.i % 4], 30),
        ("visibility", lambda w: ["public", "direct"][w.i == 7], 1),
        ("post_privacy", lambda w: ["PUBLIC", "FOLLOWERS_ONLY", None][w.i % 3], 20),
        ("audience", lambda w: ["everyone", "friends"][w.i % 2], 30),
        ("Sichtbarkeit", lambda w: ["öffentlich", "privat"][w.i % 2], 30),
        ("公開範囲", lambda w: ["公開", "非公開"][w.i % 2], 30),
        ("security", lambda w: ["public", "private", "usemask", None][w.i % 4], 30),  # LiveJournal
        ("system", lambda w: int(w.i % 3 == 0), 20),  # GitLab's notes
        ("is_system_message", lambda w: int(w.i % 3 == 0), 20),
        ("internal", lambda w: "ft"[w.i % 2], 30),
        ("public", lambda w: int(w.i % 3 != 0), 20),  # Zendesk's comments
        ("posted", lambda w: int(w.i % 10 != 0), 6),  # chapters of an archive of stories
        ("visible", lambda w: [True, False][w.i % 2], 30),
        ("live", lambda w: int(w.i % 10 != 0), 6),  # Wagtail
        ("archetype", lambda w: ["regular", "private_message"][w.i % 2], 30),
        ("state", lambda w: [1, 1, 1, 0, -2][w.i % 5], 24),  # Joomla
        ("post_visibility", lambda w: [1, 1, 1, 2, 0][w.i % 5], 24),  # phpBB
        ("visible", lambda w: [1, 1, 1, 2, 0][w.i % 5], 24),  # vBulletin
        ("comment_visible", lambda w: int(w.i % 5 != 0), 12),  # Movable Type
        ("message_deleted", lambda w: int(w.i % 5 == 0), 12),
        ("status", lambda w: ["1", "1", "0"][w.i % 3], 20),  # Drupal, from a CSV file
        ("post_status", lambda w: ["publish", "pending", "future", "inherit"][w.i % 4], 45),
        ("status", lambda w: ["published", "published", "scheduled"][w.i % 3], 20),  # Ghost
        ("post_password", lambda w: "secret" if w.i == 7 else "", 1),
        ("status", lambda w: [200, 200, 200, 404, 301][w.i % 5], 12),  # pages that a crawler did not get
        ("prevver", lambda w: w.i + 1 if w.i % 4 == 0 else None, 15),  # Confluence
        ("superseded_by", lambda w: w.uuid() if w.i % 4 == 0 else "", 15),
        ("http_status_code", lambda w: ["200", "200", "503"][w.i % 3], 20),
    ],
)
def test_deleted_rows_and_drafts_are_told(tmp_path, name, value, count):
    path, told = hints(tmp_path, {name: value})
    assert len(told) == 1 and told[0].startswith(f"In {count} row{'s' * (count > 1)} {name} is ")
    where = shlex.split(told[0])[-1]
    left = open_source(path, "t", Selection(where=where))
    assert left.row_count == ROWS - count
    assert list(unread_rows(left, "rows")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("is_deleted", same(0)),
        ("superseded_by", same(7)),
        ("is_deleted", same(1)),  # nothing would be left
        ("deleted_at", same(None)),
        ("deleted_by", lambda w: [None, "Ann"][w.i % 2]),
        ("deleted_count", lambda w: w.i % 2),
        ("has_drafts", lambda w: w.i % 2),
        ("visibility", lambda w: ["public", "unlisted"][w.i % 2]),
        ("visibility", same("private")),
        ("access_token", lambda w: f"x{w.i}"),
        ("scope", lambda w: ["global", "local"][w.i % 2]),
        ("draft", lambda w: [None, w.sentence()][w.i % 2]),  # a text of its own
        ("approved_by", lambda w: [None, "Ann"][w.i % 2]),
        ("approved", same(0)),
        ("published", Writer.date),
        ("published", lambda w: w.date() if w.i % 2 else None),  # an article without a date
        ("system", lambda w: ["PC", "PS4"][w.i % 2]),
        ("system", lambda w: w.i % 7),
        ("public", lambda w: w.sentence()),
        ("visible_from", Writer.date),
        ("status", lambda w: [1, 2, 3][w.i % 3]),
        ("status", lambda w: [0, 0, 1][w.i % 3]),  # of things to do, most of which are open
        ("status", lambda w: [200, 404, 1][w.i % 3]),
        ("status_id", lambda w: [1, 1, 0][w.i % 3]),
        ("status", lambda w: ["open", "pending", "closed"][w.i % 3]),  # of tickets
        ("post_password", same("")),
        ("code", lambda w: [200, 404, 404][w.i % 3]),  # of a list of errors
        ("area_code", lambda w: 200 if w.i % 3 else 201 + w.i),
        ("version", lambda w: w.i % 3),
        ("version", lambda w: f"1.{w.i % 3}"),
    ],
)
def test_other_columns_say_nothing_of_the_kind(tmp_path, name, value):
    assert hints(tmp_path, {name: value})[1] == []


def versions(first):
    """A column of texts, of each of which there are four versions, one sentence longer each time."""
    return lambda w: " ".join(Writer(w.i // 4).text().split() + WORDS[: 10 * (first + w.i % 4)])


def test_earlier_versions_of_a_text_are_told(tmp_path):
    columns = {"page_id": lambda w: w.i // 4, "rev": lambda w: w.i % 4 + 1, "body": versions(0)}
    path, told = hints(tmp_path, columns)
    assert len(told) == 1 and "same page_id are versions of one text" in told[0]
    found = open_source(path, "t", Selection(where=shlex.split(told[0])[-1]))
    assert found.row_count == ROWS / 4
    assert all(row["rev"] == 4 for row in found.sample)


def test_of_several_numbers_the_one_of_the_version_is_found(tmp_path):
    columns = {"rev_page": lambda w: w.i // 4, "rev_id": lambda w: w.i, "rev_number": lambda w: w.i % 4}
    path, told = hints(tmp_path, columns | {"body": versions(0)})
    assert "same rev_page are versions of one text" in told[0]
    found = open_source(path, "t", Selection(where=shlex.split(told[0])[-1]))
    assert [row["rev_number"] for row in found.sample] == [3] * (ROWS // 4)


def test_texts_of_their_own_are_no_versions(tmp_path):
    columns = {"package": lambda w: f"package {w.i // 4}", "version": lambda w: w.i % 4}
    assert hints(tmp_path, columns)[1] == []


def linked(path, label, each=1, table="book"):
    with sqlite3.connect(path) as db:
        db.execute(f'create table {table} (id integer primary key, "{label}")')
        db.execute(f"create table review (id integer primary key, of references {table}(id), body)")
        for w in map(Writer, range(ROWS)):
            db.execute(f"insert into {table} values (?, ?)", [w.i, w.title()])
            db.execute("insert into review values (?, ?, ?)", [w.i, w.i // each, w.text()])
    found = open_source(str(path), "review")
    return found, " ".join(preview(open_corpus(str(path), ["review"])).tables[0].remarks)


def test_titles_in_another_table_are_told(tmp_path):
    found, told = linked(tmp_path / "any.db", "title")
    assert found.title is None and "may be in book (title)" in told
    sql = shlex.split(told)[-1]
    joined = open_source(str(tmp_path / "any.db"), "query", Selection(sql=sql))
    assert (joined.title, joined.body) == ("title", ("body",))
    assert next(joined.documents()).startswith(f"{Writer(0).title()}\n\n")


@pytest.mark.parametrize(
    ("key", "of", "each"),
    [("blobId", "blobId", 1), ("id", "text references blobs(id)", 1), ("blobId", "blobId", 3)],
)
def test_titles_in_a_table_that_leads_here(tmp_path, key, of, each):
    """As Trilium keeps its notes; the titles of others that share a text are none of it."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute(f'create table blobs ("{key}" text primary key, content)')
        db.execute(f"create table notes (title, noteId text primary key, {of})")
        for w in map(Writer, range(ROWS)):
            if w.i % each == 0:
                db.execute("insert into blobs values (?, ?)", [f"b{w.i:06}", w.text()])
            db.execute(
                "insert into notes values (?, ?, ?)",
                [Writer(w.i).title(), w.hash(), f"b{w.i // each * each:06}"],
            )
    told = " ".join(preview(open_corpus(path, ["blobs"])).tables[0].remarks)
    if each > 1:
        assert "may be in" not in told
        return
    joined = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    assert (joined.title, joined.body, joined.row_count) == ("title", ("content",), ROWS)
    assert any(document.startswith(f"{Writer(0).title()}\n\n") for document in joined.documents())


@pytest.mark.parametrize(
    ("text", "title"),
    [("mantis_bug_text_table", "mantis_bug_table"), ("bug_text", "bug"), ("app_bug_text", "x")],
)
def test_titles_of_mantis(tmp_path, text, title):
    """All tables begin with the name of the program, or end in a word that says nothing."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table {text} (id integer primary key, description text)")
        db.execute(f"create table {title} (id integer primary key, summary text, bug_text_id int)")
        for w in map(Writer, range(ROWS)):
            db.execute(f"insert into {text} values (?, ?)", [w.i + 3, w.text()])
            db.execute(f"insert into {title} values (?, ?, ?)", [w.i, w.title(), w.i + 3])
    told = " ".join(preview(open_corpus(path, [text])).tables[0].remarks)
    joined = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    assert (joined.title, joined.body, joined.row_count) == ("summary", ("description",), ROWS)


def languages(tmp_path, name, value):
    path = write(tmp_path / "any.db", {"body": Writer.text, name: value})
    return path, [hint for hint in row_hints(open_source(path, "t")) if "languages" in hint]


@pytest.mark.parametrize(
    ("name", "values", "main"),
    [
        ("lang", ["eng", "deu", "eng", "fra"], "eng"),
        ("language_code", ["pt-BR", "en", "en_GB", "pt-BR"], "pt-BR"),
        ("Sprache", ["German", "German", "French"], "German"),
    ],
)
def test_rows_in_several_languages_are_told(tmp_path, name, values, main):
    path, (told,) = languages(tmp_path, name, lambda w: values[w.i % len(values)])
    left = open_source(path, "t", Selection(where=shlex.split(told)[-1]))
    assert left.row_count == ROWS * values.count(main) / len(values)
    assert f"{main} in {left.row_count}" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lang", lambda w: "en"),
        ("lang", lambda w: "de" if w.i == 0 else "en"),  # a row or two
        ("lang", lambda w: ["en-GB", "en_US"][w.i % 2]),
        ("language", lambda w: ["python", "rust"][w.i % 2]),
        ("original_language", lambda w: ["en", "ja"][w.i % 2]),
        ("state", lambda w: ["de", "al"][w.i % 2]),
    ],
)
def test_of_one_language_nothing_is_told(tmp_path, name, value):
    assert languages(tmp_path, name, value)[1] == []


def test_rows_in_many_languages_of_which_none_has_many_are_told(tmp_path):
    many = sorted(name for name in LANGUAGES if len(name) == 2)[:60]
    _, (told,) = languages(tmp_path, "lang", lambda w: many[w.i % len(many)])
    assert f"are in {len(many)} languages" in told


@pytest.mark.parametrize("languages", [1, 2])
def test_titles_of_drupal(tmp_path, languages):
    """With translations a row of the body would have the titles of all of them."""
    path = str(tmp_path / "any.db")
    with sqlite3.connect(path) as db:
        db.execute("create table node (nid integer primary key, type)")
        db.execute("create table node_field_data (nid int, langcode, title, primary key (nid, langcode))")
        db.execute(
            "create table node__body (entity_id int, delta int, langcode, body_value, "
            "primary key (entity_id, delta, langcode))"
        )
        for w in map(Writer, range(ROWS)):
            db.execute("insert into node values (?, 'article')", [w.i])
            for language in ("en", "fr")[:languages]:
                db.execute("insert into node_field_data values (?, ?, ?)", [w.i, language, w.title()])
                db.execute("insert into node__body values (?, 0, ?, ?)", [w.i, language, w.text()])
    told = " ".join(preview(open_corpus(path, ["node__body"])).tables[0].remarks)
    if languages > 1:
        assert "may be in" not in told
        return
    joined = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    assert (joined.title, joined.body, joined.row_count) == ("title", ("body_value",), ROWS)
    assert any(document.startswith(f"{Writer(0).title()}\n\n") for document in joined.documents())


@pytest.mark.parametrize("kind", ["node", "comment"])
def test_titles_of_drupal_7(tmp_path, kind):
    path, key, label = str(tmp_path / "any.db"), f"{kind[0]}id", "title" if kind == "node" else "subject"
    with sqlite3.connect(path) as db:
        db.execute("create table node (nid integer primary key, type, title)")
        db.execute("create table comment (cid integer primary key, nid int, subject)")
        db.execute("create table field_data_body (entity_type, deleted int, entity_id int, body_value)")
        for w in map(Writer, range(ROWS)):
            db.execute("insert into node values (?, 'article', ?)", [w.i, w.title()])
            db.execute("insert into comment values (?, 1, ?)", [w.i, w.title()])
            db.execute("insert into field_data_body values (?, 0, ?, ?)", [kind, w.i, w.text()])
    told = " ".join(preview(open_corpus(path, ["field_data_body"])).tables[0].remarks)
    joined = open_source(path, "query", Selection(sql=shlex.split(told)[-1]))
    assert (joined.title, joined.body, joined.row_count) == (label, ("body_value",), ROWS)
    assert f"{kind}.{key}" in told


def test_pages_tell_nothing_of_other_tables(tmp_path):
    """Those who see one table may not see the other."""
    found, told = linked(tmp_path / "any.db", "title")
    remarks = preview_source(found, TrainCommand("any.db"), documents=0).remarks
    assert "book" in told and "book" not in " ".join(remarks)


@pytest.mark.parametrize(("label", "each", "table"), [("title", 6, "book"), ("name", 6, "recipes")])
def test_titles_of_what_has_several_parts(tmp_path, label, each, table):
    _, told = linked(tmp_path / "any.db", label, each, table)
    assert f"may be in {table} ({label})" in told and told.endswith(f" --title {label}")
    sql = shlex.split(told)[-3]
    joined = open_source(str(tmp_path / "any.db"), "query", Selection(sql=sql, title=label))
    assert next(joined.documents()).startswith(f"{Writer(0).title()}\n\n")


@pytest.mark.parametrize(
    ("label", "each", "table"),
    [
        ("name", 1, "customer"),
        ("author", 1, "book"),
        ("title", 6, "post"),
        ("title", 6, "category"),
        ("name", 1, "channels"),
    ],
)
def test_names_and_what_many_rows_share_are_no_titles(tmp_path, label, each, table):
    assert "may be in" not in linked(tmp_path / "any.db", label, each, table)[1]


@pytest.mark.parametrize("is_raw", [False, True], ids=["text", "BLOB"])
@pytest.mark.parametrize("kind", ["associated_message_type", "other"])
def test_reactions_to_messages_are_told(tmp_path, kind, is_raw):
    path = str(tmp_path / "chat.db")
    with sqlite3.connect(path) as db:
        db.execute(f"create table t (text, {kind})")
        starts = ["Liked “", "Removed a heart from “", "Laughed at “"]
        for i in range(60):
            text = (
                f"{starts[i % 3]}We meet at {i} beside the river”" if i % 4 == 0 else f"Where do we meet {i}?"
            )
            value = b"\x04\x0bstreamtyped\x84\x08NSString\x01\x94\x84\x01+" + bytes([len(text.encode())])
            db.execute(
                "insert into t values (?, ?)",
                (value + text.encode() if is_raw else text, 2000 if i % 4 == 0 else 0),
            )
    (told,) = unread_rows(open_source(path, "t"), "rows")
    assert told.startswith("15 rows are reactions to another one (Liked “…). To leave these out: --where ")
    left = open_source(path, "t", Selection(where=shlex.split(told)[-1]))
    assert left.row_count == 45
    assert list(unread_rows(left, "rows")) == []


def test_what_others_said_is_told(tmp_path):
    def tweet(w):
        return f"RT @ada_{w.i % 7}: {w.sentence()}" if w.i % 4 == 0 else w.sentence()

    path = write(tmp_path / "any.db", {"id": lambda w: w.i, "full_text": tweet})
    (told,) = unread_rows(open_source(path, "t"), "rows")
    assert told.startswith(
        "15 rows repeat what somebody else said (RT @ada_0: …). To leave these out: --where"
    )
    left = open_source(path, "t", Selection(where=shlex.split(told)[-1]))
    assert left.row_count == 45 and list(unread_rows(left, "rows")) == []
    path = write(tmp_path / "none.db", {"id": lambda w: w.i, "full_text": lambda w: f"What is RT @{w.i}?"})
    assert list(unread_rows(open_source(path, "t"), "rows")) == []


def test_every_column_that_says_so_is_told(tmp_path):
    flags = {
        "is_conflict": lambda w: int(w.i % 20 == 0),
        "deleted_time": lambda w: 1_600_000_000 * (w.i % 7 == 0),
    }
    _, told = hints(tmp_path, flags)
    assert [each.split()[3] for each in told] == ["is_conflict", "deleted_time"]


def test_two_columns_that_say_so_of_the_same_rows_are_told_once(tmp_path):
    flags = {
        "ZTRASHED": lambda w: int(w.i % 5 == 0),
        "ZTRASHEDDATE": lambda w: None if w.i % 5 else 1.5e9 + w.i,
    }
    _, told = hints(tmp_path, flags)
    assert [each.split()[3] for each in told] == ["ZTRASHED"]


def test_private_rows_are_told_first(tmp_path):
    flags = dict.fromkeys(["is_spam", "deleted", "is_draft"], lambda w: 0) | {
        name: lambda w, n=n: int(w.i % n == 0) for n, name in enumerate(["trashed", "hidden", "archived"], 2)
    }
    _, told = hints(tmp_path, flags | {"visibility": lambda w: ["public", "private"][w.i == 3]})
    assert len(told) == 3 and told[0].startswith("In 1 row visibility is private.")


def remarks(tmp_path, columns):
    path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.db", columns)
    (table,) = preview(open_corpus(path, ["t"])).tables
    return path, table.remarks


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("archetype", lambda i: ["regular", "private_message"][i % 2], "archetype is private_message"),
        ("deleted_at", lambda i: "2024-05-01 10:00" if i % 2 else None, "deleted_at is set"),
        ("confidential", lambda i: i % 2, "confidential is 1"),
    ],
)
def test_rows_of_what_is_not_read_in_another_table(tmp_path, column, value, told):
    path = write(tmp_path / "any.db", {"topic_id": lambda w: 1 + w.i % 10, "body": Writer.text})
    with sqlite3.connect(path) as db:
        db.execute(f"create table topics (id integer primary key, name text, {column})")
        db.executemany("insert into topics values (?, ?, ?)", [(i, f"{i}", value(i)) for i in range(1, 11)])
    (shown,) = preview(open_corpus(path, ["t"])).tables
    (remark,) = [each for each in shown.remarks if "topics" in each]
    assert remark.startswith(f"{ROWS // 2} rows are of topics in which {told}. To leave these out: --where")
    left = open_corpus(path, ["t"], Selection(where=shlex.split(remark)[-1]))
    assert left.sources[0].row_count == ROWS // 2
    assert not [each for each in preview(left).tables[0].remarks if "topics" in each]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("trashed", lambda i: i % 4 == 0, "true"),
        ("visibility", lambda i: ["public", "private"][i % 4 == 0], '"private"'),
        ("published", lambda i: int(i % 4 != 0), "0"),
    ],
)
def test_rows_whose_json_says_so(tmp_path, key, value, shown):
    def body(w):
        return json.dumps({"title": w.title(), "text": w.text(), key: value(w.i)}) if w.i % 5 else "no JSON"

    path, _ = hints(tmp_path, {"body": body, "title": lambda w: None})
    source = open_source(path, "t")
    (told,) = unread_records(source, "rows")
    assert told.startswith(f"In {ROWS // 5} rows {key} in body is {shown}. To leave these out")
    left = open_source(path, "t", Selection(where=shlex.split(told)[-1]))
    assert left.row_count == ROWS - ROWS // 5 and not list(unread_records(left, "rows"))


def test_the_name_of_a_website_at_the_end_of_titles_is_told(tmp_path):
    ends = [" - The Daily News", ' | Example "B" Blog', "", " – Old Mill"]
    columns = {"title": lambda w: w.title() + ends[w.i % 4], "body": Writer.text}
    path, told = remarks(tmp_path, columns)
    (remark,) = [each for each in told if "have a title that ends in" in each]
    assert remark.startswith("45 rows have a title")
    template = shlex.split(remark)[-1]
    plain = list(open_source(path, "t", Selection()).documents())
    without = list(open_source(path, "t", Selection(template=template)).documents())
    assert [text.partition("\n")[2] for text in without] == [text.partition("\n")[2] for text in plain]
    assert not any(end and end in text for end in ends for text in without)
    _, none = remarks(tmp_path, {"title": lambda w: f"{w.title()} - part {w.i}", "body": Writer.text})
    assert not any("ends in" in each for each in none)


def test_values_of_all_sorts_are_told(tmp_path):
    def value(w):
        return [w.title(), f"2019-03-{w.i % 28 + 1:02}", f"https://doi.org/10.1/{w.i}", w.text(), "en"][
            w.i % 5
        ]

    path, told = remarks(tmp_path, {"valueID": lambda w: w.i, "value": value})
    (remark,) = [each for each in told if "values of all sorts" in each]
    assert remark.startswith("24 rows have dates or URLs in value and no text")
    left = open_source(path, "t", Selection(where=shlex.split(remark)[-1]))
    assert left.row_count < ROWS / 2
    names = {"entity": lambda w: w.i // 5, "attribute": lambda w: "abcde"[w.i % 5], "value": value}
    path, told = remarks(tmp_path, names)
    (remark,) = [each for each in told if "text is in those in which attribute is d." in each]
    assert open_source(path, "t", Selection(where=shlex.split(remark)[-1])).row_count == ROWS // 5
    # A key of each row's own says nothing of its kind.
    keys = {"key_id": lambda w: w.hash(), "value": lambda w: w.text() if w.i % 2 else "lol"}
    path = write(tmp_path / "keys.db", keys)
    with sqlite3.connect(path) as db:
        db.execute("delete from t where rowid > 18")
    assert not any("key_id is" in each for each in row_hints(open_source(path, "t")))
    names |= {"attribute": lambda w: "abcde"[w.random.randint(0, 4)]}
    assert any("attribute says which" in each for each in remarks(tmp_path, names)[1])
    _, none = remarks(tmp_path, {"id": lambda w: w.i, "body": Writer.text})
    assert not any("all sorts" in each for each in none)


@pytest.mark.parametrize("size", [60, 100, 255])
def test_texts_that_are_cut_at_one_length_are_told(tmp_path, size):
    cut = {"snippet": lambda w: (w.sentence(8) if w.i % 3 == 0 else w.text().replace("\n\n", " "))[:size]}
    _, told = remarks(tmp_path, {"title": Writer.title, **cut})
    (remark,) = [each for each in told if "beginnings" in each]
    assert f" rows have exactly {size} characters in snippet, none has more" in remark


@pytest.mark.parametrize(
    "text",
    [
        Writer.text,
        Writer.sentence,
        lambda w: w.text()[: 99 + w.i % 2] + ".",  # sentences that are as long as may be
        lambda w: "ACGTTGCA"[w.i % 8] * 60,  # codes
        lambda w: w.text()[:80] if w.i % 9 == 0 else w.sentence(9),  # a few
        lambda w: (w.text() * 40)[:7000],  # of which the sample has only the beginnings
    ],
)
def test_whole_texts_are_no_beginnings(tmp_path, text):
    _, told = remarks(tmp_path, {"title": Writer.title, "body": text})
    assert not any("beginnings" in each for each in told)


def test_rows_of_bots_are_told(tmp_path):
    _, told = hints(tmp_path, {"isBot": lambda w: int(w.i % 4 == 0)})
    assert len(told) == 1 and "isBot is 1" in told[0]
