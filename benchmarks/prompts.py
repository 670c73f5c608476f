"""Whether a text continues with a new word after a prompt that ends with a whole word.

    python benchmarks/prompts.py ~/.config/io.datasette.llm/nanogpt/nanogpt-blog
    python benchmarks/prompts.py FOLDER FOLDER --texts 200

Each prompt is a held-out row, cut after one of its words, so rows go on with a new word in all cases. "new"
is the fraction of texts that do, sampled with the default settings and greedily, and "on" of those that do
not although the table has the word. In scripts without spaces there are no word ends to see: these prompts
are cut between any two characters, and what must not follow is a mark that belongs to the last one.

    python benchmarks/prompts.py FOLDER --prompt "Datasette is" --texts 20

is about one prompt, with so many seeds, in numpy and in torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import regex
import torch
from writing import documents

from llm_nanogpt.checkpoint import read_weights
from llm_nanogpt.generate import generate
from llm_nanogpt.gpt_torch import TorchModel, build
from llm_nanogpt.loading import OpenedModel, open_model
from llm_nanogpt.sampler import Sampler
from llm_nanogpt.words import LETTERS, SPACELESS, end_of_word, fold

LONGEST = 400  # characters of a row in which a prompt ends
CHARACTER = regex.compile(rf"(?V1)[{SPACELESS}]\p{{M}}*")
MARK = regex.compile(r"\p{M}")


def prompts(rows: list[str], number: int) -> Iterator[str]:
    """Beginnings of rows up to the end of one of their words; of a row in a script without spaces, up to one
    of its characters."""
    rng = np.random.default_rng(0)
    while number:
        row = rows[rng.integers(len(rows))][:LONGEST]
        characters = [match.end() for match in CHARACTER.finditer(row)]
        ends = (
            characters if len(characters) > len(row) / 4 else [match.end() for match in LETTERS.finditer(row)]
        )
        ends = [end for end in ends if end < len(row) - 1]
        if ends:
            number -= 1
            yield row[: ends[rng.integers(len(ends))]]


def goes_on(prompt: str, text: str) -> bool:
    """Whether `text` lengthens the last word of the prompt, or its last character."""
    return bool(end_of_word(prompt) and end_of_word(prompt + text[:1])) or MARK.match(text) is not None


def write(opened: OpenedModel, prompt: str, seed: int, greedy: bool) -> str:
    sampler = Sampler(seed=seed, temperature=0 if greedy else Sampler.temperature)
    run = generate(opened.model, opened.tokenizer, prompt, max_tokens=4, sampler=sampler)
    return "".join(run)


def measure(folder: Path, number: int) -> None:
    opened = open_model(folder, "cpu")
    known = opened.tokenizer.words or ()
    cells = []
    begun = list(prompts(list(documents(opened, "val")), number))
    for greedy in (False, True):
        went_on = [p for i, p in enumerate(begun) if goes_on(p, write(opened, p, i, greedy))]
        of_table = sum(fold(end_of_word(prompt)) in known for prompt in went_on)
        cells += [f"{1 - len(went_on) / number:.3f}", f"{of_table / number:.3f}"]
    print("| " + " | ".join([folder.name, *cells]) + " |", flush=True)


def one_prompt(folder: Path, prompt: str, number: int) -> None:
    opened = open_model(folder, "cpu")
    module = build(opened.checkpoint.config)
    weights = read_weights(opened.checkpoint)
    module.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    for name, model in (("numpy", opened.model), ("torch", TorchModel(module.eval()))):
        texts = [write(replace(opened, model=model), prompt, seed, greedy=False) for seed in range(number)]
        kept = sum(not goes_on(prompt, text) for text in texts)
        print(f"{folder.name}, {name}: {kept} of {number} go on with a new word, {texts[:5]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="FOLDER", help="of a model")
    parser.add_argument("--texts", type=int, default=200, help="of each model  [default: 200]")
    parser.add_argument("--prompt", help="one prompt, instead of those from rows")
    args = parser.parse_args()
    if not args.prompt:
        print("| model | sampled: new | on | greedy: new | on |\n|---|---|---|---|---|")
    for folder in args.models:
        if args.prompt:
            one_prompt(folder, args.prompt, args.texts)
        else:
            measure(folder, args.texts)


if __name__ == "__main__":
    main()
