"""Everything that counts floating-point operations, and MFU from them. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from llm_nanogpt.config import GPTConfig

NEWTON_SCHULZ_STEPS = 5  # of Muon's orthogonalization (optim.py), as in Keller Jordan's post on Muon
# Everything in a training step that is not a matrix product (softmax, norms, optimizer, Python) takes as
# long as this many FLOPs for each logit of the batch would, on two cores (LOG.md, "Ten minutes by default").
LOGIT_FLOPS = 2000

# On a GPU, PREDICTED_AT_ONCE tokens of a text take teachers as long as launching FORWARD_LAYERS of a step for
# each of their layers, and rows on their way to the file as long as TEACHING_LAYERS (LOG.md, "On an H200").
PREDICTED_AT_ONCE, FORWARD_LAYERS, TEACHING_LAYERS = 8192, 2.0, 24.0


def matrix_weights(config: GPTConfig) -> int:
    """The number of weights that a token is multiplied by. An embedding is only looked up, so it counts only
    where the output shares its matrix."""
    c = config
    lookups = c.vocab_size * c.n_embd * (not c.tied) + c.block_size * c.n_embd * (c.arch == "gpt2")
    return sum(math.prod(shape) for shape in c.tensors().values() if len(shape) == 2) - lookups


def flops_per_token(config: GPTConfig) -> int:
    """FLOPs of forward and backward for one token: 6 for each weight in matrix products, and 12 for each
    layer, component and position in attention. Counted as by PaLM (appendix B) and by nanoGPT's estimate_mfu,
    as if no position were masked."""
    c = config
    return 6 * matrix_weights(c) + 12 * c.n_layer * c.n_head * c.head_dim * c.block_size


@lru_cache(maxsize=4096)  # the nine plans of a form ask for the same few models 490 times: 10 of its 27 ms
def flops_per_step(config: GPTConfig, step_tokens: int) -> int:
    """FLOPs of a training step on `step_tokens` tokens: those of the model and, however few the tokens are,
    those of Muon's Newton-Schulz iterations."""
    flops = step_tokens * flops_per_token(config)
    for name, shape in config.tensors().items():
        if config.arch != "gpt2" and ".layers." in name and len(shape) == 2:
            rows, columns = sorted(shape)
            flops += NEWTON_SCHULZ_STEPS * (4 * rows**2 * columns + 2 * rows**3)
    return flops


def work_per_step(config: GPTConfig, step_tokens: int, launch: float = 0.0) -> float:
    """FLOPs that would take as long as a whole training step: those of its matrix products, LOGIT_FLOPS for
    the rest, and `launch` for each layer whose kernels are launched, as `launch_work` has it for a GPU: there
    steps of m, l and xl had 172 to 177 kernels for each of their layers (LOG.md, "On an H200")."""
    rest = LOGIT_FLOPS * step_tokens * config.vocab_size + launch * config.n_layer
    return flops_per_step(config, step_tokens) + rest


def work_per_token(config: GPTConfig, step_tokens: int) -> float:
    """The same for each of the tokens of a step, without launching."""
    return work_per_step(config, step_tokens) / step_tokens


def launch_work(config: GPTConfig, small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float]:
    """The FLOP/s of a machine beside launching steps, and the FLOPs that it could do while the kernels of a
    layer are launched, from the tokens and FLOP/s of a `small` and a `large` step of `config` that were
    measured."""
    (tokens, flops), (many_tokens, flops_of_many) = small, large
    work, work_of_many = work_per_step(config, tokens), work_per_step(config, many_tokens)
    # Seconds for each FLOP that the large step has more, and at least a tenth of the mean: these may be off.
    each = (work_of_many / flops_of_many - work / flops) / (work_of_many - work)
    each = max(each, 0.1 / flops_of_many)
    launching = max(work / flops - each * work, 0.0)
    return 1 / each, launching / each / config.n_layer


def work_of_teaching(teachers: Sequence[GPTConfig], tokens: int, launch: float = 0.0) -> float:
    """The same for teachers that predict a whole text once: forward alone, a third of a step, in windows that
    overlap by a quarter (teacher_probs.py). On a GPU, where `launch` is as above, they do so kernel by
    kernel, and their rows pass through the computer's memory."""
    predicted = tokens * 4 / 3
    forward = sum(work_per_step(config, 1024) for config in teachers) / 1024 / 3 * predicted
    layers = TEACHING_LAYERS + FORWARD_LAYERS * sum(config.n_layer for config in teachers)
    return forward + launch * layers * predicted / PREDICTED_AT_ONCE


def estimate_mfu(flops: float, seconds: float, machine_flops: float | None) -> float | None:
    """Model FLOPs utilization, 0 to 1: `flops` done in `seconds`, as a fraction of `machine_flops`, what the
    machine does in a second in plain matrix products. None if it was not measured."""
    return flops / seconds / machine_flops if machine_flops and seconds else None
