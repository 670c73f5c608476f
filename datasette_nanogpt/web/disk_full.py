"""What the pages say of a run that ended because the disk was full: training/failures.py has its error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_nanogpt.config import GPTConfig

from ..formatting import memory_size
from ..registry.runs import plan_of

FULL = re.compile(r"The disk (of .+ )?is full\b")  # with the folder of the models
# Bytes on the disk for each parameter: four each for the weights, for the file that takes their place when
# they are saved anew, and for up to three values with which training goes on.
BYTES_PER_PARAMETER = 20


def disk_was_full(run: Mapping[str, Any]) -> bool:
    return FULL.match(run["error"] or "") is not None


def free_space(run: Mapping[str, Any]) -> str:
    """What helps a run whose disk was full; "" for any other, and for those who may not see its error."""
    if not (full := FULL.match(run["error"] or "")):
        return ""
    config = plan_of(run).get("config")
    size = memory_size(BYTES_PER_PARAMETER * GPTConfig(**config).parameters) if config else ""
    needed = f" (about {size} {'are' if size[-2:] == 'MB' else 'is'} needed)" if size else ""
    disk = f"the disk {full[1].strip()}" if full[1] else "the disk that has the models"
    return f"The disk was full. Free some space on {disk}{needed}, then start again."
