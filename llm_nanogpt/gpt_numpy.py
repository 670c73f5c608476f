"""nanoGPT's model.py in float32 numpy with a key-value cache: sampling on the CPU without torch.

A token costs some 30 numpy calls a layer of 0.2 to 1 µs each, plus reading every weight once. To get
there, whatever can be multiplied out beforehand is: the gain of each norm goes into the matrix after it,
q/k/v and gate/up are one matrix each, and the two halves that rotary positions pair become neighbours, so
that rotating them is one product of complex numbers. Matrices are (in, out), which BLAS reads fastest.

Models that were joined stand side by side in one, and its matrices are zeros but for a block for each of
them. Only the blocks are kept and multiplied. Other models are one block.

Shapes in the comments: T tokens fed now, P tokens in the cache before them, S = P + T, N blocks, and of each
E n_embd, H heads, K key heads, G = H / K, D head size; V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np

from .config import GPTConfig

# Models with blocks of fewer parameters hold BLAS to one thread: on an idle machine a second one saves a
# third of a step at best, and on a busy one (training in the next terminal, say) waiting for it makes a step
# 3 to 20 times slower.
ONE_THREAD = 20_000_000
EXP_IS_SAFE = 60.0  # an attention score: its float32 exp(), summed over a context, is far from inf
ONE = np.float32(1)
ROTATED = 4096  # positions whose rotations are computed at a time, at 16 bytes per number


def build(config: GPTConfig, weights: dict[str, np.ndarray]) -> GPT:
    """A model from the tensors of model.safetensors, float32 under their Hugging Face names."""
    with np.errstate(over="ignore", invalid="ignore"):  # damaged weights show in the logits
        return (GPT2 if config.arch == "gpt2" else Qwen3)(config, weights)


class GPT:
    """What both architectures share. Weights never change: threads may share a model, but not a cache."""

    device = "cpu"
    output: np.ndarray  # (N E, V)

    def __init__(self, config: GPTConfig, blocks: int = 1) -> None:
        self.config, self.blocks = config, blocks
        self.n_head, self.n_kv_head = config.n_head // blocks, config.n_kv_head // blocks
        self.ones = np.ones(config.block_size, np.float32)
        self.threads = one_thread if config.parameters / blocks < ONE_THREAD else nullcontext

    def new_cache(self) -> np.ndarray:
        """Keys and values of every layer and position: (layers, N, 2K, block size, D), not yet filled."""
        c = self.config
        shape = (c.n_layer, self.blocks, 2 * self.n_kv_head, c.block_size, c.head_dim)
        return np.empty(shape, np.float32)

    def logits(self, ids: Sequence[int], cache: np.ndarray, past: int = 0) -> np.ndarray:
        """(V,) logits of the token after `ids`, which stand at positions `past` and up.

        `cache` must hold the `past` tokens before them, and takes these in. What it held from `past` on is
        forgotten, so a smaller `past` goes back in the text.
        """
        return self.all_logits(ids, cache, past, len(ids) - 1)[0]

    def all_logits(self, ids: Sequence[int], cache: np.ndarray, past: int = 0, first: int = 0) -> np.ndarray:
        """(T - first, V): the logits after each of `ids`, leaving out the first `first`."""
        if past + len(ids) > self.config.block_size:
            raise ValueError(f"{past + len(ids)} tokens do not fit a context of {self.config.block_size}")
        # exp() of a far negative gate is inf, and 1 / inf the right 0. What is no number shows in the logits.
        with self.threads(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._hidden(np.asarray(ids), cache, past)[first:].dot(self.output)

    def _hidden(self, ids: np.ndarray, cache: np.ndarray, past: int) -> np.ndarray:
        """(T, N E): the normalised output of the last layer at each of `ids`."""
        raise NotImplementedError

    def attend(self, heads: np.ndarray, cache: np.ndarray, past: int, bounded: bool = False) -> np.ndarray:
        """(N, T, H + 2K, D) queries (scaled), keys and values, and one layer's cache -> (N, T, H * D).

        `bounded` promises scores that exp() can take as they are.
        """
        blocks, n, _, d = heads.shape
        n_head, k, end = self.n_head, self.n_kv_head, past + n
        cache[:, :, past:end] = heads[:, :, n_head:].swapaxes(1, 2)
        q = heads[:, :, :n_head].reshape(blocks, n, k, -1, d).swapaxes(1, 2).reshape(blocks, k, -1, d)
        scores = q @ cache[:, :k, :end].swapaxes(2, 3)  # (N, K, T * G, S)
        if n > 1:
            future = np.arange(end) > np.arange(past, end)[:, None]  # (T, S)
            mask = np.where(future, np.float32(-np.inf), np.float32(0))[:, None]
            scores.reshape(blocks, k, n, -1, end)[:] += mask
        if not bounded:  # with QK-norm they nearly always are
            scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, scores)
        y = scores @ cache[:, k:, :end]  # (N, K, T * G, D)
        y /= np.vecdot(scores, self.ones[:end])[..., None]
        return y.reshape(blocks, k, n, -1, d).swapaxes(1, 2).reshape(blocks, n, -1)


class Qwen3(GPT):
    def __init__(self, config: GPTConfig, w: dict[str, np.ndarray]) -> None:
        super().__init__(config, joined_models(config, w))
        c, d, blocks = config, config.head_dim, self.blocks
        pairs = np.arange(d).reshape(2, -1).T.ravel()  # 0, D/2, 1, D/2 + 1, ...
        # The norm divides by the root of a sum, not of a mean, hence sqrt(E) here and sqrt(D) below.
        to_sum = np.float32(math.sqrt(c.n_embd))
        self.embed = w["model.embed_tokens.weight"]
        self.layers = []
        for i in range(c.n_layer):
            layer, a = f"model.layers.{i}.", f"model.layers.{i}.self_attn."
            q, k, v, o = (in_blocks(w[f"{a}{p}_proj.weight"], blocks) for p in "qkvo")
            q, k = (
                m.reshape(blocks, -1, d, c.n_embd // blocks)[:, :, pairs].reshape(m.shape) for m in (q, k)
            )
            qkv = np.concatenate([q, k, v], axis=1)
            qkv *= (w[f"{layer}input_layernorm.weight"] * to_sum).reshape(blocks, 1, -1)
            gate, up, down = (
                in_blocks(w[f"{layer}mlp.{p}_proj.weight"], blocks) for p in ("gate", "up", "down")
            )
            # Both negative: exp(-gate) is then at hand, and the signs cancel in gate * value.
            up = np.concatenate([gate, up], axis=1)
            up *= (w[f"{layer}post_attention_layernorm.weight"] * -to_sum).reshape(blocks, 1, -1)
            # (H + K, D): gains of queries and keys. Attention wants queries / sqrt(D), which cancels theirs.
            gain = np.repeat(
                [w[f"{a}q_norm.weight"][pairs], w[f"{a}k_norm.weight"][pairs] * np.float32(math.sqrt(d))],
                [self.n_head, self.n_kv_head],
                axis=0,
            )
            bounded = np.abs(gain[0]).max() * np.abs(gain[-1]).max() < EXP_IS_SAFE
            transposed = (np.ascontiguousarray(m.swapaxes(1, 2)) for m in (qkv, o, up, down))
            self.layers.append((gain, bounded, *transposed))
        self.norm = w["model.norm.weight"] * to_sum
        self.output = self.embed.T if c.tied else np.ascontiguousarray(w["lm_head.weight"].T)
        self.eps, self.head_eps = (np.float32(n * c.norm_eps) for n in (c.n_embd, d))
        frequencies = c.rope_theta ** (-np.arange(0, d, 2) / d)
        self.rotations = np.empty((c.block_size, 1, d // 2), np.complex64)
        for at in range(0, c.block_size, ROTATED):
            angle = np.outer(np.arange(at, min(at + ROTATED, c.block_size)), frequencies)
            self.rotations[at : at + ROTATED, 0] = np.exp(1j * angle)

    def normalised(self, x: np.ndarray) -> np.ndarray:
        """(N, T, E) -> (N, T, E): each divided by the root of its sum of squares, over N and E."""
        if x.shape[1] == 1:  # a scalar costs half of what an array of one number does
            flat = x.reshape(-1)
            return x / (flat.dot(flat) + self.eps) ** 0.5
        return x / np.sqrt(np.vecdot(x, x).sum(axis=0) + self.eps)[:, None]

    def _hidden(self, ids: np.ndarray, cache: np.ndarray, past: int) -> np.ndarray:
        c, n, blocks = self.config, len(ids), self.blocks
        rotations, qk_heads = self.rotations[past : past + n], self.n_head + self.n_kv_head
        x = self.embed[ids].reshape(n, blocks, -1).swapaxes(0, 1)
        for (gain, bounded, qkv, o, up, down), layer_cache in zip(self.layers, cache, strict=True):
            heads = (self.normalised(x) @ qkv).reshape(blocks, n, -1, c.head_dim)  # (N, T, H + 2K, D)
            qk = heads[:, :, :qk_heads]
            qk *= gain / np.sqrt(np.vecdot(qk, qk) + self.head_eps)[..., None]
            pairs = qk.view(np.complex64)
            pairs *= rotations
            x += self.attend(heads, layer_cache, past, bounded) @ o
            inner = self.normalised(x) @ up
            gate, value = inner[..., : down.shape[1]], inner[..., down.shape[1] :]  # both negative
            value *= gate
            np.exp(gate, gate)
            gate += ONE
            value /= gate
            x += value @ down
        x = self.normalised(x).swapaxes(0, 1).reshape(n, -1)
        x *= self.norm
        return x


def joined_models(config: GPTConfig, w: dict[str, np.ndarray]) -> int:
    """How many models of one shape were joined, by the zeros between their blocks; 1 for none."""
    matrices = [matrix for name, matrix in w.items() if name.endswith("_proj.weight")]
    sizes = config.n_embd, config.n_inner, config.n_head, config.n_kv_head
    found = (
        n
        for n in range(config.n_kv_head, 1, -1)
        if not any(size % n for size in sizes)
        and all(np.count_nonzero(in_blocks(m, n)) == np.count_nonzero(m) for m in matrices)
    )
    return next(found, 1)


def in_blocks(matrix: np.ndarray, n: int) -> np.ndarray:
    """(n, rows / n, columns / n): the blocks on the diagonal."""
    rows, columns = matrix.shape
    return matrix.reshape(n, rows // n, n, columns // n).diagonal(axis1=0, axis2=2).transpose(2, 0, 1)


class GPT2(GPT):
    def __init__(self, config: GPTConfig, w: dict[str, np.ndarray]) -> None:
        super().__init__(config)
        self.embed = w["transformer.wte.weight"]
        self.output = self.embed.T
        self.positions = w["transformer.wpe.weight"]
        self.layers = []
        for i in range(config.n_layer):
            h = f"transformer.h.{i}."
            layer = []
            for norm, matrix in (("ln_1", "attn.c_attn"), ("ln_2", "mlp.c_fc")):
                # (E, out): the norm's gain goes into the matrix, its bias into the matrix's bias.
                weight, bias = w[f"{h}{matrix}.weight"], w[f"{h}{matrix}.bias"]
                bias = bias + w[f"{h}{norm}.bias"] @ weight
                weight = weight * w[f"{h}{norm}.weight"][:, None]
                if matrix == "attn.c_attn":  # attention wants queries / sqrt(D)
                    weight[:, : config.n_embd] /= math.sqrt(config.head_dim)
                    bias[: config.n_embd] /= math.sqrt(config.head_dim)
                out = "attn.c_proj" if norm == "ln_1" else "mlp.c_proj"
                layer += [weight, bias, w[f"{h}{out}.weight"], w[f"{h}{out}.bias"]]
            self.layers.append(layer)
        self.ln_f = w["transformer.ln_f.weight"], w["transformer.ln_f.bias"]
        self.activation = gelu_tanh if config.activation == "gelu_new" else gelu

    def normalised(self, x: np.ndarray) -> np.ndarray:
        """LayerNorm without gain and bias."""
        n = self.config.n_embd
        x = x - np.add.reduce(x, axis=1, keepdims=True) / n
        x /= np.sqrt(np.vecdot(x, x) / n + self.config.norm_eps)[:, None]
        return x

    def _hidden(self, ids: np.ndarray, cache: np.ndarray, past: int) -> np.ndarray:
        n, d = len(ids), self.config.head_dim
        x = self.embed[ids] + self.positions[past : past + n]
        for (qkv, qkv_b, o, o_b, up, up_b, down, down_b), layer_cache in zip(self.layers, cache, strict=True):
            heads = (self.normalised(x) @ qkv + qkv_b).reshape(1, n, -1, d)
            x += self.attend(heads, layer_cache, past)[0] @ o + o_b
            x += self.activation(self.normalised(x) @ up + up_b) @ down + down_b
        gain, bias = self.ln_f
        return self.normalised(x) * gain + bias


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """GPT-2's GELU: x/2 (1 + tanh u) is x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    return x / (1 + np.exp(x * (-1.5957691216 - 0.0713548162726 * x * x)))


def gelu(x: np.ndarray) -> np.ndarray:
    """Exact GELU. numpy has no erf: Abramowitz and Stegun's formula 7.1.26, right to 1.5e-7."""
    z = np.abs(x) * math.sqrt(0.5)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * poly * np.exp(-z * z)  # the chance of a normal number beyond |x|
    return x * np.where(x > 0, 1 - tail, tail)


@cache
def blas_threads() -> list[tuple[Any, int]]:
    """numpy's BLAS libraries, and how many threads each had before anything here changed that."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return [(lib, lib.num_threads) for lib in ThreadpoolController().select(user_api="blas").lib_controllers]


class one_thread:  # noqa: N801  # used as a function is
    """Hold BLAS to one thread, process-wide, and give it back. About 2 µs; threads may overlap in it."""

    def __enter__(self) -> None:
        for lib, _ in blas_threads():
            lib.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        for lib, threads in blas_threads():
            lib.set_num_threads(threads)
