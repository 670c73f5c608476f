"""Reading a real Datasette on loopback, through a proxy that fails on purpose."""

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import venv
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat

import httpx2
import pytest
from conftest import HANG_SECONDS, finish
from datasette import hookimpl
from datasette.plugins import pm
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data import datasette_client
from datasette_nanogpt.data.corpus import open_corpus
from datasette_nanogpt.data.datasette_client import DatasetteClient, read_address
from datasette_nanogpt.data.preview import preview
from datasette_nanogpt.data.remote_sample import PLACES, _between, sample_query, sample_table
from datasette_nanogpt.data.sample import SAMPLE_ROWS
from datasette_nanogpt.data.source import Selection
from llm_nanogpt.errors import InvalidOptions, NanogptError
from llm_nanogpt.home import cache_folder, nanogpt_home

ROWS = 2345  # three pages of a table, three of a query
TOKEN = "a secret word"
PLUGIN = f"""
from datasette import hookimpl

@hookimpl
def actor_from_request(request):
    if request.headers.get("authorization") == "Bearer {TOKEN}":
        return {{"id": "reader"}}
"""


WIDE = """
create table numbers (id integer primary key, body text);
create table hashes (id text primary key, body text);
create table bare (body text);
create table pairs (author text, number integer, body text, primary key (author, number));
create view seen as select body from numbers;
create table sparse (id integer primary key, body text);
"""


def write_wide(path):
    """Tables of 5,000 rows with keys of many kinds."""
    with sqlite3.connect(path) as db:
        db.executescript(WIDE)
        keys = [hashlib.sha1(str(i).encode()).hexdigest() for i in range(5000)]
        db.executemany("insert into numbers values (?, ?)", ((i * 3, i) for i in range(5000)))
        db.executemany("insert into hashes values (?, ?)", ((k, int(k[:6], 16) * 5000 >> 24) for k in keys))
        db.executemany("insert into bare values (?)", ((i,) for i in range(5000)))
        pairs = ((f"author {i // 50:02d}", i % 50, i) for i in range(5000))
        db.executemany("insert into pairs values (?, ?, ?)", pairs)
        db.executemany("insert into sparse values (?, ?)", ((i, i) for i in range(5000)))
        db.execute("insert into sparse values (?, 5000)", [2**60])


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "tokens.py").write_text(PLUGIN)
    (folder / "datasette.json").write_text(
        json.dumps({"databases": {"private": {"allow": {"id": "reader"}}}})
    )
    for name in ("my blog", "private"):
        db = sqlite3.connect(folder / f"{name}.db")
        db.executescript(
            """
            create table entry (id integer primary key, title text, body text, cover blob, stars integer);
            create table "odd name/x" (k1 text, k2 text, body text, primary key (k1, k2));
            create table bare (body text);
            create view good as select title, body from entry where stars > 3;
            """
        )
        rows = ((i, f"t{i}", f"body {i} ☕\n\n" * 5, b"\0\xff", i % 5) for i in range(ROWS))
        db.executemany("insert into entry values (?, ?, ?, ?, ?)", rows)
        db.executemany(
            'insert into "odd name/x" values (?, ?, ?)', ((i % 7, i, f"text {i}") for i in range(99))
        )
        db.executemany("insert into bare values (?)", [("one",), (None,), (b"\0\xff",), ("two",)])
        db.commit()
        db.close()
    write_wide(folder / "wide.db")
    with sqlite3.connect(folder / "lonely.db") as db:
        db.execute("create table note (id integer primary key, title, body)")
        db.execute("create table tag (id integer primary key, tag)")
        db.execute("create table django_migrations (id integer primary key, name)")
        notes = (
            (f"About the {i}th walk", f"We went along the river, {i} of us, and came home.")
            for i in range(300)
        )
        db.executemany("insert into note (title, body) values (?, ?)", notes)
        db.executemany("insert into tag (tag) values (?)", (("river",), ("walk",)))
    return folder / "my blog.db"


@pytest.fixture(
    scope="session",
    params=["this", pytest.param("0.65.5", marks=pytest.mark.long)],
    ids="datasette-{}".format,
)
def datasette(request, database, tmp_path_factory):
    """The address of a server: of the Datasette installed here, or of an older one in its own environment."""
    python = sys.executable
    if request.param != "this":
        folder = tmp_path_factory.mktemp("old")
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [python, "-m", "pip", "install", "-q", f"datasette=={request.param}"]
        subprocess.run(install, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = database.parent
    options = ["--plugins-dir", folder / "plugins", "--port", str(port), "--host", "127.0.0.1"]
    options += ["-c" if request.param == "this" else "-m", folder / "datasette.json"]
    # From a folder that is not ours: an older Datasette must not find our plugin beside it.
    command = [python, "-m", "datasette", "serve", *sorted(folder.glob("*.db")), *options]
    server = subprocess.Popen(command, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx2.get(f"{address}/-/versions.json")
            break
        except httpx2.TransportError:
            assert server.poll() is None
            time.sleep(0.1)
    yield address
    server.terminate()
    server.wait()


@pytest.fixture
def proxy(datasette, monkeypatch):
    """A proxy before the server; `failures` says what becomes of each request: None to let it through."""
    monkeypatch.setattr(datasette_client, "FIRST_WAIT", 0.01)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            requests.append(self.path)
            failure = next(proxy.failures)
            if failure == "drop":
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            if isinstance(failure, int):
                self.send_response(failure)
                self.send_header("Retry-After", proxy.retry_after)
                self.send_header("Location", self.path)
                self.send_header("Content-Length", "0")
                return self.end_headers()
            found = httpx2.get(
                datasette + self.path.replace("/below/a.", "/nothing.").removeprefix("/below/a"),
                headers={"Authorization": self.headers["Authorization"] or ""},
                timeout=HANG_SECONDS,
            )
            body = found.content
            self.send_response(found.status_code)
            for name in ("content-type", "location"):
                if name in found.headers:
                    self.send_header(name, found.headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if failure == "cut":
                self.close_connection = True
                body = body[: len(body) // 2]
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    requests: list[str] = []
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    proxy.failures, proxy.requests, proxy.retry_after = repeat(None), requests, "0"
    proxy.url = f"http://127.0.0.1:{proxy.server_port}/my~20blog"
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()


def fetch(url, tables=(), *, token=None, refresh=False, **selection):
    corpus = open_corpus(url, tables, Selection(**selection), token=token, refresh=refresh)
    finish(corpus.load())
    return corpus


def same_as_here(corpus, database, *tables, **selection):
    here = open_corpus(str(database), tables, Selection(**selection))
    assert sorted(corpus.documents()) == sorted(here.documents())  # Datasette sorts by primary key
    assert [s.skipped for s in corpus.sources] == [s.skipped for s in here.sources]
    assert corpus.row_count == here.row_count


def test_a_remote_table_reads_like_the_file(proxy, database):
    corpus = fetch(proxy.url, ["entry"])
    same_as_here(corpus, database, "entry")
    assert corpus.database == proxy.url and corpus.fetched
    assert corpus.sources[0].database.stem == "my blog"
    pages = [path for path in proxy.requests if "_size=max" in path and "_col=" in path]
    assert len(pages) == 3 and all("_col=title&_col=body&" in path for path in pages)
    with sqlite3.connect(corpus.sources[0].database) as copy:  # what is not read is not fetched
        assert copy.execute("select count(cover) from entry").fetchone() == (0,)


@pytest.mark.parametrize(
    ("address", "table", "where"),
    [
        ("/entry", "entry", None),
        ("/entry/", "entry", None),
        ("/entry.json?_shape=array&_size=5&_facet=stars", "entry", None),
        ("/odd~20name~2Fx.csv?_stream=on", "odd name/x", None),
        ("/entry?stars=3", "entry", "stars = 3"),
        ("/entry?stars__gt=2&id__lt=1900&_sort_desc=id&_next=5", "entry", "stars > 2 and id < 1900"),
        ("/entry?_where=stars+%3D+1&_labels=on", "entry", "stars = 1"),
        ("/good?_sort=title", "good", None),
    ],
)
def test_the_address_of_a_page_means_its_rows(proxy, database, address, table, where):
    corpus = fetch(proxy.url + address)
    same_as_here(corpus, database, table, where=where)
    assert corpus.database == (proxy.url + address).rstrip("/") and corpus.name == table


def test_the_address_of_a_query_means_its_rows(proxy, database):
    sql = "select title, body from entry where id > 2300"
    for address in (f"?sql={sql}", f"/-/query?sql={sql}"):
        same_as_here(fetch(proxy.url + address), database, sql=sql)


def test_sorted_rows_are_read_in_that_order(proxy):
    documents = list(fetch(f"{proxy.url}/entry?_sort_desc=id&id__lt=5").documents())
    assert [document.split()[0] for document in documents] == ["t4", "t3", "t2", "t1", "t0"]


def test_pages_may_be_short(database, tmp_path):
    """A server that gives no more than 20 rows at once."""
    import asyncio

    from datasette.app import Datasette

    async def serve(port, ready, done):
        import uvicorn

        app = Datasette([str(database)], settings={"max_returned_rows": 20, "default_page_size": 10}).app()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.05)
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.05)
        server.should_exit = True
        await task

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve(port, ready, done)))
    thread.start()
    try:
        assert ready.wait(HANG_SECONDS)
        url = f"http://127.0.0.1:{port}/my~20blog"
        same_as_here(fetch(url, ["odd name/x"]), database, "odd name/x")
        same_as_here(fetch(f"{url}/entry?id__lt=50"), database, "entry", where="id < 50")
        query = "select title, body from entry where id < 50"
        same_as_here(fetch(url, sql=query), database, sql=query)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("failures", [[429, "drop", 503], ["cut", "cut", 500], ["drop"] * 3])
def test_failures_are_tried_again(proxy, database, failures):
    proxy.failures = chain.from_iterable(repeat([*failures, None]))
    same_as_here(fetch(proxy.url, ["entry"]), database, "entry")


@pytest.mark.parametrize(
    ("tables", "options"),
    [
        (["odd name/x"], {}),
        (["bare"], {}),
        (["good"], {}),
        (["entry", "bare"], {"title": ""}),
        (["entry"], {"where": "stars > 2 and id < 1900 -- late"}),
        (["entry"], {"title": "body", "body": ["stars", "cover"]}),
        ([], {"sql": "select title || '!' as title, body from entry where id > 50; "}),
        ([], {"sql": "select title, body, id from entry", "where": "id < 9 -- few"}),
    ],
)
def test_rows_fetched_are_the_rows_read_here(proxy, database, tables, options):
    same_as_here(fetch(proxy.url, tables, **options), database, *tables, **options)


@pytest.fixture
def wide(datasette):
    return f"{datasette}/wide"


@pytest.mark.parametrize("table", ["numbers", "hashes", "bare", "pairs", "seen", "query"])
def test_a_sample_is_from_all_over_the_table(wide, table):
    """Eight requests find rows in each eighth of the table, by a key, a number of rows or `_sort_desc`."""
    client = DatasetteClient(wide, None)
    if table == "query":
        rows = sample_query(client, "select body from numbers order by id", None)
    else:
        rows = sample_table(client, table, None)
    assert 100 <= len(rows) <= SAMPLE_ROWS
    eighths = Counter(int(row["body"]) * 8 // 5000 for row in rows)
    assert len(eighths) == 8 and max(eighths.values()) <= SAMPLE_ROWS // 2


def test_a_sample_keeps_to_the_filters_of_an_address(wide):
    address = read_address(f"{wide}/numbers?id__gt=7000&_sort_desc=body")
    client = DatasetteClient(address.database, None, address.filters)
    numbers = [row["id"] for row in sample_table(client, "numbers", "id < 12000")]
    assert 7000 < min(numbers) < 8000 and 11_000 < max(numbers) < 12_000 and len(numbers) > 100


def test_a_far_key_does_not_leave_a_sample_small(wide):
    rows = sample_table(DatasetteClient(wide, None), "sparse", None)
    assert len(rows) == SAMPLE_ROWS and {0, 5000} <= {int(row["body"]) for row in rows}


def test_a_server_that_gives_only_its_first_page(proxy):
    proxy.failures = chain([None], repeat(503))
    rows = sample_table(DatasetteClient(proxy.url, None), "entry", None)
    assert len(rows) == SAMPLE_ROWS and len(proxy.requests) == 3


@given(st.integers(-(2**62), 2**62) | st.floats(-1e9, 1e9), st.integers(0, 2**40), st.integers(1, 6))
def test_a_number_between_two_is_between_them(low, distance, place):
    assert low <= type(low)(_between(low, low + distance, place / 7)) <= low + distance


ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126))


@given(ASCII, ASCII)
def test_texts_between_two_are_in_order(a, b):
    low, high = sorted((a, b))
    texts = [_between(low, high, place / 7, sorted({*low, *high})) for place in range(1, 7)]
    assert texts == sorted(texts) and all(low[:1] <= text[:1] <= high[:1] for text in texts if low)


def test_a_fetch_that_was_cut_off_goes_on(proxy, database, monkeypatch):
    monkeypatch.setattr(datasette_client, "ATTEMPTS", 2)
    proxy.failures = chain([None] * (PLACES + 2), repeat("drop"))  # the sample and two pages
    with pytest.raises(NanogptError, match="does not answer .*what was fetched so far is kept"):
        fetch(proxy.url, ["entry"])
    proxy.failures = repeat(None)
    proxy.requests.clear()
    corpus = fetch(proxy.url, ["entry"])
    same_as_here(corpus, database, "entry")
    assert len([path for path in proxy.requests if "_size=max&_col=" in path]) == 1
    assert not list(corpus.sources[0].database.parent.glob("*.part"))


@pytest.mark.parametrize("days", [-2, 2])
def test_a_fetch_that_was_cut_off_long_ago_starts_again(proxy, database, monkeypatch, days):
    """Also one from the future: the clock was set back, and nobody knows how old it is."""
    monkeypatch.setattr(datasette_client, "ATTEMPTS", 1)
    proxy.failures = chain([None] * (PLACES + 2), repeat("drop"))
    with pytest.raises(NanogptError, match="does not answer"):
        fetch(proxy.url, ["entry"])
    (part,) = cache_folder(nanogpt_home()).glob("remote/*/.*.part")
    os.utime(part, (time.time() + days * 86_400,) * 2)
    proxy.failures = repeat(None)
    proxy.requests.clear()
    same_as_here(fetch(proxy.url, ["entry"]), database, "entry")
    assert len([path for path in proxy.requests if "_size=max&_col=" in path]) == 3


def test_what_was_not_fetched_is_not_called_empty(proxy):
    fetch(proxy.url, ["bare"])
    (again,) = open_corpus(proxy.url, ["bare"]).sources
    assert "rowid" in again.columns and again.left_out == {}


def test_the_copy_is_used_until_it_is_refreshed(proxy):
    first = fetch(proxy.url, ["bare"])
    proxy.requests.clear()
    proxy.failures = repeat("drop")
    assert fetch(proxy.url + "/", ["bare"]).fetched == first.fetched
    assert not proxy.requests
    proxy.failures = repeat(None)
    assert fetch(proxy.url, ["bare"], refresh=True).fetched > first.fetched
    assert proxy.requests
    assert list(fetch(proxy.url, ["bare"]).documents()) == ["one", "two"]


def test_rows_are_shown_before_all_are_fetched(proxy):
    """The preview reads the sample, by itself and as conversations."""
    corpus = open_corpus(proxy.url, ["entry"])
    folder = corpus.remote.sample_folder
    (table,) = preview(corpus, 3).tables
    assert len(table.documents) == 3
    list(corpus.load())
    assert corpus.fetched and not folder.exists()
    grouped = open_corpus(proxy.url, ["entry"], Selection(group_by="stars"))
    assert preview(grouped).tables[0].documents


def test_a_private_table_needs_an_api_token(proxy):
    private = proxy.url.replace("my~20blog", "private")
    with pytest.raises(NanogptError, match="give an API token"):
        open_corpus(private, ["bare"])
    with pytest.raises(NanogptError, match="give an API token"):
        open_corpus(private, ["bare"], token="wrong")
    assert list(fetch(private, ["bare"], token=TOKEN).documents()) == ["one", "two"]
    kept = [path.read_bytes() for path in cache_folder(nanogpt_home()).rglob("*") if path.is_file()]
    assert kept and not any(TOKEN.encode() in data for data in kept)


def test_a_token_in_the_environment_is_for_urls_alone(proxy, database, monkeypatch):
    monkeypatch.setenv("DATASETTE_TOKEN", TOKEN)
    private = proxy.url.replace("my~20blog", "private")
    assert list(fetch(private, ["bare"]).documents()) == ["one", "two"]
    found = subprocess.run(
        [sys.executable, "-m", "datasette", "nanogpt-train", database, "nowhere"],
        capture_output=True,
        text=True,
    )
    assert "has no table 'nowhere'" in found.stderr


def test_mistakes_are_one_line(proxy, monkeypatch):
    def fails(url, tables=(), **selection):
        with pytest.raises(NanogptError) as error:
            open_corpus(url, tables, Selection(**selection))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "has no table 'nope'. It has: bare, entry, odd name/x" in fails(proxy.url, ["nope"])
    assert "Datasette" in fails(proxy.url.replace("my~20blog", "nope"), [], sql="select 1")
    assert "https://HOST/DATABASE" in fails("http://127.0.0.1", ["t"])
    assert "no such column: nope" in fails(proxy.url, ["entry"], where="nope")
    assert "syntax error" in fails(proxy.url, [], sql="select nope nope nope")
    assert "has no column y" in fails(proxy.url, ["entry"], body=["y"])
    assert "The condition 'id < 0' returns no rows" in fails(proxy.url, ["entry"], where="id < 0")
    assert "with these filters returns no rows" in fails(f"{proxy.url}/entry?id=-1")
    home = proxy.url.rpartition("/")[0]
    assert f"is a Datasette: give the address of a database, such as {home}/lonely" in fails(home)
    assert "/entry/1.json is a row: give the address of its table's page" in fails(f"{proxy.url}/entry/1")
    assert "has no table 'nope'" in fails(f"{proxy.url}/nope.json?_size=5")
    monkeypatch.setattr(datasette_client, "FIRST_ATTEMPTS", 2)
    proxy.failures = repeat(502)
    assert "does not answer (status 502). Check the address" in fails(proxy.url, ["entry"])
    proxy.failures = repeat("drop")
    assert "does not answer" in fails(proxy.url, ["entry"])
    proxy.failures = repeat(302)  # as where one must log in
    assert "does not answer" in fails(proxy.url, ["entry"])
    proxy.failures = chain([404], repeat("drop"))
    assert "has no table 'nope'. Give the database as https://HOST" in fails(proxy.url, ["nope"])


def test_who_names_no_table_on_the_web_is_told_which_have_text(proxy):
    with pytest.raises(InvalidOptions) as told:
        open_corpus(proxy.url)
    lines = str(told.value).split("\n")
    assert lines[0] == f"Name the table to train on. {proxy.url} has text in:"
    assert [line.split()[:3] for line in lines[1:3]] == [["entry", "2,345", "rows"], ["good", "469", "rows"]]
    assert lines[-1] == f"The one with the most text: datasette nanogpt-train '{proxy.url}' entry"
    with pytest.raises(NanogptError, match="give an API token"):
        open_corpus(proxy.url.replace("my~20blog", "private"))


def test_the_only_table_on_the_web_with_text_is_taken(proxy):
    corpus = open_corpus(f"{proxy.url.rpartition('/')[0]}/lonely")
    assert corpus.name == "note"
    assert corpus.chosen.startswith(f"note is the only table of {proxy.url.rpartition('/')[0]}/lonely with ")
    finish(corpus.load())
    assert corpus.row_count == 300 and len(list(corpus.documents())) == 300


def test_a_datasette_below_a_prefix(proxy):
    """What looks like the address of a table may be that of a database, or of all of them."""
    home = f"http://127.0.0.1:{proxy.server_port}/below/a"
    corpus = open_corpus(f"{home}/lonely")
    assert corpus.name == "note" and corpus.database == f"{home}/lonely"
    finish(corpus.load())
    assert corpus.row_count == 300
    assert open_corpus(f"{home}/lonely", ["note"]).fetched  # as the next command names it
    assert open_corpus(f"{home}/lonely/note").name == "note"
    with pytest.raises(InvalidOptions, match=f"Name the table to train on. {home}/my~20blog has text in:"):
        open_corpus(f"{home}/my~20blog")
    for url in (home, f"{home}/"):
        with pytest.raises(InvalidOptions, match=f"is a Datasette: .*{home}/lonely, {home}/my[+]blog"):
            open_corpus(url)
    with pytest.raises(InvalidOptions, match="has no table 'nope'"):
        open_corpus(f"{home}/lonely/nope")


def test_a_server_that_asks_to_wait_for_long_is_told_at_once(proxy):
    proxy.failures, proxy.retry_after = repeat(429), "86400"
    start = time.monotonic()
    with pytest.raises(NanogptError, match="status 429, it asks to wait for 86,400 s"):
        open_corpus(proxy.url, ["entry"])
    assert time.monotonic() - start < HANG_SECONDS / 2 and len(proxy.requests) == 1


def test_a_page_in_the_middle_is_not_called_a_wrong_address(proxy, monkeypatch):
    monkeypatch.setattr(datasette_client, "ATTEMPTS", 2)
    corpus = open_corpus(proxy.url, ["entry"])
    proxy.failures = repeat(200)
    with pytest.raises(NanogptError, match=r"it sent a page .*\. Try again later: what was fetched so far"):
        finish(corpus.load())


@pytest.mark.parametrize("token", ["a\nb", "tok\u20ac"])
def test_a_token_that_cannot_be_sent_is_not_printed(token):
    with pytest.raises(NanogptError, match="copy it again") as told:
        open_corpus("http://127.0.0.1:9/blog", ["entry"], token=token)
    assert token not in str(told.value)


class Plugin:
    @hookimpl
    def nanogpt_document(self, database, table, row):
        return f"{row['body']}, by a plugin" if row["body"] == "one" else None


def test_a_plugin_writes_documents_of_a_table_without_a_key(proxy):
    plugin = Plugin()
    pm.register(plugin)
    try:
        assert list(fetch(proxy.url, ["bare"]).documents()) == ["one, by a plugin", "two"]
    finally:
        pm.unregister(plugin)


def test_a_token_is_not_written_to_the_registry():
    from datasette_nanogpt.training.options import TrainOptions

    assert TOKEN not in str(TrainOptions("https://host/blog", "entry", token=TOKEN).given())


def test_a_template_and_conversations_of_a_datasette_on_the_web(datasette):
    """The columns that the text is made of are fetched, and all of them where SQL groups the rows."""

    def read(**selection):
        corpus = open_corpus(f"{datasette}/my~20blog", ["entry"], Selection(where="id < 12", **selection))
        finish(corpus.load())
        with sqlite3.connect(corpus.sources[0].database) as db:
            names = ("id", "title", "body", "cover", "stars")
            counts = db.execute(
                f"select {', '.join(f'count({name})' for name in names)} from entry"
            ).fetchone()
            columns = {name for name, count in zip(names, counts, strict=True) if count}
        again = open_corpus(f"{datasette}/my~20blog", ["entry"], Selection(where="id < 12", **selection))
        assert list(again.documents()) == list(corpus.documents())  # of the copy
        return list(corpus.documents()), columns, corpus.describe()

    texts, columns, source = read(template=r"{{ stars }} stars\n\n{{ title }}")
    assert texts[:2] == ["0 stars\n\nt0", "1 stars\n\nt1"] and columns == {"stars", "title"}
    assert source["template"] == r"{{ stars }} stars\n\n{{ title }}"
    texts, columns, source = read(group_by="stars", order_by="id", template="{{ title }}")
    assert texts == ["t0\nt5\nt10", "t1\nt6\nt11", "t2\nt7", "t3\nt8", "t4\nt9"]
    assert columns == {"stars", "id", "title"} and source["group_by"] == "stars"
    texts, columns, _ = read(group_by="stars > 2", order_by="-id", template="{{ title }}")
    assert texts == ["t11\nt10\nt7\nt6\nt5\nt2\nt1\nt0", "t9\nt8\nt4\nt3"]
    assert "cover" in columns
