"""Kills processes that train, replace, rename, ... models, and judges what is left of the models.

`OPERATIONS` of operations.py are what is killed, `faults` kills one before each of its file operations,
`moments` takes the files as they are before each of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill import Killer, Outcome, Reporter, Tell, in_child
from operations import Box, Operation

from datasette_nanogpt.registry.db import registry
from datasette_nanogpt.registry.runs import find_runs, mark_dead_runs
from datasette_nanogpt.training.train_state import read_position
from llm_nanogpt import change_steps
from llm_nanogpt.checkpoint import checkpoints, read_checkpoint, read_weights
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.loading import open_model
from llm_nanogpt.names import aliases

KEPT = {".cache", ".logs", ".replaced"}  # hidden folders of a home that may stay
HALF = (".part", ".new", ".old", ".removed", ".change", ".lock")


def operate(
    operation: Operation,
    box: Box,
    kill_before: int | None = None,
    error: int | None = None,
    lasting: bool = False,
    before_each: Callable[[list[str]], None] | None = None,
) -> Outcome:
    """Do the operation in a process of its own. Returns its file operations if it was not killed. If one of
    them failed with an `error`, returns the line that people read, or "" if the operation succeeded all the
    same. `before_each` of them is called, with what was told so far, while the process waits."""

    def work(tell: Reporter) -> list[str] | str:
        box.enter()
        if not operation.exchange:
            setattr(change_steps, "exchange", lambda a, b: False)  # noqa: B010
        killer = Killer(box.path, kill_before, error, lasting, tell.wait if before_each else None)
        killer.install()
        try:
            operation.do(box, tell)
        except NanogptError as ex:
            if error is None:
                raise
            return str(ex)
        finally:
            killer.kill_before = killer.before_each = None
        return killer.log if error is None else ""

    return in_child(work, waiting=before_each)


# ---- What is left


def next_command(box: Box) -> dict[str, Any]:
    """List the models and open the registry, as any command does. Returns what they contain."""

    def work(tell: Tell) -> dict[str, Any]:
        box.enter()
        listed = list(checkpoints(box.home))
        if (box.home / "nanogpt.db").exists():
            mark_dead_runs(box.home)
        return {
            "models": {name: story(box, name) for name, _ in listed},
            "replaced": sorted(p.name for p in (box.home / ".replaced").glob("*")),
            "kept": {p.name: digest(p) for p in (box.home / ".replaced").glob("*")},
            "aliases": aliases(),
            "runs": [
                {key: run[key] for key in ("name", "status", "kind")}
                | {"settings": json.loads(run["settings"] or "{}").get("name")}
                for run in find_runs(box.home)
            ],
            "texts": texts(box),
            "left": left_over(box),
        }

    outcome = in_child(work)
    assert isinstance(outcome.result, dict)
    return outcome.result


def texts(box: Box) -> list[list[str]]:
    """The name of the model and the text of each that was kept."""
    if not (box.home / "nanogpt.db").exists():
        return []
    with registry(box.home) as db:
        return [[*row] for row in db.execute("select model, text from texts")]


def story(box: Box, name: str) -> dict[str, Any]:
    """The contents of a model's folder. Raises if it is not whole."""
    folder = box.home / name
    opened = open_model(folder, "cpu")
    checkpoint = opened.checkpoint
    trained = "settings" in checkpoint.meta
    return {
        "digest": digest(folder),
        "name": checkpoint.meta["name"],
        "card": next(
            line[2:] for line in (folder / "README.md").read_text().splitlines() if line.startswith("# ")
        ),
        "bpb": float(checkpoint.weights["val_bpb"]) if "val_bpb" in checkpoint.weights else None,
        # A run that was killed before its first state has none.
        "resumes_at": read_position(folder).step
        if trained and (folder / "training/state.safetensors").exists()
        else None,
    }


def digest(folder: Path) -> str:
    """Of the weights."""
    tensors = read_weights(read_checkpoint(folder))
    return hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).hexdigest()[:12]


def left_over(box: Box) -> list[str]:
    """Unfinished files anywhere, and hidden files of the home other than those that are known to stay."""
    files = [path.relative_to(box.path) for path in box.path.rglob("*")]
    half = [
        path
        for path in files
        if path.name.startswith(".") and (path.name.endswith(HALF) or path.parent.name == "tokens")
    ]
    hidden = [p.relative_to(box.path) for p in box.home.glob(".*") if p.name not in KEPT]
    others = [p.relative_to(box.path) for p in box.llm.glob("*") if p.name not in ("aliases.json", "logs.db")]
    half += [path for path in files if path.name == "documents"]
    return sorted({str(path) for path in half + hidden + others})


@dataclass
class Verdict:
    """The damage of one fault: empty lists if there was none."""

    lost: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def judge(operation: Operation, before: dict, after: dict, seen: dict, told: list[str]) -> Verdict:
    """Compare what is `seen` after a kill with what there was `before`, and `after` an undisturbed run."""
    verdict = Verdict(left=seen["left"])
    models = seen["models"]
    if set(models) not in operation.states:
        verdict.lost.append(f"the models are {sorted(models)}")
        return verdict
    for name, model in models.items():
        if not model["name"] == model["card"] == name:
            verdict.split.append(f"{name} says that it is {model['name']}, its card {model['card']}")
        whole = {each["digest"] for state in (before, after) for each in state["models"].values()}
        if operation.old_or_new and model["digest"] not in whole:
            verdict.lost.append(f"the weights of {name} are neither the old nor the new ones")
        if told and model["bpb"] > min(map(float, told)):
            verdict.lost.append(f"{name} has {model['bpb']} bits per byte, {min(told)} was announced")

    # Every set of weights that both states have, in their place or kept, is still there.
    def kept(state: dict) -> set[str]:
        return {model["digest"] for model in state["models"].values()} | set(state["kept"].values())

    if gone := (kept(before) & kept(after)) - kept(seen):
        verdict.lost.append(f"weights {sorted(gone)} are gone")
    if told and not models:
        verdict.lost.append("a score was announced, and there is no model")
    check_texts(before, after, seen, verdict)
    names = {"m", "n"} & set(models)
    if seen["aliases"].get("mine") not in {*names, None} or (
        names and before["aliases"] and "mine" not in seen["aliases"]
    ):
        verdict.split.append(f"models {sorted(models)}, aliases {seen['aliases']}")
    if before["aliases"] and seen["aliases"].get("yours") != "other":
        verdict.lost.append("another model's alias")
    if before["models"]:
        of_model = {run["name"] for run in seen["runs"] if run["kind"] == "train"} - {"other"}
        if names and of_model != names:
            verdict.split.append(f"models {sorted(models)}, runs of {sorted(of_model)}")
    for run in seen["runs"]:
        if run["settings"] not in (run["name"], None):
            verdict.split.append(f"run of {run['name']} with settings of {run['settings']}")
        if run["status"] in ("preparing", "running") and run["kind"] == "train":
            verdict.split.append(f"a run is {run['status']} for ever")
    return verdict


def check_texts(before: dict, after: dict, seen: dict, verdict: Verdict) -> None:
    """Check that every kept text is there, once, unless it was removed, and belongs to a model that
    exists."""
    told = [text for _, text in seen["texts"]]
    old, new = ({text for _, text in state["texts"]} for state in (before, after))
    if not old & new <= {*told} or (old and new and not told) or len({*told}) < len(told):
        verdict.lost.append(f"the kept texts are {told}")
    if strays := {model for model, _ in seen["texts"]} - seen["models"].keys():
        verdict.split.append(f"there are texts of {sorted(strays)}")


# ---- The faults


@dataclass
class Fault:
    """A process that was killed, or one of whose operations failed, and what it left."""

    number: int  # of the file operation that it was about to do
    of: int  # file operations in all
    what: str  # it was about to do
    verdict: Verdict


def evenly(total: int, share: float) -> list[int]:
    """A share of the numbers below `total`, in an order that is spread evenly at any time: halves, quarters,
    ..."""
    chosen = range(0, total, max(1, round(1 / share)))
    bits = max(1, len(chosen).bit_length())
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits))
    return [chosen[i] for i in order if i < len(chosen)]


def moments(operation: Operation, box: Box, share: float = 1.0) -> Iterator[Fault]:
    """What a kill before each of its file operations would leave, with all of them taken from one run: the
    process waits before each one, its files are copied as they are, and the copies are judged once it has
    ended. A share of them, in an order that is spread evenly over the operation at any time."""
    work, fresh = starting_point(operation, box)
    before = next_command(work)
    fresh()
    shots: list[list[str]] = []  # of each copy what was told before it

    def take(told: list[str]) -> None:
        copy_as_is(work.path, box.path / f"shot-{len(shots)}")
        shots.append(told)

    log = operate(operation, work, before_each=take).result
    after = next_command(work)
    for number in evenly(len(log), share):
        shutil.rmtree(work.path)
        os.rename(box.path / f"shot-{number}", work.path)
        age_runs(work)
        try:
            verdict = judge(operation, before, after, next_command(work), shots[number])
        except RuntimeError as ex:
            verdict = Verdict(lost=[str(ex).strip().splitlines()[-1]])
        yield Fault(number, len(log), log[number], verdict)


def copy_as_is(source: Path, target: Path) -> None:
    """Copy a folder. A note of a change names a folder by its inode, so in the copy it names the copy."""
    shutil.copytree(source, target, symlinks=True)
    for note in target.rglob(".*.change"):
        with contextlib.suppress(ValueError):  # it may be half written
            change = json.loads(note.read_bytes())
            for folder in source.rglob("*"):
                if change["inode"] and folder.lstat().st_ino == change["inode"]:
                    inode = (target / folder.relative_to(source)).lstat().st_ino
                    note.write_text(json.dumps(change | {"inode": inode}, indent=2))


def starting_point(operation: Operation, box: Box) -> tuple[Box, Callable[[], None]]:
    """The folder in which an operation works, as it is before the operation, and what makes it so again."""
    start, work = Box(box.path / "start"), Box(box.path / "work")

    def fresh() -> None:
        shutil.rmtree(work.path, ignore_errors=True)
        shutil.copytree(start.path, work.path, symlinks=True)

    def prepare(tell: Tell) -> None:
        work.enter()
        work.fill()
        operation.before(work)

    # What is made in it names its place, so it is made where it is worked in.
    in_child(prepare, often=False)
    shutil.rmtree(start.path, ignore_errors=True)
    os.rename(work.path, start.path)
    fresh()
    return work, fresh


def faults(
    operation: Operation,
    box: Box,
    share: float = 1.0,
    errors: Sequence[int | None] = (None,),
    lasting: bool = False,
) -> Iterator[Fault]:
    """A share of the faults of an operation, in an order that is spread evenly over it at any time. The
    process is killed, or its file operation fails with each of the `errors` in turn."""
    work, fresh = starting_point(operation, box)
    before = next_command(work)
    log = operate(operation, work, None).result
    after = next_command(work)
    on_disk = tuple(errors) != (None,)  # SQLite would not notice an error there
    numbers = [n for n, what in enumerate(log) if not (on_disk and what.startswith("SQL"))]
    for number in (numbers[place] for place in evenly(len(numbers), share)):
        fresh()
        age_runs(work)
        try:
            error = errors[number % len(errors)]
            outcome = operate(operation, work, number, error, lasting)
            age_runs(work)
            seen = next_command(work)
            verdict = judge(operation, before, after, seen, outcome.told)
            if error is not None:
                verdict.lost += not_a_line(str(outcome.result))
        except RuntimeError as ex:
            verdict = Verdict(lost=[str(ex).strip().splitlines()[-1]])
        yield Fault(number, len(numbers), log[number], verdict)


def clear(box: Box) -> None:
    """Delete what `faults` made, also if it was stopped early."""
    for path in box.path.iterdir():
        shutil.rmtree(path, ignore_errors=True)


def not_a_line(told: str) -> list[str]:
    """What is wrong with what people read."""
    good = "\n" not in told and len(told) < 500 and "should not have happened" not in told
    return [] if good else [f"it told: {told[:300]!r}"]


def age_runs(box: Box) -> None:
    """Make the last signs of life of all runs so old that dead runs count as dead."""
    if (box.home / "nanogpt.db").exists():
        with (
            contextlib.closing(sqlite3.connect(box.home / "nanogpt.db")) as db,
            db,
            contextlib.suppress(sqlite3.Error),
        ):
            db.execute("update runs set heartbeat = heartbeat - 3600")
