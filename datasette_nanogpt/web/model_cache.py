"""The models of a home, read again only where their folders changed: every page of a table asks for them."""

from __future__ import annotations

import os
from pathlib import Path

from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import model_names

FILES = ("", "nanogpt.json", "config.json", "model.safetensors")  # of a folder: one of them changes with it
Stamp = tuple[tuple[int, int, int], ...]  # inode, nanoseconds, bytes


class ModelCache:
    """Each model with what its files looked like when it was read."""

    def __init__(self, home: Path):
        self.home = home
        self._read: dict[str, tuple[Stamp, Checkpoint | None]] = {}

    def read(self) -> list[Checkpoint]:
        """The models, sorted by name, without those that do not load."""
        now: dict[str, tuple[Stamp, Checkpoint | None]] = {}
        for name in model_names(self.home):
            stamp = _stamp(self.home / name)
            known = self._read.get(name)
            now[name] = known if known and known[0] == stamp else (stamp, _load(self.home / name))
        self._read = now  # at once: threads of several pages read it
        return [checkpoint for _, checkpoint in now.values() if checkpoint]


def _stamp(folder: Path) -> Stamp:
    stats = []
    for file in FILES:
        try:
            stat = os.stat(os.path.join(folder, file))
            stats.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            stats.append((0, 0, 0))
    return tuple(stats)


def _load(folder: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(folder)
    except NanogptError:
        return None
