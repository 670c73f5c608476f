"""Rows to documents: every row is read or counted, in any table or view, in bounded memory."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlite_utils
from conftest import finish
from datasette import hookimpl
from datasette.plugins import pm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasette_nanogpt.data import sqlite
from datasette_nanogpt.data.columns import NoTextError
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.decode import decode_bytes
from datasette_nanogpt.data.open_source import open_source, open_sources
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.sqlite import database_path
from llm_nanogpt.errors import InvalidOptions, NanogptError


@pytest.fixture
def make(tmp_path):
    """make("sql", …, rows=…) writes a database whose table is `t`, and returns its path."""

    def write(*statements, rows=(), name="some blog.db"):
        path = tmp_path / name
        db = sqlite3.connect(path)
        with db:
            for sql in statements or ["create table t (id integer primary key, title text, body text)"]:
                db.execute(sql)
            for row in rows:
                db.execute(f"insert into t values ({','.join('?' * len(row))})", row)
        db.close()
        return str(path)

    return write


def read(path, table, **selection):
    return list(open_source(path, table, Selection(**selection)).documents())


def test_title_and_body(make):
    path = make(rows=[(2, "Second", "two"), (1, "First", "one\r\nline"), (3, None, "three"), (4, "4", "")])
    found = open_source(path, "T")
    assert (found.table, found.title, found.body, found.row_count) == ("t", "title", ("body",), 4)
    assert found.database.is_absolute()
    assert not found.html_columns
    assert list(found.documents()) == ["First\n\none\nline", "Second\n\ntwo", "three", "4"]
    assert list(found.documents()) == read(path, "t")


def test_columns_are_named(make):
    path = make("create table t (a, b, title, n)", rows=[("a", "b", "t", 1.5)])
    assert read(path, "t", title="B", body=["n", "a"]) == ["b\n\n1.5\n\na"]
    assert read(path, "t", body=["a"]) == ["t\n\na"]
    assert read(path, "t", title="", body=["a"]) == ["a"]
    assert open_source(path, "t", Selection(body=["title"])).title is None
    assert open_source(path, "t", Selection(title="a")).body == ("b",)


def test_a_condition_chooses_rows(make):
    path = make(rows=[(i, f"t{i}", f"b{i}") for i in range(9)])
    assert read(path, "t", where="id > 6 -- late ones") == ["t7\n\nb7", "t8\n\nb8"]
    assert open_source(path, "t", Selection(where="id > 6")).row_count == 2


def test_html_is_told_by_the_column(make):
    html = [(i, f"Q&amp;A {i}", f"<p>Fish &amp; <b>chips</b> {i}</p>") for i in range(3)]
    short = [(3, "x", "Only <i>inline</i> &lt;"), (4, "y", "two\nlines")]
    path = make(rows=html + short)
    assert open_source(path, "t").html_columns == {"body"}
    assert read(path, "t")[2:] == ["Q&A 2\n\nFish & chips 2", "x\n\nOnly inline <", "y\n\ntwo\nlines"]
    plain = make(rows=[(1, "&amp;", "a < b"), (2, "x", "# Use\n\n`<p>` and <b>")], name="plain.db")
    assert read(plain, "t") == ["&amp;\n\na < b", "x\n\n# Use\n\n`<p>` and <b>"]


def test_what_is_not_text_is_counted(make):
    rows = [(1, None, None), (2, "t", b"\0\xff"), (3, "3", 42), (4, "t", " \n"), (5, None, "\x00")]
    path = make(rows=rows)
    with sqlite3.connect(path) as db:
        db.execute("insert into t values (6, 'caf\u00e9', cast(x'636166e9' as text))")
    found = open_source(path, "t", Selection(body=["body"]))
    assert list(found.documents()) == ["3\n\n42", "t", "caf\u00e9\n\ncaf\u00e9"]
    assert found.skipped == {"no text": 2, "body is binary": 1}
    assert found.decoded == {"Windows-1252": 1}
    list(found.documents())
    assert (found.skipped.total(), found.decoded.total()) == (3, 1)  # a second pass counts anew


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.lists(
            st.none()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats()
            | st.text(st.characters(codec="utf-8"))
            | st.binary(),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_row_is_a_document_or_counted(tmp_path, rows):
    path = str(tmp_path / "any.db")
    db = sqlite3.connect(path)
    db.executescript("drop table if exists t; create table t (title, body)")
    with db:
        db.executemany("insert into t values (?, ?)", rows)
    db.close()
    try:
        found = open_source(path, "t", Selection(title="title", body=["body"]))
    except NoTextError:
        assert any(isinstance(body, bytes) for _, body in rows)
        return
    documents = list(found.documents())
    assert all(documents)
    assert len(documents) + found.skipped.total() == found.row_count == len(rows)


ODD = ["two words", 'quo"ted', "brack[et]s", "it's", "select", "täbelle", "表", "🦊", "a.b", "a;--", "%41?#"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_files_tables_and_columns_work(make, name):
    quoted = '"{}"'.format(name.replace('"', '""'))
    path = make(
        f"create table {quoted} ({quoted} text, body text)",
        f"insert into {quoted} values ('title', 'words')",
        name=f"{name}.db",
    )
    assert read(path, name, title=name) == ["title\n\nwords"]


@pytest.mark.parametrize(
    ("table", "order"),
    [
        ("create table t (title text, body text)", ["b", "a", "c"]),
        ("create table t (rowid text, oid text, title text, body text)", ["b", "a", "c"]),
        ("create table t (title text primary key, body text) without rowid", ["a", "b", "c"]),
        ("create table t (body text, title text, primary key (title, body)) without rowid", ["a", "b", "c"]),
        ("create virtual table t using fts5(title, body)", ["b", "a", "c"]),
        ("create virtual table t using fts4(title, body)", ["b", "a", "c"]),
    ],
)
def test_order_is_that_of_the_table(make, table, order):
    path = make(table, *(f"insert into t (title, body) values ('{x}', 'words')" for x in "bac"))
    if "virtual" not in table:
        with sqlite3.connect(path) as db:  # an index that holds all that is read
            db.execute("create index i on t (title desc, body)")
    assert read(path, "t") == [f"{title}\n\nwords" for title in order]


def test_views_and_generated_columns(make):
    path = make(
        "create table p (title text, body text, shout text generated always as (upper(body)))",
        "insert into p (title, body) values ('t', 'words')",
        "create view t as select title as headline, body || '!' as body from p",
    )
    assert read(path, "t") == ["t\n\nwords!"]
    assert read(path, "p", body=["shout"]) == ["t\n\nWORDS"]


def test_memory_does_not_grow(make):
    import tracemalloc

    path = make()
    with sqlite3.connect(path) as db:
        numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)"
        db.execute(f"insert into t {numbers} select i, 'title', printf('%.*c', 10000, 'x') from n")
    found = open_source(path, "t")
    documents = found.documents()
    next(documents)
    tracemalloc.start()
    assert sum(1 for _ in documents) == 1999  # 20 MB
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()


def test_documents_may_be_read_by_another_thread(make):
    documents = open_source(make(rows=[(1, "a", "b"), (2, "c", "d")]), "t").documents()
    next(documents)
    rest = []
    thread = threading.Thread(target=lambda: rest.extend(documents))
    thread.start()
    thread.join()
    assert rest == ["c\n\nd"]


def fails(path, table, **selection):
    with pytest.raises(NanogptError) as error:
        read(path, table, **selection)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_and_tables_that_cannot_be_read_are_refused_with_a_reason(make, tmp_path):
    path = make(rows=[(1, "a", "b")])
    assert "no file" in fails(str(tmp_path / "no.db"), "t")
    assert not (tmp_path / "no.db").exists()
    assert "folder" in fails(str(tmp_path), "t")
    (tmp_path / "notes.csv").write_text("a,b\n" * 999)
    assert "not a SQLite database" in (told := fails(str(tmp_path / "notes.csv"), "t"))
    assert told.endswith(f": sqlite-utils insert notes.db notes {tmp_path / 'notes.csv'} --csv")
    (tmp_path / "my notes.bak").write_text("a,b\n" * 999)
    assert "insert new.db TABLE 'my notes.bak' (with" in fails(str(tmp_path / "my notes.bak"), "t")
    (tmp_path / "empty.db").touch()
    assert "no tables" in fails(str(tmp_path / "empty.db"), "t")
    assert "has no column y, z. The columns are: id, title, body." in fails(
        path, "t", body=["y", "body", "z"]
    )
    assert fails(path, "t", body=["bodies"]).endswith("id, title, body. Did you mean body?")
    assert fails(path, "t", body=["boddy", "titel"]).endswith("body. Did you mean body and title?")
    assert fails(path, "xyz").endswith("It has: t.")
    sqlite_utils.Database(path)["Entries"].insert({"body": "a"})
    assert fails(path, "entry").endswith("Did you mean Entries?")
    assert fails(path, "t", template="{{ boddy }}").endswith("Did you mean body?")
    assert "no such column: z. The columns of t are: id, title, body." in fails(path, "t", where="z = 1")
    assert fails(path, "t", where="boddy = 1").endswith("title, body. Did you mean body?")
    assert "syntax error" in fails(path, "t", where="id = 1; drop table t")
    assert "does not work" in fails(path, "t", where="id = ?")
    assert "No row of t matches the condition" in fails(path, "t", where="id > 1")
    assert "empty" in fails(make(name="0.db"), "t")
    numbers = make("create table t (id integer, n real)", rows=[(1, 2.5)], name="n.db")
    assert "no column of plain text: id and n hold numbers." in fails(numbers, "t")
    assert read(numbers, "t", body=["n"]) == ["2.5"]


def test_what_is_wrong_names_the_option(make):
    path = make(rows=[(1, "a", "b")])
    numbers = make("create table t (id integer)", rows=[(1,)], name="numbers.db")

    def problems(*args):
        with pytest.raises(InvalidOptions) as error:
            open_corpus(*args)
        return [(problem.field, problem.code) for problem in error.value.problems]

    assert problems(f"{path}.db", ["t"]) == [("database", "missing")]
    assert problems(path, ["x", "y"]) == [("table", "missing"), ("table", "missing")]
    assert problems(path, ["t"], Selection(title="x")) == [("title", "missing_column")]
    missing = [("title", "missing_column"), ("body", "missing_column")]
    assert problems(path, ["t"], Selection("x", ["y"])) == missing
    assert problems(path, ["t", "T"], Selection("x", ["y"])) == missing
    assert problems(path, ["t"], Selection(where="x = 1")) == [("where", "sql_error")]
    assert problems(path, ["t"], Selection(where="id = 2")) == [("where", "no_rows")]
    assert problems(path, [], Selection(sql="select x from t")) == [("sql", "sql_error")]
    assert problems(numbers, ["t"]) == [("body", "no_text")]


def test_tables_are_listed(make):
    path = make(
        "create table blog_entry (id integer primary key autoincrement, body text)",
        "create view recent as select * from blog_entry",
        "create virtual table search using fts5(body)",
    )
    assert fails(path, "blog").endswith(
        "no table 'blog'. It has: blog_entry, search, recent. Did you mean blog_entry?"
    )
    many = make(*(f'create table "{i}\n" (id)' for i in range(50)), name="many.db")
    assert fails(many, "t").endswith(r"'39\n' and 10 more.")


@pytest.mark.parametrize(
    ("column", "selection"),
    [("body", {}), ("title", {}), ("chat", {"group_by": "chat"}), ("sent", {"group_by": "chat"})],
)
def test_a_column_that_goes_away_meanwhile_is_not_read_as_its_name(make, column, selection):
    """SQLite takes "body" for the text 'body' where there is no such column."""
    columns = "create table t (id integer primary key, title text, body text, chat text, sent text)"
    path = make(columns, rows=[(i, f"T{i}", f"text {i}", f"chat {i % 2}", f"{i}") for i in range(9)])
    order = {"order_by": "sent"} if selection else {}
    (source,) = open_corpus(path, ["t"], Selection("title", ["body"], **selection, **order)).sources
    assert len(list(source.documents())) == (2 if selection else 9)
    with sqlite3.connect(path) as db:
        db.execute(f"alter table t rename column {column} to other")
    with pytest.raises(NanogptError, match=f"no such column: {column}"):
        list(source.documents())
    with pytest.raises(NanogptError, match=f"no such column: {column}"):
        list(source.documents_by_key([["1"]]))


def test_a_file_that_goes_away_meanwhile_is_told(make):
    path = make(rows=[(1, "a", "b")])
    (source,) = open_corpus(path, ["t"]).sources
    os.unlink(path)
    with pytest.raises(NanogptError, match="was moved or deleted while it was read"):
        list(source.documents())


@pytest.mark.parametrize("name", ["a`b", 'a"b', "a]b", "a b", "``", "select"])
def test_any_name_of_a_column_can_be_read(make, name):
    quoted = name.replace('"', '""')
    path = make(f'create table t (id integer primary key, "{quoted}" text)', rows=[(1, "some text")])
    assert read(path, "t") == ["some text"]


def test_a_locked_database_is_refused_until_it_is_free(make, monkeypatch, capsys):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    path = make(rows=[(1, "a", "b")])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin exclusive")
    assert "locked by another program" in fails(path, "t")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sqlite, "TOLD_SECONDS", 0.05)
    assert "locked by another program" in fails(path, "t")
    waits = f"Waiting up to 0.1 seconds for {path}: another program has it locked.\n"
    assert capsys.readouterr().err == waits
    with sqlite.time_limit(60):  # a page
        assert "locked by another program" in fails(path, "t")
    writer.execute("rollback")
    assert read(path, "t") == ["a\n\nb"]
    assert capsys.readouterr().err == ""
    writer.execute("pragma journal_mode=wal")
    writer.execute("begin immediate")
    writer.execute("insert into t values (2, 'c', 'd')")
    assert read(path, "t") == ["a\n\nb"]
    writer.close()


def test_a_damaged_database_is_refused(make):
    path = make(rows=[(i, "a", "b" * 999) for i in range(99)])
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 60_000)
    assert "damaged" in fails(path, "t")


class Plugin:
    answers: dict = {}
    calls: list = []

    @hookimpl
    def nanogpt_document(self, database, table, row):
        self.calls.append((database, table, row))
        return self.answers.get(row["id"])


@pytest.fixture
def plugin():
    plugin = Plugin()
    plugin.calls = []
    pm.register(plugin)
    yield plugin
    pm.unregister(plugin)


def test_plugins_write_documents(make, plugin):
    plugin.answers = {1: "mine\r\n", 2: False, 4: "", 5: "caf\u00e9"}
    path = make(rows=[(1, "a", "b"), (2, "b", "b"), (3, "c", "b"), (4, "d", "b"), (5, "e", b"caf\xe9")])
    found = open_source(path, "t")
    assert list(found.documents()) == ["mine", "c\n\nb", "café"]
    assert found.skipped == Counter({"left out by a plugin": 1, "no text": 1})
    assert plugin.calls[-1] == ("some blog", "t", {"id": 5, "title": "e", "body": b"caf\xe9"})
    plugin.answers = {1: 5}
    assert "must return a str, False or None, not int" in fails(path, "t")


def test_plugins_write_documents_of_tables_without_text(make, plugin):
    plugin.answers = {7: "seven"}
    found = open_source(make("create table t (id integer)", rows=[(7,), (8,)]), "t")
    assert list(found.documents()) == ["seven"]
    assert found.skipped == {"no text": 1}


def test_of_several_tables_the_one_that_lacks_a_column_is_named(tmp_path):
    path = str(tmp_path / "two.db")
    for table in ("entry", "note"):
        date = {"created": "2024"} if table == "entry" else {}
        rows = [{"body": f"The mill number {i} stands by the river."} | date for i in range(9)]
        sqlite_utils.Database(path)[table].insert_all(rows)
    for option in ("where", "group_by"):
        with pytest.raises(InvalidOptions, match="no such column: created. The columns of note are: body."):
            open_sources(path, ["entry", "note"], Selection(**{option: "created > 2000"}))


def test_a_query_is_a_table(make):
    path = make(rows=[(i, f"t{i}", f"b{i}") for i in range(9)])
    sql = (
        "with late as (select * from t where id > 6)\n select id, upper(title) title, body from late; -- late"
    )
    corpus = open_corpus(path, selection=Selection(sql=sql.replace("; -- late", ";")))
    assert list(corpus.documents()) == ["T7\n\nb7", "T8\n\nb8"]
    assert (corpus.name, corpus.row_count) == (sql.replace("; -- late", ";"), 2)
    assert read(path, "query", sql="select title, body from t -- all", where="title = 't3'") == ["t3\n\nb3"]
    two = "select a.body, b.body from t a join t b on b.id = a.id + 1 where a.id = 1"
    assert read(path, "query", sql=two, body=["body", "body:1"]) == ["b1\n\nb2"]


def test_mistakes_in_a_query(make):
    path = make(rows=[(1, "a", "b")])
    assert "The query 'select x from t' does not work: no such column: x." in fails(
        path, "q", sql="select\nx from t"
    )
    for sql in ("delete from t", "select 1; drop table t", "", "select * from t) -- "):
        assert "The query" in fails(path, "q", sql=sql), sql
    assert fails(path, "query", sql="select 1").startswith(
        "The query has no column of plain text: 1 holds numbers."
    )
    for sql in ("selec", "delete from t", "explain select 1", "-- select\nselec"):
        assert "does not work: a query must begin with SELECT or WITH." in fails(path, "q", sql=sql), sql
    for sql in ("/* a */ (select 1)", "-- a\n\nwith x as (select 1) select * from x", "VALUES (1)"):
        assert "must begin" not in fails(path, "q", sql=sql), sql
    assert "The query has no column x." in fails(path, "query", sql="select * from t", body=["x"])
    wrong = fails(path, "query", sql="select title, body from t", where="nope = 1")
    assert wrong.startswith(
        "The condition 'nope = 1' does not work: no such column: nope. The columns are: title"
    )
    assert "The query returns no rows" in fails(path, "q", sql="select * from t where 0")
    assert read(path, "t") == ["a\n\nb"]
    with pytest.raises(NanogptError, match="not both"):
        open_corpus(path, ["t"], Selection(sql="select 1"))
    with pytest.raises(NanogptError, match="URL"):
        open_corpus(path, ["t"], token="x")


def test_who_names_no_table_is_told_what_there_is(make, tmp_path):
    path = make("create table t (body text)", "create view v as select * from t")
    with pytest.raises(NanogptError) as told:
        open_corpus(path)
    assert str(told.value) == (
        f"There is nothing to train on: all tables of {path} are empty (t, v). Fill one of them first."
    )
    for database, why in (
        (tmp_path / "none.db", "no file"),
        (make("select 1", name="empty.db"), "no tables"),
    ):
        with pytest.raises(NanogptError, match=why):
            open_corpus(str(database))
    with pytest.raises(NanogptError, match="^Name the table to train on, or give a query"):
        open_corpus("http://127.0.0.1:9/blog")
    for address in ("localhost:9/blog", "example.org/blog"):
        with pytest.raises(NanogptError, match=r"no file .* begins with https:// or http://\.$"):
            open_corpus(address, ["t"])
    with pytest.raises(NanogptError, match="only training can read: give a SQLite file"):
        database_path("https://example.org/blog")


def test_several_tables_are_one_corpus(make):
    path = make(
        "create table t (title text, body text)",
        "create table n (subject text, notes text, markdown text)",
        "create view e as select '' as body",
        rows=[("a", "b"), (None, None)],
    )
    with sqlite3.connect(path) as db:
        db.execute("insert into n values ('s', 'some notes', 'more')")
    corpus = open_corpus(path, ["t", "N", "e", "t"])
    assert list(corpus.documents()) == ["a\n\nb", "s\n\nmore"]
    told = corpus.describe()
    assert (told["table"], told["rows"], told["title"], told["body"]) == (
        "t, n, e",
        4,
        "title",
        ["body", "markdown"],
    )
    assert [(t["table"], t["rows"], t["skipped"]) for t in told["tables"]] == [
        ("t", 2, {"no text": 1}),
        ("n", 1, {}),
        ("e", 1, {"no text": 1}),
    ]
    corpus = open_corpus(path, ["t", "n"], Selection("", ["notes", "body"]))  # of each what it has
    assert list(corpus.documents()) == ["b", "some notes"]
    with pytest.raises(NanogptError) as error:
        open_corpus(path, ["t", "x", "y"])
    assert len(str(error.value).splitlines()) == 2
    with pytest.raises(
        NanogptError, match="The tables have no column z. The columns are: title, body, subject"
    ):
        open_corpus(path, ["t", "n"], Selection(body=["z"]))


def test_rows_come_with_their_keys(make):
    path = make(
        "create table t (body text)",
        "create table c (b text, a text, body text, primary key (a, b)) without rowid",
        "create table i (id integer primary key, body text)",
        "create view v as select * from i",
        rows=[("x",)],
    )
    with sqlite3.connect(path) as db:
        db.execute("insert into c values ('b', 'a', 'y')")
        db.execute("insert into i values (7, 'z')")
    for table, keys in (("t", {"rowid": 1}), ("c", {"a": "a", "b": "b"}), ("i", {"id": 7}), ("v", {})):
        source = open_source(path, table)
        assert [key for key, _ in source.keyed_documents()] == [keys]
        assert [*source.keyed_documents_from_copy()] == [*source.keyed_documents()]


def test_the_digest_tells_what_is_read(make):
    path = make("create table t (title, body, n)", rows=[("a", "b", 1), (None, "é", 2)])
    digest, size = finish(open_corpus(path, ["t"]).digest())
    assert size == 4
    assert finish(open_corpus(path, ["t"]).digest())[0] == digest
    selections = [Selection(body=["title"]), Selection(where="title is null")]
    others = [open_corpus(path, ["t"], selection) for selection in selections]
    with sqlite3.connect(path) as db:
        db.execute("update t set n = 3")  # not read
    assert finish(open_corpus(path, ["t"]).digest())[0] == digest
    changes = ["body = cast('b' as blob)", "body = 'c'", "title = 'ab', body = ''", "body = null"]
    for change in changes:
        other = make("create table t (title, body)", rows=[("a", "b"), (None, "é")], name=f"{len(others)}.db")
        with sqlite3.connect(other) as db:
            db.execute(f"update t set {change} where title = 'a'")
        others.append(open_corpus(other, ["t"], Selection("title", ["body"])))
    digests = {digest, *(finish(corpus.digest())[0] for corpus in others)}
    assert len(digests) == 1 + len(others)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda name: not name.lower().startswith("sqlite_")
)
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data(), NAMES, st.lists(NAMES, min_size=1, max_size=5, unique_by=str.lower))
def test_any_table_is_read_or_refused_in_a_line(tmp_path, data, table, columns):
    path = tmp_path / "any.db"
    path.unlink(missing_ok=True)
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in [table, *columns]]
    types = data.draw(st.lists(st.sampled_from(["", "text", "integer", "blob"]), min_size=5, max_size=5))
    key = data.draw(st.integers(0, len(columns)))
    ending = f", primary key ({', '.join(quoted[1 : key + 1])})" if key else ""
    ending += ") without rowid" if key and data.draw(st.booleans()) else ")"
    db = sqlite3.connect(path)
    specs = [f"{name} {kind}" for name, kind in zip(quoted[1:], types, strict=False)]
    db.execute(f"create table {quoted[0]} ({', '.join(specs)}{ending}")
    for row in data.draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=8)):
        row = [v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in row]
        marks = ", ".join("cast(? as text)" if data.draw(st.booleans()) else "?" for _ in columns)
        with suppress(sqlite3.IntegrityError):  # text in an integer primary key
            db.execute(f"insert or ignore into {quoted[0]} values ({marks})", row)
    db.commit()
    db.close()
    refusal = None
    try:
        corpus = open_corpus(str(path), [table])
    except NanogptError as error:
        refusal = str(error)
    if refusal is not None:
        assert "\n" not in refusal
        return
    documents = list(corpus.documents())
    for text in documents:
        assert text.encode() and "\0" not in text
    assert len(documents) + sum(s.skipped.total() for s in corpus.sources) == corpus.row_count
    assert len(finish(corpus.digest())[0]) == 32


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p></p><br><div><img src=x></div>", None),  # tags alone
        ("<p>שלום <b>עולם</b></p>", "שלום עולם"),
        ("<p>吾輩は猫である。</p><p>名前はまだ無い。</p>", "吾輩は猫である。\n\n名前はまだ無い。"),
        ("<p>👩‍👩‍👧 e\u0301</p>", "👩‍👩‍👧 e\u0301"),
    ],
)
def test_texts_of_the_world(make, body, text):
    found = open_source(make("create table t (body text)", rows=[(body,)]), "t")
    assert list(found.documents()) == ([text] if text else [])
    assert found.skipped == ({} if text else {"no text": 1})


def test_a_database_in_utf16_is_read(make):
    path = make("pragma encoding = 'UTF-16'", "create table t (body text)", rows=[("naïve ☕",)])
    with sqlite3.connect(path) as db:
        db.execute("insert into t values (cast(x'41d8' as text))")
    assert read(path, "t")[0] == "naïve ☕"


def test_a_row_of_50_megabytes(make):
    line = "<p>" + "word " * 2000 + "</p>\n"
    path = make("create table t (body text)", rows=[(line * 5000,), ("<p>x</p>",)])
    first, second = read(path, "t")
    assert (len(first), second) == (5000 * 10_001 - 2, "x")


def test_rows_in_the_wal_alone_are_read(make):
    path = make(rows=[(1, "a", "b")])
    writer = sqlite3.connect(path)
    writer.execute("pragma journal_mode=wal")
    writer.execute("insert into t values (2, 'c', 'd')")
    writer.commit()  # in the WAL alone, which goes when the writer does
    assert read(path, "t") == ["a\n\nb", "c\n\nd"]
    writer.close()
    assert read(path, "t") == ["a\n\nb", "c\n\nd"]


def as_nobody(read_it):
    """What `read_it` returns, or its NanogptError, in a process that owns nothing."""
    answer, question = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            told = repr(read_it())
        except NanogptError as error:
            told = str(error)
        except BaseException as error:
            told = f"bug: {error!r}"
        os.write(question, told.encode())
        os._exit(0)
    os.close(question)
    os.waitpid(child, 0)
    with os.fdopen(answer) as told:
        return told.read()


@pytest.mark.skipif(sys.platform == "win32", reason="rights of another kind")
def test_read_only_media():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "some blog.db"
        writer = sqlite3.connect(path)
        writer.execute("pragma journal_mode=wal")
        writer.executescript("create table t (body text); insert into t values ('x');")
        writer.close()
        assert read(str(path), "t") == ["x"]  # and all modules are loaded

        def read_there(mode):
            os.chmod(path, mode)
            os.chmod(folder, 0o555)
            try:
                return as_nobody(lambda: read(str(path), "t"))
            finally:
                os.chmod(folder, 0o755)

        assert read_there(0o444) == "['x']"
        assert "do not have permission to read" in read_there(0o000)
        os.chmod(path, 0o644)
        writer = sqlite3.connect(path)
        writer.execute("insert into t values ('y')")
        writer.commit()
        assert read_there(0o444) == "['x', 'y']"
        os.chmod(f"{path}-wal", 0)
        assert "Copy both files" in read_there(0o444)
        writer.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY_DIRECTORY])
def test_a_file_in_wal_mode_beside_which_nothing_can_be_written(make, monkeypatch, code):
    path = make(rows=[(1, "a", "text")])
    whole = sqlite._open

    class Refused:
        def execute(self, sql):
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = code
            raise error

        def close(self):
            pass

    monkeypatch.setattr(
        sqlite, "_open", lambda path, how: Refused() if how == "mode=ro" else whole(path, how)
    )
    with sqlite.connect(Path(path)) as db:
        assert db.execute("select 1").fetchone() == (1,)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.db")
    for place in (tmp_path / "pipe.db", "/dev/null", "/dev/zero"):
        with pytest.raises(InvalidOptions, match="is a pipe or a device: save what comes from it"):
            database_path(str(place))


def test_a_change_that_was_not_finished_is_told_with_what_undoes_it(tmp_path, monkeypatch):
    """As after a crash: a journal that is newer than the file's last whole state."""
    path = tmp_path / "half.db"
    code = f"""
import os, sqlite3
db = sqlite3.connect({str(path)!r})
db.execute("create table t (body)")
db.execute("pragma cache_size = 1")
with db:
    db.executemany("insert into t values (?)", [("first " * 100,)] * 200)
db.execute("begin")
db.execute("update t set body = replace(body, 'first', 'other')")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert Path(f"{path}-journal").stat().st_size
    told = f"by a program that did not finish. To undo that change: sqlite3 {path}"
    with pytest.raises(NanogptError, match=told):
        open_source(str(path), "t")
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)
    with pytest.raises(NanogptError, match="in a read-only folder. Copy it and half.db-journal"):
        open_source(str(path), "t")
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as db:  # as `sqlite3 half.db .tables` does
        db.execute("select count(*) from sqlite_master").fetchone()
    assert open_source(str(path), "t").row_count == 200


def test_halves_of_characters_are_read_as_far_as_they_go():
    pair, half = "a😀b".encode("utf-16-le"), b"\xed\xa0\xbd"
    assert decode_bytes(pair.decode("utf-16-le", "surrogatepass").encode()).text == "a😀b"
    assert decode_bytes(b"a" + half + b"\xed\xb8\x80b").text == "a😀b"  # as Java and Oracle write it
    assert decode_bytes(b"cut in the middle: " + half + " é".encode()).text == "cut in the middle: \ufffd é"
    assert decode_bytes(b"caf\xe9").what == "Windows-1252"


def test_truncated_and_encrypted(make):
    path = Path(make(rows=[(i, "a", "b" * 999) for i in range(99)]))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "damaged" in fails(str(path), "t")
    path.write_bytes(data[:4000])
    assert "damaged" in fails(str(path), "t")
    path.write_bytes(os.urandom(8192))
    assert "encrypted" in fails(str(path), "t")


def test_rows_that_are_scored_may_be_written_meanwhile(tmp_path):
    path = tmp_path / "blog.db"
    with sqlite3.connect(path) as db:
        db.execute("create table t (body text)")
        db.executemany("insert into t values (?)", [(f"row {i}" * 50,) for i in range(3000)])
    documents = open_source(str(path), "t").keyed_documents_from_copy()
    next(documents)
    with sqlite3.connect(path, timeout=0) as db:
        db.execute("update t set body = 'another'")
    assert "another" not in dict(enumerate(text for _, text in documents)).values()
