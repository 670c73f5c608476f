"""The benchmarks in `benchmarks/` keep running: tiny, and without a word on their figures."""

import json
import runpy
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from datasette_nanogpt.training.memory import process_bytes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def vs_nanogpt(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import vs_nanogpt

    return vs_nanogpt


@pytest.fixture
def measure(monkeypatch, capsys):
    """measure("writing.py", …) does what typing this does, in this process: a new one imports all anew."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(program, *arguments):
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        capsys.readouterr()
        code = None
        try:
            runpy.run_path(str(BENCHMARKS / program), run_name="__main__")
        except SystemExit as end:
            code = end.code
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


def test_sample_speed_prints_its_table(tmp_path, measure):
    out = tmp_path / "speed.json"
    told = measure("sample_speed.py", "0.2M", "--seconds", "0.01", "--skip", "cold", "--json", out).out
    assert told.splitlines()[1].split()[:2] == ["0.2M", "226,112"]
    (size,) = json.loads(out.read_text())["sizes"]
    assert size["megabytes_read"] == pytest.approx((226_112 - 512 * 64 - 448 - 384) * 4 / 1e6, abs=0.01)
    assert size["numpy_us"] > size["floor_cache_us"] > 0


def test_train_speed_prints_its_table(tmp_path):
    out = tmp_path / "speed.json"
    command = [sys.executable, BENCHMARKS / "train_speed.py", "xs", "--seconds", "0.01", "--no-compile"]
    command += ["--vocab-size", "300", "--device", "cpu", "--json", out]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split()[:2] for line in told.splitlines()[2:]] == [["xs", "fp32"], ["xs", "bf16"]]
    rows = json.loads(out.read_text())["rows"]
    assert all(row["tokens_per_second"] > 0 and row["mfu"] > 0 for row in rows)


def write_notes(path):
    with sqlite3.connect(path) as db:
        db.execute("create table note (title, body)")
        texts = (
            (f"Note {i}", f"Row {i * 7919 % 1000} of many, {i * 31 % 89} in all. " * 9) for i in range(150)
        )
        db.executemany("insert into note values (?, ?)", texts)


def test_plan_grid_trains_and_prints_its_table(tmp_path):
    write_notes(tmp_path / "notes.db")
    command = [sys.executable, BENCHMARKS / "plan_grid.py", tmp_path / "notes.db", "note"]
    command += [
        "--megabytes",
        "0.03",
        "9",
        "--minutes",
        "0.02",
        "--sizes",
        "xs",
        "--json",
        tmp_path / "grid.json",
    ]
    told = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert "note has less than 9 MB to train on" in told[0]
    grid = json.loads((tmp_path / "grid.json").read_text())
    ((row,), (choice,)) = grid["rows"], grid["choices"]  # nothing is measured twice
    assert (row["size"], choice["megabytes"]) == ("xs", 0.03)
    assert f"size {choice['chosen']} " in choice["why"]
    assert told[1].splitlines()[-1].split()[-2:] == [f"({row['readings']:.1f})", choice["chosen"]]
    assert f"{row['bpb']:.3f}*" in told[1]


def test_a_run_that_ended_by_itself_stands_for_more_minutes(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from plan_grid import known, table_of

    def row(minutes, size, seconds, bpb):
        cell = {"table": "note", "megabytes": 1, "minutes": minutes}
        return cell | {"size": size, "seconds": seconds, "bpb": bpb, "tokens": 5000, "readings": 4}

    rows = [row(1, "xs", 20, 2.5), row(1, "s", 60, 2.0), row(3, "m", 181, 1.5)]
    taught = row(1, "l", 20, 1.4) | {"models": 2}
    assert known([taught], rows[2], "l") is None  # three minutes have room for a third
    assert known(rows, rows[2], "xs") is rows[0]
    assert known(rows, rows[2], "s") is None and known(rows, rows[0], "m") is None
    chosen = {"table": "note", "megabytes": 1, "minutes": 3, "chosen": "m"}
    _, first, second = table_of({"rows": rows, "choices": [chosen]})
    assert first.split()[4:] == ["1", "2.500", "(4.0)", "2.000*", "(4.0)", "?"]
    assert second.split()[4:] == ["3", "2.500", "(4.0)", "1.500*", "(4.0)", "m"]


CURVE = {"steps": 1500, "points": [[0, 5.0, 0.0], [500, 3.0, 100.0], [1000, 2.0, 200.0], [1500, 2.5, 300.0]]}


@pytest.mark.parametrize(
    ("step", "score"), [(0, 5.0), (250, 4.0), (500, 3.0), (900, 2.2), (1000, 2.0), (1400, 2.0), (9999, 2.0)]
)
def test_a_curve_tells_the_best_so_far(vs_nanogpt, step, score):
    assert vs_nanogpt.score_at(CURVE, step) == pytest.approx(score)
    assert vs_nanogpt.best_of(CURVE) == (1000, 2.0)


def lines_of_a_run(recipe, steps, resumed_from=None):
    prepared = {
        "event": "prepared",
        "corpus": {"sha256": "ab", "train_bytes": 900, "val_bytes": 100, "val_tokens": 40},
        "config": {"vocab_size": 2**10, **{k: recipe[k] for k in ("arch", "n_layer", "n_head", "n_embd")}},
        "settings": {"compile": True, "batch_size": recipe["batch_size"]},
        "tokenizer": recipe["tokenizer"],
        "resumed_from": resumed_from,
    }
    prepared["config"]["block_size"] = recipe["block_size"]
    prepared["settings"]["learning_rate"] = recipe["learning_rate"]
    scores = [{"event": "evaluation", "step": s, "val_bpb": 1000 / s, "seconds": s / 4} for s in steps]
    return "".join(json.dumps(event) + "\n" for event in [prepared, *scores])


def test_a_curve_from_a_run_and_its_resume(vs_nanogpt, tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(lines_of_a_run(vs_nanogpt.RECIPE, [500, 1000]))
    second.write_text(lines_of_a_run(vs_nanogpt.RECIPE, [1000, 1500], resumed_from=700))
    curve = vs_nanogpt.record("blog.db", "entry", [first, second])
    # At step 0 each of 40 tokens costs 10 bits.
    assert curve["points"] == [[0, pytest.approx(4.0), 0], [500, 2, 125], [1000, 1, 250], [1500, 2 / 3, 375]]
    assert (curve["steps"], curve["corpus_sha256"], curve["val_bytes"]) == (1500, "ab", 100)
    assert curve["command"].endswith("--learning-rate 0.0006 --max-iters 20000 --eval-interval 500")
    first.write_text(lines_of_a_run(vs_nanogpt.RECIPE | {"n_layer": 2}, [500]))
    with pytest.raises(SystemExit, match="another recipe: n_layer"):
        vs_nanogpt.record("blog.db", "entry", [first])


def run_faults(tmp_path, *arguments):
    """Returns the rows of its table, and what was not survived."""
    command = [sys.executable, BENCHMARKS / "faults.py", *arguments, "--json", tmp_path / "faults.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    figures = json.loads((tmp_path / "faults.json").read_text())
    return figures["rows"], figures["failed"]


def test_a_sample_of_faults(tmp_path):
    rows, failed = run_faults(tmp_path, "rename", "restore", "restore, 2 renames", "--share", "0.05")
    assert failed == [] and all(row["tried"] == row["survived"] > 0 for row in rows)


@pytest.mark.long
def test_a_sample_of_what_a_disk_refuses():
    command = [sys.executable, BENCHMARKS / "disk_errors.py", "rename", "export", "train", "--every", "12"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) >= 4


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it looks up files in /proc")
def test_a_sample_of_what_a_disk_refuses_sqlite():
    command = [sys.executable, BENCHMARKS / "sqlite_errors.py", "keep a text", "rename", "--tries", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if " registry " in line]
    assert [row[-3] for row in rows] == [row[-2] for row in rows] and len(rows) == 2


def test_faults_end_in_time_and_are_spread(tmp_path, monkeypatch):
    rows, failed = run_faults(tmp_path, "rename", "--kill", "--minutes", "0.0001")
    assert failed == [] and rows[0]["tried"] == 1 < rows[0]["of"]
    monkeypatch.syspath_prepend(BENCHMARKS)
    from kill_models import evenly

    for total in (1, 2, 7, 64, 100):
        assert sorted(evenly(total, 1)) == list(range(total))
        assert sorted(evenly(total, 0.25)) == list(range(0, total, 4))
    first = sorted(evenly(100, 1)[:8])
    assert all(b - a < 30 for a, b in zip(first, first[1:], strict=False))


@pytest.mark.long
def test_slow_readers_take_little_memory(tmp_path):
    command = [sys.executable, BENCHMARKS / "server_load.py", "--slow", "20", "--seconds", "3"]
    subprocess.run([*command, "--json", tmp_path / "load.json"], check=True, capture_output=True)
    found = json.loads((tmp_path / "load.json").read_text())
    assert found["least_read"] > 0 and found["most"] < found["before"] + 100  # megabytes


@pytest.mark.long
def test_a_server_under_load(tmp_path):
    command = [sys.executable, BENCHMARKS / "server_load.py", "--clients", "3", "--minutes", "0.1"]
    subprocess.run([*command, "--json", tmp_path / "load.json"], check=True, capture_output=True)
    found = json.loads((tmp_path / "load.json").read_text())
    assert found["errors"] == {} and found["requests"] > 3 and len(found["memory"]) > 3


@pytest.mark.long
def test_the_memory_of_a_run_is_as_estimated(tmp_path):
    command = [sys.executable, BENCHMARKS / "memory.py", "--shapes", "1", "--json", tmp_path / "memory.json"]
    subprocess.run(command, check=True, capture_output=True)
    (row,) = json.loads((tmp_path / "memory.json").read_text())["rows"]
    assert abs(row["differs"]) < 0.25


@pytest.mark.long
def test_a_long_row_and_many_short_ones_take_little_memory(tmp_path):
    options = ["--rows", "--megabytes", "20", "--thousands", "100", "--json", tmp_path / "memory.json"]
    subprocess.run([sys.executable, BENCHMARKS / "memory.py", *options], check=True, capture_output=True)
    rows = json.loads((tmp_path / "memory.json").read_text())["rows"]
    limit = 350e6 + process_bytes()
    assert all(row["peak"] < limit for row in rows), rows  # 0.9 GB once, for the long one


def test_steering_prints_its_table(home, bpe, measure):
    from conftest import TEXTS, write_model

    from datasette_nanogpt.data.token_files import write_tokens

    folder = write_model(home / "nanogpt-x", bpe, titles=True, block_size=128)
    (folder / "training").mkdir()
    documents = [f"Row {i} jumps\n\n{text}" for i, text in enumerate(TEXTS[:9])]
    for split in ("train", "val"):
        list(write_tokens(documents, bpe, folder / "training" / f"{split}.bin"))
    told = measure("steering.py", folder, "--texts", "2", "--tokens", "9").out
    names = [line.split("|")[1].strip() for line in told.splitlines() if line.count("|") == 12]
    assert names == ["guidance", "---", "the rows", "1", "2"]
    assert "| the beginning | 9 |" in told


def test_conditions_prints_its_table(home, bpe, measure):
    from conftest import TEXTS, write_model

    from datasette_nanogpt.data.token_files import write_tokens

    source = {"template": "{{ kind }}\n\n{{ text }}", "body": ["kind", "text"]}
    folder = write_model(home / "nanogpt-x", bpe, titles=True, block_size=128, meta={"source": source})
    (folder / "training").mkdir()
    documents = [f"{('foxes', 'dogs')[i % 2]}\n\n{text}" for i, text in enumerate(TEXTS[:10])]
    for split in ("train", "val"):
        list(write_tokens(documents, bpe, folder / "training" / f"{split}.bin"))
    told = measure("conditions.py", "--model", folder, "--texts", "2", "--tokens", "9").out
    names = [line.split("|")[1].strip() for line in told.splitlines() if line.count("|") == 5]
    assert names == ["", "---", "held-out rows", "guidance 1", "guidance 2", "none"]


def test_writing_prints_its_table(tmp_path, measure):
    with sqlite3.connect(tmp_path / "notes.db") as db:
        db.execute("create table note (title, body)")
        texts = (
            (f"Note {i}", f"Row {i * 7919 % 1000} of many, {i * 31 % 89} in all. " * 3) for i in range(60)
        )
        db.executemany("insert into note values (?, ?)", texts)
    options = ["--tokens", "30", "--texts", "4", "--seeds", "2", "--json", tmp_path / "writing.json"]
    options += ["--home", tmp_path / "home"]
    told = measure("writing.py", tmp_path / "notes.db", "note", "--minutes", "0.02", *options)
    assert told.code is None
    names, _, cells = (line.split(" | ") for line in told.out.splitlines())
    assert cells[0].startswith("| nanogpt-note-0.02, ") and len(names) == len(cells)
    assert {"real", "js1", "tokens"} <= set(names) and "fence" not in names
    (found,) = json.loads((tmp_path / "writing.json").read_text())
    assert found["rows"]["real"] == 1 and 0 < found["model"]["distinct"] <= 1
    assert found["cut"] == 30 and 0 < found["model"]["tokens"] <= 30 and found["texts"] == 8
    # What it has is not measured again, and one that cannot be measured does not keep the others from it.
    again = measure("writing.py", "--model", "nobody", tmp_path / "home" / "nanogpt-note-0.02", *options)
    assert again.code == "1 of 2 models could not be measured"
    assert "There is no model 'nobody'" in again.err
    assert again.out == told.out and "cut at 30" in told.err and "cut at 30" not in again.err


@pytest.mark.long
def test_gpu_without_one():
    command = [sys.executable, BENCHMARKS / "gpu.py", "--device", "cpu", "--sizes", "xs", "--seconds", "0.01"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.count("0.0e+00") == 2 and "8 of 8 losses differ" in told and "failed" not in told
    assert "| xs, 1,024 |" in told and "Four teachers of size xs:" in told


def test_what_fails_on_a_gpu_leaves_the_rest_to_be_measured(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu import Deadline, attempt

    def fails(text):
        raise RuntimeError(text)

    def told(*call, seconds=60):
        return attempt(Deadline(minutes=2), seconds, *call)

    assert told(str, 5) == "5"
    assert told(fails, "CUDA out of memory.\nTried") == "failed, RuntimeError: CUDA out of memory. Tried"
    assert told(sys.exit, "The run ended") == "failed, SystemExit: The run ended"
    assert told(str, 5, seconds=121) == "not reached in 2 minutes"


@pytest.mark.long
def test_population_by_steps(tmp_path):
    write_notes(tmp_path / "notes.db")
    command = [sys.executable, BENCHMARKS / "population.py", tmp_path / "notes.db", "note"]
    command += ["--minutes", "0.01", "0.02", "--gflops", "20"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split("|")[1].strip() for line in told.splitlines()[2:]] == ["0.01", "0.02"]


def test_passages_that_training_rows_have(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from copied_bits import longest_shared

    train, val = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9]), np.array([50, 3, 4, 5, 6, 7, 60, 4, 5, 9])
    longest = np.zeros(len(val) - 1, int)
    for length, shared, same, same_last in longest_shared(train, val):
        longest[shared] = length
        if length == 2:  # before 5, 6, 7, 60 and 9
            assert np.flatnonzero(shared).tolist() == [2, 3, 4, 5, 8]
            assert np.flatnonzero(same).tolist() == np.flatnonzero(same_last).tolist() == [2, 3, 4]
    assert longest.tolist() == [0, 1, 2, 2, 4, 4, 0, 1, 2]
    # What followed the last time is one of what followed.
    (one, *_) = longest_shared(np.array([1, 2, 1, 3, 1, 2, 9]), np.array([1, 2, 1, 3]))
    assert (one.same.tolist(), one.same_last.tolist()) == ([True, True, True], [True, False, False])


def test_copying_never_costs_bits_and_others_are_counted_by_token(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from copied_bits import bits_of_other, with_copying

    bits = np.array([1.0, 3.0, 2.0, 5.0])
    assert with_copying(bits, np.zeros(4, bool)) == pytest.approx(bits.sum())
    right = np.array([True, True, True, False])
    assert bits.sum() > with_copying(bits, right) >= -np.log2(0.01) - 0.1
    np.array([0.5, 1.5, 4.0, 8.0], dtype=np.float32).tofile(tmp_path / "costs")
    assert bits_of_other(tmp_path / "costs", np.array([2, 0, 1])).tolist() == [2.0, 4.0, 8.0]
    with pytest.raises(SystemExit, match="4 bytes' bits"):
        bits_of_other(tmp_path / "costs", np.array([2, 1]))
