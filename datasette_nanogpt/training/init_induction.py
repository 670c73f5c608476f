"""A start that can copy: heads that find where the text stood like this before, and repeat what came next.

GPTs learn such induction heads (Olsson et al., "In-context Learning and Induction Heads", 2022) late: a run
of a thousand steps ended with none (benchmarks/LOG.md). Set at the start, they are of use from the first
step on. Each token has a code of its own, a few numbers of its embedding. A head of the first layer fetches
the code of the token before, a second one that of the token before it. A head of the second layer compares:
where the two tokens before a place are the last two here, it reads the code of the token there, and writes
it where the output matrix knows the same codes. So the token that came next last time becomes likelier; how
much that is worth, is learnt.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import Qwen3

CODE_SIZE = 32  # numbers in a code, at most
CODE_SHARE = 1 / 8  # of the square of an embedding's length
FAST_PAIRS = 5  # rotary components that tell apart neighbouring positions: the quickest
LOOK_BACK_GAIN = 1.6  # of normalised queries and keys: sharp enough for 8/10 of the weight on one position
MATCH_GAIN = 1.7
AGREEMENT = (0.6, 0.4)  # what the last token counts in a comparison, and the one before it
FETCHED = 0.6  # size of a fetched code beside the token's own
COPY_LOGIT = 6.0  # what a copied token gains in the logits if all the weight is on its place
NOISE = 0.02  # standard deviation of all other weights of these heads


def code_sizes(c: GPTConfig) -> tuple[int, int]:
    """Numbers in a code, and how many of them are compared: two of these must fit in half a head."""
    if c.n_layer < 2 or c.tied:
        return 0, 0
    size = min(CODE_SIZE, c.n_embd // 8, c.head_dim)
    return size, min(size, c.head_dim // 4)


def code_dims(c: GPTConfig) -> list[slice]:
    """The dimensions that belong to codes: the token's own, what is compared of that of the token before, of
    that of the one before it, and that of the token to copy. word_pairs.py leaves them empty."""
    size, compared = code_sizes(c)
    ends = list(accumulate([size, compared, compared, size], initial=c.n_embd - 2 - 2 * (size + compared)))
    return [slice(*ends[i : i + 2]) for i in range(4)]


@torch.no_grad()
def init_induction_heads(model: Qwen3) -> None:
    """Set codes, and heads of the first two layers, of a model that `init_from_bigrams` began.

    With less than two heads it compares the last token alone.
    """
    c = model.config
    size, compared = code_sizes(c)
    if not compared:
        return
    own, *fetched, copied = code_dims(c)
    constant = copied.stop  # the dimension after the room
    embedding, output = model.model.embed_tokens.weight, model.lm_head.weight
    code = F.normalize(torch.randn(c.vocab_size, size), dim=1)
    length = math.sqrt(c.n_embd * CODE_SHARE)
    embedding[:, own] = code * length
    # The last dimension makes up for it, so that all embeddings stay as long as they were.
    embedding[:, -1] = (embedding[:, -1].square() - length**2).sqrt()
    output[:, copied] = code * COPY_LOGIT / length

    back, match = (layer.self_attn for layer in model.model.layers[:2])
    half = c.head_dim // 2  # component i turns together with i + half
    fetched = fetched[: 2 if c.n_head == c.n_kv_head > 1 else 1]
    i = torch.arange(min(FAST_PAIRS, half // 2))
    for distance, place in enumerate(fetched, 1):
        q, k, v, o = head(back, distance - 1, c.head_dim)
        # Query and key come from the constant dimension of the embedding alone, the key turned so many
        # positions on, so that they agree where the key stands that far before the query.
        angle = distance * c.rope_theta ** (-i / half)
        q[i, constant] = 2.0
        k[i, constant] = 2 * angle.cos()
        k[i + half, constant] = 2 * angle.sin()
        v[:compared, own] = torch.eye(compared, size)
        o[place, :compared] = FETCHED * torch.eye(compared)
    set_gain(back, LOOK_BACK_GAIN)

    # The slowest rotary components, which hardly turn within the context, hold the codes to compare.
    q, k, v, o = head(match, 0, c.head_dim)
    slow = torch.stack([torch.arange(half), torch.arange(half) + half], dim=1).flatten()[-half:]
    here, there = [(own, 1.0), *((place, FETCHED) for place in fetched)], [(p, FETCHED) for p in fetched]
    for at, share, query, key in zip(slow.split(compared), AGREEMENT, here, there, strict=False):
        for weight, (place, times) in ((q, query), (k, key)):
            weight[at, place] = math.sqrt(share) / times * torch.eye(compared, place.stop - place.start)
    v[:size, own] = torch.eye(size)
    o[copied, :size] = torch.eye(size)
    set_gain(match, MATCH_GAIN)


def head(attention: torch.nn.ModuleDict, number: int, head_dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Views of a head's query, key, value (D, E) and output (E, D) weights, made small or zero."""
    rows = slice(number * head_dim, (number + 1) * head_dim)
    inputs = [attention[name].weight[rows].normal_(std=NOISE) for name in ("q_proj", "k_proj", "v_proj")]
    return *inputs, attention["o_proj"].weight[:, rows].zero_()


def set_gain(attention: torch.nn.ModuleDict, gain: float) -> None:
    attention.q_norm.weight.fill_(gain)
    attention.k_norm.weight.fill_(gain)
