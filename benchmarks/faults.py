"""Kill a process before each of its file operations, again and again, and look at what it leaves.

    python benchmarks/faults.py                     # all operations, every fault
    python benchmarks/faults.py rename remove       # these
    python benchmarks/faults.py --every 10          # a sample: each tenth file operation

An operation (train, rename, ...) first runs to its end, and its file operations in the home, in llm's folder
and beside the files that it writes are counted: each opening of a file to write, rename, unlink, mkdir,
rmdir, link, fsync, exchange of two folders, and each statement of SQLite. Then it is done once for each of
them, in a copy of the same folders and in a process that is killed (SIGKILL) just before that one. Then the
next command comes: the models are listed and the registry is opened. After that

- every model must load whole, and be the one before or the one after, or the last that was announced;
- folder, alias, runs and nanogpt.json must tell one story;
- nothing half made may be left over.

Prints a line for each operation, and one for each fault that was not survived. The exit code is 1 if there is
one. Everything happens in a temporary folder; processes are forked, so torch is imported once.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kill_models import OPERATIONS, Box, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help="default: all")
    parser.add_argument("--every", type=int, default=1, help="try each Nth file operation only")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    names = [operation.name for operation in OPERATIONS]
    if unknown := set(arguments.operations) - set(names):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(names)}")
    heads = ("operation", "tried", "survived", "work lost", "split", "left over", "seconds")
    print("{:20} {:>6} {:>9} {:>10} {:>6} {:>10} {:>8}".format(*heads))
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for operation in OPERATIONS:
            if arguments.operations and operation.name not in arguments.operations:
                continue
            row: dict[str, Any] = {
                "operation": operation.name,
                "tried": 0,
                "survived": 0,
                "lost": 0,
                "split": 0,
                "left": 0,
            }
            start = time.monotonic()
            for number, what, verdict in faults(operation, Box(Path(folder)), arguments.every):
                row["tried"] += 1
                reasons = verdict.lost + verdict.split + [f"left over: {name}" for name in verdict.left]
                row["survived"] += not reasons
                row["lost"] += bool(verdict.lost)
                row["split"] += bool(verdict.split)
                row["left"] += bool(verdict.left)
                if reasons:
                    what = what.replace(folder, "")
                    failed.append(f"{operation.name}, before {number} ({what}): {'; '.join(reasons)}")
            row["seconds"] = round(time.monotonic() - start, 1)
            rows.append(row)
            print(line(row), flush=True)
    total: dict[str, Any] = {key: sum(row[key] for row in rows) for key in rows[0] if key != "operation"}
    print(line({"operation": "all"} | total))
    print(*failed, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "failed": failed}, indent=2) + "\n")
    sys.exit(bool(failed))


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['operation']:20} {row['tried']:6,} {row['survived']:9,} {row['lost']:10,} {row['split']:6,} "
        f"{row['left']:10,} {row['seconds']:8,.0f}"
    )


if __name__ == "__main__":
    main()
