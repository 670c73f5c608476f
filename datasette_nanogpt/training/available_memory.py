"""How much memory is available here: on the machine, within its control groups, on a GPU."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
NVIDIA_DEVICES = ("/dev/nvidiactl", "/dev/dxg")  # of Linux, and of Linux in Windows
MEMINFO, OWN_CGROUPS, OWN_STATM = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/proc/self/statm")


def available_memory(device: str = "cpu") -> int | None:
    """Bytes that another process could take; None where that cannot be known without waking a GPU.

    For a CUDA device torch must have been imported, as in a process that trains.
    """
    if not device.startswith("cuda"):  # an Apple GPU shares the memory of the machine
        limits = [limit for limit in (_of_machine(), *_of_cgroups()) if limit is not None]
        return min(limits, default=None)
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return None


def address_space() -> float:
    """Bytes of addresses that a process may take (ulimit -v); infinite where there is no limit."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):  # Windows
        return math.inf
    return math.inf if limit == resource.RLIM_INFINITY else limit


def likely_device() -> str:
    """The device that a run would choose, as far as can be told without torch."""
    return "cuda" if any(map(os.path.exists, NVIDIA_DEVICES)) else "cpu"


def resident_memory() -> int:
    """Bytes that this process holds; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(OWN_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):  # macOS: half of all, as it tells no more
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _of_cgroups() -> Iterator[int]:
    """What each control group that this process is in may still take: a container's or a service's limit."""
    with suppress(OSError):
        for line in OWN_CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:  # version 2
                yield from _walk(CGROUPS, path, ("memory.max", "memory.current", "inactive_file"))
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _walk(CGROUPS / "memory", path, names)


def _walk(root: Path, path: str, names: tuple[str, str, str]) -> Iterator[int]:
    """The same for a group and those above it. In a container the group's own path may not be there: then the
    root is the group."""
    limit_file, usage_file, cache = names
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            limit, usage = int((group / limit_file).read_text()), int((group / usage_file).read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield max(0, limit - usage + int(stat.get(cache, 0)))
        if group == root:
            return
