"""The training loop: tokens in, events and a model folder out. No click, no Datasette, no SQL."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llm_nanogpt.atomic import write_bytes
from llm_nanogpt.checkpoint import write_weights
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import GPT, build

from ..data.dataloader import DataLoader
from ..events import Busy, Evaluation, Event, Note, Step
from .autotune import autocast, autotune
from .distillation import Repeats
from .distributed import ALONE, TORCHRUN_SECONDS, Ranks
from .flops import estimate_mfu, flops_per_token
from .lr_schedule import ANNEAL_FRACTION, ANNEAL_SECONDS, LRSchedule, Stop
from .optim import configure_optimizers, load_state_tensors, set_lr_scale, state_tensors, use_bf16
from .process import peak_memory
from .recipe import Settings

REPORT_SECONDS = 0.5  # between Step events
STATE_SECONDS = 30.0  # between checkpoints of what a resume needs, from the first score to the last decay
EVALUATIONS = 12  # in a run, where no --eval-interval is given,
EVALUATION_SHARE = 0.05  # and no more of the time than this,
FIRST_EVALUATION_SHARE = 0.5  # but for the first one, which shows that something comes of it
# Weight of its teacher's guesses in what a model learns from, as it begins and at its end; the rest is the
# text's. A pupil soon knows more than a smaller teacher does. Teacher annealing: arxiv.org/abs/1907.04829
PUPIL = (0.9, 0.4)
TURNED = 3  # scores in a row,
TURNED_BY = 1.01  # this many times the best or more: the rest of the run would only learn the text by heart
END, LOSS, EVALUATE = -1.0, -2.0, -3.0  # words to the other processes; any other is a share of the rate
LOGITS = 2**23  # numbers that the logits of one evaluation batch may have: 32 MB in float32


@dataclass(frozen=True)
class Tokens:
    """The two token streams and the bytes of text behind them."""

    train: np.ndarray
    val: np.ndarray
    train_bytes: int
    val_bytes: int


# Tensors by name, and where the run was; no tensors where a new model begins.
State = tuple[dict[str, torch.Tensor], dict[str, Any]]


def bits_per_byte(nats: float, n_bytes: int) -> float:
    return nats / n_bytes / math.log(2)


def evaluate(model: GPT, tokens: np.ndarray, device: str, bf16: bool = False, ranks: Ranks = ALONE) -> float:
    """Total nats of a token stream after its first token, in order, in windows of the block size."""
    nats = sum(nats for _, nats in evaluate_in_parts(model, tokens, device, bf16, ranks))
    return ranks.sum(torch.tensor(nats, dtype=torch.float64)).item()


def evaluate_in_parts(
    model: GPT, tokens: np.ndarray, device: str, bf16: bool, ranks: Ranks
) -> Iterator[tuple[float, float]]:
    """The share of the tokens that is done, and the nats of the last batch of windows, of this process."""
    block = model.config.block_size
    n = len(tokens) - 1
    rows = max(1, LOGITS // (block * model.config.vocab_size))
    for start in range(ranks.rank * rows * block, n, ranks.size * rows * block):
        chunk = tokens[start : start + rows * block + 1].astype(np.int64)
        ids, targets = chunk[:-1], chunk[1:]
        if short := -len(ids) % block:
            ids, targets = np.pad(ids, (0, short)), np.pad(targets, (0, short), constant_values=-100)
        x, y = (torch.from_numpy(a.reshape(-1, block)).to(device) for a in (ids, targets))
        was_training = model.training
        model.eval()
        with torch.inference_mode(), autocast(device, bf16):
            nats = model(x, y, reduction="sum").item()
        model.train(was_training)
        yield (start + len(chunk)) / len(tokens), nats


class Training:
    """A run under way: what learns, where it is, and how long it has taken.

    `folder()` is the model folder at that moment, `folder(config)` one for weights of that shape: it may
    move there, and when an Evaluation is handled. It gets `model.safetensors` (the best weights) and
    `training/state.safetensors` (all that `state`, as `read_state` returns it, needs to go on). With a
    `teacher` the model learns from its guesses as well as from the text.
    """

    def __init__(
        self,
        model: GPT,
        tokens: Tokens,
        settings: Settings,
        folder: Callable[..., Path],
        sample: Callable[[GPT], str] = lambda model: "",
        state: State | None = None,
        ranks: Ranks = ALONE,
        teacher: GPT | None = None,
    ):
        s = self.settings = settings
        self.tokens, self.folder, self.sample = tokens, folder, sample
        self.model = model.to(s.device)
        self.params = [p for p in model.parameters() if p.requires_grad]
        self.optimizers = configure_optimizers(model, s.learning_rate, s.weight_decay)
        self.loader = DataLoader(
            tokens.train, model.config.block_size, s.model_seed, replacement=s.replacement
        )
        self.teacher = teacher.to(s.device).eval() if teacher else None
        self.repeats = Repeats(tokens.train, model.config.block_size) if teacher else None
        self.step, self.evaluated, self.best, spent = 0, -1, math.inf, 0.0
        self.born: tuple[int, float] = (0, 0.0)  # step and seconds at which this model began
        if state:
            spent = self.restore(*state)
        self.lowest = self.best if self.born[0] == 0 else math.inf  # of this model's scores
        self.turned = 0  # scores in a row that were worse than that
        self.began_at, self.began_after = self.step, spent  # what was done before these steps
        self.ranks = ranks
        self.forward: Callable = model
        self.bf16 = False
        self.flops_per_token, self.machine_flops = flops_per_token(model.config), None
        if teacher:
            self.flops_per_token += flops_per_token(teacher.config) // 3  # forward alone

        self.started = time.monotonic() - spent
        self.limit_seconds = s.minutes * 60 if s.minutes else math.inf
        self.by_time = s.minutes is not None
        born_step, born_seconds = self.born
        self.schedule = LRSchedule(
            length=self.limit_seconds - born_seconds if self.by_time else float(s.max_iters - born_step),
            warmup_steps=s.warmup_steps,
            decay_fraction=s.decay_share,
        )
        self.losses = torch.zeros((), device=s.device)  # summed since they were last told: so many,
        self.summed = self.summed_tokens = 0  # over so many tokens
        self.told_tokens, self.told_seconds = 0, 0.0  # over which speed was told so far
        self.train_loss: float | None = None
        self.nats_since_score, self.steps_since_score = 0.0, 0  # the same, summed over so many steps
        self.rate = 0.0  # share of the full learning rate
        self.stopping = False  # as it was asked to: no other model follows

    def run(self, stop: Stop) -> Iterator[Event]:
        """Train the model in place. A request of `stop` runs the rate down, a second one ends it at once.
        Raises NanogptError when the loss is no longer a number."""
        yield from self.tune()
        try:
            yield from self.steps(stop)
        except GeneratorExit:  # nobody listens any more
            self.ranks.word(END)
            raise
        self.ranks.word(END)

    def steps(self, stop: Stop) -> Iterator[Event]:
        self.began_after = self.seconds()
        self.last_report = self.last_state = self.seconds()
        # The first score comes early, so that little is lost if the run dies; after that by its cost. A run
        # of less than a minute has no time for one.
        first = 10.0 if not self.teacher else self.limit_seconds / EVALUATIONS
        self.next_evaluation = self.seconds() + (first if self.limit_seconds >= 60 else math.inf)
        while not self.over():
            if stop.requests >= 2:
                break
            if stop.requests == 1 and not self.stopping:
                self.stopping = True
                yield Note(f"Stopping: {self.anneal()}. Ask once more to stop at once.")
            now = self.now()
            word = self.schedule.get_lr_scale(self.step - self.born[0], now), self.schedule.progress(now)
            self.train_step(*self.ranks.word(*word))
            if self.seconds() - self.last_report >= REPORT_SECONDS:
                yield self.report()
                self.last_report = self.seconds()
            if self.evaluation_due() and not self.schedule.done(self.now()):
                yield from self.evaluate(stop)
                if self.past_its_best and not self.annealing:
                    why = "Held-out text is predicted worse and worse, so this model ends early"
                    yield Note(f"{why}: {self.anneal()}.")
                self.last_report = self.last_state = self.seconds()
            elif self.state_due():
                self.save_state()
                self.last_state = self.seconds()
        if stop.requests >= 2 and self.best < math.inf:
            if not self.annealing:  # a resume goes on from before the early decay, not out of it
                self.save_state()
        elif self.evaluated != self.step:
            yield from self.evaluate(stop)
            if self.evaluated != self.step and not self.annealing:  # stopped at once meanwhile
                self.save_state()

    def follow(self) -> None:
        """What the other processes do: as rank 0 says, step by step."""
        self.set_up(*self.ranks.share())
        while True:
            word, progress = self.ranks.word()
            if word == END:
                break
            elif word == LOSS:
                self.mean_loss()
            elif word == EVALUATE:
                evaluate(*self.validation, self.ranks)
            else:
                self.train_step(word, progress)

    # ---- Speed

    def tune(self) -> Iterator[Event]:
        """Settle how the steps run, in all processes."""
        s = self.settings
        steps = s.max_iters - self.step if s.max_iters else math.inf
        seconds = self.limit_seconds - self.seconds()
        speed, forward = yield from autotune(
            self.model,
            s.device,
            s.batch_size // self.ranks.size,
            s.bf16,
            s.compile,
            seconds,
            steps,
            self.teacher,
        )
        if speed.machine_flops:
            self.machine_flops = speed.machine_flops * self.ranks.size
        self.ranks.share((speed.bf16, speed.compiled))
        self.set_up(speed.bf16, speed.compiled, forward)
        if speed.why:
            yield speed

    def set_up(self, bf16: bool, compiled: bool, forward: Callable | None = None) -> None:
        self.bf16 = bf16
        use_bf16(self.optimizers, bf16)
        self.forward = self.ranks.wrap(self.model)
        if compiled:
            self.forward = (
                forward if forward is not None and self.ranks.size == 1 else torch.compile(self.forward)
            )
        if rank := self.ranks.rank:  # each drops others
            torch.manual_seed(int(torch.randint(2**31, ())) + rank)
        self.model.train()

    def mfu(self, tokens: int, seconds: float) -> float | None:
        return estimate_mfu(tokens * self.flops_per_token, seconds, self.machine_flops)

    @property
    def mean_mfu(self) -> float | None:
        """Of all steps that were told about."""
        return self.mfu(self.told_tokens, self.told_seconds)

    @property
    def mean_speed(self) -> float | None:
        """Tokens a second, the same."""
        return self.told_tokens / self.told_seconds if self.told_seconds else None

    @property
    def begins_taught(self) -> bool:
        """Whether it has a teacher and has learnt nothing yet."""
        return self.teacher is not None and self.step == self.born[0]

    @property
    def epochs(self) -> float:
        """How often this model has read the text."""
        windows = (self.step - self.born[0]) * self.settings.batch_size
        return windows * self.loader.block_size / len(self.tokens.train)

    # ---- Time

    def seconds(self) -> float:
        """Of training so far, over all resumes."""
        return time.monotonic() - self.started

    def now(self) -> float:
        """Since this model began, in the schedule's unit: seconds, or steps where only they are limited. With
        both limits the nearer one counts, told in seconds."""
        steps, seconds = self.step - self.born[0], self.seconds() - self.born[1]
        if not self.by_time:
            return float(steps)
        most = self.settings.max_iters
        return max(seconds, steps / max(most - self.born[0], 1) * self.schedule.length if most else 0.0)

    def over(self) -> bool:
        return self.schedule.done(self.now()) or self.seconds() >= self.limit_seconds

    def pace(self) -> float:
        """Of the schedule's unit in a second."""
        if self.by_time:
            return max(1.0, self.now() / max(self.seconds() - self.born[1], 1e-9))
        return max(self.step - self.began_at, 1) / max(self.seconds() - self.began_after, 1e-9)

    def expected_seconds(self) -> float:
        """How long the run takes until this model is done, by what it took so far."""
        schedule = self.schedule
        end = schedule.stop_at + schedule.stop_length if self.annealing else schedule.length
        left = max(end - self.now(), 0.0) / self.pace()
        return min(self.seconds() + left, max(self.limit_seconds, self.seconds()))

    def expected_run_seconds(self) -> float:
        """The same with the models after this one, if any."""
        s, expected = self.settings, self.expected_seconds()
        if self.stopping:
            return expected
        most = (s.run_minutes or s.minutes or math.inf) * 60
        return max(expected, min(expected / s.share, most))

    def evaluation_due(self) -> bool:
        due = self.seconds() >= self.next_evaluation
        if due and self.best == math.inf:
            due = self.guessed_evaluation_seconds() <= FIRST_EVALUATION_SHARE * self.seconds()
        if interval := self.settings.eval_interval:  # however long it is, a kill must not lose all
            return self.step % interval == 0 or (due and self.best == math.inf)
        return due

    def guessed_evaluation_seconds(self) -> float:
        """By the steps so far, of which forward alone is a third."""
        steps, seconds = self.step - self.began_at, self.seconds() - self.began_after
        tokens = max(steps, 1) * self.settings.batch_size * self.model.config.block_size
        return seconds / tokens * len(self.tokens.val) / 3

    def state_due(self) -> bool:
        """Not before the first weights are kept, and not after the early decay began."""
        kept = self.best < math.inf and not self.annealing
        return kept and self.seconds() - self.last_state >= STATE_SECONDS

    # ---- Learning

    @property
    def annealing(self) -> bool:
        """Whether this model ends early, and its rate runs down."""
        return self.schedule.stop_at is not None

    @property
    def past_its_best(self) -> bool:
        """Whether to end early. Who asked for steps gets them, and nanoGPT's recipe goes on."""
        return self.by_time and bool(self.settings.decay_share) and self.turned >= TURNED

    def anneal(self) -> str:
        """Let the rate run down from now on, if it does not yet; what is left to do, in words."""
        if not self.annealing:
            self.begin_annealing()
        left = self.expected_seconds() - self.seconds()
        return f"{left:.0f} s more while the learning rate runs down, then a last score"

    def begin_annealing(self) -> None:
        self.save_state()
        shortest, longest = ANNEAL_SECONDS
        seconds = min(max(ANNEAL_FRACTION * self.seconds(), shortest), longest)
        if self.ranks.size > 1:
            seconds = min(seconds, TORCHRUN_SECONDS)
        self.schedule.anneal(self.step - self.born[0], self.now(), seconds * self.pace())

    def take(self) -> np.ndarray:
        """(windows, block size + 1) ids, this process's share of them: inputs and, one later, targets."""
        return self.loader.get_batch(self.settings.batch_size)[self.ranks.rank :: self.ranks.size]

    def on_device(self, windows: np.ndarray) -> torch.Tensor:
        batch = torch.from_numpy(windows)
        if not self.settings.device.startswith("cuda"):
            return batch.to(self.settings.device)
        # Copied while the GPU is still at the step before.
        return batch.pin_memory().to(self.settings.device, non_blocking=True)

    def train_step(self, rate: float, progress: float) -> None:
        """One step at that share of the full rate, when so much of this model's training is done."""
        self.rate = rate
        set_lr_scale(self.optimizers, rate)
        windows = self.take()
        batch = self.on_device(windows)
        ids, targets = batch[:, :-1], batch[:, 1:]
        with autocast(self.settings.device, self.bf16):
            if self.teacher:
                guesses = self.repeats.improve(self.teacher.next_token_probs(ids), windows[:, :-1])
                loss, theirs = self.forward(ids, targets, teacher_probs=guesses)
                first, last = PUPIL
                torch.lerp(loss, theirs, first + (last - first) * progress).backward()
            else:
                loss = self.forward(ids, targets)
                loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, self.settings.grad_clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.losses += loss.detach()
        self.summed += 1
        self.summed_tokens += batch[:, 1:].numel() * self.ranks.size
        self.step += 1

    def mean_loss(self) -> float:
        """Nats a token since this was last asked for."""
        loss = self.ranks.sum(self.losses).item() / max(self.summed, 1) / self.ranks.size
        self.losses.zero_()
        self.summed = self.summed_tokens = 0
        return loss

    @property
    def validation(self) -> tuple[GPT, np.ndarray, str, bool]:
        return self.model, self.tokens.val, self.settings.device, self.bf16

    # ---- Telling and keeping

    def report(self) -> Step:
        tokens = self.summed_tokens
        self.note_loss()  # waits for what a GPU has still to do
        seconds, expected = self.seconds(), self.expected_run_seconds()
        elapsed = seconds - self.last_report
        self.told_tokens, self.told_seconds = self.told_tokens + tokens, self.told_seconds + elapsed
        return Step(
            step=self.step,
            train_loss=self.train_loss,
            train_bpb=bits_per_byte(self.train_loss * (len(self.tokens.train) - 1), self.tokens.train_bytes),
            tokens_per_second=tokens / elapsed,
            mfu=self.mfu(tokens, elapsed),
            learning_rate=self.settings.learning_rate * self.rate,
            seconds=seconds,
            progress=min(1.0, seconds / expected),
            eta=max(0.0, expected - seconds),
            memory=peak_memory(),
        )

    def note_loss(self) -> None:
        self.ranks.word(LOSS)
        steps = self.summed
        self.train_loss = self.mean_loss()
        self.nats_since_score += self.train_loss * steps
        self.steps_since_score += steps
        if not math.isfinite(self.train_loss):
            raise NanogptError(
                f"The loss is no longer a number at step {self.step}: "
                f"train with a smaller --learning-rate than {self.settings.learning_rate:g}"
            )

    def validation_nats(self, stop: Stop) -> Generator[Busy, None, float | None]:
        """Of all processes. None if a stop at once came meanwhile and there was a score before."""
        self.ranks.word(EVALUATE)
        if self.ranks.size > 1:  # the others cannot leave off
            return evaluate(*self.validation, self.ranks)
        total, told = 0.0, time.monotonic()
        for share, nats in evaluate_in_parts(*self.validation, self.ranks):
            total += nats
            if time.monotonic() - told >= REPORT_SECONDS:
                yield Busy(f"scoring on held-out text, {share:.0%}")
                told = time.monotonic()
            if stop.requests >= 2 and self.best < math.inf:
                return None
        return total

    def evaluate(self, stop: Stop) -> Iterator[Event]:
        """Score the weights and keep them if they are the best."""
        began = self.seconds()
        if self.summed:
            self.note_loss()
        nats = yield from self.validation_nats(stop)
        if nats is None:
            return
        val_bpb, val_loss = bits_per_byte(nats, self.tokens.val_bytes), nats / (len(self.tokens.val) - 1)
        best = val_bpb < self.best
        self.turned = self.turned + 1 if val_bpb > TURNED_BY * self.lowest else 0
        self.lowest = min(self.lowest, val_bpb)
        if best:
            self.best = val_bpb
            weights = {k: v.float().cpu().numpy() for k, v in self.model.state_dict().items()}
            score = {"step": str(self.step), "val_bpb": repr(val_bpb), "val_loss": repr(val_loss)}
            write_weights(self.folder(self.model.config) / "model.safetensors", weights, score)
        if not self.annealing:
            self.save_state()
        self.model.eval()
        text = self.sample(self.model)
        self.model.train()
        self.evaluated = self.step
        cost = self.seconds() - began
        pause = max(self.expected_seconds() / EVALUATIONS, cost / EVALUATION_SHARE)
        self.next_evaluation = self.seconds() + pause
        steps = self.steps_since_score
        train_loss = self.nats_since_score / steps if steps else None
        self.nats_since_score, self.steps_since_score = 0.0, 0
        yield Evaluation(self.step, val_bpb, val_loss, train_loss, self.seconds(), best, text)

    def save_state(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= state_tensors(self.optimizers) | {"rng": torch.get_rng_state()}
        write_state(self.folder(), tensors, self.at())

    def at(self) -> dict[str, Any]:
        """Where the run is."""
        return {
            "step": self.step,
            "seconds": self.seconds(),
            "best": self.best,
            "position": self.loader.position,
            "generation": self.settings.generation,
            "born": self.born,
        }

    def restore(self, tensors: dict[str, torch.Tensor], at: dict[str, Any]) -> float:
        """Go on from a kept state, or begin a new model there; the seconds trained until then."""
        self.step, self.best, self.loader.position = at["step"], at["best"], at["position"]
        if at.get("generation", 0) == self.settings.generation:
            weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
            self.model.load_state_dict(weights)
            load_state_tensors(self.optimizers, tensors)
            torch.set_rng_state(tensors["rng"])
            self.born = tuple(at.get("born", self.born))
        else:
            self.born = at["step"], at["seconds"]
        return at["seconds"]


def write_state(folder: Path, tensors: dict[str, torch.Tensor], at: dict[str, Any]) -> None:
    """Keep what a resume needs, in one atomic file without pickle."""
    _write(folder, "state", tensors, at)


def read_state(folder: Path) -> State:
    """What `write_state` wrote. Raises NanogptError when it is not there or damaged."""
    return _read(folder, "state")


def write_teacher(folder: Path, model: GPT) -> None:
    """Keep a model for the next one to learn from."""
    _write(folder, "teacher", model.state_dict(), asdict(model.config))


def read_teacher(folder: Path) -> GPT:
    """What `write_teacher` wrote. Raises NanogptError when it is not there or damaged."""
    tensors, config = _read(folder, "teacher")
    teacher = build(GPTConfig(**config))
    teacher.load_state_dict(tensors)
    return teacher


def _write(folder: Path, what: str, tensors: dict[str, torch.Tensor], told: dict[str, Any]) -> None:
    from safetensors.torch import save

    file = folder / "training" / f"{what}.safetensors"
    file.parent.mkdir(exist_ok=True)
    flat = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_bytes(file, save(flat, {"at": json.dumps(told)}))


def _read(folder: Path, what: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    file = folder / "training" / f"{what}.safetensors"
    try:
        with safe_open(file, "pt") as fp:
            return {k: fp.get_tensor(k) for k in fp.keys()}, json.loads(fp.metadata()["at"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as ex:
        raise NanogptError(
            f"{folder.name} cannot be resumed, {file.name} is missing or damaged: train it anew with --force"
        ) from ex
