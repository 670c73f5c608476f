"""The machine on which figures were measured, for the JSON of every benchmark."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def machine() -> dict:
    """Processor, cores that this process may use, system and versions."""
    try:
        named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        named = None
    processor = named[1] if named else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("datasette-nanogpt", "torch", "numpy", "tokenizers", "tiktoken")
    return {
        "processor": processor,
        "cores": cores,
        "system": platform.platform(terse=True),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }
