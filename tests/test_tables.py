"""Which tables are proposed, and connections that are set up like Datasette's."""

import json
import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import pm
from test_columns import prose, rows, title

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.data import connection_setup
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.open_source import open_source
from datasette_nanogpt.data.source import Selection
from datasette_nanogpt.data.sqlite import connect, quote
from datasette_nanogpt.data.tables import user_tables
from llm_nanogpt.errors import NanogptError


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.setattr(connection_setup, "_datasette", None)


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "my notes.db")
    db = sqlite3.connect(path)
    db.executescript(
        """
        create table tag (name text);
        create table note (id integer primary key, title text, body text);
        create table _llm_migrations (name text);
        create table _sqlite_migrations (name text);
        create table _counts ([table] text, count integer);
        create table _analyze_tables_ (a);
        create table spatial_ref_sys (srid integer, srtext text);
        create table geometry_columns (a);
        create table idx_note_geometry (a);
        create view recent as select title, body from note limit 3;
        create virtual table note_fts using fts5(title, body, content=[note]);
        create virtual table old_fts using fts4(title, content="note");
        create virtual table area using rtree(id, x1, x2);
        create virtual table search using fts5(body);
        insert into tag values ('a'), ('b');
        insert into spatial_ref_sys values (1, 'a very long text about a projection that nobody reads');
        """
    )
    db.executemany("insert into note (title, body) values (?, ?)", zip(rows(title), rows(prose), strict=True))
    db.commit()
    db.close()
    return path


def test_tables_of_tools_and_indexes_are_not_listed(path):
    with connect(Path(path)) as db:
        assert sorted(user_tables(db, path)) == ["note", "recent", "search", "tag"]


def test_tables_of_tools_alone_are_listed(tmp_path):
    path = str(tmp_path / "x.db")
    with sqlite3.connect(path) as db:
        db.execute("create table _counts (a)")
    with connect(Path(path)) as db:
        assert user_tables(db, path) == ["_counts"]


def test_the_table_with_most_text_is_proposed(path):
    with pytest.raises(NanogptError) as told:
        open_corpus(path)
    assert f"The one with the most text: datasette nanogpt-train '{path}' note" in str(told.value)


@pytest.mark.parametrize(
    ("create", "missing"),
    [
        ("create virtual table t using fts5(body, tokenize='nonesuch')", "tokenizer"),
        ("create virtual table t using nonesuch(body)", "module"),
        ("create view t as select nonesuch(body) as body from note", "function"),
        ("create view t as select body from note order by body collate NONESUCH", "collation"),
    ],
)
def test_what_is_missing_has_a_next_step(path, create, missing):
    db = sqlite3.connect(path)
    db.create_function("nonesuch", 1, lambda text: text)
    db.create_collation("NONESUCH", lambda a, b: 0)
    db.execute("pragma writable_schema = on")
    kind = "view" if "view" in create else "table"
    db.execute("insert into sqlite_master values (?, 't', 't', 0, ?)", [kind, create])
    db.commit()
    db.close()
    with pytest.raises(NanogptError) as told:
        open_source(path, "t")
    assert re.search(rf"needs the .*{missing} 'nonesuch'", str(told.value), re.IGNORECASE)
    assert "--load-extension" in str(told.value) and "--plugins-dir" in str(told.value)


class Plugin:
    @hookimpl
    def prepare_connection(self, conn, database, datasette):
        marker = datasette.setting("default_page_size") if datasette else ""
        conn.create_function("shout", 1, lambda text: f"{text.upper()} {database} {marker}".strip())


@pytest.fixture
def plugin():
    plugin = Plugin()
    pm.register(plugin)
    yield
    pm.unregister(plugin)


def test_functions_of_plugins_are_there(path, plugin):
    sql = "select shout(title) as title, body from note"
    assert next(open_corpus(path, selection=Selection(sql=sql)).documents()).startswith(
        "THE HARBOUR my notes\n"
    )


def test_a_server_prepares_our_connections_as_its_own(path, plugin):
    datasette = Datasette([path], settings={"default_page_size": 7})
    connection_setup.prepare_as(datasette)
    sql = "select shout(title) as title, body from note"
    assert next(open_corpus(path, selection=Selection(sql=sql)).documents()).startswith(
        "THE HARBOUR my notes 7\n"
    )
    datasette.close()


def test_a_plugins_folder_makes_functions(path, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "loud.py").write_text(
        "from datasette import hookimpl\n\n@hookimpl\ndef prepare_connection(conn):\n"
        "    conn.create_function('loud', 1, str.upper)\n"
    )
    sql = "select loud(title) as title, body from note"
    options = [
        path,
        "--sql",
        sql,
        "--plugins-dir",
        str(tmp_path / "plugins"),
        "--dry-run",
        "--json",
        "--name",
        "x",
    ]
    done = CliRunner().invoke(train_command, [*options, "--minutes", "1"])
    assert done.exit_code == 0, done.output
    preview = json.loads(done.stdout.splitlines()[0])
    assert preview["tables"][0]["documents"][0].startswith("THE HARBOUR\n")


def test_an_extension_that_does_not_load_is_told(path):
    done = CliRunner().invoke(train_command, [path, "note", "--load-extension", "/nowhere/x.so", "--dry-run"])
    able = hasattr(sqlite3.Connection, "enable_load_extension")
    told = (
        "cannot be set up" if able else "This Python was built without SQLite's extensions: use another one"
    )
    assert done.exit_code == 1 and told in done.stderr and "Traceback" not in done.stderr


async def test_the_child_gets_the_servers_extensions(path, home):
    from datasette_nanogpt.web.state import state_of

    datasette = Datasette([path], sqlite_extensions=[("/a/b.so", "entry"), "/c/d.so"], plugins_dir=None)
    from datasette_nanogpt.web.state import PluginState

    PluginState.start(datasette)
    options = state_of(datasette).worker.options
    assert options[:4] == ["--load-extension", "/a/b.so:entry", "--load-extension", "/c/d.so"]


# https://www.sqlite.org/lang_keywords.html
KEYWORDS = """
abort action add after all alter always analyze and as asc attach autoincrement before begin between by
cascade case cast check collate column commit conflict constraint create cross current current_date
current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop
each else end escape except exclude exclusive exists explain fail filter first following for foreign from
full generated glob group groups having if ignore immediate in index indexed initially inner insert
instead intersect into is isnull join key last left like limit match materialized natural no not nothing
notnull null nulls of offset on or order others outer over partition plan pragma preceding primary query
raise range recursive references regexp reindex release rename replace restrict returning right rollback
row rows savepoint select set table temp temporary then ties to transaction trigger unbounded
union unique update using vacuum values view virtual when where window with within without rowid
"""


def test_names_are_quoted_only_where_sql_needs_it():
    db = sqlite3.connect(":memory:")
    for name in [*KEYWORDS.split(), "my column", "2nd", "a-b", 'a"b', "größe", "Status", ""]:
        q = quote(name)
        db.execute(f"create table {q} ({q}, other)")
        db.execute(f"insert into {q} ({q}, other) values ('a', 1)")
        condition = f"{q} in ('a') and {q} <> 'x' and {q} = (select max({q}) from {q} group by {q})"
        for sql in (
            f"select {q} from (select * from {q}) where {condition}",
            f"select t.{q} from {q} as t join {q} on t.{q} = {q}.{q} where (t.{q}, 1) in (select * from {q})",
        ):
            assert db.execute(sql).fetchall() == [("a",)], sql
        db.execute(f"drop table {q}")
    assert [quote(name) for name in ("Status", "größe", "type", "end")] == ["Status", "größe", "type", "end"]
