"""Repeats in a window, against a search by hand, and what they make of probabilities."""

import numpy as np
import pytest
import torch

from datasette_nanogpt.training.distillation import LONGEST, SHORTEST, Repeats, find_repeats

CYCLE = [5, 9, 2, 7, 1, 3]


def by_hand(ids):
    longest, found = [], set()
    for at in range(len(ids)):
        lengths = []
        for before in range(at):
            n = 0
            while n < LONGEST and n <= before and ids[before - n] == ids[at - n]:
                n += 1
            lengths.append(n)
        longest.append(max(lengths, default=0))
        if longest[-1] >= SHORTEST:
            found |= {(at, before) for before, n in enumerate(lengths) if n == longest[-1]}
    return longest, sorted((at, ids[before + 1]) for at, before in found)


@pytest.mark.parametrize("kinds", [1, 2, 5, 30])
def test_repeats_are_those_found_by_hand(kinds):
    ids = np.random.default_rng(kinds).integers(kinds, size=60).tolist()
    longest, places, followers, weights = find_repeats(np.array(ids))
    wanted = by_hand(ids)
    assert longest.tolist() == wanted[0]
    assert sorted(zip(places.tolist(), followers.tolist(), strict=True)) == wanted[1]
    assert weights.sum() == pytest.approx(len(set(places.tolist())))


def test_repeats_are_trusted_as_far_as_they_are_right():
    always = Repeats(np.array(CYCLE * 50, dtype=np.uint16), 32)
    assert always.trust[:SHORTEST].tolist() == [0, 0] and always.trust[LONGEST] == 1
    rng = np.random.default_rng(0)
    never = Repeats(rng.integers(20, size=2000).astype(np.uint16), 32)
    assert never.trust.max() < 0.1


def test_probabilities_follow_what_came_next_and_stay_probabilities():
    known = Repeats(np.array(CYCLE * 50, dtype=np.uint16), 32)
    ids = np.array([CYCLE * 3, [*range(10, 28)]])
    probs = torch.full((2, 18, 30), 1 / 30)
    known.improve(probs, ids)
    assert torch.allclose(probs.sum(-1), torch.ones(2, 18))
    assert torch.equal(probs[1], torch.full((18, 30), 1 / 30))  # nothing stands there twice
    first, again = probs[0, : len(CYCLE)], probs[0, len(CYCLE) + LONGEST - 1 : -1]
    assert torch.equal(first, torch.full_like(first, 1 / 30))
    assert again.argmax(-1).tolist() == ids[0, len(CYCLE) + LONGEST :].tolist()
