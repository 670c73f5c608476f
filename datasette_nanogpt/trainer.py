"""The training loop: tokens in, events and a model folder out. No click, no Datasette, no SQL."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Threads that wait must soon sleep: by default they spin, and with any other program at work on the same
# cores a step then takes 8 times as long (benchmarks/LOG.md). Read once, when torch loads OpenMP.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
import torch  # noqa: E402

from llm_nanogpt.checkpoint import write_bytes, write_weights
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import GPT

from .dataset import Windows
from .optim import load_state_tensors, make_optimizers, set_rate, state_tensors
from .schedule import ANNEAL_SECONDS, ANNEAL_SHARE, Schedule, Stop

REPORT_SECONDS = 0.5  # between Step events
STATE_SECONDS = 30.0  # between checkpoints of what a resume needs: the most a kill can lose
EVALUATIONS = 12  # in a run, where no --eval-interval is given,
EVALUATION_SHARE = 0.05  # and no more of the time than this
LOGITS = 2**23  # numbers that the logits of one evaluation batch may have: 32 MB in float32


@dataclass(frozen=True)
class Settings:
    """How to train. Exactly one of `minutes` and `max_iters` limits the run, or both."""

    batch_size: int  # windows of block_size tokens a step
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    decay_share: float
    dropout: float
    seed: int
    device: str
    compile: bool
    bf16: bool
    minutes: float | None = None
    max_iters: int | None = None
    eval_interval: int | None = None  # steps; None: EVALUATIONS of them
    grad_clip: float = 1.0
    replacement: bool = False  # draw windows at random, as nanoGPT does


@dataclass(frozen=True)
class Tokens:
    """The two token streams and the bytes of text behind them."""

    train: np.ndarray
    val: np.ndarray
    train_bytes: int
    val_bytes: int


@dataclass(frozen=True)
class Step:
    """Where the run is, about twice a second."""

    step: int
    train_loss: float  # nats a token, mean since the last Step
    train_bpb: float  # the same in bits per byte
    tokens_per_second: float
    learning_rate: float
    seconds: float  # of training so far, over all resumes
    progress: float  # 0 to 1
    eta: float  # seconds
    memory: int | None  # bytes, see `peak_memory`


@dataclass(frozen=True)
class Evaluation:
    """The score of the weights after `step` on the whole validation split."""

    step: int
    val_bpb: float
    val_loss: float  # nats a token
    train_loss: float
    seconds: float
    best: bool
    sample: str


@dataclass(frozen=True)
class Note:
    text: str


Event = Step | Evaluation | Note


def bits_per_byte(nats: float, n_bytes: int) -> float:
    return nats / n_bytes / math.log(2)


@torch.inference_mode()
def evaluate(model: GPT, tokens: np.ndarray, device: str, bf16: bool = False) -> float:
    """Total nats of a token stream after its first token, in order, in windows of the block size."""
    block = model.config.block_size
    n = len(tokens) - 1
    rows = max(1, LOGITS // (block * model.config.vocab_size))
    was_training = model.training
    model.eval()
    total = 0.0
    for start in range(0, n, rows * block):
        chunk = tokens[start : start + rows * block + 1].astype(np.int64)
        ids, targets = chunk[:-1], chunk[1:]
        if short := -len(ids) % block:
            ids, targets = np.pad(ids, (0, short)), np.pad(targets, (0, short), constant_values=-100)
        x, y = (torch.from_numpy(a.reshape(-1, block)).to(device) for a in (ids, targets))
        with autocast(device, bf16):
            total += model(x, y, reduction="sum").item()
    model.train(was_training)
    return total


def peak_memory() -> int | None:
    """The most memory that this process has held at once, in bytes. None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # everyone but macOS counts in KiB


def autocast(device: str, bf16: bool):
    return torch.autocast(device.partition(":")[0], torch.bfloat16) if bf16 else nullcontext()


def train(
    model: GPT,
    tokens: Tokens,
    settings: Settings,
    folder: Callable[[], Path],
    stop: Stop,
    sample: Callable[[GPT], str] = lambda model: "",
    state: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None,
) -> Iterator[Event]:
    """Train `model` in place, yielding events. The first request of `stop` anneals, the second ends it.

    `folder()` is the model folder at that moment: it may move when an Evaluation is handled. It gets
    `model.safetensors` (the best weights) and `training/state.safetensors` (all that `state`, as
    `read_state` returns it, needs to go on). Raises NanogptError when the loss is no longer a number.
    """
    device = settings.device
    model.to(device)
    optimizers = make_optimizers(model, settings.learning_rate, settings.weight_decay)
    windows = Windows(tokens.train, model.config.block_size, settings.seed, replacement=settings.replacement)
    step, spent, best = 0, 0.0, math.inf
    if state:
        tensors, at = state
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k[:6] == "model."})
        load_state_tensors(optimizers, tensors)
        torch.set_rng_state(tensors["rng"])
        step, spent, best, windows.position = at["step"], at["seconds"], at["best"], at["position"]
    forward = torch.compile(model) if settings.compile else model
    params = [p for p in model.parameters() if p.requires_grad]
    batch_tokens = settings.batch_size * model.config.block_size
    tokens_to_bits = (len(tokens.train) - 1) / tokens.train_bytes / math.log(2)

    started = time.monotonic() - spent

    def seconds() -> float:
        return time.monotonic() - started

    limit_seconds = settings.minutes * 60 if settings.minutes else math.inf
    by_time = settings.max_iters is None
    schedule = Schedule(
        length=limit_seconds if by_time else float(settings.max_iters),
        warmup_steps=settings.warmup_steps,
        decay_share=settings.decay_share,
    )

    def now() -> float:
        """In the schedule's unit."""
        return seconds() if by_time else float(step)

    def save_state() -> None:
        write_state(
            folder(),
            {f"model.{k}": v for k, v in model.state_dict().items()}
            | state_tensors(optimizers)
            | {"rng": torch.get_rng_state()},
            {"step": step, "seconds": seconds(), "best": best, "position": windows.position},
        )

    def evaluation() -> Evaluation:
        nonlocal best, next_evaluation, last_evaluated, train_loss
        began = seconds()
        if summed:
            train_loss = total.item() / summed
        nats = evaluate(model, tokens.val, device, settings.bf16)
        val_bpb, val_loss = bits_per_byte(nats, tokens.val_bytes), nats / (len(tokens.val) - 1)
        is_best = val_bpb < best
        if is_best:
            best = val_bpb
            weights = {k: v.float().cpu().numpy() for k, v in model.state_dict().items()}
            score = {"step": str(step), "val_bpb": repr(val_bpb), "val_loss": repr(val_loss)}
            write_weights(folder() / "model.safetensors", weights, score)
        if schedule.stop_at is None:  # a resume goes on from before the early decay, not after it
            save_state()
        model.eval()
        text = sample(model)
        model.train()
        cost = seconds() - began
        next_evaluation = seconds() + max(expected_seconds() / EVALUATIONS, cost / EVALUATION_SHARE)
        last_evaluated = step
        return Evaluation(step, val_bpb, nats / (len(tokens.val) - 1), train_loss, seconds(), is_best, text)

    def expected_seconds() -> float:
        """How long the whole run takes, by what it took so far."""
        if schedule.done(now()):
            return seconds()
        if schedule.stop_at is not None:
            left = schedule.stop_at + schedule.stop_length - now()
        else:
            left = schedule.length - now()
        if not by_time:
            left *= (seconds() - spent) / max(step - first_step, 1)
        return min(seconds() + left, max(limit_seconds, seconds()))

    first_step, last_evaluated = step, -1
    total = torch.zeros((), device=device)
    summed, train_loss = 0, math.nan
    last_report = last_state = seconds()
    # The first score comes early, so that little is lost if the run dies; after that by its cost. A run
    # of less than a minute has no time for one.
    next_evaluation = seconds() + (10.0 if limit_seconds >= 60 else math.inf)
    model.train()

    while not schedule.done(now()) and seconds() < limit_seconds:
        if stop.requests >= 2:
            break
        if stop.requests == 1 and schedule.stop_at is None:
            save_state()
            shortest, longest = ANNEAL_SECONDS
            anneal_seconds = min(max(ANNEAL_SHARE * seconds(), shortest), longest)
            step_seconds = (seconds() - spent) / max(step - first_step, 1)
            schedule.anneal(step, now(), anneal_seconds if by_time else anneal_seconds / step_seconds)
            left = expected_seconds() - seconds()
            yield Note(
                f"Stopping: {left:.0f} s more while the learning rate runs down, then a last score. "
                "Ask once more to stop at once."
            )

        share = schedule.share(step, now())
        set_rate(optimizers, share)
        batch = torch.from_numpy(windows.take(settings.batch_size)).to(device, non_blocking=True)
        with autocast(device, settings.bf16):
            loss = forward(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, settings.grad_clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        total += loss.detach()
        summed += 1
        step += 1

        if seconds() - last_report >= REPORT_SECONDS:
            train_loss = total.item() / summed
            if not math.isfinite(train_loss):
                raise NanogptError(
                    f"The loss is no longer a number at step {step}: "
                    f"train with a smaller --learning-rate than {settings.learning_rate:g}"
                )
            elapsed = seconds() - last_report
            yield Step(
                step,
                train_loss,
                train_loss * tokens_to_bits,
                summed * batch_tokens / elapsed,
                settings.learning_rate * share,
                seconds(),
                min(1.0, seconds() / expected_seconds()),
                max(0.0, expected_seconds() - seconds()),
                peak_memory(),
            )
            total.zero_()
            summed, last_report = 0, seconds()
        interval = settings.eval_interval
        due = step % interval == 0 if interval else seconds() >= next_evaluation
        if due and not schedule.done(now()):
            yield evaluation()
            last_report = last_state = seconds()
        elif seconds() - last_state >= STATE_SECONDS and best < math.inf and schedule.stop_at is None:
            save_state()
            last_state = seconds()

    if stop.requests >= 2 and best < math.inf:
        save_state()
    elif last_evaluated != step:
        yield evaluation()


def write_state(folder: Path, tensors: dict[str, torch.Tensor], at: dict[str, Any]) -> None:
    """Keep what a resume needs, in one atomic file without pickle."""
    from safetensors.torch import save

    file = folder / "training" / "state.safetensors"
    file.parent.mkdir(exist_ok=True)
    flat = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_bytes(file, save(flat, {"at": json.dumps(at)}))


def read_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `write_state` wrote. Raises NanogptError when it is not there or damaged."""
    from safetensors import SafetensorError, safe_open

    file = folder / "training" / "state.safetensors"
    try:
        with safe_open(file, "pt") as fp:
            return {k: fp.get_tensor(k) for k in fp.keys()}, json.loads(fp.metadata()["at"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as ex:
        raise NanogptError(
            f"{folder.name} cannot be resumed, {file.name} is missing or damaged: train it anew with --force"
        ) from ex
