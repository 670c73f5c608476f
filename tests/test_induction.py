"""The heads that a model starts with: a text seen twice must be attended to where it was first."""

import numpy as np
import pytest
import torch
from conftest import TEXTS, tiny_config
from test_word_pairs import stream
from torch.nn import functional as F

from datasette_nanogpt.training.init_bigrams import init_from_bigrams
from datasette_nanogpt.training.init_induction import init_induction_heads
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


@pytest.mark.parametrize(("n_head", "head_dim"), [(2, 64), (4, 32)])
def test_the_first_layer_looks_back_and_the_second_finds_what_came_next(bpe, monkeypatch, n_head, head_dim):
    torch.manual_seed(0)
    tokens = stream(TEXTS, bpe)
    config = tiny_config(
        n_embd=128, n_head=n_head, n_kv_head=0, head_dim=head_dim, block_size=256, tied=False, rope_theta=1e5
    )
    model = build(config)
    init_from_bigrams(model, tokens)
    init_induction_heads(model)
    once = torch.from_numpy(np.random.default_rng(0).permutation(np.unique(tokens))[:60].astype(np.int64))
    back, match = attention(model, torch.cat([once, once])[None], monkeypatch)
    assert torch.diagonal(back[0], -1)[10:].mean() > 0.4  # training makes it sharper
    # The second time a token stands there, what followed it the first time is 59 positions back.
    assert torch.diagonal(match[0], -59)[2:].mean() > 0.1  # of about 90 places


def test_the_place_is_chosen_where_two_tokens_agree(bpe, monkeypatch):
    torch.manual_seed(0)
    config = tiny_config(n_embd=128, n_head=2, n_kv_head=0, head_dim=64, block_size=256, tied=False)
    model = build(config)
    tokens = stream(TEXTS, bpe)
    init_from_bigrams(model, tokens)
    init_induction_heads(model)
    some = np.unique(tokens)[20:60].tolist()
    after, common = some[:20], some[20]
    # "a common x b common y ..." and then "a common": what followed it after an a, not after a b, is meant.
    pairs = [[before, common, then] for before, then in zip(after[:6], after[10:16], strict=True)]
    ids = torch.tensor([[*sum(pairs, []), *some[30:36], *pairs[2][:2]]])
    _, match = attention(model, ids, monkeypatch)
    weights = match[0][-1]
    assert weights.argmax() == 2 * 3 + 2 and weights.max() > 0.3


@pytest.mark.parametrize("n_head", [1, 2])
def test_a_passage_is_repeated_before_any_training(bpe, n_head):
    torch.manual_seed(0)
    tokens = stream(TEXTS, bpe)
    config = tiny_config(n_embd=128, n_head=n_head, n_kv_head=0, head_dim=64, block_size=256, tied=False)
    model = build(config)
    init_from_bigrams(model, tokens)
    once = torch.from_numpy(np.random.default_rng(0).permutation(np.unique(tokens))[:60].astype(np.int64))
    twice = torch.cat([once, once, once[:1]])[None]

    def second_time():
        logits = F.linear(model.hidden(twice[:, :-1], None), model.output)[0]
        return F.cross_entropy(logits[62:], twice[0, 63:]).item()

    pairs_alone = second_time()
    init_induction_heads(model)
    assert second_time() < 0.7 * pairs_alone


@pytest.mark.parametrize("shape", [{"n_layer": 1}, {"n_embd": 8, "n_kv_head": 4}, {"n_embd": 16}])
def test_small_models_are_left_sound(bpe, shape):
    model = build(tiny_config(tied=False, **shape))
    tokens = stream(TEXTS, bpe)
    init_from_bigrams(model, tokens)
    init_induction_heads(model)
    assert all(p.isfinite().all() for p in model.parameters())
    assert model.logits(torch.from_numpy(tokens[None, :8].astype(np.int64))).isfinite().all()
