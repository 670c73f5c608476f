"""The whole way in a real browser: Debian's Chromium on a real server, training on the demo table."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlite_utils

from datasette_nanogpt.demo import build_demo_db

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
]
QUIET = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
QUIET += "--disable-background-networking --disable-component-update"
SHOTS = os.environ.get("NANOGPT_SCREENSHOTS")  # a folder to write them to
ODD = "a b/c'd\"é<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield browser
        browser.close()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "demo.db"
    build_demo_db(path)
    evil = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1> "
    rows = [
        {"title": f"{evil}{i}", "body": f"{evil} one two three four five six seven {i}"} for i in range(300)
    ]
    sqlite_utils.Database(path)[ODD].insert_all(rows)
    return path


class Server:
    """Datasette as a process, with a base_url."""

    def __init__(self, database):
        command = [
            Path(sys.executable).with_name("datasette"),
            database,
            "--root",
            "-p",
            "0",
            "--secret",
            "s",
        ]
        command += ["--setting", "base_url", "/under/"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        token = self.process.stdout.readline().strip()
        for line in self.process.stderr:
            if found := re.search(r"running on (http://127.0.0.1:\d+)", line):
                break
        self.url = found[1] + "/under"
        self.login = f"{self.url}/-/auth-token?{token.partition('?')[2]}"

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return time.monotonic() - began


@pytest.fixture
def server(database, home):
    server = Server(database)
    yield server
    server.stop()


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(server.login)
    yield page
    assert page.errors == [] and page.evaluate("window.hacked") is None
    context.close()


def shot(page, name):
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def test_the_whole_way(page, server):
    page.goto(server.url + "/demo/python_docs")
    page.locator("summary", has_text="Table actions").click()
    page.get_by_role("menuitem", name="Train a GPT on this table").click()
    assert page.get_by_text("the title from").is_visible()
    page.get_by_label("3 minutes").check()
    shot(page, "start")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/-/nanogpt/runs/1")

    chart = page.locator("#chart polyline.train")
    chart.wait_for(state="attached", timeout=60_000)
    points = chart.get_attribute("points")
    page.locator("#samples article").first.wait_for(timeout=60_000)
    page.wait_for_function(
        "p => document.querySelector('#chart polyline.train')?.getAttribute('points') !== p", arg=points
    )
    page.locator("#chart").hover()
    assert "steps: " in page.locator("#reading").inner_text()
    page.get_by_label("logarithmic").check()
    page.get_by_label("against time").check()
    assert page.get_by_text("seconds", exact=True).is_visible()

    page.context.set_offline(True)
    page.get_by_text("The connection is lost").wait_for(timeout=30_000)
    page.context.set_offline(False)
    page.get_by_text("The connection is lost").wait_for(state="hidden", timeout=30_000)
    page.reload()
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    shot(page, "run")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Resume").wait_for(timeout=60_000)
    assert page.locator("#status").inner_text().startswith("stopped")
    page.get_by_label("Minutes more").fill("0.2")
    page.get_by_role("button", name="Resume").click()
    page.wait_for_url("**/-/nanogpt/runs/2")
    page.wait_for_function(
        "document.querySelector('#status').textContent.startsWith('finished')", timeout=90_000
    )
    assert page.locator("#chart polyline.earlier").count() == 1

    page.get_by_role("link", name="Write with this model").click()
    page.get_by_label("Prompt").fill("Return a")
    page.get_by_label("Temperature").fill("0.1")
    page.get_by_label("Seed").fill("3")
    page.get_by_role("button", name="Write").click()
    page.get_by_text("Done.").wait_for(timeout=60_000)
    text = page.locator("#texts .text").inner_text()
    assert len(text) > 20 and "of its words recited" in page.locator("#texts .hint").inner_text()
    shot(page, "playground")
    page.goto(server.url + "/-/nanogpt")
    assert page.locator("svg.sparkline").count() == 2
    shot(page, "index")


def test_generation_is_stopped_and_the_same_seed_writes_the_same(page, server, make_model, database, home):
    folder = make_model("nanogpt-demo")
    write_source(folder, database)
    page.goto(server.url + "/-/nanogpt/models/nanogpt-demo?seed=5&max_tokens=1000&samples=5")
    page.get_by_role("button", name="Write").click()
    page.locator("#texts .text").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()


def write_source(folder, database):
    import json

    meta = json.loads((folder / "nanogpt.json").read_text())
    tables = [{"table": "python_docs", "title": "title", "body": ["body"]}]
    meta["source"] = {"database": str(database), "table": "python_docs", "rows": 1, "tables": tables}
    (folder / "nanogpt.json").write_text(json.dumps(meta))


def test_odd_names_and_scripts_in_rows(page, server):
    page.goto(server.url + "/demo")
    page.get_by_role("link", name=re.compile(r"^a b.c")).first.click()
    page.locator("summary", has_text="Table actions").click()
    page.get_by_role("menuitem", name="Train a GPT on this table").click()
    page.get_by_label("1 minute").check()
    page.get_by_label("Name of the model").fill("odd")
    page.get_by_role("button", name="Start training").click()
    page.locator("#samples article").first.wait_for(timeout=90_000)
    assert page.locator("#samples img, #samples script").count() == 0
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth <= 360")
    page.get_by_role("button", name="Stop now").click()
    page.get_by_role("button", name="Resume").wait_for(timeout=60_000)

    # Rows that are nearly the same are soon known by heart.
    page.goto(server.url + "/-/nanogpt/models/odd")
    page.set_viewport_size({"width": 1000, "height": 900})
    page.get_by_label("Temperature").fill("0.1")
    page.get_by_label("Samples").fill("3")
    page.get_by_role("button", name="Write").click()
    page.get_by_text("Done.").wait_for(timeout=60_000)
    assert page.locator("#texts img, #texts script").count() == 0
    page.locator("a.recited").first.click()
    page.wait_for_url(re.compile(r"/under/demo/a\+b~2Fc[^?]*/\d+$"))
    assert "one two three four five six seven" in page.locator("table.rows-and-columns").inner_text()


def test_a_server_goes_and_comes_again(page, server, database):
    page.goto(server.url + "/demo/python_docs/-/nanogpt")
    page.get_by_role("button", name="Start training").click()
    page.locator("#samples article").first.wait_for(timeout=90_000)
    number = page.url.rsplit("/", 1)[1]
    assert server.stop() < 10
    again = Server(database)
    try:
        page.goto(again.login)
        page.goto(f"{again.url}/-/nanogpt/runs/{number}")
        assert page.locator("#status").inner_text().startswith("interrupted")
        page.get_by_role("button", name="Resume").click()
        page.get_by_text(re.compile("^running")).wait_for(timeout=60_000)
        page.get_by_role("button", name="Stop now").click()
        page.get_by_role("button", name="Resume").wait_for(timeout=60_000)
    finally:
        again.stop()


def test_without_javascript_the_chart_and_the_buttons_are_there(browser, server, database, home):
    from datasette_nanogpt.pipeline import Options, train_table

    list(train_table(Options(str(database), "python_docs", max_iters=6, eval_interval=2, device="cpu")))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.login)
    page.goto(server.url + "/-/nanogpt/runs/1")
    assert page.locator("#chart svg polyline.val").count() == 1
    page.get_by_role("button", name="Resume").click()
    page.wait_for_url("**/-/nanogpt/runs/2")
    page.get_by_role("button", name=re.compile("Stop|Take out")).first.click()
    context.close()
