"""Which process works on a run, identified so that no clock, reused number or restart can mislead."""

from __future__ import annotations

import os
import signal
from functools import cache
from pathlib import Path


def process_id(pid: int | None = None) -> str | None:
    """A process of this machine, by default this one, as "boot/namespace/pid/start": which boot of which
    kernel, which container, its number there, and its start in clock ticks after the boot.

    None where the system does not tell (all but Linux), or there is no such process.
    """
    pid = pid or os.getpid()
    start = _start_of(pid)
    return f"{_machine()}/{pid}/{start}" if _machine() and start else None


def is_alive(process: str | None) -> bool | None:
    """Whether the process of a `process_id` is alive. None if that cannot be known here, because it is from
    another machine, container or boot, or belongs to a user whose processes are hidden."""
    machine, pid, start = (process or "//").rsplit("/", 2)
    if not machine or machine != _machine():
        return None
    if _start_of(int(pid)) == start:
        return True
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return None
    except OSError:
        pass
    return False


def terminate(process: str) -> bool:
    """Send SIGTERM to the process of a `process_id`. False where it is not alive, or is somebody else's."""
    if not is_alive(process):
        return False
    try:
        os.kill(int(process.rsplit("/", 2)[1]), signal.SIGTERM)
    except OSError:
        return False
    return True


def _start_of(pid: int) -> str:
    """The start time of a process in clock ticks, from /proc; "" if there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # from the state on
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
