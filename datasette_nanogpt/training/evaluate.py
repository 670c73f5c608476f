"""Scoring a model: its loss on the whole held-out split, also in bits per byte, and a sample of its text."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch

from llm_nanogpt.gpt_torch import GPT
from llm_nanogpt.tokenizer import Tokenizer

from ..data.dataloader import IGNORED, Windows
from ..events import REPORT_SECONDS, Busy
from .distributed import SINGLE_PROCESS, ProcessGroup
from .memory import logits_per_batch
from .on_device import autocast

SAMPLE_TOKENS = 80  # length of the text that is shown with each score


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Bits per byte, the same for all tokenizers, from the total nats of a text and its UTF-8 bytes."""
    return nats / n_bytes / math.log(2)


def estimate_loss(
    model: GPT,
    windows: Windows,
    device: str,
    bf16: bool = False,
    group: ProcessGroup = SINGLE_PROCESS,
) -> float:
    """Total nats of all ids of a stream but the first, summed over all processes.

    nanoGPT's estimate_loss is a mean over random windows; this one reads every token once, in order, in
    windows of the block size, so two scores differ by what the model learnt and by nothing else.
    """
    parts = estimate_loss_in_parts(model, windows, device, bf16, group)
    nats = sum(float(nats.sum(dtype=np.float64)) for _, nats in parts)
    return group.sum(torch.tensor(nats, dtype=torch.float64)).item()


def estimate_loss_in_parts(
    model: GPT, windows: Windows, device: str, bf16: bool, group: ProcessGroup
) -> Iterator[tuple[float, np.ndarray]]:
    """For each batch of windows of this process the fraction of the tokens that is done, and the nats of each
    of its targets."""
    for number, (done, x, y) in enumerate(batches_in_order(model, windows)):
        if number % group.size == group.rank:
            yield done, token_nats(model, x, y, device, bf16)


def estimate_loss_unless(
    model: GPT, windows: Windows, device: str, bf16: bool, group: ProcessGroup, stopped: Callable[[], bool]
) -> Generator[Busy, None, tuple[float, np.ndarray | None] | None]:
    """The same as `estimate_loss`, reporting progress, and the nats of each id, float32: None where several
    processes have them. None if it was `stopped`."""
    if group.size > 1:  # the other processes cannot stop in the middle
        return estimate_loss(model, windows, device, bf16, group), None
    parts, last_report = [np.empty(0, np.float32)], time.monotonic()
    for fraction, nats in estimate_loss_in_parts(model, windows, device, bf16, group):
        parts.append(nats)
        if time.monotonic() - last_report >= REPORT_SECONDS:
            yield Busy("scoring on held-out text", fraction)
            last_report = time.monotonic()
        if stopped():
            return None
    each = np.concatenate(parts)
    return float(each.sum(dtype=np.float64)), each


def batches_in_order(model: GPT, windows: Windows) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Windows that together have each token after the first as a target once, as many at a time as
    `logits_per_batch` allows: the fraction of the tokens that is done after them, and their inputs and
    targets, (B, block size) ids each."""
    block = windows.block_size
    device = next(model.parameters()).device.type
    rows = max(1, logits_per_batch(device) // (block * model.config.vocab_size))
    remaining = windows.all_in_order()
    while batch := list(itertools.islice(remaining, rows)):
        ids = np.zeros((2, len(batch), block), dtype=np.int64)
        ids[1] = IGNORED
        for row, (_, inputs, targets) in enumerate(batch):
            ids[:, row, : len(inputs)] = inputs, targets
        yield (batch[-1][0] + 1) / len(windows.tokens), ids[0], ids[1]


def token_nats(model: GPT, inputs: np.ndarray, targets: np.ndarray, device: str, bf16: bool) -> np.ndarray:
    """The loss at each of the `targets` that count, in order: float32, in nats. A (B, T) batch."""
    x, y = torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device)
    was_training = model.training
    model.eval()
    with torch.inference_mode(), autocast(device, bf16):
        nats = model(x, y, reduction="none")
    model.train(was_training)
    return nats.float().cpu().numpy()[targets.ravel() != IGNORED]


def sample_writer(tokenizer: Tokenizer, seed: int) -> Callable[[GPT], str]:
    """A function that writes the sample for a score: without a prompt, and always with the same seed."""
    from llm_nanogpt.generate import generate
    from llm_nanogpt.gpt_torch import TorchModel
    from llm_nanogpt.sampler import Sampler

    def write_sample(model: GPT) -> str:
        model.eval()
        run = generate(TorchModel(model), tokenizer, "", max_tokens=SAMPLE_TOKENS, sampler=Sampler(seed=seed))
        text = "".join(run)
        model.train()
        return text

    return write_sample
