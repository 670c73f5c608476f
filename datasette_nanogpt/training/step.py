"""One training step: forward, backward, clipping, optimizers; on CUDA as one graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .batches import Batch, Batches, TextOnDevice
from .cuda_graph import Captured, why_not_captured
from .distillation import distillation_loss
from .on_device import autocast
from .optim import Optimizer, set_lr_scale, use_tensor_rates


class Knobs(NamedTuple):
    """What changes from step to step beside the batch: numbers, or tensors of one number on the device."""

    lr_scale: float | Tensor  # fraction of the full learning rate
    weight: float | Tensor  # of this process's mean loss
    teacher_weight: float | Tensor  # of the teachers' probabilities; the text has the rest


# Makes a step on the windows at spans, (B, 4); its mean loss, a scalar.
Steps = Callable[[np.ndarray, Knobs], Tensor]


class TrainStep:
    """The step of a model in training."""

    def __init__(
        self,
        forward: Callable[..., Tensor],
        params: Sequence[nn.Parameter],
        optimizers: Sequence[Optimizer],
        grad_clip: float,
        precision: tuple[str, bool],
    ) -> None:
        """`precision` is the device, and whether matrix products are in bfloat16."""
        self.forward, self.params, self.optimizers = forward, params, optimizers
        self.grad_clip, (self.device, self.bf16) = grad_clip, precision

    def __call__(self, batch: Batch, knobs: Knobs) -> Tensor:
        """Make the step; the mean loss of the text in nats, a scalar."""
        try:
            return self._step(batch, knobs)
        finally:  # a capture that failed leaves gradients without numbers
            for p in self.params:
                p.grad = None

    def _step(self, batch: Batch, knobs: Knobs) -> Tensor:
        set_lr_scale(self.optimizers, knobs.lr_scale)
        with autocast(self.device, self.bf16):
            if batch.teacher_probs:
                losses = self.forward(batch.ids, batch.targets, teacher_probs=batch.teacher_probs)
                text, loss = losses[0], distillation_loss(losses, knobs.teacher_weight)
            else:
                text = loss = self.forward(batch.ids, batch.targets)
        (knobs.weight * loss).backward()
        nn.utils.clip_grad_norm_(self.params, self.grad_clip)
        for optimizer in self.optimizers:
            optimizer.step()
        return text.detach()


# Steps that may wait for the GPU. Launching a graph takes less time than its work, so a loop that did not
# wait would be a thousand steps ahead, at the rates and seconds of a moment that is long over.
STEPS_AHEAD = 4


class GraphedStep:
    """The same as a CUDA graph. It takes its windows on the device, by `gather`, from spans (B, 4)."""

    def __init__(self, step: TrainStep, gather: Callable[[Tensor], Batch], windows: int) -> None:
        self.step, self.gather = step, gather
        self.spans = torch.zeros(windows, 4, dtype=torch.int64, device=step.device)
        self.knobs = torch.zeros(len(Knobs._fields), device=step.device)
        self.loss = torch.zeros((), device=step.device)
        self.run = Captured(step.device)
        self.ends: deque[torch.cuda.Event] = deque()  # of the steps that the GPU may still be at

    def __call__(self, spans: np.ndarray, knobs: Knobs) -> Tensor:
        """A step on the windows at these spans; its mean loss, which the next step overwrites."""
        for tensor, values in ((self.spans, torch.from_numpy(spans)), (self.knobs, torch.tensor(knobs))):
            # Copied while the GPU still works on the step before.
            tensor.copy_(values.pin_memory() if tensor.is_cuda else values, non_blocking=True)
        self.run(self._step)
        if self.loss.is_cuda:
            self._wait()
        return self.loss

    def _wait(self) -> None:
        """Until the GPU is no more than STEPS_AHEAD behind; without keeping a core busy."""
        end = torch.cuda.Event(blocking=True)
        end.record(torch.cuda.current_stream(self.loss.device))
        self.ends.append(end)
        if len(self.ends) > STEPS_AHEAD:
            self.ends.popleft().synchronize()

    def _step(self) -> None:
        self.loss.copy_(self.step(self.gather(self.spans), Knobs(*self.knobs.unbind())))


def make_steps(step: TrainStep, batches: Batches) -> Steps:
    """The function that makes steps on the windows of these batches: a CUDA graph, where that is possible."""
    if why_not_captured(step.device, batches.group.size, batches.fit_on_device()):
        return lambda spans, knobs: step(batches.gather(spans), knobs)
    use_tensor_rates(step.optimizers, step.device)
    text = TextOnDevice(batches.loader, step.device, batches.teacher)
    return GraphedStep(step, text.gather, batches.batch_size)
