"""What does not fit in the memory is refused before any work, and the largest that fits is named."""

import math
import re
import sqlite3
from dataclasses import replace

import pytest
from click.testing import CliRunner
from conftest import TEXTS

from datasette_nanogpt.cli import train_command
from datasette_nanogpt.training import available_memory as available
from datasette_nanogpt.training import memory
from datasette_nanogpt.training.budget import Budget
from datasette_nanogpt.training.check import check
from datasette_nanogpt.training.distributed import SINGLE_PROCESS
from datasette_nanogpt.training.failures import explain
from datasette_nanogpt.training.memory import Workload, estimate_memory, memory_problem
from datasette_nanogpt.training.options import TrainOptions, validate
from datasette_nanogpt.training.plan import choose_plan
from datasette_nanogpt.training.sizes import SIZES, make_config
from datasette_nanogpt.training.train import train_table
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions

GB = 10**9
S = GPTConfig(vocab_size=4096, block_size=256, n_layer=2, n_head=2, n_embd=128, tied=False)


@pytest.fixture
def little_memory(monkeypatch):
    """A machine that has so many bytes."""

    def have(n_bytes):
        monkeypatch.setattr(memory, "available_memory", lambda device: n_bytes)
        monkeypatch.setattr("datasette_nanogpt.training.recipe.available_memory", lambda device: n_bytes)
        monkeypatch.setattr("datasette_nanogpt.training.recipe.resident_memory", lambda: 0)

    return have


@pytest.mark.parametrize(
    "change", [{"n_layer": 8}, {"n_embd": 512}, {"vocab_size": 50_000}, {"block_size": 1024}]
)
@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_more_of_anything_takes_more_memory(arch, change):
    config = replace(S, arch=arch)
    bigger = replace(config, **change, head_dim=0, n_inner=0)
    assert estimate_memory(Workload(bigger, 4)) > estimate_memory(Workload(config, 4))


def test_a_teacher_dropout_in_attention_and_more_windows_take_memory():
    w = Workload(replace(S, arch="gpt2"), 16)
    taught, dropped = replace(w, teachers=(S,)), replace(w, dropout=0.1)
    for more in (taught, dropped, replace(w, batch_size=64)):
        assert estimate_memory(more) > estimate_memory(w)


def test_all_teachers_are_in_the_memory_at_once_beside_the_training_before():
    w = Workload(S, 1)
    big = make_config("xl", 4096, {"block_size": 1024})
    ten, twenty = (estimate_memory(replace(w, teachers=(big,) * n)) for n in (10, 20))
    assert twenty - ten == 10 * 4 * big.parameters
    held = 3 * 4 * big.parameters  # of the training before: weights, and two numbers for each of AdamW's
    assert ten > 10 * 4 * big.parameters + 2 * held


def test_the_copy_of_the_last_good_state_is_counted_where_it_is():
    """On the CPU, also for a model on a GPU, whose own memory is what counts there."""
    big = replace(S, arch="gpt2", n_embd=768, n_layer=12, n_head=12, n_kv_head=12, head_dim=0, n_inner=0)
    state = 3 * 4 * big.parameters  # weights, and two numbers for each of AdamW's
    on_cpu, on_gpu = (estimate_memory(Workload(big, 1, device)) for device in ("cpu", "cuda"))
    assert on_cpu > 4 * state > on_gpu - memory.CUDA_BYTES


def test_a_gpu_that_shares_the_memory_of_the_machine_takes_what_the_cpu_does_and_larger_scores():
    w = Workload(S, 1)
    on_cpu, on_mps = estimate_memory(w), estimate_memory(replace(w, device="mps"))
    assert on_cpu < on_mps < on_cpu + 3 * 4 * memory.LOGITS_PER_BATCH_OF_GPU


@pytest.mark.parametrize("field", ["batch_size", "block_size", "n_embd", "n_layer"])
def test_the_largest_that_fits_is_named_and_is_the_largest(little_memory, field):
    little_memory(2 * GB)
    given = {field: {"batch_size": 10**6, "block_size": 10**6, "n_embd": 50_000, "n_layer": 1000}[field]}
    big = {k: v for k, v in given.items() if k != "batch_size"}
    w = Workload(replace(S, **big, head_dim=0, n_inner=0), given.get("batch_size", 1))
    problem = memory_problem(w, given)
    assert (problem.field, problem.code) == (field, "memory") and "2.0 GB are available" in problem.message
    largest = int(re.search(r"at most ([\d,]+)", problem.message)[1].replace(",", ""))

    def with_value(n):
        if field == "batch_size":
            return replace(w, batch_size=n)
        return replace(w, config=replace(w.config, **{field: n}, head_dim=0, n_inner=0))

    step = 4 if field == "n_embd" else 1  # two heads of an even width each
    assert memory_problem(with_value(largest), given) is None
    assert memory_problem(with_value(largest + step), given) is not None


def test_several_numbers_that_are_too_big_are_made_smaller_together(little_memory):
    little_memory(2 * GB)
    problem = memory_problem(
        Workload(replace(S, block_size=10**6), 10**6), {"block_size": 1, "batch_size": 1}
    )
    assert "with one window in a step a context of at most" in problem.message


@pytest.mark.parametrize(
    "shape",
    [
        {"block_size": "1000000", "batch_size": "1000000"},
        {"n_layer": "1000", "n_embd": "100000", "n_head": "10"},
        {"batch_size": "1000000"},
        {"n_embd": "100000"},
    ],
)
def test_a_form_does_not_take_what_fits_nowhere(shape, little_memory):
    little_memory(16 * GB)
    (problem,) = validate(shape)[1]
    assert problem.code == "memory" and problem.field in shape


def test_nobody_is_refused_where_the_memory_is_not_known_or_enough(little_memory):
    little_memory(None)
    assert not validate({"batch_size": 10**6})[1]
    little_memory(2 * GB)
    assert not any(validate({"size": size})[1] for size in SIZES)


def test_the_command_line_refuses_before_any_work(home, tmp_path, little_memory):
    little_memory(4 * GB)
    with sqlite3.connect(tmp_path / "blog.db") as db:
        db.execute("create table entry (body)")
        db.executemany("insert into entry values (?)", [(text,) for text in TEXTS])
    done = CliRunner().invoke(train_command, [str(tmp_path / "blog.db"), "entry", "--batch-size", "900000"])
    assert done.exit_code == 2
    assert re.match(r"Error: --batch-size: This needs about [\d,.]+ GB of memory, and 4\.0 GB", done.stderr)
    assert not home.exists()


def test_a_plan_takes_a_size_that_fits():
    def chosen(memory):
        plan = choose_plan({}, 10**8, 4096, Budget(10_000, flops=1e13, memory=memory))
        return plan.config.n_embd

    need = {
        size: estimate_memory(Workload(make_config(size, 4096, {"block_size": 1024}), 1)) for size in SIZES
    }
    assert (
        chosen(None) == SIZES["xl"][1]
        and chosen(need["l"] - 1) == SIZES["m"][1]
        and chosen(1) == SIZES["xs"][1]
    )


def test_what_only_the_text_tells_is_checked_before_training(home, tmp_path, little_memory, monkeypatch):
    monkeypatch.setattr("datasette_nanogpt.training.options._does_not_fit", lambda options: None)
    with sqlite3.connect(tmp_path / "blog.db") as db:
        db.execute("create table entry (body)")
        db.executemany("insert into entry values (?)", [(text,) for text in TEXTS])
    options = TrainOptions(str(tmp_path / "blog.db"), "entry", max_iters=1, size="l", device="cpu")
    little_memory(int(memory.process_bytes() + 200e6))
    size = r"\d[\d.]* .B"
    with pytest.raises(InvalidOptions, match=f"about {size} of memory, and {size} are available"):
        list(train_table(options))


def test_memory_that_others_took_meanwhile_is_a_line(home):
    for ex in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")):
        assert "not enough memory" in explain(ex, home, SINGLE_PROCESS)


# ---- How much there is


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Files of a system with 8 GB available, and what writes those of control groups."""
    for name in ("MEMINFO", "OWN_CGROUPS", "CGROUPS"):
        monkeypatch.setattr(available, name, tmp_path / name)
    available.MEMINFO.write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")

    def group(folder, limit, usage, cached, version=2):
        folder = available.CGROUPS / folder
        folder.mkdir(parents=True, exist_ok=True)
        names = (
            ("memory.max", "memory.current")
            if version == 2
            else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        for name, value in zip(names, (limit, usage), strict=True):
            (folder / name).write_text(f"{value}\n")
        stat = "inactive_file" if version == 2 else "total_inactive_file"
        (folder / "memory.stat").write_text(f"anon 5\n{stat} {cached}\n")

    return group


def test_memory_of_the_machine(machine):
    assert available.available_memory() == 8_192_000_000


def test_the_limit_of_a_control_group_or_of_one_above_it(machine):
    available.OWN_CGROUPS.write_text("0::/system/web\n")
    machine("system/web", "max", 10, 5)
    assert available.available_memory() == 8_192_000_000
    machine("system", 2 * GB, GB, GB // 2)
    assert available.available_memory() == 1_500_000_000
    machine("system/web", GB, GB, 0)
    assert available.available_memory() == 0


def test_a_container_sees_its_own_group_as_the_root(machine):
    available.OWN_CGROUPS.write_text("4:memory:/docker/abc\n0::/\n")
    machine("memory", 512 * 10**6, 12 * 10**6, 0, version=1)
    assert available.available_memory() == 500_000_000


def test_a_system_that_tells_nothing(machine, monkeypatch):
    available.MEMINFO.unlink()
    monkeypatch.delattr(available.os, "sysconf")
    assert available.available_memory() is None and available.available_memory("cuda") is None


def test_a_limit_that_torch_cannot_be_loaded_with_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "address_space", lambda: 3e8)
    with pytest.raises(InvalidOptions, match="at most 300 MB .*ulimit -v unlimited"):
        check(TrainOptions(str(tmp_path / "x.db"), "t"))
    monkeypatch.setattr(memory, "address_space", lambda: math.inf)
    memory.check_address_space()
