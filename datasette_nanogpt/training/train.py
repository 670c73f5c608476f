"""From a table to a model folder: check everything, prepare, train, record.

`train_table(Options(...))` is `datasette nanogpt-train` without the command line: a generator of events.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llm_nanogpt.checkpoint import publish, read_checkpoint, recover, write_meta, write_model_files
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.home import nanogpt_home, valid_name
from llm_nanogpt.locks import hold
from llm_nanogpt.tokenizer import Tokenizer, gpt2

from ..data import token_files as dataset
from ..data.prepare import link, prepare
from ..data.source import Corpus, location, open_corpus
from ..events import Busy, Evaluation, Event, Finished, Note, Prepared, Progress, Speed, Step
from ..formatting import duration, utc_now
from ..registry.runs import Run
from . import trainer
from .distributed import Ranks, joined, launched, leave_signals_to_rank_0
from .lr_schedule import Stop
from .model_card import model_card
from .plan import (
    DEFAULT_MINUTES,
    PUPIL_SHRINKING,
    SIZES,
    Plan,
    choose_plan,
    replan,
    size_is_given,
    steps_enough,
    work_per_step,
)

if TYPE_CHECKING:
    from llm_nanogpt.gpt_torch import GPT

T = TypeVar("T")
SAMPLE_TOKENS = 80
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Options:
    """What can be asked for; None is "choose for me". Names and meanings are those of the command line."""

    database: str  # path or URL
    table: str | tuple[str, ...] = ()  # one or several; none with `sql`
    title: str | None = None
    body: tuple[str, ...] = ()
    where: str | None = None
    sql: str | None = None
    token: str | None = None
    refresh: bool = False
    no_cache: bool = False
    name: str | None = None
    force: bool = False
    resume: bool = False
    minutes: float | None = None
    max_iters: int | None = None
    arch: str | None = None
    tokenizer: str | None = None
    vocab_size: int | None = None
    size: str | None = None
    n_layer: int | None = None
    n_head: int | None = None
    n_embd: int | None = None
    block_size: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    eval_interval: int | None = None
    device: str | None = None
    compile: bool | None = None
    seed: int | None = None
    max_parameters: int | None = None  # a server's limit, no option of the command line

    @property
    def model_name(self) -> str:
        return self.name or "nanogpt-" + Path(self.database).stem

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.table,) if isinstance(self.table, str) else tuple(self.table)

    def given(self) -> dict[str, Any]:
        """The options that are not left to us, but for the token: this is written to disk."""
        given = {k: v for k, v in asdict(self).items() if v not in (None, (), False)}
        given |= {"compile": False} if self.compile is False else {}  # which was asked for
        return {k: v for k, v in given.items() if k not in ("token", "max_parameters")}


def train_table(options: Options, stop: Stop | None = None, queued: int | None = None) -> Iterator[Event]:
    """Train a GPT on a table. Yields Progress, Prepared once, the trainer's events, then Finished.

    `queued` is the id of a run that stands in the registry already.

    Everything that can be wrong with the options is found before any work starts, and told at once in
    one NanogptError, a line each. A run that fails or is killed leaves a model folder that loads, or none.
    """
    with joined() as ranks:
        if ranks.leads:
            yield from _lead(options, stop or Stop(), queued, ranks)
        else:
            _follow(ranks)


def _lead(options: Options, stop: Stop, queued: int | None, ranks: Ranks) -> Iterator[Event]:
    source, settings = check(options)
    home, name = nanogpt_home(), options.model_name
    home.mkdir(parents=True, exist_ok=True)
    with hold(home / name):
        recover(home / name)
        text = source.describe() if source else settings["source"]
        given = options.given()
        if not options.sql:  # as the database writes them, whatever was typed
            given["table"] = [known["table"] for known in text["tables"]]
        run = Run(home, name, location(options.database), text["table"], given, queued)
        try:
            status = yield from _train(options, source, settings, home / name, run, stop, ranks)
        except (OSError, sqlite3.OperationalError, RuntimeError) as ex:
            told = _reason(ex, home, ranks)
            with suppress(sqlite3.OperationalError):
                run.end("failed", told or str(ex))
            if told:
                raise NanogptError(told) from ex
            raise
        except BaseException as ex:
            asked = isinstance(ex, (KeyboardInterrupt, GeneratorExit))
            run.end("stopped" if asked else "failed", None if asked else str(ex))
            raise
        run.end(status)


def _reason(ex: Exception, home: Path, ranks: Ranks) -> str | None:
    """What to tell of an error that is not of our making."""
    if isinstance(ex, RuntimeError):
        return ranks.failure(ex)
    if getattr(ex, "errno", None) in DISK_FULL or (
        isinstance(ex, sqlite3.OperationalError) and "full" in str(ex)
    ):
        return f"The disk of {home} is full: make room there, or set NANOGPT_HOME to another place"
    return None


def _follow(ranks: Ranks) -> None:
    """The part of the processes that are not the first: to learn along, and nothing else."""
    while shared := ranks.share():
        path, config, settings, corpus, at, kept = shared
        leave_signals_to_rank_0()
        model = _build(config, settings)
        state = trainer.read_state(path) if kept else ({}, at) if at else None
        teacher = trainer.read_teacher(path) if settings.generation else None
        tokens = _open_tokens(path, config, corpus)
        training = trainer.Training(
            model, tokens, settings, lambda *_, path=path: path, state=state, ranks=ranks, teacher=teacher
        )
        training.follow()


def check(options: Options) -> tuple[Corpus | None, dict[str, Any]]:
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
        from llm_nanogpt.plugin import check_free

        attempt(check_free, o.name)
    attempt(_check_home, folder.parent)
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
            title=o.title,
            body=o.body,
            where=o.where,
            sql=o.sql,
            token=o.token,
            refresh=o.refresh,
        )
        if source and folder.exists() and not o.force:
            attempt(_check_same_table, source, folder)
    if problems:
        raise NanogptError("\n".join(problems))
    return source, meta


def _check_home(home: Path) -> None:
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


def _check_resume(options: Options, folder: Path) -> dict[str, Any]:
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
    _, at = trainer.read_state(folder)
    minutes = options.minutes or meta["settings"]["minutes"]
    iters = _steps_of_resume(options, meta, at["step"])
    done_by_time = minutes is not None and at["seconds"] >= minutes * 60
    if done_by_time or (iters is not None and at["step"] >= iters):
        raise NanogptError(
            f"{folder.name} has trained for {duration(at['seconds'])} and {at['step']:,} steps, as planned: "
            f"give a larger --minutes{f' than {minutes:g}' if minutes else ''} or --max-iters to go on"
        )
    return meta


def _steps_of_resume(options: Options, meta: dict[str, Any], step: int) -> int | None:
    """Who asks for more minutes than the planner had gets them, and where all steps are done who asks for
    others than it had: a limit of steps ends with the run it was made for."""
    asked, minutes, limit = meta["options"], options.minutes or 0, meta["settings"]["max_iters"]
    planned = None if "max_iters" in asked else asked.get("minutes") or DEFAULT_MINUTES
    more = planned is not None and minutes > planned
    more |= step >= (limit or math.inf) and minutes not in (0, planned)
    return options.max_iters or (None if more else limit)


Generation = tuple[GPTConfig, trainer.Settings]  # a model of the run, and how it is trained


@dataclass
class _Work:
    """A run under way: where its files are, and what is known of it."""

    path: Path  # of the model folder: a hidden one beside its place until it has its first weights
    staging: Path  # that hidden one
    config: GPTConfig  # of the weights in `path`
    generations: list[Generation]  # each but the last is the next one's teacher
    tokenizer: Tokenizer
    meta: dict[str, Any]  # nanogpt.json to be
    state: trainer.State | None = None  # to go on from

    def go_on_after(self, training: trainer.Training) -> str:
        """Settle which models follow the one that was trained, and until when, as it is known by now how long
        steps take; what to tell of a change."""
        generation = training.settings.generation
        done, rest = self.generations[: generation + 1], self.generations[generation + 1 :]
        models, (config, settings) = [model for model, _ in self.generations], self.generations[-1]
        step_tokens, tokens = settings.batch_size * config.block_size, self.meta["corpus"]["train_tokens"]
        out, another = 0, False
        if speed := training.mean_speed:
            teacher = models[generation - 1] if generation else None
            flops = work_per_step(models[generation], step_tokens, teacher) / step_tokens * speed
            seconds = 60 * settings.minutes - training.seconds()
            out, another = replan(models, generation, tokens, step_tokens, flops, seconds)
        if another and not training.annealing:  # its scores turned: one more would do no better
            if not generation:
                settings = replace(settings, weight_decay=settings.weight_decay * PUPIL_SHRINKING)
            rest = [(config, settings)]
        steps = steps_enough(tokens, step_tokens)
        for i, (model, s) in enumerate(rest[out:], 1):
            until = s.max_iters and training.step + i * steps
            done.append((model, replace(s, generation=generation + i, max_iters=until)))
        self.generations = done
        if out:
            models = "model is" if out == 1 else "models are"
            return f"Steps take longer than planned, so {out} {models} left out."
        return "There is time for one more model." if another and rest else ""

    def folder(self, config: GPTConfig | None = None) -> Path:
        """Where to write; weights of another shape than those that are there get a folder with all the rest,
        until it is published."""
        if config in (None, self.config):
            return self.path
        (self.staging / "training").mkdir(parents=True)
        for file in (self.path / "training").iterdir():
            link(file, self.staging / "training" / file.name)
        self.tokenizer.save(self.staging, config.block_size)
        self.path, self.config = self.staging, config
        return self.path


def _train(
    options: Options,
    source: Corpus | None,
    old: dict[str, Any],
    final: Path,
    run: Run,
    stop: Stop,
    ranks: Ranks,
) -> Iterator[Event]:
    from llm_nanogpt.device import choose_device

    device, device_reason = choose_device(options.device, ranks.size)
    staging = final.with_name(f".{final.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        if options.resume:
            work = _reopen(options, old, final, staging, device)
        else:
            work = yield from _prepare(options, source, staging, final.parent, device, run)
        meta, at = work.meta, work.state[1] if work.state else {}
        generation = at.get("generation", 0)
        config, settings = work.generations[-1]
        prepared = Prepared(
            name=final.name,
            folder=str(final),
            source=meta["source"],
            corpus=meta["corpus"],
            config=config,
            settings=asdict(settings),
            tokenizer=meta["tokenizer"],
            device_reason=device_reason,
            plan_reason=meta.get("plan", ""),
            resumed_from=at.get("step"),
            replaces=None if options.resume else _model_there(final),
        )
        run.update(note="building the model")
        training = _begin(work, generation, work.state, ranks)
        work.state = None  # as big as the model and its optimizer
        run.update(status="running", note=None, plan=json.dumps(asdict(prepared)))
        yield prepared

        steps_asked = options.max_iters or meta["options"].get("max_iters")
        planned = settings.minutes and not steps_asked and config.arch != "gpt2"
        while True:
            if len(work.generations) > 1:
                place = f"model {generation + 1} of {len(work.generations)}"
                run.update(note=None, model=place)
                size = f"{training.model.config.parameters / 1e6:.2f}M parameters"
                why = ", which learns anew, from the text and from the guesses of the one before"
                yield Note(f"Now {place}, {size}{why if training.begins_taught else ''}.")
            sample = yield from _trained(training, work, final, run, stop)
            limits = work.generations[-1][1]
            out_of_time = training.seconds() >= 60 * (limits.minutes or math.inf)
            if planned and not (out_of_time or stop.requests) and (told := work.go_on_after(training)):
                yield Note(told)
            over = out_of_time or training.step >= (work.generations[-1][1].max_iters or math.inf)
            if over or stop.requests or generation == len(work.generations) - 1:
                break
            generation += 1
            run.update(note="building the next model")
            trainer.write_teacher(work.path, training.model)
            _write_meta(work)
            training = _begin(work, generation, ({}, training.at()), ranks)
            training.save_state()
        ranks.share()

        status = "stopped" if stop.requests and not over else "finished"
        meta["training"] |= {"status": status, "step": training.step, "seconds": round(training.seconds(), 1)}
        _write_meta(work)
        run.update(progress=1.0, eta=0.0)
        yield Finished(
            status=status,
            name=final.name,
            folder=str(final),
            parameters=work.config.parameters,
            step=meta["training"]["step"],
            seconds=meta["training"]["seconds"],
            seconds_left=max(0.0, 60 * (limits.minutes or 0.0) - training.seconds()),
            val_bpb=meta["score"]["val_bpb"],
            val_loss=meta["score"]["val_loss"],
            mfu=training.mean_mfu,
            epochs=training.epochs,
            models=generation + 1,
            best_step=meta["score"]["step"],
            sample=sample,
            prompt=_first_words(work.tokenizer.decode(training.tokens.val[1:30])),
        )
        return status
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _model_there(folder: Path) -> str | None:
    """What a run in that folder would replace."""
    with suppress(NanogptError):
        return read_checkpoint(folder).summary
    return "a folder that does not load" if folder.exists() else None


def _open_tokens(folder: Path, config: GPTConfig, corpus: dict[str, Any]) -> trainer.Tokens:
    splits = (folder / "training" / f"{split}.bin" for split in ("train", "val"))
    return trainer.Tokens(
        *(dataset.open_tokens(file, config.vocab_size) for file in splits),
        corpus["train_bytes"],
        corpus["val_bytes"],
    )


def _build(config: GPTConfig, settings: trainer.Settings) -> GPT:
    import torch

    from llm_nanogpt.gpt_torch import build

    torch.manual_seed(settings.model_seed)
    return build(config, settings.dropout)


def _begin(work: _Work, generation: int, state: trainer.State | None, ranks: Ranks) -> trainer.Training:
    """A model of the run that is about to be trained, or trained on, in all processes."""
    from .init_bigrams import start_from_word_pairs
    from .init_induction import start_with_induction_heads

    (config, settings), corpus = work.generations[generation], work.meta["corpus"]
    kept, at = bool(state and state[0]), state and state[1]
    ranks.share((work.path, config, settings, corpus, at, kept))
    tokens = _open_tokens(work.path, config, corpus)
    model = _build(config, settings)
    if config.arch == "qwen3" and not kept:
        start_from_word_pairs(model, tokens.train)
        start_with_induction_heads(model)
    teacher = trainer.read_teacher(work.path) if generation else None
    write = sampler(work.tokenizer, settings.seed)
    return trainer.Training(model, tokens, settings, work.folder, write, state, ranks, teacher)


def _trained(
    training: trainer.Training, work: _Work, final: Path, run: Run, stop: Stop
) -> Generator[Event, None, str]:
    """Train to the end of a model, and record it; the last sample."""
    busy, sample = False, ""
    for event in training.run(stop):
        if (busy and not isinstance(event, Busy)) or isinstance(event, Speed):
            run.update(note=None)
        if busy := isinstance(event, Busy):
            run.update(note=event.what)
        elif isinstance(event, Step):
            run.step(event)
        elif isinstance(event, Evaluation):
            run.evaluation(event)
            sample = event.sample
            _note_score(work.meta, event)
            _write_meta(work)
            if work.path is work.staging:
                publish(work.staging, final)
                work.path = final
        elif isinstance(event, Note):
            run.update(note=event.text)
        stop.requests = max(stop.requests, run.stop_requested())  # scores may leave no time for a Step
        yield event
    return sample


def _prepare(
    options: Options, source: Corpus, staging: Path, home: Path, device: str, run: Run
) -> Generator[Progress, None, _Work]:
    """Read and tokenize the table, and settle what was left to us."""
    kind = options.tokenizer or "bpe"
    (staging / "training").mkdir(parents=True)
    steps = prepare(
        source,
        staging / "training",
        home,
        tokenizer=kind,
        vocab_size=options.vocab_size,
        seed=options.seed or 0,
        cache=not options.no_cache,
    )
    tokenizer, corpus = yield from _heard(steps, run)
    run.update(note="measuring the speed of this machine")
    why, generations = _resolve(options, corpus["train_tokens"], tokenizer.n_vocab, device)
    config = generations[0][0]
    tokenizer.save(staging, config.block_size)
    meta = {
        "name": options.model_name,
        "source": source.describe(),
        "corpus": corpus,
        "tokenizer": kind,
        "plan": why,
        "options": options.given(),
    }
    return _Work(staging, staging, config, generations, tokenizer, meta)


def _reopen(options: Options, meta: dict[str, Any], folder: Path, staging: Path, device: str) -> _Work:
    """A run to go on with. Its limits and its device may change, its models and its data do not."""
    checkpoint = read_checkpoint(folder)
    changed = {"run_minutes": options.minutes} if options.minutes else {}
    changed |= {"eval_interval": options.eval_interval} if options.eval_interval else {}
    on_device = _on_device(device, options.compile, checkpoint.config.arch)
    told = meta.get("generations") or [{"config": asdict(checkpoint.config), "settings": meta["settings"]}]
    generations = [
        (GPTConfig(**each["config"]), trainer.Settings(**each["settings"] | on_device | changed))
        for each in told
    ]
    *teachers, (config, settings) = generations
    tensors, at = trainer.read_state(folder)
    minutes, steps = options.minutes or settings.minutes, _steps_of_resume(options, meta, at["step"])
    for i, (theirs, s) in enumerate(teachers):  # which may have come to an end of the run
        generations[i] = (
            theirs,
            replace(s, minutes=_nearer(s.minutes, minutes), max_iters=_nearer(s.max_iters, steps)),
        )
    generations[-1] = config, replace(settings, minutes=minutes, max_iters=steps)
    # A kill may have come after the weights were written and before anything else was.
    best = {k: json.loads(checkpoint.weights[k]) for k in ("step", "val_bpb", "val_loss")}
    at["best"] = min(at["best"], best["val_bpb"])
    meta |= {"score": best}
    tokenizer = Tokenizer.load(folder)
    return _Work(folder, staging, checkpoint.config, generations, tokenizer, meta, (tensors, at))


def _nearer(limit: T | None, other: T | None) -> T | None:
    return min((each for each in (limit, other) if each), default=None)


def _first_words(text: str) -> str:
    """Two plain words that a held-out document begins with, to type after `llm -m`."""
    return " ".join(re.findall(r"[^\W\d_]+", text)[:2])[:40] or "The"


def _note_score(meta: dict[str, Any], event: Evaluation) -> None:
    if event.best:
        meta["score"] = {"val_bpb": event.val_bpb, "val_loss": event.val_loss, "step": event.step}
    started = meta.get("training", {}).get("started") or utc_now()
    meta["training"] = {
        "status": "running",
        "started": started,
        "updated": utc_now(),
        "step": event.step,
        "seconds": round(event.seconds, 1),
    }


def _heard(steps: Generator[Progress, None, Any], run: Run) -> Generator[Progress, None, Any]:
    """The work before training, told about as often as training is; it may be told to stop meanwhile. The
    registry hears of each part as it begins, so that whoever waits sees that something happens."""
    told, part = time.monotonic(), None
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if run.stop_requested():
            raise KeyboardInterrupt
        due = time.monotonic() - told >= trainer.REPORT_SECONDS
        if due or progress.what != part:
            part = progress.what
            run.update(note=str(progress))
        if due:
            told = time.monotonic()
            yield progress


def _resolve(o: Options, train_tokens: int, vocab_size: int, device: str) -> tuple[str, list[Generation]]:
    """Fill in what was left to us, and say why. `--arch gpt2` brings nanoGPT's own recipe with it."""
    from .autotune import training_flops

    minutes = o.minutes or (None if o.max_iters else DEFAULT_MINUTES)
    flops, (_, processes) = None, launched()
    settled = o.arch == "gpt2" and size_is_given(o.given())  # where no rate depends on how often it is read
    if minutes and not o.max_iters and not settled:
        flops = training_flops(device, vocab_size, minutes * 60) * processes  # that was this one's
    plan = choose_plan(
        {**o.given(), "max_parameters": o.max_parameters},
        train_tokens,
        vocab_size,
        minutes,
        steps=o.max_iters,
        flops=flops,
        processes=processes,
    )
    plans = [*plan.teachers, plan]
    return plan.why, [(p.config, _settings(o, p, i, minutes, device)) for i, p in enumerate(plans)]


def _settings(
    o: Options, plan: Plan, generation: int, minutes: float | None, device: str
) -> trainer.Settings:
    # nanoGPT's train.py: 2,000 steps of warmup, then constant; weight decay 0.1; random windows.
    recipe: dict[str, Any] = (
        {
            "learning_rate": 6e-4,
            "weight_decay": 0.1,
            "warmup_steps": 2000,
            "decay_share": 0.0,
            "replacement": True,
            "dropout": 0.0,
        }
        if o.arch == "gpt2"
        else {
            "learning_rate": plan.learning_rate,
            "weight_decay": plan.weight_decay,
            "warmup_steps": plan.warmup_steps,
            "decay_share": 0.5,
            "dropout": 0.0,
        }
    )
    if o.learning_rate and o.arch != "gpt2":  # the weights shrink as they would at the rate we choose
        recipe["weight_decay"] *= recipe["learning_rate"] / o.learning_rate
    recipe |= {k: v for k in ("learning_rate", "dropout") if (v := getattr(o, k)) is not None}
    return trainer.Settings(
        batch_size=plan.batch_size,
        seed=o.seed or 0,
        minutes=plan.minutes,
        max_iters=o.max_iters or plan.max_iters,
        eval_interval=o.eval_interval,
        generation=generation,
        share=plan.share,
        run_minutes=minutes,
        **_on_device(device, o.compile, plan.config.arch),
        **recipe,
    )


def _on_device(device: str, compiled: bool | None, arch: str) -> dict[str, Any]:
    """What the device decides. None is for the trainer to measure: nanoGPT's own recipe is left as it is."""
    import torch

    bf16, measured = None, None
    if device.startswith("cuda"):
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.startswith("mps") or arch == "gpt2":
        bf16 = measured = False
    return {"device": device, "compile": measured if compiled is None else compiled, "bf16": bf16}


def _write_meta(work: _Work) -> None:
    names = ("datasette-nanogpt", "torch", "tokenizers", "tiktoken", "numpy")
    generations = [{"config": asdict(config), "settings": asdict(s)} for config, s in work.generations]
    meta = work.meta | {
        "parameters": work.config.parameters,
        "settings": generations[-1]["settings"],
        "generations": generations,
        "versions": {name: version(name) for name in names},
    }
    if (work.path / "config.json").exists():
        write_meta(work.path, meta, model_card(meta))
    else:
        write_model_files(work.path, work.config, work.tokenizer.eot, meta, model_card(meta))


def sampler(tokenizer: Tokenizer, seed: int) -> Callable[[GPT], str]:
    """What writes the sample beside each score: from nothing, always with the same seed."""
    from llm_nanogpt.generate import TorchModel, generate
    from llm_nanogpt.sampler import Sampler

    def sample(model: GPT) -> str:
        new = Sampler(seed=seed)
        return "".join(generate(TorchModel(model), tokenizer, "", max_tokens=SAMPLE_TOKENS, sampler=new))

    return sample
