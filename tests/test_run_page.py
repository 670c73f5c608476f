"""The page of a run: its states, the data of its chart, and a run that continues after its server was
lost."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlite_utils
from conftest import TEXTS, serve, tiny_config, write_model

from datasette_nanogpt.events import LastPart, Part, Position, TrainState
from datasette_nanogpt.formatting import time_left
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry, run_log_file
from datasette_nanogpt.registry.metrics import metrics_after
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.restart import restart_interrupted
from datasette_nanogpt.registry.runs import DIVERGED, MEMORY, NAME, delete_run, find_run, mark_dead_runs
from datasette_nanogpt.registry.statements import insert
from datasette_nanogpt.training import memory
from datasette_nanogpt.training.busy_machine import slower_than
from datasette_nanogpt.training.enough_text import too_little_text
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.plan import plan_text
from datasette_nanogpt.training.sizes import make_config
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.training.train_state import write_state
from datasette_nanogpt.training.verdict import WITH_FAULTS
from datasette_nanogpt.web import smaller
from datasette_nanogpt.web.chart import sparkline
from datasette_nanogpt.web.comparison import both
from datasette_nanogpt.web.disk_full import free_space
from datasette_nanogpt.web.estimate import _automatic
from datasette_nanogpt.web.first_score import when_first
from datasette_nanogpt.web.run_offers import made_by
from datasette_nanogpt.web.run_phases import why_slow
from datasette_nanogpt.web.run_states import in_words_of_the_form, slower_notice
from llm_nanogpt.change_steps import replaced
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import InvalidOptions
from llm_nanogpt.locks import lock

ROOT = {"id": "root"}
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}


@pytest.fixture
def database(tmp_path):
    rows = [{"id": i, "title": f"<b>T{i}</b>", "body": text} for i, text in enumerate(TEXTS)]
    sqlite_utils.Database(tmp_path / "blog.db")["entry"].insert_all(rows, pk="id")
    return tmp_path / "blog.db"


def train(database, **changes):
    options = TINY | {"max_iters": 8, "eval_interval": 4, "device": "cpu"} | changes
    return list(train_table(TrainOptions(str(database), "entry", **options)))


def test_the_work_before_training_is_told_part_by_part(home, database):
    """What the page of a run ticks off: each part in its order, and at the end what it came to."""
    train(database)
    parts = json.loads(find_run(home, 1)["preparing"])
    names = [part[0] for part in parts]
    assert names == [part for part in (*Part, *LastPart) if part in names]
    assert {*names} >= {*Part, LastPart.JUDGING} - {Part.DEDUPLICATING}
    counts = {part[0]: part[1] for part in parts}
    plan = json.loads(find_run(home, 1)["plan"])
    assert counts[Part.READING] == plan["corpus"]["documents"]
    assert counts[Part.VOCABULARY] == plan["config"]["vocab_size"]
    train(database)  # from the cache
    assert {part[0]: part[1] for part in json.loads(find_run(home, 2)["preparing"])} == counts
    assert 0 < plan["gzip_bpb"] < 8
    with registry(home) as db:
        assert {row[0] for row in db.execute("select model from metrics")} == {1}


# ---- After a server was lost


@pytest.fixture
def interrupted(home, database):
    """A run that a server began, which got to step 9 in 2 of 10 minutes and had last saved its state at step
    5."""
    settings = {
        "database": str(database),
        "table": "entry",
        "name": "x",
        "minutes": 10,
        "size": "xs",
        "force": True,
    }
    run = queue.enqueue(home, str(database), settings, {"id": "ann"}, 10)
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=5, seconds=120.0)))
    with registry(home) as db:
        db.execute("update runs set status = 'running', step = 9, val_bpb = 2.0, process = 'x'")
        for step in range(1, 10):
            db.execute("insert into metrics (run, step) values (?, ?)", [run, step])
    queue.interrupt(home, run)
    return run


def dead_process():
    gone = subprocess.Popen(["sleep", "60"])
    process = process_id(gone.pid)
    gone.kill()
    gone.wait()
    return process


def test_a_run_that_lost_its_server_goes_on_from_its_last_state(home, interrupted):
    assert find_run(home, interrupted)["goes_on"] == 1
    assert restart_interrupted(home, 3) == [interrupted] and restart_interrupted(home, 3) == []
    run = find_run(home, interrupted)
    settings = json.loads(run["settings"])
    assert (run["status"], run["error"], run["restarts"]) == ("queued", None, 1)
    assert settings["resume"] and settings["size"] == "xs" and "force" not in settings
    with registry(home) as db:
        assert [row[1] for row in metrics_after(db, interrupted)] == [1, 2, 3, 4, 5]
        # A page that has seen the last figure gets the next one.
        assert insert(db, "metrics", {"run": interrupted, "step": 6}) > 9


def test_it_goes_on_by_itself_only_so_often(home, interrupted):
    for _ in range(2):
        assert restart_interrupted(home, 2) == [interrupted]
        with registry(home) as db:
            db.execute("update runs set status = 'running'")
        queue.interrupt(home, interrupted)
    assert restart_interrupted(home, 2) == []
    run = find_run(home, interrupted)
    assert (run["status"], run["goes_on"]) == ("interrupted", None) and "max_restarts" in run["error"]


def test_without_a_saved_state_it_starts_anew(home, interrupted):
    shutil.rmtree(home / "x")
    assert restart_interrupted(home, 3) == [interrupted]
    run = find_run(home, interrupted)
    assert "resume" not in json.loads(run["settings"]) and run["val_bpb"] is None
    with registry(home) as db:
        assert not metrics_after(db, interrupted)


@pytest.mark.parametrize(
    "why", ["a person stopped it", "another run of it", "its minutes are over", "a terminal"]
)
def test_what_does_not_go_on_by_itself(home, interrupted, database, why):
    if why == "a person stopped it":
        queue.ask_to_stop(home, interrupted, 1)
    elif why == "another run of it":
        settings = {"database": str(database), "table": "entry", "name": "x", "resume": True}
        again = queue.enqueue(home, str(database), settings, None, 10)
        with registry(home) as db:
            db.execute("update runs set val_bpb = 1.9 where id = ?", [again])
    elif why == "its minutes are over":
        write_state(home / "x", TrainState({}, Position(step=9, seconds=600.0)))
    else:
        with registry(home) as db:
            db.execute(
                "update runs set status = 'running', goes_on = null, actor = null, process = ?",
                [dead_process()],
            )
        mark_dead_runs(home)
    assert restart_interrupted(home, 3) == []
    run = find_run(home, interrupted)
    assert (run["status"], run["goes_on"]) == ("interrupted", None)


def test_a_run_that_lost_its_server_after_its_last_step_is_finished(home, interrupted, make_model):
    """Its models are still to be joined, and its score to be judged."""
    shutil.rmtree(home / "x")
    settings = {"minutes": 10.0, "run_minutes": 10.0, "batch_size": 2, "device": "cpu"}
    make_model("x", meta={"training": {"status": "running"}, "settings": settings})
    write_state(home / "x", TrainState({}, Position(step=9, seconds=600.0)))
    assert restart_interrupted(home, 3) == [interrupted]


def test_a_machine_that_went_down_is_a_lost_server(home, interrupted):
    with registry(home) as db:
        db.execute("update runs set status = 'running', goes_on = null, process = ?", [dead_process()])
    mark_dead_runs(home)
    assert restart_interrupted(home, 3) == [interrupted]


# ---- The page


@pytest.fixture
async def datasette(database, home):
    datasette = await serve(database)
    yield datasette
    datasette.close()


@pytest.fixture
def write_run(home, database):
    """write_run(status="failed", ...) records a run of the table by hand; its id."""

    def write(scores=(), settings=None, **values):
        settings = {"database": str(database), "table": "entry", "name": "x"} | (settings or {})
        with registry(home, create=True) as db:
            row = {"kind": "train", "name": "x", "database": str(database), "table": "entry"}
            row |= {"settings": json.dumps(settings), "started": "2026-01-01", "actor": "null"}
            row |= {"val_bpb": min(scores, default=None), "step": len(scores) or None} | values
            run = insert(db, "runs", row)
            for step, bpb in enumerate(scores, 1):
                insert(db, "metrics", {"run": run, "step": step, "seconds": step, "val_bpb": bpb})
        return run

    return write


async def page_of(datasette, run, actor=ROOT):
    text = (await datasette.client.get(f"/-/nanogpt/runs/{run}", actor=actor)).text
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", text[text.index("<h1>") :])).split()), text


async def test_while_it_prepares_parts_are_ticked_off_with_what_they_came_to(datasette, write_run):
    parts = [[Part.LOOKING, 190_000, 200_000, "rows"], [Part.READING, 86_017, 200_000, "rows"]]
    run = write_run(status="preparing", preparing=json.dumps(parts), process=process_id())
    words, text = await page_of(datasette, run)
    copies = write_run(status="preparing", preparing=json.dumps([*parts, [Part.DEDUPLICATING, 164, 0, "x"]]))
    assert "Find copies and near-duplicates 164 found Make" in (await page_of(datasette, copies))[0]
    assert "Look through the rows 200,000 rows" in words and "Read the text 86,017 of 200,000 rows" in words
    assert re.findall(r'<li class="(\w+)"', text) == ["done", "done", "now"] + ["next"] * 5
    assert "The first score comes a few seconds after training begins" in words
    told = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json", actor=ROOT)).json()["run"]
    assert told["phase"] == "preparing" and 0.2 < told["bar"] < 0.3
    resumed = write_run(status="preparing", settings={"resume": True, "name": "y"}, process=process_id())
    assert "Read the text" not in (await page_of(datasette, resumed))[0]


async def test_before_the_first_part_of_the_work_something_is_said(datasette, write_run, home):
    """On a busy machine it took 36 s until the first part had begun, while the page said nothing."""
    started = (datetime.now(UTC) - timedelta(seconds=36)).isoformat()
    values = {"started": started, "note": "starting", "process": process_id()}
    run = write_run(status="preparing", settings={"minutes": 3.0}, **values)
    words, text = await page_of(datasette, run)
    assert re.findall(r'<li class="(\w+)"', text) == ["now"] + ["next"] * 7
    assert re.search("3[67]s so far: other programs go first", words)
    assert 'value="Stop"' in text and 'value="Stop now"' not in text  # nothing could be kept
    told = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json", actor=ROOT)).json()["run"]
    assert told["bar"] is None  # a bar that moves without saying how far
    reading = "so far, about 1 minute left until it trains. then at most 3 minutes of training"
    for part, says in ((Part.MEASURING, "so far: other programs"), (Part.READING, reading)):
        with registry(home) as db:
            parts = json.dumps([[part, 5, 9, "rows"]])
            db.execute("update runs set preparing = ? where id = ?", [parts, run])
        assert says in (await page_of(datasette, run))[0]


async def test_between_the_preparation_and_the_first_reported_step_something_is_said(datasette, write_run):
    """The line below the bar was empty in this minute, and the bar too."""
    started = (datetime.now(UTC) - timedelta(seconds=24)).isoformat()
    values = {"status": "running", "started": started, "settings": {"minutes": 3.0}}
    run = write_run(**values, process=process_id())
    words, text = await page_of(datasette, run)
    assert "running: first steps" in words and re.search("2[45]s since the start", words)
    assert "about 3 minutes left" in words and "some luck sentences that sound like the rows" in words
    assert re.search(r'<progress id="progress"[^>]* max="1"></progress>', text)  # moves, but says not how far
    assert "You can close this page, the run goes on." in words
    assert "There is no score yet, so stopping keeps nothing." in words and "learned" not in words
    assert text.count("/stop-now") == 1 and '/stop"' not in text  # one button
    assert "since the start" not in (await page_of(datasette, write_run(status="finished")))[0]
    for note, says in (
        ("trying what runs fastest here", "running: trying what runs fastest here"),
        ("scoring on held-out text, 40%", "running: scoring on held-out text"),  # no news each second
        ("Its rate was too high. It goes on with half of it", "running: first steps"),
    ):
        run = write_run(**values, note=note, process=process_id())
        words, text = await page_of(datasette, run)
        assert re.search(r'<p id="status" role="status">(.*?)</p>', text)[1] == says
        assert "8 is knowing nothing" not in text.split('id="keys"')[0]  # there is no number yet
    run = write_run(**values | {"settings": {"resume": True, "minutes": 3.0}}, process=process_id())
    assert "Nothing yet in this run." in (await page_of(datasette, run))[0]


async def test_while_a_run_prepares_its_page_shows_what_scores_read_like(datasette, write_run):
    """Half of the page was empty then."""
    begun = {"status": "preparing", "process": process_id()}
    words, text = await page_of(datasette, write_run(**begun))
    assert "pieces of words the he E py." in words and 'id="examples"' in text
    assert words.index("pieces of words") < words.index("sentences in the style of the rows")
    resumed = await page_of(datasette, write_run(**begun, settings={"resume": True, "minutes": 3.0}))
    assert 'id="examples"' not in resumed[1] and "Nothing yet in this run." in resumed[0]


async def test_a_setting_that_was_given_is_listed_once(datasette, write_run):
    plan = {
        "config": {"arch": "qwen3", "n_layer": 1, "n_head": 1, "n_embd": 8, "block_size": 8, "vocab_size": 9}
    }
    plan |= {"settings": {"device": "cpu", "learning_rate": 0.01, "batch_size": 4, "seed": 7}}
    plan |= {"corpus": {"bytes": 9, "train_tokens": 3, "val_tokens": 3}, "source": {"rows": 3}}
    run = write_run([2.0], status="finished", plan=json.dumps(plan), settings={"seed": 7, "force": True})
    words, text = await page_of(datasette, run)
    assert text.lower().count("<dt>seed</dt>") == text.count("<dt>learning rate</dt>") == 1
    assert "Settings model name x" in words and "force yes" not in words
    gone = "The model of this run is no longer there: its folder was deleted or renamed."
    assert gone in words and words.index(gone) < words.index("2.000 bits per byte")
    assert re.search(r'class="primary" href="[^"]*_again=\d+">Start again with these settings', text)
    assert text.count("Start again with these settings") == 1
    assert "The model of this run is no longer there." in (await page_of(datasette, run, None))[0]


async def test_until_the_first_score_the_number_is_that_of_training(datasette, write_run, home):
    plan = json.dumps({"letters": 1.0, "gzip_bpb": 2.6})
    run = write_run(status="running", plan=plan, process=process_id())
    text = (await page_of(datasette, run))[1]
    assert 'id="number"' not in text
    assert text.split('id="live"')[0].count("The first score comes") == 1  # in place of the chart
    assert 'class="key val" hidden' in text
    levels = re.findall(r'<li class="(\w+)"[^>]*><span>', text)
    assert levels == ["next"] * 5
    assert "The score to beat is the 2.600 bits per byte of gzip" in text
    with registry(home) as db:
        for step in range(1, 21):
            figures = {"run": run, "step": step, "seconds": step, "train_bpb": 8 - step / 4}
            insert(db, "metrics", figures)
    words, text = await page_of(datasette, run)
    number = "3.942 bits per byte on the text that it is reading"  # smoothed as in the chart
    assert f"{number} Lower is better; 8 is knowing nothing. The first score comes soon." in words
    with registry(home) as db:
        db.execute("delete from metrics where run = ? and step > 19", [run])
    assert "3.250 bits per byte on the text" in (await page_of(datasette, run))[0]  # too few to smooth
    assert "gzip gets" not in words  # it is compared with scores
    assert 'class="number aside"' in text  # grey, as it is no score yet
    assert 'class="now" aria-current' not in text  # a level is that of a score
    with registry(home) as db:
        insert(db, "metrics", {"run": run, "step": 21, "seconds": 21, "val_bpb": 3.4})
        db.execute("update runs set val_bpb = 3.4 where id = ?", [run])
    words, text = await page_of(datasette, run)
    assert (
        "3.400 bits per byte Of held-out text, which it never trains on. "
        "Lower is better; 8 is knowing nothing. "
        "Not yet as good as gzip, the file compressor: 2.600." in words
    )
    assert re.search(r'class="now" aria-current="step"><span>words with little order', text)
    assert 'class="number"' in text and 'class="key val">' in text


@pytest.mark.parametrize(
    ("letters", "level"),
    [(1.0, "words with little order"), (0.5, "pieces of words"), (None, None)],
)
async def test_the_level_is_that_of_a_letter_not_of_a_byte(datasette, write_run, letters, level):
    run = write_run([3.0], status="finished", plan=json.dumps({"letters": letters}))
    _, text = await page_of(datasette, run)
    now = re.search(r'class="now" aria-current="step"><span>([^<]*)', text)
    assert now[1].startswith(level) if level else now is None


async def test_a_run_has_one_number_and_what_to_make_of_it(datasette, write_run):
    plan = json.dumps({"gzip_bpb": 2.6})
    run = write_run([4.0, 3.0], status="running", plan=plan, eta=100.0, process=process_id())
    words, _ = await page_of(datasette, run)
    assert "nothing. Down 25% from its first score, 4.000. Not yet as good as gzip" in words
    assert "about 2 minutes left" in words
    run = write_run([4.0, 3.0], status="running", plan=plan, eta=0.0, process=process_id())
    assert "a few seconds left" in (await page_of(datasette, run))[0]
    run = write_run([4.0, 2.0], status="finished", plan=plan)
    words = (await page_of(datasette, run))[0]
    assert "4.000. Better than gzip, the file compressor: 2.600." in words


async def test_each_model_of_a_run_has_its_own_first_score_and_its_own_texts(datasette, write_run, home):
    """The first score was that of the first, small model, while the number was that of the last one."""
    values = {"status": "running", "val_bpb": 1.7, "model": "model 2 of 3", "process": process_id()}
    run = write_run(**values)

    def score(step, bpb, model):
        with registry(home) as db:
            place = {"run": run, "step": step, "val_bpb": bpb}
            insert(db, "metrics", place | {"model": model})
            insert(db, "samples", place | {"sample": f"Text {step}.\n\n"})

    for each in ((10, 2.4, 1), (20, 1.8, 1), (30, 3.9, 2), (40, 1.7, 2)):
        score(*each)
    words, text = await page_of(datasette, run)
    assert "nothing. Best so far, by model 2, down 56% from its first score." in words
    assert "Later ones are taught by earlier ones" in words and "What model 2 wrote at step 40" in words
    assert "Model 1, step 20: 1.800 bits per byte" in words
    assert ">Text 40.</p>" in text and ">Text 20.</p>" in text  # without an empty line at the end
    score(50, 3.0, 3)  # the number is still that of model 2
    answer = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json", actor=ROOT)).json()
    fell = "Best so far, by model 2, down 56% from its first score; model 3 is at 3.000."
    assert answer["run"]["headline"]["fell"] == fell and "last" not in answer
    assert [sample["model"] for sample in answer["samples"]] == [f"model {i}" for i in (1, 1, 2, 2, 3)]
    with registry(home) as db:
        db.execute("update runs set status = 'finished'")
    words, _ = await page_of(datasette, run)
    assert "Later ones are taught" not in words and "Down 56% from the first score of model 2, 3.9" in words
    score(60, 1.6, 0)
    words, _ = await page_of(datasette, run)
    assert "What the joined model wrote at step 60" in words
    one = write_run([4.0, 3.0], status="finished")
    assert "from its first score, 4.000." in (await page_of(datasette, one))[0]


async def test_a_run_that_failed_says_why_and_offers_to_start_again(datasette, home, write_run):
    error = "The name x is taken: choose another with --name, or more than --minutes 3 or --no-such"
    run = write_run(status="failed", error=error, settings={"size": "xs", "minutes": 3.0})
    log = run_log_file(home, run)
    log.parent.mkdir()
    log.write_text("secret\n" * 3000 + "2026-11-28 02:10:46,136 INFO The end of it.\n")
    words, text = await page_of(datasette, run)
    assert '<details id="log-end" open>' in text and "02:10:46 The end of it." in words
    assert "INFO" not in words
    assert text.index("choose another with") < text.index("_again=") < text.index("The end of it.")
    assert "choose another with “Model name”, or more than “Minutes” 3 or --no-such" in words
    assert f'href="/blog/entry/-/nanogpt?_again={run}"' in text and "The end of it." in words
    assert words.count("secret") < 50  # the rest is in the file
    assert 'id="figures" hidden' in text  # nothing to draw
    words, text = await page_of(datasette, run, None)
    assert "The end of it" not in words and "_again" not in text and "taken" not in words
    # A run that only went on has the settings of the one that began.
    more = write_run([2.0], status="stopped", settings={"resume": True, "minutes": 6.0})
    assert f"_again={run}" in (await page_of(datasette, more))[1]
    # What the form has no fields for cannot be filled in.
    query = write_run(status="failed", settings={"sql": "select 1", "table": []}, table="select 1")
    assert "_again" not in (await page_of(datasette, query))[1]


async def test_after_its_last_step_a_run_says_what_it_does_and_has_nothing_to_stop(
    datasette, write_run, home
):
    """The page said "about 0s left" and offered Stop while the run was scored and judged."""
    parts = [[Part.BUILDING, 0, 0, ""], [LastPart.SCORING, 0, 0, ""]]
    values = {"status": "running", "eta": 0.0, "step": 1234, "note": "scoring on held-out text, 40%"}
    values |= {"preparing": json.dumps(parts), "process": process_id(), "model": "model 3 of 3"}
    run = write_run(**values)
    words, text = await page_of(datasette, run)
    assert "finishing: scoring it for the last time" in words
    assert "seconds left" not in words and "about 0s" not in words and "model 3" not in words
    assert re.findall(r'<li class="(\w+)">', text) == ["done", "now", "next"]
    assert "Train 1,234 steps Score it for the last time 40%" in words
    assert (
        "Find out what it can do" in words and 'value="Stop' not in text and "nothing left to stop" in words
    )
    write_run([3.0], status="finished")  # the list of runs is there once it has more than what is at work
    index = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    assert re.search(r"<form hidden [^>]*stop", index) and "finishing: scoring it" in index
    assert re.search(r'<progress [^>]* value="0.4"></progress>', index) and ">finishing<" in index  # not 50%
    with registry(home) as db:
        parts.append([LastPart.JUDGING, 0, 0, ""])
        db.execute("update runs set preparing = ?, note = ?", [json.dumps(parts), LastPart.JUDGING])
    text = (await page_of(datasette, run))[1]
    assert re.findall(r'<li class="(\w+)">', text) == ["done", "done", "now"]
    with registry(home) as db:  # stopped at once: nothing is scored
        parts.pop(1)
        db.execute("update runs set preparing = ?, stop_requested = 2", [json.dumps(parts)])
    words, text = await page_of(datasette, run)
    assert re.findall(r'<li class="(\w+)">', text) == ["done", "now"] and "last time" not in words


def out_of_memory(**settings):
    """The values of a run whose large model needed 1.3 GB by its plan."""
    config = {"arch": "qwen3", "n_layer": 6, "n_head": 8, "n_embd": 512, "block_size": 256}
    plan = {"config": config | {"vocab_size": 4096}, "source": {"rows": 300}, "device_reason": ""}
    plan |= {"settings": {"batch_size": 4, "device": "cpu", "learning_rate": 0.01, "seed": 0}}
    plan |= {"memory": 1_000_000, "corpus": {"bytes": 9000, "train_tokens": 3000, "val_tokens": 300}}
    return {"cause": MEMORY, "plan": json.dumps(plan), "settings": settings, "error": "It ran out."}


async def test_a_run_without_memory_is_started_again_smaller(datasette, write_run, monkeypatch):
    monkeypatch.setattr(smaller, "available_memory", lambda device: 0.9e9)
    monkeypatch.setattr(memory, "process_bytes", lambda: memory.PROCESS_BYTES)
    values = out_of_memory(n_layer=6, batch_size=4, minutes=10.0, title="title")
    run = write_run(status="interrupted", **values)
    words, text = await page_of(datasette, run)
    assert re.search(rf'class="primary" href="(/blog/entry/-/nanogpt\?_again={run}&amp;_smaller=1)"', text)
    assert "Start again with a smaller model Start again with these settings It needed about " in words
    free = (
        r"1\.\d GB; now about 900 MB are free, which is less\. "
        r"Size M, with 4\.5M instead of 20\.8M parameters, needs about \d+ MB\."
    )
    assert re.search(free, words)
    form = (await datasette.client.get(f"/blog/entry/-/nanogpt?_again={run}&_smaller=1", actor=ROOT)).text
    assert re.search(rf"Smaller than run {run}: [\d.]+M parameters.*, about .*B of memory\.", form)
    assert "data-follows" not in form  # its minutes are those of that run
    assert form.index('id="smaller"') < form.index('id="size"') < form.index('name="minutes"')
    assert '<option value="m" selected>M (' in form and re.search('value="10"[^>]* checked', form)
    assert not re.search(r'id="(n_layer|batch_size)"[^>]* value="\d', form)
    other = write_run(status="failed", **(values | {"cause": None}))
    assert "Start again with a smaller" not in (await page_of(datasette, other))[0]
    smallest = write_run(status="failed", cause=MEMORY, settings={"size": "xs"}, error="It ran out.")
    words, _ = await page_of(datasette, smallest)
    assert "Start again with a smaller" not in words and "is the smallest one: end other programs" in words


async def test_a_run_whose_memory_is_free_now_is_started_again_as_it_was(datasette, write_run, monkeypatch):
    monkeypatch.setattr(smaller, "available_memory", lambda device: 23e9)
    run = write_run(status="interrupted", **out_of_memory(minutes=10.0))
    words, text = await page_of(datasette, run)
    assert re.search(
        rf'class="primary" href="/blog/entry/-/nanogpt\?_again={run}">Start again with these', text
    )
    assert re.search(r"It needed about 1\.\d GB; now about 23 GB are free, so it should fit\.", words)
    assert 'class="secondary">Start again with a smaller model' in re.sub(' href="[^"]*"', "", text)
    monkeypatch.setattr(smaller, "available_memory", lambda device: None)  # a GPU's, which is not woken
    words, text = await page_of(datasette, run)
    assert re.search(r"It needed about 1\.\d GB\. Size", words) and "are free" not in words
    assert re.search('class="primary"[^>]*>Start again with a smaller model', text)


def test_the_form_is_not_said_to_replace_the_model_of_another_table(home, database):
    (home / "nanogpt-x").mkdir(parents=True)
    with pytest.raises(InvalidOptions) as ex:
        train(database, name="nanogpt-x")
    said = (
        f"The name nanogpt-x is taken: {home}/nanogpt-x exists and holds no model that can be opened. "
        "Choose another name"
    )
    assert in_words_of_the_form(str(ex.value)) == said


@pytest.mark.parametrize(
    ("given", "label", "field", "helps"),
    [
        ({}, "a smaller rate", "0.0013", "a smaller"),
        ({"learning_rate": 0.5}, "an automatic rate", "", "an automatic"),
    ],
)
async def test_a_run_that_diverged_is_started_again_at_a_lower_rate(
    datasette, write_run, given, label, field, helps
):
    """Not with the same settings, which would most likely fail again; and why stands there in plain words."""
    plan = json.dumps({"settings": {"learning_rate": 0.02}})
    run = write_run(
        status="failed",
        cause=DIVERGED,
        plan=plan,
        settings=given,
        error="The loss is no longer a number at step 1,040, after 3 new attempts: train with less",
    )
    words, text = await page_of(datasette, run)
    assert f"Start again with {label} " in words and "with these settings" not in words
    rate = given.get("learning_rate", 0.02)
    why = f"a learning rate of {rate} was too high."
    broke = f"Training broke down at step 1,040, and again in 3 new attempts: {why}"
    assert f"{broke} Train with {helps} learning rate." in words
    assert "Training broke down" not in (await page_of(datasette, run, None))[0]
    assert ">training broke down</span>" in (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    path = re.search(r'class="primary" href="([^"]+)"', text)[1].replace("&amp;", "&")
    form = (await datasette.client.get(path, actor=ROOT)).text
    assert (re.search(r'id="learning_rate"[^>]* value="([^"]*)"', form) or ["", ""])[1] == field


async def test_a_run_whose_name_is_taken_is_started_again_with_another_one(datasette, home, write_run, bpe):
    (home / "x").mkdir(parents=True)
    values = {"status": "failed", "cause": NAME, "error": "The name x is taken."}
    run = write_run(**values, settings={"minutes": 10.0, "force": True})
    words, text = await page_of(datasette, run)
    again = re.search(r'class="primary" href="([^"]+)">Change the name and start again<', text)[1]
    assert again == f"/blog/entry/-/nanogpt?_again={run}&amp;_name=1"
    assert "Start again with these settings" not in words
    form = (await datasette.client.get(again.replace("&amp;", "&"), actor=ROOT)).text
    name = re.search(r'<input type="text" id="name"[^>]*>', form)[0]
    assert " autofocus" in name and 'value="nanogpt-blog"' in name and "aria-invalid" not in name
    assert re.search('value="10"[^>]* checked', form) and "selected>replace" not in form
    words, text = await page_of(datasette, run, None)
    assert "Change the name" not in words and "a model of" not in words
    source = {"database": find_run(home, run)["database"], "table": "long"}
    (home / "x").rmdir()
    write_model(home / "x", bpe, meta={"source": source})
    words, text = await page_of(datasette, run)
    assert "The name x belongs to a model of long in blog: choose another one. Training did not" in words
    assert '<a href="/-/nanogpt/models/x">x</a> belongs to' in text


@pytest.mark.parametrize(
    ("there", "planned", "given", "size"),
    [
        (1e12, "xl", {}, "m"),  # about half at most, not a little less
        (0.6e9, "xl", {}, "s"),
        (1e12, "s", {"n_layer": 2}, "xs"),
        (1e12, "xs", {}, None),
        (0, "xl", {}, "xs"),  # nothing fits: the smallest is the best try
        (1e12, None, {}, "xs"),
        (1e12, None, {"size": "xs"}, None),
        (1e12, None, {"size": "xs", "batch_size": 64}, "xs"),
    ],
)
def test_which_size_is_smaller(monkeypatch, there, planned, given, size):
    monkeypatch.setattr(smaller, "available_memory", lambda device: there)
    plan = {}
    if planned:
        config = make_config(planned, 4096, {"block_size": 256})
        plan = {"config": asdict(config), "settings": {"batch_size": 4, "device": "cpu"}}
    run = {"plan": json.dumps(plan), "settings": json.dumps(given)}
    monkeypatch.setattr(memory, "process_bytes", lambda: memory.PROCESS_BYTES)
    found = smaller.memory_advice(run)
    assert found.size == size
    assert found.fits == (bool(planned) and there > 1e10)


async def test_a_run_that_was_stopped_is_not_called_finished(datasette, write_run):
    run = write_run([3.0], status="stopped")
    words, _ = await page_of(datasette, run)
    assert "stopped: what it had learned is kept" in words and "finished" not in words
    run = write_run(status="stopped")
    words, text = await page_of(datasette, run)
    assert "stopped: there was nothing to keep yet" in words and "Start again with these settings" in words
    assert "nothing of it is kept" not in words  # which would say it a second time


@pytest.mark.parametrize("status", ["stopped", "failed", "interrupted"])
async def test_a_run_that_ended_without_a_score_has_no_levels(datasette, write_run, status):
    run = write_run(status=status, plan=json.dumps({"letters": 1.0, "gzip_bpb": 2.6}))
    _, text = await page_of(datasette, run)
    assert re.search(r'<ol id="levels"[^>]* hidden></ol>', text) and "it knows nothing" not in text


@pytest.mark.parametrize(
    ("run", "training", "made"),
    [
        ({}, {}, True),
        ({"ended": "2027-01-01T11:20"}, {"updated": "2027-01-01T11:10"}, True),  # the clock was set back
        ({}, {"log": ".logs/run-8.log"}, False),
        ({"val_bpb": None}, {}, False),  # a new registry counts its runs from 1 again
        ({"status": "queued"}, {}, False),
        ({"log": None}, {}, True),  # of an earlier version
        ({"log": None}, {"updated": "2027-01-01T11:10"}, False),
        ({}, {"log": None, "updated": "2027-01-01T14:10"}, False),
    ],
)
def test_a_run_knows_its_model_whatever_the_clock_did(run, training, made):
    usual = {"started": "2027-01-01T12:00", "ended": "2027-01-01T13:00", "status": "finished", "val_bpb": 2.0}
    training = {"updated": "2027-01-01T12:30", "log": ".logs/run-7.log"} | training
    model = SimpleNamespace(meta={"training": training})
    assert made_by(usual | {"log": ".logs/run-7.log"} | run, model) is made


def test_a_start_in_the_future_is_not_slow():
    """As when the clock was set back since."""
    started = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert why_slow({"started": started, "preparing": None}) == ""


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, None),  # not known
        ({"ended": "2026-01-01T00:03:05+00:00"}, "87 steps in 3m 05s, preparation included."),
        ({"ended": "2026-01-01T00:03:05+00:00", "plan": '{"resumed_from": 86}'}, "1 step in 3m 05s"),
        ({"ended": "2026-01-01T00:03:05+00:00", "restarts": 1}, None),
        ({"ended": "2025-12-31"}, None),  # the clock was set back
    ],
)
async def test_a_run_that_is_over_says_how_long_it_took(datasette, write_run, values, says):
    times = {"started": "2026-01-01T00:00:00+00:00", "step": 87}
    run = write_run([2.0], **{"status": "finished"} | times | values)
    words, text = await page_of(datasette, run)
    assert re.search(r'<p id="pace" class="hint"( hidden)?>', text)[1] == (None if says else " hidden")
    assert (says or "") in words


async def test_a_run_that_was_cut_off_is_continued_by_its_first_button(datasette, home, write_run):
    values = {"status": "interrupted", "error": "The server stopped during this run."}
    run = write_run([3.0], settings={"minutes": 10.0}, **values)
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=1, seconds=180.0)))
    _, text = await page_of(datasette, run)
    button = (
        r'name="minutes" min="0.1" step="any" value="7">[^/]+</span> <input [^>]+ value="Continue this run"'
    )
    assert re.search(button, text) and 'class="secondary" href="/blog/entry/-/nanogpt?_again' in text
    assert (
        "The server stopped during this run. It can go on from its last save, step 1. 7 of its 10 minutes"
        in text
    )
    assert "by its last score" not in text and text.count("7 of its 10 minutes are left.") == 1
    assert text.count('id="more-minutes"') == text.count('id="goes-on"') == 1
    assert text.index('id="figures"') < text.index("<h2>Settings") < text.index("Delete this run")
    assert "Continue this run" not in (await page_of(datasette, run, None))[1]
    await datasette.client.post(f"/-/nanogpt/runs/{run}/resume", data={"minutes": "7.0"}, actor=ROOT)
    assert (
        json.loads(find_run(home, run + 1)["settings"]).items() >= {"resume": True, "minutes": 10.0}.items()
    )


LONGER = "datasette nanogpt-train blog.db entry --resume --minutes 6  (twice as long)"
STEPS = "datasette nanogpt-train blog.db entry --resume --max-iters 20  (twice as many steps)"
GOES_ON = "datasette nanogpt-train blog.db entry --resume  (goes on where it stopped)"
BIGGER = "datasette nanogpt-train blog.db entry --minutes 3  (a bigger model)"
MORE_TEXT = "only more text like this would help much"


@pytest.mark.parametrize(
    ("status", "minutes", "advice", "more"),
    [
        ("finished", 3.0, LONGER, 3),
        ("finished", 0.5, LONGER, 1),  # the shortest time of the form
        ("finished", 50.0, LONGER, 50),
        ("finished", 90.0, LONGER, 60),  # the limit of this server
        ("stopped", 10.0, GOES_ON, 7),
        ("finished", None, STEPS, 3),
        ("finished", 3.0, MORE_TEXT, 3),
        ("stopped", 10.0, MORE_TEXT, 7),
    ],
)
async def test_a_run_that_time_limits_is_trained_on_by_a_button(
    datasette, home, write_run, status, minutes, advice, more
):
    verdict = json.dumps({"limited by": "what it says", "next": advice})
    run = write_run([3.0], status=status, settings={"minutes": minutes}, verdict=verdict)
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=1, seconds=180.0)))
    _, text = await page_of(datasette, run)
    fields = re.findall(r'name="minutes"[^>]* value="([\d.]+)"> <span [^>]*>(.*?)</span>', text)
    fields = [number for number, unit in fields if unit == f"more minute{'s' if number != '1' else ''}"]
    assert text.count('value="Keep training"') == 1
    assert ("starting again trains a new one from nothing" in text) is ("Start again, for 1 minute" in text)
    assert fields == [str(more)]  # one way to go on, and 3, not 3.0
    next_row = re.search(r"<dt>next</dt><dd>(.*?)</dd>", text, re.DOTALL)[1] if "<dt>next" in text else ""
    assert ("train for</label>" in next_row) is (
        advice == GOES_ON or (status == "finished" and advice == LONGER and minutes >= 1)
    )  # after seconds it stands with all other buttons
    assert ("<summary>Train longer anyway" in text) is (advice == MORE_TEXT and status == "finished")
    again = "Start again, for 1 minute" if minutes == 0.5 else "Start again with these settings"
    assert text.count(again) == 1
    assert ("<dt>next</dt><dd>only more text like this would help much</dd>" in text) is (advice == MORE_TEXT)
    assert ("--max-iters 20" in text) is (advice == STEPS)
    assert "Keep training" not in (await page_of(datasette, run, None))[1]
    if advice == LONGER and more == 3:
        path = f"/-/nanogpt/runs/{run}/resume"
        await datasette.client.post(path, data={"minutes": fields[0]}, actor=ROOT)
        assert json.loads(find_run(home, run + 1)["settings"])["minutes"] == 6
        assert "Keep training" not in (await page_of(datasette, run))[1]  # that one trains it on


@pytest.mark.parametrize("advice", [MORE_TEXT, LONGER, BIGGER, "busy"])
async def test_the_page_offers_what_it_advises(datasette, home, database, write_run, bpe, advice):
    """What would not help as much is folded away."""
    busy = "the minutes: other programs probably kept this machine busy, as training was 9 times slower; x"
    lines = {"limited by": busy, "next": LONGER} if advice == "busy" else {"limited by": "x", "next": advice}
    source = {"database": str(database), "table": "entry", "tables": [{"table": "entry", "body": ["body"]}]}
    write_model(home / "x", bpe, meta={"source": source, "training": {"log": "run-1.log"}})
    write_state(home / "x", TrainState({}, Position(step=1, seconds=180.0)))
    settings = {"minutes": 3.0, "size": "xs", "n_head": 2}
    values = {"status": "finished", "settings": settings, "verdict": json.dumps(lines)}
    _, text = await page_of(datasette, write_run([3.0], log="run-1.log", **values))
    text = text[text.index('id="verdict"') : text.index("Delete this run")]
    advised, folded = (text.split("<summary>Train longer anyway") + [""])[:2]
    assert ("Start again with these settings" in folded) is (advice in (MORE_TEXT, BIGGER))
    beside = re.search(r"<dt>next</dt><dd>(.*?)</dd>", advised, re.DOTALL)[1]
    assert ("Start again with these settings</a>" in beside) is (advice in (LONGER, "busy"))
    assert ('value="Keep training"' in folded) is (advice != LONGER)
    assert ('value="Keep training"' in advised) is (advice == LONGER)
    idle = r'is idle <a class="secondary" href="[^"]+">Start again with these settings</a></dd>'
    assert bool(re.search(idle, advised)) is (advice == "busy")
    assert text.count("Start again with these settings") == 1
    bigger = re.search(
        r'<dd>a bigger model <a class="secondary" href="([^"]+)">Start again, bigger<', advised
    )
    assert bool(bigger) is (advice == BIGGER) and ", in a terminal:" not in advised
    if bigger:
        form = (await datasette.client.get(bigger[1].replace("&amp;", "&"), actor=ROOT)).text
        assert '<option value="" selected>automatic' in form and 'id="n_head"' in form
        assert not re.search(r'id="n_head"[^>]* value="\d', form)


async def test_a_run_of_seconds_is_started_again_for_a_minute(datasette, write_run):
    """Its number, with what is known of it, comes first, then what can be done."""
    lines = {"score": "3.000 bits per byte, give or take 0.04, of 9 held-out documents; gzip needs 2.6"}
    lines |= {"20 texts": "none repeats itself", "limited by": "the minutes"}
    plan = json.dumps({"letters": 1.0, "gzip_bpb": 2.6})
    values = {"settings": {"minutes": 0.1}, "verdict": json.dumps(lines), "plan": plan}
    words, text = await page_of(datasette, write_run([3.0], status="finished", **values))
    told = (
        r"3\.000 bits per byte .* Give or take 0\.04.* Not yet as good as gzip.* That is after \d+ seconds? "
        r"of training \(\d+ steps?\): another minute would bring it much further\. What it wrote read like"
    )
    assert re.search(told, words)
    assert 'class="now" aria-current="step"' in text and 'class="number"' in text  # not grey
    assert "What it could do" in text and "imited by" in text
    assert text.count(">Start again, for 1 minute<") == 1
    path = re.search(r'class="primary" href="([^"]+)">Start again, for 1 minute<', text)[1]
    form = (await datasette.client.get(path.replace("&amp;", "&"), actor=ROOT)).text
    assert re.search('name="minutes" value="1" checked', form)


async def test_a_run_of_seconds_is_offered_the_minute_that_its_sentence_says(datasette, home, write_run):
    """It offered 3, where nothing advised more."""
    run = write_run([3.0], status="finished", settings={"minutes": 0.1})
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=1, seconds=6.0)))
    words, text = await page_of(datasette, run)
    assert "another minute would bring it much further" in words and "Start again, for 1 minute" in words
    assert re.findall(r'name="minutes"[^>]* value="([\d.]+)"', text) == ["1"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4, "a few seconds left"),
        (21, "about 30 seconds left"),
        (55, "about 1 minute left"),
        (180, "about 3 minutes left"),
        (6000, "about 1h 40m left"),
    ],
)
def test_the_time_left_is_a_round_figure(seconds, words):
    assert time_left(seconds) == words


def test_the_small_line_of_scores_does_not_rise_where_another_model_begins():
    ends = re.findall(r",([\d.]+)", sparkline([4.0, 2.0, 5.0, 1.0]))
    assert ends == ["1.0", "15.7", "15.7", "23.0"]


SCORES = {
    "2.000 bits per byte, give or take 0.06, of 405 held-out documents; gzip needs 2.62": (
        "Give or take 0.06, measured on 405 rows that it never read."
    ),
    "2.0 bits per byte, give or take 0.1, of the ends of 9 documents; gzip needs 3, the run before got 2": (
        "Give or take 0.1, measured on the ends of 9 rows, which it never read. D.* The run before got 2."
    ),
    "about 2.000 bits per byte, as only one document was held out; gzip needs 2.62": (
        "As only one document was held out."
    ),
    "2.0 bits per byte, of 9 documents; the run was too short to measure how certain that is; gzip needs 3": (
        "Measured on 9 rows that it never read. The run was too short to measure how certain that is."
    ),
}


@pytest.mark.parametrize(("score", "says"), SCORES.items())
async def test_the_page_says_score_and_level_once(datasette, write_run, score, says):
    """The verdict repeats what its levels and its number say already."""
    limit = (
        "the minutes: other programs probably kept this machine busy, as training was 12 times slower than "
    )
    verdict = {
        "reads like": f"words and short phrases{WITH_FAULTS}",
        "score": score,
        "9 texts": "none repeats",
    }
    verdict |= {"limited by": f"{limit}run 1; it has read the text 0.1 times"}
    values = {"status": "finished", "plan": json.dumps({"letters": 1.0, "gzip_bpb": 2.62})}
    run = write_run([3.0, 2.0], **values, verdict=json.dumps(verdict))
    words, text = await page_of(datasette, run)
    fell = re.search(r'<p id="fell">(.*?)</p>', text)[1]
    assert re.match(says, fell) and "Better than gzip" in fell
    below = text[text.index('id="verdict"') : text.index('id="more"')]
    assert re.findall("<dt>(.*?)</dt>", below)[:2] == ["checked on 9 texts", "limited by"]
    assert "<dd>the minutes: it has read the text 0.1 times</dd>" in below
    busy = "training was 12 times slower than run 1, so it read less text."
    assert busy in words and words.index(busy) < words.index("What it could do")  # the model is gone
    idle = "<dt>next</dt><dd>train again when the machine is idle</dd>"
    assert idle in below and "Keep training" not in below  # one advice
    told = verdict | {"reads like": "text without sentences", "score": "as an older version has it"}
    run = write_run([3.0, 2.0], **values, verdict=json.dumps(told))
    text = (await page_of(datasette, run))[1]
    assert "text without sentences</dd>" in text and "as an older version has it</dd>" in text


async def test_a_run_that_waits_says_for_how_long(datasette, write_run):
    running = {"status": "running", "process": process_id(), "eta": 80.0}
    ahead = write_run([3.0], **running)
    words, text = await page_of(datasette, write_run(status="queued"))
    assert "It starts by itself when" in words and f">run {ahead}</a>, x, is over<span" in text
    assert ">about 1 minute left</span>. You can close this page." in text
    assert (
        'aria-labelledby="newest-heading" hidden>' in text
    )  # it has written nothing, and says nothing of it


@pytest.mark.parametrize(
    ("status", "parts", "note", "bar"),
    [
        ("preparing", [[Part.LOOKING, 9, 9, "rows"], [Part.READING, 2, 9, "rows"]], "reading", 0.24),
        ("preparing", [], None, None),
        ("running", [[LastPart.SCORING, 0, 0, ""]], "scoring on held-out text, 40%", 0.4),
        ("running", [[LastPart.JUDGING, 0, 0, ""]], "writing 20 texts", None),
        ("running", [], None, 0.5),
    ],
)
async def test_the_list_fills_a_bar_as_far_as_is_known(datasette, write_run, status, parts, note, bar):
    values = {"status": status, "process": process_id(), "preparing": json.dumps(parts), "note": note}
    write_run([], progress=0.5, **values)
    (told,) = (await datasette.client.get("/-/nanogpt.json?now=1", actor=ROOT)).json()["runs"]
    assert told["bar"] == (pytest.approx(bar, abs=0.01) if bar is not None else None)
    text = (await datasette.client.get("/-/nanogpt", actor=ROOT)).text
    assert ("<progress" in text) and (f'value="{told["bar"]}"' in text) is (bar is not None)


async def test_why_a_resume_makes_steps_again(datasette, home, write_run):
    run = write_run([3.0], status="stopped", step=56)
    (home / "x").mkdir()
    write_state(home / "x", TrainState({}, Position(step=49, seconds=60.0)))
    _, text = await page_of(datasette, run)
    why = "It can go on from its last save, step 49: the last 7 steps are done again."
    assert f' title="{why}"' in text and f'<span id="goes-on" class="visually-hidden">{why}</span>' in text
    assert 'aria-describedby="goes-on" value="Keep training"' in text


async def test_a_run_that_replaced_a_better_model_says_so(datasette, write_run):
    plan = json.dumps({"replaces_bpb": 1.5})
    words, text = await page_of(datasette, write_run([3.0, 2.0], status="finished", plan=plan))
    assert "replaced is better on the same held-out rows: 1.500 bits per byte, not 2.000" in words
    assert "/restore" not in text  # it is not there any more
    going = write_run([3.0, 2.0], status="running", plan=plan, process=process_id())
    words, text = await page_of(datasette, going)
    assert "It is kept, and can be brought back when this run is over." in words and "/restore" not in text
    words, _ = await page_of(datasette, write_run([3.0, 1.4], status="finished", plan=plan))
    assert "that this run replaced" not in words


@pytest.fixture
def two_models(home, database, bpe, write_run):
    """two_models(bpb, kept_bpb, **kept) writes a run with its model `x` and the one that it replaced, which
    has `kept` in its nanogpt.json; the run."""

    def write(bpb=2.0, kept_bpb=1.5, **kept):
        source = {"database": str(database), "table": "entry", "rows": 9}
        source["tables"] = [{"table": "entry", "title": "title", "body": ["body"]}]
        meta = {"source": source, "corpus": {"sha256": "a", "val_documents": 9}}
        for folder, score, log in ((home / "x", bpb, "run-1.log"), (replaced(home / "x"), kept_bpb, "old")):
            more = {"score": {"val_bpb": score}, "training": {"log": log}}
            write_model(folder, bpe, meta=meta | more | (kept if log == "old" else {}))
        verdict = {"limited by": "the minutes", "replaced": "`llm nanogpt restore x`", "next": LONGER}
        return write_run([3.0, bpb], status="finished", log="run-1.log", verdict=json.dumps(verdict))

    return write


def score_in_use(home):
    return read_checkpoint(home / "x").meta["score"]["val_bpb"]


async def test_the_better_model_is_brought_back_and_put_aside_again(datasette, home, two_models, write_run):
    run = two_models()
    words, text = await page_of(datasette, run)
    assert "The model that this run replaced is better on the same held-out rows: 1.500 bits" in words
    assert 'class="primary" value="Bring the better model back"' in text
    assert 'class="secondary" href="/-/nanogpt/models/x">Write with x<' in text
    assert "<dt>limited by" in text and "<dt>replaced" not in text  # which names a command
    words, text = await page_of(datasette, run, None)
    assert "1.500 bits per byte, not 2.000. It is kept." in words and "/restore" not in text
    path, which = f"/-/nanogpt/runs/{run}/restore", {"which": "better"}
    assert (await datasette.client.post(path, data=which, actor=None)).status_code == 403
    assert (await datasette.client.post(path, data=which, actor=ROOT)).status_code == 302
    assert score_in_use(home) == 1.5
    await datasette.client.post(path, data=which, actor=ROOT)  # clicked twice
    assert score_in_use(home) == 1.5
    words, text = await page_of(datasette, run)
    assert "comes from" not in words and "is still the model" not in words  # it is said once
    assert "replaced is better" not in words
    assert "--resume" not in text  # that would train the other one on
    in_use = "x is now the model of another run, 1.500 bits per byte. This run's own model, 2.000, is"
    assert "This run's model, put aside 2.000 bits per byte" in words
    assert in_use in words and words.index(in_use) < words.index("2.000 bits per byte")
    assert 'class="primary" href="/-/nanogpt/models/x">Write with x (another run)<' in text
    assert '<input type="submit" value="Use the model of this run again"' in text
    other = write_run([1.5], status="finished", log="old")
    words, text = await page_of(datasette, run)
    assert f'<a href="/-/nanogpt/runs/{other}">run {other}</a>, 1.500 bits per byte. This run' in text
    answer = await datasette.client.post(path, json={"which": "own"}, actor=ROOT)
    assert answer.json()["ok"] and score_in_use(home) == 2.0


async def test_a_run_that_is_about_to_replace_a_model_says_what_becomes_of_it(
    datasette, home, two_models, write_run
):
    earlier = two_models(bpb=2.0, kept_bpb=1.5)
    values = {"status": "preparing", "process": process_id(), "log": "run-2.log"}
    run = write_run(**values)
    words, text = await page_of(datasette, run)
    still = f"x is still the model of run {earlier} . At its first score this run takes the name. The present"
    assert (
        f"{still} model (2.000 bits per byte) is then deleted: only one is kept, and the older one" in words
    )
    assert "<code" in text and "llm nanogpt restore x brings it back" in words
    shutil.rmtree(replaced(home / "x"))
    words, text = await page_of(datasette, run)
    assert f"{still} model is kept (" in words and "deleted" not in words
    assert text.index('id="replaces"') < text.index('id="parts"')
    trained_on = write_run(**values, settings={"resume": True})
    words, _ = await page_of(datasette, trained_on)
    assert "From its first score on it is the model of this run, which trains it on." in words
    write_run([1.0], status="finished", log="run-3.log")
    assert "is still the model" not in (await page_of(datasette, earlier))[0]


@pytest.fixture
def timed_run(home, write_run):
    """timed_run(speed, **changes) writes a run that trained for 20 seconds at so many tokens a second."""

    def write(speed, width=32, device="cpu", seconds=20, status="finished", process=None):
        plan = {"config": asdict(tiny_config(n_embd=width)), "settings": {"batch_size": 4, "device": device}}
        plan |= {"source": {"rows": 9}, "corpus": {"bytes": 9, "train_tokens": 5, "val_tokens": 4}}
        fields = {"plan": json.dumps(plan), "tokens_per_second": speed, "process": process}
        run = write_run([], status=status, **fields)
        with registry(home) as db:
            # The first model of a run may be a smaller one.
            insert(db, "metrics", {"run": run, "step": 1, "seconds": 0, "tokens_per_second": 9e6})
            for step in (2, 3):
                row = {"run": run, "step": step, "seconds": (step - 2) * seconds, "model": 2}
                insert(db, "metrics", row | {"tokens_per_second": speed})
        return run

    return write


async def test_a_run_that_is_far_slower_than_an_earlier_one_says_so(datasette, home, timed_run):
    timed_run(2_000)
    fast = timed_run(10_000)
    timed_run(99_000, device="cuda")
    timed_run(99_000, width=128)
    timed_run(99_000, seconds=2)
    assert slower_than(home, timed_run(3_000)) is None
    assert slower_than(home, timed_run(800, seconds=2)) is None
    assert slower_than(home, timed_run(100, device="cuda")) is None
    run = timed_run(800, status="running", process=process_id())
    words, text = await page_of(datasette, run)
    told = (
        f"Other programs probably keep this machine busy: training is 12 times slower than run {fast}. "
        "It will take so much longer. End other programs, or stop and start again when the machine is idle."
    )
    assert told in words and str(slower_than(home, run)) == f"12 times slower than run {fast}"
    live = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json", actor=ROOT)).json()["run"]
    assert live["slow"] == told and 'id="slow" class="message-warning"' in text
    given = {"settings": '{"minutes": 3.0}'}
    assert "In its 3 minutes it reads so much less text, and will write worse" in slower_notice(given, "slow")


async def test_a_training_that_a_terminal_was_refused_is_in_no_list(datasette, home, database, write_run):
    options = TrainOptions(str(database), "entry", name="x", device="cpu", block_size=10_000)
    with pytest.raises(InvalidOptions, match="too little to train on"):
        list(train_table(options))
    assert find_run(home, 1)["status"] == "failed"  # with its log, for whoever looks for it
    failed = write_run(status="failed")
    for page in ("/-/nanogpt.json", "/blog/entry/-/nanogpt.json"):
        runs = (await datasette.client.get(page, actor=ROOT)).json()["runs"]
        assert [run["id"] for run in runs] == [failed]


def test_a_setting_that_only_one_of_two_runs_has():
    assert both("yes", None) == ("yes", "no") and both(None, "yes") == ("no", "yes")
    assert both("4", None) == ("4", "automatic") and both("4", "5") == ("4", "5")
    assert both("4", None, "4", "8") == ("4", "8 (automatic)")


async def test_a_comparison_has_the_values_that_the_planner_chose(datasette, write_run):
    config = {"n_layer": 2, "n_head": 2, "n_embd": 64, "block_size": 64, "vocab_size": 300}
    plan = json.dumps({"config": config, "settings": {"learning_rate": 0.02, "seed": 0}})
    given = {"learning_rate": 0.001, "size": "xs", "seed": 0, "n_layer": 2}
    one, two = (write_run([2.0], status="finished", settings=each, plan=plan) for each in ({}, given))
    address = f"/-/nanogpt/compare.json?run={one}&run={two}"
    found = (await datasette.client.get(address, actor=ROOT)).json()["settings"]
    assert [line for line in found if line[0] != "table"] == [
        ["learning rate", "0.02 (automatic)", "0.001"],  # what differs comes first
        ["size", "XS (automatic)", "XS"],
        ["seed", "0 (automatic)", "0"],
        ["layers", "2 (automatic)", "2"],
    ]
    text = (await datasette.client.get(address.replace(".json", ""), actor=ROOT)).text
    differ = text.split('id="differ"')[1].split("</table>")[0]
    assert "0.02 (automatic)" in differ and "xs" not in differ


async def test_a_comparison_has_no_blank_verdicts(datasette, write_run):
    verdicts = ({"reads like": "words", "20 texts": "none with a loop"}, {"reads like": "words"})
    one, two = (write_run([2.0], status="finished", verdict=json.dumps(each)) for each in verdicts)
    address = f"/-/nanogpt/compare.json?run={one}&run={two}"
    assert (await datasette.client.get(address, actor=ROOT)).json()["verdicts"] == [
        ["reads like", "words", "words"],
        ["its texts", "of 20, none with a loop", "not measured"],
    ]


def test_both_learning_rates_are_told_where_a_busy_machine_has_another():
    plan = plan_text({"minutes": 3}, 10**6, 1e11)
    assert _automatic(plan, plan)["learning_rate"] == plan.learning_rate
    both = f"{plan.learning_rate:g} or 0.5"
    assert _automatic(plan, replace(plan, learning_rate=0.5))["learning_rate"] == both
    gpt2 = plan_text({"minutes": 3, "arch": "gpt2"}, 10**6, 1e11)
    assert _automatic(gpt2, gpt2)["learning_rate"] == 6e-4


def test_too_little_text_needs_as_much_before_a_run_as_in_it():
    assert too_little_text(90, 16, 351) == too_little_text(90, 16, 358.2)
    assert "needs about 400 bytes," in too_little_text(90, 16, 351)
    assert "needs about 95 bytes," in too_little_text(90, 16, 93)


async def test_what_is_kept_and_deleted_is_told_before_a_run(datasette, two_models, write_run):
    two_models(bpb=2.0, kept_bpb=1.5)
    text = (await datasette.client.get("/blog/entry/-/nanogpt", actor=ROOT)).text
    words = html.unescape(text)
    assert "If x is replaced by a model of the same rows: The present model (2.000 bits" in words
    assert (
        "is then deleted: only one is kept" in words
        and "stays (" in words
        and "another “Model name”" in words
    )
    plan = {
        "name": "x",
        "replaces": "9 rows",
        "kept": "1.500 bits per byte",
        "deleted": "2.000 bits per byte",
    }
    plan = json.dumps(plan | {"kept_bytes": 5, "keeps_older": True, "replaces_bpb": 1.5})
    words, _ = await page_of(datasette, write_run([], status="running", plan=plan, process=process_id()))
    assert "The present model (2.000 bits per byte) is then deleted: only one is kept" in words


@pytest.mark.parametrize("why", ["worse", "other rows", "another table", "of no run", "in training"])
async def test_what_is_not_brought_back(datasette, home, two_models, write_run, why):
    other = {"database": "/elsewhere.db", "table": "secret", "tables": [{"table": "secret"}]}
    kept = {"other rows": {"corpus": {"sha256": "b"}}, "another table": {"source": other}}.get(why, {})
    run = two_models(kept_bpb=2.5 if why == "worse" else 1.5, **kept)
    if why == "of no run":
        run = write_run([3.0], status="finished", log="run-0.log")
    _, text = await page_of(datasette, run)
    assert ("/restore" in text) is (why == "in training")
    held = lock(home / "x") if why == "in training" else None
    answer = await datasette.client.post(f"/-/nanogpt/runs/{run}/restore", json={}, actor=ROOT)
    if held:
        held.release()
    reason = "x is being trained by another" if why == "in training" else "There is nothing to bring back"
    assert answer.status_code == 400 and answer.json()["error"].startswith(reason)
    assert score_in_use(home) == 2.0


async def test_runs_to_compare_with_say_how_they_differ(datasette, write_run, database, home):
    same = json.dumps({"corpus": {"sha256": "a", "val_documents": 9}, "gzip_bpb": 2.6})
    first = write_run([3.0], status="finished", settings={"minutes": 1.0, "eval_interval": 2}, plan=same)
    elsewhere = write_run([1.0], status="finished", table="other", settings={"table": "other"})
    settings = {"minutes": 3.0, "size": "xs", "name": "y"}
    last = write_run([2.5], status="finished", name="y", settings=settings, plan=same)
    run = write_run([2.0], status="finished", settings={"minutes": 3.0}, plan=same)
    words, text = await page_of(datasette, run)
    differs = "its page , side by side minutes 1, here 3; eval interval 2, here automatic"
    assert f"x, run {first}: 3.000 bits per byte {differs}" in words
    assert f"y, run {last}: 2.500 bits per byte its page , side by side size XS, here automatic" in words
    assert f"run {elsewhere}:" not in words
    assert re.search(f'value="{first}" checked', text) and not re.search(f'value="{last}" checked', text)
    assert "for comparison: gzip 2.600, run 1 3.000" in words
    line = (await datasette.client.get(f"/-/nanogpt/runs/{run}.json?points=300", actor=ROOT)).json()
    assert [row[4] for row in line["metrics"]] == [2.0]


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": {"sha256": "b"}},
        {"corpus": {"val_documents": 8}},
        {"settings": {"seed": 2}},
        {"corpus": None},
    ],
)
async def test_only_scores_of_the_same_held_out_rows_are_compared(datasette, write_run, home, bpe, change):
    """A row that was added, or another seed, holds other rows out: its score is not better or worse."""
    ours = {"corpus": {"sha256": "a", "val_documents": 9}, "settings": {"seed": 0}}
    theirs = {key: change.get(key, {}) and {**ours[key], **change.get(key, {})} for key in ours}
    theirs |= {key: ours[key] for key in ours if key not in change}
    source = {"database": str(home.parent / "blog.db"), "table": "entry", "rows": 9}
    source["tables"] = [{"table": "entry", "title": "title", "body": ["body"]}]
    for name, plan, bpb in (("same", ours, 1.5), ("other", theirs, 1.0)):
        meta = {"source": source, "corpus": plan["corpus"], "options": plan["settings"]}
        write_model(home / name, bpe, meta=meta | {"score": {"val_bpb": bpb}})
    earlier = write_run([3.0], status="finished", plan=json.dumps(theirs))
    run = write_run([2.0], status="finished", plan=json.dumps(ours))
    words, text = await page_of(datasette, run)
    assert "best other (same) 1.500" in words and "other 1.000" not in words
    assert f"run {earlier} 3.000" not in words and "Its score is of other held-out rows" in words
    assert not re.search(rf'value="{earlier}" checked', text)
    address = f"/-/nanogpt/compare?run={earlier}&run={run}"
    text = (await datasette.client.get(address, actor=ROOT)).text
    assert "cannot be compared" in text and "better by" not in text


@pytest.mark.parametrize(
    ("ours", "theirs", "spread", "says"),
    [
        (2.00, 2.10, 5, "is clearly better. It needs 0.100 bits per byte (5%) less on the same"),
        (2.00, 2.10, 400, "is probably better. It needs 0.100"),
        (2.00, 2.02, 80, "is probably a little better. It needs 0.020"),
        (
            2.00,
            2.02,
            5,
            "is a little better. It needs 0.020 bits per byte (1.0%) less on the same held-out "
            "rows, give or take 0.001: measurable, but you will hardly notice it.",
        ),
        (2.00, 2.10, 1, "less on the same held-out rows, give or take less than 0.001."),
        (2.00, 2.01, 300, "There is no clear difference."),
        (2.00, 2.01, 300, "more or less. Take either."),
        (2.00, 2.01, None, "scored better. It needs 0.010"),
        (2.00, 2.01, None, "It was not measured how certain this is."),
    ],
)
async def test_a_comparison_says_how_sure_it_is(datasette, write_run, home, ours, theirs, spread, says):
    """Both runs read the same documents, so what makes one of them hard for both does not count."""
    same = json.dumps({"corpus": {"sha256": "a", "val_documents": 100}})
    one, two = (write_run([bpb], status="finished", plan=same) for bpb in (ours, theirs))
    if spread is not None:
        hard = [3000 * (i % 7 + 1) for i in range(100)]  # bits, of documents of 1,000 bytes each
        for run, more in ((one, 0), (two, spread)):
            bits = [each + more * (-1) ** i for i, each in enumerate(hard)]
            with registry(home) as db:
                lists = {"bits": json.dumps(bits), "bytes": json.dumps([1000] * 100)}
                insert(db, "documents", {"run": run, **lists})
    with registry(home) as db:  # not runs of seconds
        db.execute("update metrics set seconds = 60")
    address = f"/-/nanogpt/compare?run={one}&run={two}"
    text = (await datasette.client.get(address, actor=ROOT)).text
    assert says in " ".join(re.sub("<[^>]+>", " ", text).split())
    outcome = (await datasette.client.get(address.replace("?", ".json?"), actor=ROOT)).json()["outcome"]
    assert says in outcome
    if spread not in (None, 1):  # 2 x spread / (1000 x sqrt(100)), as the difference is +- spread
        assert f"{2 * spread / 10_000:.3f}" in outcome
    assert delete_rows_of(home, one) == 0


async def test_of_two_equal_runs_either_model_can_be_taken(datasette, write_run, home, bpe, database):
    same, source = json.dumps({"corpus": {"sha256": "a"}}), {"database": str(database), "table": "entry"}
    runs = []
    for name, minutes in (("x", 10.0), ("y", 3.0)):
        write_model(home / name, bpe, meta={"source": source, "training": {"log": f"{name}.log"}})
        settings = {"minutes": minutes}
        run = write_run([2.0], status="finished", plan=same, log=f"{name}.log", settings=settings)
        with registry(home) as db:
            db.execute("update runs set name = ? where id = ?", [name, run])
        runs.append(run)
    address = "/-/nanogpt/compare?run={}&run={}"
    text = (await datasette.client.get(address.format(*runs), actor=ROOT)).text
    assert "rows. Take either.<" in text  # whatever they were given, they trained for as long
    assert re.findall(r'class="secondary"[^>]*>Write with (\w)<', text) == ["x", "y"]
    with registry(home) as db:
        db.execute("update metrics set seconds = 180 where run = ?", [runs[1]])
        db.execute("update metrics set seconds = 600 where run = ?", [runs[0]])
    text = (await datasette.client.get(address.format(*runs), actor=ROOT)).text
    assert f"Take either; run {runs[1]} trained for 3m 00s, not 10m 00s." in text
    assert re.findall(r'class="(\w+)"[^>]*>Write with (\w)<', text) == [("primary", "y"), ("secondary", "x")]
    with registry(home) as db:
        db.execute("update runs set status = 'running' where id = ?", [runs[1]])
    assert "is not over yet" in (await datasette.client.get(address.format(*runs), actor=ROOT)).text


@pytest.mark.parametrize(
    ("seconds", "speeds", "headline", "then"),
    [
        (60, (900, 900), "Run 1, a, scored better.", "It was not measured how certain this is."),
        (60, (900, 75), "Run 1, a, scored better, but its machine was 12 times as fast.", "rows."),
        (60, (75, 900), "Run 1, a, scored better.", "It was not measured how certain this is."),
        (6, (900, 900), "Too short to tell.", "better, but both trained for only seconds."),
    ],
)
async def test_a_comparison_names_no_winner_that_it_cannot_stand_for(
    datasette, write_run, home, bpe, database, seconds, speeds, headline, then
):
    """It said which is better, and what made that unfair in small print."""
    config = {"n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 64, "vocab_size": 300}
    plan = json.dumps({"corpus": {"sha256": "a"}, "settings": {"device": "cpu", "seed": 0}, "config": config})
    for name, bpb, speed in zip("ab", (2.0, 2.2), speeds, strict=True):
        values = {"name": name, "log": f"{name}.log", "tokens_per_second": speed, "plan": plan}
        write_run([bpb], status="finished", **values)
    with registry(home) as db:
        db.execute("update metrics set seconds = ?", [seconds])
    address = "/-/nanogpt/compare?run=1&run=2"
    text = (await datasette.client.get(address, actor=ROOT)).text
    assert f'"headline">{headline}<' in text and then in text and "Write with" not in text
    source = {"database": str(database), "table": "entry", "tables": [{"table": "entry", "body": ["body"]}]}
    for name in "ab":
        write_model(home / name, bpe, meta={"source": source, "training": {"log": f"{name}.log"}})
    text = (await datasette.client.get(address, actor=ROOT)).text
    fair = "To compare fairly, train run 2 again when the machine is idle."
    assert (fair in text) is ("but its machine" in headline)
    again = re.findall(r'_again=(\d)">Start run \1 again<', text)  # those that it advises to train again
    assert again == (["2"] if fair in text else [])
    assert (">For 1 minute each, one after the other.<" in text) is (seconds == 6)
    shown = (await datasette.client.get(address)).text
    assert "Start run" not in shown and "Train both again" not in shown
    assert ('href="/-/nanogpt/models/a">Write with a<' in text) is (seconds == 60)
    assert "Write with b" not in text


async def two_runs(datasette, write_run, home, bpe, database, seconds):
    """The answer to the button of the comparison of two runs, of which the second had seconds, and the text
    of the page."""
    plan = json.dumps({"corpus": {"sha256": "a"}})
    for name, bpb, minutes in (("a", 2.0, 3.0), ("b", 2.2, 0.1)):
        settings = {"minutes": minutes, "name": name, "learning_rate": 0.004, "table": ["entry"]}
        values = {"name": name, "log": f"{name}.log", "plan": plan, "settings": settings}
        write_run([bpb], status="finished", **values)
    with registry(home) as db:
        db.execute("update metrics set seconds = ? where run = 1", [seconds])
    source = {"database": str(database), "table": "entry", "tables": [{"table": "entry", "body": ["body"]}]}
    for name in "ab":  # of which b's is by another run now
        log = f"{name}.log" if name == "a" else "other.log"
        write_model(home / name, bpe, meta={"source": source, "training": {"log": log}})
    text = (await datasette.client.get(COMPARED, actor=ROOT)).text
    assert (await datasette.client.post(COMPARED, actor={"id": "somebody"})).status_code == 403
    answer = await datasette.client.post(COMPARED, actor=ROOT)
    assert answer.status_code == 302 and answer.headers["location"] == "/-/nanogpt"
    return text, str(datasette.unsign(answer.cookies["ds_messages"], "messages"))


COMPARED = "/-/nanogpt/compare?run=1&run=2"


async def test_two_runs_that_had_only_seconds_are_trained_again_by_one_button(
    datasette, write_run, home, bpe, database
):
    """It said what to do, and left it to two forms."""
    text, said = await two_runs(datasette, write_run, home, bpe, database, seconds=5)
    assert "better, but both trained for only seconds." in text and "For 3 minutes each" in text
    assert 'type="submit" class="primary" value="Train both again"' in text
    again = [find_run(home, run) for run in (3, 4)]
    assert [run["status"] for run in again] == ["queued"] * 2
    settings = [json.loads(run["settings"]) for run in again]
    assert [each["minutes"] for each in settings] == [3, 3] and settings[0]["learning_rate"] == 0.004
    assert [run["name"] for run in again] == ["a", "nanogpt-blog"]
    assert "Runs 3 and 4 are in the queue: compare them here when both are over" in said
    answer = await datasette.client.post(
        COMPARED, actor=ROOT, headers={"content-type": "application/json"}, content="{}"
    )
    assert answer.json()["runs"] == [5, 6]  # under names of their own: the others wait
    assert {find_run(home, 5)["name"], find_run(home, 6)["name"]} == {"nanogpt-blog-2", "nanogpt-blog-3"}


async def test_of_two_runs_only_the_one_that_had_seconds_is_trained_again(
    datasette, write_run, home, bpe, database
):
    """The good one was trained again, too."""
    text, said = await two_runs(datasette, write_run, home, bpe, database, seconds=180)
    assert re.search(r"Run 1 is better, but run 2 trained for only \d+ seconds?\.", text)
    assert text.index(">Write with a<") < text.index('value="Train run 2 for 3 minutes"')
    assert find_run(home, 4) is None and json.loads(find_run(home, 3)["settings"])["minutes"] == 3
    assert find_run(home, 3)["name"] == "nanogpt-blog"
    assert "Run 3 is in the queue: compare it with run 1 here when it is over" in said


async def test_a_run_under_way_is_compared_with_what_the_other_one_had_after_as_long(
    datasette, write_run, home
):
    """Ten minutes were set against five without a word."""
    plan = json.dumps({"corpus": {"sha256": "a"}})
    write_run([3.0, 2.5, 1.5], status="finished", plan=plan)
    write_run(
        [2.6, 2.4], status="running", process=process_id(), plan=plan, settings={"minutes": 10}, eta=400.0
    )
    with registry(home) as db:
        for run in (1, 2):
            rows = db.execute(
                "select rowid from metrics where run = ? and val_bpb not null order by step", [run]
            )
            for i, (row,) in enumerate(list(rows)):
                db.execute("update metrics set seconds = ? where rowid = ?", [100 + 100 * i, row])
    text = (await datasette.client.get(COMPARED, actor=ROOT)).text
    assert "scored better" not in text  # what the last scores say is the opposite
    assert '"headline">After 3m 20s each, run 2 is 0.100 bits per byte (4%) better.<' in text
    assert re.findall(r"<strong>([\d.]+)<", text) == ["2.500", "2.400"]
    assert re.findall('"note">([^<]+)<', text) == [
        "After 3m 20s; 1.500 at its end, after 5m 00s",
        "After 3m 20s of 10 minutes, about 7 minutes left",
    ]
    assert "Run 2 is not over yet, so this can change" in text and "compare.js" in text
    assert re.search(r'after 3m 20s</th><td>2.500</td><td class="best">2.400<', text)


@pytest.mark.parametrize(
    ("one", "two", "says"),
    [
        ({"tokens_per_second": 5142.0}, {"tokens_per_second": 639.0}, "Run 1 read 8.0 times as many tokens"),
        ({"tokens_per_second": 5142.0}, {"tokens_per_second": 5000.0}, ""),
        ({"tokens_per_second": 5142.0}, {}, "Run 2 ended before its speed was measured."),
        ({"tokens_per_second": 5142.0}, {"status": "running"}, "Run 2 has no speed yet."),
        ({}, {}, ""),
        (
            {"tokens_per_second": 5142.0, "device": "cpu"},
            {"tokens_per_second": 99999.0, "device": "cuda"},
            "Run 1 trained on cpu, run 2 on cuda: compare their scores, not their times.",
        ),
        (
            {"tokens_per_second": 5142.0, "n_layer": 1},
            {"tokens_per_second": 639.0, "n_layer": 9},
            "Their models differ in size",
        ),
    ],
)
async def test_a_comparison_says_why_speeds_differ(datasette, write_run, home, one, two, says):
    for values in (one, two):
        device, n_layer = values.pop("device", "cpu"), values.pop("n_layer", 2)
        config = {"n_layer": n_layer, "n_head": 2, "n_embd": 16, "block_size": 64, "vocab_size": 300}
        plan = {"corpus": {"sha256": "a"}, "settings": {"device": device, "seed": 0}, "config": config}
        write_run([2.0], **{"status": "finished", "process": process_id(), "plan": json.dumps(plan)} | values)
    answer = await datasette.client.get("/-/nanogpt/compare.json?run=1&run=2", actor=ROOT)
    caution = answer.json()["caution"]
    assert says in caution and bool(says) == bool(caution)
    text = (await datasette.client.get("/-/nanogpt/compare?run=1&run=2", actor=ROOT)).text
    assert says in text and "<polyline" not in text
    with registry(home) as db:  # the last half second of one of them was slow, but not all of it
        for run, speeds in ((1, (5000, 5200)), (2, (5100, 5200, 4000))):
            for speed in speeds:
                insert(db, "metrics", {"run": run, "step": 1, "seconds": 1.0, "tokens_per_second": speed})
    answer = (await datasette.client.get("/-/nanogpt/compare.json?run=1&run=2", actor=ROOT)).json()
    assert ["tokens a second", "5,100", "4,767"] in answer["figures"] and "times as many" not in answer[
        "caution"
    ]
    yet = "no chart yet" if "running" in two.values() else "No chart: each run has only one score."
    assert yet in text


def delete_rows_of(home, run):
    """Deletes a run, and returns how many rows of its documents are left."""
    delete_run(home, run)
    with registry(home) as db:
        return db.execute("select count(*) from documents where run = ?", [run]).fetchone()[0]


async def test_a_page_and_an_answer_stay_small(datasette, home, write_run):
    run = write_run([2.0 + 1 / i for i in range(1, 60)], status="running", process=process_id())
    with registry(home) as db:
        for step in range(20_000):
            db.execute(
                "insert into metrics (run, step, seconds, train_bpb) values (?, ?, ?, 2.123456789)",
                [run, step, step / 2],
            )
        for step in range(600):
            db.execute(
                "insert into samples (run, step, val_bpb, sample) values (?, ?, 2, ?)",
                [run, step, "A text. " * 75],
            )
    text = (await page_of(datasette, run))[1]
    assert len(text.encode()) < 200_000 and text.count("<article ") == 99  # and the newest one
    place = re.search(r'"next": "([\d.]+)"', text)[1]
    answer = await datasette.client.get(f"/-/nanogpt/runs/{run}.json?after={place}", actor=ROOT)
    assert len(answer.content) < 2000


async def test_a_run_without_a_score_is_started_again_from_the_comparison(datasette, write_run):
    """It said what was not measured, and that nothing was written "yet"."""
    write_run([3.0, 2.0], status="finished", tokens_per_second=900.0)
    write_run(status="failed", name="y", error="The disk is full: a.bin could not be written")
    text = (await datasette.client.get("/-/nanogpt/compare?run=1&run=2", actor=ROOT)).text
    assert "Run 2 has no score to compare." in text
    assert re.search(r'class="primary" href="[^"]+_again=2">Start run 2 again</a>', text)
    assert "No score<" in text and "a.bin" not in text
    assert ">It failed: the disk was full. Free some space on the disk that has the models, then" in text
    assert "<td></td>" not in text and "<td>not measured</td>" not in text
    assert text.count(">Bits per byte of held-out text, lower is better.<") == 1
    assert "speed" not in text.partition("Figures")[0] and text.count('class="key second"') == 0


async def test_a_score_that_did_not_fall_is_not_said_to_be_down_0_percent(datasette, write_run):
    run = write_run([3.001, 3.0], status="finished", plan=json.dumps({"gzip_bpb": 2.62}))
    words, _ = await page_of(datasette, run)
    assert "Not as good as gzip" in words and "Down 0%" not in words


def test_when_the_first_score_comes_is_told_as_far_as_it_is_known():
    plan = {"settings": {"batch_size": 2}, "config": {"block_size": 500}, "corpus": {"val_tokens": 9000}}
    run = {"settings": "{}", "plan": json.dumps(plan), "tokens_per_second": 10_000.0, "step": 10}
    assert when_first(run) == "The first score comes at about step 40, in about 3 seconds."
    assert when_first({**run, "step": 38}) == "The first score comes in a moment."
    assert when_first({**run, "tokens_per_second": None}) == "The first score comes soon."
    slow = {**run, "tokens_per_second": 500.0, "step": 1}  # a score takes 6 s, and comes as late
    assert when_first(slow) == "The first score comes at about step 3, in about 4 seconds."
    assert when_first({**run, "settings": '{"minutes": 0.5}'}) == "It is scored at its end."


async def test_a_full_disk_is_told_with_how_much_it_needs_and_where(datasette, write_run, home):
    """It said the same as the error, and offered what fails again."""
    error = "The disk of /secret/models is full. No model was kept: make room there, then train again"
    run = write_run(status="failed", error=error)
    run_log_file(home, run).parent.mkdir(exist_ok=True)
    run_log_file(home, run).write_text("The last line")
    words, text = await page_of(datasette, run)
    assert "The disk was full. Free some space on the disk of /secret/models, then start again." in words
    log = text.partition('id="log-end" open')[2]
    assert error in log and "/secret" not in (await page_of(datasette, run, None))[1]
    config = {"n_layer": 2, "n_head": 2, "n_embd": 128, "block_size": 64, "vocab_size": 4096}
    assert "(about 18 MB are needed)" in free_space({"error": error, "plan": json.dumps({"config": config})})
    assert free_space({"error": "x", "plan": None}) == ""
