"""Kill a process before each of its file operations in turn, and check what it leaves.

    python benchmarks/faults.py                     # all operations, every fault
    TMPDIR=/dev/shm python benchmarks/faults.py     # the same in memory, where fsync costs nothing
    python benchmarks/faults.py rename remove       # these
    python benchmarks/faults.py --share 0.1         # a tenth of the file operations, evenly spread
    python benchmarks/faults.py --kill              # with a real kill each, which takes 20 times as long
    python benchmarks/faults.py --minutes 10        # as many as there is time for, the same share of each

An operation (train, rename, ...) runs to its end, and waits before each of its file operations in the home,
in llm's folder and beside the files that it writes: each opening of a file to write, rename, unlink, mkdir,
rmdir, link, fsync, exchange of two folders, and each statement of SQLite. While it waits its files are
copied, as they are: what SIGKILL would leave at that moment. When the operation is over, another command
lists the models and opens the registry in each copy. With --kill the operation is repeated once for each of
its file operations, in a process that is killed just before that one. After that

- every model must load, and be the one before, the one after, or the last one that was announced;
- folder, alias, runs and nanogpt.json must agree;
- no unfinished files may be left.

Prints a line for each operation, its progress (on a terminal), and a line for each fault after which one of
these is not true; then the exit code is 1. It ends after --minutes: faults that were not tried by then are
counted, and those that were are spread evenly over each operation. Everything happens in a temporary folder,
where the copies of one operation take up to 1 GB. Processes are forked, so torch is imported once.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kill_models import clear, faults, moments
from operations import OPERATIONS, Box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help="default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the file operations, 0 to 1")
    parser.add_argument("--minutes", type=float, default=25.0, help="at most, for all operations together")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--kill", action="store_true", help="repeat the operation for each file operation")
    arguments = parser.parse_args()
    names = [operation.name for operation in OPERATIONS]
    if unknown := set(arguments.operations) - set(names):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(names)}")
    if not 0 < arguments.share <= 1:
        parser.error("--share is a number above 0, at most 1")
    heads = ("operation", "tried", "of", "survived", "work lost", "split", "left over", "seconds")
    print("{:20} {:>6} {:>6} {:>9} {:>10} {:>6} {:>10} {:>8}".format(*heads))
    chosen = [o for o in OPERATIONS if not arguments.operations or o.name in arguments.operations]
    tried = faults if arguments.kill else moments
    end = time.monotonic() + 60 * arguments.minutes
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for number, operation in enumerate(chosen):
            counts = ("tried", "of", "survived", "lost", "split", "left")
            row: dict[str, Any] = {"operation": operation.name, **dict.fromkeys(counts, 0)}
            start = time.monotonic()
            # What one operation leaves of its time, the others have.
            deadline = start + (end - start) / (len(chosen) - number)
            for fault in tried(operation, box := Box(Path(folder)), arguments.share):
                verdict, what = fault.verdict, fault.what
                row["tried"] += 1
                row["of"] = fault.of
                reasons = verdict.lost + verdict.split + [f"left over: {name}" for name in verdict.left]
                row["survived"] += not reasons
                row["lost"] += bool(verdict.lost)
                row["split"] += bool(verdict.split)
                row["left"] += bool(verdict.left)
                if reasons:
                    what = what.replace(folder, "")
                    failed.append(f"{operation.name}, before {fault.number} ({what}): {'; '.join(reasons)}")
                progress(f"{operation.name}: {row['tried']} of {round(fault.of * arguments.share)} kills")
                if time.monotonic() > deadline:
                    break
            clear(box)
            progress("")
            row["seconds"] = round(time.monotonic() - start, 1)
            rows.append(row)
            print(line(row), flush=True)
    total: dict[str, Any] = {key: sum(row[key] for row in rows) for key in rows[0] if key != "operation"}
    print(line({"operation": "all"} | total))
    if total["tried"] < total["of"]:
        print(f"{total['of'] - total['tried']:,} file operations were not tried: --share 1, more --minutes")
    print(*failed, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "failed": failed}, indent=2) + "\n")
    sys.exit(bool(failed))


def progress(text: str) -> None:
    """Show how far it is, in the same line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['operation']:20} {row['tried']:6,} {row['of']:6,} {row['survived']:9,} {row['lost']:10,} "
        f"{row['split']:6,} {row['left']:10,} {row['seconds']:8,.0f}"
    )


if __name__ == "__main__":
    main()
