"""llm's hooks: every model folder is a model, and `llm nanogpt` looks after them."""

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
