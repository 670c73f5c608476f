"""llm's hooks: they register every model folder as a model, and the commands `llm nanogpt`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

import click
import llm

from .ctrl_c import end_quietly
from .errors import NanogptError, read_nothing_if_closed
from .home import model_names, nanogpt_home


def _is_for_us(words: list[str]) -> bool:
    """Whether the words of llm's command line are for a command or a model of ours."""
    match words:
        case ["nanogpt", *_]:
            return True
        case ["-m", name, *_]:
            with suppress(NanogptError):
                return (nanogpt_home() / name).is_dir()
    return False


if _is_for_us(sys.argv[1:]):
    read_nothing_if_closed()
    end_quietly()  # llm imports more after this module, and so does the next line

from .llm_model import AsyncNanoGPT, NanoGPT  # noqa: E402


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    try:
        home = nanogpt_home()
    except NanogptError as ex:  # llm has other models: only commands of ours end with an error
        logging.getLogger(__name__).warning("%s", ex)
        return
    for name in model_names(home):
        register(NanoGPT(name), AsyncNanoGPT(name))


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    from .commands import nanogpt

    cli.add_command(nanogpt)
