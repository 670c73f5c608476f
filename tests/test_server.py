"""A real server in a process of its own: it stops on a signal, and serves many clients."""

import asyncio
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx2
import pytest
import sqlite_utils
from click.testing import CliRunner
from conftest import HANG_SECONDS, TEXTS, write_model
from datasette import Request
from llm.cli import cli as llm_cli

from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.statements import insert
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web.responses import csv_file

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
ENDLESS = (
    "exists (with recursive c(x) as (select 1 union all select x + 1 from c) select 1 from c where x < 0)"
)


@pytest.fixture
def serve(tmp_path, home):
    """serve() starts `datasette blog.db --root` and returns its process, address and cookies."""
    db = sqlite_utils.Database(tmp_path / "blog.db")
    db["entry"].insert_all({"id": i, "title": f"T{i}", "body": text} for i, text in enumerate(TEXTS))
    started = []

    def start():
        log = tmp_path / "server.txt"
        with log.open("w") as out:
            command = [sys.executable, "-m", "datasette", "blog.db", "--root", "-p", "0"]
            server = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out)
        started.append(server)
        while not (address := re.search(r"running on (http://[\d.]+:\d+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        token = re.search(r"token=\w+", log.read_text())[0]
        with httpx2.Client(base_url=address[1], timeout=HANG_SECONDS) as client:
            client.get(f"/-/auth-token?{token}")
            return server, address[1], dict(client.cookies)

    yield start
    for server in started:
        server.kill()
        server.wait()


async def test_a_server_stops_on_sigterm_whatever_its_sql_does(serve, tmp_path, home):
    list(train_table(TrainOptions(str(tmp_path / "blog.db"), "entry", **TINY, max_iters=4, device="cpu")))
    file = home / "nanogpt-blog" / "nanogpt.json"
    meta = json.loads(file.read_text())
    meta["source"]["where"] = ENDLESS
    file.write_text(json.dumps(meta))
    server, address, cookies = serve()
    async with httpx2.AsyncClient(base_url=address, cookies=cookies, timeout=HANG_SECONDS) as client:
        asked = [
            client.post("/-/nanogpt/models/nanogpt-blog", json={"max_tokens": 500, "seed": seed})
            for seed in (1, 2)
        ]
        asked += [client.post("/blog/entry/-/nanogpt", json={"where": ENDLESS, "estimate": 1})]
        answers = asyncio.gather(*asked, return_exceptions=True)
        while await threads_that_read(client) < 2:
            await asyncio.sleep(0.05)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait, 30)
        assert time.monotonic() - began < 10
        await answers


async def threads_that_read(client):
    """How many threads of the server read a database for somebody."""
    threads = (await client.get("/-/threads.json")).json()["threads"]
    return sum("read_database" in thread["name"] for thread in threads)


def test_generated_rows_are_shown_and_faceted(serve, tmp_path, home, bpe):
    """`--save-table` adds a table to a database that is being served; columns of the text are facets."""
    template = "{{ tags }} · {{ created[:4] }}\n\n{{ body }}"
    source = {"template": template, "body": ["tags", "created", "body"], "database": "/x.db", "table": "t"}
    write_model(home / "nanogpt-rows", bpe, block_size=64, meta={"source": source})
    server, address, cookies = serve()
    command = ["nanogpt", "sample", "nanogpt-rows", "-o", "max_tokens", "5"]
    command += ["--save-table", "generated", "--db", str(tmp_path / "blog.db"), "-n"]
    for number, tags in ((3, "python, café"), (1, "sql")):
        written = CliRunner().invoke(llm_cli, [*command, str(number), "--set", f"tags={tags}"])
        assert written.exit_code == 0, written.output
    with httpx2.Client(base_url=address, cookies=cookies, timeout=HANG_SECONDS) as client:
        facets = client.get("/blog/generated.json?_facet=tags&_facet=model&_extra=facet_results").json()
        found = facets["facet_results"]["results"]["tags"]["results"]
        assert {each["value"]: each["count"] for each in found} == {"python, café": 3, "sql": 1}
        row = client.get("/blog/generated.json?tags=sql&_shape=objects").json()["rows"][0]
        assert row.keys() >= {"tags", "created", "body", "model", "seed", "settings", "finish_reason"}
        assert json.loads(row["settings"])["set"] == {"tags": "sql"} and row["nanogpt_created"]
        assert "python, café" in client.get("/blog/generated?_facet=tags").text


def long_history(home, database, steps: int) -> str:
    """Record a finished run with so many figures. Its address."""
    with registry(home, create=True) as db:
        row = {"name": "nanogpt-blog", "database": str(database), "table": "entry", "kind": "train"}
        row |= {"status": "finished", "settings": json.dumps({"table": ["entry"]}), "started": "2026"}
        run = insert(db, "runs", row)
        rows = ((run, step, step / 7, 3.21 + step / 1e6, 2.13) for step in range(steps))
        db.executemany(
            "insert into metrics (run, step, seconds, train_loss, train_bpb) values (?, ?, ?, ?, ?)", rows
        )
    return f"/-/nanogpt/runs/{run}"


async def test_nothing_is_read_for_a_client_that_has_gone_away():
    read, sent = [], []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        await asyncio.sleep(0)

    async def pages():
        for number in range(100):
            read.append(number)
            yield [[number]]

    request = Request({"type": "http", "headers": []}, receive)
    await csv_file(request, "x.csv", ["n"], pages()).asgi_send(send)
    assert len(read) < 3 and sent[-1] == {"type": "http.response.body", "body": b""}


@pytest.mark.long
def test_a_server_stops_on_sigterm_whoever_reads(serve, tmp_path, home):
    """Readers of long answers that went away, and those that are there and do not read, of ours and of
    Datasette's."""
    run = long_history(home, tmp_path / "blog.db", 150_000)
    with sqlite3.connect(tmp_path / "blog.db") as db:
        db.execute("create table big (id integer primary key, text text)")
        db.executemany("insert into big (text) values (?)", (("x" * 1000,) for _ in range(20_000)))
    server, address, cookies = serve()
    host, port = address.removeprefix("http://").split(":")
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    paths = [f"{run}.csv", f"{run}.json?after=0.0", "/blog/big.csv?_stream=1&_size=max", f"{run}.csv"]
    readers = []
    for path in (*paths, *paths):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((host, int(port)))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode())
        readers.append(reader)
    for reader in readers:
        assert reader.recv(100).startswith(b"HTTP/1.1 200")
    for reader in readers[: len(paths)]:
        reader.close()
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    assert time.monotonic() - began < 10
    for reader in readers:
        reader.close()
