"""The teachers' predictions for the whole training text, computed once and kept on disk. So several teachers
cost a student no more than one does, and several students share them.

Each place of the token stream has a row: the likeliest next tokens by the mean of all teachers, improved by
repeats (distillation.py), and their probabilities. All other tokens count as one. Windows overlap, so that
every row but the first ones is predicted from at least a quarter of the context.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llm_nanogpt.atomic import part_of
from llm_nanogpt.gpt_torch import GPT, TopProbs

from ..data.dataloader import Span, Windows, gather, places_of
from ..data.token_files import token_dtype
from .distillation import FEWEST_KEPT, KEPT, KEPT_BYTES, Repeats
from .memory import logits_per_batch
from .on_device import autocast

OVERLAP = 4  # the first 1/4 of a window is only context: it was predicted in the window before


def row_type(vocab_size: int, tokens: int) -> np.dtype:
    """A row of the file for a text of `tokens` tokens: ids and their probabilities, (kept,) each."""
    id_type = np.dtype(token_dtype(vocab_size))
    fitting = KEPT_BYTES // (tokens * (id_type.itemsize + 2))
    kept = min(max(FEWEST_KEPT, fitting), KEPT, vocab_size)
    return np.dtype([("ids", id_type, kept), ("probs", np.float16, kept)])


def file_bytes(tokens: int, vocab_size: int) -> int:
    """The size on disk of the rows of a text of `tokens` tokens."""
    return tokens * row_type(vocab_size, tokens).itemsize


class TeacherProbs:
    """The rows of a text, (N,), read through a memory map."""

    def __init__(self, file: Path, vocab_size: int, tokens: int) -> None:
        self.rows = np.memmap(file, dtype=row_type(vocab_size, tokens), mode="r")

    def at(self, places: np.ndarray, device: str) -> TopProbs:
        """What the teachers predict after these (B, T) places of the stream."""
        rows = self.rows[places]
        ids, probs = (torch.from_numpy(a) for a in (rows["ids"].astype(np.int64), rows["probs"]))
        return ids.to(device), probs.to(device).float()


def write_teacher_probs(
    file: Path, models: Sequence[GPT], windows: Windows, device: str, bf16: bool
) -> Iterator[float]:
    """Compute the rows of a text with these models, all on the device; yields the fraction that is done.

    The file appears once it is complete. What there is of it, which may be large, is deleted after an error.
    """
    part = part_of(file)
    try:
        yield from _write_rows(part, models, windows, device, bf16)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def _write_rows(
    part: Path, models: Sequence[GPT], windows: Windows, device: str, bf16: bool
) -> Iterator[float]:
    vocab_size, tokens = models[0].config.vocab_size, windows.tokens
    repeats, row = Repeats(tokens, windows.block_size), row_type(vocab_size, len(tokens))
    with open(part, "wb") as fp:
        for spans, first_place, last in _batches(windows, logits_per_batch(device) // vocab_size):
            first = first_place
            ids, _ = gather(tokens, spans, windows.block_size)
            rows = _rows(_mean_probs(models, ids, repeats, device, bf16), row)
            places = places_of(spans, windows.block_size)
            # The windows of a batch follow each other: of each, the places that the one before had not.
            for each, place, span in zip(rows, places, spans, strict=True):
                new = (place >= first) & (np.arange(len(place)) >= span[2]) & (place < last)
                fp.write(each[new].tobytes())
                first = max(first, int(place[-1]) + 1)
            yield min(first, last) / last
        fp.write(np.zeros(1, row).tobytes())  # nothing follows the last token


def _batches(windows: Windows, most_tokens: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Spans, (B, 4), of windows that follow each other, of `most_tokens` or one window; the first place that
    is new in them; and the end of the stream: its last token has no next one."""
    block, end = windows.block_size, len(windows.tokens) - 1
    size = max(1, most_tokens // block)
    spans: list[Span] = []
    first = covered = 0  # places that were written, and that are in `spans`, too
    while covered < end:
        start = max(0, min(covered - block // OVERLAP, end - block))
        span = windows.span(start, with_title=start < end - block)  # the last one has no room for a title
        spans.append(span)
        covered = start + block - span.title_length
        if len(spans) == size or covered >= end:
            yield np.array(spans, dtype=np.int64), first, end
            first, spans = covered, []


@torch.no_grad()
def _mean_probs(models: Sequence[GPT], ids: np.ndarray, repeats: Repeats, device: str, bf16: bool) -> Tensor:
    """(B, T) ids -> (B, T, V) float32: the mean of the models' probabilities, improved by repeats."""
    batch = torch.from_numpy(ids).to(device)
    with autocast(device, bf16):
        total = models[0].next_token_probs(batch)
        for model in models[1:]:
            total += model.next_token_probs(batch)
    return repeats.improve(total / len(models), ids)


def _rows(probs: Tensor, row: np.dtype) -> np.ndarray:
    """(B, T, V) probabilities -> (B, T) rows, laid out on the device: the computer only copies bytes."""
    likeliest = probs.topk(row["probs"].shape[0], dim=-1)
    id_type = {2: torch.int16, 4: torch.int32}[row["ids"].base.itemsize]  # the same bits as without a sign
    ids, kept = likeliest.indices.to(id_type), likeliest.values.half()
    parts = [part.contiguous().view(torch.uint8) for part in (ids, kept)]
    return torch.cat(parts, dim=-1).cpu().numpy().view(row)[..., 0]
