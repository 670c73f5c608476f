"""How much memory a run takes, how much there is, and the largest model or batch that fits. Needs no torch.

benchmarks/memory.py prints the estimates beside what runs took: within 25% from 1M to 30M parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError, Problem

from ..formatting import memory_size
from .available_memory import address_space, available_memory

FLOAT = 4  # bytes per number; weights in bfloat16 are extra copies, which cost what bfloat16 saves elsewhere
# Memory of a run on the CPU whatever its model: Python, torch, a prepared text (benchmarks/memory.py).
PROCESS_BYTES = 340e6
# What a torch that was built for CUDA takes more, on a CPU as well: its libraries (2.13 on Linux).
CUDA_LIBRARIES_BYTES = 470e6
# Addresses that a run takes at least, used or not: with 717 MB (ulimit -v 700000) torch 2.13 for CPUs ended
# the process, with 819 MB a tiny model was trained.
FEWEST_ADDRESSES = 800e6
CUDA_BYTES = 600e6  # memory of the GPU that CUDA itself takes
# How many copies of the logits exist at once: their logarithms, the gradient of these, and that of the
# logits. A student also has the teacher's probabilities and two products with them.
LOGIT_COPIES, LOGIT_COPIES_OF_STUDENT = 3, 6
# Numbers that a layer keeps at each position for the backward pass, as multiples of its width and of the
# width inside its MLP: counted with torch's saved_tensors_hooks. Dropout keeps a mask for both its blocks.
NUMBERS_KEPT = {"qwen3": (14, 4), "gpt2": (8, 2)}
# The most logits of a batch of windows that is scored, or that teachers predict: 16 MB in float32. On a GPU
# 128 MB, because launching the kernels of a forward pass takes milliseconds, however few the windows are.
LOGITS_PER_BATCH, LOGITS_PER_BATCH_OF_GPU = 2**22, 2**25
# Memory that C keeps (process.keep_freed_memory) does not always fit the next tensor: steps took 1.0 to 1.6
# times as much as was in use at once (benchmarks/memory.py).
FRAGMENTATION = 1.2


@dataclass(frozen=True)
class Workload:
    """The steps of one process of a run."""

    config: GPTConfig
    batch_size: int  # windows of a step, in this process
    device: str = "cpu"
    dropout: float = 0.0
    teachers: tuple[GPTConfig, ...] = ()


def estimate_memory(w: Workload) -> int:
    """The most memory, in bytes, that a process with this workload holds at once; on a GPU, the GPU's."""
    count, matrices = _count_weights(w.config)
    # Muon keeps a number for each weight of the matrices in layers, AdamW two for each of the others.
    muon = 0 if w.config.arch == "gpt2" else matrices
    weights, state = FLOAT * count, FLOAT * (2 * count - muon)
    held = weights + state
    step = max(FLOAT * _step_numbers(w), weights + _orthogonalizing_bytes(w.config))
    if w.device.startswith("cuda"):  # a score comes while the memory of a CUDA graph is still taken
        return round(CUDA_BYTES + max(held + weights + step + _score_bytes(w), _teachers_bytes(w)))
    # An Apple GPU shares the memory of the machine, where divergence.LastGood keeps a copy of the state.
    held += weights + state
    # To save the state, each tensor is copied as bytes, and all of them into one file; and the weights are
    # read again for the texts that a run is judged by.
    saving = 2 * (weights + state) + weights
    training = held + FRAGMENTATION * step + max(saving, _score_bytes(w))
    return round(process_bytes() + max(training, _teachers_bytes(w)))


@cache
def process_bytes() -> float:
    """Memory of a run on the CPU whatever its model, in bytes, with the torch that is installed."""
    torch = find_spec("torch")  # imports nothing
    folders = torch.submodule_search_locations if torch else None
    built_for_cuda = any([*Path(folder, "lib").glob("*torch_cuda.*")] for folder in folders or [])
    return PROCESS_BYTES + CUDA_LIBRARIES_BYTES * built_for_cuda


def logits_per_batch(device: str) -> int:
    """The most logits of a batch of windows that is scored, or that teachers predict."""
    return LOGITS_PER_BATCH if device == "cpu" else LOGITS_PER_BATCH_OF_GPU


def _score_bytes(w: Workload) -> int:
    """What scoring takes beside what steps have freed: a batch's logits, and their logarithms."""
    return 2 * FLOAT * logits_per_batch(w.device)


def _teachers_bytes(w: Workload) -> float:
    """What it takes to compute, before a student begins, what its teachers predict: all of them, with the
    logits of a batch of the first and of another one. The last one's training is still there, with its
    optimizer and, but for a GPU's own memory, the copy of its last good state."""
    if not w.teachers:
        return 0.0
    weights = FLOAT * sum(teacher.parameters for teacher in w.teachers)
    last = 3 * FLOAT * w.teachers[-1].parameters
    return weights + last * (1 if w.device.startswith("cuda") else 2) + 2 * _score_bytes(w)


def _count_weights(c: GPTConfig) -> tuple[int, int]:
    """The number of all weights, and of those in the layers' matrices. Counts one layer and multiplies, so
    that a thousand layers need no list of tensors."""
    others = inside = matrices = 0
    for name, shape in replace(c, n_layer=1).tensors().items():
        in_layer, n = ".0." in name, math.prod(shape)
        others += n * (not in_layer)
        inside += n * in_layer
        matrices += n * (in_layer and len(shape) == 2)
    return others + c.n_layer * inside, c.n_layer * matrices


def _orthogonalizing_bytes(c: GPTConfig) -> int:
    """What Muon needs for the matrices of one shape in all layers: update, stack, two steps of iteration."""
    if c.arch == "gpt2":
        return 0
    return 4 * FLOAT * c.n_layer * c.n_embd * max(c.n_inner, c.n_head * c.head_dim)


def _step_numbers(w: Workload) -> int:
    """How many numbers a step keeps for its backward pass and its loss."""
    c = w.config
    of_width, of_inner = NUMBERS_KEPT[c.arch]
    layer = of_width * max(c.n_embd, c.n_head * c.head_dim) + of_inner * c.n_inner
    if w.dropout:
        layer += 2 * c.n_embd
        if c.arch == "gpt2":  # attention with dropout has the odds of all pairs of positions, three times
            layer += 3 * c.n_head * c.block_size
    logits = LOGIT_COPIES_OF_STUDENT if w.teachers else LOGIT_COPIES
    return w.batch_size * c.block_size * (c.n_layer * layer + 3 * c.n_embd + logits * c.vocab_size)


# ---- What fits


def memory_problem(w: Workload, given: Mapping[str, Any], reserved: int = 0) -> Problem | None:
    """The problem with a run that cannot fit; None if it can, or if that cannot be known.

    `given` are the options set by hand, which the message is about; `reserved` are the bytes that this
    process holds already, where it is the one that trains.
    """
    limit = available_memory(w.device)
    if limit is None or estimate_memory(w) <= limit + reserved:
        return None
    limit += reserved
    field, way_out = _way_out(w, given, limit)
    need, have = memory_size(estimate_memory(w)), memory_size(limit)
    message = f"This needs about {need} of memory, and {have} are available: {way_out}"
    return Problem(field, "memory", message)


def check_address_space() -> None:
    """Raises NanogptError where torch cannot be loaded, which would end this process without a line."""
    if (limit := address_space()) < FEWEST_ADDRESSES:
        raise NanogptError(
            f"A process may take at most {memory_size(limit)} of memory here (ulimit -v), and training takes "
            f"{memory_size(FEWEST_ADDRESSES)} or more: allow it with `ulimit -v unlimited`"
        )


def _way_out(w: Workload, given: Mapping[str, Any], limit: float) -> tuple[str, str]:
    """The option to change, and the largest value of it that fits: what was set by hand first."""
    c = w.config
    head = c.n_embd // c.n_head

    def fits(**changes: Any) -> bool:
        batch_size = changes.pop("batch_size", w.batch_size)
        return estimate_memory(replace(w, config=_reshaped(c, changes), batch_size=batch_size)) <= limit

    tried: list[tuple[str, int, Callable[[int], bool], str]] = [
        ("batch_size", w.batch_size, lambda n: fits(batch_size=n), "at most {:,} windows in a step fit"),
        ("block_size", c.block_size, lambda n: fits(block_size=n), "a context of at most {:,} fits"),
        (
            ("n_head", c.n_head, lambda n: fits(n_head=n, n_embd=head * n), "at most {:,} heads fit")
            if given.get("n_head") and not given.get("n_embd")  # then the width follows from them
            else ("n_embd", c.n_embd, lambda n: fits(n_embd=n), "a width of at most {:,} fits")
        ),
        ("n_layer", c.n_layer, lambda n: fits(n_layer=n), "at most {:,} layers fit"),
    ]
    for field, now, try_value, words in sorted(tried, key=lambda each: not given.get(each[0])):
        if largest := _largest(now, try_value, 2 * c.n_head if field == "n_embd" else 1):
            return field, words.format(largest)
    if w.batch_size > 1:
        field, words = _way_out(replace(w, batch_size=1), given, limit)
        return field, f"with one window in a step {words}"
    typed = (field for field in ("size", "n_embd", "n_head", "n_layer") if given.get(field))
    return next(typed, "size"), "a model of this shape does not fit, however small one of its numbers is"


def _reshaped(c: GPTConfig, changes: Mapping[str, int]) -> GPTConfig:
    """The same model with other numbers; what follows from the width and the heads follows."""
    values: dict[str, Any] = {"head_dim": 0, "n_inner": 0} if "n_embd" in changes else {}
    values |= {"n_kv_head": 0} if "n_head" in changes else {}
    return replace(c, **{**values, **changes})


def _largest(now: int, fits: Callable[[int], bool], multiple: int) -> int | None:
    """The largest multiple below `now` that fits, by bisection; None if not even the first one does."""
    low, high = 0, now // multiple
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * multiple) else (low, middle)
    return low * multiple or None
