"""Batches: every window once an epoch, and the same ones again after a resume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.dataloader import DataLoader
from llm_nanogpt.errors import NanogptError


def whole(batch: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Inputs and targets as one array (windows, block size + 1); they overlap in all but one token."""
    inputs, targets = batch
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    return np.concatenate([inputs, targets[:, -1:]], axis=1)


@given(n=st.integers(40, 400), block=st.integers(1, 12), take=st.integers(1, 9), seed=st.integers(0, 5))
def test_an_epoch_is_every_window_once(n, block, take, seed):
    tokens = np.arange(n, dtype=np.uint16)
    if (n - 1) // block - 1 < 1:
        return
    loader = DataLoader(tokens, block, seed)
    starts = [int(w[0]) for _ in range(loader.per_epoch) for w in whole(loader.get_batch(1))]
    assert len(set(starts)) == loader.per_epoch
    assert all((start - starts[0]) % block == 0 for start in starts)
    # Taking several at a time, or going on from a position, gives the same windows.
    batches = whole(DataLoader(tokens, block, seed).get_batch(take))
    later = whole(DataLoader(tokens, block, seed, position=take).get_batch(take))
    both = whole(DataLoader(tokens, block, seed).get_batch(2 * take))
    assert np.array_equal(np.concatenate([batches, later]), both)
    assert (np.diff(both, axis=1) == 1).all()


def test_random_windows_reach_both_ends():
    loader = DataLoader(np.arange(20), 5, seed=0, replacement=True)
    seen = whole(loader.get_batch(500))
    assert seen.min() == 0 and seen.max() == 19


def test_too_little_text_for_a_window():
    with pytest.raises(NanogptError, match="--block-size"):
        DataLoader(np.arange(10), 8, seed=0)
