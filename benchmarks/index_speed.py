"""How long the pages that list models and runs take, with many of both.

python benchmarks/index_speed.py                            # 10,000 runs and 500 models
python benchmarks/index_speed.py --runs 1000 --models 50
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

TINY: dict[str, Any] = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "block_size": 16,
    "batch_size": 2,
    "vocab_size": 300,
}
REPEATS = 20


def make_home(folder: Path, runs: int, models: int) -> Path:
    """A database with a table, and a home with so many copies of one model and of its run. The database."""
    from datasette_nanogpt.training.options import TrainOptions
    from datasette_nanogpt.training.train import train_table

    database, home = folder / "bench.db", folder / "home"
    with sqlite3.connect(database) as db:
        db.execute("create table entry (id integer primary key, title text, body text)")
        rows = [(f"T{i}", f"Row {i}: the quick brown fox jumps over {i} dogs.") for i in range(300)]
        db.executemany("insert into entry (title, body) values (?, ?)", rows)
    list(train_table(TrainOptions(str(database), "entry", name="model", **TINY, max_iters=4, device="cpu")))
    for number in range(1, models):
        shutil.copytree(home / "model", home / f"model-{number}")
    with sqlite3.connect(home / "nanogpt.db") as db:
        names = [column[1] for column in db.execute("pragma table_info(runs)") if column[1] != "id"]
        columns = ", ".join(f'"{name}"' for name in names)
        copy = f"insert into runs ({columns}) select {columns} from runs where id = 1"
        for _ in range(1, runs):
            db.execute(copy)
    return database


async def measure(database: Path) -> None:
    from datasette.app import Datasette

    datasette = Datasette([str(database)])
    datasette.root_enabled = True
    await datasette.invoke_startup()
    for actor in (None, {"id": "root"}):
        for path in ("/-/nanogpt", "/-/nanogpt.json", "/bench/entry", "/bench/entry/-/nanogpt.json"):
            took, cpu = [], []
            for _ in range(REPEATS + 1):
                began, used = time.perf_counter(), time.process_time()
                response = await datasette.client.get(path, actor=actor)
                took.append((time.perf_counter() - began) * 1000)
                cpu.append((time.process_time() - used) * 1000)
                assert response.status_code == 200, response.text
            median, first = statistics.median(took[1:]), took[0]
            who = actor["id"] if actor else "anonymous"
            # The time of the processor does not depend on what else the machine does.
            used = statistics.median(cpu[1:])
            print(f"{path} as {who}: {median:.1f} ms, {used:.1f} ms of CPU, the first time {first:.1f} ms")
    await datasette._nanogpt.close()
    datasette.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"NANOGPT_HOME": f"{folder}/home", "LLM_USER_PATH": f"{folder}/llm"}
        database = make_home(Path(folder), args.runs, args.models)
        print(f"{args.runs:,} runs, {args.models:,} models, load {os.getloadavg()[0]:.1f}")
        asyncio.run(measure(database))


if __name__ == "__main__":
    main()
