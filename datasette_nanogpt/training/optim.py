"""Optimizers and their parameter groups.

Ours: Muon for the matrices inside the layers, AdamW for embedding, output and gains. nanoGPT's, for
`--arch gpt2`: AdamW for everything, with weight decay on matrices only.

They are not torch.optim's, whose methods import torch._dynamo whether or not anything is compiled: 72 MB of
memory, and 1.5 s of a processor (LOG.md, "Lists, and the memory of a run").
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import GPT

from .flops import NEWTON_SCHULZ_STEPS

# AdamW's learning rates relative to --learning-rate, which is Muon's (LOG.md, "Readings and regularisation").
# The elements of the embedding are about 1, those of the output matrix about 0.2.
EMBEDDING_RATE, OUTPUT_RATE, GAIN_RATE = 3.0, 0.3, 1.0
# Weight decay relative to that of the matrices (LOG.md, "Readings and decay, once more").
EMBEDDING_DECAY, OUTPUT_DECAY = 0.75, 10.0
# The gains of normalized queries and keys stay as they began. Trained, they made models of four epochs 0.5 to
# 0.8% worse; and models that have the same ones are joined without loss (LOG.md, "Fixed gains").
FIXED = ("q_norm.weight", "k_norm.weight")
# Muon's momentum; 0.9 was 0.7% worse (LOG.md, "Momentum, sequence growth, NorMuon").
MOMENTUM = 0.95
# AdamW's betas; 0.95 for the second was 3% worse (LOG.md, "The recipe once more: what did not help").
BETAS = (0.9, 0.98)
# AdamW's betas in nanoGPT's train.py.
NANOGPT_BETAS = (0.9, 0.95)
# The highest learning rate: with more, AdamW's step would not fit in a float32. Nobody asks for so much.
MAX_RATE = 1e30
# Coefficients of the quintic iteration in Keller Jordan's post on Muon. NEWTON_SCHULZ_STEPS of it push all
# singular values into about 0.7 to 1.2.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Optimizer:
    """Groups of parameters, with the options of each and the state of each parameter."""

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self.param_groups = groups
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    def step(self) -> None:
        raise NotImplementedError

    @property
    def params(self) -> list[Tensor]:
        """All parameters, in an order that is the same each time."""
        return [p for group in self.param_groups for p in group["params"]]


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), by the kernel of torch.optim.AdamW's
    `fused`. A group has `params`, `lr`, `betas`, `eps` and `weight_decay`."""

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                if not self.state[p]:
                    # The number of steps is on the device, where a captured step can count.
                    self.state[p]["step"] = torch.zeros((), device=p.device)
                    self.state[p]["exp_avg"] = torch.zeros_like(p)
                    self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
            steps, means, squares = (
                [self.state[p][key] for p in params] for key in ("step", "exp_avg", "exp_avg_sq")
            )
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                params,
                [p.grad for p in params],
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )


class Muon(Optimizer):
    """Momentum whose update, for each matrix, is replaced by the nearest orthogonal one (Keller Jordan,
    2024). A group has `params`, `lr` and `weight_decay`.

    torch.optim.Muon steps one matrix at a time, in bfloat16. This one stacks matrices of the same shape,
    transposed or not, in the precision that is faster on this machine (LOG.md, "Newton-Schulz in bfloat16").
    """

    bf16 = False  # set by use_bf16 where autotune found it faster

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            stacks: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    stacks[tuple(sorted(p.shape))].append(p)
            for params in stacks.values():
                if group["weight_decay"]:
                    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                steps = self._updates(params)
                # Tall matrices get longer steps, so that every output changes as much.
                torch._foreach_mul_(steps, [math.sqrt(max(1.0, p.shape[0] / p.shape[1])) for p in params])
                torch._foreach_mul_(steps, group["lr"])
                torch._foreach_sub_(params, steps)

    def _updates(self, params: list[Tensor]) -> list[Tensor]:
        """Orthogonal updates of matrices that all have the shape of the first one, or its transpose."""
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        buffers = [self.state[p]["momentum"] for p in params]
        grads = [p.grad for p in params if p.grad is not None]
        torch._foreach_lerp_(buffers, grads, 1 - MOMENTUM)
        updates = torch._foreach_lerp(grads, buffers, MOMENTUM)  # Nesterov's look ahead
        shape = params[0].shape
        stack = torch.stack([update if update.shape == shape else update.mT for update in updates])
        together = orthogonalize(stack, self.bf16).unbind()
        return [step if p.shape == shape else step.mT for p, step in zip(params, together, strict=True)]


def orthogonalize(m: Tensor, bf16: bool = False) -> Tensor:
    """Roughly the nearest (semi-)orthogonal matrices to `m` (n, rows, columns), by Newton-Schulz."""
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
    """The optimizers for a model, as nanoGPT's function of the same name makes AdamW for its own recipe.

    Each group keeps its full learning rate as `peak_lr`, which `set_lr_scale` scales.
    """
    optimizers: list[Optimizer]
    if model.config.arch == "gpt2":  # as in nanoGPT
        params = [p for p in model.parameters() if p.requires_grad]
        common = {"lr": learning_rate, "betas": NANOGPT_BETAS, "eps": 1e-8}
        groups = [
            {"params": [p for p in params if p.ndim >= 2], "weight_decay": weight_decay, **common},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0, **common},
        ]
        optimizers = [AdamW(groups)]
    else:
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if ".layers." in name and p.ndim == 2]
        embedding = named["model.embed_tokens.weight"]
        gains = [p for p in named.values() if p.ndim < 2]
        for name, p in named.items():
            if name.endswith(FIXED):
                p.requires_grad_(False)
        rates: list[tuple[float, float, Sequence[Tensor]]]
        rates = [(EMBEDDING_RATE, EMBEDDING_DECAY, [embedding]), (GAIN_RATE, 0.0, gains)]
        if not model.config.tied:
            rates.append((OUTPUT_RATE, OUTPUT_DECAY, [model.output]))
        common = {"betas": BETAS, "eps": 1e-10}
        groups = [
            {"params": params, "lr": learning_rate * rate, "weight_decay": weight_decay * decay, **common}
            for rate, decay, params in rates
        ]
        optimizers = [
            Muon([{"params": matrices, "lr": learning_rate, "weight_decay": weight_decay}]),
            AdamW(groups),
        ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def use_bf16(optimizers: Sequence[Optimizer], bf16: bool) -> None:
    """Let Muon orthogonalize in bfloat16, or not."""
    for optimizer in optimizers:
        if isinstance(optimizer, Muon):
            optimizer.bf16 = bf16


def set_lr_scale(optimizers: Sequence[Optimizer], lr_scale: float | Tensor) -> None:
    """Set all learning rates to that fraction of the full ones."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["peak_lr"] * lr_scale
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate).clamp_(max=MAX_RATE)
            else:
                group["lr"] = min(rate, MAX_RATE)


def use_tensor_rates(optimizers: Sequence[Optimizer], device: str) -> None:
    """Let the learning rates be tensors on the device, which a captured step can change."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=device)


def state_tensors(optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """All state as named tensors, so that it can be saved without pickle."""
    return {
        f"optim.{i}.{n}.{key}": value
        for i, optimizer in enumerate(optimizers)
        for n, p in enumerate(optimizer.params)
        for key, value in optimizer.state.get(p, {}).items()
    }


def load_state_tensors(optimizers: Sequence[Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Restore a copy of what `state_tensors` returned; other tensors among them are ignored."""
    for optimizer in optimizers:
        optimizer.state.clear()
    for name, value in tensors.items():
        if name.startswith("optim."):
            _, i, n, key = name.split(".")
            p = optimizers[int(i)].params[int(n)]
            # A copy, because steps change it, and a run may go back to the same state once more.
            optimizers[int(i)].state[p][key] = value.to(p.device, torch.float32, copy=True)
