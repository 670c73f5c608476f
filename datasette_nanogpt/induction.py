"""A start that can copy: heads that find where the current token stood before, and read what came next.

GPTs learn such induction heads (Olsson et al., "In-context Learning and Induction Heads", 2022) late: a run
of a thousand steps ended with none (benchmarks/LOG.md). Set at the start, they are of use from the first
steps on. One head of the first layer looks at the token before and writes a code of it into the room that
word_pairs.py left in the embedding. One of the second looks for the code of the current token there. What to
do with what is found, is learnt.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llm_nanogpt.gpt_torch import Qwen3

from .word_pairs import room

FAST_PAIRS = 5  # rotary components that tell apart neighbouring positions: the quickest
LOOK_BACK_GAIN = 1.6  # of normalised queries and keys: sharp enough for 9/10 of the weight on one position
MATCH_GAIN = 1.2
NOISE = 0.02  # standard deviation of all other weights of these heads
CODE_SIZE = 0.5  # RMS of the codes, beside an embedding of RMS 1


@torch.no_grad()
def start_with_induction_heads(model: Qwen3) -> None:
    """Set one head each of the first two layers of a model that `start_from_word_pairs` began."""
    c = model.config
    half = c.head_dim // 2  # component i turns together with i + half
    fast = min(FAST_PAIRS, half // 2)
    empty = room(c.n_embd)
    size = min(empty.stop - empty.start, half) // 2 * 2  # numbers in a code
    if c.n_layer < 2 or size < 2:
        return
    constant = empty.stop  # the dimension after the room
    known, empty = slice(empty.start), slice(empty.start, empty.start + size)
    look_back, match = (layer.self_attn for layer in model.model.layers[:2])
    for head in (look_back, match):
        for name in ("q_proj", "k_proj", "v_proj"):
            head[name].weight[: c.head_dim].normal_(std=NOISE)

    # Query and key come from the constant dimension of the embedding alone, the key turned one position
    # on, so that they agree where the key stands one before the query.
    i = torch.arange(fast)
    angle = c.rope_theta ** (-i / half)
    look_back.q_proj.weight[i, constant] = 2.0
    look_back.k_proj.weight[i, constant] = 2 * angle.cos()
    look_back.k_proj.weight[i + half, constant] = 2 * angle.sin()
    code = codes(model.model.embed_tokens.weight[:, known], size)
    look_back.v_proj.weight[:size, known] = code
    look_back.o_proj.weight[:, : c.head_dim] = 0
    look_back.o_proj.weight[empty, :size] = CODE_SIZE * torch.eye(size)
    set_gain(look_back, LOOK_BACK_GAIN)

    # The slowest rotary components, which hardly turn within the context, hold the codes to compare.
    i = torch.cat([torch.arange(half - size // 2, half), torch.arange(c.head_dim - size // 2, c.head_dim)])
    match.q_proj.weight[i, known] = code
    match.k_proj.weight[i, empty] = torch.eye(size) / CODE_SIZE
    set_gain(match, MATCH_GAIN)


def set_gain(attention: torch.nn.ModuleDict, gain: float) -> None:
    attention.q_norm.weight.fill_(gain)
    attention.k_norm.weight.fill_(gain)


def codes(embedding: Tensor, size: int) -> Tensor:
    """(V, R) embeddings -> the (size, R) projection that gives each token a code of its own.

    A random one after whitening, so that the common tokens, whose embeddings are long, do not drown the rest.
    """
    values, vectors = torch.linalg.eigh(embedding.T @ embedding / len(embedding))
    white = vectors / values.clamp(min=values.max() * 1e-4).sqrt()
    return (white @ torch.randn(embedding.shape[1], size) / math.sqrt(embedding.shape[1])).T
