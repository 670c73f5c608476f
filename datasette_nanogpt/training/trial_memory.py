"""The results of trials on this machine, kept for 30 days in `<home>/.cache/trials.json`.

The trial of compiling alone took 4 to 25 s, on a busy machine 103 s (benchmarks/LOG.md, "Ten minutes by
default"). Its result depends on the machine, the versions and the shape of the steps: these make up the key.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from llm_nanogpt.atomic import write_json
from llm_nanogpt.home import cache_folder

KEPT_DAYS = 30  # results are tried again then: the machine may have another cooling or power plan


@dataclass(frozen=True)
class TrialResults:
    """The results for one shape of steps on this machine; None for what was not tried."""

    day: str  # of the last trial, ISO 8601
    step_seconds: float | None = None  # of a trial step, not compiled, in the precision that was chosen
    bf16: bool | None = None  # whether it was chosen
    bf16_reason: str = ""  # for people
    compile_gain: float | None = None  # times as fast as not compiled
    compile_seconds: float | None = None  # until the first step ran
    machine_flops: float | None = None  # a second, in matrix products, the best measured so far

    @property
    def when(self) -> str:
        """When it was tried, in words that follow a reason."""
        return f"as tried on {self.day}"


class TrialMemory:
    """The results of one key. Reading and writing never fail: without them the trials are made again."""

    def __init__(self, home: Path, device: str, *shape: object):
        """`shape` is all that the steps depend on, but for the machine; its repr is part of the key."""
        self.file = cache_folder(home) / "trials.json"
        text = json.dumps([*describe_machine(device), repr(shape)])
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def recall(self) -> TrialResults:
        """What was found in the last KEPT_DAYS days; nothing is known in one that was just made."""
        with suppress(TypeError, KeyError):
            return TrialResults(**self._read()[self.key])
        return TrialResults(today())

    def remember(self, results: TrialResults) -> None:
        """Keep what was found; what is older than KEPT_DAYS is dropped."""
        kept = self._read() | {self.key: asdict(results)}
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, kept)

    def _read(self) -> dict[str, Any]:
        oldest = time.strftime("%Y-%m-%d", time.gmtime(time.time() - KEPT_DAYS * 86_400))
        with suppress(OSError, ValueError, AttributeError, TypeError):
            kept: Mapping[str, Any] = json.loads(self.file.read_text("utf-8"))
            return {key: each for key, each in kept.items() if each["day"] >= oldest}
        return {}


def today() -> str:
    """The day as it is kept and told: UTC, ISO 8601."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def describe_machine(device: str) -> list[str | int]:
    """The device, the processor, its cores that this process may use, and the versions of what computes."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    versions = [version("datasette-nanogpt"), torch.__version__, platform.python_version()]
    return [device, gpu, _processor(), cores, torch.get_num_threads(), *versions]


def _processor() -> str:
    """The name of the processor, where the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return f"{platform.machine()} {platform.processor()}"
