"""Parameter groups and optimizers.

Ours: Muon for the matrices inside the layers, AdamW for embeddings, output and gains. nanoGPT's, for
`--arch gpt2`: AdamW for everything, weight decay on matrices alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from llm_nanogpt.gpt_torch import GPT

from .flops import NEWTON_SCHULZ_STEPS

# Rates relative to --learning-rate, which is Muon's. Found on blog text, see benchmarks/LOG.md.
EMBEDDING_RATE = 3.0  # of an embedding whose elements are about 1
OUTPUT_RATE = 0.3  # of an output matrix whose elements are about 0.2
GAIN_RATE = 1.0
EMBEDDING_DECAY, OUTPUT_DECAY = 0.75, 10.0  # relative to the matrices' weight decay
MOMENTUM = 0.95
# Coefficients of the quintic iteration from Keller Jordan's Muon post: they push all singular values
# into about 0.7 to 1.2 in NEWTON_SCHULZ_STEPS.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Momentum whose update, for each matrix, is replaced by the nearest orthogonal one.

    torch.optim.Muon steps one matrix at a time, in bfloat16; this one stacks matrices of one shape, in the
    precision that suits the machine. Measured in benchmarks/LOG.md.
    """

    bf16 = False  # set where bfloat16 was found faster: speed.settle

    def __init__(self, params, lr: float, weight_decay: float = 0.0, momentum: float = MOMENTUM):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            stacks: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    stacks[p.shape].append(p)
            for shape, params in stacks.items():
                for p in params:
                    if "momentum" not in self.state[p]:
                        self.state[p]["momentum"] = torch.zeros_like(p)
                buffers = [self.state[p]["momentum"] for p in params]
                grads = [p.grad for p in params]
                torch._foreach_lerp_(buffers, grads, 1 - group["momentum"])
                updates = torch._foreach_lerp(grads, buffers, group["momentum"])  # Nesterov's look ahead
                # Tall matrices get longer steps, so that every output moves alike.
                scale = group["lr"] * math.sqrt(max(1.0, shape[0] / shape[1]))
                if group["weight_decay"]:
                    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                steps = orthogonalize(torch.stack(updates), self.bf16)
                torch._foreach_add_(params, list(steps.unbind()), alpha=-scale)


def orthogonalize(m: Tensor, bf16: bool = False) -> Tensor:
    """(n, rows, columns) matrices -> about the nearest (semi-)orthogonal ones, by Newton-Schulz."""
    dtype = m.dtype
    x = m.bfloat16() if bf16 or m.is_cuda else m
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(dtype)


def configure_optimizers(model: GPT, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    """The optimizers for a model; each group keeps its full rate as `peak_lr` for the schedule to scale."""
    fused = next(model.parameters()).is_cuda
    optimizers: list[Optimizer]
    if model.config.arch == "gpt2":  # nanoGPT's configure_optimizers
        params = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizers = [AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), fused=fused)]
    else:
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if ".layers." in name and p.ndim == 2]
        embedding = model.model.embed_tokens.weight
        gains = [p for p in named.values() if p.ndim < 2]
        rates = [(EMBEDDING_RATE, EMBEDDING_DECAY, [embedding]), (GAIN_RATE, 0.0, gains)]
        if not model.config.tied:
            rates.append((OUTPUT_RATE, OUTPUT_DECAY, [model.output]))
        groups = [
            {"params": params, "lr": learning_rate * rate, "weight_decay": weight_decay * decay}
            for rate, decay, params in rates
        ]
        optimizers = [
            Muon(matrices, learning_rate, weight_decay),
            AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-10, fused=fused),
        ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def use_bf16(optimizers: Sequence[Optimizer], bf16: bool) -> None:
    for optimizer in optimizers:
        if isinstance(optimizer, Muon):
            optimizer.bf16 = bf16


def set_lr_scale(optimizers: list[Optimizer], share: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share


def state_tensors(optimizers: list[Optimizer]) -> dict[str, Tensor]:
    """All state as named tensors, so that it can be kept without pickle."""
    return {
        f"optim.{i}.{p}.{key}": value
        for i, optimizer in enumerate(optimizers)
        for p, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_state_tensors(optimizers: list[Optimizer], tensors: dict[str, Tensor]) -> None:
    states: list[dict] = [defaultdict(dict) for _ in optimizers]
    for name, value in tensors.items():
        if name.startswith("optim."):
            _, i, p, key = name.split(".")
            states[int(i)][int(p)][key] = value
    for optimizer, state in zip(optimizers, states, strict=True):
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
