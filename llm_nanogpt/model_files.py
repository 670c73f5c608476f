"""Which folders and files in a home are ours. It may be a folder that somebody has other things in, even the
one with their .bashrc.old: these are not listed, and never replaced or deleted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# A folder with one of these holds a model, maybe a damaged one. Other programs have a config.json, too.
MODEL_FILES = frozenset(
    ("nanogpt.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
)
# What else may be in a model that is half made, or half deleted, beside files that are being written.
PARTS = frozenset(("config.json", "README.md", "words.txt", "training"))


def holds_other_files(folder: Path) -> bool:
    """Whether a folder has files, of which none is a model's."""
    try:
        files = os.listdir(folder)
    except OSError:
        return False
    return bool(files) and MODEL_FILES.isdisjoint(files)


def is_left_behind(path: Path) -> bool:
    """Whether a .NAME.new, .NAME.old or .NAME.removed is a model, or a part of one, a .NAME.lock an empty
    file, as all of ours are, and another name a file."""
    try:
        if path.suffix not in (".new", ".old", ".removed"):
            found = os.lstat(path)
            return stat.S_ISREG(found.st_mode) and not (path.suffix == ".lock" and found.st_size)
        files = set(os.listdir(path))
    except OSError:
        return False
    parts = {name for name in files if name.startswith(".") and name.endswith(".part")}
    return not MODEL_FILES.isdisjoint(files) or files <= PARTS | parts
