"""An initialization that can copy: heads that find where the text was like this before, and repeat what came
next.

GPTs learn such induction heads (Olsson et al., "In-context Learning and Induction Heads", 2022) late: after a
thousand steps there were none (LOG.md, "What the runs above lacked: copying"). Set at the start, they help
from the first step on.

Each token has a code of its own, a few numbers of its embedding. A head of the first layer fetches the code
of the token before, a second one that of the token before that. A head of the second layer compares: where
the two tokens before a place are the last two here, it reads the code of the token there, and writes it where
the output matrix has the same codes. So the token that came next last time becomes likelier; how much that is
worth is learned.

Shapes: V vocabulary, E width, D head size, C numbers in a code.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # as everyone writes it

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import Qwen3

CODE_SIZE = 32  # numbers in a code, at most
CODE_FRACTION = 1 / 8  # of the square of an embedding's length
# The fastest rotary components, which tell neighbouring positions apart (LOG.md, "What the runs above lacked:
# copying").
FAST_PAIRS = 5
AGREEMENT = (0.6, 0.4)  # what the last token counts in a comparison, and the one before it
FETCHED = 0.6  # size of a fetched code relative to the token's own
COPY_LOGIT = 6.0  # what a copied token gains in the logits if all attention is on its place
NOISE = 0.02  # standard deviation of all other weights of these heads


class Head(NamedTuple):
    """Views of the weights of one attention head, to be set in place."""

    q: Tensor  # (D, E)
    k: Tensor  # (D, E)
    v: Tensor  # (D, E)
    o: Tensor  # (E, D)


def code_sizes(c: GPTConfig) -> tuple[int, int]:
    """Numbers in a code, and how many of them are compared: two of these must fit in half a head."""
    if c.n_layer < 2 or c.tied:
        return 0, 0
    size = min(CODE_SIZE, c.n_embd // 8, c.head_dim)
    return size, min(size, c.head_dim // 4)


def code_dims(c: GPTConfig) -> list[slice]:
    """The dimensions of E that hold codes: the token's own, the compared part of the code of the token
    before, the same of the one before that, and the code of the token to copy. init_bigrams.py leaves them
    empty."""
    size, compared = code_sizes(c)
    ends = list(accumulate([size, compared, compared, size], initial=c.n_embd - 2 - 2 * (size + compared)))
    return [slice(*ends[i : i + 2]) for i in range(4)]


@torch.no_grad()
def init_induction_heads(model: Qwen3) -> None:
    """Set codes, and heads of the first two layers, of a model that `init_from_bigrams` began.

    A model of one head compares the last token only, and one of a single layer stays as it is.
    """
    c = model.config
    if not code_sizes(c)[1]:
        return
    _set_codes(model)
    look_back, match = (layer.self_attn for layer in model.model.layers[:2])
    fetched = code_dims(c)[1 : 3 if c.n_head == c.n_kv_head > 1 else 2]
    for distance, place in enumerate(fetched, 1):
        _set_look_back_head(view_head(look_back, distance - 1, c.head_dim), c, distance, place)
    _set_match_head(view_head(match, 0, c.head_dim), c, fetched)


def _set_codes(model: Qwen3) -> None:
    """Give each token a random code (C,), in the embedding and in the output matrix."""
    c = model.config
    own, *_, copied = code_dims(c)
    embedding, output = model.model.embed_tokens.weight, model.lm_head.weight  # (V, E)
    code = F.normalize(torch.randn(c.vocab_size, code_sizes(c)[0]), dim=1)  # (V, C)
    length = math.sqrt(c.n_embd * CODE_FRACTION)
    embedding[:, own] = code * length
    # The last dimension makes up for it, so that all embeddings stay as long as they were.
    embedding[:, -1] = (embedding[:, -1].square() - length**2).sqrt()
    output[:, copied] = code * COPY_LOGIT / length


def _set_look_back_head(head: Head, c: GPTConfig, distance: int, place: slice) -> None:
    """Fetch the code of the token `distance` positions before, into the dimensions `place`.

    Query and key come from the constant dimension of the embedding, the key turned that far: they
    agree where the key is that far before the query.
    """
    own, *_, copied = code_dims(c)
    size, compared = code_sizes(c)
    constant = copied.stop  # see init_bigrams.py
    half = c.head_dim // 2  # component i turns together with i + half
    i = torch.arange(min(FAST_PAIRS, half // 2))
    angle = distance * c.rope_theta ** (-i / half)
    head.q[i, constant] = 2.0
    head.k[i, constant] = 2 * angle.cos()
    head.k[i + half, constant] = 2 * angle.sin()
    head.v[:compared, own] = torch.eye(compared, size)
    head.o[place, :compared] = FETCHED * torch.eye(compared)


def _set_match_head(head: Head, c: GPTConfig, fetched: list[slice]) -> None:
    """Compare the last tokens here with those before each place, and copy the code of the token there.

    The slowest rotary components, which hardly turn within the context, hold the codes to compare.
    """
    own, *_, copied = code_dims(c)
    size, compared = code_sizes(c)
    half = c.head_dim // 2
    slow = torch.stack([torch.arange(half), torch.arange(half) + half], dim=1).flatten()[-half:]
    # Where each code is, and its size: the query has those of this token and of those before it, the key has
    # those of the tokens before it.
    here = [(own, 1.0), *((place, FETCHED) for place in fetched)]
    there = [(place, FETCHED) for place in fetched]
    for at, weight, query, key in zip(slow.split(compared), AGREEMENT, here, there, strict=False):
        for matrix, (place, scale) in ((head.q, query), (head.k, key)):
            matrix[at, place] = math.sqrt(weight) / scale * torch.eye(compared, place.stop - place.start)
    head.v[:size, own] = torch.eye(size)
    head.o[copied, :size] = torch.eye(size)


def view_head(attention: Any, number: int, head_dim: int) -> Head:
    """The weights of head `number`, made small, and zero in the output. Any: torch types members of a module
    as Tensor | Module."""
    rows = slice(number * head_dim, (number + 1) * head_dim)
    q, k, v = (attention[name].weight[rows].normal_(std=NOISE) for name in ("q_proj", "k_proj", "v_proj"))
    return Head(q, k, v, attention["o_proj"].weight[:, rows].zero_())
