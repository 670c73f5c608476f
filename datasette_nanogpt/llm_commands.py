"""The commands of `llm nanogpt` that need tables or the registry: train, score, compare, rename, remove.

A second entry point of llm adds these to the group that `llm_nanogpt` registers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
import llm

from llm_nanogpt.change_steps import replaced
from llm_nanogpt.commands import nanogpt
from llm_nanogpt.counts import counted
from llm_nanogpt.errors import NanogptError, WrongUsage
from llm_nanogpt.listing import megabytes, size_on_disk
from llm_nanogpt.names import folder_of

from .cli import train_command

if TYPE_CHECKING:
    from llm_nanogpt.loading import OpenedModel
    from llm_nanogpt.score import Totals

    from .data.compare import Comparison
    from .data.model_rows import ScoredRow

T = TypeVar("T")
EXCERPT = 60  # characters of a document that are shown
# What follows "rows" in a sum, by the split of the rows.
SPLITS = {
    "trained": " it was trained on, which may flatter its score",
    "held out": " held out in training",
    "new": " not in training",
    None: "",  # not known
}


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    nanogpt.add_command(train_command, "train")
    for command in (score, compare, remove, rename):
        nanogpt.add_command(command)


@click.command()
@click.argument("name")
@click.argument("file", required=False, type=click.File(encoding="utf-8"))
@click.option("--db", help="Score the rows of a table instead: the SQLite file")
@click.option("--table", help="... the table, and")
@click.option("--where", help="... an SQL condition on its rows")
@click.option("--title", help="Column of titles  [default: as in training]")
@click.option("--body", multiple=True, help="Column of text, may be repeated  [default: as in training]")
@click.option("--tokens", is_flag=True, help="Show the bits of each token too")
@click.option("--jsonl", is_flag=True, help="One JSON object per document")
@click.option("--save-table", help="Write the scores to this table of the database")
def score(name: str, file: TextIO | None, **options: Any) -> None:
    """Measure how well a model predicts texts that exist: fewer bits per byte is better.

    FILE is one document, - is standard input. With --db and --table every row is one, read as in training,
    and those that surprise the model most come first: they are unlike the others. Rows that it was trained
    on surprise it less than those held out, or new. --jsonl keeps their order.
    With --tokens, words that are out of place have many bits.

    \b
    Example:
      llm nanogpt score nanogpt-blog draft.txt --tokens
      llm nanogpt score nanogpt-blog --db blog.db --table blog_entry --save-table scores
    """
    if bool(file) == bool(options["db"]) or bool(options["db"]) != bool(options["table"]):
        raise WrongUsage("Give a FILE (- for standard input), or both --db and --table")
    if file and any(options[key] for key in ("where", "title", "body", "save_table")):
        raise WrongUsage("--where, --title, --body and --save-table go with --db and --table")
    from llm_nanogpt.loading import open_model

    opened = open_model(folder_of(name), "cpu")
    if file:
        _score_document(opened, file.read().rstrip("\n"), options["jsonl"], options["tokens"])
    else:
        score_table(opened, options)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--db", required=True, help="The SQLite file")
@click.option("--table", required=True, help="The table")
@click.option("--where", help="An SQL condition on its rows")
@click.option("--title", help="Column of titles  [default: as in training]")
@click.option("--body", multiple=True, help="Column of text, may be repeated  [default: as in training]")
@click.option("--jsonl", is_flag=True, help="One JSON object per row")
def compare(a: str, b: str, **options: Any) -> None:
    """Say which of two models knows each row of a table better, such as those of two authors.

    Both read the same text; fewer bits per byte are better. The rows that A knows best, compared with B, come
    first. Rows that a model was trained on are easier for it, so the sums are given without these, too.

    \b
    Example:
      llm nanogpt compare nanogpt-ada nanogpt-ben --db mail.db --table message
    """
    from llm_nanogpt.loading import open_model

    from .data.compare import Comparison, compare_each_row, open_rows_of_both
    from .data.source import Selection

    names = a, b
    if folder_of(a) == folder_of(b):
        raise WrongUsage(f"{a} and {b} are the same model: name two of those that `llm nanogpt models` lists")
    first, second = (open_model(folder_of(name), "cpu") for name in names)
    selection = Selection(options["title"], options["body"], options["where"])
    source = open_rows_of_both(first, second, options["db"], options["table"], selection)
    comparison, listed = Comparison(), []
    for row in with_progress(compare_each_row(first, second, source), source.document_count):
        comparison.add(row)
        if options["jsonl"]:
            both = {"bits_per_byte": row.bits_per_byte, "seen": row.splits}
            figures = {k: dict(zip(names, v or (None, None), strict=True)) for k, v in both.items()}
            click.echo(_json_line({**row.keys, **figures}, None))
        elif each := row.bits_per_byte:
            excerpt = " ".join(row.text.split())[:EXCERPT]
            cells = [f"{each[0]:9.3f}", f"{each[1]:9.3f}", "AB"[each[1] < each[0]].center(6)]
            listed.append((each[0] - each[1], "  ".join([*cells, *map(str, row.keys.values()), excerpt])))
    if listed:
        click.echo("  ".join([f"{'A':>9}", f"{'B':>9}", "better", *source.keys, "text"]))
    for _, line in sorted(listed):
        click.echo(line)
    if not options["jsonl"]:
        for line in _lines_of_comparison(comparison, names):
            click.echo(line, err=True)


@click.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask")
def remove(name: str, yes: bool) -> None:
    """Delete a model, its training data, its aliases, and the model that it replaced.

    \b
    Example:
      llm nanogpt remove nanogpt-blog
    """
    from .registry.manage import remove_model

    folder = folder_of(name)
    if not yes:
        size = size_on_disk(folder) + size_on_disk(replaced(folder))
        click.confirm(f"Delete {folder} ({megabytes(size)})?", abort=True)
    was_default = llm.get_default_model() == folder.name
    for alias in remove_model(folder):
        click.echo(f"Removed its alias {alias}", err=True)
    if was_default:
        click.echo("It was llm's default model: `llm models default NAME` sets another", err=True)
    click.echo(f"Removed {folder.name}", err=True)


@click.command()
@click.argument("name")
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a model another name. Its aliases, its runs and its options in llm go with it.

    \b
    Example:
      llm nanogpt rename nanogpt-blog simon
    """
    from .registry.manage import rename_model

    folder = folder_of(name)
    rename_model(folder, new_name)
    click.echo(f"{folder.name} is now {new_name}: llm -m {new_name} 'Once'", err=True)


# ---- Scoring


def _score_document(opened: OpenedModel, text: str, jsonl: bool, with_tokens: bool) -> None:
    """Score one text, and print its figures."""
    from llm_nanogpt.score import score

    from .data.model_rows import ScoredRow

    if not text:
        raise NanogptError("There is no text to score: the file is empty")
    document = ScoredRow({}, text, score(opened, text), None)
    pairs = document.score.pairs(opened.tokenizer) if with_tokens else None
    if jsonl:
        click.echo(_json_line(document.score.as_json(), pairs))
    elif document.score.bytes:
        click.echo("bits/byte  text")
        click.echo(lines_of(document, pairs))


def score_table(opened: OpenedModel, options: dict[str, Any]) -> None:
    """Score the rows of a table, and print or save their figures. `options` are those of the command."""
    from llm_nanogpt.score import Totals

    from .data.model_rows import open_rows, score_each_row
    from .data.score_table import ScoreTable
    from .data.source import Selection

    selection = Selection(options["title"], options["body"], options["where"])
    source = open_rows(opened.checkpoint, options["db"], options["table"], selection)
    target = ScoreTable(source, options["save_table"]) if options["save_table"] else None
    saved: list[dict[str, Any]] = []
    listed: list[tuple[float, str]] = []  # bits per byte of a row, and its lines
    totals = Totals()  # by split
    for row in with_progress(score_each_row(opened, source), source.document_count):
        totals.add(row.split, row.score)
        figures = {**row.keys, **row.score.as_json(), "seen": row.split}
        pairs = row.score.pairs(opened.tokenizer) if options["tokens"] else None
        if target:
            saved.append({**figures, "model": opened.version})
        if options["jsonl"]:
            click.echo(_json_line(figures, pairs))
        elif not target and row.score.bits_per_byte is not None:
            listed.append((row.score.bits_per_byte, lines_of(row, pairs)))
    if not totals.kinds:
        raise NanogptError(f"The rows of {options['table']} have no text: choose its column with --body")
    if listed:
        split_column = [f"{'seen':8}"] if totals.kinds.keys() - {None} else []
        click.echo("  ".join(["bits/byte", *split_column, *source.keys, "text"]))
    for _, lines in sorted(listed, reverse=True):
        click.echo(lines)
    if target:
        target.save(saved)
        click.echo(f"Wrote {len(saved):,} scores to {options['save_table']} in {options['db']}", err=True)
    if not options["jsonl"]:
        for line in _lines_of_totals(totals):
            click.echo(line, err=True)


def with_progress(rows: Iterator[T], total: int) -> Iterator[T]:
    """Pass the rows on, showing on a terminal how many there have been."""
    if not sys.stderr.isatty():
        yield from rows
        return
    from tqdm import tqdm

    yield from tqdm(rows, total=total, unit=" rows", desc="scoring", leave=False, dynamic_ncols=True)


def _lines_of_comparison(comparison: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """The sums of a comparison, a line for each model, over all rows and over those that are fair."""
    of_rows = [(comparison.all, "")]
    if comparison.fair.rows < comparison.all.rows:
        of_rows.append((comparison.fair, " that neither was trained on"))
    for sums, which in of_rows:
        if not sums.rows:
            yield f"There are no rows{which}. Those that a model was trained on are easier for it."
            continue
        for which_model, name, won, bits in zip("AB", names, sums.won, sums.bits_per_byte, strict=True):
            rows = counted(sums.rows, "row")
            yield f"{which_model} is {name}: {bits:.3f} bits per byte, better in {won:,} of {rows}{which}"


def _json_line(figures: dict[str, Any], pairs: list[tuple[str, float]] | None) -> str:
    """The figures of a document as JSON, with its tokens and their bits if `pairs` has them."""
    return json.dumps(figures if pairs is None else {**figures, "token_bits": pairs}, ensure_ascii=False)


def lines_of(row: ScoredRow, pairs: list[tuple[str, float]] | None) -> str:
    """A document's figures and how it begins, then a line for each token if `pairs` has them."""
    split = [f"{row.split:8}"] if row.split else []
    excerpt = " ".join(row.text.split())[:EXCERPT]
    cells = [f"{row.score.bits_per_byte:9.3f}", *split, *map(str, row.keys.values()), excerpt]
    tokens = [f"{bits:9.2f}  {token!r}" for token, bits in pairs or ()]
    return "\n".join(["  ".join(cells), *(["     bits  token"] if tokens else []), *tokens])


def _lines_of_totals(totals: Totals) -> Iterator[str]:
    """The figures of all rows of each split."""
    for split, total in totals.as_json().items():
        if total["bytes"]:
            rows = f"{total['bytes']:,} bytes of {counted(total['rows'], 'row')}"
            yield f"{total['bits_per_byte']:9.3f} bits per byte over {rows}{SPLITS[split]}"
