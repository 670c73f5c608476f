"""Where a model's bits are: by the length of the passage before each token that the training rows have, too.

    python benchmarks/copied_bits.py nanogpt-blog
    python benchmarks/copied_bits.py nanogpt-blog --other costs.f32

A compressor such as paq8px finds every long passage of the training rows again; a model only knows those that
it has read often. So the bits after long shared passages are what a model could gain by copying, and the
other bits are language. For each token of held-out text, the passage is the longest one of 1, 2, 4, ...
tokens that ends
before it and stands anywhere in the training text; "next" is how often the training text goes on in the same
way after at least one of its occurrences. "With copying" is what the bits would be if the model were mixed
with a guess that the text goes on as after the last occurrence: with the weight that is best for that row of
the table, so it is the most that copying the training rows can give.

--other is a file of what another program needs for each byte of the held-out text after the training text:
bits, float32, one for each byte and one for the zero byte that ends a document. vs_nanogpt.ppmd has the text.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)  # tokens
WEIGHTS = np.linspace(0, 0.99, 100)  # of a guess that the text goes on as it did before
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token is lost in the products modulo 2 ** 64


def hashes(ids: np.ndarray, length: int) -> np.ndarray:
    """A number for each passage of so many tokens, a power of 2: (N - length + 1,), by doubling."""
    with np.errstate(over="ignore"):
        current, span = (ids.astype(np.uint64) + np.uint64(1)) * FACTOR, 1
        while span < length:
            mixed = (current ^ (current >> np.uint64(29))) * FACTOR
            current = mixed[:-span] * np.uint64(2 * span + 1) + current[span:]
            span *= 2
    return current


class Shared(NamedTuple):
    """Of each token of held-out text but the first, (N - 1,) each: whether it comes after a passage of so
    many tokens that the training text has, whether that goes on in the same way once at least, and whether it
    did so the last time."""

    length: int
    shared: np.ndarray
    same: np.ndarray
    same_last: np.ndarray


def longest_shared(train: np.ndarray, val: np.ndarray) -> Iterator[Shared]:
    """One `Shared` for each length, the shortest first."""
    for length in LENGTHS:
        shared, same, same_last = (np.zeros(len(val) - 1, bool) for _ in range(3))
        if length < min(len(train), len(val)):
            mine, theirs = hashes(val, length)[:-1], hashes(train, length)[:-1]
            after = np.isin(mine, theirs)
            with np.errstate(over="ignore"):
                my_next = mine * FACTOR + val[length:].astype(np.uint64)
                their_next = theirs * FACTOR + train[length:].astype(np.uint64)
            shared[length - 1 :], same[length - 1 :] = after, np.isin(my_next, their_next)
            order = np.argsort(theirs, kind="stable")
            last = order[np.searchsorted(theirs, mine, side="right", sorter=order) - 1]
            same_last[length - 1 :] = after & (train[last + length] == val[length:])
        yield Shared(length, shared, same, same_last)


def with_copying(bits: np.ndarray, right: np.ndarray) -> float:
    """The total bits of these tokens, if the model were mixed with a guess that is `right` or not, by the
    best weight for them."""
    probs = 2.0**-bits
    return min(float(-np.log2((1 - weight) * probs + weight * right).sum()) for weight in WEIGHTS)


def token_bits(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The training and held-out ids of a model, and the bits and the bytes of each held-out token except the
    first."""
    import torch

    from datasette_nanogpt.data.dataloader import IGNORED, Tokens, Windows
    from datasette_nanogpt.training.evaluate import batches_in_order, token_nats
    from llm_nanogpt.checkpoint import read_checkpoint, read_weights
    from llm_nanogpt.gpt_torch import build
    from llm_nanogpt.home import nanogpt_home
    from llm_nanogpt.titles import Titles
    from llm_nanogpt.tokenizer import Tokenizer

    folder = nanogpt_home() / name
    checkpoint, tokenizer = read_checkpoint(folder), Tokenizer.load(folder)
    config = checkpoint.config
    model = build(config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in read_weights(checkpoint).items()})
    titles = Titles(tokenizer, config) if config.titles else None
    tokens = Tokens.open(folder / "training", config.vocab_size, checkpoint.meta["corpus"], titles)
    nats = [
        token_nats(model, x, y, "cpu", bf16=False)
        for _, x, y in batches_in_order(model, Windows(tokens.val, config.block_size, titles))
        if (y != IGNORED).any()
    ]
    sizes = np.array([len(tokenizer.token_bytes(i)) for i in range(config.vocab_size)])
    sizes[tokenizer.eot] = 0
    val = np.asarray(tokens.val)
    return np.asarray(tokens.train), val, np.concatenate(nats) / math.log(2), sizes[val[1:]]


def bits_of_other(file: str, sizes: np.ndarray) -> np.ndarray:
    """The bits of another program for each token. `sizes` are the tokens' bytes: 0 for the end of a document,
    for which the file has one byte."""
    costs, ends = np.fromfile(file, dtype=np.float32), np.cumsum(np.maximum(sizes, 1))
    if len(costs) != ends[-1]:
        raise SystemExit(f"{file} has {len(costs):,} bytes' bits, the held-out text {ends[-1]:,} bytes")
    return np.diff(np.concatenate([[0.0], np.cumsum(costs, dtype=np.float64)])[[0, *ends]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model that was trained here")
    parser.add_argument("--other", metavar="FILE", help="bits that another program needs for each byte")
    args = parser.parse_args()
    train, val, bits, sizes = token_bits(args.model)
    other = bits_of_other(args.other, sizes) if args.other else None
    longest = np.zeros(len(bits), int)
    goes_on, copied = np.zeros(len(bits), bool), np.zeros(len(bits), bool)
    for length, shared, same, same_last in longest_shared(train, val):
        longest[shared], goes_on[shared], copied[shared] = length, same[shared], same_last[shared]
    groups = [(length, longest == length) for length in (0, *LENGTHS) if (longest == length).any()]
    rows: list[tuple[int | None, np.ndarray]] = [*groups, (None, longest >= 0)]  # the last row: all tokens
    print(
        "| shared before it | tokens | next | of all bits | bits a token | bits per byte | with copying |",
        end="",
    )
    print(" other |\n|---|---|---|---|---|---|---|---|" if args.other else "\n|---|---|---|---|---|---|---|")
    for shortest, these in rows:
        part, size = bits[these].sum(), max(int(sizes[these].sum()), 1)
        inside = [group & these for _, group in groups]
        best = sum(with_copying(bits[each], copied[each]) for each in inside if each.any())
        until = "" if shortest in (None, 0, 1) else f" to {2 * shortest - 1}"
        until = " or more" if shortest == LENGTHS[-1] else until
        cells = [
            "all" if shortest is None else f"{shortest}{until}",
            f"{these.mean():.1%}",
            f"{goes_on[these].mean():.0%}",
            f"{part / bits.sum():.1%}",
            f"{bits[these].mean():.2f}",
            f"{part / size:.3f}",
            f"{best / size:.3f}",
        ]
        cells += [f"{other[these].sum() / size:.3f}"] if other is not None else []
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
