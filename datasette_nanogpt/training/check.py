"""Checks before a run: finds everything that is wrong with its options, its table or its folder, all at once.

It imports torch only where a GPU is asked for, so that a mistake is reported within a second.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from llm_nanogpt.changes import recover
from llm_nanogpt.checkpoint import checkpoints, read_checkpoint
from llm_nanogpt.errors import InvalidOptions, NanogptError, Problem, WrongUsage, in_full
from llm_nanogpt.home import nanogpt_home, valid_name
from llm_nanogpt.model_files import holds_other_files
from llm_nanogpt.tokenizer_training import gpt2
from llm_nanogpt.unwritable import cannot_write, existing_part

from ..data.columns import NoTextError
from ..data.corpus import Corpus, is_same_database, is_url, location, open_corpus
from ..data.field_values import texts_among_values
from ..data.sqlite import list_names
from ..formatting import duration
from ..registry.resume import is_unfinished
from .budget import DEFAULT_MINUTES
from .distributed import rank_and_size
from .memory import check_address_space
from .options import TrainOptions, problems_of, typed_command, typed_flags
from .train_state import read_position

P = ParamSpec("P")
T = TypeVar("T")
# What a resumed run may change; the others must be as they were.
FREE_ON_RESUME = {
    *("database", "table", "sql", "refresh", "no_cache", "name", "resume"),
    *("minutes", "max_iters", "eval_interval", "device", "compile"),
}


class _Problems(list[Problem]):
    def attempt(self, field: str, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The result of a call; None if it raised NanogptError, which is noted as a problem of `field`."""
        try:
            return what(*args, **kwargs)
        except InvalidOptions as ex:
            self.extend(problem for problem in ex.problems if problem not in self)
        except NanogptError as ex:
            failed = not isinstance(ex, WrongUsage)
            self.extend(Problem(field, "refused", line, failed) for line in in_full(ex).splitlines())
        return None


def check(options: TrainOptions, *more: str) -> tuple[Corpus | None, dict[str, Any]]:
    """The opened source (None for a resume) and what the folder of a resume says (else empty).

    Commands that are offered have what was typed, and `more`, which is not of the options. Raises
    InvalidOptions with everything that is wrong.
    """
    problems = _Problems(problems_of(options))
    if any(problem.code in ("type", "number") for problem in problems):  # what follows needs their types
        raise InvalidOptions(problems)
    home, (_, processes) = nanogpt_home(), rank_and_size()
    if options.batch_size and options.batch_size % processes:
        message = f"The batch must be a multiple of the {processes} processes, not {options.batch_size}"
        problems.append(Problem("batch_size", "multiple", message))
    known = len(problems)
    problems.attempt("", check_home, home)
    usable = len(problems) == known  # or else what is in it may not even be looked at
    usable &= valid_name(options.model_name)  # or else its folder may be another's, or cannot be looked at
    problems.attempt("", check_address_space)
    if options.name and not options.resume:
        from llm_nanogpt.names import check_free

        problems.attempt("name", check_free, options.name)
    if options.tokenizer == "gpt2":
        problems.attempt("tokenizer", gpt2)
    source: Corpus | None = None
    meta: dict[str, Any] = {}
    if usable and options.resume and not options.force:
        meta = problems.attempt("", _check_resume, options, home / options.model_name) or {}
    elif not options.resume:
        usable &= bool(usable and problems.attempt("name", _can_be_a_model, home / options.model_name))
        source = problems.attempt("", _open, options, more)
        if source and usable and not options.force:
            problems.attempt("name", _check_same_table, source, home / options.model_name)
    if not problems and options.device not in (None, "cpu"):
        from llm_nanogpt.device import choose_device

        problems.attempt("device", choose_device, options.device, processes)
    if problems:
        raise InvalidOptions(problems)
    return source, meta


def name_table(options: TrainOptions, corpus: Corpus | None) -> TrainOptions:
    """The options, with the table that was chosen where they name none: commands that are told name it."""
    return replace(options, table=corpus.sources[0].table) if corpus and corpus.chosen else options


def check_place(options: TrainOptions, source: Corpus | None) -> dict[str, Any]:
    """Check again what other processes may have changed before this one got the lock of the model.

    Returns what the folder of a resume says (else empty). Raises NanogptError.
    """
    folder = nanogpt_home() / options.model_name
    if source is None:
        return _check_resume(options, folder)
    if not options.force:
        _check_same_table(source, folder)
    return {}


def check_home(home: Path) -> None:
    """Raises NanogptError where models cannot be written."""
    try:
        existing = existing_part(home)
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            return
    except OSError as ex:  # a name that is too long
        raise NanogptError(cannot_write(home, ex)) from ex
    raise NanogptError(cannot_write(home))


def _open(options: TrainOptions, more: Sequence[str]) -> Corpus:
    try:
        return open_corpus(
            options.database,
            options.tables,
            options.selection,
            token=options.token,
            refresh=options.refresh,
            typed=[*typed_flags(options), *more],
        )
    except NoTextError as ex:
        named = options.tables if not is_url(options.database) else ()
        command = typed_command(options)
        told = [text for table in named if (text := texts_among_values(options.database, table, command))]
        raise (type(ex)(" ".join([str(ex), *told])) if told else ex) from None


def _can_be_a_model(folder: Path) -> bool:
    """True; raises InvalidOptions where there is a file, a link to a folder that is not there, or a folder
    of something else, which --force must not replace either."""
    if holds_other_files(folder):
        raise _taken(f"The name {folder.name} is taken: {folder} has files of something else. Choose another")
    if os.path.isdir(folder) or not os.path.lexists(folder):
        return True
    what = "a link that leads nowhere" if folder.is_symlink() else "a file"
    raise _taken(f"The name {folder.name} is taken: {folder} is {what}. Remove it, or choose another name")


def _check_same_table(source: Corpus, folder: Path) -> None:
    """A new run replaces a model of the same table, and nothing else."""
    if not folder.exists():
        return
    ways_out = "choose another with --name, or replace it with --force"
    try:
        theirs = read_checkpoint(folder).meta.get("source") or {}
    except NanogptError:
        why = f"{folder} exists and holds no model that can be opened"
        raise _taken(f"The name {folder.name} is taken: {why}. {ways_out.capitalize()}") from None
    before = theirs.get("database")
    # A file of another name, in place of one that is gone, may have another table of the same name.
    same_name = Path(before or "").name == Path(source.database).name
    same = before == source.database or (same_name and is_same_database(before, source.database))
    if not same or theirs.get("table") != source.name:
        of = f"{theirs.get('table')} of {theirs.get('database')}" if theirs else "an imported model"
        raise _taken(f"The name {folder.name} is taken by {of} ({folder}): {ways_out}")


def _taken(message: str) -> InvalidOptions:
    return InvalidOptions([Problem("name", "taken", message)])


def _check_resume(options: TrainOptions, folder: Path) -> dict[str, Any]:
    """What nanogpt.json says of a model that can be trained further. Raises NanogptError where it cannot."""
    recover(folder.parent)
    try:
        meta = read_checkpoint(folder).meta
    except NanogptError as ex:
        if folder.exists():
            raise
        others = _others(options, folder.parent)
        reason = others or f" in {folder.parent}: a run leaves one from its first score on"
        begin = (
            ", or leave out --resume to begin a new one" if others else ". Leave out --resume to begin one"
        )
        raise WrongUsage(f"There is no model {folder.name!r}{'. ' * bool(others)}{reason}{begin}") from ex
    if not meta.get("settings") or not meta.get("source") or not meta.get("corpus"):
        raise WrongUsage(f"{folder.name} was not trained here, so there is nothing to resume")
    _check_same_run(options, meta, folder)
    if not is_url(options.database) and not os.path.exists(meta["source"]["database"]):
        meta["source"]["database"] = location(options.database)  # it has moved there
    batch, (_, processes) = meta["settings"]["batch_size"], rank_and_size()
    if batch % processes:
        raise WrongUsage(
            f"{folder.name} has {batch} windows in a step, which {processes} processes cannot divide evenly"
        )
    at = read_position(folder)
    minutes = options.minutes or meta["settings"].get("minutes")
    iters = max_iters_of_resume(options, meta, at.step)
    done_by_time = minutes is not None and at.seconds >= minutes * 60
    done = done_by_time or (iters is not None and at.step >= iters)
    if done and not (_keeps_limits(options, meta) and is_unfinished(meta)):
        # A run of seconds may take longer than its minutes: it does what it began.
        least = max(minutes or 0, math.ceil(at.seconds / 0.6) / 100 if done_by_time else 0)
        raise WrongUsage(
            f"{folder.name} has trained for {duration(at.seconds)} and {at.step:,} steps, as planned: "
            f"give a larger --minutes{f' than {least:g}' if least else ''}"
            f"{'' if done_by_time else ' or --max-iters'} to go on"
        )
    return meta


def _keeps_limits(options: TrainOptions, meta: dict[str, Any]) -> bool:
    """Whether a resume asks for no other minutes and steps than the run had."""
    given = options.given()
    return all(given.get(name) in (None, meta["settings"].get(name)) for name in ("minutes", "max_iters"))


def _others(options: TrainOptions, home: Path) -> str:
    """Which models were trained on the rows that the options name, for somebody who wants to resume one and
    named another, the one that was trained last first; "" if there are none."""
    named = (options.sql or ", ".join(options.tables)).lower()
    models = []
    for name, model in checkpoints(home):
        if isinstance(model, NanogptError):
            continue
        source = model.meta.get("source") or {}
        same = is_same_database(source.get("database"), options.database)
        if same and named in ("", (source.get("table") or "").lower()):
            models.append((model.trained, name))
    names = [name for _, name in sorted(models, reverse=True)]
    rows = "these tables" if len(options.tables) > 1 else "this table" if options.tables else "this database"
    trained = f"{list_names(names, 5)} {'were' if names[1:] else 'was'} trained on {rows}"
    return f"{trained}: add --name {shlex.quote(names[0])}" if names else ""


def _check_same_run(options: TrainOptions, meta: dict[str, Any], folder: Path) -> None:
    """Only what FREE_ON_RESUME names may differ from the run that is resumed."""
    # As JSON has them: lists, not tuples. Those that the run was started with may be given again.
    given = json.loads(json.dumps(options.given()))
    if fixed := {
        o for o, v in given.items() if o not in FREE_ON_RESUME and v != (meta.get("options") or {}).get(o)
    }:
        flags = ", ".join("--" + o.replace("_", "-") for o in sorted(fixed))
        raise WrongUsage(
            f"A resumed run keeps its settings: leave out {flags}, or leave out --resume and add --force"
        )
    theirs = {"table": "", "database": None} | meta["source"]
    named = options.sql or ", ".join(options.tables)
    other_table = named and theirs["table"].lower() != named.lower()  # the address of a table names it
    if other_table or not is_same_database(theirs["database"], options.database):
        others = _others(options, folder.parent)
        raise WrongUsage(
            f"{folder.name} was trained on {theirs['table']} of {theirs['database']}: "
            f"{others or 'name these, or another model with --name'}"
        )


def max_iters_of_resume(options: TrainOptions, meta: dict[str, Any], step: int) -> int | None:
    """The step at which a resumed run ends; None if only the minutes end it.

    A limit of steps that the planner chose holds only for the run it was made for. It is dropped if more
    minutes are asked for than that run had, or other minutes once all of its steps are done.
    """
    asked, minutes = meta.get("options") or {}, options.minutes or 0
    limit = meta["settings"].get("max_iters")
    planned = None if "max_iters" in asked else asked.get("minutes") or DEFAULT_MINUTES
    more = planned is not None and minutes > planned
    more |= step >= (limit or math.inf) and minutes not in (0, planned)
    return options.max_iters or (None if more else limit)
