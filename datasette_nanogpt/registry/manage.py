"""Renaming and removing a model: its folder, its aliases in llm, and its runs in the registry."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from llm_nanogpt import changes
from llm_nanogpt.changes import hold, refusals_told
from llm_nanogpt.checkpoint import Checkpoint, read_checkpoint
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem, WrongUsage
from llm_nanogpt.home import invalid_name, valid_name

from .db import RegistryError, registry, registry_file


def find_checkpoint(folder: Path) -> Checkpoint | None:
    """The model in a folder; None if there is none, or none that can be opened."""
    with suppress(NanogptError):
        return read_checkpoint(folder)
    return None


def name_taken(home: Path, name: str, database: str, table: str) -> bool:
    """Whether a name belongs to the model of another table. Which table is not said: it may be private."""
    if not (home / name).exists():
        return False
    model = find_checkpoint(home / name)
    source = (model.meta.get("source") if model else None) or {}
    return (source.get("database"), source.get("table")) != (database, table)


def check_not_taken(home: Path, name: str, database: str, table: str) -> None:
    """Raise InvalidOptions if a name belongs to the model of another table."""
    if name_taken(home, name, database, table):
        message = f"The name {name} was given to another model in the meantime: choose another name"
        raise InvalidOptions([Problem("name", "taken", message)])


def remove_model(folder: Path) -> list[str]:
    """Delete a model, the one that it replaced, its scorings of rows, the texts that were kept of it, and its
    aliases, which are returned.

    Its training runs stay. Raises NanogptError if the model is being trained.
    """
    from llm_nanogpt.names import aliases_file, aliases_of

    aliases = aliases_of(folder.name)
    with refusals_told(folder), hold(folder):
        _check_is_there(folder)
        changes.remove(folder, aliases_file(), registry=registry_file(folder.parent).exists())
    _tell_registry(folder.parent)
    return aliases


def rename_model(folder: Path, new_name: str) -> None:
    """Give a model another name, in its folder, its card, its aliases and its runs, those that wait included.

    Raises NanogptError if the name cannot be had, or either of the two is being trained.
    """
    from llm_nanogpt.names import aliases_file, check_free

    if not valid_name(new_name):
        raise WrongUsage(invalid_name(new_name))
    new = folder.with_name(new_name)
    if new == folder:
        raise WrongUsage(f"The model is called {new_name!r} already")
    with refusals_told(folder), hold(folder, new):
        _check_is_there(folder)
        check_free(new_name)
        if new.exists():
            raise WrongUsage(f"There is a model {new_name!r} already: choose another name")
        changes.rename(folder, new_name, aliases_file(), registry=registry_file(folder.parent).exists())
    _tell_registry(folder.parent)


def _tell_registry(home: Path) -> None:
    """Apply the change to the registry, which opening it does. If that is not possible now, the next opening
    does it: the change to the model is made."""
    if registry_file(home).exists():
        with suppress(RegistryError), registry(home):
            pass


def _check_is_there(folder: Path) -> None:
    if not folder.exists():
        raise NanogptError(f"The model {folder.name!r} is no longer there: `llm nanogpt models` lists them")
