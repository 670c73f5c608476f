"""From a table to a model folder: check everything, prepare, train, record.

`train_table(TrainOptions(...))` is `datasette nanogpt-train` without the command line: a generator of events.
"""

from __future__ import annotations

import errno
import json
import math
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
from llm_nanogpt.home import nanogpt_home
from llm_nanogpt.locks import hold
from llm_nanogpt.tokenizer import Tokenizer

from ..data.corpus import Corpus, location
from ..data.prepare import TokenizerChoice, link, prepare
from ..data.token_files import open_tokens
from ..events import Busy, Evaluation, Event, Finished, Note, Prepared, Progress, Speed, Step
from ..formatting import utc_now
from ..registry.runs import Run
from . import trainer
from .check import check, max_iters_of_resume
from .distributed import Ranks, joined, leave_signals_to_rank_0
from .flops import work_per_step
from .lr_schedule import Stop
from .model_card import model_card
from .options import TrainOptions
from .plan import STUDENT_DECAY_FACTOR, replan, steps_for_max_epochs
from .recipe import Settings, Stage, device_settings, resolve

if TYPE_CHECKING:
    from llm_nanogpt.gpt_torch import GPT

T = TypeVar("T")
SAMPLE_TOKENS = 80
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def train_table(
    options: TrainOptions, stop: Stop | None = None, queued: int | None = None
) -> Iterator[Event]:
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


def _lead(options: TrainOptions, stop: Stop, queued: int | None, ranks: Ranks) -> Iterator[Event]:
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


@dataclass
class _Work:
    """A run under way: where its files are, and what is known of it."""

    path: Path  # of the model folder: a hidden one beside its place until it has its first weights
    staging: Path  # that hidden one
    config: GPTConfig  # of the weights in `path`
    generations: list[Stage]  # each but the last is the next one's teacher
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
                settings = replace(settings, weight_decay=settings.weight_decay * STUDENT_DECAY_FACTOR)
            rest = [Stage(config, settings)]
        steps = steps_for_max_epochs(tokens, step_tokens)
        for i, (model, s) in enumerate(rest[out:], 1):
            until = s.max_iters and training.step + i * steps
            done.append(Stage(model, replace(s, generation=generation + i, max_iters=until)))
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
    options: TrainOptions,
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
        *(open_tokens(file, config.vocab_size) for file in splits),
        corpus["train_bytes"],
        corpus["val_bytes"],
    )


def _build(config: GPTConfig, settings: Settings) -> GPT:
    import torch

    from llm_nanogpt.gpt_torch import build

    torch.manual_seed(settings.model_seed)
    return build(config, settings.dropout)


def _begin(work: _Work, generation: int, state: trainer.State | None, ranks: Ranks) -> trainer.Training:
    """A model of the run that is about to be trained, or trained on, in all processes."""
    from .init_bigrams import init_from_bigrams
    from .init_induction import init_induction_heads

    (config, settings), corpus = work.generations[generation], work.meta["corpus"]
    kept, at = bool(state and state[0]), state and state[1]
    ranks.share((work.path, config, settings, corpus, at, kept))
    tokens = _open_tokens(work.path, config, corpus)
    model = _build(config, settings)
    if config.arch == "qwen3" and not kept:
        init_from_bigrams(model, tokens.train)
        init_induction_heads(model)
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
    options: TrainOptions, source: Corpus, staging: Path, home: Path, device: str, run: Run
) -> Generator[Progress, None, _Work]:
    """Read and tokenize the table, and settle what was left to us."""
    kind = options.tokenizer or "bpe"
    (staging / "training").mkdir(parents=True)
    steps = prepare(
        source,
        staging / "training",
        home,
        tokenizer=TokenizerChoice(kind, options.vocab_size),
        seed=options.seed or 0,
        cache=not options.no_cache,
    )
    tokenizer, corpus = yield from _heard(steps, run)
    run.update(note="measuring the speed of this machine")
    why, generations = resolve(options, corpus["train_tokens"], tokenizer.n_vocab, device)
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


def _reopen(options: TrainOptions, meta: dict[str, Any], folder: Path, staging: Path, device: str) -> _Work:
    """A run to go on with. Its limits and its device may change, its models and its data do not."""
    checkpoint = read_checkpoint(folder)
    changed = {"run_minutes": options.minutes} if options.minutes else {}
    changed |= {"eval_interval": options.eval_interval} if options.eval_interval else {}
    on_device = device_settings(device, options.compile, checkpoint.config.arch)
    told = meta.get("generations") or [{"config": asdict(checkpoint.config), "settings": meta["settings"]}]
    generations = [
        Stage(GPTConfig(**each["config"]), Settings(**each["settings"] | on_device | changed))
        for each in told
    ]
    *teachers, (config, settings) = generations
    tensors, at = trainer.read_state(folder)
    minutes, steps = options.minutes or settings.minutes, max_iters_of_resume(options, meta, at["step"])
    for i, (theirs, s) in enumerate(teachers):  # which may have come to an end of the run
        generations[i] = Stage(
            theirs,
            replace(s, minutes=_nearer(s.minutes, minutes), max_iters=_nearer(s.max_iters, steps)),
        )
    generations[-1] = Stage(config, replace(settings, minutes=minutes, max_iters=steps))
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
    from llm_nanogpt.generate import generate
    from llm_nanogpt.gpt_torch import TorchModel
    from llm_nanogpt.sampler import Sampler

    def sample(model: GPT) -> str:
        new = Sampler(seed=seed)
        return "".join(generate(TorchModel(model), tokenizer, "", max_tokens=SAMPLE_TOKENS, sampler=new))

    return sample
