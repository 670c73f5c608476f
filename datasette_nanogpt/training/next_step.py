"""The one command that would improve a run's score most."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, NanogptError

from ..data.corpus import is_url
from ..data.open_source import open_source
from ..data.sqlite import connect, database_path
from ..data.tables import user_tables
from .budget import DEFAULT_MINUTES, Budget
from .options import as_command
from .plan import choose_plan
from .sizes import SHAPE, size_is_given

WORTH_ADDING = 0.2  # another table is suggested if it has this fraction of the text's bytes
SECONDS = 2.0  # how long to look for one
BIGGER = 1.3  # a model is clearly bigger with this many times as many parameters
LONGER = 1.5  # a run took longer than it had if it took this many times as long
BIGGER_MODEL = "a bigger model"  # what the command without a size brings
SIZE_OPTIONS = ("size", *SHAPE)


class Limits(NamedTuple):
    """The limits that a run had at its end: a resume may have changed those it was started with."""

    minutes: float | None
    steps: int | None  # the limit that was asked for
    stopped: bool = False  # whether somebody stopped it before

    def options(self) -> dict[str, Any]:
        minutes = None if self.minutes == DEFAULT_MINUTES and not self.steps else self.minutes
        given = {"max_iters": self.steps, "minutes": minutes}
        return {option: value for option, value in given.items() if value}


def next_step(limit: str, meta: Mapping[str, Any], limits: Limits) -> tuple[str, str]:
    """A command and what it brings, by what limits the model ("size", "text" or "minutes"), its
    nanogpt.json and what its run had. The command is "" where there is none that would help."""
    options = {"database": meta["source"]["database"]} | meta["options"]
    options = {k: v for k, v in options.items() if k not in ("minutes", "max_iters")} | limits.options()
    if limit == "size":
        return as_command({k: v for k, v in options.items() if k not in SIZE_OPTIONS}), BIGGER_MODEL
    if limit == "text":
        return _more_text(options, meta)
    kept = {k: v for k, v in options.items() if k in ("database", "table", "sql", "name")} | {"resume": True}
    if limits.stopped:
        return as_command(kept), "goes on where it stopped"
    more: dict[str, Any] = {}
    if limits.steps:
        more["max_iters"] = 2 * max(limits.steps, meta["training"]["step"])
    if limits.minutes:
        spent = meta["training"].get("seconds", 0) / 60
        # A run of seconds may take far longer than it had: twice its limit would be over already.
        took = float(f"{spent:.2g}") if spent > LONGER * limits.minutes else limits.minutes
        more["minutes"] = 2 * took
    return as_command({**kept, **more}), f"twice as {'many steps' if limits.steps else 'long'}"


def _more_text(options: dict[str, Any], meta: Mapping[str, Any]) -> tuple[str, str]:
    """Another table of the database if one has text, else all rows if a condition left some out."""
    tables = options.get("table") or []
    tables = [tables] if isinstance(tables, str) else list(tables)
    written_for = options.get("template") or options.get("group_by")  # the columns of this table
    if tables and not written_for and not is_url(options["database"]):
        other = _table_with_text(options["database"], tables, meta["corpus"]["bytes"])
        if other:
            name = f"{meta['name']}-and-{other}"
            more = {k: v for k, v in options.items() if k != "resume"}
            return as_command({**more, "table": [*tables, other], "name": name}), "more text"
    if options.get("where"):
        return as_command({k: v for k, v in options.items() if k not in ("where", "resume")}), "all rows"
    return "", "only more text like this would help much"


def _table_with_text(database: str, used: list[str], n_bytes: int) -> str | None:
    """The other table with the most text, going by a sample of its rows; None if each has too little."""
    deadline, best = time.monotonic() + SECONDS, (WORTH_ADDING * n_bytes, "")
    try:
        with connect(database_path(database)) as db:
            names = user_tables(db, database)
    except NanogptError:
        return None
    lower = {name.lower() for name in used}
    for name in names:
        if name.lower() in lower:
            continue
        if time.monotonic() > deadline:
            break
        try:
            source = open_source(database, name)
            documents, _ = source.read_sample()
        except NanogptError:  # it has no text, say
            continue
        if documents:
            mean = sum(len(document.encode()) for document in documents) / len(documents)
            best = max(best, (mean * source.row_count, name))
    return best[1] or None


def bigger_model_fits(
    meta: Mapping[str, Any], config: GPTConfig, flops: float | None, limits: Limits
) -> bool:
    """Whether the planner would choose a clearly bigger model than that of `config`, had its size not been
    set by hand. `flops` are those of flops.work_per_step that the machine did in a second."""
    options = meta["options"]
    given = {k: v for k, v in options.items() if k not in SIZE_OPTIONS}
    if not size_is_given(options) or not flops:
        return False
    budget = Budget(limits.minutes, limits.steps, flops)
    try:
        plan = choose_plan(given, meta["corpus"]["train_tokens"], config.vocab_size, budget)
    except InvalidOptions:
        return False
    return plan.config.parameters > BIGGER * config.parameters
