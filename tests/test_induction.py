"""The heads that a model starts with: a text seen twice must be attended to where it was first."""

import numpy as np
import pytest
import torch
from conftest import TEXTS, tiny_config
from test_word_pairs import stream
from torch.nn import functional as F

from datasette_nanogpt.induction import start_with_induction_heads
from datasette_nanogpt.word_pairs import start_from_word_pairs
from llm_nanogpt.gpt_torch import build


def attention(model, ids, monkeypatch):
    """The weights of each layer, (H, T, T), as a spy on the attention sees them."""
    seen = []

    def attend(layer, q, k, v, cache):
        score = (q @ k.mT / q.shape[-1] ** 0.5)[0]
        future = torch.ones(score.shape[-2:], dtype=torch.bool).triu(1)
        seen.append(score.masked_fill(future, -torch.inf).softmax(-1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    monkeypatch.setattr(model, "attend", attend)
    model.logits(ids)
    return seen


@pytest.mark.parametrize("n_head, head_dim", [(2, 64), (4, 32)])
def test_the_first_layer_looks_back_and_the_second_finds_what_came_next(bpe, monkeypatch, n_head, head_dim):
    torch.manual_seed(0)
    tokens = stream(TEXTS, bpe)
    config = tiny_config(
        n_embd=128, n_head=n_head, n_kv_head=0, head_dim=head_dim, block_size=256, tied=False, rope_theta=1e5
    )
    model = build(config)
    start_from_word_pairs(model, tokens)
    start_with_induction_heads(model)
    once = torch.from_numpy(np.random.default_rng(0).permutation(np.unique(tokens))[:60].astype(np.int64))
    back, match = attention(model, torch.cat([once, once])[None], monkeypatch)
    assert torch.diagonal(back[0], -1)[10:].mean() > 0.6
    # The second time a token stands there, what followed it the first time is 59 positions back.
    assert torch.diagonal(match[0], -59)[2:].mean() > 0.2


@pytest.mark.parametrize("shape", [{"n_layer": 1}, {"n_embd": 8, "n_kv_head": 4}, {"n_embd": 16}])
def test_small_models_are_left_sound(bpe, shape):
    model = build(tiny_config(tied=False, **shape))
    tokens = stream(TEXTS, bpe)
    start_from_word_pairs(model, tokens)
    start_with_induction_heads(model)
    assert all(p.isfinite().all() for p in model.parameters())
    assert model.logits(torch.from_numpy(tokens[None, :8].astype(np.int64))).isfinite().all()
