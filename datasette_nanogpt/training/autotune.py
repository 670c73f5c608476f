"""How the steps run on this machine: precision and compiling, by measurements on a CPU, and the MFU.

MFU, model FLOPs utilisation: the floating-point operations that the model itself needs, over the time they
took, as a share of what the machine reaches in plain matrix products.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext

import torch
from torch.optim import Optimizer

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import GPT, build

from ..events import Busy, Note, Speed
from .flops import flops_per_token, work_per_step
from .optim import configure_optimizers, use_bf16
from .plan import make_config

SHORT_SECONDS = 10.0  # trials take about a second, up to two: shorter runs do without
MEASURED_SECONDS = 60.0  # runs at least so long begin with trials that tell the planner how fast it is here,
MEASURING_SHARE = 0.1  # where these take no more of the time than this
TRIAL_SECONDS = 0.4  # of each trial, or two steps
TRIAL_TOKENS = 1024  # in a trial's batch, at most
PRODUCT_SECONDS = 0.15  # of matrix products that are timed
PRODUCT_SHARES = {torch.float32: 0.85, torch.bfloat16: 0.48}  # of that speed, which size s's work reached
CLEARLY = 0.9  # of the time, or less, is faster
# torch.compile took 20 to 35 s to start on two cores, then steps were 1.0 to 1.4 times as fast (bfloat16).
COMPILE_SECONDS, COMPILE_GAIN = 30.0, 1.2
COMPILERS = ("g++", "clang++", "c++")
MPS_TOLERANCE = 1e-3  # relative difference of two float32 losses


def autotune(
    model: GPT,
    device: str,
    batch_size: int,
    bf16: bool | None,
    compile: bool | None,
    seconds: float,
    steps: float,
    teacher: GPT | None = None,
) -> Generator[Busy | Note, None, tuple[Speed, Callable | None]]:
    """How to run so many `steps` in so many `seconds` (inf: no limit), and the compiled model if it is one.

    None for `bf16` and `compile` means by trials, which leave no trace in the run and take a second or two.
    """
    why, compiled, machine = [], None, None
    use_bf16, step_seconds = bool(bf16), None
    with kept_random_state(device):
        batch = trial_batch(model.config, batch_size, device)
        idle = configure_optimizers(model, learning_rate=0.0, weight_decay=0.0)  # their steps change nothing

        def step(bf16: bool, forward: Callable = model) -> float:
            return trial(forward, batch, bf16, idle, teacher)

        def length() -> float:
            """Seconds that the run will take, by what is known so far."""
            known = steps * step_seconds * batch_size / len(batch) if step_seconds else math.inf
            return min(seconds, known)

        if device.startswith("mps") and (warning := mps_differs(model, batch)):
            yield Note(warning)
        if seconds >= SHORT_SECONDS:
            yield Busy("trying what runs fastest here")
        if seconds >= SHORT_SECONDS and (steps < math.inf or None in (bf16, compile)):
            step_seconds = step(use_bf16)
        if length() >= SHORT_SECONDS:
            machine = product_speed(device, use_bf16)
            if bf16 is None and not bf16_may_pay(device):
                why.append("float32: matrix products in bfloat16 are no faster here")
            elif bf16 is None:
                use_bf16, step_seconds, reason = try_bf16(step, step_seconds)
                why.append(reason)
            if compile is None and (reason := compile_does_not_repay(length())):
                why.append(f"not compiled: {reason}")
            elif compile is None:
                compile = True
        if compile:
            yield Note("Compiling the model: half a minute or so.")
            compiled, reason = try_compile(model, step, use_bf16, step_seconds)
            why.append(reason)
        model.zero_grad(set_to_none=True)
    flops = flops_per_token(model.config)
    return Speed(use_bf16, compiled is not None, flops, machine, "; ".join(why)), compiled


def kept_random_state(device: str):
    """What is drawn within changes nothing after it. Left to itself, torch would wake every GPU for that."""
    index = torch.device(device).index
    if device.startswith("cuda") and index is None:
        index = torch.cuda.current_device()
    return torch.random.fork_rng([index] if device.startswith("cuda") else [])


def autocast(device: str, bf16: bool):
    return torch.autocast(device.partition(":")[0], torch.bfloat16) if bf16 else nullcontext()


def training_flops(device: str, vocab_size: int, seconds: float) -> float:
    """How much of flops.work_per_step this machine does in a second, to plan a run of so many seconds: by
    trial steps of a middling model in the faster precision, about 3 s on two cores, or where that is too
    long for the run, guessed from matrix products alone in 0.5 s."""
    config = make_config("m", vocab_size, {"block_size": 1024})
    if device == "cpu":
        guess = guessed_training_flops(seconds)
        trials = 4 * work_per_step(config, config.block_size) / guess
        if seconds < MEASURED_SECONDS or trials > MEASURING_SHARE * seconds:
            return guess
    with kept_random_state(device):
        model = build(config).to(device)
        batch = trial_batch(config, 1, device)
        optimizers = configure_optimizers(model, learning_rate=1e-3, weight_decay=0.0)
        precisions = (False, True) if bf16_may_pay(device) else (False,)
        best = min(trial(model, batch, bf16, optimizers) for bf16 in precisions)
    return work_per_step(config, batch[:, 1:].numel()) / best


def guessed_training_flops(seconds: float) -> float:
    """The same by matrix products on the CPU, in the precisions that a run of so many seconds may use."""
    dtypes = PRODUCT_SHARES if seconds >= SHORT_SECONDS else [torch.float32]
    return max(PRODUCT_SHARES[dtype] * timed_products("cpu", dtype, 512) for dtype in dtypes)


def bf16_may_pay(device: str) -> bool:
    """Whether bfloat16 is worth a trial: a CPU that does not know it may take seconds for a step in it."""
    if device.startswith("mps"):
        return False  # float32 by default there
    return timed_products(device, torch.bfloat16, 512) > timed_products(device, torch.float32, 512)


def product_speed(device: str, bf16: bool = False) -> float:
    """FLOP/s of this process in big square matrix products, in float32 but for models in bfloat16 on CUDA."""
    cuda = device.startswith("cuda")
    return timed_products(device, torch.bfloat16 if cuda and bf16 else torch.float32, 8192 if cuda else 1024)


def timed_products(device: str, dtype: torch.dtype, n: int) -> float:
    """FLOP/s of the fastest of a few products of n x n matrices."""
    a = torch.randn(n, n, device=device).to(dtype)
    best, spent, products = math.inf, 0.0, 0
    while spent < PRODUCT_SECONDS or products < 2:  # the first one may wait for a library to load
        synchronize(device)
        started = time.perf_counter()
        a @ a
        synchronize(device)
        seconds = time.perf_counter() - started
        best, spent, products = min(best, seconds), spent + seconds, products + 1
    return 2 * n**3 / best


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


def trial_batch(config: GPTConfig, batch_size: int, device: str) -> torch.Tensor:
    """(windows, block size + 1) random ids."""
    rows = max(1, min(batch_size, TRIAL_TOKENS // config.block_size))
    return torch.randint(config.vocab_size, (rows, config.block_size + 1)).to(device)


def trial(
    forward: Callable,
    batch: torch.Tensor,
    bf16: bool,
    optimizers: Sequence[Optimizer],
    teacher: GPT | None = None,
) -> float:
    """Seconds of one step, the best of a few: a teacher's guesses, forward, backward, optimizers. Leaves
    gradients behind."""
    device = str(batch.device)
    use_bf16(optimizers, bf16)
    best, spent, steps = math.inf, 0.0, 0
    while steps < 2 or (spent < TRIAL_SECONDS and steps < 10):
        started = time.perf_counter()
        with autocast(device, bf16):
            guesses = teacher.next_token_probs(batch[:, :-1]) if teacher else None
            loss = forward(batch[:, :-1], batch[:, 1:], teacher_probs=guesses)
        loss.sum().backward()
        for optimizer in optimizers:
            optimizer.step()
        synchronize(device)
        seconds = time.perf_counter() - started
        best, spent, steps = min(best, seconds), spent + seconds, steps + 1
    return best


def try_bf16(step: Callable[[bool], float], float32_seconds: float) -> tuple[bool, float, str]:
    """Whether bfloat16 pays, the seconds of a trial step with what was chosen, and why."""
    seconds = step(True)
    if seconds >= CLEARLY * float32_seconds:  # a moment in which the machine is busy would slow the whole run
        seconds = min(seconds, step(True))
    times = float32_seconds / seconds
    if seconds < CLEARLY * float32_seconds:
        return True, seconds, f"bfloat16: {times:.1f} times as fast as float32 in a trial"
    return False, float32_seconds, f"float32: bfloat16 was {times:.1f} times as fast in a trial"


def compile_does_not_repay(seconds: float) -> str | None:
    """Why a run of so many seconds is not worth compiling for; None if it may be."""
    if not any(map(shutil.which, COMPILERS)):
        return "no C++ compiler here"
    # A tenth more steps is the least that is worth the wait.
    if (seconds - COMPILE_SECONDS) * COMPILE_GAIN < 1.1 * seconds:
        return f"too short a run to repay some {COMPILE_SECONDS:.0f} s of compiling"
    return None


def try_compile(
    model: GPT, step: Callable[..., float], bf16: bool, eager_seconds: float | None
) -> tuple[Callable | None, str]:
    """The compiled model if it works and, where `eager_seconds` are given, is faster; else None; and why."""
    started = time.perf_counter()
    try:
        compiled = torch.compile(model)
        seconds = step(bf16, compiled)
    except Exception as ex:  # of a compiler, a driver or a header that is missing: all kinds
        torch.compiler.reset()
        return None, f"not compiled: it failed ({type(ex).__name__})"
    took = f"in {time.perf_counter() - started:.0f} s"
    if eager_seconds is None:
        return compiled, f"compiled {took}"
    times = eager_seconds / seconds
    if seconds < CLEARLY * eager_seconds:
        return compiled, f"compiled {took}: {times:.1f} times as fast"
    torch.compiler.reset()
    return None, f"not compiled: {times:.1f} times as fast in a trial"


@torch.inference_mode()
def mps_differs(model: GPT, batch: torch.Tensor) -> str | None:
    """What to say if the first loss on an Apple GPU is not the CPU's; None if it is. Both in float32."""
    twin = build(model.config)
    twin.load_state_dict({k: v.cpu() for k, v in model.state_dict().items()})
    losses = [m.eval()(x[:, :-1], x[:, 1:]).item() for m, x in ((model, batch), (twin, batch.cpu()))]
    model.train()
    if math.isclose(*losses, rel_tol=MPS_TOLERANCE):
        return None
    return (
        f"The first loss is {losses[0]:.4f} on mps and {losses[1]:.4f} on the CPU, "
        "so this torch may compute wrongly on mps: train with --device cpu to be safe"
    )
