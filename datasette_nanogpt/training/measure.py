"""How fast this machine is: matrix products, and trial steps of a model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import build

from .budget import GPU_WINDOWS
from .cuda_graph import TIMES_BEFORE, Captured
from .distillation import KEPT
from .flops import work_per_step
from .on_device import autocast, kept_random_state, synchronize
from .optim import Optimizer, configure_optimizers, use_bf16, use_tensor_rates
from .sizes import make_config

# A run of at least 10 s tries bfloat16, which takes about a second, two at most (LOG.md, "Runs of seconds").
SHORT_SECONDS = 10.0
# Runs of at least a minute begin with trial steps that tell the planner how fast the machine is, unless these
# take more than this fraction of the time.
MEASURED_SECONDS, MEASURING_FRACTION = 60.0, 0.1
TRIAL_SECONDS = 0.4  # how long a trial goes on, but for two steps at least
# The most tokens in the batch of a trial. On a GPU the longest steps: what compiling gains there depends on
# their length, and a model that was compiled for another length is compiled once more.
TRIAL_TOKENS, TRIAL_TOKENS_ON_CUDA = 1024, 65_536
PRODUCT_SECONDS = 0.15  # how long matrix products are timed
# The fraction of the speed of matrix products that training size s reached, in FLOPs of work_per_step
# (LOG.md, "Runs of seconds"; the work of the logits was added later).
PRODUCT_FRACTIONS = {torch.float32: 0.85, torch.bfloat16: 0.48}


def training_flops(device: str, vocab_size: int, seconds: float, windows: int = 1) -> float:
    """FLOP/s of this machine in training, as flops.work_per_step counts them, to plan a run of `seconds`.

    Measured with trial steps of size m, of `windows` windows each, in the faster precision, which takes about
    3 s on two cores. Where that is too long for the run, it is guessed from matrix products alone in 0.5 s.
    """
    config = make_config("m", vocab_size, {"block_size": 1024})
    if device == "cpu":
        guess = guess_training_flops(seconds)
        trials = 4 * work_per_step(config, config.block_size) / guess
        if seconds < MEASURED_SECONDS or trials > MEASURING_FRACTION * seconds:
            return guess
    with kept_random_state(device):
        model = build(config).to(device)
        batch = torch.randint(vocab_size, (windows, config.block_size + 1)).to(device)
        optimizers = configure_optimizers(model, learning_rate=1e-3, weight_decay=0.0)
        bf16 = bf16_may_pay(device)
        precisions = (bf16,) if device.startswith("cuda") or not bf16 else (False, True)
        best = min(trial(model, batch, bf16, optimizers) for bf16 in precisions)
    return work_per_step(config, batch[:, 1:].numel()) / best


def flops_of_run(device: str, vocab_size: int, seconds: float, processes: int) -> tuple[float, float | None]:
    """`training_flops` of all processes, each of which is as fast; and on a GPU, where the two tell what
    launching a step takes, the same in steps of GPU_WINDOWS windows."""
    flops = training_flops(device, vocab_size, seconds) * processes
    if not device.startswith("cuda"):
        return flops, None
    return flops, training_flops(device, vocab_size, seconds, GPU_WINDOWS) * processes


def guess_training_flops(seconds: float) -> float:
    """The same, guessed from products on the CPU in the precisions that a run of `seconds` may use."""
    dtypes = PRODUCT_FRACTIONS if seconds >= SHORT_SECONDS else [torch.float32]
    return max(PRODUCT_FRACTIONS[dtype] * timed_products("cpu", dtype, 512) for dtype in dtypes)


def bf16_may_pay(device: str) -> bool:
    """Whether bfloat16 is worth a trial: what has no support for it may take seconds for a step."""
    if device.startswith("mps"):
        return False  # float32 by default there
    if device.startswith("cuda"):  # which is done with products of this size before the next is launched
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return timed_products(device, torch.bfloat16, 512) > timed_products(device, torch.float32, 512)


def product_speed(device: str, bf16: bool = False) -> float:
    """FLOP/s of this process in big square matrix products, which MFU is relative to: in float32, or in
    bfloat16 for models in bfloat16 on CUDA."""
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


def trial_windows(config: GPTConfig, batch_size: int, device: str) -> int:
    """How many windows a trial step of a run with `batch_size` of them has."""
    most = TRIAL_TOKENS_ON_CUDA if device.startswith("cuda") else TRIAL_TOKENS
    return max(1, min(batch_size, most // config.block_size))


def trial_batch(config: GPTConfig, batch_size: int, device: str) -> Tensor:
    """Random ids (windows, block size + 1) for a trial of steps of `batch_size` windows."""
    shape = (trial_windows(config, batch_size, device), config.block_size + 1)
    return torch.randint(config.vocab_size, shape).to(device)


def trial(
    forward: Callable[..., Tensor],
    batch: Tensor,
    bf16: bool,
    optimizers: Sequence[Optimizer],
    is_student: bool = False,
) -> float:
    """Seconds of a training step on a `trial_batch`, the best of a few. Leaves gradients behind."""
    device = str(batch.device)
    use_bf16(optimizers, bf16)
    # Made-up teacher's predictions, for as many tokens as teacher_probs.py keeps.
    probs = None
    if is_student:
        likeliest = batch[:, :-1, None].expand(-1, -1, KEPT).contiguous()
        probs = likeliest, torch.full(likeliest.shape, 1 / (2 * KEPT), device=device)

    # Laid out in memory as batches.py has them: what is compiled for other strides is compiled again.
    ids, targets = batch[:, :-1], batch[:, 1:].contiguous()

    def step() -> None:
        with autocast(device, bf16):
            loss = forward(ids, targets, teacher_probs=probs)
        loss.sum().backward()
        for optimizer in optimizers:
            optimizer.step()

    captured = Captured(device) if device.startswith("cuda") else None  # as it will run
    if captured:
        use_tensor_rates(optimizers, device)
    best, spent, steps = math.inf, 0.0, 0
    while steps < (TIMES_BEFORE + 2 if captured else 2) or (spent < TRIAL_SECONDS and steps < 10):
        started = time.perf_counter()
        captured(step) if captured else step()
        synchronize(device)
        seconds = time.perf_counter() - started
        best, spent, steps = min(best, seconds), spent + seconds, steps + 1
    return best
