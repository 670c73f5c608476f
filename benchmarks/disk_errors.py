"""Let each file operation of a process fail in turn, as on a failing disk, and check what is left.

    python benchmarks/disk_errors.py                     # all operations, every fault
    python benchmarks/disk_errors.py train --lasting     # all later ones fail, too
    python benchmarks/disk_errors.py --every 10          # a sample: each tenth file operation

The operations are those of faults.py. In place of a kill, a file operation ends with an error: input/output
error, permission denied, read-only file system, no such file, no space (as without inodes), in turn. The
operation must then succeed, or end with one line that names the reason. Afterwards the same must be true as
after a kill. The exit code is 1 if it was not.
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
import time
from pathlib import Path

from kill_models import clear, faults
from operations import OPERATIONS, Box

ERRORS = (errno.EIO, errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENOSPC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help="default: all")
    parser.add_argument("--every", type=int, default=1, help="try each Nth file operation only")
    parser.add_argument("--lasting", action="store_true", help="refuse all that follow, too")
    arguments = parser.parse_args()
    if unknown := set(arguments.operations) - {operation.name for operation in OPERATIONS}:
        parser.error(f"unknown {', '.join(unknown)}")
    print(f"{'operation':20} {'tried':>6} {'survived':>9} {'seconds':>8}")
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        for operation in OPERATIONS:
            if arguments.operations and operation.name not in arguments.operations:
                continue
            start, tried, before = time.monotonic(), 0, len(failed)
            share, lasting = 1 / arguments.every, arguments.lasting
            box = Box(Path(folder))
            for fault in faults(operation, box, share, ERRORS, lasting):
                verdict = fault.verdict
                tried += 1
                # What is half made may stay where the disk does not let it be deleted; a kill leaves nothing.
                reasons = verdict.lost + verdict.split
                if lasting:  # the run has said by then that its best weights wait in memory
                    reasons = [reason for reason in reasons if "was announced" not in reason]
                if reasons:
                    what = fault.what.replace(folder, "")
                    failed.append(f"{operation.name}, at {fault.number} ({what}): {'; '.join(reasons)}")
            clear(box)
            survived = tried - (len(failed) - before)
            print(
                f"{operation.name:20} {tried:6,} {survived:9,} {time.monotonic() - start:8,.0f}", flush=True
            )
    print(*failed, sep="\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
