"""Finds the fastest way to run training steps on this machine: precision and compiling, by trials."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import GPT, build

from ..events import Busy, Note, Speed
from ..registry.run_log import log
from .flops import flops_per_token
from .measure import (
    SHORT_SECONDS,
    bf16_may_pay,
    product_speed,
    trial,
    trial_batch,
    trial_windows,
)
from .on_device import kept_random_state
from .optim import configure_optimizers
from .trial_memory import TrialMemory, TrialResults, today

# Only what takes at most this fraction of the time counts as faster: a smaller difference may be chance.
CLEARLY = 0.9
# Seconds until a compiled model runs, and how much faster its steps are then: on two cores torch.compile
# took 20 to 35 s, for bfloat16 steps 1.0 to 1.4 times as fast (LOG.md, "Steps" and "Ten minutes by default");
# on an H200 15 to 20 s, for 1.4 times with 1,024 tokens in a step, 2.1 times with 32,768 ("On an H200").
COMPILE_SECONDS, COMPILE_GAIN = 30.0, 1.2
COMPILE_SECONDS_ON_CUDA, COMPILE_GAIN_ON_CUDA = 20.0, 1.4
COMPILE_MIN_GAIN = 1.1  # over a whole run, compiling included: with less it is not worth the wait
COMPILERS = ("g++", "clang++", "c++")
# Relative differences of two losses in float32, and of two gradients. Those of a matrix that is small among
# all gradients are relative to this fraction of all of them.
MPS_TOLERANCE, MPS_GRADIENT_TOLERANCE, MPS_SMALL = 1e-3, 1e-2, 1e-3
# Matrix products that sum over this many numbers or more can be wrong on Apple's M1 and M2 with torch 2.7 to
# 2.13 (github.com/pytorch/pytorch, issues 193487 and 195163). Gradients are sums over the tokens of a step,
# and over the vocabulary.
MPS_LONGEST = 32_767

Forward = Callable[..., Tensor]


@dataclass(frozen=True)
class TuningTask:
    """The steps that this process will run, and what was set by hand."""

    device: str
    batch_size: int  # windows in a step
    bf16: bool | None  # None: to be tried
    compile: bool | None  # None: to be tried
    seconds: float  # until the run ends; inf: no limit
    steps: float  # until the run ends; inf: no limit
    compile_later: bool = False  # a trial of compiling waits until the caller asks for it
    is_student: bool = False  # which learns from a teacher's probabilities, too


class Autotuner:
    """Chooses how to run the steps of `model`, by trials or by the results of earlier ones in `memory`.

    compiled         the compiled model, or None if the model is used as it is
    compile_pending  whether `try_compiling` must still be called

    The trials take a second or two, compiling half a minute. Neither changes the model or its random numbers.
    """

    def __init__(
        self,
        model: GPT,
        task: TuningTask,
        memory: TrialMemory | None = None,
    ):
        self.task = task
        self.model, self.memory = model, memory
        self.known = memory.recall() if memory else TrialResults(today())
        self.bf16, self.compile_pending = bool(task.bf16), False
        self.compiled: Forward | None = None
        self.step_seconds = self.known.step_seconds  # of a trial step, as it would run
        self.machine_flops: float | None = None  # FLOP/s in matrix products

    def tune(self) -> Generator[Busy | Note, None, Speed]:
        """Choose precision and compiling, and try compiling if that is chosen and not to come later."""
        task = self.task
        reasons: list[str] = []
        with kept_random_state(task.device):
            if task.device.startswith("mps"):
                yield from map(Note, mps_warnings(self.model, self._batch(), task.batch_size))
            if task.seconds >= SHORT_SECONDS and self.step_seconds is None:
                yield Busy("trying what runs fastest here")
                if task.steps < math.inf or None in (task.bf16, task.compile):
                    self.step_seconds = self._time_step(self.bf16)
            chosen = task.compile
            if self._run_seconds() >= SHORT_SECONDS:
                self.machine_flops = self._measure_machine()
                reasons += self._choose_precision() if task.bf16 is None else []
                if chosen is None:
                    why_not = self._compiling_does_not_repay()
                    chosen = why_not is None
                    reasons += [f"not compiled: {why_not}"] if why_not else []
            self._clean_up()
        if chosen and task.compile is None and task.compile_later:
            self.compile_pending = True
        elif chosen:
            reasons += [(yield from self._compile())]
        return self._speed(reasons)

    def try_compiling(self) -> Generator[Busy | Note, None, Speed]:
        """Try compiling, which `tune` left for later."""
        self.compile_pending = False
        return self._speed([(yield from self._compile())])

    def _speed(self, reasons: list[str]) -> Speed:
        if self.memory and self.known != TrialResults(self.known.day):
            self.memory.remember(self.known)
        flops = flops_per_token(self.model.config)
        return Speed(self.bf16, self.compiled is not None, flops, self.machine_flops, "; ".join(reasons))

    # ---- Trials

    def _batch(self) -> Tensor:
        """(windows, block size + 1) random ids."""
        return trial_batch(self.model.config, self.task.batch_size, self.task.device)

    def _time_step(self, bf16: bool, forward: Forward | None = None) -> float:
        """How many seconds a step takes; its learning rate is 0, so it changes nothing."""
        optimizers = configure_optimizers(self.model, learning_rate=0.0, weight_decay=0.0)
        # A compiled module has no truth value: `forward or self.model` raises.
        forward = self.model if forward is None else forward
        return trial(forward, self._batch(), bf16, optimizers, self.task.is_student)

    def _clean_up(self) -> None:
        self.model.zero_grad(set_to_none=True)

    def _found(self, **results: Any) -> None:
        """Note what a trial found today."""
        self.known = replace(self.known, day=today(), **results)

    def _run_seconds(self) -> float:
        """How many seconds the run will take, as far as that is known; inf if nothing limits it."""
        task = self.task
        if self.step_seconds is None:
            return min(task.seconds, math.inf)
        windows = trial_windows(self.model.config, task.batch_size, task.device)
        return min(task.seconds, task.steps * self.step_seconds * task.batch_size / windows)

    def _measure_machine(self) -> float:
        """The highest FLOP/s in matrix products, now or in earlier trials: other programs lower it."""
        flops = max(product_speed(self.task.device, self.bf16), self.known.machine_flops or 0.0)
        self.known = replace(self.known, machine_flops=flops)
        return flops

    # ---- Precision

    def _choose_precision(self) -> list[str]:
        """Sets `bf16`; returns why."""
        if self.known.bf16 is not None:
            self.bf16 = self.known.bf16
            return [f"{self.known.bf16_reason}, {self.known.when}"]
        reason = "float32: matrix products in bfloat16 are no faster here"
        if bf16_may_pay(self.task.device):
            assert self.step_seconds is not None  # noqa: S101  # as bf16 is to be tried, a step was timed
            self.bf16, self.step_seconds, reason = try_bf16(self._time_step, self.step_seconds)
        self._found(bf16=self.bf16, bf16_reason=reason, step_seconds=self.step_seconds)
        return [reason]

    # ---- Compiling

    def _compiling_does_not_repay(self) -> str | None:
        """Why compiling would not pay off in a run of this length; None if it may."""
        if not any(map(shutil.which, COMPILERS)):
            return "there is no C++ compiler"
        known, seconds = self.known, self._run_seconds()
        if known.compile_gain is None or known.compile_seconds is None:
            compile_seconds, gain = COMPILE_SECONDS, COMPILE_GAIN
            if self.task.device.startswith("cuda"):
                compile_seconds, gain = COMPILE_SECONDS_ON_CUDA, COMPILE_GAIN_ON_CUDA
            if compiling_repays(seconds, compile_seconds, gain):
                return None
            return f"the run is too short to make up for about {compile_seconds:.0f} s of compiling"
        if known.compile_gain > 1 / CLEARLY and compiling_repays(
            seconds, known.compile_seconds, known.compile_gain
        ):
            return None
        return f"{_speedup(known.compile_gain)} after {known.compile_seconds:.0f} s, {known.when}"

    def _compile(self) -> Generator[Note, None, str]:
        """Compile the model. Keep the result if it was faster in an earlier run, if it is faster now than
        `step_seconds`, or if that is not known. Returns what came of it, in words."""
        known = self.known
        last_time = f", which took {known.compile_seconds:.0f} s on {known.day}" if known.compile_gain else ""
        yield Note(f"Compiling the model{last_time}.")
        started = time.perf_counter()
        try:
            with kept_random_state(self.task.device):
                compiled = torch.compile(self.model)
                step_seconds = self._time_step(self.bf16, compiled)
        except Exception as ex:  # all kinds: of a compiler, a driver or a header that is missing
            torch.compiler.reset()  # not remembered, as the next run may find what was missing
            log.exception("Compiling failed")
            return f"not compiled: it failed ({type(ex).__name__})"
        finally:
            self._clean_up()
        seconds = time.perf_counter() - started
        took = f"compiled in {seconds:.0f} s"
        if known.compile_gain:
            self.compiled = compiled
            return f"{took}: {_speedup(known.compile_gain)}, {known.when}"
        if self.step_seconds is None:
            self.compiled = compiled
            return took
        times = self.step_seconds / step_seconds
        self._found(compile_gain=times, compile_seconds=seconds, step_seconds=self.step_seconds)
        if step_seconds < CLEARLY * self.step_seconds:
            self.compiled = compiled
            return f"{took}: {_speedup(times)}"
        torch.compiler.reset()
        return f"not compiled: {_speedup(times)} in a trial"


def _speedup(times: float) -> str:
    number = f"{times:.1f}"
    return "as fast" if number == "1.0" else f"{number} times as fast"


def try_bf16(step: Callable[[bool], float], float32_seconds: float) -> tuple[bool, float, str]:
    """Whether bfloat16 is faster, the seconds of a trial step with what was chosen, and why."""
    seconds = step(True)
    if seconds >= CLEARLY * float32_seconds:  # a moment in which the machine is busy would slow the whole run
        seconds = min(seconds, step(True))
    times = float32_seconds / seconds
    if seconds < CLEARLY * float32_seconds:
        return True, seconds, f"bfloat16: {_speedup(times)} as float32 in a trial"
    return False, float32_seconds, f"float32: bfloat16 was {_speedup(times)} in a trial"


def compiling_repays(run_seconds: float, compile_seconds: float, gain: float) -> bool:
    """Whether compiled steps, `gain` times as fast, make up for the time that compiling takes."""
    return (run_seconds - compile_seconds) * gain >= COMPILE_MIN_GAIN * run_seconds


def mps_warnings(model: GPT, batch: Tensor, batch_size: int) -> Iterator[str]:
    """Why results may be wrong on an Apple GPU: in steps of `batch_size` windows, or because the first loss
    or its gradients on `batch`, (windows, block size + 1), are not those of the CPU. Leaves no gradients."""
    longest = max(model.config.vocab_size, batch_size * model.config.block_size)
    if longest >= MPS_LONGEST:
        yield (
            f"torch may compute sums of {longest:,} products wrongly on mps: use fewer than {MPS_LONGEST:,} "
            "tokens in a step and in the vocabulary, or train with --device cpu"
        )
    twin = build(model.config)
    twin.load_state_dict({k: v.cpu() for k, v in model.state_dict().items()})
    losses = [_loss_with_gradients(m, x) for m, x in ((model, batch), (twin, batch.cpu()))]
    pairs = [
        (p.grad.cpu(), q.grad)
        for p, q in zip(model.parameters(), twin.parameters(), strict=True)
        if p.grad is not None and q.grad is not None
    ]
    small = MPS_SMALL * math.hypot(*(q.norm().item() for _, q in pairs))
    off = max((p - q).norm().item() / max(q.norm().item(), small, 1e-30) for p, q in pairs)
    model.zero_grad(set_to_none=True)
    model.train()
    what = ""
    if not math.isclose(*losses, rel_tol=MPS_TOLERANCE):
        what = f"The first loss is {losses[0]:.4f} on mps and {losses[1]:.4f} on the CPU"
    elif not off <= MPS_GRADIENT_TOLERANCE:
        what = f"The gradients of the first loss differ by {off:.0%} on mps and on the CPU"
    if what:
        yield f"{what}, so this torch may compute wrong results on mps: train with --device cpu to be safe"


def _loss_with_gradients(model: GPT, batch: Tensor) -> float:
    loss = model.eval()(batch[:, :-1], batch[:, 1:])
    loss.backward()
    return loss.item()
