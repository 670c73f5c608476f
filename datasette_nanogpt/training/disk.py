"""How much disk space a run takes, checked before it begins: several models and their predictions take more
than the one model that is kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from llm_nanogpt.errors import NanogptError

from ..formatting import memory_size
from .joined_size import MOST_JOINED
from .recipe import Stage
from .teacher_probs import file_bytes

WEIGHT = 4  # bytes, float32
# How many numbers a model in training has on the disk for each weight: one in the folder, and three in the
# state (the weight and up to two numbers of the optimizers), which is written beside the old one and so
# exists twice.
COPIES = 1 + 2 * 3


def bytes_of_run(stages: Sequence[Stage], train_tokens: int, joined: int = 0) -> int:
    """The most bytes that a run has on the disk at once, not counting the token files, if at its end it may
    make a model of `joined` parameters of others."""
    config = stages[-1].config
    biggest = max(each.config.parameters for each in stages)
    # At most two generations are kept as teachers: those of the one in training, and that one itself, which
    # will teach the next or be joined.
    most = max(len(each.settings.teachers) for each in stages)
    teachers = (most + max(most, min(len(stages), MOST_JOINED) if joined else 0)) * biggest * WEIGHT
    predicted = 2 * file_bytes(train_tokens, config.vocab_size) if most else 0
    return (COPIES * biggest + joined) * WEIGHT + teachers + predicted


def check_disk(folder: Path, stages: Sequence[Stage], train_tokens: int, joined: int = 0) -> str:
    """A sentence on the disk space of several models; "" for one. Raises NanogptError if it is too little."""
    needed, free = bytes_of_run(stages, train_tokens, joined), shutil.disk_usage(folder).free
    if needed > free:
        raise NanogptError(
            f"This run needs {memory_size(needed)} of disk space, and {memory_size(free)} is free: make "
            "room, set NANOGPT_HOME to another place, or give fewer --minutes or a smaller --size"
        )
    return f" The run takes up to {memory_size(needed)} of disk space." if len(stages) > 1 else ""
