"""The optimizers: Muon, nanoGPT's, and the weights that a model starts with."""

import math
import subprocess
import sys

import pytest
import torch
from conftest import tiny_config

from datasette_nanogpt.training.optim import (
    AdamW,
    Muon,
    configure_optimizers,
    load_state_tensors,
    orthogonalize,
    state_tensors,
)
from llm_nanogpt.gpt_torch import build


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 40, 16), (2, 16, 40)])
def test_newton_schulz_brings_singular_values_to_about_one(shape, bf16):
    torch.manual_seed(0)
    orthogonal = orthogonalize(torch.randn(shape), bf16)
    assert orthogonal.dtype == torch.float32
    values = torch.linalg.svdvals(orthogonal)
    assert values.min() > 0.6 and values.max() < 1.3


def step_both(a, ours, b, theirs, steps):
    """Steps of two optimizers, each of its own copy of the parameters, with the same gradients."""
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        a.step()
        b.step()


def test_muon_steps_as_torch_muon_does():
    """The same direction as the library's, which rounds to bfloat16 on its way."""
    weights = [torch.randn(24, 12), torch.randn(24, 12), torch.randn(8, 8)]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    a = Muon([{"params": ours, "lr": 0.1, "weight_decay": 0.1}])
    b = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1, momentum=0.95)
    step_both(a, ours, b, theirs, 3)
    for p, q, w in zip(ours, theirs, weights, strict=True):
        a, b = (p - w).detach().flatten(), (q - w).detach().flatten()
        assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.999
        assert a.norm().item() == pytest.approx(b.norm().item(), rel=0.02)


@pytest.mark.parametrize("tensor_rate", [False, True])
def test_adamw_steps_as_torch_adamw_does(tensor_rate):
    weights = [torch.randn(24, 12), torch.randn(8)]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    options = {"betas": (0.9, 0.98), "eps": 1e-10, "weight_decay": 0.1}
    rate = torch.tensor(0.1) if tensor_rate else 0.1
    a = AdamW([{"params": ours, "lr": rate, **options}])
    b = torch.optim.AdamW(theirs, lr=0.1, **options)
    step_both(a, ours, b, theirs, 5)
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
        for key, value in b.state[q].items():
            torch.testing.assert_close(a.state[p][key], value, rtol=1e-5, atol=1e-6)


def test_a_parameter_without_a_gradient_stays():
    p, q = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    p.grad = torch.ones(3, 3)
    for optimizer in (Muon, AdamW):
        rest = {"betas": (0.9, 0.98), "eps": 1e-10}
        optimizer([{"params": [p, q], "lr": 0.1, "weight_decay": 0.1, **rest}]).step()
    assert torch.equal(q, torch.ones(3, 3)) and not torch.equal(p, q)


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_going_back_to_a_state_twice_gives_the_same_state_twice(arch):
    model = build(tiny_config(arch))
    optimizers = configure_optimizers(model, 0.01, 0.1)

    def step():
        ids = torch.randint(0, 400, (2, 33))
        model(ids[:, :-1], ids[:, 1:]).backward()
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()

    step()
    kept = {name: tensor.clone() for name, tensor in state_tensors(optimizers).items()}
    first = {name: tensor.clone() for name, tensor in kept.items()}
    for _ in range(2):
        load_state_tensors(optimizers, kept)
        restored = state_tensors(optimizers)
        assert restored.keys() == first.keys()
        assert all(torch.equal(restored[name], tensor) for name, tensor in first.items())
        step()


def test_nanogpt_starts_at_the_log_of_its_vocabulary():
    torch.manual_seed(0)
    config = tiny_config("gpt2", vocab_size=50257, n_layer=4, n_embd=64, block_size=64)
    model = build(config)
    ids = torch.randint(0, 50257, (8, 65))
    assert model(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(math.log(50257), abs=0.1)
    stds = {name: p.std().item() for name, p in model.named_parameters() if p.ndim == 2}
    for name, std in stds.items():
        expected = 0.02 / math.sqrt(8) if name.endswith("c_proj.weight") else 0.02
        assert std == pytest.approx(expected, rel=0.05), name


def test_nanogpt_optimizer_is_nanogpts():
    model = build(tiny_config("gpt2"))
    (adamw,) = configure_optimizers(model, learning_rate=6e-4, weight_decay=0.1)
    decayed, plain = adamw.param_groups
    assert decayed["betas"] == (0.9, 0.95) and decayed["lr"] == 6e-4
    assert decayed["weight_decay"] == 0.1 and all(p.ndim == 2 for p in decayed["params"])
    assert plain["weight_decay"] == 0.0 and all(p.ndim == 1 for p in plain["params"])
    names = {id(p): name for name, p in model.named_parameters()}
    trained = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    # bias = False in nanoGPT's train.py: the biases that the format asks for stay zero.
    assert trained == {name for name in names.values() if not name.endswith("bias")}


def test_every_parameter_has_one_optimizer():
    for tied in (True, False):
        model = build(tiny_config(tied=tied))
        held = [
            p for o in configure_optimizers(model, 0.02, 0.0) for g in o.param_groups for p in g["params"]
        ]
        assert len(held) == len(set(map(id, held))) == len(list(model.parameters()))


@pytest.mark.parametrize("arch", ["qwen3", "gpt2"])
def test_optimizer_state_survives_as_plain_tensors(arch):
    def steps(model, optimizers, n):
        for i in range(n):
            torch.manual_seed(i)
            ids = torch.randint(0, 400, (2, 33))
            model(ids[:, :-1], ids[:, 1:]).backward()
            for optimizer in optimizers:
                optimizer.step()
            model.zero_grad()

    model = build(tiny_config(arch))
    optimizers = configure_optimizers(model, 0.01, 0.1)
    steps(model, optimizers, 3)
    twin = build(tiny_config(arch))
    twin.load_state_dict(model.state_dict())
    twins = configure_optimizers(twin, 0.01, 0.1)
    load_state_tensors(twins, state_tensors(optimizers))
    steps(model, optimizers, 2)
    steps(twin, twins, 2)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


# In a process of its own, as other tests compile.
STEPS_WITHOUT_DYNAMO = """
import sys, torch
from datasette_nanogpt.training.measure import trial
from datasette_nanogpt.training.optim import configure_optimizers
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.gpt_torch import build
for arch in ("qwen3", "gpt2"):
    model = build(GPTConfig(vocab_size=400, block_size=32, n_layer=1, n_head=2, n_embd=32, arch=arch))
    params = list(model.parameters())
    trial(model, torch.randint(400, (2, 33)), False, configure_optimizers(model, 0.01, 0.1))
    torch.nn.utils.clip_grad_norm_(params, 1.0)
print([name for name in sys.modules if name.startswith("torch._dynamo")])
"""


def test_steps_do_not_import_dynamo():
    """It takes 75 MB and a second."""
    command = [sys.executable, "-c", STEPS_WITHOUT_DYNAMO]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"
