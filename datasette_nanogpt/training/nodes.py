"""Training on several machines: the first one has the home and the table, the others get what they need.

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 2 --master-addr HOST --master-port 29500 \\
        -m datasette_nanogpt train blog.db blog_entry       # and the same with --node-rank 1 on the other

Before each model rank 0 sends the files of its folder that the processes read: tokens, tokenizer, what the
teachers predict, the state of a resume. On the other machines one process of each keeps them in a temporary
folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .distributed import ProcessGroup

CHUNK = 2**24  # bytes that are sent at once


class Courier:
    """Sends the files of a model folder to the machines that do not have it; all processes call `send`."""

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        local = int(os.environ.get("LOCAL_WORLD_SIZE", group.size))
        self.several = group.size > local
        self.elsewhere = self.several and int(os.environ.get("GROUP_RANK", "0")) > 0
        self.writes = self.elsewhere and int(os.environ.get("LOCAL_RANK", "0")) == 0
        self.folder: Path | None = None  # where the files are that were sent here; None on the first machine
        self.sent: dict[str, tuple[int, int]] = {}  # file -> size and time of the version that all have

    def send(self, path: Path, names: list[str]) -> Path:
        """The folder in which this process finds the files of these `names`, which rank 0 has in `path`."""
        if not self.several:
            return path
        if not self.sent:
            folder = self._choose_folder()
            self.folder = folder if self.elsewhere else None
        versions: dict[str, tuple[int, int]] = {}
        if self.group.is_leader:
            for name in names:
                status = (path / name).stat()
                versions[name] = (status.st_size, status.st_mtime_ns)
        versions = self.group.broadcast_object(versions)
        for name, version in versions.items():
            if self.sent.get(name) != version:
                self._send_file(path / name, name, version[0])
                self.sent[name] = version
        self.group.barrier()
        return self.folder or path

    def _choose_folder(self) -> Path:
        """The folder of this machine, which one of its processes makes."""
        own = tempfile.mkdtemp(prefix="nanogpt-") if self.writes else None
        folders = self.group.gather_objects((os.environ.get("GROUP_RANK"), own))
        here = os.environ.get("GROUP_RANK")
        return Path(next((folder for node, folder in folders if node == here and folder), "."))

    def _send_file(self, source: Path, name: str, size: int) -> None:
        target = self.folder / name if self.folder and self.writes else None
        if target:
            target.parent.mkdir(exist_ok=True)
        with (
            open(source if self.group.is_leader else os.devnull, "rb") as reading,
            open(target or os.devnull, "wb") as writing,
        ):
            for begin in range(0, size, CHUNK):
                length = min(CHUNK, size - begin)
                writing.write(self.group.broadcast_bytes(reading.read(length), length))

    def close(self) -> None:
        """Delete what was sent here."""
        if self.writes and self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def files_of_stage(path: Path, teachers: Path | None, has_begun: bool) -> list[str]:
    """What the processes of a model read of its folder, relative to it."""
    names = ["training/train.bin", "training/val.bin"]
    names += [file.name for file in sorted(path.glob("*token*"))]
    names += ["words.txt"] if (path / "words.txt").exists() else []
    names += [f"training/{teachers.name}"] if teachers else []
    return [*names, "training/state.safetensors"] if has_begun else names
