"""How far a title steers a model: how much of their title texts contain, and how much it helps to predict a
text.

    python benchmarks/steering.py ~/.config/io.datasette.llm/nanogpt/nanogpt-blog
    python benchmarks/steering.py FOLDER FOLDER --guidance 1 2 3 --texts 60 --tokens 200

Words: for each held-out title the model writes a body. "own" is the fraction of the title's words that the
body has, "other" the same of other rows' titles, which is chance; the difference says how far the title
steers. A few English words that any text has do not count. The first line is of the rows themselves. The
other columns are those of writing.py.

Bits: the first tokens of each held-out body, in bits per byte, after its own title and after another row's,
and for how many rows the own title is better. The same of the tokens from half a context on, where windows of
a long document begin with its title, and without any.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from writing import Rows, Texts, figures, mean, read_rows

from llm_nanogpt.generate import generate
from llm_nanogpt.gpt_numpy import GPT
from llm_nanogpt.guidance import GUIDANCE, GuidedModel
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.sampler import Sampler, log_softmax
from llm_nanogpt.titles import split_title
from llm_nanogpt.words import words

ANYWHERE = frozenset(
    [
        "a",
        "an",
        "the",
        "to",
        "of",
        "in",
        "on",
        "for",
        "and",
        "or",
        "with",
        "using",
        "how",
        "from",
        "is",
        "it",
        "my",
        "i",
        "that",
        "this",
        "by",
        "as",
        "at",
        "be",
        "your",
        "you",
    ]
)
OTHERS = 8  # how many titles of other rows each row is compared with, to measure chance
COLUMNS = ("loops", "real", "distinct", "js1", "js2", "copied", "tokens")


def content(title: str) -> set[str]:
    return {word for word in words(title) if word not in ANYWHERE and len(word) > 1}


def fraction_in(title: str, body: str) -> float:
    """Of the title's words, the fraction that is in the body."""
    return len(content(title) & set(words(body))) / len(content(title))


def titled_rows(rows: Rows, limit: int) -> list[tuple[str, str]]:
    """Titles with words of their own, and bodies, of rows that were held out."""
    pairs = map(split_title, rows.val)
    return [(title, body) for title, body in pairs if body and content(title)][:limit]


def own_and_other(titles: Sequence[str], bodies: Sequence[str]) -> tuple[float, float]:
    own = mean(map(fraction_in, titles, bodies))
    n = len(titles)
    others = ((i, (i + k) % n) for i in range(n) for k in range(1, min(OTHERS + 1, n)))
    return own, mean(fraction_in(titles[j], bodies[i]) for i, j in others)


def write(opened: OpenedModel, title: str, tokens: int, guidance: float, seed: int) -> tuple[str, int]:
    """A body of that title, and its tokens."""
    model, tokenizer, sampler = opened.model, opened.tokenizer, Sampler(seed=seed)
    if model.config.titles:
        run = generate(model, tokenizer, title=title, guidance=guidance, max_tokens=tokens, sampler=sampler)
    else:  # an older model, which can be guided all the same
        head = [tokenizer.eot, *tokenizer.encode(f"{title}\n\n")]
        guided = GuidedModel(model, head, guidance) if guidance != 1 else model
        run = generate(guided, tokenizer, f"{title}\n\n", max_tokens=tokens, sampler=sampler)
    return "".join(run), run.new_tokens


def show_words(opened: OpenedModel, rows: Rows, args: argparse.Namespace) -> None:
    pairs = titled_rows(rows, args.texts)
    titles = [title for title, _ in pairs]

    def cut(text: str) -> str:
        return opened.tokenizer.decode(opened.tokenizer.encode(text)[: args.tokens])

    held_out = [cut(body) for _, body in pairs]
    trained = [cut(split_title(text)[1]) for text in rows.train[: len(pairs)]]
    print("| guidance | own | other | own - other | " + " | ".join(COLUMNS) + " |\n" + "|---" * 11 + "|")

    def show(what: str, texts: list[str], tokens: list[int], others: list[str]) -> None:
        own, other = own_and_other(titles, texts)
        some = Texts(texts, [""] * len(texts), tokens, [False] * len(texts))
        quality = figures(some, others, rows, 0.0, opened)
        cells = [f"{x:.3f}" for x in (own, other, own - other, *(quality[name] for name in COLUMNS))]
        print("| " + " | ".join([what, *cells]) + " |", flush=True)

    show("the rows", held_out, [len(opened.tokenizer.encode(text)) for text in held_out], trained)
    for guidance in args.guidance:
        written = [write(opened, title, args.tokens, guidance, i) for i, title in enumerate(titles)]
        texts, lengths = zip(*written, strict=True)
        show(f"{guidance:g}", list(texts), list(lengths), held_out)


def bits_after(opened: OpenedModel, context: Sequence[int], ids: Sequence[int]) -> float:
    """Of `ids` but the first, which in the middle of a document is no sequel to the context."""
    model = opened.model
    assert isinstance(model, GPT)  # it was opened on the CPU
    logprobs = log_softmax(model.all_logits([*context, *ids[:-1]], model.new_cache(), 0, len(context)))
    return float(-logprobs[np.arange(len(ids) - 1), list(ids[1:])].sum() / math.log(2))


def show_bits(opened: OpenedModel, rows: Rows, args: argparse.Namespace) -> None:
    tokenizer, block_size = opened.tokenizer, opened.model.config.block_size
    pairs = titled_rows(rows, len(rows.val))
    heads = [[tokenizer.eot, *tokenizer.encode(f"{title}\n\n")] for title, _ in pairs]
    bodies = [tokenizer.encode(body) for _, body in pairs]
    print("| bits per byte of | rows | own title | another row's | none | rows with the own one better |")
    print("|---" * 6 + "|")
    for what, start in (("the beginning", 0), ("what is half a context on", block_size // 2)):
        found: list[tuple[float, ...]] = []  # bytes, and bits after each context, of a row
        for i, body in enumerate(bodies):
            ids = body[start : start + min(args.tokens, block_size // 2)]
            contexts: list[list[int]] = [heads[i], heads[i - 1], heads[i][-1:] if start == 0 else []]
            if len(ids) > 1 and max(map(len, contexts)) + len(ids) <= block_size:
                size = sum(len(tokenizer.token_bytes(token)) for token in ids[1:])
                found.append((size, *(bits_after(opened, context, ids) for context in contexts)))
        if found:
            size, own, other, none = np.sum(found, axis=0)
            better = sum(row[1] < row[2] for row in found)
            cells = [f"{bits / size:.3f}" for bits in (own, other, none)]
            print("| " + " | ".join([what, str(len(found)), *cells, str(better)]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="FOLDER", help="of a model")
    parser.add_argument("--guidance", type=float, nargs="*", default=[1, GUIDANCE], help="[default: 1 2]")
    parser.add_argument("--texts", type=int, default=60, help="at most, of each guidance  [default: 60]")
    parser.add_argument("--tokens", type=int, default=200, help="of a body  [default: 200]")
    args: Any = parser.parse_args()
    for folder in args.models:
        opened = open_model(folder, "cpu")
        rows = read_rows(opened)
        print(f"\n{folder.name}, {float(opened.checkpoint.weights['val_bpb']):.3f} bits per byte\n")
        show_bits(opened, rows, args)
        print()
        show_words(opened, rows, args)


if __name__ == "__main__":
    main()
