"""The batches of one process on its device, with what the teachers predict there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import TopProbs

from ..data.dataloader import DataLoader, gather, places_of
from .distributed import ProcessGroup
from .teacher_probs import TeacherProbs


class Batch(NamedTuple):
    """The part of a process: (B, T) ids, and what the teachers predict, if there are any."""

    ids: Tensor
    targets: Tensor
    teacher_probs: TopProbs | None
    # Of its mean loss, 1 on average: titles before windows do not count, and other processes may have more.
    weight: float


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
        self.last_spans = np.empty((0, 3), dtype=np.int64)  # of the last batch

    def next(self) -> Batch:
        spans, weight = self.next_spans()
        block_size = self.loader.block_size
        ids, targets = (self.on_device(a) for a in gather(self.loader.tokens, spans, block_size))
        places = places_of(spans, block_size)
        probs = self.teacher.at(places, self.device) if self.teacher else None
        self.last_spans = spans
        return Batch(ids, targets, probs, weight)

    def next_spans(self) -> tuple[np.ndarray, float]:
        """Where the windows are, (B, 3), and the weight of their mean loss."""
        block_size, spans = self.loader.block_size, self.loader.next_spans(self.batch_size)
        mine = spans[self.group.rank :: self.group.size]
        return mine, float((block_size - mine[:, 2].mean()) / (block_size - spans[:, 2].mean()))

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """The last batch again: inputs and targets, (B, T) ids each."""
        return gather(self.loader.tokens, self.last_spans, self.loader.block_size)

    def on_device(self, ids: np.ndarray) -> Tensor:
        batch = torch.from_numpy(ids)
        if not self.device.startswith("cuda"):
            return batch.to(self.device)
        # Copied while the GPU is still at the step before.
        return batch.pin_memory().to(self.device, non_blocking=True)
