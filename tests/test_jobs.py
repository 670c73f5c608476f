"""The queue, its workers and their children: real processes on a real registry."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlite_utils
from conftest import HANG_SECONDS, TEXTS
from datasette.app import Datasette
from datasette.plugins import pm

from datasette_nanogpt.events import Position, TrainState
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry, run_log_file
from datasette_nanogpt.registry.metrics import metrics_after
from datasette_nanogpt.registry.process_id import is_alive, process_id
from datasette_nanogpt.registry.resume import minutes_to_offer, settings_to_resume
from datasette_nanogpt.registry.run_log import open_run_log
from datasette_nanogpt.registry.runs import (
    MEMORY,
    OVER,
    delete_run,
    end_run,
    find_run,
    find_runs,
    mark_dead_runs,
)
from datasette_nanogpt.registry.statements import update_run
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.train_state import write_state
from datasette_nanogpt.web import child, score_rows, terminal_runs
from datasette_nanogpt.web import worker as worker_module
from datasette_nanogpt.web.child import NICENESS
from datasette_nanogpt.web.worker import Worker
from llm_nanogpt.changes import hold
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import make_home

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 2, "vocab_size": 300}
TINY |= {"device": "cpu"}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    db = sqlite_utils.Database(path)
    db["entry"].insert_all({"id": i, "title": f"T{i}", "body": t} for i, t in enumerate(TEXTS))
    return str(path)


@pytest.fixture
def enqueue(home, database):
    def enqueue(name="nanogpt-blog", **changes):
        settings = {"database": database, "table": "entry", "name": name, **TINY, "max_iters": 8, **changes}
        return queue.enqueue(home, database, settings, {"id": "ann"}, limit=10)

    return enqueue


@pytest.fixture
async def worker(home):
    """Start as many workers as are called for; none outlives the test."""
    started = []

    def start():
        worker = Worker(home)
        started.append((worker, asyncio.create_task(worker.work(None))))
        return worker

    yield start
    for worker, task in started:
        await worker.close()
        await task


async def until(home, run, *statuses):
    """The row of a run once it has one of these statuses. An end that it will not come back from is told, and
    not waited for."""
    end = time.monotonic() + HANG_SECONDS
    while (row := find_run(home, run))["status"] not in statuses:
        assert time.monotonic() < end and row["status"] not in ("finished", "failed"), row
        await asyncio.sleep(0.05)
    return row


async def until_trained(home, run):
    """Until there is something to resume from."""
    row = await until(home, run, "running")
    while not (row["step"] and row["val_bpb"]):
        await asyncio.sleep(0.05)
        row = await until(home, run, "running")


ENDLESS = {"max_iters": 10**7, "eval_interval": 50, "arch": "gpt2"}  # no other ends only when told to


def take_name(home, name):
    """Put a folder there that does not load: a run of this name ends before it imports torch, in 2 s."""
    (home / name).mkdir()


async def test_a_queued_run_becomes_a_model_and_all_it_writes_is_its_owners_alone(home, enqueue, worker):
    kept = os.umask(0)
    try:
        run = enqueue()
        worker()
        row = await until(home, run, *OVER)
    finally:
        os.umask(kept)
    assert (row["status"], row["error"], row["step"], row["note"]) == ("finished", None, 8, None)
    assert json.loads(row["actor"]) == {"id": "ann"} and row["pid"] != os.getpid()
    assert read_checkpoint(home / "nanogpt-blog")
    readable = [p for p in (home, *home.rglob("*")) if p.stat().st_mode & 0o077]
    assert not readable and (home / "nanogpt.db").exists() and run_log_file(home, run).exists()


def test_a_model_is_never_bigger_than_allowed(home, enqueue, monkeypatch):
    """What the server's worker gives to its child, as the child reads it."""
    run, given = enqueue(n_layer=2), []
    with monkeypatch.context() as patch:
        patch.setattr(child, "do_queued", lambda *arguments: given.extend(arguments))
        child.main.main([str(run), *Worker(home, max_parameters=9000).options], standalone_mode=False)
    number, _, _, max_parameters, _ = given
    child.do_queued(number, Stop(), lambda: None, max_parameters)
    row = find_run(home, run)
    assert row["status"] == "failed" and "at most 9,000 parameters" in row["error"]


async def test_a_disk_that_is_gone_for_a_moment_does_not_end_the_queue(home, enqueue, worker, monkeypatch):
    run, claim, failures = enqueue(), queue.claim, [OSError(5, "Input/output error")]
    take_name(home, "nanogpt-blog")

    def flaky(home):
        if failures:
            raise failures.pop()
        return claim(home)

    monkeypatch.setattr(queue, "claim", flaky)
    worker()
    assert (await until(home, run, *OVER))["cause"] == "name" and not failures


def test_a_child_sets_its_process_up_before_torch_is_imported(home, enqueue, monkeypatch):
    """Idle threads that spin made a step 8 times as long beside other programs."""
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setattr(child, "do_queued", lambda *_: None)
    child.main.main([str(enqueue())], standalone_mode=False)
    assert os.environ["GOMP_SPINCOUNT"] == "2000"


def test_only_training_imports_torch_and_after_the_name_was_checked(home, enqueue, monkeypatch):
    steps = []
    monkeypatch.setattr(child, "import_torch", lambda: steps.append("torch"))
    monkeypatch.setattr(child, "check_not_taken", lambda *_: steps.append("name"))
    monkeypatch.setattr(child, "_train", lambda *_: steps.append("train"))
    monkeypatch.setattr(score_rows, "score_rows", lambda *_: steps.append("score"))
    run = enqueue()
    for kind in ("train", "score"):
        with registry(home) as db:
            db.execute("update runs set kind = ?", [kind])
        child.do_queued(run, Stop(), lambda: steps.append("begun"), ready=lambda: steps.append("ready"))
    assert steps == ["name", "torch", "ready", "train", "ready", "begun", "score"]


def test_a_run_whose_name_was_taken_meanwhile_says_that_this_is_why(home, enqueue):
    run = enqueue()
    take_name(home, find_run(home, run)["name"])
    child.do_queued(run, Stop(), lambda: None)
    row = find_run(home, run)
    assert (row["status"], row["cause"]) == ("failed", "name") and "choose another name" in row["error"]


def test_a_run_that_is_stopped_while_torch_is_imported_is_stopped(home, enqueue, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(child, "import_torch", interrupt)
    run = enqueue()
    child.do_queued(run, Stop(), lambda: None)
    assert find_run(home, run)["status"] == "stopped"


async def test_two_servers_train_each_run_once_and_one_at_a_time(home, enqueue, worker):
    ids = [enqueue(name) for name in ("a", "b")]
    worker(), worker()
    rows = [await until(home, run, *OVER) for run in ids]
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert all(one["ended"] <= next["started"] for one, next in zip(rows, rows[1:], strict=False))
    with registry(home) as db:
        scores = db.execute("select run, count(*) from samples group by run").fetchall()
        untrained = db.execute("select run from samples where step = 0 and val_bpb is null").fetchall()
    assert [tuple(row) for row in scores] == [(run, scores[0][1]) for run in ids]
    assert [row[0] for row in untrained] == ids  # what each model writes before its first step


@pytest.mark.long
async def test_two_servers_and_a_terminal_on_one_home(home, database, enqueue, worker):
    command = [sys.executable, "-c", "import sys; from datasette.cli import cli; cli()", "nanogpt-train"]
    shape = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    options = ["--name=typed", "--max-iters=300", "--no-compile", *shape]
    typed = subprocess.Popen([*command, database, "entry", *options], stdout=subprocess.DEVNULL)
    end = time.monotonic() + HANG_SECONDS
    while not find_runs(home, "name = 'typed'"):
        assert typed.poll() is None and time.monotonic() < end
        await asyncio.sleep(0.05)
    queued = [enqueue("first"), enqueue("second")]
    for _ in range(2):
        worker()
    for run in queued:
        await until(home, run, *OVER)
    assert await asyncio.to_thread(typed.wait, HANG_SECONDS) == 0
    rows = find_runs(home)
    assert [row["status"] for row in rows] == ["finished"] * 3
    times = sorted((row["started"], row["ended"]) for row in rows)
    assert all(ended <= started for (_, ended), (started, _) in zip(times, times[1:], strict=False))
    assert {row["name"] for row in rows} == {"typed", "first", "second"}
    assert all(read_checkpoint(home / row["name"]) for row in rows)


@pytest.mark.parametrize("done", [119, 122, 125])
def test_what_is_left_of_a_run_is_no_more_than_it_was_given(home, enqueue, done):
    run = find_run(home, enqueue(minutes=10))
    end_run(home, run["id"], "interrupted")
    run = find_run(home, run["id"])
    (home / run["name"]).mkdir()
    write_state(home / run["name"], TrainState({}, Position(step=5, seconds=float(done))))
    with registry(home) as db:
        db.execute("update runs set val_bpb = 2.0")
    offered = minutes_to_offer(home, run, 60)
    assert settings_to_resume(home, run, str(offered), 60)["minutes"] == 10
    assert settings_to_resume(home, run, "9", 60)["minutes"] > 10
    assert minutes_to_offer(home, run, 2) == 2
    # A run that was to replace this one and never had a score took nothing away, and has nothing itself.
    another = find_run(home, enqueue(n_layer=6))
    assert minutes_to_offer(home, run, 60) is None
    end_run(home, another["id"], "stopped")
    assert minutes_to_offer(home, run, 60) == offered
    assert minutes_to_offer(home, find_run(home, another["id"]), 60) is None


def test_a_run_of_a_terminal_had_the_minutes_that_nobody_named(home, enqueue, make_model):
    settings = {"minutes": 10.0, "run_minutes": 10.0, "batch_size": 2, "device": "cpu"}
    make_model("nanogpt-blog", meta={"settings": settings})
    run = find_run(home, enqueue())
    end_run(home, run["id"], "stopped")
    write_state(home / run["name"], TrainState({}, Position(step=5, seconds=120.0)))
    with registry(home) as db:
        db.execute("update runs set val_bpb = 2.0")
    run = find_run(home, run["id"])
    assert minutes_to_offer(home, run, 60) == 8
    assert settings_to_resume(home, run, "8.0", 60)["minutes"] == 10


async def test_a_run_gives_way_and_is_stopped_and_one_that_waits_leaves_the_queue(home, enqueue, worker):
    run, waiting = enqueue("a", **ENDLESS), enqueue("b")
    worker()
    await until_trained(home, run)
    pid = find_run(home, run)["pid"]
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
    session = Path(f"/proc/{pid}/autogroup")
    if session.exists():
        assert session.read_text().strip().endswith(f"nice {NICENESS}")
    queue.ask_to_stop(home, waiting, 1)
    queue.ask_to_stop(home, run, 1)
    assert (await until(home, run, *OVER))["status"] == "stopped"
    assert (await until(home, waiting, *OVER))["pid"] is None
    delete_run(home, run)
    assert not find_runs(home, "id = ?", run) and read_checkpoint(home / "a")


async def test_the_next_server_goes_on_with_the_run_of_one_that_went(home, enqueue, worker):
    run, waiting = enqueue(**ENDLESS), enqueue("b")
    first = worker()
    await until_trained(home, run)
    pid = find_runs(home, "id = ?", run)[0]["pid"]
    with pytest.raises(NanogptError, match="stop it first"):
        delete_run(home, run)
    began = time.monotonic()
    await first.close()
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):  # gone, and not as a zombie
        os.kill(pid, 0)
    (row,) = find_runs(home, "id = ?", run)
    assert row["status"] == "interrupted" and find_runs(home, "id = ?", waiting)[0]["status"] == "queued"
    assert row["ended"] and row["error"] == "The server stopped during this run."
    queue.ask_to_stop(home, waiting, 1)
    worker()  # which goes on with it
    row = await until(home, run, "running")
    assert json.loads(row["plan"])["resumed_from"] > 0 and row["restarts"] == 1 and not row["goes_on"]
    kept = json.loads(row["plan"])["resumed_from"]
    while (await until(home, run, "running"))["step"] <= kept + 5:
        await asyncio.sleep(0.05)
    queue.ask_to_stop(home, run, 2)
    row = await until(home, run, *OVER)
    assert row["status"] == "stopped" and not row["goes_on"]
    with registry(home) as db:
        steps = [each[1] for each in metrics_after(db, run)]
    assert steps == sorted(steps)  # what was made again is there once


async def test_a_server_that_goes_before_training_began_leaves_the_run_in_the_queue(home, enqueue, worker):
    run = enqueue(**ENDLESS)
    first = worker()
    await until(home, run, "preparing")
    await first.close()
    (row,) = find_runs(home, "id = ?", run)
    assert row["status"] == "queued" and row["stop_requested"] == 0


async def test_a_plugin_of_the_servers_folder_decides_what_is_text(
    home, database, enqueue, tmp_path, monkeypatch
):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "every_second.py").write_text(
        "from datasette import hookimpl\n\n"
        "@hookimpl\n"
        "def nanogpt_document(row):\n"
        "    return None if row['id'] % 2 else False\n"
    )
    monkeypatch.chdir(tmp_path)
    datasette = Datasette([database], plugins_dir="plugins")
    try:
        datasette.root_enabled = True
        await datasette.invoke_startup()
        run = enqueue()
        await datasette.client.get("/")  # now its worker is at work
        row = await until(home, run, *OVER)
        assert (row["status"], row["error"]) == ("finished", None)
        (source,) = read_checkpoint(home / "nanogpt-blog").meta["source"]["tables"]
        assert source["skipped"] == {"left out by a plugin": 150}
        text = (await datasette.client.get(f"/-/nanogpt/runs/{run}", actor={"id": "root"})).text
        assert f"--plugins-dir {tmp_path / 'plugins'}" in re.sub(r"</?span>", "", text)
    finally:
        await datasette._nanogpt.close()
        datasette.close()
        pm.unregister(next(p for p in pm.get_plugins() if getattr(p, "__name__", "") == "every_second.py"))


async def test_a_child_that_is_killed_is_told(home, enqueue, worker):
    run, after = enqueue("a", **ENDLESS), enqueue("b")
    take_name(home, "b")
    worker()
    await until_trained(home, run)
    os.kill(find_runs(home, "id = ?", run)[0]["pid"], signal.SIGKILL)
    row = await until(home, run, *OVER)
    assert row["status"] == "interrupted" and "most likely because its memory ran out" in row["error"]
    assert row["cause"] == MEMORY
    assert (await until(home, after, *OVER))["cause"] == "name"


async def test_what_is_wrong_with_a_run_is_told_and_its_log_goes_with_its_record(home, enqueue, worker):
    run = enqueue(n_embd=18, n_head=6)
    worker()
    row = await until(home, run, *OVER)
    assert row["status"] == "failed" and "must be an even number" in row["error"]
    assert row["log"] == f".logs/run-{run}.log"
    log = (home / row["log"]).read_text()
    assert f"Run {run}, in process {row['pid'] or ''}" in log and row["error"] in log
    assert f"datasette nanogpt-train {row['database']} entry" in log and "{" not in log
    delete_run(home, run)
    assert not run_log_file(home, run).exists()


async def test_all_that_a_child_printed_is_kept(home, enqueue, worker):
    run = enqueue()
    worker().options = ["--no-such-option"]
    row = await until(home, run, *OVER)
    log = run_log_file(home, run).read_text()
    assert row["status"] == "failed" and log.startswith("Usage:")
    last = log.strip().splitlines()[-1]
    assert row["error"] == f"The process of this run ended unexpectedly: {last}" and "no-such-option" in last


async def test_a_server_goes_on_after_an_end_that_could_not_be_noted(home, enqueue, worker, monkeypatch):
    """As on a disk that is full for a while."""
    first, second = enqueue("a", n_head=0), enqueue("b")
    end, failed = end_run, []

    def fails_once(*args):
        if not failed:
            failed.append(args)
            raise sqlite3.OperationalError("database or disk is full")
        end(*args)

    monkeypatch.setattr(worker_module, "end_run", fails_once)
    monkeypatch.setattr(Worker, "_run_child", nothing_happened)
    worker()
    assert (await until(home, second, *OVER))["status"] == "failed"
    assert (await until(home, first, *OVER))["status"] == "interrupted"


async def nothing_happened(worker, run, errors):
    with registry(worker.home) as db:  # a sign of life that is long ago, of a run that is not to go on
        db.execute("update runs set heartbeat = 0, stop_requested = 1 where id = ?", [run])
    return 1


def test_the_dead_are_told_from_the_quiet(home, enqueue):
    dead, quiet, alive = (enqueue(name) for name in ("dead", "quiet", "alive"))
    with registry(home) as db:
        db.execute("update runs set status = 'running', heartbeat = ?", [time.time() - 60])
        db.execute("update runs set heartbeat = ? where id = ?", [time.time(), alive])
    with hold(home / "quiet"):
        assert queue.claim(home) is None
        mark_dead_runs(home)
    found = {row["id"]: row["status"] for row in find_runs(home)}
    assert found == {dead: "interrupted", quiet: "running", alive: "running"}


def test_the_queue_has_an_end(home, enqueue, database):
    enqueue("a")
    with pytest.raises(NanogptError, match="waiting already: choose another"):
        enqueue("a")
    settings = {"name": "b", "table": "entry"}
    with pytest.raises(NanogptError, match="1 run is waiting"):
        queue.enqueue(home, database, settings, None, limit=1)


def test_a_home_without_runs_stays_as_it_is(home):
    assert find_runs(home) == [] and queue.claim(home) is None and not home.exists()


def test_many_may_open_a_new_registry_at_once(home):
    from concurrent.futures import ThreadPoolExecutor

    from datasette_nanogpt.registry.db import open_registry

    with ThreadPoolExecutor(12) as pool:
        for db in pool.map(lambda _: open_registry(home, create=True), range(12)):
            assert "note" in [column["name"] for column in db.execute("pragma table_info(runs)")]


# ---- What a child is given, and what it leaves


@pytest.mark.parametrize("umask", [0, 0o077])
def test_no_umask_lets_others_in_or_the_owner_out(home, make_model, enqueue, umask):
    """Whoever makes the home: a command, a server, or a program that imports us."""
    kept = os.umask(umask)
    try:
        make_home(home)
        run = enqueue()
        open_run_log(run_log_file(home, run)).close()
        with hold(home / "a"):
            end_run(home, run, "stopped")
    finally:
        os.umask(kept)
    modes = {path.relative_to(home): path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    assert modes[Path("nanogpt.db")] == 0o600 and modes[Path()] == modes[Path(".logs")] == 0o700
    assert set(modes.values()) == {0o600, 0o700}


async def test_neither_a_broken_plugin_of_llm_nor_modules_beside_the_data_fail_a_run(
    home, enqueue, worker, tmp_path, monkeypatch
):
    folder, data = tmp_path / "broken", tmp_path / "data"
    (folder / "llm_broken-1.dist-info").mkdir(parents=True)
    (folder / "llm_broken-1.dist-info" / "METADATA").write_text("Name: llm-broken\nVersion: 1\n")
    entry = "[llm]\nbroken = llm_broken\n"
    (folder / "llm_broken-1.dist-info" / "entry_points.txt").write_text(entry)
    (folder / "llm_broken.py").write_text("import a_module_that_nobody_has\n")
    data.mkdir()
    evil = "from pathlib import Path\nPath(__file__).with_name('was run').touch()\nraise SystemExit(1)\n"
    run = enqueue()
    for place in (home, data):
        for module in ("click.py", "torch.py", "llm.py"):
            (place / module).write_text(evil)
    monkeypatch.chdir(data)
    old = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), *old, ""])
    )  # "" is the folder that a process stands in
    worker()
    row = await until(home, run, *OVER)
    assert (row["status"], row["error"]) == ("finished", None)
    assert "llm's plugin broken does not load" in run_log_file(home, run).read_text()
    assert not [*home.rglob("was run"), *data.rglob("was run")]


# ---- Runs that do not end by themselves

BEGIN = """
import signal
from pathlib import Path
from datasette import hookimpl

def is_stuck():
    Path(__file__).with_suffix(".begun").touch()

@hookimpl
def prepare_connection(conn):
    conn.create_function("is_stuck", 0, is_stuck)
"""
IN_PYTHON = """
@hookimpl
def nanogpt_document(row):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    is_stuck()
    while True:
        pass
"""
IN_SQL = "with recursive c(x) as (select is_stuck() union all select ifnull(x, 0) + 1 from c) select x from c"


@pytest.mark.parametrize("stuck_in", ["sql", "python"])
async def test_stop_now_ends_a_run_that_is_stuck(home, enqueue, worker, tmp_path, monkeypatch, stuck_in):
    monkeypatch.setattr(worker_module, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(worker_module, "TERM_SECONDS", 1.0)
    (tmp_path / "stuck.py").write_text(BEGIN + (IN_PYTHON if stuck_in == "python" else ""))
    endless = {"where": f"id in ({IN_SQL} where x < 0)"} if stuck_in == "sql" else {}
    run, after = enqueue("a", **endless), enqueue("b")
    take_name(home, "b")
    first = worker()
    first.options = ["--plugins-dir", str(tmp_path)]
    while not (tmp_path / "stuck.begun").exists():
        await until(home, run, "queued", "preparing")
        await asyncio.sleep(0.05)
    pid = first.child.pid
    first.options = []
    queue.ask_to_stop(home, run, 2)
    row = await until(home, run, *OVER)
    assert row["status"] == "stopped" and "its process was ended" in row["error"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await until(home, after, *OVER))["status"] == "failed"


async def test_a_run_stops_when_its_server_is_killed(home, enqueue):
    run = enqueue(**ENDLESS)
    code = "import asyncio\nfrom pathlib import Path\nfrom datasette_nanogpt.web.worker import Worker\n"
    code += f"asyncio.run(Worker(Path({str(home)!r})).work(None))\n"
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await until_trained(home, run)
    pid = find_run(home, run)["pid"]
    server.kill()
    await server.wait()
    async with asyncio.timeout(HANG_SECONDS):
        while process_id(pid):
            await asyncio.sleep(0.05)
    row = find_run(home, run)
    assert (row["status"], row["error"]) == ("interrupted", "The server stopped during this run.")
    assert minutes_to_offer(home, row, 60)


@pytest.mark.parametrize("shift", [-3600, 0, 3600])
def test_no_clock_keeps_a_dead_run_alive_or_kills_one_that_lives(home, enqueue, monkeypatch, shift):
    dead, reused, unknown, alive = (enqueue(name) for name in ("dead", "reused", "unknown", "alive"))
    gone = subprocess.Popen(["sleep", "60"])
    of_gone = process_id(gone.pid)
    gone.kill()
    here = process_id()
    while is_alive(of_gone):  # nobody has waited for it yet, but that does not count
        time.sleep(0.01)
    gone.wait()
    with registry(home) as db:
        db.execute("update runs set status = 'running', heartbeat = ?", [time.time() - shift])
        for run, process in ((dead, of_gone), (reused, f"{here}0"), (alive, here)):
            db.execute("update runs set process = ? where id = ?", [process, run])
    mark_dead_runs(home)
    found = {row["id"]: row["status"] for row in find_runs(home)}
    expected = {dead: "interrupted", reused: "interrupted", alive: "running"}
    assert found == expected | {unknown: "interrupted" if shift else "running"}


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names in UTF-8")
async def test_a_run_of_a_file_whose_name_is_not_utf8(home, database, worker, enqueue):
    path = os.fsdecode(os.fsencode(database).replace(b"blog", b"caf\xe9"))
    os.rename(database, path)
    run = enqueue(name="nanogpt-cafe", database=path, max_iters=2)
    worker()
    row = await until(home, run, "finished", "failed")
    assert row["status"] == "finished", row["error"]
    assert read_checkpoint(home / "nanogpt-cafe").meta["source"]["database"].endswith("caf\\xe9.db")


async def test_stop_now_sends_sigterm_to_a_run_of_a_terminal(home, enqueue, worker, monkeypatch):
    monkeypatch.setattr(terminal_runs, "ASK_SECONDS", 0.5)
    stuck = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    run = enqueue("typed")
    with registry(home) as db:
        now = {"status": "running", "pid": stuck.pid, "process": process_id(stuck.pid)}
        update_run(db, run, now | {"heartbeat": time.time(), "stop_requested": 2})
    worker()
    assert await asyncio.to_thread(stuck.wait, HANG_SECONDS) == -signal.SIGTERM


def test_nobody_is_sent_sigterm_in_the_place_of_another(home, enqueue, monkeypatch):
    monkeypatch.setattr(terminal_runs, "ASK_SECONDS", -1.0)
    run, other = enqueue("typed"), process_id().rsplit("/", 1)[0] + "/1"  # its number is given to us now
    with registry(home) as db:
        update_run(db, run, {"status": "running", "process": other, "stop_requested": 2})
    runs = terminal_runs.TerminalRuns(home)
    runs.insist()
    assert runs.sent == {run}  # and this process lives
