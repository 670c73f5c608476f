"""The commands that this plugin adds to Datasette: they read the command line, other modules do the work."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from llm_nanogpt.ctrl_c import INTERRUPTED, command_begins, ends_on_ctrl_c
from llm_nanogpt.errors import (
    InvalidOptions,
    NanogptError,
    Problem,
    click_errors,
)
from llm_nanogpt.new_file import NewFile

from .formatting import train_words

if TYPE_CHECKING:
    from types import FrameType

    from .training.lr_schedule import Stop
    from .training.options import TrainOptions

PROGRAMS = ("datasette ", "llm ", "sqlite3 ", "sqlite-utils ")  # with which commands begin in our messages


def _set_up_datasette(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Register the plugins of a folder and load SQLite's extensions, as `datasette` does."""
    if not value:
        return
    from datasette.app import Datasette
    from datasette.utils import find_spatialite

    from .data.connection_setup import prepare_as

    given = context.meta.setdefault("datasette_nanogpt", {"load_extension": ()})
    given[option.name] = value
    paths = [find_spatialite() if path == "spatialite" else path for path in given["load_extension"]]
    extensions = [tuple(path.split(":", 1)) if ":" in path else path for path in paths]
    datasette = Datasette(plugins_dir=given.get("plugins_dir"), sqlite_extensions=extensions)
    datasette.close()  # its threads and databases, which setting up connections does not need
    prepare_as(datasette)


def _check_name(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name, as of a variable that is not set: only the form may leave it empty."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: leave --name out for the name of the database, or give one.")
    return value


plugins_dir_option = click.option(
    "--plugins-dir",
    type=click.Path(exists=True, file_okay=False),
    expose_value=False,
    callback=_set_up_datasette,
    help="Folder of Datasette plugins, one of which decides what the text of a row is",
)
load_extension_option = click.option(
    "--load-extension",
    metavar="PATH",
    multiple=True,
    expose_value=False,
    callback=_set_up_datasette,
    help="SQLite extension that the database needs: a path, or spatialite; can be used several times",
)


@click.command("nanogpt-train")
@click.argument("database")
@click.argument("table", nargs=-1)
@click.option("--title", help="Column with the titles, '' for none  [default: found by its name]")
@click.option(
    "--body", multiple=True, help="Column with text; can be used several times  [default: found by its name]"
)
@click.option(
    "--text",
    type=click.Choice(["plain", "html", "markdown"]),
    help="How to read the text  [default: as a sample of it suggests]",
)
@click.option(
    "--template", help="What the text of a row is, in Jinja: '{{ tags }}\\n# {{ title }}\\n\\n{{ body }}'"
)
@click.option(
    "--group-by", help="Column, or SQL: rows with the same value are one text, as those of a chat are"
)
@click.option("--order-by", help="Column, or SQL: the order of the rows in such a text")
@click.option("--where", help="SQL condition that chooses the rows to train on")
@click.option("--sql", help="SQL query whose rows to train on, instead of a TABLE")
@click.option("--token", help="API token, if DATABASE is a URL  [default: $DATASETTE_TOKEN]")
@click.option("--refresh", is_flag=True, help="Fetch the rows of a URL again, instead of using the kept copy")
@click.option("--no-cache", is_flag=True, help="Tokenize the text again, and do not keep its tokens")
@click.option("--name", callback=_check_name, help="Name of the model  [default: nanogpt-DATABASE]")
@click.option("--minutes", type=float, help="How long to train  [default: 10]")
@click.option("--force", is_flag=True, help="Replace the model of that name, whatever it was trained on")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped or killed, or train for longer")
@click.option("--max-iters", type=int, help="Stop after this many steps")
@click.option(
    "--arch",
    type=click.Choice(["qwen3", "gpt2"]),
    help="Architecture; gpt2 trains with nanoGPT's recipe  [default: qwen3]",
)
@click.option(
    "--tokenizer",
    type=click.Choice(["bpe", "gpt2", "char"]),
    help="bpe is trained on the table  [default: bpe]",
)
@click.option("--vocab-size", type=int, help="Number of tokens in the vocabulary of bpe")
@click.option(
    "--size",
    type=click.Choice(["xs", "s", "m", "l", "xl"]),
    help="Size of the model  [default: chosen by the text, the minutes and the speed of the machine]",
)
@click.option("--n-layer", type=int, help="Number of layers")
@click.option("--n-head", type=int, help="Number of attention heads")
@click.option("--n-embd", type=int, help="Width")
@click.option("--block-size", type=int, help="Context, in tokens")
@click.option("--batch-size", type=int, help="Number of windows of --block-size tokens in a step")
@click.option(
    "--learning-rate",
    type=float,
    help="Highest learning rate  [default: 0.02 for up to one epoch, else 0.01; with --arch gpt2 6e-4]",
)
@click.option("--dropout", type=float, help="Fraction of activations to drop  [default: 0]")
@click.option("--eval-interval", type=int, help="Number of steps between scores  [default: chosen by time]")
@click.option("--device", help="cpu, cuda or mps  [default: the fastest that torch finds]")
@click.option("--compile/--no-compile", default=None, help="Use torch.compile  [default: if it is faster]")
@click.option("--seed", type=int, help="Seed of the split, the weights and the batches  [default: 0]")
@plugins_dir_option
@load_extension_option
@click.option(
    "--dry-run", is_flag=True, help="Show three documents, what is skipped and the plan, and do not train"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line")
def train_command(as_json: bool, dry_run: bool, **options: Any) -> None:
    """Train a GPT on the text of one or several TABLEs in a DATABASE.

    DATABASE is a SQLite file, or a database of a Datasette: https://HOST/DATABASE.
    Of a database with one table of text, TABLE may be left out.

    Finds the columns with the title and the text, reads HTML as text, chooses a model
    for the size of the table and the minutes, and saves it for `llm -m NAME`. Press
    Ctrl+C to stop early and keep what was learned, twice to stop at once.

    \b
    Examples:
      datasette nanogpt-train blog.db blog_entry
      datasette nanogpt-train blog.db blog_entry --minutes 3 --where "created > '2020'"
      datasette nanogpt-train blog.db blog_entry --resume --minutes 20
      datasette nanogpt-train blog.db blog_entry blog_note --name nanogpt-both
      datasette nanogpt-train blog.db --sql "select name, text from comment join ..."
    """
    try:
        command_begins()
        from .training.options import TrainOptions

        _train(TrainOptions(**options), as_json, dry_run)
    except KeyboardInterrupt as ex:
        click.echo("Stopped before training began: nothing was changed.", err=True)
        gc.freeze()  # otherwise Python would search all of torch's objects for garbage before it ends
        sys.exit(128 + ex.args[0] if ex.args else INTERRUPTED)


def _train(options: TrainOptions, as_json: bool, dry_run: bool) -> None:
    from .events import Evaluation, Step
    from .terminal import display
    from .training.lr_schedule import Stop
    from .training.process import set_up_process

    set_up_process()  # before torch is imported
    from .training.dry_run import preview_table
    from .training.train import train_table

    stop, trains = Stop(), False
    with (
        click_errors(),
        _flags_named(),
        display(as_json, not dry_run) as show,
        stop_on_signals(stop) as training_begins,
    ):
        for event in preview_table(options) if dry_run else train_table(options, stop):
            if isinstance(event, Step | Evaluation):
                training_begins()
                trains = True
            try:
                show.event(event)
            except BrokenPipeError as ex:  # the reader of a pipe is gone, as in `| head`
                if not trains:
                    raise
                stop.ask(2)
                silence(ex, "training stops, and keeps what it has learned")
            except OSError as ex:
                silence(ex, "training goes on")
    if dry_run and not as_json:
        click.echo("Nothing was trained. To train, leave out --dry-run.")


def silence(ex: OSError, what: str) -> None:
    """Print nothing more where that fails: the terminal was closed, or a log's disk is full. What is learned
    is worth more than what is printed. `what` says how it goes on."""
    message = f"Nothing more is printed ({ex.strerror}): {what}."
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            click.echo(message, err=True)
        except OSError:
            os.dup2(nowhere.fileno(), 2)


@contextmanager
def _flags_named() -> Iterator[None]:
    """Put the flag before each problem with an option."""

    def line(problem: Problem) -> str:
        if problem.field in ("", "database", "table"):  # the arguments have no flag
            return problem.message
        whole = problem.message.endswith((".", "?")) or _ends_with_words_to_type(problem.message)
        return f"--{problem.field.replace('_', '-')}: {problem.message}{'' if whole else '.'}"

    try:
        yield
    except InvalidOptions as ex:
        named = NanogptError("\n".join(map(line, ex.problems)))
        named.exit_code = ex.exit_code
        raise named from ex


def _ends_with_words_to_type(message: str) -> bool:
    """Whether a message ends with a command or an option: a full stop would be copied with it."""
    last, _, end = message.rpartition(": ")
    return message.rsplit(maxsplit=1)[-1].startswith("-") or (bool(last) and end.startswith(PROGRAMS))


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[Callable[[], None]]:
    """Let Ctrl+C run the learning rate down, and a second one, SIGTERM, or the end of the terminal (SIGHUP),
    stop at once. Time in which Ctrl+Z pauses the process does not count (SIGCONT).

    Yields the function to call when training begins. Until then each signal is a KeyboardInterrupt with its
    number; if other code swallows it, as an import or a finalizer may, that function raises it again.
    """
    from .training.distributed import rank_and_size

    hang_up = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
    kept = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, hang_up)}
    # SIGINT is ignored in a script's background jobs, SIGHUP by nohup.
    heard = [number for number, handler in kept.items() if handler is not signal.SIG_IGN]
    if go_on := getattr(signal, "SIGCONT", None):
        kept[go_on] = signal.getsignal(go_on)
    interrupted = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = number
        raise KeyboardInterrupt(number)

    def anneal(number: int, frame: FrameType | None) -> None:
        stop.request()

    def at_once(number: int, frame: FrameType | None) -> None:
        stop.ask(2)

    def after_pause(number: int, frame: FrameType | None) -> None:
        stop.goes_on()

    def training_begins() -> None:
        if interrupted:
            raise KeyboardInterrupt(interrupted)
        if go_on:
            signal.signal(go_on, after_pause)
        signal.signal(signal.SIGINT, anneal)
        signal.signal(signal.SIGTERM, at_once)
        if hang_up in heard:
            signal.signal(hang_up, at_once)

    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield training_begins
    except Exception:
        if rank_and_size()[1] > 1:  # torchrun ends all processes once one has ended: this one says why first
            kept[signal.SIGTERM] = signal.SIG_IGN
        raise
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@click.command("nanogpt-demo-db")
@click.argument("path", type=NewFile(dir_okay=False))
def demo_command(path: str) -> None:
    """Build a database to try things on, with Python's own documentation in the table python_docs.

    \b
    Example:
      datasette nanogpt-demo-db demo.db
      datasette nanogpt-train demo.db python_docs --minutes 1
    """
    from .data.demo import build_demo_db

    with ends_on_ctrl_c(), click_errors():
        rows = build_demo_db(path)
    command = shlex.join(train_words(path, ["python_docs"]))
    click.echo(f"{path}: {rows:,} rows in python_docs. Next: {command}")


def register(cli: click.Group) -> None:
    """Add our commands to Datasette's command group."""
    cli.add_command(train_command)
    cli.add_command(demo_command)
