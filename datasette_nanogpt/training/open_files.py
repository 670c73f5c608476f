"""Keeps the files of a model folder open, so that what somebody removes of it can be put back.

The bytes of a deleted file stay on the disk for as long as a process has it open. Windows deletes no open
file, and replaces none either, so there nothing is kept open.
"""

from __future__ import annotations

import os
import shutil
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from llm_nanogpt.atomic import part_of


class OpenFiles:
    """The files of one folder and of the folders in it, by their path inside it."""

    def __init__(self) -> None:
        self._files: dict[Path, BinaryIO] = {}
        weakref.finalize(self, _close, self._files)

    def update(self, folder: Path) -> None:
        """Open the files that are new or were replaced, and are whole. One that is gone stays open."""
        if sys.platform == "win32":
            return
        for path in folder.rglob("*"):
            name = path.relative_to(folder)
            with suppress(OSError):
                if path.is_file() and path.suffix != ".part" and not self._is_open(name, path):
                    file = open(path, "rb")  # noqa: SIM115  # it stays open
                    self.drop(name)
                    self._files[name] = file

    def drop(self, name: Path) -> None:
        """Close a file that is not needed any more, so that its bytes are deleted, too."""
        if file := self._files.pop(name, None):
            file.close()

    def put_back(self, folder: Path) -> bool:
        """Write the files that are not in `folder` any more again. Returns whether there were any. Raises
        OSError where that cannot be done."""
        gone = [name for name in self._files if not (folder / name).exists()]
        for name in gone:
            path, file = folder / name, self._files[name]
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.seek(0)
            part = part_of(path)
            with open(part, "wb") as copy:
                shutil.copyfileobj(file, copy)
            os.replace(part, path)
        return bool(gone)

    def _is_open(self, name: Path, path: Path) -> bool:
        file = self._files.get(name)
        return file is not None and os.path.samestat(os.fstat(file.fileno()), os.stat(path))


def _close(files: dict[Path, BinaryIO]) -> None:
    for file in files.values():
        file.close()
