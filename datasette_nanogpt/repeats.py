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


def repeats(ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How long the longest repeat is that ends at each place of `ids` (T,), as (T,), and for each repeat of
    that length, if it is LEAST or more: its place (N,), the token that came next before (N,), and its share
    among those of its place (N,)."""
    same = (ids[:, None] == ids).tril(-1)
    run, length = same.clone(), same.byte()
    for _ in range(MOST - 1):
        run[1:, 1:] = same[1:, 1:] & run[:-1, :-1]  # it was the same one place before, too
        run[:, 0] = False
        length += run
    longest = length.amax(1)
    places, before = ((length == longest[:, None]) & (longest >= LEAST)[:, None]).nonzero(as_tuple=True)
    return longest.long(), places, ids[before + 1], 1 / torch.bincount(places, minlength=len(ids))[places]


class Repeats:
    """How far to trust repeats in a text: the square of how often those of a length were right.

    The square fits what mixing the two best takes: repeats and a model err together (benchmarks/LOG.md).
    """

    def __init__(self, tokens: np.ndarray, block_size: int, device: str):
        right, seen = torch.zeros(MOST + 1), torch.zeros(MOST + 1)
        starts = np.random.default_rng(0).integers(len(tokens) - block_size, size=SAMPLE)
        for start in starts:
            window = torch.from_numpy(tokens[start : start + block_size + 1].astype(np.int64))
            longest, places, followers, shares = repeats(window[:-1])
            lengths = longest[places]
            right.index_add_(0, lengths, shares * (followers == window[places + 1]))
            seen.index_add_(0, lengths, shares)
        self.trust = (right / seen.clamp(min=1)).square().to(device)  # by length; 0 for those under LEAST

    def improve(self, guesses: Tensor, ids: Tensor) -> Tensor:
        """Mix what repeats say into the `guesses` (B, T, V) after `ids` (B, T), in place."""
        for some, window in zip(guesses, ids, strict=True):
            longest, places, followers, shares = repeats(window)
            trust = self.trust[longest]
            some *= 1 - trust[:, None]
            some.index_put_((places, followers), shares * trust[places], accumulate=True)
        return guesses
