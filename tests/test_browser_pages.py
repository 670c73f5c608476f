"""The list of all models and runs, the form, the playground, typical rows and two runs compared, in a
browser: whether they bar anybody, and what each is for. Nothing trains: the runs were written by hand."""

import json
import shutil

import pytest
import sqlite_utils
import test_browser
from browser_checks import apply_policy, refused, violations
from conftest import write_model
from test_browser import WIDER, Server, browser, close_page, make_database, open_page, page, write_run  # noqa: F401

from datasette_nanogpt.data.token_files import write_tokens
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.kept_texts import keep_text
from datasette_nanogpt.registry.runs import find_run
from datasette_nanogpt.registry.statements import insert, update_run

pytestmark = test_browser.pytestmark
LOOKS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 800}},
}
KEPT = {"title": "A title", "prompt": "Row", "text": " 1: quick brown fox.", "seed": 3}
SEEN = {
    "trained": {"rows": 70, "bits_per_byte": 1.4, "bytes": 70_000},
    "held out": {"rows": 10, "bits_per_byte": 1.7, "bytes": 10_000},
}

# What is lighter than the middle in our part of a page that should be dark.
LIGHT = """
[...document.querySelectorAll("section.content tr")].filter((row) => {
  const [red, green, blue, opaque = 1] = getComputedStyle(row).backgroundColor.match(/[\\d.]+/g).map(Number);
  return matchMedia("(prefers-color-scheme: dark)").matches && opaque && red + green + blue > 380;
}).map((row) => row.outerHTML.slice(0, 80))
"""
BORDERS = """
[...document.querySelectorAll("#write :is(input[type=text], input[type=number], textarea, select)")]
  .map((field) => getComputedStyle(field).border)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory, bpe):
    folder = tmp_path_factory.mktemp("pages")
    home, database = folder / "models", make_database(folder / "demo.db")
    tables = [{"table": "python_docs", "title": "title", "body": ["body"]}]
    source = {"database": str(database), "table": "python_docs", "rows": 4049, "tables": tables}
    for name, bpb in (("nanogpt-demo", 1.381), ("nanogpt-other", 1.67)):
        meta = {"source": source, "score": {"val_bpb": bpb}, "training": {"updated": "2026-11-27T10:00:00"}}
        checkpoint = write_model(home / name, bpe, meta=meta | {"corpus": {"bytes": 2_000_000}})
    table, ended = "python_docs", "2026-11-27T10:00:00+00:00"
    runs = {
        "over": write_run(home, database, table, "nanogpt-demo", "finished", 60, ended=ended),
        "other": write_run(home, database, table, "nanogpt-other", "finished", 80, ended=ended),
        "running": write_run(home, database, table, "nanogpt-live", "running", 40, eta=90.0),
        "scored": write_run(home, database, table, "nanogpt-demo", "finished", kind="score"),
    }
    plan = {"version": checkpoint.name, "rows": 4049, "scored": 80, "skipped": {}, "seen": SEEN}
    with registry(home) as db:
        update_run(db, runs["scored"], {"plan": json.dumps(plan), "status": "stopped", "val_bpb": None})
        for row in range(80):
            figures = {"bits_per_byte": 0.8 + row / 20, "bytes": 900, "tokens": 300, "seen": "trained"}
            insert(db, "scores", {"run": runs["scored"], "row": str(row + 1), "digest": b"", **figures})
    keep_text(home, KEPT | {"model": "nanogpt-demo", "version": "1", "settings": {"temperature": 0.8}}, None)
    server = Server(database, home)
    server.home, server.runs, server.database = home, runs, database
    yield server
    server.stop()


@pytest.fixture
def templated(site, bpe):
    """A model with a template, and the tokens that it was trained on."""
    source = {"database": str(site.database), "table": "python_docs", "rows": 60, "body": ["kind"]}
    source |= {"template": "kind: {{ kind }}\nabout: {{ title }}\n\n{{ body }}"}
    folder = write_model(site.home / "nanogpt-kinds", bpe, meta={"source": source})
    (folder / "training").mkdir()
    texts = [f"kind: {'link' if i % 3 else 'note'}\nabout: Fox {i}\n\nThe fox runs." for i in range(60)]
    for name in ("train", "val"):
        list(write_tokens(texts, bpe, folder / "training" / f"{name}.bin"))
    yield folder.name
    shutil.rmtree(folder)


def write_a_text(page):
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_text("Done.").wait_for()


def test_hebrew_begins_at_the_right_and_english_at_the_left(page, site):
    page.goto(f"{site.url}/-/nanogpt/models/nanogpt-demo")
    places = page.locator(".text").first.evaluate(
        """(box) => {
          box.textContent = "\u05e9\u05dc\u05d5\u05dd.\\nHello.";
          const line = (start, end) => {
            const range = document.createRange();
            range.setStart(box.firstChild, start);
            range.setEnd(box.firstChild, end);
            return range.getBoundingClientRect();
          };
          const { left, right } = box.getBoundingClientRect();
          return [right - line(0, 1).right, line(4, 5).left - line(0, 1).left, line(6, 7).left - left];
        }"""
    )
    first_letter, full_stop, english = places
    assert first_letter < 5 and full_stop < 0 and english < 30


@pytest.mark.parametrize("look", LOOKS)
def test_no_page_bars_anybody_or_breaks_a_strict_policy(browser, site, look):
    page = open_page(browser, site, **LOOKS[look])
    apply_policy(page)
    for path in (
        "/-/nanogpt",
        f"/-/nanogpt/compare?run={site.runs['over']}&run={site.runs['other']}",
        f"/-/nanogpt/compare?run={site.runs['over']}&run={site.runs['running']}",
        "/demo/python_docs/-/nanogpt",
        "/demo/python_docs/-/nanogpt/rows?model=nanogpt-demo&row=7",
        "/-/nanogpt/models/nanogpt-demo?max_tokens=30&seed=5&prompt=Row",
    ):
        page.goto(site.url + path)
        page.evaluate("document.querySelectorAll('section.content details').forEach((d) => d.open = true)")
        if "/models/" in path:
            assert len(set(page.evaluate(BORDERS))) == 1  # text, numbers and choices have the same
            write_a_text(page)
            page.get_by_label("Surprise").check()
        assert violations(page) == [], path
        assert refused(page) == [], path
        assert page.evaluate(WIDER) == [], path
        assert page.evaluate(LIGHT) == [], path
    close_page(page)


def test_lists_are_dark_on_a_phone_too(browser, site):
    """Datasette shows each row as a white card there. The page is seen between them."""
    page = open_page(browser, site, viewport={"width": 390, "height": 800}, color_scheme="dark")
    form = "/demo/python_docs/-/nanogpt"
    for path in ("/-/nanogpt", form, f"{form}/rows?model=nanogpt-demo"):
        page.goto(site.url + path)
        assert page.locator("section.content tbody tr").count()
        assert page.evaluate(LIGHT) == [], path
        for table in page.locator("table.rows-and-columns").all():
            assert table.evaluate("table => getComputedStyle(table).backgroundColor") == "rgba(0, 0, 0, 0)", (
                path
            )
        for row in page.locator(":is(#runs, #models) tr:has(td.number:not(:empty))").all():
            cells = row.locator("td:first-child, td.number:not(:empty)[data-label='Bits per byte']").all()
            assert len({cell.bounding_box()["x"] for cell in cells}) == 1, path  # a score begins a line
    close_page(page)


def test_columns_are_set_shown_kept_linked_and_continued(page, site, templated):
    page.goto(f"{site.url}/-/nanogpt/models/{templated}?max_tokens=12&seed=5&prompt=Row")
    kind, about = page.get_by_label("kind", exact=True), page.get_by_label("title", exact=True)
    assert page.locator("datalist option").evaluate_all("all => all.map((o) => o.value)") == ["link", "note"]
    boxes = [page.locator(each).bounding_box() for each in (".columns", "#prompt")]
    assert len({round(box["x"] + box["width"]) for box in boxes}) == 1
    kind.fill("link")
    chips = page.locator("#prompts button").all()
    assert chips and all(chip.bounding_box()["y"] < page.viewport_size["height"] / 2 for chip in chips)
    write_a_text(page)
    row = page.locator("#texts dl.row").first
    assert row.locator(".given").all_inner_texts() == ["kind\nlink"] and "by the model" in row.inner_text()
    whole = "text => text.closest('article').querySelector('.text').textContent"
    below = page.locator("#texts .text").first.evaluate(whole)
    page.get_by_label("Surprise").check()  # colours all that was written, so it shows all
    assert page.locator("#texts .text strong").first.text_content() == "kind: link\nabout: "
    assert row.is_hidden() and page.locator("#texts .text").first.evaluate(whole).endswith(f"\n\n{below}")
    page.get_by_label("Copied").check()  # begins below the columns
    assert page.locator("#texts .text strong").first.text_content() == "" and row.is_visible()
    assert page.locator("#texts .text").first.evaluate(whole) == below
    page.get_by_role("button", name="Keep").click()
    assert page.locator("#kept .given dd").inner_text() == "link"
    page.reload()  # what was filled in stays
    assert "by the model" in page.locator("#texts dl.row").inner_text() and kind.input_value() == "link"
    assert violations(page) == []

    page.get_by_role("button", name="Fox 1", exact=True).click()
    page.locator("#texts article").nth(1).wait_for()
    page.get_by_text("Done.").wait_for()
    assert (kind.input_value(), about.input_value()) == ("link", "Fox 1")
    begun = page.locator("#texts .text").first.text_content()
    begun = begun.replace("\r", "\n")  # as a text area has it
    labels = page.locator("#texts").locator("h2").all_inner_texts()
    assert labels == ["Text 2", "Text 1"]  # also after the page was opened again
    page.get_by_role("button", name="Continue").first.click()
    page.locator("#texts article").nth(2).wait_for()
    page.get_by_text("Done.").wait_for()
    prompt = page.get_by_label("Prompt").input_value()  # a blank that it begins with is not shown
    assert prompt.lstrip() == begun.lstrip() and about.input_value() == "Fox 1"

    link = page.locator("#kept").get_by_role("link", name="Link to").get_attribute("href")
    page.goto(site.url.removesuffix("/under") + link)
    assert (kind.input_value(), about.input_value()) == ("link", "")
    page.get_by_role("button", name="Remove").click()
    page.locator("#kept article").wait_for(state="detached")


def test_what_was_typed_stays_after_keep_again_and_remove(page, site):
    """Remove opened the page anew, with empty fields."""
    page.goto(f"{site.url}/-/nanogpt/models/nanogpt-demo?max_tokens=12&seed=5")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("Row 3")
    write_a_text(page)
    page.get_by_role("button", name="Keep").first.click()
    kept = page.get_by_role("button", name="Remove Row 3")
    kept.wait_for()
    page.get_by_role("button", name="Again").first.click()
    page.wait_for_function("document.querySelectorAll('#texts article').length === 2")
    page.get_by_text("Done.").wait_for()
    assert prompt.input_value() == "Row 3"
    prompt.fill("Row 4")  # and nothing was written of it yet
    kept.click()
    kept.wait_for(state="detached")
    assert prompt.input_value() == "Row 4"
    assert page.locator(".buttons").get_by_text("Keep", exact=True).count() == 2  # it can be kept again


def test_the_list_follows_what_runs_and_stops_it(page, site):
    page.goto(site.url + "/-/nanogpt")
    card = page.locator("#now .now-card")
    with registry(site.home) as db:
        update_run(db, site.runs["running"], {"progress": 0.75, "step": 1234})
    card.get_by_text("Step 1,234").wait_for()
    assert card.locator("progress").evaluate("bar => bar.value") == 0.75
    assert page.locator(".model-cards .wrote").count() == 2
    ticked = page.get_by_label(f"Compare run {site.runs['over']}", exact=True)
    compare = page.get_by_role("button", name="Compare two runs")
    assert compare.is_disabled() and page.get_by_text("Tick two runs in the list.").is_visible()
    ticked.check()
    run = write_run(site.home, site.database, "python_docs", "nanogpt-next", "running")
    card.nth(1).wait_for()
    assert ticked.is_checked() and compare.is_disabled()  # though the list is new
    with registry(site.home) as db:
        update_run(db, run, {"status": "stopped"})
    card.nth(1).wait_for(state="detached")
    card.get_by_role("button", name="Stop nanogpt-live").click()
    page.wait_for_url(f"**/runs/{site.runs['running']}")
    assert find_run(site.home, site.runs["running"])["stop_requested"] == 1
    page.goto(site.url + "/demo/python_docs")
    page.get_by_role("link", name="nanogpt-live").wait_for()
    with registry(site.home) as db:
        update_run(db, site.runs["running"], {"status": "stopped"})
    page.locator(".now-card", has_text="is over").wait_for()

    page.goto(site.url + "/-/nanogpt")
    for run in ("over", "other"):
        page.get_by_label(f"Compare run {site.runs[run]}", exact=True).check()
    page.get_by_role("button", name="Compare two runs").click()
    page.get_by_role("heading", name="against run").wait_for()
    assert page.locator("figure.compare polyline:visible").count() == 2


def test_an_error_opens_what_was_folded_away_and_start_says_it(page, site):
    page.goto(site.url + "/demo/python_docs/-/nanogpt")
    page.locator("#advanced summary").click()
    seed = page.get_by_label("Seed")
    seed.fill("12345678901234")
    page.get_by_text("The seed must be at most").wait_for()
    assert seed.evaluate("box => box.scrollWidth <= box.clientWidth")  # nothing of it is cut off
    colour = "box => getComputedStyle(box).borderTopColor"
    assert seed.evaluate(colour) == "rgb(164, 0, 18)"
    page.emulate_media(color_scheme="dark")
    assert seed.evaluate(colour) == page.locator("#seed-error").evaluate("e => getComputedStyle(e).color")
    page.emulate_media(color_scheme="light")
    assert page.locator("#brief").inner_text() and page.locator("#figures").is_visible()
    assert page.locator("#blocked").inner_text() == "Cannot start yet: see Seed."
    assert violations(page) == [] and page.evaluate(WIDER) == []
    page.locator("#advanced summary").click()
    page.locator("#blocked a").click()
    page.wait_for_function("document.activeElement.id === 'seed'")
    assert seed.is_visible()
    page.locator("#advanced summary").click()
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Nothing was started: 1 field is wrong").wait_for()
    assert page.locator("#advanced").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.id") == "seed"
    error = page.locator(f"#{page.get_by_label('Seed').get_attribute('aria-describedby').split()[0]}")
    assert "at most" in error.inner_text()
    card = page.locator("label.card", has=page.get_by_text("30 minutes", exact=True))
    card.click()
    assert card.locator("input").is_checked() and "after 10 minutes" in card.inner_text()
    page.locator("#expect", has_text="After 30 minutes it writes ").wait_for()


def test_the_example_of_a_template_is_taken_by_a_button(page, site):
    db = sqlite_utils.Database(site.database)
    rows = ({"id": i, "notes": "[]", "other": f'[{i}, "x y z"]'} for i in range(50))
    db["lists"].insert_all(rows, replace=True, pk="id")
    page.goto(site.url + "/demo/lists/-/nanogpt")
    page.wait_for_timeout(600)
    assert not page.locator("[aria-invalid]").count()  # nobody has filled in anything yet
    assert violations(page) == [] and page.evaluate(WIDER) == []
    page.get_by_role("button", name="Read the rows like this").click()
    page.locator("#texts", has_text="x y z").wait_for()
    assert page.get_by_label("Template").input_value() == "{{ other }}"  # notes are empty
    assert page.locator("#like-this").is_hidden()
    assert page.evaluate("scrollY") == 0 and page.locator("#template:focus").count()
    page.get_by_label("Rows, as an SQL condition").evaluate(
        "field => { field.closest('details').open = true }"
    )
    page.get_by_label("Rows, as an SQL condition").fill("id < 2")
    page.get_by_role("link", name="Choose another table").click()
    page.locator("#trainable").wait_for()  # unfolded
    db["lists"].drop()


def test_little_text_is_said_below_the_heading_as_the_form_changes(page, site):
    page.goto(site.url + "/demo/python_docs/-/nanogpt")
    little = page.locator("#little")
    assert little.is_hidden() and page.locator("#example").is_visible()
    page.locator("#figures summary").click()
    assert "lower is better" in page.locator("#held-out").inner_text()
    page.locator("#advanced summary").click()
    page.get_by_label("Rows, as an SQL condition").fill("id < 6")
    page.get_by_text("is little text").wait_for()
    assert page.locator("#held-out").is_hidden() and violations(page) == []
    assert "What helps" in little.inner_text()
    values = "boxes => boxes.map(box => box.value)"
    chosen = page.locator("[name=minutes]:checked")  # what is recommended, as long as nobody chooses
    assert chosen.input_value() == "1" and "After 1 minute " in page.locator("#expect").inner_text()
    assert page.locator(".longer").locator("input").evaluate_all(values) == ["3", "10", "30", "60"]
    assert (
        "more rows" in little.inner_text() and "template" not in little.inner_text()
    )  # all columns are read
    page.get_by_label("Rows, as an SQL condition").fill(
        "id = (select id from python_docs order by length(body) limit 1)"
    )
    page.locator("#warning", has_text="too little to train on").wait_for()  # beside what has changed, too
    page.get_by_label("Rows, as an SQL condition").fill("")
    little.wait_for(state="hidden")
    assert page.locator(".cards").locator("> .card").locator("input").evaluate_all(values)[:2] == ["1", "3"]
    assert page.locator("#warning").is_hidden() and page.locator("#start").is_enabled()
    assert chosen.input_value() == "3"
    page.get_by_label("10 minutes").check()
    page.get_by_label("Rows, as an SQL condition").fill("id < 6")
    little.wait_for()
    assert chosen.input_value() == "10"


def test_a_template_is_advised_where_columns_are_not_read(page, site):
    db = sqlite_utils.Database(site.database)
    rows = ({"id": i, "body": f"We met at the old mill, boat {i}.", "colour": "red"} for i in range(60))
    db["boats"].insert_all(rows, replace=True, pk="id")
    page.goto(site.url + "/demo/boats/-/nanogpt")
    assert "a template that reads more columns" in page.locator("#little").inner_text()
    page.locator("#little").get_by_role("link", name="a template").click()
    assert page.locator("#advanced").get_attribute("open") is not None
    assert page.get_by_label("Template").is_visible()
    db["boats"].drop()


def test_typical_rows_lead_to_their_row_and_back(page, site):
    page.goto(site.url + "/demo/python_docs/-/nanogpt/rows?model=nanogpt-demo&page=99")
    page.get_by_text("Page 4 of 4").wait_for()
    assert page.locator("#rows .bar rect").count() == 20
    desktop = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    below = "note => note.closest('td').getBoundingClientRect().bottom - note.getBoundingClientRect().bottom"
    assert page.get_by_text("All 20 rows on this page have changed since they were scored.").is_visible()
    note = (
        "text.insertAdjacentHTML('afterend', ' <em>(changed since then)</em>')"  # as where few have changed
    )
    page.evaluate(f"for (const text of document.querySelectorAll('#rows .clamped')) {note}")
    notes = page.get_by_text("(changed since then)")  # not cut off with the end of the excerpt
    assert notes.count() and all(note.evaluate(below) >= 0 for note in notes.all())
    page.set_viewport_size(desktop)
    page.get_by_role("link", name="Most typical").click()
    page.get_by_role("link", name="Least typical").click()
    first = page.locator("#rows tbody tr").first
    assert first.locator(".title").inner_text() and first.locator(".excerpt").inner_text()
    first.get_by_role("link").nth(1).click()  # its title, which leads to the row coloured by surprise
    page.get_by_role("link", name="Row 80 of python_docs").wait_for()
    page.go_back()
    first.get_by_role("link").first.click()
    page.wait_for_url("**/demo/python_docs/80")


def test_write_and_the_text_are_in_sight_where_the_last_setting_is_changed(page, site):
    """The text began below all settings: a thousand pixels of them, twice that on a phone."""

    def height_of(selector):
        return page.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().top")

    for width, height in ((1200, 700), (390, 800)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(site.url + "/-/nanogpt/models/nanogpt-demo?max_tokens=20")
        page.evaluate("sessionStorage.clear()")
        page.reload()
        for fold in ("#more", "#rare", "#beside"):
            page.locator(f"{fold} > summary").scroll_into_view_if_needed()
            page.evaluate(f"document.querySelector('{fold}').open = true")
        for texts in (1, 2):
            page.locator("#top_k").fill(str(texts))
            page.get_by_label("at temperature").scroll_into_view_if_needed()
            page.wait_for_timeout(300)
            assert 0 <= height_of(".write") < height - 60
            page.get_by_role("button", name="Write", exact=True).click()
            page.wait_for_function(f"document.querySelectorAll('#texts article').length === {texts}")
            page.get_by_text("Done.").wait_for()
            page.wait_for_timeout(800)  # it scrolls smoothly
            assert height_of(".write") + 40 < height_of("#texts article h2") < height * 0.75
            if width < 900:
                page.locator("#to-settings").click()
                assert 40 < height_of("#temperature") < height / 2
                assert height_of("#temperature") < height_of("#view")  # they came after all texts
            else:
                assert page.locator("#to-settings").is_hidden()
                page.get_by_label("at temperature").scroll_into_view_if_needed()
                assert height_of("#texts article h2") < height  # both are in sight at once


def test_two_texts_side_by_side_have_the_whole_width_and_a_finger_hits_their_buttons(page, site):
    """They shared the width of the fields, beside nothing; on a phone their buttons were 25 px high."""

    def box(selector):
        return page.locator(selector).first.bounding_box()

    page.goto(site.url + "/-/nanogpt/models/nanogpt-demo")
    page.get_by_text("Side by side").click()
    page.get_by_label("at temperature").fill("0")
    write_a_text(page)
    assert box("#state")["width"] <= 1  # "Done." is only read aloud, as the text says how it ended
    assert box(".pair article:last-child")["width"] > 450
    assert box(".pair")["x"] + box(".pair")["width"] > box("#how")["x"] + 300
    settings = box("#how")
    assert box("#write .write")["y"] < settings["y"] + settings["height"] <= box(".pair")["y"] + 1
    page.evaluate("document.querySelector('.pair').style.paddingBottom = '2000px'; scrollTo(0, 1500)")
    page.wait_for_timeout(300)
    assert box(".write")["y"] == 0
    page.get_by_text("More settings").click()  # is longer than the fields, so the texts stay beside it
    assert box(".pair")["x"] + box(".pair")["width"] < box("#how")["x"]
    page.set_viewport_size({"width": 390, "height": 800})
    for button in page.locator("#write :is(button, .buttons a, .switch), #kept :is(a, input)").all():
        if button.is_visible():
            assert 36 <= button.bounding_box()["height"] <= 42, button.inner_text()


def test_figures_of_tables_come_to_all_cards_at_once(page, site):
    """Where they took too long some cards had them and others not, and only the first table was seen."""
    late = {"wanted": True}

    def without_figures(route):
        if "tables=1" in route.request.url or not late.pop("wanted", False):
            return route.continue_()
        text = route.fetch().text()
        text = text.replace('id="tables"', 'id="tables" data-url="/-/nanogpt?tables=1"')
        return route.fulfill(body=text.replace(" rows, ", " "), content_type="text/html")

    page.route("**/-/nanogpt*", without_figures)
    page.goto(site.url + "/-/nanogpt")
    top = page.locator("#another > summary").bounding_box()
    page.locator("#another > summary").click()
    page.locator("#tables:not([data-url])").wait_for()
    sizes = page.locator("#trainable article .hint:first-of-type").all_inner_texts()
    assert sizes and all(" row" in size for size in sizes)
    assert page.locator("#another > summary").bounding_box() == top  # the button stays where it is


def test_a_piece_that_goes_on_with_a_word_has_dots_before_it(page, site):
    """“ting” after "Set" looked like a word."""
    page.goto(site.url + "/-/nanogpt/models/nanogpt-demo")
    show = """async ([begins, text, tokens]) => {
      const at = document.querySelector("script[src*='play.js']").src.replace(/play[.]js.*/, "surprise.js");
      const { colouredSpans } = await import(at), article = document.createElement("article");
      article.innerHTML = '<div class="text"></div>';
      article.firstChild.append(...colouredSpans({ begins, text, tokens }));
      document.getElementById("texts").replaceChildren(article);
      [...article.querySelectorAll(".token")].at(-1).click();
      return document.getElementById("likely-about").textContent;
    }"""
    likely = [["ting", 0.2], [" up", 0.1], ["-", 0.05]]
    told = page.evaluate(show, ["", "Setter", [[3, 1, []], [6, 3, likely]]])
    assert "“…ter”: 13% likely" in told and "“…ting”" in told and "“up”" in told and "“-”" in told
    assert "“…ter”" in page.evaluate(show, ["Set", "ter", [[3, 3, likely]]])  # what was given counts, too
    assert "“ter”" in page.evaluate(show, ["", "ter", [[3, 3, likely]]])
    assert "“的”" in page.evaluate(show, ["我", "的", [[1, 3, [["是", 0.2]]]]])  # no blanks between words


def test_surprise_is_told_without_colours_too(browser, site):
    """The bars were gone, and the legend spoke of colours that were not there."""
    page = open_page(browser, site, forced_colors="active")
    page.goto(site.url + "/-/nanogpt/models/nanogpt-demo?max_tokens=30&seed=5&prompt=Row")
    write_a_text(page)
    page.get_by_label("Surprise").check()
    legend = page.locator("#view .hint:visible").first.inner_text()
    assert "The thicker the line below it, the less" in legend and "colour" not in legend
    lines = (
        "[...document.querySelectorAll('#view .scale span')].map(part => getComputedStyle(part).borderBottom)"
    )
    weights = [float(line.partition("px")[0]) for line in page.evaluate(lines)]
    assert weights == [0, 1, 2, 3, 5, 7]
    page.locator(".token").nth(2).hover()
    assert page.locator("#likely i").first.evaluate("bar => getComputedStyle(bar).borderBottomWidth") == "4px"
    close_page(page)
