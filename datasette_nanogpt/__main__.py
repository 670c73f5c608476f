"""`python -m datasette_nanogpt train …`: the commands without Datasette around them, for torchrun."""

import signal
import sys

import click

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


if __name__ == "__main__":
    rank, _ = rank_and_size()
    follow() if rank else main()
