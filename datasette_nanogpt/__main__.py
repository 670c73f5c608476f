"""`python -m datasette_nanogpt train …`: the commands without Datasette around them."""

import click

from .cli import demo_command, queued_command, train_command


@click.group()
def main():
    """Train a small GPT on a table of your own writing."""


main.add_command(train_command, "train")
main.add_command(demo_command, "demo-db")
main.add_command(queued_command, "queued")

if __name__ == "__main__":
    main()
