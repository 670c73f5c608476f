"""The page of a run in a browser, in each of its states: its chart, what it is like to read and to reach, and
that it goes on when a server comes back. Nothing trains here: the runs were written by hand."""

import io
import json
import math
import random
import re
import time

import pytest
import test_browser
from browser_checks import apply_policy, refused, violations
from conftest import write_model
from test_browser import WIDER, Server, browser, close_page, make_database, open_page, page, write_run  # noqa: F401

from datasette_nanogpt.events import LastPart, Part
from datasette_nanogpt.registry.db import registry, run_log_file
from datasette_nanogpt.registry.restart import forget_steps
from datasette_nanogpt.registry.runs import MEMORY
from datasette_nanogpt.registry.statements import insert

pytestmark = test_browser.pytestmark
PLAN = {
    "config": {
        "arch": "qwen3",
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 128,
        "block_size": 1024,
        "vocab_size": 4096,
    },
    "source": {"rows": 4049},
    "corpus": {
        "sha256": "a",
        "val_documents": 405,
        "bytes": 2_010_000,
        "train_tokens": 500_000,
        "val_tokens": 45_297,
    },
    "settings": {"device": "cpu", "learning_rate": 0.003, "batch_size": 4, "seed": 0},
    "device_reason": "no GPU found",
    "gzip_bpb": 2.62,
    "letters": 1.0,
}
PARTS = [[Part.LOOKING, 4049, 4049, "rows"], [Part.READING, 1742, 4049, "rows"]]
VERDICT = {
    "reads like": "sentences that mean little",
    "score": "1.67 bits per byte, give or take 0.06, of 405 held-out documents; gzip needs 2.62",
    "limited by": "the minutes: it has read the text 0.6 times",
}
SAMPLE = "Return the internal class of the operand, or None where there is no such name.\n\nChanged in 3.8."
ENDING = [[Part.BUILDING, 0, 0, ""], [LastPart.SCORING, 0, 0, ""]]
STATES = ("queued", "preparing", "begun", "running", "stages", "ending", "done", "failed", "killed")
STATES += ("interrupted",)
# The colour and the dashes of a line of the chart, and of what stands for it in the legend.
STROKES = """(kind) => {
  const line = getComputedStyle(document.querySelector(`#chart polyline.${kind}`));
  const key = getComputedStyle(document.querySelector(`.key.${kind}`), '::before');
  return {
    line: line.stroke, key: key.borderTopColor, text: getComputedStyle(document.body).color,
    dashed: line.strokeDasharray !== 'none', keyDashed: key.borderTopStyle === 'dashed',
  };
}"""


ARROW = """() => {  // the last triangle of the chart, which no line covers near its base
  const node = [...document.querySelectorAll('#chart .arrow')].at(-1);
  const { e, f } = node.transform.baseVal.consolidate().matrix;
  return { x: e, y: f, colour: getComputedStyle(node).fill.match(/\\d+/g).map(Number) };
}"""


def write_curve(home, run, first, last, end, models=1):
    """Figures as a run has them: noise around a line that falls, and a score every 24 steps."""
    noise = random.Random(run)
    with registry(home) as db:
        for step in range(first, last, 2):
            generation, x = divmod(step * models / last, 1)
            bpb = end + (6.2 - end) * math.exp(-14 * x) + 0.5 * math.exp(-3 * x)
            figures = {"run": run, "step": step, "seconds": step / 1.6, "model": int(generation) + 1}
            insert(db, "metrics", figures | {"train_bpb": bpb + noise.gauss(0, 0.12)})
            if step % 24 == 22:
                insert(db, "metrics", figures | {"val_bpb": bpb + 0.05})
                insert(db, "samples", {"run": run, "step": step, "val_bpb": bpb + 0.05, "sample": SAMPLE})


@pytest.fixture(scope="module")
def site(tmp_path_factory, bpe):
    folder = tmp_path_factory.mktemp("runs")
    home, database = folder / "models", make_database(folder / "demo.db")
    tables = [{"table": "python_docs", "title": "title", "body": ["body"]}]
    source = {"database": str(database), "table": "python_docs", "rows": 4049, "tables": tables}
    for name, bpb, updated in (("best", 1.381, "2026"), ("nanogpt-done", 1.67, "2999")):
        meta = {
            "source": source,
            "corpus": PLAN["corpus"],
            "score": {"val_bpb": bpb},
            "training": {"updated": updated},
        }
        write_model(home / name, bpe, meta=meta)

    def write(state, status, steps=0, end=1.7, models=1, **values):
        values = {"plan": json.dumps(PLAN), "val_bpb": end + 0.1 if steps else None} | values
        run = write_run(home, database, "python_docs", f"nanogpt-{state}", status, 0, **values)
        write_curve(home, run, 0, steps, end, models)
        with registry(home) as db:
            db.execute("update runs set step = ? where id = ?", [steps or None, run])
        return run

    live = {"eta": 80.0, "tokens_per_second": 9123.0, "memory": 6e8}
    error = "The name is taken by a folder that does not load: choose another with --name"
    runs = {
        "earlier": write("done", "finished", 200, 1.9),
        "other": write("other", "finished", 260, 1.8),
        "queued": write("queued", "queued", val_bpb=None, plan=None, progress=None),
        "preparing": write("preparing", "preparing", preparing=json.dumps(PARTS), plan=None, progress=None),
        "begun": write("begun", "running", 12, 3.0, **live | {"val_bpb": None}),
        "running": write("running", "running", 260, 1.7, **live),
        "stages": write("stages", "running", 400, 1.6, 3, **live, model="model 3 of 3"),
        "done": write("done", "finished", 300, 1.57, verdict=json.dumps(VERDICT), ended="2999-01-01"),
        "ending": write(
            "ending", "running", 300, 1.7, **live, preparing=json.dumps(ENDING), note="scoring, 40%"
        ),
        "failed": write("failed", "failed", error=error),
        "killed": write("killed", "interrupted", cause=MEMORY, error="The computer ended this run."),
        "interrupted": write(
            "interrupted", "interrupted", 90, 1.9, error="The server stopped during this run."
        ),
    }
    log = run_log_file(home, runs["failed"])
    log.parent.mkdir(exist_ok=True)
    log.write_text("2026-11-27 18:00:00,123 ERROR Failed\n")
    server = Server(database, home)
    server.home, server.runs, server.database = home, runs, database
    yield server
    server.stop()


def show(page, site, state):
    page.goto(f"{site.url}/-/nanogpt/runs/{site.runs[state]}")
    if state in ("begun", "running", "stages", "ending", "done", "interrupted"):
        page.locator("#chart polyline").first.wait_for(state="attached")  # few figures are not smoothed


def top_of(page):
    """The greatest label of the upward axis."""
    labels = page.locator("#chart svg > text[text-anchor=end]").all_text_contents()
    return max(float(label) for label in labels if re.fullmatch(r"[\d.]+", label))


# ---- Each state


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_no_state_bars_anybody_or_breaks_a_strict_policy(browser, site, look):
    looks = {
        "light": {},
        "dark": {"color_scheme": "dark"},
        "phone": {"viewport": {"width": 390, "height": 800}},
    }
    page = open_page(browser, site, **looks[look])
    apply_policy(page)
    for state in STATES:
        show(page, site, state)
        page.evaluate("document.querySelectorAll('section.content details').forEach((d) => d.open = true)")
        assert violations(page) == [], state
        assert refused(page) == [], state
        assert page.evaluate(WIDER) == [], state
    close_page(page)


def test_text_twice_as_big_and_forced_colours(browser, site):
    page = open_page(browser, site, viewport={"width": 640, "height": 500}, device_scale_factor=2)
    show(page, site, "stages")
    assert page.evaluate(WIDER) == []
    page.emulate_media(forced_colors="active")
    strokes = {kind: page.evaluate(STROKES, kind) for kind in ("val", "smooth", "train")}
    for kind, stroke in strokes.items():  # one colour, and the legend is drawn as the lines are
        assert stroke["line"] == stroke["key"] == stroke["text"], (kind, stroke)
        assert stroke["dashed"] == stroke["keyDashed"] == (kind == "smooth"), (kind, stroke)
    grid = page.locator("#chart .grid").first.evaluate("(line) => getComputedStyle(line).stroke")
    assert grid == strokes["val"]["text"]  # GrayText is red in some themes
    close_page(page)


def test_on_a_phone_the_levels_say_where_it_is_and_what_comes_next(browser, site):
    page = open_page(browser, site, viewport={"width": 390, "height": 800})
    spans = "[...document.querySelectorAll('#levels span')].filter((e) => e.offsetWidth > 1)"
    seen = f"{spans}.map((e) => [e.offsetTop, e.textContent])"
    show(page, site, "begun")
    assert [text for _, text in page.evaluate(seen)] == ["pieces of words"]
    show(page, site, "running")
    (now, reached), (following, comes) = page.evaluate(seen)
    assert reached == "sentences that mean little" and comes == "sentences in the style of the rows"
    assert following > now + 12  # a line below
    close_page(page)


def test_the_chart_keeps_its_size_with_its_first_score(page, site):
    show(page, site, "begun")
    height = page.locator("#chart").bounding_box()["height"]
    with registry(site.home) as db:
        insert(db, "metrics", {"run": site.runs["begun"], "step": 12, "seconds": 8, "val_bpb": 3.5})
    page.locator("#chart polyline.val").wait_for(state="attached")
    assert page.locator("#chart").bounding_box()["height"] == height > 250
    key = "getComputedStyle(document.querySelector('#keys .{}'), '::before').borderRadius"
    assert page.evaluate(key.format("val")) == "50%"  # a dot, as in the chart
    assert page.evaluate(key.format("smooth")) == "0px"


def test_stop_asks_whether_with_a_last_score(page, site):
    for button, level in (("Stop with a last score", 1), ("Stop now", 2)):
        run = write_run(site.home, site.database, "python_docs", "nanogpt-stop", "running", 40, eta=99.0)
        page.goto(f"{site.url}/-/nanogpt/runs/{run}")
        page.locator(".stop > summary").click()
        page.wait_for_timeout(1500)  # the page asks each second for what is new: what was opened stays so
        page.get_by_role("button", name=button).click()
        page.get_by_text(re.compile("^stopping", re.I)).wait_for()
        with registry(site.home) as db:
            assert db.execute("select stop_requested from runs where id = ?", [run]).fetchone()[0] == level
            db.execute("update runs set status = 'stopped' where id = ?", [run])


def test_the_end_of_a_run_has_nothing_to_stop(page, site):
    show(page, site, "ending")
    assert page.locator("#parts .now").text_content() == "Score it for the last time 40%"
    assert page.locator("#parts .done").text_content() == "Train 300 steps"
    assert page.get_by_role("button", name="Stop").count() == 0
    run = write_run(site.home, site.database, "python_docs", "nanogpt-last", "running", 40, eta=0.4)
    page.goto(f"{site.url}/-/nanogpt/runs/{run}")
    page.locator(".stop > summary").wait_for()
    with registry(site.home) as db:
        db.execute("update runs set preparing = ? where id = ?", [json.dumps(ENDING), run])
    page.locator("#parts .now", has_text="Score it for the last time").wait_for()
    page.locator(".stop").wait_for(state="detached")
    with registry(site.home) as db:
        judging = json.dumps([*ENDING, [LastPart.JUDGING, 0, 0, ""]])
        told = [judging, "writing 20 texts", run]
        db.execute("update runs set preparing = ?, note = ? where id = ?", told)
    page.locator("#parts .now", has_text="Find out what it can do writing 20 texts").wait_for()
    with registry(site.home) as db:
        db.execute("update runs set status = 'finished' where id = ?", [run])
    page.locator("#parts").wait_for(state="detached")


def test_the_first_minute_says_what_it_is_at(page, site):
    show(page, site, "preparing")
    assert page.locator("#parts .done").last.text_content() == "Look through the rows 4,049 rows"
    assert page.locator("#parts .now").inner_text().endswith("1,742 of 4,049 rows")
    before = page.locator("#progress").evaluate("(e) => e.value")
    assert "first score comes a few seconds after" in page.locator("#chart").inner_text()
    run, parts = site.runs["preparing"], [*PARTS, [Part.VOCABULARY, 0, 0, ""]]
    parts[1] = [Part.READING, 4049, 4049, "rows"]
    with registry(site.home) as db:
        db.execute("update runs set preparing = ? where id = ?", [json.dumps(parts), run])
    page.locator("#parts .now", has_text="Make a vocabulary").wait_for()
    assert page.locator("#progress").evaluate("(e) => e.value") > before
    write_curve(site.home, run, 0, 20, 2.0)  # and then it runs
    with registry(site.home) as db:
        db.execute("update runs set status = 'running', step = 18, eta = 60 where id = ?", [run])
    page.locator("#chart polyline.train").wait_for(state="attached")  # few figures are not smoothed
    page.locator("#parts").wait_for(state="detached")
    with registry(site.home) as db:
        insert(db, "metrics", {"run": run, "step": 20, "seconds": 12, "val_bpb": 3.5})
        insert(db, "samples", {"run": run, "step": 20, "val_bpb": 3.5, "sample": "Its first words."})
        db.execute("update runs set val_bpb = 3.5 where id = ?", [run])
    page.locator("#number", has_text="3.500").wait_for()
    assert page.locator("#newest").inner_text().split("\n")[-1] == "Its first words."
    assert page.locator("#left").inner_text() == "about 1 minute left"


def test_a_run_that_is_done_leads_to_its_model_and_one_that_failed_back_to_the_form(page, site):
    show(page, site, "done")
    write = page.get_by_role("link", name="Write with nanogpt-done")
    sizes = [e.bounding_box()["height"] for e in (write, page.get_by_text("Delete this run"))]
    assert sizes[0] > 1.5 * sizes[1]
    assert page.locator("#levels .now").inner_text() == "sentences that mean little"
    assert "sentences that" not in page.locator("#verdict").inner_text()
    show(page, site, "failed")
    assert "choose another with “Model name”" in page.locator("#lead").inner_text()
    assert page.locator("#log-end pre").inner_text() == "18:00:00 ERROR Failed"
    assert not page.locator("#figures").is_visible()
    page.get_by_role("link", name="Start again with these settings").click()
    page.wait_for_url(f"**/python_docs/-/nanogpt?_again={site.runs['failed']}")
    show(page, site, "killed")
    page.get_by_role("link", name="Start again with a smaller model").click()
    page.wait_for_url("**/python_docs/-/nanogpt?_again=*&_smaller=1")
    assert page.get_by_label("Size").input_value() == "xs"


def test_somebody_who_is_logged_out_is_told(browser, site):
    page = open_page(browser, site)
    show(page, site, "running")
    page.route("**/runs/*.json*", lambda route: route.fulfill(status=404, body="{}"))
    page.context.clear_cookies()
    page.get_by_text("You are no longer logged in").wait_for()
    assert page.locator("#connection").get_attribute("role") == "alert"
    close_page(page)


def test_steps_that_are_made_again_are_drawn_once(page, site):
    """As after a server was lost: the run goes on from an earlier step, on the page that is open."""
    run = write_run(site.home, site.database, "python_docs", "nanogpt-again", "running", 40)
    page.goto(f"{site.url}/-/nanogpt/runs/{run}")
    with registry(site.home) as db:
        db.execute("update runs set status = 'preparing', restarts = 1 where id = ?", [run])
    page.get_by_text("It went on by itself").wait_for()
    with registry(site.home) as db:
        forget_steps(db, run, 20)
        db.execute("update runs set status = 'running' where id = ?", [run])
        insert(db, "metrics", {"run": run, "step": 21, "seconds": 11, "train_bpb": 1.5})
    page.get_by_text("Step 21: training 1.500").wait_for()
    across = [float(p.split(",")[0]) for p in page.locator("polyline.train").get_attribute("points").split()]
    assert across == sorted(across)
    with registry(site.home) as db:
        db.execute("update runs set status = 'finished' where id = ?", [run])


# ---- The chart


def test_the_axis_is_set_by_scores_and_not_by_noise(page, site):
    show(page, site, "running")
    top, rows = top_of(page), {"run": site.runs["running"], "seconds": 163, "step": 261}
    with registry(site.home) as db:
        insert(db, "metrics", rows | {"train_bpb": 60.0})
        insert(db, "metrics", rows | {"step": 262, "train_bpb": 1.7})
    page.get_by_text(re.compile("^Step 262: training")).wait_for()
    page.locator("#smoothing").fill("0.97")
    assert page.locator("#smoothed").text_content() == "0.97"
    assert top_of(page) < 3 * top  # one window's 60 is not shown
    raw = page.locator("polyline.train").get_attribute("points")
    before = page.locator("polyline.smooth").get_attribute("points")
    page.locator("#smoothing").fill("0.5")
    assert page.locator("polyline.smooth").get_attribute("points") != before
    points = page.locator("polyline.train").get_attribute("points").split()
    across = [[point.split(",")[0] for point in line] for line in (points, raw.split())]
    fewest = min(map(len, across))  # a line begins below the top, which the smoothing moves
    assert across[0][-fewest:] == across[1][-fewest:]
    style = "(kind) => parseFloat(getComputedStyle(document.querySelector('polyline.' + kind)).strokeWidth)"
    widths = [page.evaluate(style, kind) for kind in ("train", "smooth")]
    assert widths[1] >= 2 * widths[0]


def test_models_of_a_run_are_apart_and_known_scores_are_dashed(page, site):
    show(page, site, "stages")
    assert page.locator("#chart .rule").count() == 2
    assert page.locator("#chart polyline.smooth").count() == page.locator("#chart polyline.val").count() == 3
    top = page.evaluate("document.querySelector('#plot rect').getBBox().y")
    for kind in ("smooth", "val", "train"):  # no line comes from above the axis, as if it had begun before
        lines = page.locator(f"#chart polyline.{kind}").evaluate_all("(all) => all.map((e) => e.points[0].y)")
        assert len(lines) == 3 and min(lines) >= top
    assert page.locator("#keys .higher").is_visible()
    arrows = page.locator("#chart .arrow title").all_text_contents()  # with what is above
    assert any(
        re.search(r"^model 2: training begins at [\d.]+ bits per byte, above", text) for text in arrows
    )
    labels = page.locator("#chart .label").all_text_contents()
    assert {"model 1", "model 2", "model 3"} < set(labels)
    assert "gzip 2.620" in labels and "best other 1.381" in labels  # whose name is below
    assert "best other (best) 1.381" in page.locator("#known").inner_text()
    dashes = "getComputedStyle(document.querySelector('#chart .known')).strokeDasharray"
    assert page.evaluate(dashes) != "none"


@pytest.mark.parametrize("width", [390, 1200])
def test_no_label_stands_where_a_curve_runs(browser, site, width):
    page = open_page(browser, site, viewport={"width": width, "height": 800})
    show(page, site, "stages")
    labels = page.locator("#chart .label").evaluate_all(
        "(all) => all.map((e) => e.getBBox()).map((b) => [b.x, b.y + b.height])"
    )
    inside = page.evaluate(
        "(({ x, y, width }) => [x + width, y])(document.querySelector('#plot rect').getBBox())"
    )
    assert len(labels) > 3 and all(x >= inside[0] or bottom <= inside[1] + 2 for x, bottom in labels)
    ends = page.locator("#chart .label").evaluate_all(
        "(all) => all.map((e) => e.getBBox().x + e.getBBox().width)"
    )
    assert max(ends) <= page.evaluate("document.querySelector('#chart svg').viewBox.baseVal.width")
    assert top_of(page) <= 4  # the falls of its models leave the top
    close_page(page)


def test_the_chart_is_read_by_pointer_and_keyboard(page, site):
    show(page, site, "running")
    chart, reading = page.locator("#chart"), page.locator("#reading")
    chart.hover(position={"x": 200, "y": 100})
    assert re.match(r"Step \d+: ", reading.inner_text())
    chart.focus()
    page.keyboard.press("Home")
    assert reading.inner_text().startswith("Step 0: training")
    for step in (22, 46):
        page.keyboard.press("PageUp")
        assert reading.inner_text().startswith(f"Step {step}: held-out text")
    page.keyboard.press("ArrowRight")
    assert re.match(r"Step 48: training [\d.]+, smoothed [\d.]+$", reading.inner_text())
    page.keyboard.press("PageDown")
    assert reading.inner_text().startswith("Step 46: held-out text")
    assert chart.get_attribute("aria-valuetext") == reading.inner_text()
    page.get_by_label("against time").check()
    assert reading.inner_text().startswith("29 s: held-out text")
    page.get_by_label("logarithmic").check()
    assert page.locator("#chart polyline.val").count() == 1


def test_other_runs_are_compared(page, site):
    show(page, site, "done")
    page.locator("#chart polyline.other").wait_for(state="attached")  # the last run of this model
    assert f"run {site.runs['earlier']}" in page.locator("#chart .label").all_text_contents()
    page.get_by_text("Compare with other runs on this table").click()
    page.get_by_label(f"nanogpt-other, run {site.runs['other']}").check()
    page.locator("#chart polyline.other-1").wait_for(state="attached")
    page.get_by_label(f"nanogpt-other, run {site.runs['other']}").uncheck()
    page.locator("#chart polyline.other-1").wait_for(state="detached")


def test_a_comparison_with_a_run_under_way_updates_by_itself(page, site):
    run = write_run(site.home, site.database, "python_docs", "new", "running", 0, plan=json.dumps(PLAN))
    try:
        with registry(site.home) as db:
            db.execute("update runs set val_bpb = 2.1 where id = ?", [run])
            figures = {"run": run, "step": 100, "seconds": 60.0, "model": 1}
            insert(db, "metrics", figures | {"val_bpb": 2.1})
        page.clock.install()
        page.goto(f"{site.url}/-/nanogpt/compare?run={site.runs['done']}&run={run}")
        page.get_by_text("This page updates by itself.").wait_for()
        assert page.locator(".finals strong").all_text_contents()[1] == "2.100"
        page.evaluate("document.querySelector('#outcome a').focus()")  # it is not taken away from anybody
        with registry(site.home) as db:
            insert(db, "metrics", figures | {"step": 200, "seconds": 120.0, "val_bpb": 1.234})
            db.execute("update runs set val_bpb = 1.234 where id = ?", [run])
        page.clock.fast_forward(11_000)
        page.locator("#figures", has_text="1.234").wait_for()
        assert page.locator("#outcome", has_text="1.234").count() == 0
        page.evaluate("document.activeElement.blur()")
        with registry(site.home) as db:
            db.execute("update runs set status = 'stopped' where id = ?", [run])
        page.clock.fast_forward(11_000)
        page.locator("#outcome", has_text="1.234").wait_for()
        assert page.locator("#under-way").count() == 0
    finally:
        with registry(site.home) as db:
            db.execute("delete from runs where id = ?", [run])
            db.execute("delete from metrics where run = ?", [run])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chart_is_saved_as_it_looks(browser, site, scheme):
    from PIL import Image

    page = open_page(browser, site, color_scheme=scheme)
    apply_policy(page)
    show(page, site, "stages")
    with page.expect_download() as saving:
        page.get_by_role("button", name="SVG").click()
    assert saving.value.suggested_filename == f"nanogpt-stages-run-{site.runs['stages']}.svg"
    svg = saving.value.path().read_text()
    assert (
        svg.startswith("<svg")
        and "gzip 2.620" in svg
        and 'stroke="rgb(' in svg
        and 'class="cursor' not in svg
    )
    with page.expect_download() as saving:
        page.get_by_role("button", name="PNG").click()
    image = Image.open(io.BytesIO(saving.value.path().read_bytes())).convert("RGB")
    assert image.width == 2 * page.evaluate("document.querySelector('#chart svg').viewBox.baseVal.width")
    arrow = page.evaluate(ARROW)
    assert arrow and 'class="arrow' in svg  # and the triangles, where lines come from above
    assert image.getpixel((round(2 * arrow["x"]), round(2 * arrow["y"]) + 12)) == tuple(arrow["colour"])
    colours = {colour: count for count, colour in image.getcolors(10**6)}
    paper = max(colours, key=colours.get)
    assert (sum(paper) > 600) is (scheme == "light") and len(colours) > 50  # lines, labels and their edges
    assert refused(page) == []
    close_page(page)


def test_the_chart_computes_what_tensorboard_would(page, site):
    """Smoothing is the average that is not drawn towards 0, at the end TensorBoard's; ticks are round."""
    show(page, site, "done")
    result = page.evaluate(
        """async (file) => {
          const m = await import(file), rows = [4, 2, 2].map((bpb, i) => [i, i, i, bpb, null, 1]);
          const fall = [3, 1.6, 6.5, 1.4].map((bpb, i) => [i, i, i, null, bpb, i < 2 ? 0 : 1, 0]);
          return {
            smooth: m.smoothed(rows, 0.5).map(([, value]) => value),
            fall: m.smoothed(Array.from({ length: 40 }, (_, i) => [i, i, i, 8 - i / 10, null, 0, 0]), 0.8)
              .map(([, value]) => value),
            none: m.smoothed(rows, 0).map(([, value]) => value),
            ticks: [[0, 97], [1.83, 2.47], [5, 5], [0, 123456]].map(([low, high]) => m.ticks(low, high)),
            apart: m.apart([50, 52, 5], [13, 13, 13], [0, 60]),
            fell: m.extent({ lines: [fall], smooth: [], known: [2.6] }),
            nothing: m.extent({ lines: [[]], smooth: [], known: [2] }),
            cut: m.smoothedBelow([9, 9, 2, 3, 2].map((bpb, i) => [i, i, i, bpb, null, 1]),
              (each) => m.smoothed(each, 0.5), 4).map(([row, value]) => [row[m.TRAIN], value]),
            begins: m.below([9, 2, 9, 3, 2, 1, 9], (each) => each, 4),
            above: m.firstAbove(fall.slice(2), 4).map((row) => row[m.VALIDATION]),
            few: m.extent({ lines: [rows], smooth: [[rows[2], 2.4]], known: [2.6] }),
            low: m.extent({ lines: [[[3, 9, 9, 1, null, 1]]], smooth: [[[3, 9], 2.5]], known: [3] }),
            names: m.namesOf(m.pieces([1, 2, 1, 3, 0].map((model) => [1, 1, 1, 2, null, model]))),
          };
        }""",
        page.locator("script[src*='run.js']").get_attribute("src").replace("run.js", "chart_math.js"),
    )
    assert result["smooth"] == [4, 2.5, pytest.approx(16 / 7)] and result["none"] == [
        4,
        2,
        2,
    ]
    assert result["fall"][:11] == pytest.approx([8 - i / 10 for i in range(11)])  # not above it
    assert result["ticks"][0] == [0, 20, 40, 60, 80, 100] and result["ticks"][1][0] <= 1.83
    assert all(2 <= len(ticks) <= 8 for ticks in result["ticks"])
    assert result["few"] == [pytest.approx(1.8), pytest.approx(2.8)] and result["low"] == [1, 3]
    assert result["above"] == [6.5]  # the chart says so
    # A line from above begins near the top, 4, not with its first figure, and its rows stay as they are.
    assert [row for row, _ in result["cut"]] == [2, 3, 2] and 2.5 < result["cut"][0][1] < 4
    assert result["begins"] == [3, 2, 1, 9]  # noise that comes back above the top is no beginning
    assert result["apart"] == [34, 47, 5]  # no label covers another, and none is below the plot
    assert result["fell"] == [1.4, 3]  # the first score of the second model, 6.5, leaves the top
    assert result["nothing"] is None
    assert result["names"] == ["model 1", "model 2", "model 3", "the joined model"]


def test_it_asks_once_a_second_and_little(page, site):
    show(page, site, "begun")
    answers, began = [], time.monotonic()
    for _ in range(4):
        with page.expect_response(lambda answer: "after=" in answer.url) as answer:
            pass
        answers.append(answer.value)
    assert time.monotonic() - began > 2.5  # no more than one came at once
    assert max(len(answer.body()) for answer in answers) < 3000


def test_the_texts_open_at_the_newest_one_and_none_is_cut(browser, site):
    """The strip began with half a word, and on a phone it was as high as a text out of sight."""
    for width, shown in ((1200, 3), (800, 2), (390, 1)):
        page = open_page(browser, site, viewport={"width": width, "height": 800})
        show(page, site, "running")
        box = page.locator("#samples")
        steps = box.locator("article").evaluate_all("(all) => all.map((e) => e.dataset.step)")
        place = f"step {steps[-1]}" if shown == 1 else f"steps {steps[-shown]} to {steps[-1]}"
        assert page.locator("#shown").inner_text() == f"{place} of {steps[-1]}"
        assert page.locator("#later").is_disabled()
        edges = box.evaluate(
            "(e) => [...e.children].map((a) => a.offsetLeft - e.scrollLeft).map((x, i) => "
            "[x, x + e.children[i].offsetWidth]).filter(([from, to]) => to > 1 && from < e.clientWidth - 1)"
        )
        assert len(edges) == shown and edges[0][0] > -2
        assert abs(edges[-1][1] - box.evaluate("(e) => e.clientWidth")) < 2
        page.locator("#earlier").click()
        page.locator("#shown", has_text=re.compile(f"(^step|to) {steps[-2]} of")).wait_for()
        assert page.locator("#later").is_enabled()
        tall = "(e) => { e.children[0].lastChild.textContent = 'Long. '.repeat(900); return e.offsetHeight; }"
        assert box.evaluate(tall) < 400  # the first text is out of sight
        close_page(page)
