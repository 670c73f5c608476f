"""Fixtures: a home of its own for every test, and tiny random models that cost milliseconds."""

import os
import shutil

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as process.py does, before anything loads torch
if "PYTEST_XDIST_WORKER" in os.environ:  # each core has tests of its own: more threads only take turns
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Folders of tests are in memory where Linux has room for them. On a disk, a test waits for each change of
# SQLite's to be written: beside busy programs, a test of 0.2 s of work took 25 s there.
MEMORY_DISK, ROOM = "/dev/shm", 4 * 10**9  # bytes free
if os.path.isdir(MEMORY_DISK) and shutil.disk_usage(MEMORY_DISK).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY_DISK)

import numpy as np
import pytest
from hypothesis import settings

from llm_nanogpt.checkpoint import write_model_files, write_weights
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.tokenizer import EOT
from llm_nanogpt.tokenizer_training import train_bpe

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")

# What another process or server may take. Only what never ends takes so long: on a slow machine that does
# other things as well, importing torch alone takes most of a minute.
HANG_SECONDS = 600
# Datasette interrupts its own SQL after a second, which on such a machine it may not even have begun.
SQL_LIMIT = {"sql_time_limit_ms": 60_000}

TEXTS = [
    f"Row {i}: quick brown fox {i * 37 % 101} jumps over {'a lazy dog' if i % 3 else 'Zoë’s café ☕'}.\n"
    for i in range(300)
]


def finish(steps):
    """Run a generator to its end; returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def write_blog(path, tables=("entry",)):
    """A database with a title and one of TEXTS in each row of its tables. Returns its path."""
    import sqlite_utils

    rows = [{"id": i, "title": f"T{i}", "body": text} for i, text in enumerate(TEXTS)]
    for table in tables:
        sqlite_utils.Database(path)[table].insert_all(rows, pk="id")
    return path


def convert_as_told(message):
    """Do in this process what a message tells to type, `sqlite-utils …`: a new one takes most of a second."""
    import shlex

    from click.testing import CliRunner
    from sqlite_utils.cli import cli

    for command in message.split("`")[1].split(" && "):
        program, *words = shlex.split(command)
        assert program == "sqlite-utils"
        CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)


async def serve(database, **options):
    """A started Datasette of a file, with root. Its queue is looked at, not worked off."""
    from datasette.app import Datasette

    datasette = Datasette([str(database)], **{**options, "settings": SQL_LIMIT | options.get("settings", {})})
    datasette.root_enabled = True
    await datasette.invoke_startup()
    datasette._background_tasks._launched = True
    return datasette


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home for models; llm's own folder is moved too, so that no test sees the user's files."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("NANOGPT_HOME", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="session")
def bpe():
    return train_bpe(TEXTS, 400)


def tiny_config(arch: str = "qwen3", **changes) -> GPTConfig:
    shape = {"vocab_size": 400, "block_size": 32, "n_layer": 2, "n_head": 4, "n_embd": 32}
    if arch == "qwen3":
        shape |= {"n_kv_head": 2, "head_dim": 16, "n_inner": 48}
    return GPTConfig(arch=arch, **(shape | changes))


@pytest.fixture
def narrow_sizes(monkeypatch):
    """Sizes s and m with half their width: a step takes a quarter of the time. s is like xs then."""
    from datasette_nanogpt.training.sizes import SIZES

    for size in ("s", "m"):
        n_layer, width = SIZES[size]
        monkeypatch.setitem(SIZES, size, (n_layer, width // 2))


def random_tensors(config: GPTConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of every tensor, biases and gains among them, big enough to tell mistakes."""
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(size=shape) * (0.3 if len(shape) == 2 else 0.1) + (name.endswith("norm.weight"))
        ).astype(np.float32)
        for name, shape in config.tensors().items()
    }


def penalised(penalty, logits, *ids):
    """A copy of `logits` after a penalty for them."""
    logits = logits.copy()
    penalty.penalise(logits, *ids)
    return logits


def write_model(folder, tokenizer, arch: str = "qwen3", seed: int = 0, meta: dict | None = None, **changes):
    """A whole random model folder."""
    config = tiny_config(arch, **({"vocab_size": tokenizer.n_vocab} | changes))
    folder.mkdir(parents=True)
    meta = {"name": folder.name} | (meta or {})
    write_model_files(folder, config, tokenizer.eot, meta, f"# {folder.name}\n")
    tokenizer.save(folder, config.block_size)
    write_weights(
        folder / "model.safetensors",
        random_tensors(config, seed),
        {"step": "0", "val_bpb": "8.0"},
    )
    return folder


@pytest.fixture
def make_model(home, bpe):
    """make_model("nanogpt-x", arch="gpt2") writes a whole random model folder and returns its path."""

    def make(name: str = "nanogpt-tiny", arch: str = "qwen3", tokenizer=None, **changes):
        return write_model(home / name, tokenizer or bpe, arch, **changes)

    return make


# GPT-2's way of cutting text into words, as tiktoken spells it.
GPT2_SPLIT = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


@pytest.fixture
def gpt2_ranks(monkeypatch, bpe):
    """A stand-in for GPT-2's vocabulary: its own split and order of ids, <|endoftext|> last, fewer merges."""
    import tiktoken.registry

    tokens = [bpe.token_bytes(i) for i in range(bpe.n_vocab) if i != bpe.eot]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    encoding = tiktoken.Encoding(
        "gpt2", pat_str=GPT2_SPLIT, mergeable_ranks=ranks, special_tokens={EOT: len(ranks)}
    )
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "gpt2", encoding)
    return ranks
