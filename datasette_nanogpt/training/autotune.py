"""How the steps of a run are fastest on this machine: precision and compiling, by trials."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from llm_nanogpt.gpt_torch import GPT, build

from ..events import Busy, Note, Speed
from .flops import flops_per_token
from .measure import SHORT_SECONDS, bf16_may_pay, kept_random_state, product_speed, trial, trial_batch
from .optim import configure_optimizers

# What takes this fraction of the time or less is faster; a smaller difference may be another program at work.
CLEARLY = 0.9
# torch.compile took 20 to 35 s to start on two cores; then bfloat16 steps were 1.0 to 1.4 times as fast
# (LOG.md, "Steps" and "Ten minutes by default").
COMPILE_SECONDS, COMPILE_GAIN = 30.0, 1.2
COMPILE_MIN_GAIN = 1.1  # in all steps of a run: with less, compiling is not worth the wait
COMPILERS = ("g++", "clang++", "c++")
MPS_TOLERANCE = 1e-3  # relative difference of two float32 losses

Forward = Callable[..., Tensor]


@dataclass(frozen=True)
class Workload:
    """The steps that are to be run in this process, and what is set by hand."""

    device: str
    batch_size: int  # windows in a step
    bf16: bool | None  # None: to be tried
    compile: bool | None  # None: to be tried
    seconds: float  # until the run ends; inf: no limit
    steps: float  # the same


def autotune(
    model: GPT, workload: Workload, teacher: GPT | None = None
) -> Generator[Busy | Note, None, tuple[Speed, Forward | None]]:
    """Find out how to run the steps of `model`, and return the compiled model if it is to be compiled.

    The trials take a second or two and leave no trace in the model or its random numbers.
    """
    w = workload
    with kept_random_state(w.device):
        trials = _Trials(model, w, teacher)
        if w.device.startswith("mps") and (warning := mps_differs(model, trials.batch)):
            yield Note(warning)
        if w.seconds >= SHORT_SECONDS:
            yield Busy("trying what runs fastest here")
            if w.steps < math.inf or None in (w.bf16, w.compile):
                trials.step_seconds = trials.time_step(trials.bf16)
        if trials.run_seconds() >= SHORT_SECONDS:
            trials.machine_flops = product_speed(w.device, trials.bf16)
            trials.choose_precision()
            trials.choose_compiling()
        if trials.compile:
            yield Note("Compiling the model, which takes about half a minute.")
            trials.try_compiling()
        model.zero_grad(set_to_none=True)
    flops, reasons = flops_per_token(model.config), "; ".join(trials.reasons)
    speed = Speed(trials.bf16, trials.compiled is not None, flops, trials.machine_flops, reasons)
    return speed, trials.compiled


@dataclass
class _Trials:
    """What is known so far of how the steps run."""

    model: GPT
    workload: Workload
    teacher: GPT | None
    batch: Tensor = field(init=False)  # (windows, block size + 1) random ids
    optimizers: list[Optimizer] = field(init=False)
    bf16: bool = field(init=False)
    compile: bool | None = field(init=False)
    compiled: Forward | None = None
    step_seconds: float | None = None  # of a trial step, as it would run
    machine_flops: float | None = None  # a second, in matrix products
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        w = self.workload
        self.bf16, self.compile = bool(w.bf16), w.compile
        self.batch = trial_batch(self.model.config, w.batch_size, w.device)
        # Their steps change nothing.
        self.optimizers = configure_optimizers(self.model, learning_rate=0.0, weight_decay=0.0)

    def time_step(self, bf16: bool, forward: Forward | None = None) -> float:
        return trial(forward or self.model, self.batch, bf16, self.optimizers, self.teacher)

    def run_seconds(self) -> float:
        """How long the run will take, as far as that is known."""
        w = self.workload
        if self.step_seconds is None:
            return min(w.seconds, math.inf)
        return min(w.seconds, w.steps * self.step_seconds * w.batch_size / len(self.batch))

    def choose_precision(self) -> None:
        if self.workload.bf16 is not None:
            return
        if not bf16_may_pay(self.workload.device):
            self.reasons.append("float32: matrix products in bfloat16 are no faster here")
            return
        assert self.step_seconds is not None  # noqa: S101  # as bf16 is to be tried, a step was timed
        self.bf16, self.step_seconds, reason = try_bf16(self.time_step, self.step_seconds)
        self.reasons.append(reason)

    def choose_compiling(self) -> None:
        if self.compile is not None:
            return
        reason = compile_does_not_repay(self.run_seconds())
        self.compile = reason is None
        if reason:
            self.reasons.append(f"not compiled: {reason}")

    def try_compiling(self) -> None:
        """Compile the model; keep that if it works and is faster than `step_seconds`, where these are
        known."""
        started = time.perf_counter()
        try:
            compiled = torch.compile(self.model)
            seconds = self.time_step(self.bf16, compiled)
        except Exception as ex:  # all kinds: of a compiler, a driver or a header that is missing
            torch.compiler.reset()
            self.reasons.append(f"not compiled: it failed ({type(ex).__name__})")
            return
        took = f"compiled in {time.perf_counter() - started:.0f} s"
        if self.step_seconds is None:
            self.compiled = compiled
            self.reasons.append(took)
            return
        times = self.step_seconds / seconds
        if seconds < CLEARLY * self.step_seconds:
            self.compiled = compiled
            self.reasons.append(f"{took}: {times:.1f} times as fast")
        else:
            torch.compiler.reset()
            self.reasons.append(f"not compiled: {times:.1f} times as fast in a trial")


def try_bf16(step: Callable[[bool], float], float32_seconds: float) -> tuple[bool, float, str]:
    """Whether bfloat16 is faster, the seconds of a trial step with what was chosen, and why."""
    seconds = step(True)
    if seconds >= CLEARLY * float32_seconds:  # a moment in which the machine is busy would slow the whole run
        seconds = min(seconds, step(True))
    times = float32_seconds / seconds
    if seconds < CLEARLY * float32_seconds:
        return True, seconds, f"bfloat16: {times:.1f} times as fast as float32 in a trial"
    return False, float32_seconds, f"float32: bfloat16 was {times:.1f} times as fast in a trial"


def compile_does_not_repay(seconds: float) -> str | None:
    """Why a run of so many `seconds` is not worth compiling for; None if it may be."""
    if not any(map(shutil.which, COMPILERS)):
        return "there is no C++ compiler"
    if (seconds - COMPILE_SECONDS) * COMPILE_GAIN < COMPILE_MIN_GAIN * seconds:
        return f"too short a run to repay about {COMPILE_SECONDS:.0f} s of compiling"
    return None


@torch.inference_mode()
def mps_differs(model: GPT, batch: Tensor) -> str | None:
    """A warning if the first loss on an Apple GPU is not the CPU's; None if it is. Both in float32."""
    twin = build(model.config)
    twin.load_state_dict({k: v.cpu() for k, v in model.state_dict().items()})
    losses = [m.eval()(x[:, :-1], x[:, 1:]).item() for m, x in ((model, batch), (twin, batch.cpu()))]
    model.train()
    if math.isclose(*losses, rel_tol=MPS_TOLERANCE):
        return None
    return (
        f"The first loss is {losses[0]:.4f} on mps and {losses[1]:.4f} on the CPU, so this torch may compute "
        "wrong results on mps: train with --device cpu to be safe"
    )
