"""`llm nanogpt ...`: commands that list models, write with them, import and export them."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from pathlib import Path
from shutil import get_terminal_size
from typing import IO, Any

import click

from . import changes
from .change_steps import replaced
from .changes import replaced_names
from .checkpoint import checkpoints, describe, read_checkpoint
from .counts import counted
from .ctrl_c import ends_on_ctrl_c
from .errors import WrongUsage, click_errors
from .home import cache_bytes, cache_folder, check_readable, name_after, nanogpt_home
from .listing import as_lines, as_table, details, facts, megabytes, size_on_disk
from .names import check_free, folder_of
from .new_file import NewFile


class Group(click.Group):
    """A group that prints the NanogptErrors of its commands, and ends on Ctrl+C."""

    def invoke(self, ctx: click.Context) -> Any:
        with ends_on_ctrl_c(), click_errors():
            return super().invoke(ctx)


@click.group(cls=Group)
def nanogpt() -> None:
    """Small GPTs trained on your own tables.

    \b
    Example:
      llm nanogpt train blog.db blog_entry
      llm nanogpt models
      llm -m nanogpt-blog "Once"
    """


# ---- What there is


@nanogpt.command()
@click.option("as_json", "--json", is_flag=True, help="As JSON")
def models(as_json: bool) -> None:
    """List the models; broken ones with the reason.

    \b
    Example:
      llm nanogpt models
    """
    home = nanogpt_home()
    check_readable(home)
    listed = [facts(name, checkpoint) for name, checkpoint in checkpoints(home)]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
    elif not listed:
        click.echo(f"No models in {home}: train one with `llm nanogpt train`", err=True)
    else:
        for line in as_table(listed, get_terminal_size().columns if sys.stdout.isatty() else None):
            click.echo(line)
        for name in replaced_names(home):
            kept = megabytes(size_on_disk(replaced(home / name)))
            click.echo(f"The model that {name} replaced has {kept}: `llm nanogpt restore {name}`", err=True)
        if cached := cache_bytes(home):
            click.echo(f"The cache has {megabytes(cached)} in {cache_folder(home)}, safe to delete", err=True)


@nanogpt.command()
@click.argument("name")
@click.option("as_json", "--json", is_flag=True, help="As JSON, with all of nanogpt.json")
def info(name: str, as_json: bool) -> None:
    """Show everything about one model: what it was trained on, how, and how well it did.

    \b
    Example:
      llm nanogpt info nanogpt-blog
    """
    folder = folder_of(name)
    checkpoint = read_checkpoint(folder)
    known = facts(folder.name, checkpoint)
    if as_json:
        click.echo(json.dumps(known | {"nanogpt": checkpoint.meta}, indent=2))
        return
    del known["seconds"]  # the line "training" has them
    for line in as_lines(known | details(checkpoint)):
        click.echo(line)


@nanogpt.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of a model, which is a standard Hugging Face model; without NAME, of all models.

    \b
    Example:
      ls $(llm nanogpt path nanogpt-blog)
      datasette "$(llm nanogpt path)/nanogpt.db" --root
    """
    click.echo(folder_of(name) if name else nanogpt_home())


@nanogpt.command()
@click.argument("name")
def restore(name: str) -> None:
    """Bring back the model that the last training replaced.

    The two models swap places, so the same command undoes it. One replaced model is kept: the last one, or an
    earlier one that is better on the same held-out text.

    \b
    Example:
      llm nanogpt restore nanogpt-blog
    """
    folder = folder_of(name)
    changes.restore(folder)
    is_now, kept = (describe(each) for each in (folder, replaced(folder)))
    click.echo(f"{folder.name} is now: {is_now}. Kept: {kept}", err=True)


# ---- Text out of a model


@nanogpt.command()
@click.argument("name")
@click.argument("prompt", default="")
@click.option("-n", "--number", default=5, type=click.IntRange(1), help="How many samples  [default: 5]")
@click.option(
    "-f", "--file", type=click.File(encoding="utf-8"), help="Read the prompt from a file (-: standard input)"
)
@click.option(
    "-o", "--option", "options", type=(str, str), multiple=True, help="An option, as for llm -m NAME"
)
@click.option("--title", help="The title of each text, as -o title. The prompt is how the text begins")
@click.option(
    "--set",
    "columns",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="A column of the row to write; can be used several times. The others are left to the model",
)
@click.option("--save-table", help="Write the texts to this table too, a column for each of their columns")
@click.option("--db", type=NewFile(), help="The SQLite file of that table")
def sample(
    name: str,
    prompt: str,
    number: int,
    file: IO[str] | None,
    save_table: str | None,
    db: str | None,
    **given: Any,
) -> None:
    """Write several texts, with a line of --- between them.

    Without a prompt each is a document from its start. With -o seed they differ from each other, and are the
    same next time.

    \b
    Example:
      llm nanogpt sample nanogpt-blog "Datasette is" -n 3 -o max_tokens 100 -o seed 1
      llm nanogpt sample nanogpt-blog --title "Why I like SQLite" -n 3
      llm nanogpt sample nanogpt-blog --set tags=python --save-table generated --db blog.db
    """
    from .llm_model import start
    from .save_rows import RowTable

    if file:
        if prompt:
            raise WrongUsage("Give a prompt or a file, not both")
        prompt = file.read()
    if bool(save_table) != bool(db):
        raise WrongUsage("Give both --save-table and --db, the table and the SQLite file that it is in")
    folder, settings = folder_of(name), _sampling_options(**given)
    table: RowTable | None = None
    for i in range(number):
        seed = {"seed": settings["seed"] + i} if "seed" in settings else {}
        opened, run, how = start(folder.name, prompt, settings | seed)
        if db and save_table and table is None:
            table = RowTable(opened, db, save_table)
        if i:
            click.echo("---")
        pieces = [run.prompt]
        if how["echo"]:
            click.echo(run.prompt, nl=False)
        for piece in run:
            click.echo(piece, nl=False)
            pieces.append(piece)
        click.echo()
        if table:
            table.add(run, "".join(pieces), how)
    if table:
        click.echo(f"Wrote {counted(number, 'row')} to the table {save_table} of {db}", err=True)


def _sampling_options(
    options: tuple[tuple[str, str], ...], title: str | None, columns: tuple[str, ...]
) -> dict[str, Any]:
    """The options that were given to `sample`, under the names of `SamplingOptions`. Raises NanogptError for
    invalid ones."""
    from pydantic import ValidationError

    from .llm_model import SamplingOptions

    if without := [text for text in columns if "=" not in text]:
        raise WrongUsage(f"--set needs a column and a value: --set {without[0]}=VALUE")
    values = {name.strip(): value for name, _, value in (text.partition("=") for text in columns)}
    named = {**dict(options), **({"title": title} if title else {}), **({"set": values} if values else {})}
    try:
        return {key: value for key, value in SamplingOptions.model_validate(named) if value is not None}
    except ValidationError as ex:
        raise WrongUsage("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in ex.errors())) from ex


# ---- In and out


@nanogpt.command("import")
@click.argument("ckpt", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model  [default: taken from the file's]")
@click.option("--meta", type=click.Path(path_type=Path), help="The meta.pkl of a character-level model")
def import_(ckpt: Path, name: str | None, meta: Path | None) -> None:
    """Make a model from a checkpoint that nanoGPT's train.py wrote.

    Without --meta its vocabulary must be GPT-2's. Nothing in either file is run: anything that is not plain
    data is refused.

    \b
    Example:
      llm nanogpt import out-shakespeare-char/ckpt.pt --meta data/shakespeare_char/meta.pkl
    """
    from .foreign_pickles import check_ckpt
    from .import_nanogpt import import_nanogpt

    check_ckpt(ckpt)  # before the name that is derived from it, which nobody chose
    stem = ckpt.resolve().parent.name if ckpt.stem == "ckpt" else ckpt.stem
    name = unicodedata.normalize("NFC", name) if name else name_after(stem.removeprefix("out-"))
    check_free(name)
    checkpoint = import_nanogpt(ckpt, nanogpt_home() / name, meta)
    click.echo(f"Saved in {checkpoint.path}", err=True)
    click.echo(f"llm -m {checkpoint.name} 'Once'")


@nanogpt.command()
@click.argument("name")
@click.option("--gguf", required=True, type=NewFile(dir_okay=False, path_type=Path), help="The file to write")
@click.option("--dtype", type=click.Choice(["f32", "f16", "bf16"]), default="f32", show_default=True)
@click.option("--force", is_flag=True, help="Replace the file, if there is one")
def export(name: str, gguf: Path, dtype: str, force: bool) -> None:
    """Write a model as GGUF, for llama.cpp, Ollama and LM Studio.

    transformers, mlx-lm and vLLM need no export: they read the folder that `llm nanogpt path` prints.

    \b
    Example:
      llm nanogpt export nanogpt-blog --gguf blog.gguf --dtype f16
    """
    from .export_gguf import export_gguf

    if os.path.lexists(gguf) and not force:
        raise WrongUsage(f"The file {gguf} exists already: choose another, or replace it with --force")
    out = export_gguf(read_checkpoint(folder_of(name)), gguf, dtype)
    click.echo(f"Wrote {out} ({megabytes(out.stat().st_size)})", err=True)
