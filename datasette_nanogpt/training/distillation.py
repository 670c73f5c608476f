"""What a window says of itself: where its last words stood before, it may go on as it did then.

That makes a teacher's guesses better, by 4% of its bits on a blog (benchmarks/LOG.md), and teaches its pupil
to look back. The text alone teaches it less and less: it is soon known by heart, and what is known need not
be looked up.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LEAST, MOST = 2, 8  # tokens that a repeat has; longer ones count as MOST
SAMPLE = 200  # windows to learn from how often repeats are right


def repeats(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How long the longest repeat is that ends at each place of `ids` (T,), as (T,), and for each repeat of
    that length, if it is LEAST or more: its place (N,), the token that came next before (N,), and its share
    among those of its place (N,)."""
    places, before = same_tokens(ids)
    # In order of distance and place, a repeat is a run of pairs, each one place further than the last.
    order = np.sort((places - before) * len(ids) + places)
    distances, places = np.divmod(order, len(ids))
    length = np.minimum(runs(np.diff(order, prepend=-1) == 1), MOST)
    longest = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(longest, places, length)
    best = (length == longest[places]) & (length >= LEAST)
    places, before = places[best], (places - distances)[best]
    return longest, places, ids[before + 1], 1 / np.bincount(places, minlength=len(ids))[places]


def same_tokens(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a place and one before it with the same token, as (N,) and (N,). Found by sorting: to
    compare each place with each takes 35 times as long (benchmarks/LOG.md)."""
    order = np.argsort(ids, kind="stable")
    earlier = runs(np.diff(ids[order], prepend=-1) == 0) - 1  # places before that one with its token
    nth = np.arange(earlier.sum()) - np.repeat(earlier.cumsum() - earlier, earlier)
    return np.repeat(order, earlier), order[np.repeat(np.arange(len(ids)) - earlier, earlier) + nth]


def runs(goes_on: np.ndarray) -> np.ndarray:
    """How many elements there are up to each one, itself included, since one that does not go on."""
    n = np.arange(len(goes_on))
    return n + 1 - np.maximum.accumulate(np.where(goes_on, 0, n))


class Repeats:
    """How far to trust repeats in a text: the square of how often those of a length were right.

    The square fits what mixing the two best takes: repeats and a model err together (benchmarks/LOG.md).
    """

    def __init__(self, tokens: np.ndarray, block_size: int):
        right, seen = np.zeros(MOST + 1), np.zeros(MOST + 1)
        starts = np.random.default_rng(0).integers(len(tokens) - block_size, size=SAMPLE)
        for start in starts:
            window = tokens[start : start + block_size + 1].astype(np.int64)
            longest, places, followers, shares = repeats(window[:-1])
            lengths = longest[places]
            np.add.at(right, lengths, shares * (followers == window[places + 1]))
            np.add.at(seen, lengths, shares)
        self.trust = np.square(right / np.maximum(seen, 1))  # by length; 0 for those under LEAST

    def improve(self, guesses: Tensor, windows: np.ndarray) -> Tensor:
        """Mix what repeats say into the `guesses` (B, T, V), float32, after `windows` (B, T), in place."""
        for some, ids in zip(guesses, windows, strict=True):
            longest, places, followers, shares = repeats(ids)
            trust = self.trust[longest]
            left, *said = (
                torch.from_numpy(array).to(some.device)
                for array in (np.float32(1 - trust), places, followers, np.float32(shares * trust[places]))
            )
            some *= left[:, None]
            some.index_put_(tuple(said[:2]), said[2], accumulate=True)
        return guesses
