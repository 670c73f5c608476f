"""The pages in a real browser: Debian's Chromium on a real server.

Most tests look at a home whose runs were written by hand, so nothing trains meanwhile. Two train: the whole
way on the demo table, and a run that survives its server.
"""

import json
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
from conftest import write_model
from datasette.app import Datasette
from datasette.utils import tilde_encode

from datasette_nanogpt.data.demo import build_demo_db
from datasette_nanogpt.data.memorization import MIN_WORDS
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.runs import find_run, find_runs

REQUIRED = os.environ.get("NANOGPT_BROWSER") == "required"  # `.ci/run`: no browser is a failure there
CHROMIUM = shutil.which("chromium")
if REQUIRED and not CHROMIUM:
    raise RuntimeError("needs Chromium: apt-get install chromium")
if not REQUIRED:
    pytest.importorskip("playwright")
from playwright import sync_api  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
]
QUIET = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
QUIET += "--disable-background-networking --disable-component-update"
SHOTS = os.environ.get("NANOGPT_SCREENSHOTS")  # a folder to write them to
SHOT_BYTES = 150_000
PATIENCE = 1000 * int(os.environ.get("NANOGPT_PATIENCE", "20"))  # ms that a page may take to do what is asked
TRAINING = 4 * PATIENCE  # and a run that trains
EVIL = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
ODD = "a b/c'd\"é<img src=x onerror=window.hacked=1>"
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield browser
        browser.close()


def make_database(path):
    build_demo_db(path)
    rows = [{"title": f"{EVIL} {i}", "body": f"{EVIL} one two three four five {i}"} for i in range(300)]
    sqlite_utils.Database(path)[ODD].insert_all(rows)
    return path


class Server:
    """Datasette as a process, with a base_url."""

    def __init__(self, database, home):
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
        env = {**os.environ, "NANOGPT_HOME": str(home), "LLM_USER_PATH": str(home.parent / "llm")}
        self.log = home.parent / "server.txt"  # a pipe that nobody reads would stop the server
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out, env=env)
        end = time.monotonic() + 2 * PATIENCE / 1000
        while not (found := re.search(r"running on (http://127.0.0.1:\d+)", self.log.read_text())):
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)
        self.url = found[1] + "/under"
        # The address that Datasette prints lets in one browser alone; this lets in all of them.
        self.login = {
            "name": "ds_actor",
            "url": self.url,
            "value": Datasette(secret="s").client.actor_cookie({"id": "root"}),
        }

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        return time.monotonic() - began


# ---- A home with runs that were written by hand


def write_run(home, database, table, name, status, metrics=0, **values):
    run = queue.enqueue(
        home, str(database), {"name": name, "table": table, "database": str(database)}, None, 99
    )
    with registry(home) as db:
        changes = {
            "status": status,
            "plan": json.dumps({"corpus": {"sha256": "a"}}),  # all of the same rows
            "process": process_id(),  # of these tests: nobody shall take the run for dead
            "step": metrics,
            "val_bpb": 2.0,
            "progress": 0.5,
        } | values
        names = ", ".join(f"{key} = ?" for key in changes)
        db.execute(f"update runs set {names} where id = ?", [*changes.values(), run])
    write_metrics(home, run, 0, metrics)
    return run


def write_metrics(home, run, first, last):
    with registry(home) as db:
        for step in range(first, last):
            bpb = 2 + 2 / (step + 1)
            score = bpb + 0.1 if step % 20 == 19 else None
            insert = "insert into metrics (run, step, seconds, train_bpb, val_bpb) values (?, ?, ?, ?, ?)"
            db.execute(insert, [run, step, step / 2, bpb, score])
            if score:
                insert = "insert into samples (run, step, val_bpb, sample) values (?, ?, ?, ?)"
                db.execute(insert, [run, step, score, f"{EVIL} what it wrote at step {step}. " * 5])


@pytest.fixture(scope="module")
def site(tmp_path_factory, bpe):
    """A server whose home has a model and runs of every kind."""
    folder = tmp_path_factory.mktemp("site")
    home, database = folder / "models", make_database(folder / "demo.db")
    tables = [{"table": "python_docs", "title": "title", "body": ["body"]}]
    source = {"database": str(database), "table": "python_docs", "rows": 4049, "tables": tables}
    write_model(home / "nanogpt-demo", bpe, meta={"source": source})
    names = {}
    for kind, table, name, status, metrics, values in (
        ("earlier", "python_docs", "nanogpt-demo", "finished", 60, {}),
        ("finished", "python_docs", "nanogpt-demo", "finished", 100, {}),
        ("running", "python_docs", "nanogpt-live", "running", 40, {"eta": 90.0, "tokens_per_second": 1e4}),
        ("failed", ODD, "nanogpt-odd", "failed", 0, {"error": f"It went wrong: {EVIL}", "val_bpb": None}),
    ):
        names[kind] = write_run(home, database, table, name, status, metrics, **values)
    server = Server(database, home)
    server.home, server.runs, server.database = home, names, database
    yield server
    server.stop()


def open_page(browser, server, **options):
    context = browser.new_context(**({"viewport": {"width": 1000, "height": 900}} | options))
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    context.add_cookies([server.login])
    return page


def close_page(page):
    assert page.errors == [] and page.evaluate("window.hacked") is None
    page.context.close()


@pytest.fixture
def page(browser, site):
    page = open_page(browser, site)
    yield page
    close_page(page)


def pages_of(site):
    return {
        "index": "/-/nanogpt",
        "start": "/demo/python_docs/-/nanogpt",
        "odd": f"/demo/{tilde_encode(ODD)}/-/nanogpt",
        "finished": f"/-/nanogpt/runs/{site.runs['finished']}",
        "running": f"/-/nanogpt/runs/{site.runs['running']}",
        "failed": f"/-/nanogpt/runs/{site.runs['failed']}",
        "playground": "/-/nanogpt/models/nanogpt-demo?seed=5&max_tokens=40",
    }


# What of a page's own part has no name, as a screen reader would tell it.
UNNAMED = """() => [...document.querySelectorAll(
  'section.content :is(input:not([type=hidden]), select, textarea, button, progress, a[href], summary)')]
  .filter((e) => e.offsetParent && !(e.labels?.length || e.ariaLabel || e.textContent.trim()
    || (e.type === 'submit' && e.value)))
  .map((e) => e.outerHTML)"""
# Cells that stand alone, as a phone shows no head of a table.
UNLABELLED = """() => [...document.querySelectorAll('section.content td')]
  .filter((e) => getComputedStyle(e, '::before').content === 'none').map((e) => e.outerHTML)"""
# Where the keyboard should come.
STOPS = """() => [...document.querySelectorAll('section.content :is(a[href], button, summary, select,'
  + 'textarea, input:not([type=hidden]):not([type=radio]), input[type=radio]:checked, [tabindex="0"])')]
  .filter((e) => e.offsetParent && !e.disabled
    && (!e.closest('details:not([open])') || e.tagName === 'SUMMARY'))
  .length"""
WIDER = """() => [...document.querySelectorAll('body *')].filter((e) =>
  e.getBoundingClientRect().right > innerWidth + 1
  && !e.closest('.table-wrapper, .beside, navigation-search'))
  .map((e) => e.outerHTML.slice(0, 120))"""
FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return {
    body: e === document.body, ours: !!e.closest('section.content'),
    id: e.id || e.name || e.textContent.trim(),
    seen: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none',
  };
}"""


@pytest.mark.parametrize("name", ["index", "start", "odd", "finished", "running", "failed", "playground"])
def test_a_page_fits_a_phone_and_can_be_read_aloud(browser, site, name):
    page = open_page(browser, site, viewport={"width": 375, "height": 700})
    page.goto(site.url + pages_of(site)[name])
    page.evaluate("document.querySelectorAll('section.content details').forEach((d) => d.open = true)")
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.evaluate(UNNAMED) == []
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert page.title() and page.locator("section.content th:not([scope])").count() == 0
    assert page.locator("section.content svg:not([aria-label]):not([aria-hidden])").count() == 0
    assert page.locator("section.content img, section.content script:not([type])").count() == 0
    assert page.evaluate(UNLABELLED) == []
    close_page(page)


@pytest.mark.parametrize("name", ["index", "start", "finished", "playground"])
def test_the_keyboard_comes_everywhere_and_shows_where_it_is(page, site, name):
    page.goto(site.url + pages_of(site)[name])
    there = page.evaluate(STOPS)
    reached = 0
    for _ in range(there + 40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["body"] and reached:
            break
        reached += focused["ours"]
        assert focused["seen"] or not focused["ours"], focused
    assert reached == there


# ---- The form


def tab_to(page, id):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED)["id"] == id:
            return
    raise AssertionError(f"the keyboard does not come to {id}")


def test_the_form_is_filled_in_by_keyboard_alone_and_says_what_to_expect(page, site):
    page.goto(site.url + "/demo/python_docs")
    page.locator("summary", has_text="Table actions").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Train a GPT on this table").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/-/nanogpt")
    page.locator("#figures summary").click()
    estimate = page.locator("#estimate")
    before = estimate.inner_text()
    assert "layers" in before and "parameters" in before and "times" in before
    all_rows = page.get_by_text(re.compile(r"^[\d,]+ rows, about")).inner_text()
    tab_to(page, "minutes")
    page.keyboard.press("ArrowDown")
    page.get_by_text(re.compile("in (less than )?10 minutes")).wait_for()
    tab_to(page, "size")
    page.keyboard.type("xs")
    page.get_by_text("width 64").wait_for()
    tab_to(page, "name")
    page.keyboard.press("Control+A")
    page.keyboard.type("by-keyboard")
    tab_to(page, "Advanced")
    page.keyboard.press("Enter")
    tab_to(page, "n_layer")
    page.keyboard.type("5")
    page.get_by_text("5 layers").wait_for()
    tab_to(page, "n_embd")
    page.keyboard.type("33")
    page.get_by_text("must be an even number").wait_for()  # what is wrong with it
    page.keyboard.press("Control+A")
    page.keyboard.type("64")
    page.get_by_text("5 layers, width 64").wait_for()
    page.get_by_label("Rows, as an SQL condition").fill("rowid < 50")
    page.get_by_text("49 rows (rowid < 50)").wait_for()
    page.get_by_label("Rows, as an SQL condition").fill("")
    page.get_by_text(all_rows).wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "Start training":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/-/nanogpt/runs/*")
    run = find_runs(site.home)[0]
    settings = json.loads(run["settings"])
    assert (settings["name"], settings["n_layer"], settings["minutes"]) == ("by-keyboard", 5, 10)
    assert settings["size"] == "xs"
    for _ in range(20):  # it waits for the one that runs
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "Take out of the queue":
            break
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("^stopped", re.I)).wait_for()
    assert find_run(site.home, run["id"])["status"] == "stopped"


def test_a_model_that_is_replaced_gives_its_name(page, site):
    page.goto(site.url + pages_of(site)["start"])
    name, choice = page.get_by_label("Model name"), page.get_by_label("Replace an existing model")
    assert name.input_value() == "nanogpt-demo-2"
    choice.select_option("nanogpt-demo")
    assert name.input_value() == "nanogpt-demo"
    name.fill("other")
    assert choice.input_value() == ""
    choice.select_option("nanogpt-demo")
    choice.select_option("")
    assert name.input_value() == "nanogpt-demo-2"


def test_a_busy_server_is_asked_again_without_a_word(page, site):
    page.goto(site.url + "/demo/python_docs/-/nanogpt")
    asked, estimate = [], page.locator("#outlook").inner_text()

    def answer(route):
        asked.append(route.request.post_data)
        busy = {"status": 503, "headers": {"retry-after": "5"}, "json": {"ok": False, "error": "busy"}}
        route.fulfill(**busy) if len(asked) == 1 else route.continue_()

    page.route("**/-/nanogpt", answer)
    with page.expect_response("**/-/nanogpt"):
        page.get_by_role("radio", name=re.compile("^10 minutes")).check()
    assert len(asked) == 1 and page.locator("#outlook").inner_text() == estimate
    assert page.locator("#warning").is_hidden() and page.locator("#start").is_enabled()
    page.locator("#expect", has_text="After 10 minutes").wait_for()
    assert len(asked) == 2


def test_without_javascript_the_estimate_the_chart_and_the_buttons_are_there(browser, site):
    page = open_page(browser, site, java_script_enabled=False)
    page.goto(site.url + "/demo/python_docs/-/nanogpt?id__gt=100")
    page.get_by_label("10 minutes").check()
    page.locator("details#advanced summary").click()
    page.get_by_label("Layers").fill("7")
    page.get_by_role("button", name="Estimate again").click()
    assert page.locator("#estimate").text_content().startswith("7 layers")
    assert page.get_by_label("10 minutes").is_checked() and page.get_by_label("Layers").input_value() == "7"
    assert "id > 100" in page.locator("section.content").inner_text()
    page.goto(site.url + pages_of(site)["finished"])
    assert page.get_by_text("Without it, the table below has the scores").is_visible()
    page.get_by_text("The scores as a table").click()
    assert page.locator("#scores tbody tr").count() == 5
    assert re.search(r"for comparison: run \d+ 2.000", page.locator("#known").inner_text())
    assert page.locator("#samples article").count() == 4  # and the newest one above
    page.goto(site.url + pages_of(site)["running"])
    assert page.get_by_role("link", name="Reload this page").is_visible()
    run = write_run(site.home, site.database, "python_docs", "in-the-queue", "queued")
    page.goto(f"{site.url}/-/nanogpt/runs/{run}")
    page.get_by_role("button", name="Take out of the queue").click()
    assert page.locator("#status").inner_text().lower().startswith("stopped")
    assert not page.get_by_role("button", name="Delete for good").is_visible()
    page.get_by_text("Delete this run").click()
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url("**/-/nanogpt")
    assert page.get_by_text(f"The record of run {run}, in-the-queue, was deleted").is_visible()
    assert find_run(site.home, run) is None
    page.context.close()


# ---- Following a run


def test_what_is_new_arrives_once(page, site):
    run = write_run(site.home, site.database, "python_docs", "nanogpt-new", "running", 30)
    asked, got = [], []
    page.on("request", lambda request: asked.append(request.url) if ".json" in request.url else None)
    page.on("response", lambda answer: got.append(answer) if f"runs/{run}.json" in answer.url else None)
    page.goto(f"{site.url}/-/nanogpt/runs/{run}")
    line = page.locator("#chart polyline.smooth")
    before = line.get_attribute("points")
    write_metrics(site.home, run, 30, 65)
    page.get_by_role("heading", name="at step 59").wait_for()
    assert page.locator("#samples article").count() == 2  # and the newest one above, once
    assert page.locator("#newest-heading").inner_text() == "What it wrote at step 59"
    assert page.locator("#newest img, #newest script, #samples img, #samples script").count() == 0
    assert line.get_attribute("points") != before
    write_metrics(site.home, run, 65, 81)
    page.get_by_role("heading", name="at step 79").wait_for()
    told = [row[1] for answer in list(got) for row in answer.json()["metrics"]]
    assert told == list(range(30, 81)) and all(re.search(r"after=\d+\.\d+$", url) for url in asked)

    page.locator("#chart").hover()
    assert re.match(r"Step \d+: ", page.locator("#reading").inner_text())
    page.locator("#chart").focus()
    page.keyboard.press("Home")
    assert page.locator("#reading").inner_text().startswith("Step 0: training 4.000")
    page.keyboard.press("ArrowRight")
    assert page.locator("#reading").inner_text().startswith("Step 1: training 3.000")
    page.get_by_label("logarithmic").check()
    page.get_by_label("against time").check()
    assert page.get_by_text("seconds", exact=True).is_visible()

    page.locator(".stop > summary").focus()
    with registry(site.home) as db:
        db.execute("update runs set status = 'finished', progress = 1 where id = ?", [run])
    page.get_by_text("Delete this run").wait_for()
    assert page.evaluate("document.activeElement.closest('.actions') !== null")
    count = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == count  # it is over: nobody asks any more


def test_a_hidden_tab_asks_seldom_and_a_lost_connection_is_told(page, site):
    asked = []
    page.on("request", lambda request: asked.append(request.url) if ".json" in request.url else None)
    page.goto(site.url + pages_of(site)["running"])
    page.wait_for_timeout(1500)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true })")
    page.evaluate("window.away = true")
    page.wait_for_timeout(1500)
    count = len(asked)
    page.wait_for_timeout(4000)
    assert len(asked) - count <= 1
    with page.expect_request("**/*.json*", timeout=5000):  # at once: a hidden tab asks every 10 s
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.context.set_offline(True)
    page.get_by_text("The connection is lost").wait_for()
    page.context.set_offline(False)
    page.get_by_text("The connection is lost").wait_for(state="hidden")


def test_a_page_that_follows_a_run_says_that_the_server_is_busy(page, site):
    page.goto(site.url + pages_of(site)["running"])
    busy = {"status": 503, "json": {"ok": False, "error": "It is locked: try again shortly"}}
    page.route("**/*.json?after=*", lambda route: route.fulfill(**busy))
    page.get_by_text("It is locked: try again shortly.").wait_for()
    page.unroute("**/*.json?after=*")
    page.get_by_text("It is locked").wait_for(state="hidden")


# ---- Writing


def written(page):
    """The newest text, without its prompt."""
    return page.locator("#texts .text span").first


def insert_a_copy(database, words):
    """Give python_docs a row with some of the words that a model wrote, so that these are copied."""
    row = {"title": "A copy", "body": " ".join(words[MIN_WORDS // 2 : 2 * MIN_WORDS])}
    sqlite_utils.Database(database)["python_docs"].insert(row)


def write_again(page):
    """Press Write and wait for the text."""
    before = page.locator("#texts article").count()
    page.get_by_role("button", name="Write", exact=True).click()
    page.wait_for_function(f"document.querySelectorAll('#texts article').length > {before}")
    page.get_by_text("Done.").wait_for()


def test_writing_is_stopped_repeated_continued_shared_and_kept(page, site):
    playground = site.url + "/-/nanogpt/models/nanogpt-demo"
    page.goto(playground + "?temperature=0&max_tokens=1000&samples=5")
    page.get_by_label("Prompt").press("Control+Enter")
    page.locator("#texts .text span:not(:empty)").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("You stopped it.").first.wait_for()  # the second text may have begun, too
    # What there was of it was compared, too.
    page.locator("#texts .hint", has_text=re.compile("is copied|words are copied")).first.wait_for()
    page.get_by_role("button", name="Clear all").click()
    assert page.locator("#texts article").count() == 0

    page.goto(playground + "?max_tokens=30&seed=5&prompt=Row")
    write_again(page)
    page.reload()
    assert page.locator("#texts article").count() == 1  # texts stay
    write_again(page)
    texts = page.locator("#texts .text").all_inner_texts()
    assert len(texts) == 2 and texts[0] == texts[1] and texts[0].startswith("Row")
    assert page.locator("#texts").get_attribute("aria-busy") == "false"
    assert "-o seed 5" in page.locator("#llm").text_content() and "seed=5" in page.url
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_text(re.compile(r"Copied\.|Selected")).wait_for()
    link = page.get_by_role("link", name="Link to").first.get_attribute("href")
    page.get_by_role("button", name="Keep").first.click()
    page.locator("#kept article").wait_for()
    assert page.locator("#kept .text").is_hidden()  # it stands above
    page.locator("#kept").get_by_text("It stands above, as Text 2.").wait_for()
    page.locator("#kept").get_by_role("button", name="Copy").click()
    assert page.locator("#kept .copy").get_attribute("data-text").rstrip() == texts[0].rstrip()
    page.locator("#state", has_text=re.compile(r"Copied\.|Selected")).wait_for()
    page.get_by_role("button", name="Continue").first.click()
    page.wait_for_function("document.querySelectorAll('#texts article').length === 3")
    page.get_by_text("Done.").wait_for()
    assert page.get_by_label("Prompt").input_value().startswith(texts[0].rstrip())
    page.goto(site.url.removesuffix("/under") + link)
    assert (
        page.get_by_label("Prompt").input_value() == "Row" and page.get_by_label("Seed").input_value() == "5"
    )
    page.get_by_role("button", name="Remove").click()
    page.locator("#kept article").wait_for(state="detached")


def test_surprise_is_shown_by_mouse_and_keyboard_and_two_are_compared(page, site):
    page.goto(site.url + "/-/nanogpt/models/nanogpt-demo?max_tokens=30&seed=5&prompt=Row")
    page.get_by_text("Side by side").click()
    page.get_by_label("at temperature").fill("0")  # which asks for the second column
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_text("Done.").wait_for()
    page.get_by_label("Surprise").check()
    headings = page.locator("#texts").locator("h2").all_inner_texts()
    assert headings == ["Text 1, temperature 0.8", "Text 1, temperature 0"]
    assert page.locator("#stop").is_hidden()
    first = page.locator("#texts article").first
    assert (
        "".join(first.locator(".token").all_text_contents()) == first.locator(".text > span").text_content()
    )
    first.locator(".token").nth(2).hover()
    page.locator("#likely").wait_for()
    likely = page.locator("#likely").inner_text()
    assert re.search(r":\s+(under )?[\d.]+% likely \([\d.]+ bits\)\s+What else was likely:\s+[“(]", likely)
    first.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.previousElementSibling.className").startswith("token")
    assert page.locator("#likely").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#likely").is_visible()
    page.get_by_label("Prompt").focus()
    first.locator(".token").nth(4).hover()
    page.locator("#likely").wait_for()
    page.keyboard.press("Escape")  # wherever the focus is
    assert not page.locator("#likely").is_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    first.locator(".token").nth(3).click()
    explained = "[...document.querySelectorAll('.token')].findIndex(token => token.matches('.explained'))"
    for name, at in (("Next piece", 4), ("Piece before", 3)):  # a finger is wider than many pieces
        page.locator("#likely").get_by_role("button", name=name).dispatch_event("click")
        assert page.evaluate(explained) == at and page.locator("#likely").is_visible()
    close = page.locator("#likely").get_by_role("button", name="Close")
    assert min(close.bounding_box()[side] for side in ("width", "height")) >= 40
    close.dispatch_event("click")  # of a finger: a mouse leaves the text on its way, which closes it, too
    assert not page.locator("#likely").is_visible()
    page.get_by_label("Copied").check()
    assert page.locator(".token").count() == 0


def test_the_wrong_fields_are_named_beside_write(page, site):
    page.goto(site.url + "/-/nanogpt/models/nanogpt-demo")
    page.locator("#write").evaluate("form => { form.noValidate = true; }")
    page.locator("#seed").evaluate("seed => { seed.value = -1; }")
    page.get_by_role("button", name="Write").click()
    page.locator("#state").get_by_role("link", name="Seed").click()
    assert page.locator("#state").inner_text() == "Nothing was written. Wrong: Seed."
    assert page.locator("#seed").is_visible()


# How far the box is from the end of each line of the text beside it.
NEXT_WORDS = """
(() => {
  const box = document.querySelector("#likely").getBoundingClientRect();
  const tokens = [...document.querySelectorAll("#texts .token")];
  const lines = tokens.flatMap((token) => [...token.getClientRects()]);
  const beside = lines.filter(({ top, bottom }) => bottom > box.top && top < box.bottom);
  return beside.map(({ right }) => box.left - right);
})()
"""


# How many pixels of a token with a blank before it stand on the line above its letters.
FIRST_PARTS = """
[...document.querySelectorAll(".token")].filter((token) => /^ \\S+$/.test(token.textContent))
  .map((token) => [...token.getClientRects()])
  .filter((parts) => parts.length > 1).map(([first]) => first.width)
"""


def test_a_row_is_coloured_from_its_menu(page, site):
    page.goto(site.url + "/demo/python_docs/3")
    page.locator("summary", has_text="Row actions").click()
    page.get_by_role("menuitem", name="Colour by surprise").click()
    page.get_by_text("8 is knowing nothing").wait_for()
    assert page.get_by_role("link", name="Row 3 of python_docs").is_visible()
    assert page.get_by_role("button", name="Clear all").is_hidden()  # there is nothing but the row
    assert page.locator(".token").count() > 5
    page.locator(".token").nth(3).hover()
    from_words = page.evaluate(NEXT_WORDS)
    assert from_words and 10 < min(from_words) < 30  # px: right beside them, and on none of them
    reach = float(page.evaluate("document.getElementById('likely').style.getPropertyValue('--reach')")[:-2])
    assert min(from_words) - 5 < reach <= max(from_words) - 4 + 1  # its line is under none of them, either
    words = page.locator(".text:has(.token)").first.inner_text()
    page.set_viewport_size({"width": 200, "height": 800})
    first_parts = page.evaluate(FIRST_PARTS)
    assert first_parts and max(first_parts) < 1
    assert page.locator(".text:has(.token)").first.inner_text() == words


def test_a_copied_passage_leads_to_its_row(page, site, bpe):
    table = {"table": ODD, "title": "title", "body": ["body"]}
    source = {"database": str(site.database), "table": ODD, "rows": 300, "tables": [table]}
    # Of the untrained models this one, at temperature 0, repeats words, where others hardly write a space.
    write_model(site.home / "odd", bpe, seed=2, meta={"source": source})
    page.goto(site.url + "/-/nanogpt/models/odd?seed=1&temperature=0&dry_multiplier=0&max_tokens=150")
    write_again(page)
    text = written(page).inner_text()
    # What it will write again is put into a row, among the scripts.
    row = (
        sqlite_utils.Database(site.database)[ODD].insert({"title": EVIL, "body": f"{EVIL} {text}"}).last_rowid
    )
    write_again(page)
    page.locator("#texts .hint", has_text="of its words are copied").first.wait_for()
    assert page.locator("#texts img, #texts script").count() == 0
    page.locator("a.copied").first.click()
    page.wait_for_url(f"**/under/demo/{tilde_encode(ODD)}/{row}")
    assert text.split()[3] in page.locator("table.rows-and-columns").inner_text()
    page.go_back()
    page.locator("a.copied").first.wait_for()  # the texts are there as they were
    assert page.locator("#texts article").count() == 2 and page.get_by_label("Seed").input_value() == "1"


# ---- With training


def shot(page, name):
    if SHOTS:
        file = Path(SHOTS) / f"{name}.png"
        page.screenshot(path=file)
        assert file.stat().st_size < SHOT_BYTES


@pytest.fixture
def server(tmp_path, home):
    server = Server(make_database(tmp_path / "demo.db"), home)
    server.database = tmp_path / "demo.db"
    yield server
    server.stop()


@pytest.fixture
def trainer(browser, server):
    page = open_page(browser, server)
    yield page
    close_page(page)


def test_the_whole_way(trainer, server, home):
    page = trainer
    page.goto(server.url + "/demo/python_docs")
    page.locator("summary", has_text="Table actions").click()
    page.get_by_role("menuitem", name="Train a GPT on this table").click()
    assert page.get_by_text("Title: title. Text: body.").is_visible()
    page.get_by_role("radio", name=re.compile("^10 minutes")).check()  # it is stopped at its first score
    page.locator("#expect", has_text="After 10 minutes").wait_for()
    shot(page, "start")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/-/nanogpt/runs/1")
    page.get_by_text(re.compile("^preparing", re.I)).wait_for()
    page.locator("#parts li.now").wait_for()  # it says what it is at

    chart = page.locator("#chart polyline.train")
    chart.wait_for(state="attached", timeout=TRAINING)
    points = chart.get_attribute("points")
    page.locator("#newest-heading", has_text="at step").wait_for(timeout=TRAINING)
    page.wait_for_function(
        "p => document.querySelector('#chart polyline.train')?.getAttribute('points') !== p", arg=points
    )
    page.get_by_role("link", name="Write with this model").wait_for()
    page.reload()
    page.locator(".stop > summary").click()
    page.get_by_role("button", name="Stop with a last score").click()
    page.get_by_role("button", name="Keep training").wait_for(timeout=TRAINING)
    assert page.locator("#status").inner_text().lower().startswith("stopped")
    page.locator("#more-minutes").fill("0.2")
    page.get_by_role("button", name="Keep training").click()
    page.wait_for_url("**/-/nanogpt/runs/2")
    page.get_by_text(re.compile("^finished", re.I)).wait_for(timeout=2 * TRAINING)
    page.locator("#chart polyline.other").wait_for(state="attached")  # the run before it
    assert page.locator("#newest-text").evaluate("text => text.style.minHeight") == ""  # as high as its text

    page.get_by_role("link", name="Write with nanogpt-demo").click()
    page.get_by_label("Prompt").fill("Return a")
    page.get_by_label("Temperature", exact=True).fill("0.5")
    page.get_by_text("More settings").click()
    page.get_by_label("Seed").fill("3")
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_text("Done.").wait_for(timeout=TRAINING)
    text = page.locator("#texts .text").inner_text()
    assert len(text) > len("Return a") and "is copied" in page.locator("#texts .hint").inner_text()
    words = text.removeprefix("Return a").split()
    if len(words) > 2 * MIN_WORDS:
        insert_a_copy(server.database, words)
        write_again(page)
        page.locator("a.copied").first.wait_for()
    page.goto(server.url + "/-/nanogpt")
    assert page.locator("svg.sparkline").count() >= 1
    shot(page, "index")


def test_a_run_survives_its_server_and_a_table_may_be_called_anything(trainer, server, home):
    page = trainer
    page.goto(f"{server.url}/demo/{tilde_encode(ODD)}/-/nanogpt")
    page.locator("details#advanced summary").click()
    for label, key in (("Layers", "n_layer"), ("Width", "n_embd"), ("Vocabulary", "vocab_size")):
        page.get_by_label(label, exact=True).fill(str(TINY[key]))
    page.get_by_label("Heads").fill("2")
    page.get_by_label("Architecture").select_option("gpt2")  # the other ends after few readings
    page.get_by_role("button", name="Start training").click()
    page.locator("#newest-heading", has_text="at step").wait_for(timeout=TRAINING)
    assert page.locator("#newest img, #newest script, #samples img, #samples script").count() == 0
    number = page.url.rsplit("/", 1)[1]
    assert server.stop() < 10
    page.get_by_text("The connection is lost").wait_for(timeout=TRAINING)
    again = Server(server.database, home)
    try:
        page.context.add_cookies([again.login])
        page.goto(f"{again.url}/-/nanogpt/runs/{number}")
        page.get_by_text(re.compile("^running", re.I)).wait_for(timeout=TRAINING)  # by itself
        assert page.get_by_text("It went on by itself").is_visible()
        page.locator(".stop > summary").click()
        page.get_by_role("button", name="Stop now").click()
        page.get_by_role("button", name="Keep training").wait_for(timeout=TRAINING)
    finally:
        again.stop()
