"""llm's hooks: they register every model folder as a model, and the commands `llm nanogpt`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
import llm

from .ctrl_c import end_quietly
from .errors import read_nothing_if_closed
from .home import model_names, nanogpt_home


def _is_for_us(words: list[str]) -> bool:
    """Whether the words of llm's command line are for a command or a model of ours."""
    match words:
        case ["nanogpt", *_]:
            return True
        case ["-m", name, *_]:
            return (nanogpt_home() / name).is_dir()
    return False


if _is_for_us(sys.argv[1:]):
    read_nothing_if_closed()
    end_quietly()  # llm imports more after this module, and so does the next line

from .llm_model import AsyncNanoGPT, NanoGPT  # noqa: E402


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    for name in model_names(nanogpt_home()):
        register(NanoGPT(name), AsyncNanoGPT(name))


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    from .commands import nanogpt

    cli.add_command(nanogpt)
