"""nanoGPT's model.py: the GPT as torch modules, for training on every device and sampling on mps and cuda.

Attributes are named so that `state_dict()` is the Hugging Face checkpoint, key for key. Shapes in the
comments: B batch, T tokens, E n_embd, H heads, D head size, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # as everyone writes it

from .config import GPTConfig

Cache = list[tuple[Tensor, Tensor]]  # per layer: keys and values so far, each (B, H, T, D)
# What a teacher predicts at each place: its K likeliest next tokens, (B, T, K) ids, and their probabilities,
# (B, T, K) float32. What these lack of 1 is that of all other tokens together.
TopProbs = tuple[Tensor, Tensor]


def build(config: GPTConfig, dropout: float = 0.0) -> GPT:
    """A freshly initialised model on the CPU, in float32."""
    return (GPT2 if config.arch == "gpt2" else Qwen3)(config, dropout)


class GPT(nn.Module):
    """What both architectures share: from token ids to logits or loss."""

    def __init__(self, config: GPTConfig, dropout: float) -> None:
        super().__init__()
        self.config = config
        self.dropout = dropout
        # With GPT-2 only, as nanoGPT has it: on the CPU dropout in attention halves the speed of a step.
        self.attention_dropout = dropout if config.arch == "gpt2" else 0.0

    def hidden(self, ids: Tensor, cache: Cache | None) -> Tensor:
        """(B, T) ids -> (B, T, E), the last layer's normalised output."""
        raise NotImplementedError

    @property
    def output(self) -> Tensor:
        """The (V, E) matrix that turns hidden states into logits."""
        raise NotImplementedError

    def forward(
        self, ids: Tensor, targets: Tensor, reduction: str = "mean", teacher_probs: TopProbs | None = None
    ) -> Tensor:
        """Cross-entropy in nats of `targets` (B, T) after `ids` (B, T); targets of -100 do not count.

        With `teacher_probs`, a tensor of two means: the cross-entropy of `targets`, and that of the teacher's
        distribution (1503.02531, at temperature 1), both where targets count.
        """
        logits = F.linear(self.hidden(ids, None), self.output).flatten(0, 1).float()
        if teacher_probs is None:
            return F.cross_entropy(logits, targets.flatten(), ignore_index=-100, reduction=reduction)
        logprobs = F.log_softmax(logits, dim=-1)
        likeliest, probs = (each.flatten(0, 1) for each in teacher_probs)  # (B T, K)
        own = logprobs.gather(1, likeliest)
        # All other tokens count as one: their probabilities in all, as the teacher and the model have them.
        rest, own_rest = 1 - probs.sum(dim=-1), 1 - own.exp().sum(dim=-1)
        losses = -(probs * own).sum(dim=-1) - rest.clamp(min=0) * own_rest.clamp(min=1e-6).log()
        counted = (targets.flatten() != -100).float()
        distillation = (losses * counted).sum() / counted.sum()  # autocast would round a product of matrices
        return torch.stack([F.nll_loss(logprobs, targets.flatten(), ignore_index=-100), distillation])

    @torch.no_grad()
    def next_token_probs(self, ids: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, V) float32 probabilities: what a teacher predicts at each place."""
        return F.linear(self.hidden(ids, None), self.output).float().softmax(dim=-1)

    @torch.inference_mode()
    def logits(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, T) ids -> (B, V) float32 logits of the next token. `cache` (start with []) grows in place."""
        return F.linear(self.hidden(ids, cache)[:, -1], self.output).float()

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, cache: Cache | None) -> Tensor:
        """Causal attention of q (B, H, T, D) over k and v (B, H', T, D), and over the cache before them."""
        past = 0
        if cache is not None:
            if layer < len(cache):
                past = cache[layer][0].shape[2]
                k, v = (torch.cat(pair, dim=2) for pair in zip(cache[layer], (k, v), strict=True))
                cache[layer] = (k, v)
            else:
                cache.append((k, v))
        mask = None
        if past and q.shape[2] > 1:
            mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(past)
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.attention_dropout if self.training else 0.0,
            is_causal=past == 0 and q.shape[2] > 1,
            enable_gqa=k.shape[1] != q.shape[1],
        )

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


# ---- Qwen3: RMSNorm before each block, rotary positions, normalised queries and keys, SwiGLU, no biases


# The length of normalized queries and keys, which training leaves as it is: of 1, 1.1 and 1.25, and of 1.6 in
# the layers with heads that copy, 1.1 was best (LOG.md, "Fixed gains").
ATTENTION_GAIN = 1.1


class Qwen3Layer(nn.Module):
    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        q, kv = c.n_head * c.head_dim, c.n_kv_head * c.head_dim
        self.input_layernorm = nn.RMSNorm(c.n_embd, c.norm_eps)
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(c.n_embd, q, bias=False),
                "k_proj": nn.Linear(c.n_embd, kv, bias=False),
                "v_proj": nn.Linear(c.n_embd, kv, bias=False),
                "o_proj": nn.Linear(q, c.n_embd, bias=False),
                "q_norm": nn.RMSNorm(c.head_dim, c.norm_eps),
                "k_norm": nn.RMSNorm(c.head_dim, c.norm_eps),
            }
        )
        self.post_attention_layernorm = nn.RMSNorm(c.n_embd, c.norm_eps)
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": nn.Linear(c.n_embd, c.n_inner, bias=False),
                "up_proj": nn.Linear(c.n_embd, c.n_inner, bias=False),
                "down_proj": nn.Linear(c.n_inner, c.n_embd, bias=False),
            }
        )


class Qwen3(GPT):
    cos: Tensor  # (block_size, D): of the angle of each position, for rotary positions
    sin: Tensor  # the same, with the signs that `rotate` wants

    def __init__(self, config: GPTConfig, dropout: float = 0.0) -> None:
        super().__init__(config, dropout)
        c = config
        self.model: Any = nn.ModuleDict(  # Any: torch types its members as Tensor | Module
            {
                "embed_tokens": nn.Embedding(c.vocab_size, c.n_embd),
                "layers": nn.ModuleList(Qwen3Layer(c) for _ in range(c.n_layer)),
                "norm": nn.RMSNorm(c.n_embd, c.norm_eps),
            }
        )
        if not c.tied:
            self.lm_head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        frequency = c.rope_theta ** (-torch.arange(0, c.head_dim, 2) / c.head_dim)
        angle = torch.arange(c.block_size)[:, None] * frequency  # (T, D/2)
        self.register_buffer("cos", torch.cat([angle.cos(), angle.cos()], dim=1), persistent=False)
        self.register_buffer("sin", torch.cat([-angle.sin(), angle.sin()], dim=1), persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Variance-keeping layers, output projections zero: each block starts as the identity."""
        for name, p in self.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                nn.init.constant_(p, ATTENTION_GAIN)
            elif p.ndim == 1:
                nn.init.ones_(p)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(p)
            elif name.endswith(("embed_tokens.weight", "lm_head.weight")):
                # Small, so that the first predictions are nearly even.
                nn.init.normal_(p, std=0.02)
            else:
                nn.init.normal_(p, std=1 / math.sqrt(p.shape[1]))

    @property
    def output(self) -> Tensor:
        return self.model.embed_tokens.weight if self.config.tied else self.lm_head.weight

    def hidden(self, ids: Tensor, cache: Cache | None) -> Tensor:
        past = cache[0][0].shape[2] if cache else 0
        cos, sin = (t[past : past + ids.shape[1]] for t in (self.cos, self.sin))
        x = self.drop(self.model.embed_tokens(ids))
        for i, layer in enumerate(self.model.layers):
            a, m = layer.self_attn, layer.mlp
            y = for_products(layer.input_layernorm(x))
            q, k, v = (p(y).unflatten(-1, (-1, self.config.head_dim)) for p in (a.q_proj, a.k_proj, a.v_proj))
            q, k = (rotate(norm(n, t).transpose(1, 2), cos, sin) for n, t in ((a.q_norm, q), (a.k_norm, k)))
            y = self.attend(i, q, k, v.transpose(1, 2), cache)
            x = x + self.drop(a.o_proj(y.transpose(1, 2).flatten(2)))
            y = for_products(layer.post_attention_layernorm(x))
            x = x + self.drop(m.down_proj(F.silu(m.gate_proj(y)) * m.up_proj(y)))
        return self.model.norm(x)


def norm(layer: nn.RMSNorm, x: Tensor) -> Tensor:
    """In the precision of x, which under autocast is not that of the weights: torch's kernel wants one."""
    return F.rms_norm(x, layer.normalized_shape, layer.weight.to(x.dtype), layer.eps)


def for_products(x: Tensor) -> Tensor:
    """In the precision of autocast, once for several matrix products: each would do it again for itself."""
    device = x.device.type
    cast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return x.to(torch.get_autocast_dtype(device)) if cast else x


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn x (B, H, T, D) by its positions; Hugging Face pairs component i with i + D/2."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin).type_as(x)


# ---- GPT-2, as nanoGPT has it


class Conv1D(nn.Module):
    """GPT-2's linear layer, whose weight is (in, out)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)


class GPT2Layer(nn.Module):
    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(c.n_embd, c.norm_eps)
        self.attn = nn.ModuleDict(
            {"c_attn": Conv1D(c.n_embd, 3 * c.n_embd), "c_proj": Conv1D(c.n_embd, c.n_embd)}
        )
        self.ln_2 = nn.LayerNorm(c.n_embd, c.norm_eps)
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(c.n_embd, c.n_inner), "c_proj": Conv1D(c.n_inner, c.n_embd)})


class GPT2(GPT):
    def __init__(self, config: GPTConfig, dropout: float = 0.0) -> None:
        super().__init__(config, dropout)
        c = config
        self.transformer: Any = nn.ModuleDict(  # Any: torch types its members as Tensor | Module
            {
                "wte": nn.Embedding(c.vocab_size, c.n_embd),
                "wpe": nn.Embedding(c.block_size, c.n_embd),
                "h": nn.ModuleList(GPT2Layer(c) for _ in range(c.n_layer)),
                "ln_f": nn.LayerNorm(c.n_embd, c.norm_eps),
            }
        )
        self.init_weights()

    def init_weights(self) -> None:
        """nanoGPT's: normal(0, 0.02), residual projections / sqrt(2 x layers), biases zero.

        nanoGPT trains without biases (`bias = False` in its train.py), the Hugging Face format has them:
        here they are zeros that do not learn.
        """
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
                p.requires_grad_(False)
            elif p.ndim == 1:
                nn.init.ones_(p)
            else:
                scale = math.sqrt(2 * self.config.n_layer) if name.endswith("c_proj.weight") else 1
                nn.init.normal_(p, std=0.02 / scale)

    @property
    def output(self) -> Tensor:
        return self.transformer.wte.weight

    def hidden(self, ids: Tensor, cache: Cache | None) -> Tensor:
        past = cache[0][0].shape[2] if cache else 0
        positions = torch.arange(past, past + ids.shape[1], device=ids.device)
        x = self.drop(self.transformer.wte(ids) + self.transformer.wpe(positions))
        approximate = "tanh" if self.config.activation == "gelu_new" else "none"
        for i, layer in enumerate(self.transformer.h):
            qkv = layer.attn.c_attn(layer.ln_1(x)).unflatten(-1, (3, self.config.n_head, -1))
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
            y = self.attend(i, q, k, v, cache)
            x = x + self.drop(layer.attn.c_proj(y.transpose(1, 2).flatten(2)))
            y = F.gelu(layer.mlp.c_fc(layer.ln_2(x)), approximate=approximate)
            x = x + self.drop(layer.mlp.c_proj(y))
        return self.transformer.ln_f(x)


# ---- Sampling


class TorchModel:
    """A torch module as a `LanguageModel`. Call `module.eval()` first, or dropout stays on."""

    def __init__(self, module: GPT) -> None:
        self.module = module
        self.config = module.config

    @property
    def device(self) -> str:
        return str(next(self.module.parameters()).device)

    def new_cache(self) -> Cache:
        return []

    def logits(self, ids: Sequence[int], cache: Cache, past: int = 0) -> np.ndarray:
        """(V,) logits of the token after `ids` at positions `past` and up: see `gpt_numpy.GPT.logits`."""
        cache[:] = [(k[:, :, :past], v[:, :, :past]) for k, v in cache] if past else []
        return self.module.logits(torch.tensor([list(ids)], device=self.device), cache)[0].cpu().numpy()
