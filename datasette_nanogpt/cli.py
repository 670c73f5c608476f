"""The click commands. `datasette nanogpt-train` and its kin; the work is done by plain modules."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager

import click

from llm_nanogpt.errors import click_errors


def load_plugins(context, option, folder):
    """Register the plugins of a folder, as `datasette --plugins-dir` does."""
    if folder:
        from datasette.app import Datasette

        Datasette(plugins_dir=folder).close()


plugins_dir_option = click.option(
    "--plugins-dir",
    type=click.Path(exists=True, file_okay=False),
    expose_value=False,
    callback=load_plugins,
    help="Folder of Datasette plugins, one of which decides what a row's text is",
)


@click.command("nanogpt-train")
@click.argument("database")
@click.argument("table", nargs=-1)
@click.option("--title", help="Column of titles  [default: found by name]")
@click.option("--body", multiple=True, help="Column of text; may be repeated  [default: found by name]")
@click.option("--where", help="SQL condition: which rows to train on")
@click.option("--sql", help="A select whose rows to train on, in place of a TABLE")
@click.option("--token", help="API token, where DATABASE is a URL  [default: $DATASETTE_TOKEN]")
@click.option("--refresh", is_flag=True, help="Fetch the rows of a URL anew, not from the copy kept")
@click.option("--no-cache", is_flag=True, help="Tokenize anew, and keep no tokens for the next run")
@click.option("--name", help="Name of the model  [default: nanogpt-DATABASE]")
@click.option("--minutes", type=float, help="How long to train  [default: 10]")
@click.option("--force", is_flag=True, help="Replace the model of that name, whatever it is")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped or killed")
@click.option("--max-iters", type=int, help="Stop after so many steps")
@click.option(
    "--arch", type=click.Choice(["qwen3", "gpt2"]), help="gpt2 is nanoGPT's recipe  [default: qwen3]"
)
@click.option(
    "--tokenizer",
    type=click.Choice(["bpe", "gpt2", "char"]),
    help="bpe is trained on the table  [default: bpe]",
)
@click.option("--vocab-size", type=int, help="Tokens of the bpe")
@click.option(
    "--size",
    type=click.Choice(["xs", "s", "m", "l"]),
    help="Size of the model  [default: by the text, the minutes and the speed of the machine]",
)
@click.option("--n-layer", type=int, help="Layers")
@click.option("--n-head", type=int, help="Attention heads")
@click.option("--n-embd", type=int, help="Width")
@click.option("--block-size", type=int, help="Context, in tokens")
@click.option("--batch-size", type=int, help="Windows of --block-size tokens a step")
@click.option(
    "--learning-rate",
    type=float,
    help="Highest rate  [default: by how often the text is read, 0.01 or 0.02; with --arch gpt2: 6e-4]",
)
@click.option(
    "--dropout",
    type=float,
    help="Share of activations dropped  [default: none]",
)
@click.option("--eval-interval", type=int, help="Steps between scores  [default: by time]")
@click.option("--device", help="cpu, cuda or mps  [default: the best there is]")
@click.option("--compile/--no-compile", default=None, help="Use torch.compile  [default: where it pays]")
@click.option("--seed", type=int, help="Seed of split, weights and batches  [default: 0]")
@plugins_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines")
def train_command(as_json, **options):
    """Train a GPT on the text of a TABLE, or of several, in a DATABASE.

    DATABASE is a SQLite file, or a Datasette's database: https://HOST/DATABASE.

    Finds the title and body columns, reads HTML as text, picks a model for the size of the table and
    for the minutes, and saves it for `llm -m NAME`. Ctrl+C stops early and keeps what was learnt;
    pressed twice, at once.

    \b
    Examples:
      datasette nanogpt-train blog.db blog_entry
      datasette nanogpt-train blog.db blog_entry --minutes 3 --where "created > '2020'"
      datasette nanogpt-train blog.db blog_entry --resume --minutes 20
      datasette nanogpt-train blog.db blog_entry blog_note --name nanogpt-both
      datasette nanogpt-train blog.db --sql "select name, text from comment join ..."
    """
    try:
        from .events import Evaluation, Step
        from .terminal import display
        from .training.lr_schedule import Stop
        from .training.options import TrainOptions
        from .training.process import set_up_process

        set_up_process()  # before torch is imported
        from .training.train import train_table

        stop, show = Stop(), display(as_json)
        with click_errors(), show, stop_on_signals(stop) as training:
            for event in train_table(TrainOptions(**options), stop):
                if isinstance(event, Step | Evaluation):
                    training()
                show.event(event)
    except KeyboardInterrupt:
        click.echo("Stopped before training began: nothing was changed.", err=True)
        sys.exit(130)


@contextmanager
def stop_on_signals(stop):
    """Ctrl+C anneals, twice stops at once, SIGTERM stops at once. Yields what to call when training begins:
    until then Ctrl+C is an ordinary KeyboardInterrupt."""
    kept = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def anneal(*_):
        stop.request()

    def at_once(*_):
        stop.request()
        stop.request()

    def training():
        signal.signal(signal.SIGINT, anneal)
        signal.signal(signal.SIGTERM, at_once)

    try:
        yield training
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@click.command("nanogpt-demo-db")
@click.argument("path", type=click.Path(dir_okay=False))
def demo_command(path):
    """Build a database to try things on: Python's own documentation, in the table python_docs.

    \b
    Example:
      datasette nanogpt-demo-db demo.db
      datasette nanogpt-train demo.db python_docs --minutes 1
    """
    from .data.demo import build_demo_db

    with click_errors():
        rows = build_demo_db(path)
    click.echo(f"{path}: {rows:,} rows in python_docs. Next: datasette nanogpt-train {path} python_docs")


def register(cli):
    """Add our commands to Datasette's command group."""
    cli.add_command(train_command)
    cli.add_command(demo_command)
