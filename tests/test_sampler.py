"""Choosing the next token."""

import numpy as np
import pytest
from conftest import penalised
from hypothesis import given
from hypothesis import strategies as st

from llm_nanogpt.errors import InvalidOptions
from llm_nanogpt.sampler import Sampler, log_softmax

P = np.array([0.5, 0.25, 0.15, 0.1])
LOGITS = np.log(P).astype(np.float32)


def shares(sampler: Sampler, n: int = 20_000) -> np.ndarray:
    return np.bincount([sampler.choose(LOGITS) for _ in range(n)], minlength=4) / n


def expected(*kept: float) -> np.ndarray:
    return np.array([*kept, 0, 0, 0, 0])[:4] / sum(kept)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"temperature": 1}, P),
        ({"temperature": 0.5}, P**2 / (P**2).sum()),
        ({"temperature": 2}, P**0.5 / (P**0.5).sum()),
        ({"temperature": 1, "top_k": 2}, expected(0.5, 0.25)),
        ({"temperature": 1, "top_k": 0}, P),
        ({"temperature": 1, "top_p": 0.7}, expected(0.5, 0.25)),
        ({"temperature": 1, "top_p": 0.76}, expected(0.5, 0.25, 0.15)),
        ({"temperature": 1, "top_p": 0.01}, expected(1)),
        ({"temperature": 1, "top_k": 3, "top_p": 0.8}, expected(0.5, 0.25)),
        ({"temperature": 0}, expected(1)),
        ({"temperature": 1, "min_p": 0.25}, expected(0.5, 0.25, 0.15)),
        ({"temperature": 1, "min_p": 1}, expected(1)),
        ({"temperature": 1, "min_p": 0.25, "top_p": 0.6}, expected(0.5, 0.25)),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_the_settings_say(settings, wanted):
    assert np.abs(shares(Sampler(seed=0, **{"top_p": 1, **settings})) - wanted).max() < 0.015


def test_a_seed_repeats_what_was_drawn():
    def run(seed):
        sampler = Sampler(temperature=1, seed=seed)
        return [sampler.choose(LOGITS) for _ in range(50)], sampler.seed

    assert run(0) == run(0) != run(1)
    assert run(0)[1] == 0
    drawn, seed = run(None)
    assert run(seed)[0] == drawn != run(None)[0]


@given(st.lists(st.floats(-50, 50), min_size=1), st.floats(0.01, 3), st.integers(0, 9), st.integers())
def test_what_is_ruled_out_is_never_chosen(logits, temperature, top_k, seed):
    logits = np.array([*logits, -np.inf, -np.inf], np.float32)
    sampler = Sampler(temperature=temperature, top_k=top_k, seed=seed)
    assert all(sampler.choose(logits) < len(logits) - 2 for _ in range(5))


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.01, 1, 3, 10])
@pytest.mark.parametrize("size", [1, 512, 4096])
def test_nucleus_is_that_of_a_full_sort(share, spread, size):
    logits = np.random.default_rng(0).normal(size=size).round(2).astype(np.float32) * np.float32(spread)
    p = np.exp(logits - logits.max())
    sizes = np.sort(p)[::-1]  # rounded: some are equal
    least = sizes[min(np.searchsorted(sizes.cumsum(), share * p.sum()), size - 1)]
    nucleus, sampler = np.flatnonzero(p >= least), Sampler(temperature=1, top_p=share, seed=0)
    chosen = np.bincount([sampler.choose(logits) for _ in range(500)], minlength=size)
    assert chosen[nucleus].sum() == 500
    assert chosen[nucleus] == pytest.approx(500 * p[nucleus] / p[nucleus].sum(), abs=75)


def test_all_of_the_nucleus_is_refused_before_the_rest_is_asked_for():
    for seed in range(50):
        asked = []
        chosen = Sampler(seed=seed, temperature=1, top_p=0.7).choose(
            LOGITS, lambda i, asked=asked: bool(asked.append(i)) or i == 3
        )
        assert chosen == 3 and {*asked[:2]} == {0, 1} and len(asked) == len({*asked})


def test_once_one_is_refused_only_what_is_possible_is_asked_for():
    possible, asked = np.array([False, False, True, True]), []

    def accepts(index):
        asked.append(index)
        return index == 3

    for seed in range(50):
        asked.clear()
        assert Sampler(seed=seed, top_p=0.6).choose(LOGITS, accepts, lambda: possible) == 3
        assert not {*asked[1:]} & {0, 1}
        assert Sampler(seed=seed).choose(LOGITS, accepts, lambda: None) == 3
    # Where nothing that is possible is accepted, it is the first one that was drawn.
    asked.clear()
    chosen = Sampler(seed=0).choose(LOGITS, lambda i: bool(asked.append(i)), lambda: possible)
    assert chosen == asked[0]


def test_everything_wrong_is_told_at_once():
    wrong = {"temperature": -1, "top_k": -1, "top_p": 0, "min_p": 2, "repetition_penalty": 0}
    with pytest.raises(InvalidOptions) as ex:
        Sampler(**wrong)
    assert [problem.field for problem in ex.value.problems] == [*wrong]
    assert all(
        line.startswith(f"{name} must be ")
        for name, line in zip(wrong, str(ex.value).splitlines(), strict=True)
    )
    with pytest.raises(InvalidOptions, match="temperature"):
        Sampler(temperature=float("nan"))


def test_log_softmax_gives_log_probabilities():
    assert np.abs(log_softmax(LOGITS + 100) - np.log(P)).max() < 1e-5
    assert np.isneginf(log_softmax(np.array([0, -np.inf], np.float32))[1])


def test_a_repetition_penalty_lowers_the_logits_of_tokens_that_were_written():
    logits = np.array([2.0, -2.0, 4.0, 0.0], np.float32)
    sampler = Sampler(repetition_penalty=2, seed=0)
    assert penalised(sampler, logits, [0, 1, 1, 0, 3]).tolist() == [1, -4, 4, 0]
    assert logits.tolist() == [2, -2, 4, 0]
    assert penalised(Sampler(seed=0), logits, [0, 1]).tolist() == logits.tolist()


@pytest.mark.parametrize("penalty", [1e-40, 1e-300, 1e40, 1e300])
def test_a_repetition_penalty_without_bounds_leaves_numbers(penalty):
    sampler = Sampler(repetition_penalty=penalty, seed=0)
    changed = penalised(sampler, np.array([2, -2, 0, -np.inf, 1], np.float32), range(4))
    assert not np.isnan(changed).any() and sampler.choose(changed) == (0 if penalty < 1 else 4)
