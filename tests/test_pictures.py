"""The pictures in docs/ of a real run and of what comes after it, and the animation in the README.

    NANOGPT_SCREENSHOTS=docs python -m pytest -m browser -k "pictures or whole_way"

takes all pictures anew. Without that setting nothing here runs.
"""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import test_browser
from test_browser import (
    PATIENCE,
    SHOTS,
    Server,
    browser,  # noqa: F401
    insert_a_copy,
    open_page,
    shot,
    write_again,
)

from datasette_nanogpt.data.demo import build_demo_db
from datasette_nanogpt.registry.runs import OVER, find_run

pytestmark = [*test_browser.pytestmark, pytest.mark.skipif(not SHOTS, reason="takes minutes")]
MINUTES = os.environ.get("NANOGPT_PICTURE_MINUTES", "2")
SIZE = {"width": 1000, "height": 820}
PHONE = {"width": 390, "height": 844}
FRAMES, FRAME_MS, END_MS = 60, 150, 4000  # of the animation at most; the last frame stays longer
ANIMATION_WIDTH, ANIMATION_BYTES = 800, 2_000_000


def looks(page, name):
    """A page as it is, on a phone, and in the dark."""
    shot(page, name)
    page.emulate_media(color_scheme="dark")
    shot(page, f"{name}-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(300)
    shot(page, f"{name}-phone")
    page.set_viewport_size(SIZE)
    page.wait_for_timeout(300)


def save_animation(frames, file):
    from PIL import Image

    every = max(1, -(-len(frames) // FRAMES))
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in [*frames[::every], frames[-1]]]
    height = round(SIZE["height"] * ANIMATION_WIDTH / SIZE["width"])
    images = [image.resize((ANIMATION_WIDTH, height), Image.Resampling.LANCZOS) for image in images]
    times = [FRAME_MS] * (len(images) - 1) + [END_MS]
    images[0].save(
        file, save_all=True, append_images=images[1:], duration=times, loop=0, quality=60, method=4
    )
    assert file.stat().st_size < ANIMATION_BYTES


def test_pictures_of_a_run(browser, tmp_path, home):  # noqa: F811
    database = tmp_path / "demo.db"
    build_demo_db(database)
    server = Server(database, home)
    command = [Path(sys.executable).with_name("datasette"), "nanogpt-train", database, "python_docs"]
    env = {**os.environ, "NANOGPT_HOME": str(home)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    training = subprocess.Popen([*command, "--minutes", MINUTES], env=env, **quiet)
    page, frames, pictured = open_page(browser, server, viewport=SIZE), [], False
    try:
        end = time.monotonic() + 6 * PATIENCE / 1000
        while not find_run(home, 1):
            assert time.monotonic() < end and training.poll() is None
            time.sleep(0.2)
        page.goto(f"{server.url}/-/nanogpt/runs/1")
        while (run := find_run(home, 1))["status"] not in OVER:
            frames.append(page.screenshot())
            page.wait_for_timeout(1000)
            if not pictured and (run["progress"] or 0) > 0.6 and run["val_bpb"]:
                pictured = True
                looks(page, "run")
        page.get_by_role("link", name="Write with nanogpt-demo").wait_for()
        page.wait_for_timeout(1000)
        frames.append(page.screenshot())
        looks(page, "run-done")
        save_animation(frames, Path(SHOTS) / "run.webp")
        page.get_by_role("link", name="Write with nanogpt-demo").click()
        page.locator("#prompts .chip").first.click()
        page.get_by_role("button", name="Write", exact=True).click()
        page.get_by_text("Done.").wait_for(timeout=PATIENCE)
        page.set_viewport_size(PHONE)
        shot(page, "playground-phone")
        page.set_viewport_size(SIZE)
        page.get_by_label("Surprise").check()
        page.locator("#view").evaluate("view => view.scrollIntoView()")
        page.locator(".token:is(.s2, .s3, .s4, .s5)").nth(1).hover()  # a text may have few of the brightest
        page.locator("#likely").wait_for()
        shot(page, "surprise")
        page.goto(f"{server.url}/-/nanogpt/models/nanogpt-demo?prompt=Return+a&seed=3")
        page.get_by_label("Copied").check()
        page.get_by_role("button", name="Clear all").click()
        write_again(page)
        text = page.locator("#texts .text").inner_text()
        insert_a_copy(database, text.removeprefix("Return a").split())
        write_again(page)
        page.locator("a.copied").first.wait_for()
        shot(page, "playground")
        page.goto(f"{server.url}/-/nanogpt")
        page.emulate_media(color_scheme="dark")
        shot(page, "index-dark")
    finally:
        training.terminate()
        training.wait(60)
        server.stop()
    page.context.close()
