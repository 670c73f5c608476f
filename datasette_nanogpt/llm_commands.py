"""What `llm nanogpt` has where tables or the registry are needed: train, score, rename, remove.

A second entry point of llm adds these to the group that `llm_nanogpt` registers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import closing, suppress
from typing import Any

import click
import llm

from llm_nanogpt.commands import nanogpt
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import invalid_name, valid_name
from llm_nanogpt.listing import megabytes, size_on_disk
from llm_nanogpt.locks import hold
from llm_nanogpt.names import aliases, folder_of

from .cli import train_command


@llm.hookimpl
def register_commands(cli):
    for name, command in (("train", train_command), ("score", score), ("remove", remove), ("rename", rename)):
        nanogpt.add_command(command, name)


# How the rows of a scored table stand to the model; None: nobody knows.
SEEN = {
    "trained": " it was trained on, which flatters",
    "held out": " held out in training",
    "new": " not in training",
    None: "",
}


@click.command()
@click.argument("name")
@click.argument("file", required=False, type=click.File(encoding="utf-8"))
@click.option("--db", help="Score the rows of a table instead: the SQLite file")
@click.option("--table", help="... the table, and")
@click.option("--where", help="... an SQL condition on its rows")
@click.option("--title", help="Column of titles  [default: as in training]")
@click.option("--body", multiple=True, help="Column of text, may be repeated  [default: as in training]")
@click.option("--tokens", is_flag=True, help="Tell the bits of each token too")
@click.option("--jsonl", is_flag=True, help="One JSON object per document")
@click.option("--save-table", help="Write the scores to this table of the database")
def score(name, file, db, table, where, title, body, tokens, jsonl, save_table):
    """Tell how well a model predicts texts that exist: fewer bits per byte is better.

    FILE is one document, - is standard input. With --db and --table every row is one, read as in training,
    and those that surprise the model most come first: they are unlike the others. Rows that it was trained
    on surprise it less than those held out, or new. --jsonl keeps their order.
    With --tokens, words that are out of place have many bits.

    \b
    Example:
      llm nanogpt score nanogpt-blog draft.txt --tokens
      llm nanogpt score nanogpt-blog --db blog.db --table blog_entry --save-table scores
    """
    if bool(file) == bool(db) or bool(db) != bool(table):
        raise NanogptError("Give a FILE (- for standard input), or both --db and --table")
    if (where or title or body or save_table) and not db:
        raise NanogptError("--where, --title, --body and --save-table go with --db and --table")
    from llm_nanogpt.loading import open_model
    from llm_nanogpt.score import Totals
    from llm_nanogpt.score import score as score_text

    from .data.model_rows import open_rows
    from .data.provenance import Provenance
    from .data.score_table import ScoreTable
    from .data.source import Selection

    opened = open_model(folder_of(name), "cpu")
    source = db and open_rows(opened.checkpoint, db, table, Selection(title, body, where))
    target = save_table and ScoreTable(source, save_table)
    split_of = Provenance(opened.checkpoint).split_of if db else lambda ids: None
    rows: list[dict[str, Any]] = []
    totals = Totals()  # by how training saw them
    shown: list[tuple[float, str]] = []  # bits per byte of a document, and its lines
    for keys, text in source.keyed_documents_from_copy() if db else [({}, file.read().rstrip("\n"))]:
        if not (text or db):
            raise NanogptError("There is no text to score: the file is empty")
        found = score_text(opened, text)
        told = {**keys, **found.as_json()}
        if db:
            told["seen"] = split_of(found.tokens[:-1])
            totals.add(told["seen"], found)
        if target:
            rows.append({**told, "model": opened.version})
        pairs = found.pairs(opened.tokenizer) if tokens else []
        if jsonl:
            click.echo(json.dumps(told | ({"token_bits": pairs} if tokens else {}), ensure_ascii=False))
        elif not target and found.bytes:
            start = " ".join(text.split())[:60]
            kind = [f"{told['seen']:8}"] if told.get("seen") else []
            cells = [f"{told['bits_per_byte']:9.3f}", *kind, *map(str, keys.values()), start]
            lines = ["  ".join(cells), *(f"{bits:9.2f}  {token!r}" for token, bits in pairs)]
            shown.append((told["bits_per_byte"], "\n".join(lines)))
    if shown:
        columns = [
            *([] if totals.kinds.keys() <= {None} else ["seen    "]),
            *(source.keys if db else ()),
            "text",
        ]
        click.echo("bits/byte  " + "  ".join(columns))
    for _, lines in sorted(shown, reverse=True):
        click.echo(lines)
    if target:
        target.save(rows)
        click.echo(f"Wrote {len(rows):,} scores to {save_table} in {db}", err=True)
    for kind, told in totals.as_json().items():
        if told["bytes"] and not jsonl:
            rows_of = f"{told['rows']:,} row{'s' if told['rows'] != 1 else ''}{SEEN[kind]}"
            click.echo(f"{told['bits_per_byte']:9.3f}  over {told['bytes']:,} bytes of {rows_of}", err=True)


# ---- Looking after models


@click.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask")
def remove(name, yes):
    """Delete a model, its training data and its aliases.

    \b
    Example:
      llm nanogpt remove nanogpt-blog
    """
    import sqlite3

    import llm

    folder = folder_of(name)
    if not yes:
        click.confirm(f"Delete {folder} ({megabytes(size_on_disk(folder))})?", abort=True)
    gone = folder.with_name(f".{folder.name}.removed")
    with hold(folder):
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(folder, gone)  # in one step: never half a model
    shutil.rmtree(gone, ignore_errors=True)
    if (registry := folder.with_name("nanogpt.db")).exists():
        # What the model says of rows goes with it. A registry of an earlier version has nothing of the kind.
        scorings = "select id from runs where kind = 'score' and name = ?"
        scorings += " and status not in ('preparing', 'running')"
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(registry, timeout=30)) as db, db:
            db.execute(f"delete from scores where run in ({scorings})", [folder.name])
            db.execute(f"delete from runs where id in ({scorings})", [folder.name])
    for alias in [alias for alias, model in aliases().items() if model == folder.name]:
        llm.remove_alias(alias)
        click.echo(f"Removed its alias {alias}", err=True)


@click.command()
@click.argument("name")
@click.argument("new_name")
def rename(name, new_name):
    """Give a model another name. Its aliases and its runs go with it.

    \b
    Example:
      llm nanogpt rename nanogpt-blog simon
    """
    import sqlite3

    import llm

    from llm_nanogpt.atomic import write_bytes, write_json

    folder = folder_of(name)
    if not valid_name(new_name):
        raise NanogptError(invalid_name(new_name))
    from llm_nanogpt.names import check_free

    check_free(new_name)
    new = folder.with_name(new_name)
    if new.exists():
        raise NanogptError(f"There is a model {new_name!r} already")
    with hold(folder):
        os.rename(folder, new)
    try:
        meta = json.loads((new / "nanogpt.json").read_text("utf-8"))
        write_json(new / "nanogpt.json", meta | {"name": new_name})
        # Where the card means the model, not the table it was trained on.
        means = rf"(?m)((?:^# |llm -m |path/to/)){re.escape(folder.name)}(?![\w.-])"
        card = re.sub(means, rf"\g<1>{new_name}", (new / "README.md").read_text("utf-8"))
        write_bytes(new / "README.md", card.encode())
    except (OSError, ValueError, TypeError):
        pass  # a broken model keeps what it says of itself
    for alias in [alias for alias, model in aliases().items() if model == folder.name]:
        llm.set_alias(alias, new_name)
    if (registry := folder.with_name("nanogpt.db")).exists():
        with sqlite3.connect(registry, timeout=30) as db:
            db.execute("update runs set name = ? where name = ?", [new_name, folder.name])
