"""llm's hooks: they register every model folder as a model, and the commands `llm nanogpt`."""

from __future__ import annotations

from collections.abc import Callable

import click
import llm

from .home import model_names, nanogpt_home
from .llm_model import AsyncNanoGPT, NanoGPT


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    for name in model_names(nanogpt_home()):
        register(NanoGPT(name), AsyncNanoGPT(name))


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    from .commands import nanogpt

    cli.add_command(nanogpt)
