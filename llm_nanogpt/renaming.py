"""Renaming a model wherever its name is written: in nanogpt.json, on its card and in llm's aliases."""

from __future__ import annotations

import errno
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from .atomic import write_bytes, write_json
from .errors import NanogptError
from .files import read_file
from .locks import lock


def rename_inside(folder: Path, old_name: str) -> None:
    """Write the folder's name into nanogpt.json and the model card. A broken model, and one that we may not
    write to, keeps the old name there."""
    try:
        _write_name(folder, old_name)
    except NanogptError:
        return
    except OSError as ex:
        if ex.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _write_name(folder: Path, old_name: str) -> None:
    from .meta import read_meta  # takes 20 ms, and llm imports this module at each start

    meta = read_meta(folder / "nanogpt.json")
    options = meta.get("options") or {}
    if "name" in options:
        meta["options"] = options | {"name": folder.name}
    write_json(folder / "nanogpt.json", meta | {"name": folder.name})
    # Replace only mentions of the model, not of a table with the same name.
    mention = rf"(?m)((?:^# |llm -m |path/to/)){re.escape(old_name)}(?![\w.-])"
    card = re.sub(mention, rf"\g<1>{folder.name}", read_file(folder / "README.md").decode("utf-8", "replace"))
    write_bytes(folder / "README.md", card.encode())


def change_aliases(home: Path, file: Path, name: str, new_name: str | None) -> None:
    """Let llm's aliases of a model mean `new_name` instead; None deletes them."""
    if file.name != "aliases.json" or not file.is_file():
        return
    taken = lock(home / "+aliases")  # so that two renames at once do not overwrite each other
    try:
        with suppress(ValueError):  # llm itself replaces a file that is not JSON
            aliases = json.loads(file.read_text("utf-8"))
            if isinstance(aliases, dict) and name in aliases.values():
                changed = {alias: new_name if model == name else model for alias, model in aliases.items()}
                kept = {alias: model for alias, model in changed.items() if model is not None}
                write_bytes(Path(os.path.realpath(file)), (json.dumps(kept, indent=4) + "\n").encode())
    finally:
        if taken:
            taken.release()
