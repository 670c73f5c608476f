"""The names of models: which folders they mean, and which names llm already uses for something else."""

from __future__ import annotations

import json
import logging
import unicodedata
from importlib.metadata import entry_points
from pathlib import Path

import llm
from llm.models import ModelWithAliases
from llm.plugins import pm

from .errors import InvalidOptions, Problem, WrongUsage
from .home import check_readable, model_names, nanogpt_home
from .llm_model import NanoGPT
from .suggestions import did_you_mean

MOST_NAMES = 20  # that an error lists


def folder_of(name: str) -> Path:
    """The folder of a model, by its name or by its alias in llm. The model may be broken.

    Raises NanogptError that lists the models there are.
    """
    home, name = nanogpt_home(), unicodedata.normalize("NFC", name)
    names = model_names(home)
    if name not in names:
        name = aliases().get(name, name)
    if name not in names:
        check_readable(home)
        if not names:
            raise WrongUsage(f"There is no model {name!r} in {home}: train one with `llm nanogpt train`")
        more = len(names) - MOST_NAMES
        have = ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
        meant = did_you_mean([name], names).removesuffix(".")
        raise WrongUsage(f"There is no model {name!r} in {home}: you have {have}{'.' * bool(meant)}{meant}")
    return home / name


def aliases_file() -> Path:
    """Where llm keeps its aliases."""
    return llm.user_dir() / "aliases.json"


def aliases_of(name: str) -> list[str]:
    """llm's aliases of a model."""
    return [alias for alias, model in aliases().items() if model == name]


def aliases() -> dict[str, str]:
    """llm's aliases: alias -> model. None where its file cannot be read."""
    try:
        saved = json.loads(aliases_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}


def check_free(name: str) -> None:
    """Raise InvalidOptions if a model cannot be called `name`.

    That is so if it is the name of another plugin's model, which ours would hide, or an alias of one of ours,
    which would hide the new model.
    """
    for known in _models_of_llm():
        ours, model_id = isinstance(known.model, NanoGPT), known.model.model_id
        if ours and name in known.aliases:
            way_out = f"choose another name, or type `llm aliases remove {name}`"
            message = f"{name!r} is an alias of {model_id}: {way_out}"
            raise InvalidOptions([Problem("name", "alias", message)])
        if not ours and name in (model_id, *known.aliases):
            message = f"llm has a model {name!r} already: choose another name"
            raise InvalidOptions([Problem("name", "taken", message)])


def _models_of_llm() -> list[ModelWithAliases]:
    """All models of llm. A plugin that does not load is left out: llm itself would end with the plugin's
    error, but a training does not need that plugin."""
    for plugin in entry_points(group="llm"):
        try:
            plugin.load()
        except (Exception, SystemExit) as ex:
            logging.getLogger(__name__).warning("llm's plugin %s does not load: %r", plugin.name, ex)
            pm.set_blocked(plugin.name)
    try:
        return llm.get_models_with_aliases()
    except (Exception, SystemExit) as ex:
        logging.getLogger(__name__).warning("llm cannot list its models: %r", ex)
        return []
