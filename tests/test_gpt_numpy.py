"""The forward pass in numpy, judged by the one in torch."""

import numpy as np
import pytest
import torch
from conftest import random_tensors, tiny_config

from llm_nanogpt import gpt_numpy, gpt_torch

SHAPES = [
    ("qwen3", {}),
    ("qwen3", {"tied": False, "n_kv_head": 4}),
    ("qwen3", {"n_kv_head": 1, "rope_theta": 100.0}),
    ("joined", {"tied": False}),
    ("joined", {"n_embd": 48, "n_head": 6, "n_kv_head": 3}),
    ("gpt2", {}),
    ("gpt2", {"activation": "gelu", "n_inner": 40}),
]
IDS = np.random.default_rng(0).integers(0, 400, 32).tolist()


@pytest.fixture(params=SHAPES, ids=str)
def models(request):
    arch, changes = request.param
    config = tiny_config("qwen3" if arch == "joined" else arch, **changes)
    tensors = random_tensors(config)
    if arch == "joined":
        tensors = side_by_side(tensors, config.n_kv_head)
    module = gpt_torch.build(config).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})
    ours = gpt_numpy.build(config, tensors)
    assert ours.blocks == (config.n_kv_head if arch == "joined" else 1)
    return ours, module


def side_by_side(tensors, n):
    """Tensors like those of n joined models: the matrices of layers are zeros but for n blocks."""
    return {
        name: tensor * np.kron(np.eye(n, dtype=np.float32), np.ones(np.array(tensor.shape) // n, np.float32))
        if name.endswith("_proj.weight")
        else tensor
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("length", [1, 2, 31, 32])
def test_logits_are_those_of_torch(models, length):
    ours, theirs = models
    expected = theirs.logits(torch.tensor([IDS[:length]]))[0].numpy()
    assert np.abs(ours.logits(IDS[:length], ours.new_cache()) - expected).max() < 1e-4


def test_every_position_is_that_of_torch(models):
    ours, theirs = models
    with torch.inference_mode():
        expected = (theirs.hidden(torch.tensor([IDS]), None)[0] @ theirs.output.T).numpy()
    assert np.abs(ours.all_logits(IDS, ours.new_cache()) - expected).max() < 1e-4
    assert np.abs(ours.all_logits(IDS, ours.new_cache(), 0, 5) - expected[5:]).max() < 1e-4


def test_cached_decoding_is_uncached_decoding(models):
    model, _ = models
    cache = model.new_cache()
    for start, end in ((0, 7), (7, 8), (8, 9), (9, 20), (20, 32)):
        cached = model.logits(IDS[start:end], cache, start)
        assert np.abs(cached - model.logits(IDS[:end], model.new_cache())).max() < 1e-4


def test_going_back_forgets_what_came_later(models):
    model, _ = models
    cache = model.new_cache()
    model.logits(IDS, cache)
    other = model.logits([5, 6], cache, 10)
    assert np.abs(other - model.logits([*IDS[:10], 5, 6], model.new_cache())).max() < 1e-4


def test_more_than_the_context_is_refused(models):
    model, _ = models
    with pytest.raises(ValueError, match="33 tokens do not fit a context of 32"):
        model.logits([1], model.new_cache(), 32)


@pytest.mark.parametrize("name", ["q", "o", "gate", "down"])
def test_one_number_between_the_blocks_counts(name):
    config = tiny_config()
    tensors = side_by_side(random_tensors(config), 2)
    (matrix, *_) = (tensor for key, tensor in tensors.items() if key.endswith(f"{name}_proj.weight"))
    matrix[0, -1] = 0.1
    assert gpt_numpy.build(config, tensors).blocks == 1


def test_far_gates_warn_of_nothing():
    import warnings

    config = tiny_config()
    tensors = {k: v * 100 if "gate_proj" in k else v for k, v in random_tensors(config).items()}
    model = gpt_numpy.build(config, tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.logits(IDS, model.new_cache())).all()


def test_scores_beyond_exp_are_those_of_torch():
    config = tiny_config()
    tensors = {k: v * 5 if "q_norm" in k or "k_norm" in k else v for k, v in random_tensors(config).items()}
    module = gpt_torch.build(config).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})
    ours = gpt_numpy.build(config, tensors)
    assert not any(bounded for _, bounded, *_ in ours.layers)
    expected = module.logits(torch.tensor([IDS]))[0].numpy()
    assert np.abs(ours.logits(IDS, ours.new_cache()) - expected).max() < 1e-4
