"""Let SQLite's own system calls fail, one after the other, and check what is left.

    python benchmarks/sqlite_errors.py                       # every operation, a sample of the calls
    python benchmarks/sqlite_errors.py train "score rows" --on registry
    python benchmarks/sqlite_errors.py train --tries 1000    # up to so many for each kind of failure

The operations are those of faults.py. SQLite reads, writes, opens, cuts and locks its files by calls of the
system that its VFS lets a program replace (xSetSystemCall), so what a broken disk does can be done to it
alone: an input/output error, a full disk, one that became read-only, a page of noise or zeros, no more open
files, a lock that cannot be had. It happens once, or from then on. It comes on nanogpt.db with its log
(registry), or on the database with the rows (table). fsync is not among these calls.

If the registry fails, a run that has a score must continue; anything else may end, but with one line that
names the reason. Afterwards the same must be true as after a kill. Prints a line for each operation, then one
for each failure after which this is not so; then the exit code is 1. Needs Linux and a
Python whose sqlite3 uses the system's library.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import errno
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill import Tell, in_child
from kill_models import Verdict, age_runs, clear, evenly, judge, next_command, not_a_line, starting_point
from operations import OPERATIONS, Box, Operation

from datasette_nanogpt.registry import db as registry_db
from datasette_nanogpt.registry import outbox, runs
from datasette_nanogpt.web import score_rows
from llm_nanogpt.errors import NanogptError

# Those that use SQLite.
NAMES = ("train", "replace", "resume", "rename", "remove", "score", "score rows", "queue", "keep a text")
INT, SIZE, POINTER = ctypes.c_int, ctypes.c_ssize_t, ctypes.c_void_p
# Of each call of the system its result and its arguments, as C has them.
CALLS: dict[str, tuple[Any, ...]] = {
    "open": (INT, ctypes.c_char_p, INT, INT),
    "pread64": (SIZE, INT, POINTER, SIZE, SIZE),
    "pwrite64": (SIZE, INT, POINTER, SIZE, SIZE),
    "ftruncate": (INT, INT, SIZE),
    "fcntl": (INT, INT, INT, POINTER),
}
# What can happen to each: a number of errno, or what is read.
FAILURES: tuple[tuple[str, int | str], ...] = (
    ("pread64", errno.EIO),
    ("pread64", "noise"),
    ("pread64", "zeros"),
    ("pwrite64", errno.EIO),
    ("pwrite64", errno.ENOSPC),
    ("pwrite64", errno.EROFS),
    ("open", errno.EACCES),
    ("open", errno.EMFILE),
    ("fcntl", errno.EIO),
    ("ftruncate", errno.EIO),
)


# ---- Failing


class VFS(ctypes.Structure):
    """sqlite3_vfs of sqlite3.h, as far as its system calls."""


GET = ctypes.CFUNCTYPE(POINTER, ctypes.POINTER(VFS), ctypes.c_char_p)
SET = ctypes.CFUNCTYPE(INT, ctypes.POINTER(VFS), ctypes.c_char_p, POINTER)
VFS._fields_ = [
    *(("iVersion", INT), ("szOsFile", INT), ("mxPathname", INT)),
    *((f"before{i}", POINTER) for i in range(16)),  # pNext to xCurrentTimeInt64
    *(("xSetSystemCall", SET), ("xGetSystemCall", GET)),
]


def vfs() -> Any:
    """SQLite's default VFS."""
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3") or "libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = ctypes.POINTER(VFS)
    return library.sqlite3_vfs_find(None)


class Failing:
    """Counts one call of the system on the files whose path begins with `file`, and lets the one number `at`
    fail, and if it is `lasting` all that follow. Files are made for good: there is one in a process."""

    def __init__(self, file: Path, call: str, how: int | str, at: int | None, lasting: bool):
        self.file, self.call, self.how, self.at, self.lasting = str(file), call, how, at, lasting
        self.count = 0
        self.noise = random.Random(0)

    def install(self) -> None:
        there = vfs()
        kind = ctypes.CFUNCTYPE(*CALLS[self.call], use_errno=True)
        address = there.contents.xGetSystemCall(there, self.call.encode())
        self.works = kind(address)
        self.replaced = kind(self.replacement)  # kept, as C has no other hold on it
        there.contents.xSetSystemCall(there, self.call.encode(), ctypes.cast(self.replaced, POINTER))

    def replacement(self, *args: Any) -> int:
        if not self.is_ours(args[0]):
            return int(self.works(*args))
        number, at = self.count, self.at
        self.count += 1
        if at is None or not (number == at or (self.lasting and number > at)):
            return int(self.works(*args))
        if isinstance(self.how, int):
            ctypes.set_errno(self.how)
            return -1
        done = int(self.works(*args))
        if done > 0:
            ctypes.memmove(args[1], self.noise.randbytes(done) if self.how == "noise" else bytes(done), done)
        return done

    def is_ours(self, which: int | bytes) -> bool:
        if isinstance(which, int):
            with suppress(OSError):
                return os.readlink(f"/proc/self/fd/{which}").startswith(self.file)
            return False
        return os.fsdecode(which).startswith(self.file)


# ---- Trying


@dataclass
class Failure:
    """Which call failed in which way, and what happened then."""

    what: str
    verdict: Verdict


def operate(operation: Operation, box: Box, failing: Failing) -> tuple[str, int, list[str]]:
    """Do it in a process of its own. The line that it ended with, "" if it ended well; how often the call
    came; and the scores that were announced."""

    def work(tell: Tell) -> list[Any]:
        box.enter()
        for module in (registry_db, runs):
            setattr(module, "BUSY_SECONDS", 0.3)  # noqa: B010
        outbox.PATIENCE_SECONDS, outbox.RETRY_SECONDS = 0.05, 0.0
        score_rows.BUSY_SECONDS = score_rows.RETRY_SECONDS = 0.05
        score_rows.PATIENCE_SECONDS = 0.5
        logging.disable()
        failing.install()
        line = ""
        try:
            operation.do(box, tell)
        except NanogptError as ex:
            line = str(ex) or "an empty line"
        return [line, failing.count]

    outcome = in_child(work)
    return outcome.result[0], outcome.result[1], outcome.told


def failures(operation: Operation, box: Box, on: str, tries: int) -> Iterator[Failure]:
    """Up to so many failures of each kind, evenly spread over the operation."""
    work, copy = starting_point(operation, box)

    def fresh() -> None:
        copy()
        age_runs(work)

    file = work.home / "nanogpt.db" if on == "registry" else work.db
    fresh()
    before = next_command(work)
    operate(operation, work, Failing(file, "open", 0, None, False))
    after = next_command(work)
    for call, how in FAILURES:
        fresh()
        _, total, _ = operate(operation, work, Failing(file, call, how, None, False))
        for number in list(evenly(total, 1.0))[:tries] if total else []:
            for lasting in (False, True):
                fresh()
                named = os.strerror(how) if isinstance(how, int) else how
                what = f"{call} {number + 1} of {total} on the {on}{' and all after' * lasting}: {named}"
                try:
                    line, _, told = operate(operation, work, Failing(file, call, how, number, lasting))
                    verdict = Verdict(lost=not_a_line(line))
                    if line and told and on == "registry":
                        verdict.lost.append(f"a run with a score was ended: {line[:200]}")
                    # What SQLite was given, it may have written back.
                    damaged = how in ("noise", "zeros") and on == "registry"
                    if damaged:
                        begin_registry_anew(work)
                    age_runs(work)
                    rest = judge(operation, before, after, next_command(work), told)
                    verdict.lost += [each for each in rest.lost if not damaged or "kept texts" not in each]
                    verdict.left += rest.left
                    verdict.split += [] if damaged else rest.split
                except RuntimeError as ex:
                    verdict = Verdict(lost=[str(ex).strip().splitlines()[-1]])
                yield Failure(what, verdict)


def begin_registry_anew(box: Box) -> None:
    """Do what the message about a damaged registry asks for: move it away."""
    for file in box.home.glob("nanogpt.db*"):
        file.unlink()

    def begin(tell: Tell) -> None:
        with registry_db.registry(box.home, create=True):
            pass

    in_child(begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=f"default: {', '.join(NAMES)}")
    parser.add_argument("--on", choices=["registry", "table"], help="default: both")
    parser.add_argument("--tries", type=int, default=4, help="of each kind of failure, single and lasting")
    arguments = parser.parse_args()
    if unknown := set(arguments.operations) - set(NAMES):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(NAMES)}")
    print(f"{'operation':20} {'on':9} {'tried':>6} {'survived':>9} {'seconds':>8}")
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sqlite-") as folder:
        for operation in OPERATIONS:
            for on in [arguments.on] if arguments.on else ["registry", "table"]:
                if operation.name not in (arguments.operations or NAMES):
                    continue
                start, tried, bad = time.monotonic(), 0, 0
                for failure in failures(operation, box := Box(Path(folder)), on, arguments.tries):
                    tried += 1
                    verdict = failure.verdict
                    if reasons := verdict.lost + verdict.split + [f"left over: {n}" for n in verdict.left]:
                        bad += 1
                        failed.append(f"{operation.name}, {failure.what}: {'; '.join(reasons)}")
                clear(box)
                seconds = time.monotonic() - start
                print(f"{operation.name:20} {on:9} {tried:6,} {tried - bad:9,} {seconds:8,.0f}", flush=True)
    print(*failed, sep="\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
