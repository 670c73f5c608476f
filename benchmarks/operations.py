"""The operations that faults.py, disk_errors.py and sqlite_errors.py break, and the folder in which they
run."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # threads do not survive a fork

import torch
from kill import Tell
from tiny_model import TINY

from datasette_nanogpt.events import Evaluation
from datasette_nanogpt.llm_commands import score_table
from datasette_nanogpt.registry import queue
from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.kept_texts import keep_text, kept_texts, remove_text
from datasette_nanogpt.registry.manage import remove_model, rename_model
from datasette_nanogpt.registry.process_id import process_id
from datasette_nanogpt.registry.runs import delete_runs, end_run, find_runs
from datasette_nanogpt.registry.statements import insert
from datasette_nanogpt.training import choose_members, join_models, measure, sizes
from datasette_nanogpt.training.lr_schedule import Stop
from datasette_nanogpt.training.options import TrainOptions
from datasette_nanogpt.training.train import train_table
from datasette_nanogpt.web.score_rows import score_rows
from llm_nanogpt import changes
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.export_gguf import export_gguf
from llm_nanogpt.import_nanogpt import import_nanogpt
from llm_nanogpt.loading import open_model

TRAINING = TINY | {
    "max_iters": 6,
    "eval_interval": 3,
    "device": "cpu",
    "compile": False,
}
TEXTS = [
    f"Row {i}: quick brown fox {i * 37 % 101} jumps over {'a lazy dog' if i % 3 else 'Zoë, a café'}."
    for i in range(120)
]


# ---- A folder to break things in


class Box:
    """A home, llm's folder, a database with texts and a place for exports, all in one temporary folder."""

    def __init__(self, path: Path):
        self.path, self.home, self.llm, self.out = path, path / "home", path / "llm", path / "out"
        self.db = path / "blog.db"

    def enter(self) -> None:
        """Make it the one that this process works in."""
        os.environ |= {"NANOGPT_HOME": str(self.home), "LLM_USER_PATH": str(self.llm)}

    def fill(self) -> None:
        for folder in (self.home, self.llm, self.out):
            folder.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(self.db)) as db, db:
            db.execute("create table entry (id integer primary key, body)")
            db.executemany("insert into entry (body) values (?)", [(text,) for text in TEXTS])

    def options(self, **changes: Any) -> TrainOptions:
        return TrainOptions(str(self.db), "entry", name="m", **(TRAINING | changes))


def train(box: Box, tell: Tell, **changes: Any) -> None:
    """Train, and report each best score once its weights are announced as saved."""
    for event in train_table(box.options(**changes)):
        if isinstance(event, Evaluation) and event.best:
            tell(repr(event.val_bpb))


def silent(score: str) -> None:
    """Report nothing."""


# ---- The operations


def nothing(box: Box) -> None:
    """An empty home."""


def one_model(box: Box) -> None:
    """A trained model m with an alias, a text of it that was kept, two runs that wait for it, and one for
    another model."""
    train(box, silent)
    (box.llm / "aliases.json").write_text(json.dumps({"mine": "m", "yours": "other"}, indent=4) + "\n")
    with registry(box.home) as db:
        for name, kind in (("m", "train"), ("m", "score"), ("other", "train")):
            settings = json.dumps({"name": name, "table": "entry"})
            row = {"name": name, "settings": settings, "kind": kind, "status": "queued", "table": "entry"}
            insert(db, "runs", row | {"database": str(box.db)})
    keep(box, "the first")


def a_model_that_replaced_one(box: Box) -> None:
    """The same, and the model before it is kept."""
    one_model(box)
    shutil.copytree(box.home / "m", box.home / ".replaced" / "m")
    train(box, silent, seed=1)


def half_way(box: Box) -> None:
    """A model whose run was stopped after 3 of its 6 steps."""
    train(box, silent, max_iters=3)


def a_checkpoint(box: Box) -> None:
    """A ckpt.pt and a meta.pkl of nanoGPT."""
    letters = sorted(set("".join(TEXTS)))
    stoi = {letter: i for i, letter in enumerate(letters)}
    (box.out / "meta.pkl").write_bytes(pickle.dumps({"stoi": stoi, "itos": dict(enumerate(letters))}))
    size, vocab, block = 16, len(letters), 16
    state: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (vocab, size),
        "transformer.wpe.weight": (block, size),
    }
    layer: dict[str, tuple[int, ...]] = {
        "ln_1": (size,),
        "attn.c_attn": (3 * size, size),
        "attn.c_proj": (size, size),
    }
    layer |= {"ln_2": (size,), "mlp.c_fc": (4 * size, size), "mlp.c_proj": (size, 4 * size)}
    state |= {f"transformer.h.0.{name}.weight": shape for name, shape in layer.items()}
    state |= {"transformer.ln_f.weight": (size,), "lm_head.weight": (vocab, size)}
    tensors = {name: torch.zeros(shape) for name, shape in state.items()}
    args = {
        "n_layer": 1,
        "n_head": 2,
        "n_embd": size,
        "block_size": block,
        "vocab_size": vocab,
        "bias": False,
    }
    torch.save(
        {"model": tensors, "model_args": args, "iter_num": 5, "best_val_loss": 1.0}, box.out / "ckpt.pt"
    )


def train_several(box: Box, tell: Tell, **changes: Any) -> None:
    """Two models, and one that learns from both."""
    choose_members.FEWEST_MEMBERS = choose_members.MOST_MEMBERS = 2
    choose_members.FEWEST_GENERATIONS = choose_members.MOST_GENERATIONS = 1
    choose_members.MAX_MODELS = 3
    measure.training_flops = lambda *_: 1e15  # there is time for all of them
    steps = {"max_iters": None, "eval_interval": None, "minutes": 2.0, "batch_size": 16}
    train(box, tell, **(steps | changes))


def train_joined(box: Box, tell: Tell) -> None:
    """Models that are joined, whatever the result is worth: only its score is reported. The sizes are made
    tiny, as nothing is joined where a size is set by hand."""
    sizes.SIZES |= dict.fromkeys(sizes.SIZES, (1, 16))
    sizes.HEAD_WIDTH = 8
    join_models.WORTH_JOINING = join_models.FAR_WORSE = 10.0
    scores = [math.inf]

    def tell_joined(score: str) -> None:
        scores.append(float(score))
        if scores[-1] > min(scores):  # each best score of a single model is lower than those before
            tell(score)

    train_several(box, tell_joined, n_layer=None, n_head=None, n_embd=None)


def keep(box: Box, text: str) -> int:
    made = {"model": "m", "version": "1", "title": None, "prompt": "", "text": text, "seed": 1}
    return keep_text(box.home, made | {"settings": {}}, None)


def keep_another(box: Box, tell: Tell) -> None:
    """Keep a text, and remove the one that was kept before."""
    keep(box, "the second")
    remove_text(box.home, "m", kept_texts(box.home, "m", 9)[-1]["id"])


def use_queue(box: Box, tell: Tell) -> None:
    """What a server does with the queue: a run is queued, interrupted, started again, stopped and deleted."""
    queue.enqueue(box.home, str(box.db), {"name": "m", "table": "entry"}, None, 9, scored="note")
    run = queue.claim(box.home) or 0
    queue.beat(box.home, run, process_id())
    queue.ask_to_stop(box.home, run, 1)
    queue.interrupt(box.home, run)
    run = queue.claim(box.home) or 0
    end_run(box.home, run, "stopped")
    delete_runs(box.home, "id = ?", [run])


def save_scores(box: Box, tell: Tell) -> None:
    options = {"db": str(box.db), "table": "entry", "save_table": "scores", "jsonl": False, "tokens": False}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        score_table(open_model(box.home / "m", "cpu"), options | {"title": None, "body": (), "where": None})


def score_in_the_browser(box: Box, tell: Tell) -> None:
    if not (waiting := find_runs(box.home, "kind = 'score'")):
        raise NanogptError("There is no run")
    score_rows(box.home, waiting[0], Stop())


def export(box: Box, tell: Tell) -> None:
    export_gguf(read_checkpoint(box.home / "m"), box.out / "m.gguf")


def import_(box: Box, tell: Tell) -> None:
    import_nanogpt(box.out / "ckpt.pt", box.home / "m", box.out / "meta.pkl")


@dataclass
class Operation:
    """An operation to break, how to prepare its folder, and which models may exist afterwards."""

    name: str
    before: Callable[[Box], None]
    do: Callable[[Box, Tell], Any]
    # Names of models: each set is a whole state.
    states: tuple[set[str], ...] = ({"m"},)
    old_or_new: bool = True  # whether the weights are those before or those after; else any that are whole
    exchange: bool = True


def rename(box: Box, tell: Tell) -> None:
    rename_model(box.home / "m", "n")


def both_ways(operation: Operation) -> list[Operation]:
    """The operation on this system, and on one that cannot exchange two folders in one step."""
    return [operation, replace(operation, name=f"{operation.name}, 2 renames", exchange=False)]


# Those with the most file operations come last: they have the time that the others leave.
OPERATIONS = [
    Operation("import", a_checkpoint, import_, (set(), {"m"})),
    Operation("rename", a_model_that_replaced_one, rename, ({"m"}, {"n"})),
    Operation(
        "remove", a_model_that_replaced_one, lambda box, tell: remove_model(box.home / "m"), ({"m"}, set())
    ),
    Operation("export", one_model, export),
    *both_ways(
        Operation("restore", a_model_that_replaced_one, lambda box, tell: changes.restore(box.home / "m"))
    ),
    Operation("score", one_model, save_scores),
    Operation("score rows", one_model, score_in_the_browser),
    Operation("queue", one_model, use_queue),
    Operation("keep a text", one_model, keep_another),
    Operation("resume", half_way, lambda box, tell: train(box, tell, resume=True), old_or_new=False),
    *both_ways(Operation("replace", one_model, lambda box, tell: train(box, tell, seed=1), old_or_new=False)),
    Operation("train", nothing, train, (set(), {"m"}), old_or_new=False),
    Operation("several models", nothing, train_several, (set(), {"m"}), old_or_new=False),
    Operation("joined models", nothing, train_joined, (set(), {"m"}), old_or_new=False),
]
