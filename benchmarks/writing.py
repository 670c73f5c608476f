"""How good texts are to read: those of a model beside held-out rows cut at the same length.

    python benchmarks/writing.py blog.db blog_entry til --minutes 1 3 10   # trains, then measures
    python benchmarks/writing.py --model ~/.config/io.datasette.llm/nanogpt/nanogpt-blog
    python benchmarks/writing.py --model FOLDER --settings '{}' '{"dry_multiplier": 0, "real_words": false}'

Each text goes on from the first words of a held-out row, until the model ends it or it has as many tokens as
the row was cut at. In each cell: the model's texts / the rows. "loops", "ended" (by the model, not cut),
"signs" (30 characters and more without a word of two letters), "echoes" (a short string three times running),
"capitals" (in a word as no row has it), "low" (of texts of 200 characters and more, those that zlib makes
smaller than 97% of the rows trained on), "foreign" (a character that no row has), "open" (three brackets of a
kind that are never closed), "surplus" (a bracket closed that was not open), "quotes" (an odd number of double
quotes), "strings" (60 characters and more without a space) and "short" (ended by the model within 10 tokens)
are fractions of the texts. "real" words (those of the table), "distinct" words and repeated 4-grams ("rep4")
are means over the texts, and so is "copied", the fraction of words in passages of eight words or more that
the rows trained on have too. "js1" is the distance of the words from those of held-out rows, "js2" that of
pairs of words: 0 if they are the same, so less is better. Of the rows themselves it is that of as many rows
trained on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasette_nanogpt.data.memorization import find_memorized
from datasette_nanogpt.data.text_metrics import (
    compressed_fraction,
    distinct_fraction,
    has_echo,
    has_loop,
    has_odd_capitals,
    longest_sign_run,
    longest_string,
    ngram_distance,
    open_brackets,
    real_word_fraction,
    repeated_ngram_fraction,
    surplus_brackets,
)
from datasette_nanogpt.data.token_files import open_tokens
from llm_nanogpt.generate import generate
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.words import LETTERS, WordList

PROMPT_WORDS = 4
LONG = 200  # characters of a text that is compressed to see whether it goes in circles
# Rows that texts are compared with in this, and the fraction of them that is low.
COMPARED, LOWEST = 400, 0.03
MANY_OPEN, LONG_STRING = 3, 60  # brackets of a kind that are never closed; characters without a space
SHORT = 10  # tokens after the prompt
SIGN_RUN = 30  # characters without a word of two letters: a run of numbers and signs
COLUMNS = {  # name -> digits shown
    "loops": 3,
    "real": 3,
    "distinct": 3,
    "rep4": 3,
    "js1": 3,
    "js2": 3,
    "copied": 3,
    "signs": 3,
    "echoes": 3,
    "capitals": 3,
    "low": 3,
    "foreign": 3,
    "open": 3,
    "surplus": 3,
    "quotes": 3,
    "strings": 3,
    "short": 3,
    "ended": 2,
    "tokens": 0,
}


@dataclass(frozen=True)
class Rows:
    """The documents of a model: what it was trained on, what was held out, and all their words and
    characters."""

    train: list[str]
    val: list[str]
    known: WordList
    characters: frozenset[str]


def read_rows(opened: OpenedModel) -> Rows:
    train, val = (list(documents(opened, split)) for split in ("train", "val"))
    as_written = {word for text in (*train, *val) for word in LETTERS.findall(text)}
    known = WordList({*as_written, *map(str.casefold, as_written)}, cased=True)
    return Rows(train, val, known, frozenset().union(*train, *val))


def documents(opened: OpenedModel, split: str) -> Iterator[str]:
    file = opened.checkpoint.path / "training" / f"{split}.bin"
    ids = open_tokens(file, opened.tokenizer.n_vocab)
    ends = np.flatnonzero(ids == opened.tokenizer.eot).tolist()
    for start, end in itertools.pairwise(ends):
        yield opened.tokenizer.decode(ids[start + 1 : end])


def beginning(row: str) -> str:
    """The first words of a row, without the space after them."""
    return " ".join(row.split(" ")[:PROMPT_WORDS])


def write(
    opened: OpenedModel, row: str, tokens: int, seed: int, settings: dict[str, Any]
) -> tuple[str, int, bool]:
    """A text from the beginning of `row`; its tokens, and whether the model ended it."""
    prompt = beginning(row)
    given = len(opened.tokenizer.encode(prompt))
    sampler = Sampler(**settings, seed=seed)
    run = generate(opened.model, opened.tokenizer, prompt, max_tokens=max(1, tokens - given), sampler=sampler)
    text = prompt + "".join(run)
    return text, given + run.new_tokens, run.finish_reason == "stop"


def figures(
    texts: list[str], prompts: list[str], others: list[str], rows: Rows, mean_tokens: float, ended: float
) -> dict[str, float]:
    """Everything in COLUMNS. `others` are held-out rows, to tell the distance from."""
    trained: Iterator[tuple[str, dict[str, Any], str]] = (("", {}, document) for document in rows.train)
    copied = find_memorized([t.removeprefix(p) for t, p in zip(texts, prompts, strict=True)], trained)
    return {
        "loops": mean(map(has_loop, texts)),
        "signs": mean(longest_sign_run(text) >= SIGN_RUN for text in texts),
        "echoes": mean(map(has_echo, texts)),
        "capitals": mean(
            has_odd_capitals(t.removeprefix(p), rows.known) for t, p in zip(texts, prompts, strict=True)
        ),
        "open": mean(open_brackets(text) >= MANY_OPEN for text in texts),
        "surplus": mean(surplus_brackets(text) > 0 for text in texts),
        "quotes": mean(text.count('"') % 2 for text in texts),
        "strings": mean(longest_string(text) >= LONG_STRING for text in texts),
        "real": mean(real_word_fraction(text, rows.known) for text in texts),
        "distinct": mean(map(distinct_fraction, texts)),
        "rep4": mean(map(repeated_ngram_fraction, texts)),
        "js1": ngram_distance(texts, others, 1),
        "js2": ngram_distance(texts, others, 2),
        "copied": mean(memorized.fraction for memorized in copied.texts),
        "ended": ended,
        "tokens": mean_tokens,
    }


def is_short(text: str, prompt: str, ended: bool, opened: OpenedModel) -> bool:
    """Whether a text that is not cut has fewer than SHORT tokens after its prompt."""
    return ended and len(opened.tokenizer.encode(text)) - len(opened.tokenizer.encode(prompt)) < SHORT


def low_and_foreign(texts: Iterable[str], threshold: float, rows: Rows) -> dict[str, float]:
    """The fractions of texts that compress to less than `threshold`, and with a character that no row has."""
    some = list(texts)
    long = [text for text in some if len(text) >= LONG]
    return {
        "low": mean(compressed_fraction(text) < threshold for text in long),
        "foreign": mean(not rows.characters.issuperset(text) for text in some),
    }


def mean(numbers: Iterable[float | None]) -> float:
    known = [float(number) for number in numbers if number is not None]
    return statistics.fmean(known) if known else float("nan")


def measure(
    opened: OpenedModel, rows: Rows, tokens: int, args: argparse.Namespace, settings: dict[str, Any]
) -> dict[str, Any]:
    """The figures of the model and of the rows, for texts of so many tokens."""
    tokenizer = opened.tokenizer
    rng = np.random.default_rng(0)

    def some(documents: list[str]) -> list[str]:
        return [documents[i] for i in rng.permutation(len(documents))[: args.texts]]

    def cut(documents: list[str]) -> list[list[int]]:
        return [tokenizer.encode(document)[:tokens] for document in documents]

    held_out, trained = some(rows.val), some(rows.train)
    prompts, real = [beginning(row) for row in held_out], cut(held_out)
    real_texts, others = (
        [tokenizer.decode(ids) for ids in real],
        [tokenizer.decode(ids) for ids in cut(trained)],
    )
    compared = [tokenizer.decode(ids) for ids in cut(rows.train[:COMPARED])]
    long = [compressed_fraction(text) for text in compared if len(text) >= LONG]
    threshold = float(np.quantile(long, LOWEST)) if long else 0.0
    by_seed = []
    for seed in range(args.seeds):
        written = [write(opened, row, tokens, 10_000 * seed + i, settings) for i, row in enumerate(held_out)]
        texts, lengths, ended = zip(*written, strict=True)
        each = figures(list(texts), prompts, real_texts, rows, mean(lengths), mean(ended))
        short = mean(is_short(*one, opened) for one in zip(texts, prompts, ended, strict=True))
        by_seed.append(each | low_and_foreign(texts, threshold, rows) | {"short": short})
        if args.show:
            args.show.write_text("\n=====\n".join(texts))
    lengths_of_rows = [len(ids) for ids in real]
    ended_rows = mean(length < tokens for length in lengths_of_rows)
    of_rows = figures(real_texts, prompts, real_texts, rows, mean(lengths_of_rows), ended_rows)
    of_rows |= low_and_foreign(real_texts, threshold, rows)
    whole = [len(ids) < tokens for ids in real]
    of_rows["short"] = mean(is_short(*one, opened) for one in zip(real_texts, prompts, whole, strict=True))
    of_rows |= {f"js{n}": ngram_distance(others, real_texts, n) for n in (1, 2)}
    return {
        "model": {name: mean(each[name] for each in by_seed) for name in COLUMNS},
        "spread": {name: float(np.std([each[name] for each in by_seed])) for name in COLUMNS},
        "rows": of_rows,
    }


def train(database: str, table: str, minutes: float, home: Path) -> Path:
    name = f"nanogpt-{table}-{minutes:g}"
    command = [sys.executable, "-m", "datasette_nanogpt", "train", database, table, "--name", name]
    environment = os.environ | {"NANOGPT_HOME": str(home)}
    subprocess.run(
        [*command, "--minutes", str(minutes)], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return home / name


def show(what: str, tokens: int, settings: dict[str, Any], found: dict[str, Any]) -> None:
    cells = [
        f"{found['model'][name]:.{digits}f} / {found['rows'][name]:.{digits}f}"
        for name, digits in COLUMNS.items()
    ]
    how = ", ".join(f"{key} {value}" for key, value in settings.items()) or "default"
    print("| " + " | ".join([what, str(tokens), how, *cells]) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", nargs="?", help="train models of its tables first")
    parser.add_argument("tables", nargs="*", metavar="TABLE")
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="folders of models that exist")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 3, 10], help="[default: 1 3 10]")
    parser.add_argument("--tokens", type=int, nargs="*", default=[150, 500], help="[default: 150 500]")
    parser.add_argument("--texts", type=int, default=60, help="a seed, at most  [default: 60]")
    parser.add_argument("--seeds", type=int, default=3, help="of sampling  [default: 3]")
    parser.add_argument(
        "--settings", type=json.loads, nargs="*", default=[{}], help="of Sampler, as JSON  [default: {}]"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--show", type=Path, help="write the last texts to this file")
    args = parser.parse_args()
    if bool(args.database) != bool(args.tables) or not (args.tables or args.model):
        parser.error("give a database and its tables, or --model")
    print(
        "| "
        + " | ".join(["model", "cut at", "settings", *COLUMNS])
        + " |\n"
        + "|---" * (3 + len(COLUMNS))
        + "|"
    )
    found = []
    with tempfile.TemporaryDirectory() as home:
        trained = (train(args.database, t, m, Path(home)) for t in args.tables for m in args.minutes)
        for folder in (*args.model, *trained):
            opened = open_model(folder)
            rows, bpb = read_rows(opened), float(opened.checkpoint.weights["val_bpb"])
            for tokens in args.tokens:
                for settings in args.settings:
                    one = measure(opened, rows, tokens, args, settings)
                    show(f"{folder.name}, {bpb:.3f}", tokens, settings, one)
                    found.append(
                        {"model": folder.name, "bpb": bpb, "cut": tokens, "settings": settings} | one
                    )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
