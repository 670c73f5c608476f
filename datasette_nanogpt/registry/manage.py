"""Looking after a model as a whole: its folder, its aliases in llm, and its runs in the registry."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from llm_nanogpt.atomic import write_bytes, write_json
from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import invalid_name, valid_name
from llm_nanogpt.locks import hold

from .db import registry, registry_file
from .runs import delete_runs


def name_taken(home: Path, name: str, database: str, table: str) -> bool:
    """Whether a name belongs to the model of another table. Which table is not said: it may be private."""
    if not (home / name).exists():
        return False
    try:
        source = read_checkpoint(home / name).meta.get("source") or {}
    except NanogptError:
        return True
    return (source.get("database"), source.get("table")) != (database, table)


def check_not_taken(home: Path, name: str, database: str, table: str) -> None:
    """Raise NanogptError if a name belongs to the model of another table."""
    if name_taken(home, name, database, table):
        raise NanogptError(f"The name {name} was given to another model in the meantime: choose another name")


def remove_model(folder: Path) -> list[str]:
    """Delete a model, its scorings of rows, and its aliases, which are returned. Its training runs stay.

    Raises NanogptError if the model is being trained.
    """
    removed = folder.with_name(f".{folder.name}.removed")
    with hold(folder):
        shutil.rmtree(removed, ignore_errors=True)
        os.rename(folder, removed)  # in one step: there is never half a model
    shutil.rmtree(removed, ignore_errors=True)
    home, name = folder.parent, folder.name
    if registry_file(home).exists():
        delete_runs(home, "kind = 'score' and name = ?", [name])
    return _remove_aliases(name)


def rename_model(folder: Path, new_name: str) -> None:
    """Give a model another name, in its folder, its card, its aliases and its runs.

    Raises NanogptError if the name cannot be had, or the model is being trained.
    """
    from llm_nanogpt.names import check_free

    if not valid_name(new_name):
        raise NanogptError(invalid_name(new_name))
    new, home, name = folder.with_name(new_name), folder.parent, folder.name
    check_free(new_name)
    if new.exists():
        raise NanogptError(f"There is a model {new_name!r} already: choose another name")
    with hold(folder):
        os.rename(folder, new)
    with suppress(OSError, ValueError, TypeError):  # a broken model keeps what it says of itself
        _rename_inside(new, name)
    _move_aliases(name, new_name)
    if registry_file(home).exists():
        with registry(home) as db:
            db.execute("update runs set name = ? where name = ?", [new_name, name])


def _rename_inside(folder: Path, old_name: str) -> None:
    """Write the folder's name into nanogpt.json and the model card."""
    meta = json.loads((folder / "nanogpt.json").read_text("utf-8"))
    write_json(folder / "nanogpt.json", meta | {"name": folder.name})
    # Only where the card means the model, not the table that it was trained on.
    mention = rf"(?m)((?:^# |llm -m |path/to/)){re.escape(old_name)}(?![\w.-])"
    card = re.sub(mention, rf"\g<1>{folder.name}", (folder / "README.md").read_text("utf-8"))
    write_bytes(folder / "README.md", card.encode())


def _aliases_of(name: str) -> list[str]:
    from llm_nanogpt.names import aliases

    return [alias for alias, model in aliases().items() if model == name]


def _remove_aliases(name: str) -> list[str]:
    import llm

    removed = _aliases_of(name)
    for alias in removed:
        llm.remove_alias(alias)
    return removed


def _move_aliases(name: str, new_name: str) -> None:
    import llm

    for alias in _aliases_of(name):
        llm.set_alias(alias, new_name)
