"""What a student learns from its teachers: the probabilities that they give each next token.

They are improved by repeats: where the last tokens of a window occurred earlier in the same window, the text
may continue as it did then. That makes a teacher better by 4% of its bits on a blog (benchmarks/LOG.md), and
teaches the student to look back. The text alone teaches that less and less, because the student soon knows it
by heart and has no need to look back.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# How many of the likeliest tokens are kept of the teachers' predictions at each place: as many as keep the
# file of a long text within KEPT_BYTES, but never fewer than FEWEST_KEPT. All other tokens count as one.
# benchmarks/LOG.md, "A population", says what a student loses by that.
KEPT, FEWEST_KEPT, KEPT_BYTES = 128, 8, 2**30
SHORTEST, LONGEST = 2, 8  # tokens of a repeat; longer ones count as LONGEST
SAMPLED_WINDOWS = 200  # windows in which it is counted how often repeats are right


def distillation_loss(losses: Tensor, teacher_weight: float | Tensor) -> Tensor:
    """One loss from `losses` (2,), that of the text and that of the teachers' probabilities."""
    return torch.lerp(losses[0], losses[1], teacher_weight)


class Repeats:
    """How far to trust repeats in a text: the square of how often those of a length were right.

    The square fits what mixing the two best takes: repeats and a model err together (benchmarks/LOG.md).
    """

    def __init__(self, tokens: np.ndarray, block_size: int):
        right, all_of_length = np.zeros(LONGEST + 1), np.zeros(LONGEST + 1)
        starts = np.random.default_rng(0).integers(len(tokens) - block_size, size=SAMPLED_WINDOWS)
        for start in starts:
            window = tokens[start : start + block_size + 1].astype(np.int64)
            longest, places, followers, weights = find_repeats(window[:-1])
            lengths = longest[places]
            np.add.at(right, lengths, weights * (followers == window[places + 1]))
            np.add.at(all_of_length, lengths, weights)
        self.trust = np.square(right / np.maximum(all_of_length, 1))  # by length; 0 under SHORTEST

    def improve(self, probs: Tensor, windows: np.ndarray) -> Tensor:
        """Mix what repeats predict into `probs` (B, T, V), float32, after `windows` (B, T), in place."""
        keep, rows, columns, add = [], [], [], []
        for i, ids in enumerate(windows):
            longest, places, followers, weights = find_repeats(ids)
            trust = self.trust[longest]
            keep.append(np.float32(1 - trust))
            rows.append(i * len(ids) + places)
            columns.append(followers)
            add.append(np.float32(weights * trust[places]))
        # For all windows at once: each call is some launches of a GPU, and each copy waits for it.
        arrays = (torch.from_numpy(np.concatenate(a)).to(probs.device) for a in (keep, rows, columns, add))
        kept, places_of_all, followers_of_all, added = arrays
        flat = probs.view(-1, probs.shape[-1])
        flat.mul_(kept[:, None])
        flat.index_put_((places_of_all, followers_of_all), added, accumulate=True)
        return probs


def find_repeats(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The longest repeats that end at each place of `ids` (T,).

    Returns how long they are, (T,); and for each of them that has SHORTEST tokens or more its place (N,), the
    token that came next the time before (N,), and its weight (N,): those of a place add up to 1.
    """
    places, before = same_tokens(ids)
    # In order of distance and place, a repeat is a run of pairs, each one place further than the last.
    order = np.sort((places - before) * len(ids) + places)
    distances, places = np.divmod(order, len(ids))
    length = np.minimum(run_lengths(np.diff(order, prepend=-1) == 1), LONGEST)
    longest = np.zeros(len(ids), dtype=np.int64)
    np.maximum.at(longest, places, length)
    best = (length == longest[places]) & (length >= SHORTEST)
    places, before = places[best], (places - distances)[best]
    return longest, places, ids[before + 1], 1 / np.bincount(places, minlength=len(ids))[places]


def same_tokens(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a place and an earlier one with the same token, as (N,) and (N,). Found by sorting:
    comparing each place with each takes 35 times as long (benchmarks/LOG.md)."""
    order = np.argsort(ids, kind="stable")
    earlier = run_lengths(np.diff(ids[order], prepend=-1) == 0) - 1  # places before that one with its token
    nth = np.arange(earlier.sum()) - np.repeat(earlier.cumsum() - earlier, earlier)
    return np.repeat(order, earlier), order[np.repeat(np.arange(len(ids)) - earlier, earlier) + nth]


def run_lengths(goes_on: np.ndarray) -> np.ndarray:
    """For each element of `goes_on`, (N,) bool, how many there are from the last False up to and with it."""
    n = np.arange(len(goes_on))
    return n + 1 - np.maximum.accumulate(np.where(goes_on, 0, n))
