"""nanoGPT's recipe against the default, on the same rows and the same held-out rows.

    python benchmarks/vs_nanogpt.py blog.db blog_entry                      # about half an hour
    python benchmarks/vs_nanogpt.py blog.db blog_entry --seeds 0 1 2 --skip live --json vs_nanogpt.json
    python benchmarks/vs_nanogpt.py demo.db python_docs --skip curve search

nanoGPT's recipe (docs/training.md: 20,000 steps) takes hours, so its bits per byte by step were recorded
once, and are read from nanogpt_curve.json; other rows than those are refused. Its seconds a step are
measured here, eager, as it is run on a CPU. Its time to a step is their product: no score and no start-up
counts against it.

What is printed:
- how much sooner the default is as good as that recipe ever was. A run reaches its best score when its
learning rate has fallen, so longer and longer runs are made until one gets there. "in training" counts from
  the first step to the last, "whole command" all: imports, reading, tokenizer, scores.
- both after the same minutes of training. Of nanoGPT's recipe the best score so far counts, interpolated
  between recorded ones; after the shortest of these minutes it is scored here.
- PPMd of order 8, an old-fashioned compressor, on the same text: training and held-out text compressed, less
  the training text alone. It needs `pip install pyppmd`. And what paq8px made of the same, where that was
  recorded: it is far ahead where held-out rows share long passages with training rows (copied_bits.py).

To record a curve, which takes two hours, or to make one from what such a run printed with --json:

    python benchmarks/vs_nanogpt.py blog.db blog_entry --record
    python benchmarks/vs_nanogpt.py blog.db blog_entry --record run.jsonl resumed.jsonl
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from machine import machine

if TYPE_CHECKING:
    from datasette_nanogpt.data.split import Split

T = TypeVar("T")
CURVE = Path(__file__).with_name("nanogpt_curve.json")
RECIPE = {
    "arch": "gpt2",
    "tokenizer": "gpt2",
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 64,
    "block_size": 64,
    "batch_size": 8,
    "learning_rate": 6e-4,
}
RECORDED = {"max_iters": 20_000, "eval_interval": 500}
# Bits per byte that paq8px v216 -8, the strongest compressor there is, made of the held-out rows of seed 0
# after the training rows; recorded, as it takes about 20 minutes. That of blog_entry may be of other text:
# LOG.md, "Where copied passages are".
PAQ8PX = {"speech": 1.779, "blog_entry": 1.256, "python_docs": 0.838}
NEVER = 1_000_000_000  # steps
WARMING_UP = 10  # steps that are not timed
BUDGETS = [10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 600]  # seconds
SPLIT_SEED = 0  # of every run: other seeds change weights and batches, not which rows are held out
PARTS = ("curve", "live", "search", "minutes", "ppmd")


def train(database: str, table: str, **options: Any) -> Iterator[tuple[float, dict]]:
    """Train in a process and a home of its own. Yields (seconds since it was started, event)."""
    options = {"database": database, "table": table, "no_cache": True} | options
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        command = [sys.executable, __file__, "--child", json.dumps(options)]
        environment = os.environ | {"NANOGPT_HOME": home, "LLM_USER_PATH": home}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    yield time.perf_counter() - started, json.loads(line)
            except GeneratorExit:  # the caller has seen enough
                process.kill()
                raise
        if process.returncode:
            sys.exit(process.returncode)


def finish(steps: Generator[Any, None, T]) -> T:
    """Run a generator to its end; returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def run_child(options: dict) -> None:
    import datasette.cli  # noqa: F401  the command begins with it, so its time counts

    from datasette_nanogpt.training.process import set_up_process

    set_up_process()
    from datasette_nanogpt.data.prepare import prepare
    from datasette_nanogpt.terminal import JsonDisplay
    from datasette_nanogpt.training.options import TrainOptions
    from datasette_nanogpt.training.train import train_table
    from llm_nanogpt.errors import NanogptError

    def prepare_same_split(*args: Any, **kwargs: Any) -> Any:
        return prepare(*args, **kwargs | {"seed": SPLIT_SEED})

    try:
        with patch("datasette_nanogpt.training.preparation.prepare", prepare_same_split):
            for event in train_table(TrainOptions(**options)):
                JsonDisplay().event(event)
    except NanogptError as ex:
        sys.exit(str(ex))


# ---- nanoGPT's recipe


def record(database: str, table: str, files: list[Path]) -> dict:
    """The curve, from a run that is made now, or from the JSON lines of one."""
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    when = files[-1].stat().st_mtime if files else None
    if not files:
        for _, event in train(database, table, **RECIPE, **RECORDED):
            events.append(event)
            if event["event"] == "evaluation":
                print(f"step {event['step']:,}: {event['val_bpb']:.4f} after {event['seconds']:,.0f} s")
    # A run that was broken off and resumed is prepared more than once, and repeats some steps.
    prepared = [e for e in events if e["event"] == "prepared"][-1]
    scores = {e["step"]: (e["val_bpb"], e["seconds"]) for e in events if e["event"] == "evaluation"}
    wrong = {
        k: v for k, v in RECIPE.items() if v != {**prepared, **prepared["config"], **prepared["settings"]}[k]
    }
    if wrong:
        sys.exit(f"That run is of another recipe: {', '.join(wrong)}")
    corpus = prepared["corpus"]
    nats = math.log(prepared["config"]["vocab_size"]) * corpus["val_tokens"]
    flags = {**RECIPE, **RECORDED}
    return {
        "command": f"datasette nanogpt-train {Path(database).name} {table} "
        + " ".join(f"--{name.replace('_', '-')} {value}" for name, value in flags.items()),
        "date": datetime.fromtimestamp(when or time.time(), UTC).date().isoformat(),
        "machine": machine(),
        "compile": prepared["settings"]["compile"],
        "corpus_sha256": corpus["sha256"],
        "train_bytes": corpus["train_bytes"],
        "val_bytes": corpus["val_bytes"],
        "steps": max(scores),
        "columns": ["step", "bits per byte", "seconds, scores included"],
        # Step 0 is a guess: every token as likely as any other.
        "points": [[0, nats / math.log(2) / corpus["val_bytes"], 0.0]]
        + [[step, *score] for step, score in sorted(scores.items())],
    }


def best_of(curve: dict) -> tuple[int, float]:
    """Step and bits per byte."""
    step, bpb, _ = min(curve["points"], key=lambda point: point[1])
    return step, bpb


def score_at(curve: dict, step: float) -> float:
    """The best bits per byte up to a step, on the line between two recorded scores."""
    best = math.inf
    for (left, start, _), (right, end, _) in pairwise(curve["points"]):
        if step < right:
            return min(best, start + (end - start) * max(0, step - left) / (right - left))
        best = min(best, start, end)
    return best


def live(database: str, table: str, minutes: float, device: str | None) -> dict:
    """Seconds a step, and the score after so many minutes."""
    steps, found = [], {}
    options = {"minutes": minutes, "eval_interval": NEVER, "compile": False, "device": device}
    for _, event in train(database, table, **RECIPE, **options):
        if event["event"] == "step" and event["step"] >= WARMING_UP:
            steps.append((event["step"], event["seconds"]))
        if event["event"] == "finished":
            found = {"minutes": minutes, "step": event["step"], "bits_per_byte": event["val_bpb"]}
    if len(steps) < 2:
        sys.exit("Too few steps to time: give more --minutes")
    seconds = [(t - s) / (j - i) for (i, s), (j, t) in pairwise(steps)]
    return found | {"seconds_a_step": statistics.median(seconds), "timed_steps": steps[-1][0] - steps[0][0]}


# ---- the default


def default_run(database: str, table: str, seconds: float, seed: int, device: str | None) -> dict:
    found: dict[str, Any] = {"seed": seed, "training_seconds": seconds, "scores": []}
    for elapsed, event in train(database, table, minutes=seconds / 60, seed=seed, device=device):
        if event["event"] == "evaluation":
            found["scores"].append([event["seconds"], event["val_bpb"]])
        if event["event"] == "finished":
            found |= {"command_seconds": elapsed, "bits_per_byte": event["val_bpb"], "steps": event["step"]}
    return found


def search(database: str, table: str, target: float, budgets: list, seed: int, device: str | None) -> list:
    """Runs of more and more seconds, the last of which is the first that reached the target, if any did."""
    runs = []
    for seconds in budgets:
        runs.append(default_run(database, table, seconds, seed, device))
        if runs[-1]["bits_per_byte"] <= target:
            break
    return runs


# ---- the text itself, and PPMd on it


def split_text(database: str, table: str, folder: Path) -> Split:
    from datasette_nanogpt.data.corpus import open_corpus
    from datasette_nanogpt.data.split import split_documents

    return finish(
        split_documents(open_corpus(database, [table]).documents(), folder / "documents", SPLIT_SEED)
    )


def ppmd(train_text: bytes, val_text: bytes, val_bytes: int) -> dict:
    """Bits per byte of the held-out text, and the memory from which on more of it changes nothing."""
    import pyppmd

    def size(text: bytes, memory: int) -> int:
        encoder = pyppmd.Ppmd7Encoder(8, memory)
        return len(encoder.encode(text)) + len(encoder.flush())

    memory, before = 2**27, None
    while (both := size(train_text + val_text, memory)) != before:
        memory, before = memory * 2, both
    bits = 8 * (both - size(train_text, memory))
    return {"bits_per_byte": bits / val_bytes, "memory_mb": memory / 2**20}


# ---- the command


def compare(args: argparse.Namespace) -> dict:
    found: dict = {"table": args.table, "date": datetime.now(UTC).date().isoformat()}
    found["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        text = split_text(args.database, args.table, Path(folder))
        found |= {"train_bytes": text.train_bytes, "val_bytes": text.val_bytes, "sha256": text.sha256}
        curve = None
        if "curve" not in args.skip:
            curve = json.loads(args.curve.read_text())
            recorded = [curve[k] for k in ("corpus_sha256", "train_bytes", "val_bytes")]
            if recorded != [text.sha256, text.train_bytes, text.val_bytes]:
                sys.exit(f"{args.curve} is of other rows: leave it out with --skip curve, or --record one")
        print(
            f"{args.table}: {text.train_bytes:,} bytes to train on, {text.val_bytes:,} held out", flush=True
        )
        if "ppmd" not in args.skip:
            # A zero byte ends a document: PPMd pays for the ends, as the models do.
            train_text, val_text = (
                b"".join(document.encode() + b"\0" for document in text.texts(part))
                for part in (text.train, text.val)
            )
            found["ppmd"] = ppmd(train_text, val_text, text.val_bytes)
            print(f"PPMd, order 8: {found['ppmd']['bits_per_byte']:.3f} bits per byte", flush=True)
        if args.table in PAQ8PX:
            found["paq8px"] = PAQ8PX[args.table]
            print(f"paq8px v216 -8, recorded: {PAQ8PX[args.table]:.3f} bits per byte", flush=True)

    at, device = sorted(args.minutes), args.device
    if "live" not in args.skip:
        found["nanogpt"] = known = live(args.database, args.table, at[0], device)
        seconds_a_step = known["seconds_a_step"]
        print(
            f"nanoGPT's recipe: {seconds_a_step:.3f} s a step, median of {known['timed_steps']}", flush=True
        )
    elif curve:
        seconds_a_step = curve["points"][-1][2] / curve["steps"]
        print(f"nanoGPT's recipe: {seconds_a_step:.3f} s a step when it was recorded, scores included")
    if curve:
        step, target = best_of(curve)
        found["nanogpt_best"] = {"step": step, "bits_per_byte": target, "seconds": step * seconds_a_step}
        print(
            f"  its best in {curve['steps']:,} steps ({curve['steps'] * seconds_a_step:,.0f} s): "
            f"{target:.3f} bits per byte at step {step:,}, after {step * seconds_a_step:,.0f} s",
            flush=True,
        )
    if "search" not in args.skip and curve:
        found["search"] = [
            run
            for seed in args.seeds
            for run in search(args.database, args.table, target, args.budgets, seed, device)
        ]
        show_search(found)
    if "minutes" not in args.skip:
        found["minutes"] = []
        for seed in args.seeds:
            for minutes in at:
                run = default_run(args.database, args.table, minutes * 60, seed, device)
                if minutes == at[0] and "nanogpt" in found:
                    run["nanogpt_bits_per_byte"] = found["nanogpt"]["bits_per_byte"]
                elif curve:
                    run["nanogpt_bits_per_byte"] = score_at(curve, minutes * 60 / seconds_a_step)
                found["minutes"].append(run)
        show_minutes(found)
    return found


def show(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from llm_nanogpt.listing import aligned

    print()
    for line in aligned([heading, *rows]):
        print(line, flush=True)


def show_search(found: dict) -> None:
    best = found["nanogpt_best"]
    rows = []
    for run in found["search"]:
        reached = run["bits_per_byte"] <= best["bits_per_byte"]
        row = [str(run["seed"]), f"{run['bits_per_byte']:.3f}"]
        for seconds in (run["training_seconds"], run["command_seconds"]):
            row += [f"{seconds:,.0f} s", f"{best['seconds'] / seconds:,.0f} x" if reached else "not yet"]
        rows.append(tuple(row))
    show(("seed", "bits/byte", "in training", "sooner", "whole command", "sooner"), rows)


def show_minutes(found: dict) -> None:
    target = found.get("nanogpt_best", {}).get("bits_per_byte", 0)
    rows = []
    for run in found["minutes"]:
        theirs = run.get("nanogpt_bits_per_byte")
        passed = next((f"{seconds:,.0f} s" for seconds, bpb in run["scores"] if bpb <= target), "")
        rows.append(
            (
                str(run["seed"]),
                f"{run['training_seconds'] / 60:g}",
                f"{theirs:.3f}" if theirs else "",
                f"{run['bits_per_byte']:.3f}",
                f"{1 - run['bits_per_byte'] / theirs:.0%}" if theirs else "",
                f"{1 - run['bits_per_byte'] / target:.0%}" if target else "",
                passed,
            )
        )
    heading = ("seed", "minutes", "nanoGPT", "default", "fewer", "fewer than its best", "which it passed at")
    show(heading, rows)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        run_child(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database")
    parser.add_argument("table")
    parser.add_argument("--curve", type=Path, default=CURVE, help="nanoGPT's, recorded")
    parser.add_argument(
        "--record", nargs="*", type=Path, metavar="JSONL", help="write --curve, of a new run or of its lines"
    )
    parser.add_argument("--skip", nargs="+", choices=PARTS, default=[], help="leave out")
    parser.add_argument(
        "--minutes", nargs="+", type=float, default=[1, 3, 10], help="to compare at  [default: 1 3 10]"
    )
    parser.add_argument("--budgets", nargs="+", type=float, default=BUDGETS, help="seconds to search among")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the default  [default: 0]")
    parser.add_argument("--device", help="of both  [default: the best there is]")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    args = parser.parse_args()
    if args.record is not None:
        curve = record(args.database, args.table, args.record)
        args.curve.write_text(json.dumps(curve, indent=1) + "\n")
        step, bpb = best_of(curve)
        print(f"{args.curve}: {bpb:.4f} bits per byte at step {step:,} of {curve['steps']:,}")
        return
    found = compare(args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
