"""Where a model's bits are: by how long a passage before each token the training rows have word for word.

    python benchmarks/copied_bits.py nanogpt-blog

A compressor such as paq8px finds every long passage of the training rows again; a model knows by heart what
it has often read. So the bits after long shared passages are what it could learn of that, and the others are
language. For each token of held-out text, the passage is the longest one of 1, 2, 4, ... tokens that ends
before it and stands anywhere in the training text; "next" is how often the training text goes on in the same
way after at least one of its occurrences.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np

LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)  # tokens
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


def longest_shared(train: np.ndarray, val: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each length which of the tokens of `val`, but for the first, come after such a passage that `train`
    has, and after which of these it goes on in the same way once at least: (N - 1,) each."""
    for length in LENGTHS:
        shared, same = np.zeros(len(val) - 1, bool), np.zeros(len(val) - 1, bool)
        if length < min(len(train), len(val)):
            mine, theirs = hashes(val, length)[:-1], hashes(train, length)[:-1]
            after = np.isin(mine, theirs)
            with np.errstate(over="ignore"):
                my_next = mine * FACTOR + val[length:].astype(np.uint64)
                their_next = theirs * FACTOR + train[length:].astype(np.uint64)
            shared[length - 1 :], same[length - 1 :] = after, np.isin(my_next, their_next)
        yield length, shared, same


def token_bits(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The training and held-out ids of a model, and bits and bytes of each held-out token but the first."""
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model that was trained here")
    train, val, bits, sizes = token_bits(parser.parse_args().model)
    longest, goes_on = np.zeros(len(bits), int), np.zeros(len(bits), bool)
    for length, shared, same in longest_shared(train, val):
        longest[shared], goes_on[shared] = length, same[shared]
    print(f"{bits.sum() / sizes.sum():.4f} bits per byte of {len(bits):,} held-out tokens\n")
    print("| shared before it | tokens | next | bits a token | bits per byte | of all bits |")
    print("|---|---|---|---|---|---|")
    for length in (0, *LENGTHS):
        if (these := longest == length).any():
            part, size = bits[these].sum(), max(int(sizes[these].sum()), 1)
            print(
                f"| {length}{'' if length == LENGTHS[-1] or not length else f' to {2 * length - 1}'} "
                f"| {these.mean():.1%} | {goes_on[these].mean():.0%} | {bits[these].mean():.2f} "
                f"| {part / size:.3f} | {part / bits.sum():.1%} |"
            )


if __name__ == "__main__":
    main()
