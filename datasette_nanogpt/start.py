"""From the form on a table's page to the settings of a run. No torch here: this is the server's process."""

from __future__ import annotations

import math
import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint, valid_name
from llm_nanogpt.errors import NanogptError

from .plan import SIZES, Plan, choose_plan, choose_vocab_size
from .source import Source, connect, location, open_source, quote

PLUGIN = "datasette-nanogpt"
MINUTES = (1, 3, 10, 30)
SAMPLED_ROWS = 200  # read to estimate how much text there is
MEASURED_ROWS = 100_000  # of more, the rest is taken to be alike
EXCERPT = 300  # characters shown of a row
BYTES_PER_TOKEN = 3  # about, of a vocabulary trained on the table
LETTERS = 100  # about, of a text: the vocabulary of the character level
DEFAULT_MINUTES = 3
# Least values are those of the command line.
NUMBERS = {
    "n_layer": 1,
    "n_head": 1,
    "n_embd": 2,
    "block_size": 2,
    "batch_size": 1,
    "vocab_size": 257,
    "seed": 0,
}
CHOICES = {"size": tuple(SIZES), "arch": ("qwen3", "gpt2"), "tokenizer": ("bpe", "char")}


@dataclass(frozen=True)
class Limits:
    """What the configuration of the plugin allows."""

    max_minutes: float = 60
    max_parameters: int = 50_000_000
    max_queued: int = 10
    max_generations: int = 2  # at once
    max_tokens: int = 1000  # of one text

    @classmethod
    def of(cls, datasette: Any) -> Limits:
        given = datasette.plugin_config(PLUGIN) or {}
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})


async def action_links(
    datasette: Any, actor: Any, database: str, table: str, request: Any
) -> list[dict[str, str]]:
    """What the menu of a table's page gets, where the table has text. The filters in the URL go along."""
    from datasette.resources import TableResource

    resource = TableResource(database, table)
    if not await datasette.allowed(action="nanogpt-train", resource=resource, actor=actor):
        return []
    columns = await datasette.get_database(database).table_column_details(table)
    if all(re.search("INT|REAL|FLOA|DOUB|BLOB|NUM", (column.type or "").upper()) for column in columns):
        return []
    query = f"?{request.query_string}" if request and request.query_string else ""
    return [
        {
            "href": datasette.urls.table(database, table) + "/-/nanogpt" + query,
            "label": "Train a GPT on this table",
            "description": "A small language model that writes like its rows.",
        }
    ]


def open_table(path: str | None, in_memory: bool, table: str, where: str | None, **columns: Any) -> Source:
    """The rows that a process of its own will read. Raises NanogptError where it could not."""
    if in_memory or not path:
        raise NanogptError(
            "This database is in memory, where no other process can read it: save it to a file to train on it"
        )
    if not os.access(path, os.R_OK):
        raise NanogptError("The file of this database cannot be read: it was moved or is not this user's")
    try:
        return open_source(location(str(path)), table, where=where, **columns)
    except sqlite3.Error as ex:
        raise NanogptError(f"The table cannot be read: {ex}") from ex


def offer(
    home: Path, limits: Limits, path: str | None, in_memory: bool, table: str, where: str | None
) -> dict[str, Any]:
    """What the form shows: columns found, two rows as they will be read, how much text, what it will take."""
    source = open_table(path, in_memory, table, where)
    texts = list(islice(source.documents(), SAMPLED_ROWS))
    if not texts:
        raise NanogptError(f"The first rows of {table} have no text")
    return {
        "rows": source.row_count,
        "bytes": _text_bytes(source, texts),
        "title": source.title,
        "body": list(source.body),
        "html": sorted(source.is_html),
        "where": where,
        "texts": [text[:EXCERPT] + ("…" if len(text) > EXCERPT else "") for text in texts[:2]],
        "name": default_name(home, location(str(path)), table),
        "minutes": minutes_offered(limits),
    }


def minutes_offered(limits: Limits) -> list[float]:
    return [m for m in MINUTES if m <= limits.max_minutes] or [limits.max_minutes]


def form_defaults(limits: Limits) -> dict[str, str]:
    offered = minutes_offered(limits)
    return {"minutes": str(max((m for m in offered if m <= DEFAULT_MINUTES), default=offered[0]))}


def _text_bytes(source: Source, texts: list[str]) -> int:
    """About how much text there is; `texts` are its first documents. Rows differ in length, and the first
    ones may be the longest: all are measured, as they are stored."""
    stored, share = _stored_bytes(source), _stored_bytes(source, SAMPLED_ROWS + sum(source.skipped.values()))
    return round(stored * sum(len(text.encode()) for text in texts) / max(share, 1))


def _stored_bytes(source: Source, rows: int = MEASURED_ROWS) -> float:
    """Bytes in the columns that are read, of the first `rows` rows; by default those of all rows."""
    lengths = " + ".join(f"ifnull(length(cast({quote(column)} as blob)), 0)" for column in source.used) or "0"
    with connect(source.database) as db:
        select = f"select sum({lengths}) from (select * from {source.rows} {source.order_by} limit ?)"
        size = db.execute(select, [rows]).fetchone()[0] or 0
    return size * max(1, source.row_count / rows) if rows == MEASURED_ROWS else size


def estimate(path: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a run with these settings, as `settings_from_form` has them, will come to."""
    stat = os.stat(str(path))
    columns = (settings.get("where"), settings.get("title"), tuple(settings.get("body", ())))
    size = _measured(str(path), settings["table"], *columns, stat.st_mtime_ns)
    plan, minutes = _plan(settings, size), settings["minutes"]
    config, seen = plan.config, round(plan.tokens_seen)
    within, more = ("in less than", " More would only teach it by heart.") if plan.max_iters else ("in", "")
    return {
        "layers": config.n_layer,
        "width": config.n_embd,
        "parameters": config.parameters,
        "tokens": seen,
        "epochs": round(plan.epochs, 1),
        "text": f"{config.n_layer} layer{'s' if config.n_layer != 1 else ''}, width {config.n_embd}, "
        f"about {config.parameters / 1e6:.1f}M parameters. On two cores it reads some {_round(seen)} tokens "
        f"{within} {minutes:g} minute{'s' if minutes != 1 else ''}: each row {_times(plan.epochs)}.{more}",
    }


@lru_cache(maxsize=64)
def _measured(path: str, table: str, where: str | None, title: str | None, body: tuple, _changed: int) -> int:
    """How much text the rows have, remembered until the file changes."""
    source = open_table(path, False, table, where, title=title, body=body)
    return _text_bytes(source, list(islice(source.documents(), SAMPLED_ROWS)))


def _round(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{round(count, -3):,}"


def _times(epochs: float) -> str:
    return f"{epochs:.0f} times" if epochs >= 1.5 else "once" if epochs >= 0.95 else "at most once"


def default_name(home: Path, database: str, table: str) -> str:
    """That of the command line, with the table's in it where another table has that already."""
    stem = "nanogpt-" + _word(Path(database).stem)
    for name in (stem, f"{stem}-{_word(table)}"):
        if not taken(home, name, database, table):
            return name
    return f"{name}-2"


def _word(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-")[:40]


def taken(home: Path, name: str, database: str, table: str) -> bool:
    """Whether a name is that of another table's model. Which one, is not told: it may be private."""
    if not (home / name).exists():
        return False
    try:
        theirs = read_checkpoint(home / name).meta.get("source") or {}
    except NanogptError:
        return True
    return (theirs.get("database"), theirs.get("table")) != (database, table)


def settings_from_form(
    home: Path,
    limits: Limits,
    path: str | None,
    in_memory: bool,
    table: str,
    form: Mapping[str, Any],
    where: str | None,
) -> dict[str, Any]:
    """The settings of a run, as `Options.given()` has them. Raises NanogptError with all that is wrong."""
    problems: list[str] = []
    text = {key: str(value).strip() for key, value in form.items() if isinstance(value, str | int | float)}
    columns: dict[str, Any] = {"title": text.get("title") or None}
    columns["body"] = (text["body"],) if text.get("body") else ()
    source = open_table(path, in_memory, table, where, **columns)
    name = text.get("name") or default_name(home, location(str(path)), source.table)
    if not valid_name(name):
        problems.append(f"{name!r} is no name for a model: letters, digits and .-_ make one")
    elif taken(home, name, location(str(path)), source.table):
        problems.append(f"The name {name} is taken by another model: choose another")
    settings = {"database": location(str(path)), "table": source.table, "name": name}
    settings |= {"title": columns["title"], "body": list(columns["body"]), "where": where}

    def number(key: str, kind: type, least: float, most: float = math.inf) -> None:
        if not text.get(key):
            return
        label = key.replace("_", " ")
        try:
            value = kind(text[key])
        except ValueError:
            problems.append(f"{label} must be a number, not {text[key]!r}")
            return
        if not least <= value <= most:
            problems.append(f"{label} must be from {least:g} to {most:g}, not {value:g}")
        settings[key] = value

    text = form_defaults(limits) | text
    number("minutes", float, 0.1, limits.max_minutes)
    number("learning_rate", float, 1e-9, 10)
    number("dropout", float, 0, 0.99)
    for key, least in NUMBERS.items():
        number(key, int, least, 2**31)
    for key, choices in CHOICES.items():
        if text.get(key):
            settings[key] = text[key]
            if text[key] not in choices:
                problems.append(f"{key} must be one of {', '.join(choices)}")
    if not problems:
        problems += _shape_problems(settings, limits)
    if problems:
        raise NanogptError("\n".join(problems))
    return {key: value for key, value in settings.items() if value not in (None, [], "")}


def _plan(settings: Mapping[str, Any], size: int) -> Plan:
    """What a run with these settings does with so many bytes of text, on a machine of two cores."""
    char = settings.get("tokenizer") == "char"
    tokens = max(1, size if char else size // BYTES_PER_TOKEN)
    vocab_size = LETTERS if char else settings.get("vocab_size") or choose_vocab_size(size)
    return choose_plan(settings, tokens, vocab_size, settings["minutes"])


def _shape_problems(settings: Mapping[str, Any], limits: Limits) -> list[str]:
    """Whether there can be such a model, and whether it is small enough."""
    # Sizes are checked before the tensors are listed: a billion layers would never end.
    if settings.get("n_layer", 0) > 1000 or settings.get("n_embd", 0) > 100_000:
        return [f"A model may have at most {limits.max_parameters:,} parameters"]
    try:
        config = _plan(settings, 10**8).config
    except NanogptError as ex:
        return [str(ex)]
    if config.parameters > limits.max_parameters:
        return [f"A model may have at most {limits.max_parameters:,} parameters, not {config.parameters:,}"]
    return []
