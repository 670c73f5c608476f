"""How long the pages that list models and runs take, with many of both; and Datasette's own pages, with and
without this plugin.

python benchmarks/index_speed.py                            # 10,000 runs and 500 models
python benchmarks/index_speed.py --runs 1000 --models 50
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_model import TINY

if TYPE_CHECKING:
    from datasette.app import Datasette

REPEATS = 20


def make_home(folder: Path, runs: int, models: int) -> Path:
    """Make a database with a table, and a home with so many copies of one model and of its run. Returns the
    database."""
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


@contextmanager
def without_plugin() -> Iterator[None]:
    """Datasette's own pages without this plugin: its hooks are not called in this block."""
    from datasette.plugins import pm

    ours = [(name, plugin) for name, plugin in pm.list_name_plugin() if "nanogpt" in name and plugin]
    for _, plugin in ours:
        pm.unregister(plugin)
    try:
        yield
    finally:
        for name, plugin in ours:
            pm.register(plugin, name)


async def ask(datasette: Datasette, path: str, actor: dict[str, str] | None) -> tuple[float, float]:
    """The milliseconds that an answer takes, and the milliseconds of the processor in all threads."""
    began, used = time.perf_counter(), time.process_time()
    response = await datasette.client.get(path, actor=actor)
    assert response.status_code == 200, response.text
    return (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000


async def measure(database: Path) -> None:
    from datasette.app import Datasette

    datasette = Datasette([str(database)])
    datasette.root_enabled = True
    await datasette.invoke_startup()
    for actor in (None, {"id": "root"}):
        for path in ("/-/nanogpt", "/-/nanogpt.json", "/bench/entry", "/bench/entry/-/nanogpt.json", "/"):
            first, _ = await ask(datasette, path, actor)
            took: list[float] = []
            used: list[float] = []
            own: list[float] = []
            for _ in range(REPEATS):
                for times, value in zip((took, used), await ask(datasette, path, actor), strict=True):
                    times.append(value)
                if "nanogpt" not in path:  # in turn, as other programs slow down both
                    with without_plugin():
                        own.append((await ask(datasette, path, actor))[1])
            who = actor["id"] if actor else "anonymous"
            words = f"{path} as {who}: {statistics.median(took):.1f} ms, the first time {first:.1f} ms; "
            words += f"{statistics.median(used):.1f} ms of CPU"
            if own:
                words += f", of which Datasette alone takes {statistics.median(own):.1f}"
            print(words, flush=True)
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
