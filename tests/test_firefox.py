"""The main journey in Firefox: from the form to a run, to its end, to a text. Other tests use Chromium."""

import shutil

import pytest
import sqlite_utils
from conftest import TEXTS
from firefox import Firefox
from test_browser import TRAINING, Server

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not FIREFOX, reason="needs Firefox: apt-get install firefox-esr"),
]
SMALL = {"n_layer": "1", "n_head": "2", "n_embd": "16", "block_size": "64", "vocab_size": "300"}
WATCH = "addEventListener('error', (event) => (window.failed ??= []).push(event.message));"


@pytest.fixture
def server(tmp_path, home):
    rows = [{"id": i, "title": f"Fox {i % 7}", "body": text} for i, text in enumerate(TEXTS)]
    sqlite_utils.Database(tmp_path / "blog.db")["entry"].insert_all(rows, pk="id")
    server = Server(tmp_path / "blog.db", home)
    yield server
    server.stop()


@pytest.fixture
def firefox(tmp_path):
    firefox = Firefox(FIREFOX, tmp_path)
    yield firefox
    firefox.stop()


def test_the_main_journey_in_firefox(server, firefox, tmp_path):
    firefox.goto(server.url + "/")
    cookie = {"name": server.login["name"], "value": server.login["value"], "path": "/"}
    firefox.do("WebDriver:AddCookie", cookie=cookie)

    firefox.goto(server.url + "/blog/entry/-/nanogpt")
    firefox.click("#advanced summary")
    for field, value in SMALL.items():
        firefox.type(f"#{field}", value)
    firefox.click("[name=minutes][value='1']")
    firefox.wait("document.getElementById('estimate').textContent.length > 20")
    firefox.click("#start")
    firefox.wait("/runs.1$/.test(location.pathname)")
    firefox.wait("document.querySelector('#chart svg polyline')", TRAINING / 1000)  # the chart is drawn
    firefox.wait("/^finished/i.test(document.getElementById('status').textContent)", TRAINING / 1000)
    firefox.wait("document.querySelectorAll('#verdict dt').length > 1")

    firefox.click("a.primary")
    firefox.wait("/models.nanogpt-blog$/.test(location.pathname)")
    firefox.run(WATCH)
    firefox.type("#prompt", "Row 5")
    firefox.click("#write [type=submit]")
    firefox.wait("document.getElementById('state').textContent === 'Done.'")
    assert firefox.text("#texts .text").startswith("Row 5")
    firefox.click("[name=view][value=surprise]")
    firefox.wait("document.querySelectorAll('#texts .token').length > 3")
    firefox.run(
        "document.querySelectorAll('.token')[2].dispatchEvent(new Event('mouseover', {bubbles: true}))"
    )
    assert "% likely (" in firefox.text("#likely")
    firefox.run(
        "[...document.querySelectorAll('#texts button')].find((b) => b.textContent === 'Keep').click()"
    )
    firefox.wait("document.querySelector('#kept article')")
    assert firefox.run("return window.failed ?? []") == []
    assert firefox.run("return document.documentElement.scrollWidth <= innerWidth")
    firefox.screenshot(tmp_path / "firefox.png")
