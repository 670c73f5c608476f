"""The memory that a run was estimated to take, beside what it took: the peak of the whole command's process.

    python benchmarks/memory.py                     # several shapes, three steps each
    python benchmarks/memory.py --rows              # one row of 50 MB, and a million tiny rows
    python benchmarks/memory.py --rows --variants   # and such rows of other kinds
    python benchmarks/memory.py --rows html nospace # these only

Needs some minutes and the memory that it prints. Everything happens in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import machine

# Layers, heads, width, context, windows in a step, vocabulary: 1M to 30M parameters, steps small and big.
SHAPES = [
    ("qwen3", 2, 2, 128, 256, 4, 2048),
    ("qwen3", 2, 2, 128, 256, 64, 2048),
    ("qwen3", 3, 4, 256, 256, 32, 4096),
    ("qwen3", 4, 6, 384, 1024, 8, 4096),
    ("qwen3", 6, 8, 512, 256, 4, 4096),
    ("qwen3", 8, 8, 512, 256, 16, 1024),
    ("gpt2", 4, 6, 384, 256, 16, 1024),
]
VARIANTS = ("html", "blocks", "nospace", "titled", "same")
FLAGS = ("--arch", "--n-layer", "--n-head", "--n-embd", "--block-size", "--batch-size", "--vocab-size")
TRAIN = ("--max-iters", "3", "--device", "cpu", "--no-compile", "--no-cache", "--force", "--json")
START = "import sys; from datasette.cli import cli; sys.argv[0] = 'datasette'; cli()"


def words(seed: int, length: int) -> Iterator[str]:
    """Words of invented text, with a few frequent ones among many rare ones, `length` characters in all."""
    chance = random.Random(seed)
    known = ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 9))) for _ in range(20_000)]
    while length > 0:
        word = known[min(int(chance.paretovariate(0.6)), len(known)) - 1]
        length -= len(word) + 1
        yield word


def fill(file: Path, rows: int, length: int, row_length: int) -> None:
    """Tables: `note` of some hundred rows, `long` of one, `short` of `rows` tiny ones."""
    with sqlite3.connect(file) as db:
        for table in ("note", "long", "short"):
            db.execute(f"create table {table} (id integer primary key, body)")
        notes = ((" ".join(words(i, 600)),) for i in range(400))
        db.executemany("insert into note (body) values (?)", notes)
        db.execute("insert into long (body) values (?)", [" ".join(words(0, length))])
        text = words(1, rows * row_length * 4)
        tiny = ((" ".join(next(text) for _ in range(row_length // 6)) + f" {i}",) for i in range(rows))
        db.executemany("insert into short (body) values (?)", tiny)


def fill_variants(file: Path, rows: int, length: int) -> None:
    """More tables: a long row as HTML, as blocks of JSON, and without a space; tiny rows with titles; a tenth
    as many longer rows that are all near-duplicates."""
    text = list(words(2, min(length, 5_000_000)))
    paragraphs = [" ".join(text[i : i + 60]) for i in range(0, len(text), 60)]
    paragraphs *= max(1, length // sum(map(len, paragraphs)))
    html = "".join(
        f'<p class="a">{part} <b>bold</b> &amp; <a href="/x">link</a></p>\n' for part in paragraphs
    )
    blocks = json.dumps([{"type": "paragraph", "id": str(i), "value": p} for i, p in enumerate(paragraphs)])
    with sqlite3.connect(file) as db:
        for table, body in (("html", html), ("blocks", blocks), ("nospace", "".join(words(3, length)))):
            db.execute(f"create table {table} (id integer primary key, body)")
            db.execute(f"insert into {table} (body) values (?)", [body])
        db.execute("create table titled (id integer primary key, title, body)")
        titled = ((f"Title {i}", " ".join(text[i % 1000 : i % 1000 + 4]) + f" {i}.") for i in range(rows))
        db.executemany("insert into titled (title, body) values (?, ?)", titled)
        db.execute("create table same (id integer primary key, body)")
        same = " ".join(text[:80])
        db.executemany("insert into same (body) values (?)", ((f"{same} {i}",) for i in range(rows // 10)))


def peak_of(database: Path, table: str, *options: object) -> tuple[int, dict[str, Any]]:
    """The peak of the memory of a run, in bytes, and its event `prepared`."""
    name = "-".join(["m", table, *map(str, options[1::2])])  # a new one each time: it replaces none
    command = [
        sys.executable,
        "-c",
        START,
        "nanogpt-train",
        database,
        table,
        "--name",
        name,
        *TRAIN,
        *options,
    ]
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.dup2(writing, 1)
        os.close(reading)
        os.execv(sys.executable, [*map(str, command)])
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        events = [json.loads(line) for line in pipe]
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{table} failed: {' '.join(map(str, options))}")
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    return peak, next(event for event in events if event["event"] == "prepared")


def compare_shapes(database: Path, limit: int | None) -> list[dict[str, Any]]:
    print(f"{'shape':38} {'parameters':>10} {'estimate':>10} {'peak':>10} {'differs by':>10}")
    rows = []
    for shape in SHAPES[:limit]:
        options = [part for pair in zip(FLAGS, shape, strict=True) for part in pair]
        peak, prepared = peak_of(database, "note", *options)
        c, estimate = prepared["config"], prepared["memory"]
        row = {"shape": shape, "estimate": estimate, "peak": peak, "differs": estimate / peak - 1}
        rows.append(row)
        words = (
            f"{c['arch']}, {c['n_layer']} x {c['n_embd']}, {shape[5]} x {c['block_size']}, {c['vocab_size']}"
        )
        count = (2 - c["tied"]) * c["vocab_size"] * c["n_embd"]
        count += c["n_layer"] * c["n_embd"] * (4 * c["n_embd"] + (2 + (c["arch"] != "gpt2")) * c["n_inner"])
        print(
            f"{words:38} {count / 1e6:9.1f}M {estimate / 1e6:7.0f} MB {peak / 1e6:7.0f} MB "
            f"{row['differs']:10.0%}",
            flush=True,
        )
    return rows


def read_rows(database: Path, tables: Sequence[str]) -> list[dict[str, Any]]:
    print(f"{'rows':38} {'peak':>10}")
    rows = []
    for table in tables:
        peak, prepared = peak_of(database, table)
        c = prepared["corpus"]
        rows.append({"table": table, "documents": c["documents"], "bytes": c["bytes"], "peak": peak})
        words = f"{table}: {prepared['source']['rows']:,} with {c['bytes'] / 1e6:.1f} MB in all"
        print(f"{words:38} {peak / 1e6:7.0f} MB", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = ("long", "short", *VARIANTS)
    rows_help = "read rows of extreme sizes instead; of these kinds only: " + ", ".join(kinds)
    parser.add_argument("--rows", nargs="*", choices=kinds, help=rows_help)
    parser.add_argument("--variants", action="store_true", help="with --rows: rows of other kinds, too")
    parser.add_argument("--shapes", type=int, help="only so many shapes")
    parser.add_argument("--megabytes", type=float, default=50, help="of the one long row")
    parser.add_argument("--thousands", type=float, default=1000, help="of tiny rows")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    a = parser.parse_args()
    read = a.rows is not None
    tables = a.rows or (kinds if a.variants else kinds[:2])
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        os.environ |= {"NANOGPT_HOME": f"{folder}/home", "LLM_USER_PATH": f"{folder}/llm"}
        database = Path(folder) / "texts.db"
        long, tiny = (int(1e6 * a.megabytes), int(1e3 * a.thousands)) if read else (1000, 10)
        fill(database, tiny, long, 24)
        if {*tables} & {*VARIANTS}:
            fill_variants(database, tiny, long)
        rows = read_rows(database, tables) if read else compare_shapes(database, a.shapes)
    if a.json:
        a.json.write_text(json.dumps(machine() | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
