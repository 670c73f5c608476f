"""How far a column steers a model: how often it writes a text of the kind that it was asked for.

    python benchmarks/conditions.py blog.db:til demo.db:python_docs shakespeare.db:speech --max-iters 300

Takes rows of several tables as kinds of text, trains one model on all of them by the template
"{{ kind }}\n\n{{ text }}", and writes texts with each kind set. "right" is the fraction of texts that a
classifier (naive Bayes by words, made from the training rows) takes for the kind that was asked for. The line
of held-out rows, cut at the same length, shows how good the classifier is; chance is one in the number of
kinds. The line "none" has texts for which no kind was asked, compared with each kind.
"""

from __future__ import annotations

import argparse
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from writing import documents, mean

from datasette_nanogpt.data.open_source import open_source
from llm_nanogpt.conditions import write_row
from llm_nanogpt.guidance import GUIDANCE
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.titles import split_title
from llm_nanogpt.words import words

ROW_CHARACTERS = 1000
TEMPLATE = r"{{ kind }}\n\n{{ text }}"


class Classifier:
    """Naive Bayes by words, each kind as likely as the others, with one count added to each word."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.counts: dict[str, Counter[str]] = {}
        for kind, text in texts:
            self.counts.setdefault(kind, Counter()).update(words(text))
        self.vocabulary = len(set().union(*self.counts.values()))

    def kind_of(self, text: str) -> str:
        found = words(text)

        def log_odds(kind: str) -> float:
            counts = self.counts[kind]
            total = counts.total() + self.vocabulary
            return sum(math.log((counts[word] + 1) / total) for word in found)

        return max(self.counts, key=log_odds)


def make_table(tables: list[str], characters: int, path: Path) -> None:
    """Make a table with the same amount of text of each kind, in rows of at most ROW_CHARACTERS."""
    with sqlite3.connect(path) as db:
        db.execute("create table mixed (kind text, text text)")
        for place in tables:
            database, _, table = place.rpartition(":")
            left = characters
            for document in open_source(database, table).documents():
                text = document[:ROW_CHARACTERS]
                db.execute("insert into mixed values (?, ?)", [table, text])
                left -= len(text)
                if left < 0:
                    break


def train(database: Path, home: Path, max_iters: int, size: str) -> Path:
    command = [sys.executable, "-m", "datasette_nanogpt", "train", str(database), "mixed", "--name", "mixed"]
    command += ["--template", TEMPLATE, "--max-iters", str(max_iters), "--size", size]
    environment = {**os.environ, "NANOGPT_HOME": str(home)}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
    return home / "mixed"


def texts_of(
    opened: OpenedModel, values: dict[str, str], args: argparse.Namespace, guidance: float
) -> list[str]:
    def write(seed: int) -> str:
        how = {"max_tokens": args.tokens, "guidance": guidance}
        return "".join(write_row(opened, values, sampler=Sampler(seed=seed), **how))

    return [write(seed) for seed in range(args.texts)]


def measure(opened: OpenedModel, args: argparse.Namespace) -> None:
    classifier = Classifier(map(split_title, documents(opened, "train")))
    kinds = list(classifier.counts)

    def cut(text: str) -> str:
        return opened.tokenizer.decode(opened.tokenizer.encode(text)[: args.tokens])

    held_out = list(map(split_title, documents(opened, "val")))
    print("| | " + " | ".join(kinds) + " | right |\n|---|" + "---|" * (len(kinds) + 1))

    def show(what: str, by_kind: dict[str, list[str]]) -> None:
        right = [mean(classifier.kind_of(text) == kind for text in by_kind[kind]) for kind in kinds]
        print("| " + " | ".join([what, *(f"{x:.2f}" for x in [*right, mean(right)])]) + " |", flush=True)

    show("held-out rows", {kind: [cut(text) for k, text in held_out if k == kind] for kind in kinds})
    for guidance in args.guidance:
        texts = {kind: texts_of(opened, {"kind": kind}, args, guidance) for kind in kinds}
        show(f"guidance {guidance:g}", texts)
    nothing = [split_title(text)[1] for text in texts_of(opened, {}, args, 1)]
    show("none", dict.fromkeys(kinds, nothing))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="DATABASE:TABLE")
    parser.add_argument("--model", type=Path, help="a model that was trained by this before")
    parser.add_argument("--home", type=Path, help="where to keep the model  [default: nowhere]")
    parser.add_argument("--characters", type=int, default=250_000, help="of each table  [default: 250,000]")
    parser.add_argument("--max-iters", type=int, default=300)
    parser.add_argument("--size", default="s")
    parser.add_argument("--guidance", type=float, nargs="*", default=[1, GUIDANCE], help="[default: 1 2]")
    parser.add_argument("--texts", type=int, default=30, help="of each kind  [default: 30]")
    parser.add_argument("--tokens", type=int, default=150, help="of a text  [default: 150]")
    args: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = args.model
        if not model:
            make_table(args.tables, args.characters, Path(folder) / "mixed.db")
            model = train(
                Path(folder) / "mixed.db", args.home or Path(folder) / "home", args.max_iters, args.size
            )
        opened = open_model(model, "cpu")
        print(f"\n{float(opened.checkpoint.weights['val_bpb']):.3f} bits per byte\n")
        measure(opened, args)


if __name__ == "__main__":
    main()
