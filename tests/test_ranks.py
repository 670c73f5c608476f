"""Several processes that train one model, or each one its own, as torchrun really starts them."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import sqlite_utils
from conftest import HANG_SECONDS, TEXTS

from datasette_nanogpt.training.check import check
from datasette_nanogpt.training.options import TrainOptions
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError

TINY = ["--n-layer", "1", "--n-head", "2", "--n-embd", "32", "--block-size", "32", "--batch-size", "4"]
TINY += ["--vocab-size", "400", "--device", "cpu", "--dropout", "0", "--no-compile"]
ENDLESS = [*TINY, "--minutes", 10, "--max-iters", 10**7]  # with minutes alone, so little text ends it


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "blog.db"
    rows = ({"title": f"T{i}", "body": t} for i, t in enumerate(TEXTS))
    sqlite_utils.Database(path)["entry"].insert_all(rows)
    return path


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def start():
    """Start a run under torchrun; what a failed test leaves behind is ended."""
    running = []

    def begin(*args, launcher=TORCHRUN, program=("-m", "datasette_nanogpt")):
        command = [sys.executable, *launcher, *program, "train", *map(str, args), "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # A group of its own, as a terminal gives it.
        running.append(subprocess.Popen(command, start_new_session=True, **pipes))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=HANG_SECONDS)


def finish(process):
    out, errors = process.communicate(timeout=HANG_SECONDS)
    return [json.loads(line) for line in out.splitlines()], errors


def until(process, kind):
    """The next event of that kind."""
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError(process.stderr.read())


def workers(process):
    """The processes that torchrun started."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as fp:
                parent = int(fp.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == process.pid:
            found.append(int(pid))
    return sorted(found)


def alive(pids):
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def registered(home):
    return list(sqlite_utils.Database(home / "nanogpt.db")["runs"].rows)


@pytest.mark.long
def test_two_processes_learn_what_one_does(database, start, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums over more threads are rounded differently
    limits = ["--max-iters", 20, "--eval-interval", 10]
    alone, _ = finish(start(database, "entry", *TINY, "--name", "one", *limits, launcher=()))
    both, errors = finish(start(database, "entry", *TINY, "--name", "two", *limits))
    kinds = [e["event"] for e in both]
    assert kinds.count("prepared") == kinds.count("finished") == 1, errors  # one process speaks
    assert "Traceback" not in errors
    # On a slow machine there may be a score before step 10, the sooner to have one.
    mine, theirs = (
        {e["step"]: e["val_bpb"] for e in run if e["event"] == "evaluation" and not e["step"] % 10}
        for run in (alone, both)
    )
    assert list(mine) == [10, 20] and theirs == pytest.approx(mine, abs=1e-4)
    resumed, _ = finish(start(database, "entry", "--name", "two", "--resume", "--max-iters", 30))
    assert resumed[-1]["step"] == 30


@pytest.mark.long
def test_two_processes_go_on_to_the_next_model(database, home, start):
    events, errors = finish(start(database, "entry", *TINY, "--minutes", 0.9))
    models = read_checkpoint(home / "nanogpt-blog").meta["generations"]
    # A busy machine adds notes of its own, of models that are left out or added.
    kinds = [e["event"] for e in events if e["event"] in ("note", "finished")]
    assert kinds.index("finished") == len(kinds) - 1 >= len(models), errors
    assert len(models) > 1 and 0 < events[-1]["step"] <= models[-1]["settings"]["max_iters"]


@pytest.mark.long
def test_each_model_of_two_processes_learns_what_it_does_in_one(database, home, start, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # More minutes than the models need, as otherwise a busy machine cuts one of them short. How long the last
    # one is depends on the speed that was measured, so two are compared.
    limits = ["--minutes", 10, "--eval-interval", 10**6]
    alone = start(database, "entry", *TINY, "--name", "one", *limits, launcher=())
    mine = [until(alone, "evaluation") for _ in range(2)]
    os.killpg(alone.pid, signal.SIGKILL)
    both = start(database, "entry", *TINY, "--name", "two", *limits)
    theirs = [until(both, "evaluation") for _ in range(2)]
    assert [e["step"] for e in mine] == [e["step"] for e in theirs]
    assert [e["val_bpb"] for e in theirs] == pytest.approx([e["val_bpb"] for e in mine], rel=1e-3)


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for processes in /proc")
def test_ctrl_c_ends_all_and_keeps_what_was_learnt(database, home, start):
    process = start(database, "entry", *ENDLESS)
    until(process, "step")
    started = workers(process)
    assert len(started) == 2
    os.killpg(process.pid, signal.SIGINT)
    events, _ = finish(process)
    kinds = [e["event"] for e in events if e["event"] not in ("step", "busy")]
    assert kinds == ["note", "evaluation", "finished"]
    assert events[-1]["status"] == "stopped" and not alive(started)
    (run,) = registered(home)
    assert run["status"] == "stopped"
    step = read_checkpoint(home / "nanogpt-blog").meta["training"]["step"]
    resumed, errors = finish(start(database, "entry", "--resume", "--minutes", 10, "--max-iters", step + 20))
    assert resumed[-1]["step"] == step + 20, errors


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for processes in /proc")
def test_a_process_that_dies_ends_all_with_one_message(database, home, start):
    process = start(database, "entry", *ENDLESS)
    until(process, "evaluation")
    started = workers(process)
    os.kill(started[-1], signal.SIGKILL)
    _, errors = finish(process)
    assert process.returncode and not alive(started)
    assert errors.count("Error: One of the 2 processes was killed: go on with --resume") == 1
    (run,) = registered(home)
    assert run["status"] == "failed" and "--resume" in run["error"]


@pytest.mark.long
def test_a_mistake_is_told_once(database, home, start):
    process = start(database, "nope", *TINY, "--batch-size", 3)
    _, errors = finish(process)
    told = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert process.returncode and len(told) == 2, errors
    assert "--batch-size: The batch must be a multiple of the 2 processes" in told[0] and "entry" in told[1]
    assert not home.exists()


def test_what_cannot_be_divided_is_told_before_any_work(database, monkeypatch):
    """In this process, as if torchrun had started it."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(NanogptError, match="multiple of the 3 processes") as ex:
        check(TrainOptions(str(database), "entry", batch_size=4, n_layer=0))
    assert "layers" in str(ex.value)


@pytest.fixture
def two_machines(database, start, tmp_path, monkeypatch):
    """Two torchruns with two processes each; the second one has neither the table nor a home to write in."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    def begin(*limits, each=2, **program):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        launchers = []
        for rank in (0, 1):
            launchers.append(["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", str(each)])
            launchers[-1] += ["--node-rank", str(rank)]
            launchers[-1] += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
        first = start(database, "entry", *limits, launcher=launchers[0], **program)
        with monkeypatch.context() as second:
            second.setenv("NANOGPT_HOME", "/dev/null/nowhere")
            elsewhere = tmp_path / "not-there.db"
            return first, start(elsewhere, "entry", *limits, launcher=launchers[1], **program)

    return begin


@pytest.mark.long
def test_two_machines_of_which_one_has_the_home(home, two_machines, tmp_path):
    first, second = two_machines(*TINY, "--max-iters", 20, "--eval-interval", 10)
    events, errors = finish(first)
    silent, second_errors = finish(second)
    assert events[-1]["event"] == "finished" and events[-1]["step"] == 20, errors + second_errors
    assert silent == [] and "Traceback" not in errors + second_errors
    assert not list((tmp_path / "temporary").rglob("train.bin"))
    assert read_checkpoint(home / "nanogpt-blog").meta["training"]["status"] == "finished"


@pytest.mark.long
def test_ctrl_c_on_the_first_of_two_machines_ends_both(home, two_machines):
    first, second = two_machines(*ENDLESS)
    until(first, "step")
    os.killpg(first.pid, signal.SIGINT)
    events, errors = finish(first)
    assert events[-1]["event"] == "finished" and events[-1]["status"] == "stopped", errors
    finish(second)
    assert read_checkpoint(home / "nanogpt-blog").meta["training"]["status"] == "stopped"


@pytest.mark.long
def test_a_lost_machine_ends_the_run_with_one_message(home, two_machines):
    first, second = two_machines(*ENDLESS)
    until(first, "evaluation")
    for worker in workers(second):
        os.kill(worker, signal.SIGKILL)
    os.killpg(second.pid, signal.SIGKILL)
    _, errors = finish(first)
    assert first.returncode
    assert errors.count("Error: One of the 4 processes was killed: go on with --resume") == 1
    (run,) = registered(home)
    assert run["status"] == "failed" and "--resume" in run["error"]


# ---- Members of a generation, each in a process of its own

# A run of generations of a few tiny models: in a process of its own, so that the planner can be told so.
SCRIPT = """
import runpy, sys
from datasette_nanogpt.training import measure, population
population.MAX_EPOCHS = {epochs}
from datasette_nanogpt.training import choose_members, reading
choose_members.MAX_MODELS, reading.MOST_REPEATS = {members} + 1, 1
choose_members.FEWEST_MEMBERS = choose_members.MOST_MEMBERS = {members}
choose_members.FEWEST_GENERATIONS = choose_members.MOST_GENERATIONS = 1
measure.training_flops = lambda *_: 1e15
runpy.run_module("datasette_nanogpt", run_name="__main__")
"""
SHAPE = ["--n-layer", 1, "--n-head", 2, "--n-embd", 32, "--block-size", 16, "--batch-size", 16]
SHAPE += ["--vocab-size", 300, "--device", "cpu", "--no-compile", "--eval-interval", 10**6, "--minutes", 10]


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums over more threads are rounded differently

    def write(members, epochs=4.0):
        path = tmp_path / f"members{members}.py"
        path.write_text(SCRIPT.format(members=members, epochs=epochs))
        return (str(path),)

    return write


def last_scores(home, name):
    """The last score of each model, in bits per byte, by its number."""
    rows = sqlite_utils.Database(home / "nanogpt.db").query(
        "select model, val_bpb from metrics where val_bpb is not null and run in "
        "(select id from runs where name = ?) order by step",
        [name],
    )
    return {row["model"]: row["val_bpb"] for row in rows}


@pytest.mark.long
def test_members_that_are_trained_at_once_are_those_trained_in_turn(home, database, start, script):
    count = 3  # two at once, and one that both processes train together
    program = script(count)
    alone, _ = finish(start(database, "entry", *SHAPE, "--name", "one", launcher=(), program=program))
    both, errors = finish(start(database, "entry", *SHAPE, "--name", "two", program=program))
    assert both[-1]["event"] == "finished" and both[-1]["models"] == count + 1, errors
    assert "Traceback" not in errors
    notes = [e["text"] for e in both if e["event"] == "note"]
    assert any("at the same time, model 2 in another process" in text for text in notes)
    assert f"Model 2 of {count + 1} was trained by another process." in notes
    mine, theirs = last_scores(home, "one"), last_scores(home, "two")
    assert theirs == {model: pytest.approx(bpb, rel=2e-3) for model, bpb in mine.items()}
    for model in (1, 2):  # not divided among processes, so rounded alike
        assert theirs[model] == pytest.approx(mine[model], rel=1e-6)
    # What is kept is the best of all, whoever trained it.
    assert read_checkpoint(home / "two").meta["score"]["val_bpb"] == min(
        e["val_bpb"] for e in both if e["event"] == "evaluation"
    )


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", ["Ctrl+C", "killed"])
def test_a_run_that_ends_while_members_are_trained_goes_on_in_one_process(home, database, start, script, how):
    program = script(2, epochs=60.0)
    process = start(database, "entry", *SHAPE, "--name", "two", program=program)
    until(process, "step")
    started = workers(process)
    assert len(started) == 2
    if how == "Ctrl+C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(started[-1], signal.SIGKILL)
    events, errors = finish(process)
    assert not alive(started)
    if how == "Ctrl+C":
        assert events[-1]["event"] == "finished" and events[-1]["status"] == "stopped", errors
    else:
        assert errors.count("Error: One of the 2 processes was killed: go on with --resume") == 1, errors
    on = ["--name", "two", "--resume"]
    resumed, errors = finish(start(database, "entry", *on, launcher=(), program=program))
    assert resumed[-1]["status"] == "finished" and resumed[-1]["models"] == 3, errors
    assert set(last_scores(home, "two")) == {1, 2, 3}


@pytest.mark.long
def test_a_machine_without_a_home_trains_a_member(home, two_machines, script, tmp_path):
    first, second = two_machines(*SHAPE, "--name", "two", each=1, program=script(2))
    events, errors = finish(first)
    silent, second_errors = finish(second)
    assert events[-1]["event"] == "finished" and events[-1]["models"] == 3, errors + second_errors
    assert silent == [] and "Traceback" not in errors + second_errors
    assert "Model 2 of 3 was trained by another process." in [e.get("text") for e in events]
    assert set(last_scores(home, "two")) == {1, 2, 3}
    assert not list((tmp_path / "temporary").rglob("train.bin"))


GROUPS = """
import runpy
from datasette_nanogpt.training import population
population.MAX_EPOCHS = 1.0
from datasette_nanogpt.training import choose_members, join_models, measure, reading
choose_members.MAX_MODELS, reading.MOST_REPEATS = 3, 1
join_models.WORTH_JOINING = join_models.FAR_WORSE = 10  # models this young may differ by any amount
measure.training_flops = lambda *_: 1e15
runpy.run_module("datasette_nanogpt", run_name="__main__")
"""


@pytest.mark.long
def test_a_group_that_is_trained_at_once_ends_the_run_and_is_joined(home, database, start, tmp_path):
    (program := tmp_path / "groups.py").write_text(GROUPS)
    shape = [*SHAPE[SHAPE.index("--block-size") :], "--name", "two"]
    events, errors = finish(start(database, "entry", *shape, program=(str(program),)))
    assert (events[-1]["event"], events[-1].get("models")) == ("finished", 3), errors
    notes = [e["text"] for e in events if e["event"] == "note"]
    assert "Model 3 of 3 was trained by another process." in notes
    assert any(text.startswith("This run ends with 2 models joined into one") for text in notes)
    checkpoint = read_checkpoint(home / "two")
    assert checkpoint.config.n_embd == 2 * checkpoint.meta["generations"][-1]["config"]["n_embd"]
    assert set(last_scores(home, "two")) == {0, 1, 2, 3}
