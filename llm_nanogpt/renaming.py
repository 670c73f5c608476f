"""Where the name of a model stands beside its folder's: in nanogpt.json, on its card, in llm's aliases."""

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
    """Write the folder's name into nanogpt.json and the model card. A broken model, and one where we may not
    write, keeps what it says of itself."""
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
    # Only where the card means the model, not the table that it was trained on.
    mention = rf"(?m)((?:^# |llm -m |path/to/)){re.escape(old_name)}(?![\w.-])"
    card = re.sub(mention, rf"\g<1>{folder.name}", read_file(folder / "README.md").decode("utf-8", "replace"))
    write_bytes(folder / "README.md", card.encode())


def change_aliases(home: Path, file: Path, name: str, new_name: str | None) -> None:
    """Have llm's aliases of one model stand for another, or delete them."""
    if file.name != "aliases.json" or not file.is_file():
        return
    taken = lock(home / "+aliases")  # of two renames at once, each keeps what the other wrote
    try:
        with suppress(ValueError):  # llm itself begins anew with such a file
            aliases = json.loads(file.read_text("utf-8"))
            if isinstance(aliases, dict) and name in aliases.values():
                changed = {alias: new_name if model == name else model for alias, model in aliases.items()}
                kept = {alias: model for alias, model in changed.items() if model is not None}
                write_bytes(Path(os.path.realpath(file)), (json.dumps(kept, indent=4) + "\n").encode())
    finally:
        if taken:
            taken.release()
