"""The start from word pairs, against the smoothed counts it stands for."""

import math

import numpy as np
import pytest
import torch
from conftest import TEXTS, tiny_config

from datasette_nanogpt.data.dataloader import Windows
from datasette_nanogpt.training.evaluate import bits_per_byte, estimate_loss
from datasette_nanogpt.training.init_bigrams import SMOOTHING, init_from_bigrams
from llm_nanogpt.gpt_torch import build


def stream(texts, bpe):
    return np.concatenate([[bpe.eot], *([*bpe.encode(t), bpe.eot] for t in texts)]).astype(np.uint16)


def test_with_full_rank_it_is_the_smoothed_table_of_pairs(bpe):
    tokens = stream(TEXTS, bpe)
    model = build(tiny_config(n_embd=434, vocab_size=400, tied=False))
    init_from_bigrams(model, tokens)
    counts = np.zeros((400, 400))
    np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
    frequency = (np.bincount(tokens, minlength=400) + 0.5) / (len(tokens) + 200)
    expected = counts + SMOOTHING * frequency
    expected = np.log(expected / expected.sum(1, keepdims=True))
    for token in np.unique(tokens)[:50]:
        found = torch.log_softmax(model.logits(torch.tensor([[int(token)]])), -1)[0].numpy()
        assert found == pytest.approx(expected[token], abs=0.05)


@pytest.mark.parametrize("n_embd", [16, 32, 448])
def test_it_starts_far_ahead_of_chance(bpe, n_embd):
    train, val = stream(TEXTS[:270], bpe), stream(TEXTS[270:], bpe)
    model = build(tiny_config(n_embd=n_embd, tied=False))
    init_from_bigrams(model, train)
    n_bytes = sum(len(t.encode()) for t in TEXTS[270:])
    chance = bits_per_byte((len(val) - 1) * math.log(400), n_bytes)
    windows = Windows(val, model.config.block_size, None)
    assert bits_per_byte(estimate_loss(model, windows, "cpu"), n_bytes) < 0.5 * chance
    assert all(p.isfinite().all() for p in model.parameters())
