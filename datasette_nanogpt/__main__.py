"""`python -m datasette_nanogpt train …`: the commands without Datasette around them, for torchrun."""

import logging
import os
import signal
import sys
from typing import NoReturn

import click

from llm_nanogpt.ctrl_c import end_quietly

if __name__ == "__main__":
    end_quietly()

from .cli import demo_command, train_command
from .training.distributed import rank_and_size


@click.group()
def main() -> None:
    """Train a small GPT on a table of your own writing."""


main.add_command(train_command, "train")
main.add_command(demo_command, "demo-db")


def follow() -> None:
    """Run as a process of torchrun that is not the first. It prints nothing: the first one does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        main(standalone_mode=False)
    except click.ClickException as ex:
        sys.exit(ex.exit_code)


def _end_at_once(code: int) -> NoReturn:
    """End one of several processes, which has done all its work. Threads of gloo outlive the process group
    (torch 2.13) and now and then abort a process that ends as usual, so that torchrun reports a failure."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    rank, size = rank_and_size()
    try:
        follow() if rank else main()
        code = 0
    except SystemExit as ex:
        code = ex.code if isinstance(ex.code, int) else int(ex.code is not None)
    if size > 1:
        _end_at_once(code)
    sys.exit(code)
