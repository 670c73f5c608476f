"""Renaming a model wherever its name is written: in nanogpt.json, on its card and in what llm keeps."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

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
    if "options" in meta:  # of its training, where a name by default is not among them
        meta["options"] = (meta["options"] or {}) | {"name": folder.name}
    verdict = meta.get("verdict") or {}
    if lines := verdict.get("lines"):
        meta["verdict"] = verdict | {"lines": rename_in_verdict(lines, old_name, folder.name)}
    write_json(folder / "nanogpt.json", meta | {"name": folder.name})
    # Replace only mentions of the model, not of a table with the same name.
    mention = rf"(?m)((?:^# |llm -m |path/to/)){re.escape(old_name)}(?![\w.-])"
    card = re.sub(mention, rf"\g<1>{folder.name}", read_file(folder / "README.md").decode("utf-8", "replace"))
    write_bytes(folder / "README.md", card.encode())


def rename_in_verdict(lines: dict[str, str], old_name: str, new_name: str) -> dict[str, str]:
    """A verdict, heading -> sentence, whose command to train the model further, and whose command to
    bring back an older one, name the new model."""
    if "replaced" in lines:
        command = rf"`llm nanogpt restore {re.escape(old_name)}`"
        restore = re.sub(command, lambda _: f"`llm nanogpt restore {new_name}`", lines["replaced"])
        lines = lines | {"replaced": restore}
    command = lines.get("next", "")
    if not command.startswith("datasette nanogpt-train "):
        return lines
    new = f" --name {shlex.quote(new_name)}"
    if " --name " in command:
        old = rf" --name {re.escape(shlex.quote(old_name))}(?=\s|$)"
        command = re.sub(old, lambda _: new, command)
    else:  # it had its name by default
        words, gap, gain = command.partition("  (")
        command = words + new + gap + gain
    return lines | {"next": command}


def change_in_llm(home: Path, aliases: Path, name: str, new_name: str | None) -> None:
    """Let what llm keeps of a model mean `new_name` instead; None deletes it. Those are its aliases, in the
    file `aliases`, and in files beside that, its options and whether it is the default model."""
    if aliases.name != "aliases.json":
        return
    default, options = aliases.with_name("default_model.txt"), aliases.with_name("model_options.json")
    if not any(file.is_file() for file in (aliases, default, options)):
        return
    taken = lock(home / "+aliases")  # so that two renames at once do not overwrite each other
    try:
        known = _read_object(aliases)
        if name in known.values():
            changed = {alias: new_name if model == name else model for alias, model in known.items()}
            _write_object(aliases, {alias: model for alias, model in changed.items() if model is not None})
        known = _read_object(options)
        if name in known:
            renamed = {new_name if model == name else model: value for model, value in known.items()}
            _write_object(options, {model: value for model, value in renamed.items() if model is not None})
        if default.is_file() and default.read_text("utf-8", "replace").strip() == name:
            if new_name is None:
                default.unlink()
            else:
                write_bytes(Path(os.path.realpath(default)), new_name.encode())
    finally:
        if taken:
            taken.release()


def _read_object(file: Path) -> dict[str, Any]:
    """What is in one of llm's files; nothing where it is not JSON, as llm itself replaces such a file."""
    try:
        found = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write_object(file: Path, values: dict[str, Any]) -> None:
    write_bytes(Path(os.path.realpath(file)), (json.dumps(values, indent=4) + "\n").encode())
