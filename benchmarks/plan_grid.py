"""Does the planner choose the right size? Every size, on texts of several lengths, for several minutes.

    python benchmarks/plan_grid.py notes.db note --megabytes 0.3 1 3 --minutes 1 3 10
    python benchmarks/plan_grid.py notes.db note --megabytes 3 --minutes 30 --sizes m l   # a few more cells

Each cell is a whole run of training in a process of its own, with one thread, so as many cells as there are
cores are measured side by side. Where there is time for it, smaller models teach the one of that size, as in
any run; the epochs are those of the last model. The planner's rule is in epochs, which depend on the minutes
and the machine together. A text is that many megabytes of the rows that a run on the table trains on, never
of those that it holds out, so that nothing is fitted here to a score that is reported elsewhere. A tenth of
these rows is held out in turn.

What is measured is kept in plan_grid.json, cell by cell, and never measured twice. A run that ended by
itself, and had no time for another teacher, counts for more minutes, too. At the end the whole file is
printed: bits per byte, the epochs in brackets (the file calls them readings), a star for the best size, and
what the planner chose.
"""

import argparse
import json
import os
import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine import machine
from vs_nanogpt import finish, train

from datasette_nanogpt.training.choose_members import MAX_CHAIN
from datasette_nanogpt.training.sizes import SIZES

GRID = Path(__file__).with_name("plan_grid.json")
CELL = ("table", "megabytes", "minutes")


def write_subset(database: str, table: str, megabytes: float, path: Path) -> bool:
    """Write that many megabytes of the rows that are trained on into the table `table` of a new database.
    Returns False where there are fewer."""
    from datasette_nanogpt.data.corpus import open_corpus
    from datasette_nanogpt.data.split import split_documents
    from datasette_nanogpt.data.sqlite import quote

    documents = open_corpus(database, (table,)).documents()
    split = finish(split_documents(documents, path.with_suffix(".txt"), seed=0))
    size = 0
    with sqlite3.connect(path) as db:
        db.execute(f"create table {quote(table)} (body text)")
        for text in split.texts(split.train):
            db.execute(f"insert into {quote(table)} values (?)", (text,))
            size += len(text.encode())
            if size >= megabytes * 1e6:
                return True
    return False


def measure(database: Path, table: str, minutes: float, size: str) -> dict:
    for _, event in train(str(database), table, minutes=minutes, size=size):
        if event["event"] == "prepared":
            tokens = event["corpus"]["train_tokens"]
        elif event["event"] == "finished":
            return {
                "tokens": tokens,
                "size": size,
                "steps": event["step"],
                "seconds": round(event["seconds"], 1),
                "readings": round(event["epochs"], 2),
                "models": event["models"],
                "bpb": round(event["val_bpb"], 4),
                "best_step": event["best_step"],
                "mfu": event["mfu"] and round(event["mfu"], 2),
            }
    raise SystemExit(f"The run of size {size} ended before it told its result")


def choice(database: Path, table: str, minutes: float) -> dict:
    """What a run without --size is about to do."""
    sizes = {shape: size for size, shape in SIZES.items()}
    for _, event in train(str(database), table, minutes=minutes):
        if event["event"] == "prepared":
            config = event["config"]
            return {"chosen": sizes[config["n_layer"], config["n_embd"]], "why": event["plan_reason"]}
    raise SystemExit("The run ended before it told its plan")


def known(rows: list[dict], cell: dict, size: str) -> dict | None:
    """The row of this cell, or of fewer minutes where the run ended before they were over."""
    for row in rows:
        ended = row["seconds"] < 57 * row["minutes"] and row["minutes"] <= cell["minutes"]
        # Rows without a number of models were measured before a model could have a teacher.
        ended &= row.get("models", MAX_CHAIN) == MAX_CHAIN
        text = cell | {"minutes": row["minutes"]} if ended else cell
        if row["size"] == size and in_cell(row, text):
            return row
    return None


def in_cell(row: dict, cell: dict) -> bool:
    return all(row[key] == cell[key] for key in CELL)


def table_of(grid: dict) -> list[str]:
    lines = [f"{'text':24}{'tokens':>10} {'minutes':>8}  " + "".join(f"{s:16}" for s in SIZES) + "chosen"]
    for table, megabytes, minutes in sorted({tuple(row[k] for k in CELL) for row in grid["rows"]}):
        cell = dict(zip(CELL, (table, megabytes, minutes), strict=True))
        found = {s: row for s in SIZES if (row := known(grid["rows"], cell, s))}
        best = min((row["bpb"] for row in found.values()), default=None)
        told = [
            f"{row['bpb']:.3f}{'*' if row['bpb'] == best else ' '} ({row['readings']:.1f})" if row else ""
            for row in map(found.get, SIZES)
        ]
        tokens = max((row["tokens"] for row in found.values()), default=0)
        chosen = next((c["chosen"] for c in grid["choices"] if in_cell(c, cell)), "?")
        text = f"{table}, {megabytes:g} MB"
        lines.append(f"{text:24}{tokens:10,} {minutes:8g}  " + "".join(f"{t:16}" for t in told) + chosen)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database")
    parser.add_argument("table")
    parser.add_argument("--megabytes", type=float, nargs="+", default=[0.1, 0.3, 1])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3, 10])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--json", type=Path, default=GRID, help="read and add to  [default: plan_grid.json]")
    args = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = "1"
    cores = machine()["cores"]
    grid = json.loads(args.json.read_text()) if args.json.exists() else {"rows": [], "choices": []}
    grid["machine"] = machine() | {"threads_of_each_run": 1, "runs_side_by_side": cores}
    lock = threading.Lock()

    def keep(kind: str, row: dict) -> None:
        with lock:
            grid[kind].append(row)
            args.json.write_text(json.dumps(grid, indent=1) + "\n")

    def run(path: Path, cell: dict, size: str | None) -> None:
        if size is None and not any(in_cell(c, cell) for c in grid["choices"]):
            keep("choices", cell | choice(path, args.table, cell["minutes"]))
        elif size and not known(grid["rows"], cell, size):
            keep("rows", cell | (row := measure(path, args.table, cell["minutes"], size)))
            print(
                f"{cell['megabytes']:g} MB, {cell['minutes']:g} minutes, {size}: {row['bpb']:.3f} "
                f"bits per byte after {row['readings']:.1f} epochs, {row['seconds']:.0f} s",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(cores) as pool:
        paths = {}
        for megabytes in args.megabytes:
            path = Path(folder, f"{megabytes:g}.db")
            if write_subset(args.database, args.table, megabytes, path):
                paths[megabytes] = path
            else:
                print(f"{args.table} has less than {megabytes:g} MB to train on")
        jobs = []
        for minutes in sorted(args.minutes):  # what ends by itself in few minutes stands for more
            for megabytes, path in paths.items():
                cell = dict(zip(CELL, (args.table, megabytes, minutes), strict=True))
                jobs += [pool.submit(run, path, cell, size) for size in (None, *args.sizes)]
        for job in jobs:
            job.result()
    print(*table_of(grid), sep="\n")


if __name__ == "__main__":
    main()
