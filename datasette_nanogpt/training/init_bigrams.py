"""An initialization from the bigrams of the text: before its first step the model knows which token follows
which.

With blocks that do nothing yet, a model computes logits = U @ rmsnorm(E[token]). So a factorization of the
log probabilities of each token after each other one gives E, the embedding, and U, the output matrix (LOG.md,
"The start"). Shapes: V vocabulary, E width, K dimensions of the factorization.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import Qwen3

from .init_induction import code_dims

SMOOTHING = 32.0  # how many bigrams the plain frequencies count for in each row
MAX_TOKENS = 20_000_000  # counted, of a longer text the first ones
COUNTED_AT_ONCE = 1_000_000  # tokens
# Rows count as their frequency to this power: errors on frequent tokens cost more (LOG.md, "The start").
ROW_WEIGHT = 0.5


@torch.no_grad()
def init_from_bigrams(model: Qwen3, tokens: np.ndarray, device: str = "cpu") -> None:
    """Set the embedding and the output matrix (V, E) of a fresh untied model from a stream of token ids.
    `device`, cpu or cuda, is where the SVD runs: on a CPU it takes seconds.

    P(j after i) = (count(i, j) + a P(j)) / (count(i) + a), where a is SMOOTHING. To a softmax over j only log
    P(j) + log(1 + count(i, j) / (a P(j))) matters. The second term is sparse and gets the K dimensions before
    those of init_induction.py, by SVD. The first is one more dimension, constant in the embedding. The last
    dimension makes all rows of the embedding equally long, so that RMSNorm changes nothing.
    """
    v, e = model.config.vocab_size, model.config.n_embd
    pairs, counts = count_bigrams(tokens[:MAX_TOKENS], v)
    seen = torch.zeros(v, dtype=torch.int64).index_add_(0, pairs // v, counts)  # but for the last token
    seen[int(tokens[:MAX_TOKENS][-1])] += 1
    frequency = (seen + 0.5) / (min(len(tokens), MAX_TOKENS) + 0.5 * v)  # (V,)
    left, right = factorize_bigrams(pairs, counts, frequency, code_dims(model.config)[0].start, device)
    bias = frequency.log()
    bias -= bias.mean()
    # A row of the embedding gets the length sqrt(E), which is RMS 1. Of its square a quarter is the
    # constant's and at most half is the factor's.
    scale = math.sqrt(e / 2) / left.norm(dim=1).max()
    left *= scale
    constant = math.sqrt(e / 4)
    slack = (e - constant**2 - left.square().sum(1)).clamp(min=0).sqrt()  # (V,)
    # The dimensions of init_induction.py, and more where the vocabulary is smaller than K.
    unused = torch.zeros(v, e - 2 - left.shape[1])
    embedding = [left, unused, torch.full((v, 1), constant), slack[:, None]]
    output = [right / scale, unused, bias[:, None] / constant, torch.zeros(v, 1)]
    model.model.embed_tokens.weight.copy_(torch.cat(embedding, dim=1))
    model.lm_head.weight.copy_(torch.cat(output, dim=1))


def count_bigrams(tokens: np.ndarray, v: int) -> tuple[Tensor, Tensor]:
    """The pairs (i, j) of neighbours in (N,) ids, each as i * v + j, sorted, (P,), and how often each occurs,
    (P,). Memory grows with the pairs, not with the text."""
    pairs, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for start in range(0, len(tokens) - 1, COUNTED_AT_ONCE):
        ids = tokens[start : start + COUNTED_AT_ONCE + 1].astype(np.int64)
        some, times = np.unique(ids[:-1] * v + ids[1:], return_counts=True)
        pairs, places = np.unique(np.concatenate([pairs, some]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, times])).astype(np.int64)
    return torch.from_numpy(pairs), torch.from_numpy(counts)


def factorize_bigrams(
    pairs: Tensor, counts: Tensor, frequency: Tensor, dims: int, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Two (V, K) matrices whose product, left @ right.T, is about log(1 + count(i, j) / (a P(j))).

    `pairs` and `counts` (P,) are those of `count_bigrams`, `frequency` (V,) is P, and K is `dims`, or V if
    that is less.
    """
    v = len(frequency)
    i, j = pairs // v, pairs % v
    ratio = torch.log1p(counts / (SMOOTHING * frequency[j]))
    weight = frequency**ROW_WEIGHT
    with torch.sparse.check_sparse_tensor_invariants():  # torch 2.11 warns where nobody has chosen
        matrix = torch.sparse_coo_tensor(torch.stack([i, j]), ratio * weight[i], (v, v)).to(device)
        factors = torch.svd_lowrank(matrix, q=min(dims, v), niter=2)
    left, values, right = (factor.cpu() for factor in factors)
    return left * values.sqrt() / weight[:, None], right * values.sqrt()
