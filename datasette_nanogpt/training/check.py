"""Before a run: everything wrong with its options, its table or its folder is found here, told at once."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from llm_nanogpt.checkpoint import read_checkpoint, recover
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import nanogpt_home, valid_name
from llm_nanogpt.tokenizer_training import gpt2

from ..data.corpus import Corpus, location, open_corpus
from ..data.source import Selection
from ..formatting import duration
from .distributed import launched
from .options import TrainOptions
from .plan import DEFAULT_MINUTES, SIZES


def check(options: TrainOptions) -> tuple[Corpus | None, dict[str, Any]]:
    """The opened source (None for a resume) and what the folder of a resume says (else empty).

    Raises one NanogptError with everything that is wrong, a line each.
    """
    problems: list[str] = []

    def attempt(what, *args, **kwargs):
        try:
            return what(*args, **kwargs)
        except NanogptError as ex:
            problems.extend(str(ex).splitlines())
            return None

    def refuse(wrong: bool, why: str) -> None:
        if wrong:
            problems.append(why)

    o, folder = options, nanogpt_home() / options.model_name
    refuse(
        not valid_name(o.model_name),
        f"{o.model_name!r} is no name for a model: letters, digits and .-_ make one, set it with --name",
    )
    for option, least in (
        ("n_layer", 1),
        ("n_head", 1),
        ("n_embd", 2),
        ("block_size", 2),
        ("batch_size", 1),
        ("max_iters", 1),
        ("eval_interval", 1),
        ("vocab_size", 257),
    ):
        value = getattr(o, option)
        flag = "--" + option.replace("_", "-")
        refuse(value is not None and value < least, f"{flag} must be at least {least}, not {value}")
    for flag, value in (("--minutes", o.minutes), ("--learning-rate", o.learning_rate)):
        refuse(value is not None and not value > 0, f"{flag} must be more than 0, not {value}")
    refuse(not 0 <= (o.dropout or 0) < 1, f"--dropout must be at least 0 and less than 1, not {o.dropout}")
    refuse(
        o.vocab_size is not None and o.tokenizer in ("gpt2", "char"),
        f"--vocab-size goes with --tokenizer bpe: {o.tokenizer} has a size of its own",
    )
    refuse(o.size not in (None, *SIZES), f"--size must be one of {', '.join(SIZES)}, not {o.size}")
    refuse(o.force and o.resume, "--force starts anew and --resume goes on: give one of them")
    from llm_nanogpt.device import choose_device

    _, processes = launched()
    attempt(choose_device, o.device, processes)
    refuse(
        bool(o.batch_size and o.batch_size % processes),
        f"--batch-size must be a multiple of {processes}, the number of processes, not {o.batch_size}",
    )
    if o.name and not o.resume:
        from llm_nanogpt.names import check_free

        attempt(check_free, o.name)
    attempt(check_home, folder.parent)
    if o.tokenizer == "gpt2":
        attempt(gpt2)
    source, meta = None, {}
    if o.resume and not o.force:
        recover(folder)
        meta = (attempt(_check_resume, o, folder)) or {}
    elif not o.resume:
        if o.n_embd or o.n_head:  # the shapes that cannot be; the sizes themselves do not matter here
            heads = o.n_head or 1
            attempt(GPTConfig, 257, 2, 1, heads, o.n_embd or 128 * heads, arch=o.arch or "qwen3")
        source = attempt(
            open_corpus,
            o.database,
            o.tables,
            Selection(o.title, o.body, o.where, o.sql),
            token=o.token,
            refresh=o.refresh,
        )
        if source and folder.exists() and not o.force:
            attempt(_check_same_table, source, folder)
    if problems:
        raise NanogptError("\n".join(problems))
    return source, meta


def check_home(home: Path) -> None:
    existing = next(p for p in (home, *home.absolute().parents) if p.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise NanogptError(f"Cannot write in {home}: set NANOGPT_HOME to a folder that you own")


def _check_same_table(source: Corpus, folder: Path) -> None:
    """A new run replaces a model of the same table, and nothing else."""
    ways_out = f"choose another with --name, or replace it with --force ({folder})"
    try:
        theirs = read_checkpoint(folder).meta.get("source") or {}
    except NanogptError:
        raise NanogptError(
            f"The name {folder.name} is taken by a folder that does not load: {ways_out}"
        ) from None
    if (theirs.get("database"), theirs.get("table")) != (source.database, source.name):
        of = f"{theirs['table']} of {theirs['database']}" if theirs else "an imported model"
        raise NanogptError(f"The name {folder.name} is taken by {of}: {ways_out}")


def _check_resume(options: TrainOptions, folder: Path) -> dict[str, Any]:
    from .trainer import read_state

    meta = read_checkpoint(folder).meta
    if "settings" not in meta:
        raise NanogptError(f"{folder.name} was not trained here, so there is nothing to resume")
    free = {
        "database",
        "table",
        "sql",
        "refresh",
        "no_cache",
        "name",
        "resume",
        "minutes",
        "max_iters",
        "eval_interval",
        "device",
        "compile",
    }
    # As JSON has them: lists, not tuples. Those the run was started with may be given again.
    given = json.loads(json.dumps(options.given()))
    if fixed := {o for o, v in given.items() if o not in free and v != meta["options"].get(o)}:
        flags = ", ".join("--" + o.replace("_", "-") for o in sorted(fixed))
        raise NanogptError(f"A resumed run keeps its settings: leave out {flags}, or start anew with --force")
    theirs = meta["source"]
    named = options.sql or ", ".join(options.tables)
    if theirs["database"] != location(options.database) or theirs["table"].lower() != named.lower():
        raise NanogptError(
            f"{folder.name} is of {theirs['table']} in {theirs['database']}: name that, or --name"
        )
    batch, (_, processes) = meta["settings"]["batch_size"], launched()
    if batch % processes:
        raise NanogptError(
            f"{folder.name} has {batch} windows a step, which {processes} processes cannot divide"
        )
    _, at = read_state(folder)
    minutes = options.minutes or meta["settings"]["minutes"]
    iters = max_iters_of_resume(options, meta, at["step"])
    done_by_time = minutes is not None and at["seconds"] >= minutes * 60
    if done_by_time or (iters is not None and at["step"] >= iters):
        raise NanogptError(
            f"{folder.name} has trained for {duration(at['seconds'])} and {at['step']:,} steps, as planned: "
            f"give a larger --minutes{f' than {minutes:g}' if minutes else ''} or --max-iters to go on"
        )
    return meta


def max_iters_of_resume(options: TrainOptions, meta: dict[str, Any], step: int) -> int | None:
    """Who asks for more minutes than the planner had gets them, and where all steps are done who asks for
    others than it had: a limit of steps ends with the run it was made for."""
    asked, minutes, limit = meta["options"], options.minutes or 0, meta["settings"]["max_iters"]
    planned = None if "max_iters" in asked else asked.get("minutes") or DEFAULT_MINUTES
    more = planned is not None and minutes > planned
    more |= step >= (limit or math.inf) and minutes not in (0, planned)
    return options.max_iters or (None if more else limit)
