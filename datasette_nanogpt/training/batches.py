"""The batches of one process on its device, with the teachers' predictions for them: taken from the token
file, or from a copy of it in the memory of a GPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import TopProbs

from ..data.dataloader import IGNORED, DataLoader, gather, places_of
from .distributed import ProcessGroup
from .teacher_probs import TeacherProbs

ROWS_AT_ONCE = 1_000_000  # tokens that are copied to a GPU at once, or rows of teachers' predictions


class Batch(NamedTuple):
    """One process's part of a batch: (B, T) ids and targets, and what teachers predict, if there are any."""

    ids: Tensor
    targets: Tensor
    teacher_probs: TopProbs | None


class Batches:
    """Hands out the parts of this process, one batch after the other."""

    def __init__(
        self,
        loader: DataLoader,
        batch_size: int,
        device: str,
        group: ProcessGroup,
        teacher: TeacherProbs | None,
    ) -> None:
        self.loader, self.batch_size, self.device = loader, batch_size, device
        self.group, self.teacher = group, teacher
        self.last_spans = np.empty((0, 4), dtype=np.int64)  # of the last batch

    def gather(self, spans: np.ndarray) -> Batch:
        """The windows at these spans, (B, 4), by way of the computer's memory."""
        block_size = self.loader.block_size
        ids, targets = (self.on_device(a) for a in gather(self.loader.tokens, spans, block_size))
        places = places_of(spans, block_size)
        return Batch(ids, targets, self.teacher.at(places, self.device) if self.teacher else None)

    def fit_on_device(self) -> bool:
        """Whether the text, and what the teachers predict, take at most a quarter of what a GPU has left."""
        if not self.device.startswith("cuda"):
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        return TextOnDevice.size(self.loader, self.teacher) <= free // 4

    def next_spans(self) -> tuple[np.ndarray, float]:
        """Where the next windows are, (B, 4), and the weight of their mean loss, 1 on average: most titles
        do not count, and other processes may have more of these."""
        spans = self.loader.next_spans(self.batch_size)
        mine = self.last_spans = spans[self.group.rank :: self.group.size]
        counted = [self.loader.block_size + (each[:, 3] - each[:, 2]).mean() for each in (mine, spans)]
        return mine, float(counted[0] / counted[1])

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """The last batch again: inputs and targets, (B, T) ids each."""
        return gather(self.loader.tokens, self.last_spans, self.loader.block_size)

    def on_device(self, ids: np.ndarray) -> Tensor:
        batch = torch.from_numpy(ids)
        if not self.device.startswith("cuda"):
            return batch.to(self.device)
        # Copied while the GPU still works on the step before.
        return batch.pin_memory().to(self.device, non_blocking=True)


def _copied(rows: np.ndarray, dtype: torch.dtype, device: str) -> Tensor:
    """An array of a file as a tensor on the device, without a copy of all of it in the computer's memory."""
    whole = torch.empty(rows.shape, dtype=dtype, device=device)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = torch.tensor(rows[start : start + ROWS_AT_ONCE]).to(dtype)
        whole[start : start + len(part)] = part
    return whole


class TextOnDevice:
    """The training text, and what the teachers predict, as tensors on the device: windows are taken there."""

    def __init__(self, loader: DataLoader, device: str, teacher: TeacherProbs | None) -> None:
        self.block_size = loader.block_size
        self.tokens = _copied(loader.tokens, torch.int32, device)
        self.at = torch.arange(self.block_size + 1, device=device)
        self.likeliest = self.probs = torch.empty(0)
        self.has_teacher = teacher is not None
        if teacher:
            self.likeliest = _copied(teacher.rows["ids"], torch.int32, device)
            self.probs = _copied(teacher.rows["probs"], torch.float16, device)

    @staticmethod
    def size(loader: DataLoader, teacher: TeacherProbs | None) -> int:
        """In bytes."""
        row = teacher.rows.dtype["ids"].shape[0] * (4 + 2) if teacher else 0
        return len(loader.tokens) * (4 + row)

    def gather(self, spans: Tensor) -> Batch:
        """What `Batches.gather` has for the same spans, (B, 4) on the device."""
        start, title, length, counted = (column[:, None] for column in spans.unbind(1))
        places = torch.where(self.at < length, title + self.at, start + self.at - length)
        ids = self.tokens[places].long()
        targets = ids[:, 1:].masked_fill((self.at[:-1] >= counted) & (self.at[:-1] < length), IGNORED)
        probs = None
        if self.has_teacher:
            places = places[:, :-1]
            probs = self.likeliest[places].long(), self.probs[places].float()
        return Batch(ids[:, :-1], targets, probs)
