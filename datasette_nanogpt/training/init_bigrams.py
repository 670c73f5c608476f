"""A start from the table's own word pairs: before its first step the model knows what follows what.

With its blocks still the identity, a model is logits = U @ rmsnorm(E[token]). So a factorisation of the
table of smoothed log-probabilities of each token after each other gives E (embedding) and U (output).
"""

from __future__ import annotations

import math

import numpy as np
import torch

from llm_nanogpt.gpt_torch import Qwen3

from .init_induction import code_dims

SMOOTHING = 32.0  # pairs' worth of the plain frequencies mixed into each row
SAMPLE = 20_000_000  # tokens counted
ROW_WEIGHT = 0.5  # rows weigh as their frequency to this power: errors on frequent tokens cost more


@torch.no_grad()
def init_from_bigrams(model: Qwen3, tokens: np.ndarray) -> None:
    """Set the untied embedding and output of a fresh model from a training stream.

    P(j after i) = (count(i, j) + a P(j)) / (count(i) + a), of which only log P(j) + log(1 + count(i, j) /
    (a P(j))) matters to a softmax. The second term is sparse and gets the dimensions before the room of
    induction.py (by SVD, rows weighted by frequency). The first is one more dimension, constant in the
    embedding. The last dimension makes all rows of the embedding equally long, so that RMSNorm changes
    nothing.
    """
    v, e = model.config.vocab_size, model.config.n_embd
    ids = torch.from_numpy(tokens[:SAMPLE].astype(np.int64))
    pairs, counts = torch.unique(ids[:-1] * v + ids[1:], return_counts=True)
    frequency = (torch.bincount(ids, minlength=v) + 0.5) / (len(ids) + 0.5 * v)
    i, j = pairs // v, pairs % v
    ratio = torch.log1p(counts / (SMOOTHING * frequency[j]))
    weight = frequency**ROW_WEIGHT
    matrix = torch.sparse_coo_tensor(torch.stack([i, j]), ratio * weight[i], (v, v), check_invariants=True)
    left, values, right = torch.svd_lowrank(matrix, q=min(code_dims(model.config)[0].start, v), niter=2)
    left, right = left * values.sqrt() / weight[:, None], right * values.sqrt()

    bias = frequency.log()
    bias -= bias.mean()
    # Rows of the embedding get the length sqrt(E), which is RMS 1: a quarter of its square is the constant,
    # half of it at most the factor's.
    scale = math.sqrt(e / 2) / left.norm(dim=1).max()
    left *= scale
    constant = math.sqrt(e / 4)
    slack = (e - constant**2 - left.square().sum(1)).clamp(min=0).sqrt()
    unused = torch.zeros(v, e - 2 - left.shape[1])  # the room, more of it where the vocabulary is smaller
    embedding = [left, unused, torch.full((v, 1), constant), slack[:, None]]
    output = [right / scale, unused, bias[:, None] / constant, torch.zeros(v, 1)]
    model.model.embed_tokens.weight.copy_(torch.cat(embedding, dim=1))
    model.lm_head.weight.copy_(torch.cat(output, dim=1))
