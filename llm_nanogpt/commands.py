"""`llm nanogpt …`: look after models, judge texts with them, move them in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from .checkpoint import Checkpoint, checkpoints, read_checkpoint
from .errors import NanogptError, click_errors
from .home import cache_bytes, cache_folder, model_names, nanogpt_home
from .locks import is_training


class Group(click.Group):
    """A group whose commands raise NanogptError."""

    def invoke(self, ctx):
        with click_errors():
            return super().invoke(ctx)


@click.group(cls=Group)
def nanogpt():
    """Small GPTs that were trained on your own tables.

    \b
    Example:
      llm nanogpt train blog.db blog_entry
      llm nanogpt models
      llm -m nanogpt-blog "Once"
    """


def folder_of(name: str) -> Path:
    """The folder of a model, by its name or by its alias in llm. It may be broken."""
    home = nanogpt_home()
    names = model_names(home)
    if name not in names:
        name = aliases().get(name, name)
    if name not in names:
        have = f"you have {', '.join(names)}" if names else "train one with `llm nanogpt train`"
        raise NanogptError(f"There is no model {name!r} in {home}: {have}")
    return home / name


def aliases() -> dict[str, str]:
    """llm's aliases: alias -> model. None where its file does not read."""
    import llm

    try:
        found = json.loads((llm.user_dir() / "aliases.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# ---- What there is


def facts(name: str, found: Checkpoint | NanogptError) -> dict[str, Any]:
    """One model as `llm nanogpt models --json` tells it; a broken one has its name, size and reason."""
    folder = nanogpt_home() / name
    told = {"name": name, "state": "ready", "bytes_on_disk": size_on_disk(folder), "path": str(folder)}
    if isinstance(found, NanogptError):
        return told | {"state": "broken", "reason": str(found)}
    source, training, score = (found.meta.get(k) or {} for k in ("source", "training", "score"))
    if training.get("status") == "running":
        told["state"] = "training" if is_training(folder) else "interrupted"
    return told | {
        "database": source.get("database"),
        "table": source.get("table"),
        "rows": source.get("rows"),
        "architecture": found.config.arch,
        "parameters": found.config.parameters,
        "context": found.config.block_size,
        "vocabulary": found.config.vocab_size,
        "bits_per_byte": score.get("val_bpb"),
        "step": score.get("step"),
        "trained": training.get("updated"),
        "seconds": training.get("seconds"),
        "imported": (found.meta.get("imported") or {}).get("from"),
    }


def size_on_disk(folder: Path) -> int:
    """Bytes of all files; those that vanish meanwhile are not counted."""
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(parent, file)).st_size
            except OSError:
                continue
    return total


@nanogpt.command()
@click.option("as_json", "--json", is_flag=True, help="As JSON")
def models(as_json):
    """List the models, broken ones with their reason.

    \b
    Example:
      llm nanogpt models
    """
    home = nanogpt_home()
    found = [facts(*pair) for pair in checkpoints(home)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo(f"No models in {home}: train one with `llm nanogpt train`", err=True)
    else:
        head = ("name", "table", "rows", "parameters", "bits/byte", "trained", "on disk", "state")
        for line in aligned([head, *map(_row, found)]):
            click.echo(line)
        if cached := cache_bytes(home):
            click.echo(f"Beside them {megabytes(cached)} in {cache_folder(home)}, safe to delete", err=True)


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    if told["state"] == "broken":
        return (told["name"], *[""] * 5, megabytes(told["bytes_on_disk"]), told["reason"])
    return (
        told["name"],
        shortened(told["table"] or ("imported" if told["imported"] else ""), 30),
        "" if told["rows"] is None else f"{told['rows']:,}",
        f"{told['parameters'] / 1e6:.2f}M",
        "" if told["bits_per_byte"] is None else f"{told['bits_per_byte']:.3f}",
        (told["trained"] or "")[:16].replace("T", " "),
        megabytes(told["bytes_on_disk"]),
        told["state"],
    )


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def megabytes(n: int) -> str:
    return f"{n / 1e6:,.1f} MB"


def aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines in which the cells of a column start below each other."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@nanogpt.command()
@click.argument("name")
@click.option("as_json", "--json", is_flag=True, help="As JSON, with all of nanogpt.json")
def info(name, as_json):
    """Tell all about one model: what it was trained on, how, and how well it did.

    \b
    Example:
      llm nanogpt info nanogpt-blog
    """
    folder = folder_of(name)
    checkpoint = read_checkpoint(folder)
    told = facts(folder.name, checkpoint)
    if as_json:
        click.echo(json.dumps(told | {"nanogpt": checkpoint.meta}, indent=2))
        return
    del told["seconds"]  # `training` tells it
    known = {key: value for key, value in (told | details(checkpoint)).items() if value not in (None, "")}
    for line in aligned((key.replace("_", " "), _shown(value)) for key, value in known.items()):
        click.echo(line)


def details(checkpoint: Checkpoint) -> dict[str, str]:
    """What `info` tells beyond `facts`: the text, the shape, the training. "" for what is not known."""
    c, meta = checkpoint.config, checkpoint.meta
    source, corpus, training, settings, score, options = (
        meta.get(key) or {} for key in ("source", "corpus", "training", "settings", "score", "options")
    )
    told = {
        "columns": " + ".join([*filter(None, [source.get("title")]), *source.get("body", [])]),
        "where": source.get("where") or "",
        "shape": c.shape,
        "tokenizer": meta.get("tokenizer") or "",
        "options": ", ".join(f"{k} {v}" for k, v in options.items() if k not in ("database", "table")),
        "versions": ", ".join(f"{name} {version}" for name, version in meta.get("versions", {}).items()),
    }
    if corpus:
        told["text"] = f"{corpus['bytes']:,} bytes in {corpus['documents']:,} documents"
        told["held out"] = f"{corpus['val_bytes']:,} bytes in {corpus['val_documents']:,} documents"
    if score:
        told["loss"] = f"{score['val_loss']:.4f} nats a token of the text held out"
    if settings and training.get("seconds"):
        speed = training["step"] * settings["batch_size"] * c.block_size / training["seconds"]
        told["training"] = (
            f"{training['step']:,} steps in {training['seconds']:,.0f} s on {settings['device']}, "
            f"{speed:,.0f} tokens/s, the time of trials, compiling and scores included"
        )
    return told


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if value > 10 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@nanogpt.command()
@click.argument("name", required=False)
def path(name):
    """Print the folder of a model, a standard Hugging Face model, or the folder of all of them.

    \b
    Example:
      ls $(llm nanogpt path nanogpt-blog)
      datasette "$(llm nanogpt path)/nanogpt.db"
    """
    click.echo(folder_of(name) if name else nanogpt_home())


# ---- Text out of a model, and into it


@nanogpt.command()
@click.argument("name")
@click.argument("prompt", default="")
@click.option("-n", "--number", default=5, type=click.IntRange(1), help="How many samples  [default: 5]")
@click.option(
    "-f", "--file", type=click.File(encoding="utf-8"), help="Read the prompt from a file (-: stdin)"
)
@click.option("-o", "--option", "options", type=(str, str), multiple=True, help="As of llm -m NAME")
def sample(name, prompt, number, file, options):
    """Write several texts, with a line of --- between them.

    Without a prompt each is a document from its start. With a seed they differ, and are the same each time.

    \b
    Example:
      llm nanogpt sample nanogpt-blog "Datasette is" -n 3 -o max_tokens 100 -o seed 1
    """
    import llm
    from pydantic import ValidationError

    if file:
        if prompt:
            raise NanogptError("Give a prompt or a file, not both")
        prompt = file.read()
    model = llm.get_model(folder_of(name).name)
    try:
        settings = {k: v for k, v in model.Options(**dict(options)) if v is not None}
    except ValidationError as ex:
        raise NanogptError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in ex.errors())) from ex
    for i in range(number):
        if i:
            click.echo("---")
        seed = {"seed": settings["seed"] + i} if "seed" in settings else {}
        try:
            for piece in model.prompt(prompt, **(settings | seed)):
                click.echo(piece, nl=False)
        except llm.ModelError as ex:
            raise NanogptError(str(ex)) from ex
        click.echo()


# ---- In and out


@nanogpt.command("import")
@click.argument("ckpt", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model  [default: from the file's]")
@click.option("--meta", type=click.Path(path_type=Path), help="The meta.pkl of a character-level model")
def import_(ckpt, name, meta):
    """Make a model of a checkpoint that nanoGPT's train.py wrote.

    Without --meta its text is GPT-2's BPE. Nothing in either file is run: whatever is not plain data is
    refused.

    \b
    Example:
      llm nanogpt import out-shakespeare-char/ckpt.pt --meta data/shakespeare_char/meta.pkl
    """
    from .import_nanogpt import import_nanogpt
    from .names import check_free

    stem = ckpt.resolve().parent.name if ckpt.stem == "ckpt" else ckpt.stem
    name = name or "nanogpt-" + stem.removeprefix("out-")
    check_free(name)
    checkpoint = import_nanogpt(ckpt, nanogpt_home() / name, meta)
    click.echo(f"Saved in {checkpoint.path}", err=True)
    click.echo(f"llm -m {checkpoint.name} 'Once'")


@nanogpt.command()
@click.argument("name")
@click.option(
    "--gguf", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write"
)
@click.option("--dtype", type=click.Choice(["f32", "f16", "bf16"]), default="f32", show_default=True)
@click.option("--force", is_flag=True, help="Replace the file, if there is one")
def export(name, gguf, dtype, force):
    """Write a model as GGUF, for llama.cpp, Ollama and LM Studio.

    transformers, mlx-lm and vLLM need no export: they read the folder that `llm nanogpt path` prints.

    \b
    Example:
      llm nanogpt export nanogpt-blog --gguf blog.gguf --dtype f16
    """
    from .export_gguf import export_gguf

    if gguf.exists() and not force:
        raise NanogptError(f"There is a file {gguf} already: choose another, or replace it with --force")
    out = export_gguf(read_checkpoint(folder_of(name)), gguf, dtype)
    click.echo(f"Wrote {out} ({megabytes(out.stat().st_size)})", err=True)
