"""How good texts are to read: those of a model beside held-out rows cut at the same length.

    python benchmarks/writing.py blog.db blog_entry til --minutes 1 3 10 --home MODELS --json FILE
    python benchmarks/writing.py --model nanogpt-blog nanogpt-til
    python benchmarks/writing.py --model FOLDER --settings '{}' '{"dry_multiplier": 0, "real_words": false}'

The first trains models and measures them. Models that are in MODELS already are not trained again, and what
FILE has is not measured again: after a crash, or with more tables, give the same command.

Each text goes on from the first words of a held-out row, until the model ends it or it has as many tokens
as the row was cut at. In each cell: the model's texts / the rows; one number is both. A star: Fisher's exact
test says that texts have it more often than rows (1 in 100), where it is a fraction of the texts. Columns
that are 0 everywhere are left out.

Fractions of the texts: "loops"; "echoes" (a short string three times running); "items" (an item of a list, a
sentence or a line stands again next to itself, or one item later); "low" (of texts of 200 characters and
more, those that zlib makes smaller than 97% of the rows trained on); "signs" (30 characters and more without
a word of two letters); "numbers" (one beside a word as in no row trained on, longer than theirs, or left out
between two spaces); "strings" (60 characters and more without a space); "long lines" (8 characters longer
than 99.7% of the rows' lines, and more); "capitals" (in a word as no row has it); "joined" (a word with an
apostrophe as no row trained on has it); "foreign" (a character that no row has); "open" (three brackets of a
kind that are never closed); "surplus" (a bracket closed that was not open); "quotes" (an odd number of double
quotes); "line" (the same in a line); "fence" (a docstring or block of code that is never closed); "short"
(ended by the model within 10 tokens); "ended" (by the model, not cut). "end": of those that are not cut,
those that end in a character as hardly a row does.

Means over the texts: "real" words (those of the table), "distinct" words, repeated 4-grams ("rep4"),
"copied", the fraction of words in passages of eight words or more that the rows trained on have too, and
"tokens". "js1" is the distance of the words from those of held-out rows, "js2" that of pairs of words: 0 if
they are the same, so less is better. Of the rows themselves it is that of as many rows trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from text_figures import (
    UsualNumbers,
    compressed_fraction,
    distinct_fraction,
    has_odd_capitals,
    has_odd_number,
    has_odd_quotes_in_line,
    longest_sign_run,
    longest_string,
    measure_numbers,
    ngram_distance,
    repeated_ngram_fraction,
)

from datasette_nanogpt.data.memorization import find_memorized
from datasette_nanogpt.data.text_faults import (
    Usual,
    chance_of_more,
    has_long_line,
    has_new_joined_word,
    has_odd_end,
    has_odd_quotes,
    has_open_fence,
    measure_usual,
    repeats_item,
)
from datasette_nanogpt.data.text_metrics import (
    has_echo,
    has_loop,
    open_brackets,
    real_word_fraction,
    surplus_brackets,
)
from datasette_nanogpt.data.token_files import open_tokens, read_documents
from llm_nanogpt.generate import generate
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.names import folder_of
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.words import LETTERS, WordList, fold

PROMPT_WORDS = 4
LONG = 200  # characters of a text that is compressed to see whether it goes in circles
# Rows that texts are compared with in this, and the fraction of them that is low.
COMPARED, LOWEST = 400, 0.03
MANY_OPEN, LONG_STRING = 3, 60  # brackets of a kind that are never closed; characters without a space
SHORT = 10  # tokens after the prompt
SIGN_RUN = 30  # characters without a word of two letters: a run of numbers and signs
CHANCE = 0.01  # a star: texts and rows differ as much by chance no more often than this
MEANS = {"real": 3, "distinct": 3, "rep4": 3, "js1": 3, "js2": 3, "copied": 3, "tokens": 0}  # -> digits
COLUMNS = [
    *("loops", "echoes", "items", "low", "rep4", "signs", "numbers", "strings", "long lines", "capitals"),
    *("joined", "foreign", "open", "surplus", "quotes", "line", "fence", "end", "short", "ended", "tokens"),
    *("real", "distinct", "js1", "js2", "copied"),
]
# Fractions of the texts: whether a text has it.
OF_TEXTS: dict[str, Callable[[str, Usual], bool]] = {
    "loops": lambda text, _: has_loop(text),
    "echoes": lambda text, _: has_echo(text),
    "items": lambda text, _: repeats_item(text),
    "signs": lambda text, _: longest_sign_run(text) >= SIGN_RUN,
    "strings": lambda text, _: longest_string(text) >= LONG_STRING,
    "long lines": has_long_line,
    "joined": has_new_joined_word,
    "open": lambda text, _: open_brackets(text) >= MANY_OPEN,
    "surplus": lambda text, _: surplus_brackets(text) > 0,
    "quotes": lambda text, _: has_odd_quotes(text),
    "line": lambda text, _: has_odd_quotes_in_line(text),
    "fence": lambda text, _: has_open_fence(text),
}


@dataclass(frozen=True)
class Rows:
    """The documents of a model: what it was trained on, what was held out, and all their words and
    characters."""

    train: list[str]
    val: list[str]
    known: WordList
    characters: frozenset[str]
    usual: Usual  # in the rows trained on
    numbers: UsualNumbers  # the same


def read_rows(opened: OpenedModel) -> Rows:
    train, val = (list(documents(opened, split)) for split in ("train", "val"))
    as_written = {word for text in (*train, *val) for word in LETTERS.findall(text)}
    known = WordList({*as_written, *map(fold, as_written)}, cased=True, capitals=True)
    return Rows(
        train, val, known, frozenset().union(*train, *val), measure_usual(train), measure_numbers(train)
    )


def documents(opened: OpenedModel, split: str) -> Iterator[str]:
    file = opened.checkpoint.path / "training" / f"{split}.bin"
    return read_documents(open_tokens(file, opened.tokenizer.n_vocab), opened.tokenizer)


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


@dataclass(frozen=True)
class Texts:
    """Some texts, what they go on from, their tokens, and whether each ended by itself and was not cut."""

    texts: Sequence[str]
    prompts: Sequence[str]
    tokens: Sequence[int]
    ended: Sequence[bool]


def figures(
    some: Texts, others: list[str], rows: Rows, threshold: float, opened: OpenedModel
) -> dict[str, float]:
    """Everything in COLUMNS. `others` are held-out rows, to tell the distance from; texts are low that
    compress to less than `threshold`."""
    texts, after = some.texts, [t.removeprefix(p) for t, p in zip(some.texts, some.prompts, strict=True)]
    trained: Iterator[tuple[str, dict[str, Any], str]] = (("", {}, document) for document in rows.train)
    copied = find_memorized(after, trained)
    whole = [text for text, ended in zip(texts, some.ended, strict=True) if ended]
    long = [text for text in texts if len(text) >= LONG]
    short = (len(opened.tokenizer.encode(prompt)) + SHORT for prompt in some.prompts)
    return {name: mean(has(text, rows.usual) for text in texts) for name, has in OF_TEXTS.items()} | {
        "numbers": mean(has_odd_number(text, rows.numbers) for text in texts),
        "capitals": mean(has_odd_capitals(text, rows.known) for text in after),
        "low": mean(compressed_fraction(text) < threshold for text in long),
        "foreign": mean(not rows.characters.issuperset(text) for text in texts),
        "short": mean(e and n < s for e, n, s in zip(some.ended, some.tokens, short, strict=True)),
        "end": mean(has_odd_end(text, rows.usual) for text in whole),
        "real": mean(real_word_fraction(text, rows.known) for text in texts),
        "distinct": mean(map(distinct_fraction, texts)),
        "rep4": mean(map(repeated_ngram_fraction, texts)),
        "js1": ngram_distance(texts, others, 1),
        "js2": ngram_distance(texts, others, 2),
        "copied": mean(memorized.fraction for memorized in copied.texts),
        "ended": mean(some.ended),
        "tokens": mean(some.tokens),
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
    real_texts, others = ([tokenizer.decode(ids) for ids in each] for each in (real, cut(trained)))
    compared = [tokenizer.decode(ids) for ids in cut(rows.train[:COMPARED])]
    long = [compressed_fraction(text) for text in compared if len(text) >= LONG]
    threshold = float(np.quantile(long, LOWEST)) if long else 0.0
    by_seed = []
    for seed in range(args.seeds):
        written = [write(opened, row, tokens, 10_000 * seed + i, settings) for i, row in enumerate(held_out)]
        texts, lengths, ended = zip(*written, strict=True)
        by_seed.append(figures(Texts(texts, prompts, lengths, ended), real_texts, rows, threshold, opened))
        if args.show:
            args.show.write_text("\n=====\n".join(texts))
    lengths_of_rows = [len(ids) for ids in real]
    whole = [length < tokens for length in lengths_of_rows]
    of_rows = figures(Texts(real_texts, prompts, lengths_of_rows, whole), real_texts, rows, threshold, opened)
    of_rows |= {f"js{n}": ngram_distance(others, real_texts, n) for n in (1, 2)}
    return {
        "model": {name: mean(each[name] for each in by_seed) for name in COLUMNS},
        "spread": {name: float(np.std([each[name] for each in by_seed])) for name in COLUMNS},
        "rows": of_rows,
        "compared": len(held_out),
    }


def folder_of_model(name: str) -> Path:
    return Path(name) if Path(name).is_dir() else folder_of(name)


def train(database: str, table: str, minutes: float, home: Path) -> Path:
    """The folder of a model; one that is there already is not trained again."""
    name = f"nanogpt-{table}-{minutes:g}"
    if (home / name).is_dir():
        return home / name
    command = [sys.executable, "-m", "datasette_nanogpt", "train", database, table, "--name", name]
    environment = os.environ | {"NANOGPT_HOME": str(home)}
    subprocess.run(
        [*command, "--minutes", str(minutes)], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return home / name


def table(found: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of a table in markdown, one for each of what was `found`."""
    sides = [each[side] for each in found for side in ("model", "rows")]
    shown = [name for name in COLUMNS if any(side[name] > 0 for side in sides)]
    with_settings = any(each["settings"] for each in found)
    yield "| " + " | ".join(["model", "cut at", *["settings"] * with_settings, *shown]) + " |"
    yield "|---" * (2 + with_settings + len(shown)) + "|"
    for each in found:
        how = ", ".join(f"{key} {value}" for key, value in each["settings"].items()) or "default"
        cells = [f"{each['model_name']}, {each['bpb']:.3f}", str(each["cut"]), *[how] * with_settings]
        yield "| " + " | ".join([*cells, *(cell(each, name) for name in shown)]) + " |"


def cell(found: dict[str, Any], name: str) -> str:
    """ "0.05 / 0", with a star where that is hardly chance."""
    fractions, digits = (found["model"][name], found["rows"][name]), MEANS.get(name, 2)
    shown = [f"{fraction:.{digits}f}" if fraction else "0" for fraction in fractions]
    star = ""
    if name not in MEANS and not any(map(np.isnan, fractions)):
        texts, rows = found["texts"], found["compared"]
        have = round(fractions[0] * texts), round(fractions[1] * rows)
        star = "*" if chance_of_more(have[0], texts, have[1], rows) < CHANCE else ""
    return (shown[0] if shown[0] == shown[1] else " / ".join(shown)) + star


def measure_all(
    models: Iterable[Callable[[], Path]], args: argparse.Namespace, found: list[dict[str, Any]]
) -> Iterator[str]:
    """Adds to `found` what it does not have, and keeps it in the file; yields what went wrong."""
    for model in models:
        try:
            folder = model()
            opened, rows = open_model(folder), None
            bpb = float(opened.checkpoint.weights["val_bpb"])
            for tokens in args.tokens:
                for settings in args.settings:
                    key = {"model_name": folder.name, "bpb": bpb, "cut": tokens, "settings": settings}
                    key |= {"asked": args.texts, "seeds": args.seeds}
                    if any(key == {name: each.get(name) for name in key} for each in found):
                        continue
                    rows = rows or read_rows(opened)
                    one = measure(opened, rows, tokens, args, settings)
                    found.append(key | {"texts": one["compared"] * args.seeds} | one)
                    print(f"{folder.name}, cut at {tokens}", file=sys.stderr, flush=True)
                    if args.json:
                        args.json.write_text(json.dumps(found, indent=1) + "\n")
        except (Exception, SystemExit) as ex:  # the others are to be measured all the same
            yield f"{type(ex).__name__}: {ex}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", nargs="?", help="train models of its tables first")
    parser.add_argument("tables", nargs="*", metavar="TABLE")
    parser.add_argument("--model", nargs="*", default=[], help="names or folders of models that exist")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 3, 10], help="[default: 1 3 10]")
    parser.add_argument("--tokens", type=int, nargs="*", default=[150, 500], help="[default: 150 500]")
    parser.add_argument("--texts", type=int, default=60, help="a seed, at most  [default: 60]")
    parser.add_argument("--seeds", type=int, default=3, help="of sampling  [default: 3]")
    parser.add_argument(
        "--settings", type=json.loads, nargs="*", default=[{}], help="of Sampler, as JSON  [default: {}]"
    )
    parser.add_argument("--json", type=Path, help="keep the figures in this file; what it has is skipped")
    parser.add_argument("--show", type=Path, help="write the last texts to this file")
    parser.add_argument("--home", type=Path, help="keep the models that are trained in this folder")
    args = parser.parse_args()
    if bool(args.database) != bool(args.tables) or not (args.tables or args.model):
        parser.error("give a database and its tables, or --model")
    found = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        home = args.home or Path(scratch)
        models = [partial(folder_of_model, name) for name in args.model]
        models += [partial(train, args.database, t, m, home) for t in args.tables for m in args.minutes]
        try:
            for problem in measure_all(models, args, found):
                failed.append(problem)
                print(problem, file=sys.stderr, flush=True)
        finally:
            if found:
                print("\n".join(table(found)))
    if failed:
        sys.exit(f"{len(failed)} of {len(models)} models could not be measured")


if __name__ == "__main__":
    main()
