"""From a table to a model folder: check everything, prepare, train, record.

`train_table(Options(...))` is `datasette nanogpt-train` without the command line: a generator of events.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.checkpoint import (
    GPTConfig,
    nanogpt_home,
    publish,
    read_checkpoint,
    recover,
    valid_name,
    write_meta,
    write_model_files,
)
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.tokenizer import Tokenizer, gpt2

from . import dataset, trainer
from .card import model_card
from .plan import DEFAULT_MINUTES, choose_plan
from .prepare import prepare
from .runs import Run, utc_now
from .schedule import Stop
from .source import Corpus, Progress, location, open_corpus

if TYPE_CHECKING:
    from llm_nanogpt.gpt_torch import GPT

SAMPLE_TOKENS = 80


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

    @property
    def model_name(self) -> str:
        return self.name or "nanogpt-" + Path(self.database).stem

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.table,) if isinstance(self.table, str) else tuple(self.table)

    def given(self) -> dict[str, Any]:
        """The options that are not left to us, but for the token: this is written to disk."""
        return {k: v for k, v in asdict(self).items() if v not in (None, (), False) and k != "token"}


@dataclass(frozen=True)
class Prepared:
    """What a run is about to do."""

    name: str
    folder: str
    source: dict[str, Any]
    corpus: dict[str, Any]
    config: GPTConfig
    settings: trainer.Settings
    tokenizer: str
    device_reason: str
    resumed_from: int | None  # step


@dataclass(frozen=True)
class Finished:
    """How a run ended: `status` is finished or stopped."""

    status: str
    name: str
    folder: str
    step: int
    seconds: float
    val_bpb: float
    val_loss: float
    best_step: int
    sample: str


Event = Progress | Prepared | trainer.Event | Finished


def train_table(options: Options, stop: Stop | None = None) -> Iterator[Event]:
    """Train a GPT on a table. Yields Progress, Prepared once, the trainer's events, then Finished.

    Everything that can be wrong with the options is found before any work starts, and told at once in
    one NanogptError, a line each. A run that fails or is killed leaves a model folder that loads, or none.
    """
    stop = stop or Stop()
    source, settings = check(options)
    home, name = nanogpt_home(), options.model_name
    with _lock(home, name):
        recover(home / name)
        tables = options.sql or ", ".join(options.tables)
        run = Run(home, name, location(options.database), tables, options.given())
        try:
            status = yield from _train(options, source, settings, home / name, run, stop)
        except BaseException as ex:
            asked = isinstance(ex, (KeyboardInterrupt, GeneratorExit))
            run.end("stopped" if asked else "failed", None if asked else str(ex))
            raise
        run.end(status)


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
    refuse(not valid_name(o.model_name), f"{o.model_name!r} is no name for a model: set one with --name")
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
    refuse(o.force and o.resume, "--force starts anew and --resume goes on: give one of them")
    from llm_nanogpt.device import choose_device

    attempt(choose_device, o.device)
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
    if fixed := options.given().keys() - free:
        flags = ", ".join("--" + o.replace("_", "-") for o in sorted(fixed))
        raise NanogptError(f"A resumed run keeps its settings: leave out {flags}, or start anew with --force")
    theirs = meta["source"]
    named = options.sql or ", ".join(options.tables)
    if theirs["database"] != location(options.database) or theirs["table"].lower() != named.lower():
        raise NanogptError(
            f"{folder.name} is of {theirs['table']} in {theirs['database']}: name that, or --name"
        )
    _, at = trainer.read_state(folder)
    minutes = options.minutes or meta["settings"]["minutes"]
    iters = options.max_iters or meta["settings"]["max_iters"]
    done_by_time = minutes is not None and at["seconds"] >= minutes * 60
    if done_by_time or (iters is not None and at["step"] >= iters):
        raise NanogptError(
            f"{folder.name} has trained for {at['seconds'] / 60:.1f} minutes and {at['step']:,} steps: "
            "give a larger --minutes or --max-iters to go on"
        )
    return meta


@contextmanager
def _lock(home: Path, name: str) -> Iterator[None]:
    """One run a model. The system drops the lock when the process dies, however it dies."""
    from filelock import FileLock, Timeout

    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f".{name}.lock")
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise NanogptError(
            f"{name} is being trained by another process: wait for it, or set --name"
        ) from None


def _train(
    options: Options, source: Corpus | None, old: dict[str, Any], final: Path, run: Run, stop: Stop
) -> Iterator[Event]:
    import torch

    from llm_nanogpt.device import choose_device
    from llm_nanogpt.gpt_torch import build

    from .word_pairs import start_from_word_pairs

    device, device_reason = choose_device(options.device)
    staging = final.with_name(f".{final.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    path, state = (final, trainer.read_state(final)) if options.resume else (staging, None)
    try:
        if options.resume:
            tokenizer = Tokenizer.load(final)
            config = read_checkpoint(final).config
            changes = {k: v for k in ("minutes", "max_iters", "eval_interval") if (v := getattr(options, k))}
            settings = replace(
                trainer.Settings(**old["settings"]), device=device, compile=bool(options.compile), **changes
            )
            meta = old
        else:
            (staging / "training").mkdir(parents=True)
            steps = prepare(
                source,
                staging / "training",
                tokenizer=options.tokenizer or "bpe",
                vocab_size=options.vocab_size,
                seed=options.seed or 0,
                home=None if options.no_cache else final.parent,
            )
            tokenizer, corpus = yield from _heard(steps, run)
            config, settings = _resolve(options, corpus["bytes"], tokenizer.n_vocab, device)
            meta = {
                "name": final.name,
                "source": source.describe(),
                "corpus": corpus,
                "tokenizer": options.tokenizer or "bpe",
                "parameters": config.parameters,
                "options": options.given(),
                "settings": asdict(settings),
            }
            tokenizer.save(staging, config.block_size)
        corpus = meta["corpus"]
        tokens = trainer.Tokens(
            *(
                dataset.open_tokens(path / "training" / f"{split}.bin", tokenizer.n_vocab)
                for split in ("train", "val")
            ),
            corpus["train_bytes"],
            corpus["val_bytes"],
        )
        meta["settings"] = asdict(settings)
        torch.manual_seed(settings.seed)
        model = build(config, settings.dropout)
        if config.arch == "qwen3" and not state:
            start_from_word_pairs(model, tokens.train)
        prepared = Prepared(
            final.name,
            str(final),
            meta["source"],
            corpus,
            config,
            settings,
            meta["tokenizer"],
            device_reason,
            state[1]["step"] if state else None,
        )
        run.update(status="running", plan=json.dumps(asdict(prepared)))
        yield prepared

        started = utc_now()
        last_step = last_evaluation = None
        events = trainer.train(
            model, tokens, settings, lambda: path, stop, sampler(tokenizer, settings.seed), state
        )
        for event in events:
            if isinstance(event, trainer.Step):
                last_step = event
                run.metric(
                    step=event.step,
                    seconds=event.seconds,
                    train_loss=event.train_loss,
                    train_bpb=event.train_bpb,
                    learning_rate=event.learning_rate,
                    tokens_per_second=event.tokens_per_second,
                )
            elif isinstance(event, trainer.Evaluation):
                last_evaluation = event
                run.metric(
                    step=event.step, seconds=event.seconds, val_loss=event.val_loss, val_bpb=event.val_bpb
                )
                run.sample(step=event.step, val_bpb=event.val_bpb, text=event.sample)
                if event.best:
                    meta["score"] = {"val_bpb": event.val_bpb, "val_loss": event.val_loss, "step": event.step}
                meta["training"] = {
                    "status": "running",
                    "started": started,
                    "updated": utc_now(),
                    "step": event.step,
                    "seconds": round(event.seconds, 1),
                    "tokens_per_second": last_step and round(last_step.tokens_per_second),
                }
                _write_meta(path, config, tokenizer, meta)
                if path is staging:
                    publish(staging, final)
                    path = final
            if last_step:
                asked = run.beat(
                    step=last_step.step,
                    progress=last_step.progress,
                    eta=last_step.eta,
                    tokens_per_second=last_step.tokens_per_second,
                    val_bpb=meta.get("score", {}).get("val_bpb"),
                )
                stop.requests = max(stop.requests, asked)
            yield event

        status = "stopped" if stop.requests else "finished"
        meta["training"]["status"] = status
        _write_meta(path, config, tokenizer, meta)
        run.update(step=last_evaluation.step, val_bpb=meta["score"]["val_bpb"], progress=1.0, eta=0.0)
        best = meta["score"]
        yield Finished(
            status,
            final.name,
            str(final),
            meta["training"]["step"],
            meta["training"]["seconds"],
            best["val_bpb"],
            best["val_loss"],
            best["step"],
            last_evaluation.sample,
        )
        return status
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _heard(steps: Generator[Progress, None, Any], run: Run) -> Generator[Progress, None, Any]:
    """The work before training, told about as often as training is; it may be told to stop meanwhile."""
    told = time.monotonic()
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if run.beat():
            raise KeyboardInterrupt
        if time.monotonic() - told >= trainer.REPORT_SECONDS:
            told = time.monotonic()
            yield progress


def _resolve(
    o: Options, corpus_bytes: int, vocab_size: int, device: str
) -> tuple[GPTConfig, trainer.Settings]:
    """Fill in what was left to us. `--arch gpt2` brings nanoGPT's own recipe with it."""
    # nanoGPT's train.py: 2,000 steps of warmup, then constant; weight decay 0.1; random windows.
    recipe: dict[str, Any] = (
        {
            "learning_rate": 6e-4,
            "weight_decay": 0.1,
            "warmup_steps": 2000,
            "decay_share": 0.0,
            "replacement": True,
        }
        if o.arch == "gpt2"
        else {"learning_rate": 0.02, "weight_decay": 0.0, "warmup_steps": 20, "decay_share": 0.5}
    )
    minutes = o.minutes or (None if o.max_iters else DEFAULT_MINUTES)
    plan = choose_plan(corpus_bytes, minutes or DEFAULT_MINUTES)
    n_embd = o.n_embd or (plan.n_embd if not o.n_head else 64 * o.n_head)
    config = GPTConfig(
        vocab_size=vocab_size,
        block_size=o.block_size or plan.block_size,
        n_layer=o.n_layer or plan.n_layer,
        n_head=o.n_head or (plan.n_head if n_embd == plan.n_embd else max(1, n_embd // 64)),
        n_embd=n_embd,
        arch=o.arch or "qwen3",
        tied=o.arch == "gpt2",
        norm_eps=1e-5 if o.arch == "gpt2" else 1e-6,
    )
    if o.learning_rate:
        recipe["learning_rate"] = o.learning_rate
    settings = trainer.Settings(
        batch_size=o.batch_size or plan.batch_size,
        dropout=o.dropout or 0.0,
        seed=o.seed or 0,
        device=device,
        compile=o.compile if o.compile is not None else device.startswith("cuda"),
        bf16=device.startswith("cuda"),
        minutes=minutes,
        max_iters=o.max_iters,
        eval_interval=o.eval_interval,
        **recipe,
    )
    return config, settings


def _write_meta(path: Path, config: GPTConfig, tokenizer: Tokenizer, meta: dict[str, Any]) -> None:
    names = ("datasette-nanogpt", "torch", "tokenizers", "tiktoken", "numpy")
    meta["versions"] = {name: version(name) for name in names}
    if (path / "config.json").exists():
        write_meta(path, meta, model_card(meta))
    else:
        write_model_files(path, config, tokenizer.eot, meta, model_card(meta))


def sampler(tokenizer: Tokenizer, seed: int) -> Callable[[GPT], str]:
    """What writes the sample beside each score: from nothing, always with the same seed."""
    from llm_nanogpt.generate import TorchModel, generate
    from llm_nanogpt.sampler import Sampler

    def sample(model: GPT) -> str:
        new = Sampler(seed=seed)
        return "".join(generate(TorchModel(model), tokenizer, "", max_tokens=SAMPLE_TOKENS, sampler=new))

    return sample
