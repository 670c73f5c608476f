"""From the form on a table's page to the settings of a run. No torch here: this is the server's process."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import valid_name

from ..data.columns import NoTextError
from ..data.corpus import location
from ..data.source import Selection, Source, open_source
from ..data.sqlite import connect, quote, time_limit
from ..formatting import text_size
from ..registry.db import registry
from ..training.flops import work_per_step
from ..training.plan import MAX_EPOCHS, SIZES, Plan, describe_teachers, plan_text
from .limits import Limits

MINUTES = (1, 3, 10, 30)
SAMPLED_ROWS = 200  # read to estimate how much text there is
MEASURED_ROWS = 100_000  # of more, the rest is taken to be alike
CONDITION_SECONDS = 10.0  # to read what meets a condition: a server's threads are for all
EXCERPT = 300  # characters shown of a row
RECENT_RUNS = 10  # the fastest of which tells what this machine does
DEFAULT_MINUTES = 3
# What the form calls its fields, and messages too.
LABELS = {
    "minutes": "Minutes",
    "size": "Size",
    "name": "Name of the model",
    "title": "Title column",
    "body": "Text column",
    "arch": "Architecture",
    "tokenizer": "Tokenizer",
    "n_layer": "Layers",
    "n_head": "Heads",
    "n_embd": "Width",
    "block_size": "Context",
    "batch_size": "Batch",
    "vocab_size": "Vocabulary",
    "learning_rate": "Learning rate",
    "dropout": "Dropout",
    "seed": "Seed",
    "where": "the condition",
}
# name -> (kind, least, most). Least values are those of the command line.
NUMBERS: dict[str, tuple[type, float, float]] = {
    "n_layer": (int, 1, 1000),
    "n_head": (int, 1, 10_000),
    "n_embd": (int, 2, 100_000),
    "block_size": (int, 2, 10**6),
    "batch_size": (int, 1, 10**6),
    "vocab_size": (int, 257, 10**6),
    "learning_rate": (float, 1e-9, 10),
    "dropout": (float, 0, 0.99),
    "seed": (int, 0, 2**31),
}
CHOICES = {"size": tuple(SIZES), "arch": ("qwen3", "gpt2"), "tokenizer": ("bpe", "char")}


class Refused(NanogptError):
    """What is wrong with a form: field -> a line about it."""

    def __init__(self, problems: Mapping[str, str]):
        super().__init__("\n".join(problems.values()))
        self.fields = list(problems)


@dataclass(frozen=True)
class Target:
    """A table to train on, where its models go, and what is allowed there."""

    home: Path
    limits: Limits
    path: str | None  # of the database's file
    in_memory: bool
    table: str


def open_table(path: str | None, in_memory: bool, table: str, where: str | None, **columns: Any) -> Source:
    """The rows that a process of its own will read. Raises NanogptError where it could not."""
    if in_memory or not path:
        raise NanogptError(
            "This database is in memory, where no other process can read it: save it to a file to train on it"
        )
    if not os.access(path, os.R_OK):
        raise NanogptError("The file of this database cannot be read: it was moved or is not this user's")
    try:
        return open_source(location(str(path)), table, Selection(where=where, **columns))
    except sqlite3.Error as ex:
        raise NanogptError(f"The table cannot be read: {ex}") from ex


def offer(
    target: Target, where: str | None, told: str = "", form: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the form shows: columns found, two rows as they will be read, how much text, what it will take.
    `told` is `where` in words. The columns, and a condition in its place, are those of `form`."""
    form = form or {}
    if form.get("where"):
        where = told = str(form["where"]).strip()
    title, body = _columns(form)
    path, table = target.path, target.table
    read = _read(path, target.in_memory, table, where, title, body, _changed(path))
    text = f"{read['rows']:,} rows{f' ({told})' if told else ''}, about {text_size(read['bytes'])} of text"
    text += f", the title from {read['title']}" if read["title"] else ""
    text += f", the text from {', '.join(read['body'])}" if read["body"] else ""
    return read | {
        "text": f"{text}, HTML read as text." if read["html"] else f"{text}.",
        "where": where,
        "carried": told,
        "name": default_name(target.home, location(str(path)), table),
        "minutes": minutes_offered(target.limits),
    }


def offer_and_estimate(
    target: Target, where: str | None, told: str, form: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What the form shows, as it was filled in or, where its rows cannot be read so, as it is at first.
    Where no text is found, a column can still be chosen."""
    try:
        offered = offer(target, where, told, form)
    except NoTextError as ex:
        name = default_name(target.home, location(str(target.path)), target.table)
        minutes = minutes_offered(target.limits)
        return {"text": in_words_of_the_form(ex), "texts": [], "name": name, "minutes": minutes}, None
    except NanogptError:
        return offer(target, where, told), None
    with suppress(NanogptError):  # a name is not asked for: a bad one changes nothing
        return offered, estimate(target, settings_from_form(target, {**form, "name": ""}, where))
    return offered, None


def _columns(form: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The title column and the body columns that a form names."""
    title, body = (str(form.get(key) or "").strip() for key in ("title", "body"))
    return title or None, (body,) if body else ()


@lru_cache(maxsize=64)
def _read(
    path: str | None,
    in_memory: bool,
    table: str,
    where: str | None,
    title: str | None,
    body: tuple[str, ...],
    _as_of: tuple[int, ...],
) -> dict[str, Any]:
    """What the rows have, remembered until the file changes."""
    with _patience(where):
        source = open_table(path, in_memory, table, where, title=title, body=body)
        texts = list(islice(source.documents(), SAMPLED_ROWS))
        if not texts:
            raise NoTextError(f"The first rows of {table} have no text: name another column to read as text")
        size = _text_bytes(source, texts)
    return {
        "rows": source.row_count,
        "bytes": size,
        "title": source.title,
        "body": list(source.body),
        "html": sorted(source.html_columns),
        "texts": [text[:EXCERPT] + ("…" if len(text) > EXCERPT else "") for text in texts[:2]],
    }


def _patience(where: str | None):
    """How long to wait for what is read meanwhile."""
    return time_limit(CONDITION_SECONDS) if where else nullcontext()


def _changed(path: str | None) -> tuple[int, ...]:
    """What differs once a database was written to, to the file itself or to the log beside it."""
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal")] if path else []
    return tuple(n for f in files if f.exists() for n in (f.stat().st_mtime_ns, f.stat().st_size))


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
    lengths = (
        " + ".join(f"ifnull(length(cast({quote(column)} as blob)), 0)" for column in source.text_columns)
        or "0"
    )
    with connect(source.database) as db:
        select = f"select sum({lengths}) from (select * from {source.from_sql} {source.order_by} limit ?)"
        size = db.execute(select, [rows]).fetchone()[0] or 0
    return size * max(1, source.row_count / rows) if rows == MEASURED_ROWS else size


def estimate(target: Target, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a run with these settings, as `settings_from_form` has them, will come to."""
    path, flops = target.path, measured_flops(target.home)
    columns = (settings.get("title"), tuple(settings.get("body", ())))
    size = _read(path, False, settings["table"], settings.get("where"), *columns, _changed(path))["bytes"]
    plan, minutes = _plan(settings, size, target.limits, flops), settings["minutes"]
    config, seen = plan.config, round(plan.tokens_seen)
    enough = plan.max_iters and plan.epochs >= MAX_EPOCHS
    within = "in less than" if enough else "in"
    more = " More would only teach it by heart." if enough else ""
    if plan.teachers:
        come = describe_teachers([teacher.config for teacher in plan.teachers])
        more = f" {come[0].upper()}{come[1:]}."
    return {
        "layers": config.n_layer,
        "width": config.n_embd,
        "parameters": config.parameters,
        "tokens": seen,
        "epochs": round(plan.epochs, 1),
        "text": f"{config.n_layer} layer{'s' if config.n_layer != 1 else ''}, width {config.n_embd}, "
        f"about {config.parameters / 1e6:.1f}M parameters. "
        f"{'As fast as the last runs here' if flops else 'On two cores'} it reads some {_round(seen)} tokens "
        f"{within} {minutes:g} minute{'s' if minutes != 1 else ''}: each row {_times(plan.epochs)}.{more}",
    }


def measured_flops(home: Path) -> float | None:
    """How much of flops.work_per_step the fastest of the last runs did in a second; None before the first."""
    select = "select plan, tokens_per_second from runs where kind = 'train' and status = 'finished' "
    select += "and tokens_per_second > 0 order by id desc limit ?"
    speeds = []
    with suppress(NanogptError), registry(home) as db:
        for plan, tokens_per_second in db.execute(select, [RECENT_RUNS]):
            prepared = json.loads(plan)
            config = GPTConfig(**prepared["config"])
            step_tokens = prepared["settings"]["batch_size"] * config.block_size
            speeds.append(work_per_step(config, step_tokens) / step_tokens * tokens_per_second)
    return max(speeds, default=None)


def _round(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{round(count, -3):,}"


def _times(epochs: float) -> str:
    return f"{epochs:.0f} times" if epochs >= 1.5 else "once" if epochs >= 0.95 else "at most once"


def default_name(home: Path, database: str, table: str) -> str:
    """That of the command line, with the table's in it where another table has that; none that exists."""
    stem = "nanogpt-" + _word(Path(database).stem)
    if taken(home, stem, database, table):
        stem += f"-{_word(table)}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if not (home / name).exists())


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


def read_number(given: Any, kind: type, least: float, most: float, label: str) -> Any:
    """A number of a form. Raises NanogptError with what is wrong with it."""
    try:
        value = kind(str(given))
    except ValueError:
        whole = "whole " if kind is int else ""
        raise NanogptError(f"{label} must be a {whole}number, not {str(given)!r}") from None
    if not least <= value <= most:
        low, high, it = (f"{n:,}" if isinstance(n, int) else f"{n:g}" for n in (least, most, value))
        raise NanogptError(f"{label} must be from {low} to {high}, not {it}")
    return value


def settings_from_form(target: Target, form: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """The settings of a run, as `TrainOptions.given()` has them. A condition in the form goes before `where`.
    Raises Refused with all that is wrong."""
    problems: dict[str, str] = {}
    home, limits, database = target.home, target.limits, location(str(target.path))
    text = {key: str(value).strip() for key, value in form.items() if isinstance(value, str | int | float)}
    where = text.get("where") or where
    title, body = _columns(form)
    try:
        with _patience(where):
            source = open_table(target.path, target.in_memory, target.table, where, title=title, body=body)
    except NanogptError as ex:
        field = "body" if isinstance(ex, NoTextError) else "where" if text.get("where") else ""
        raise Refused({field: in_words_of_the_form(ex)}) from ex
    name = text.get("name") or default_name(home, database, source.table)
    if not valid_name(name):
        problems["name"] = f"{name!r} is no name for a model: letters, digits and .-_ make one"
    elif taken(home, name, database, source.table):
        problems["name"] = f"The name {name} is taken by another model: choose another"
    elif (home / name).exists() and not (form.get("replace") or form.get("estimate")):
        ways_out = "tick that it is to be replaced, or choose another name"
        problems["name"] = f"{name} exists ({read_checkpoint(home / name).summary}): {ways_out}"
    settings = {"database": database, "table": source.table, "name": name}
    settings |= {"title": title, "body": list(body), "where": where}
    text = form_defaults(limits) | text
    for key, how in {"minutes": (float, 0.1, limits.max_minutes), **NUMBERS}.items():
        if text.get(key):
            try:
                settings[key] = read_number(text[key], *how, LABELS[key])
            except NanogptError as ex:
                problems[key] = str(ex)
    for key, choices in CHOICES.items():
        if text.get(key):
            settings[key] = text[key]
            if text[key] not in choices:
                problems[key] = f"{LABELS[key]} must be one of {', '.join(choices)}"
    if settings.get("tokenizer") == "char" and settings.get("vocab_size"):
        problems["vocab_size"] = "Leave Vocabulary out: a tokenizer of characters has one of its own"
    if not problems:
        problems |= _shape_problems(settings, limits)
    if problems:
        raise Refused(problems)
    return {key: value for key, value in settings.items() if value not in (None, [], "")}


def in_words_of_the_form(ex: NanogptError) -> str:
    """An error that names options of the command line, as --n-head, tells of the fields instead."""

    def label(option: re.Match) -> str:
        return LABELS.get(option[1].replace("-", "_"), option[0])

    told = re.sub(r"--([a-z-]+)", label, str(ex))
    return told[:1].upper() + told[1:]


def _plan(settings: Mapping[str, Any], size: int, limits: Limits, flops: float | None = None) -> Plan:
    """What a run with these settings does with so many bytes of text, on a machine of two cores where its
    speed is not known."""
    return plan_text({**settings, "max_parameters": limits.max_parameters}, size, flops)


def _shape_problems(settings: Mapping[str, Any], limits: Limits) -> dict[str, str]:
    """Whether there can be such a model, and whether it is small enough."""
    try:
        _plan(settings, 10**8, limits)
    except NanogptError as ex:
        return {"size" if "at most" in str(ex) else "n_embd": in_words_of_the_form(ex)}
    return {}
