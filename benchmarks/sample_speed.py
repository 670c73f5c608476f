"""How fast models of several sizes write, beside the time it takes to read their weights once: the floor.

    python benchmarks/sample_speed.py                    # all sizes, about two minutes
    python benchmarks/sample_speed.py 2M 5M --skip cold --json sample_speed.json

Weights are random, the shape is the default one with a vocabulary of 4,096 (smaller below 2M), and a token
is written after 256 others. Reading means the product of each matrix with a vector, or of its numbers with
themselves, whichever is faster: nothing else in numpy reads as fast. It is timed with the matrices in the
cache that still holds them, as between two tokens, and from memory, after 256 MB of other numbers. All
figures are the best of many, floors and steps taken in turn, with as many BLAS threads as sampling takes.
At the end a cold `llm -m` of 100 tokens is compared with llm and a model that only draws words.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from machine import machine

if TYPE_CHECKING:
    import numpy as np

    from llm_nanogpt.config import GPTConfig

CONTEXT = 256  # tokens in the cache
SHAPES = {  # vocabulary, layers, heads, width
    "0.2M": (512, 3, 1, 64),
    "1M": (2048, 2, 2, 128),
    "2M": (4096, 4, 2, 128),
    "5M": (4096, 8, 3, 192),
    "10M": (4096, 10, 4, 256),
    "30M": (4096, 8, 8, 512),
}
ELSE_MB = 256  # larger than any cache
COLUMNS = {  # heading: key, digits
    "parameters": ("parameters", 0),
    "MB a token": ("megabytes_read", 1),
    "floor, memory µs": ("floor_memory_us", 0),
    "floor, cache µs": ("floor_cache_us", 0),
    "numpy µs": ("numpy_us", 0),
    "/ memory": ("numpy_by_memory", 2),
    "/ cache": ("numpy_by_cache", 2),
    "sampler µs": ("sampler_us", 0),
    "numpy tokens/s": ("numpy_tokens_per_second", 0),
    "torch tokens/s": ("torch_tokens_per_second", 0),
    "threads": ("threads", 0),
}


def random_weights(config: GPTConfig) -> dict[str, np.ndarray]:
    """Tensors under their Hugging Face names: gains of 1, the rest small and normal."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else rng.standard_normal(shape, np.float32) * np.float32(0.02)
        for name, shape in config.tensors().items()
    }


def best_in_turn(seconds: float, *calls: Callable[[], object]) -> list[float]:
    """The best time of each, in seconds, called in turn for about so long in all."""
    best = [float("inf")] * len(calls)
    end = time.perf_counter() + seconds
    while True:
        for i, call in enumerate(calls):
            started = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - started)
        if time.perf_counter() >= end:
            return best


def measure(size: str, seconds: float, with_torch: bool) -> dict:
    """The figures of one size."""
    import numpy as np

    from llm_nanogpt import gpt_numpy
    from llm_nanogpt.config import GPTConfig
    from llm_nanogpt.sampler import Sampler

    vocabulary, layers, heads, width = SHAPES[size]
    config = GPTConfig(vocabulary, 2 * CONTEXT, layers, heads, width, tied=False)
    weights = random_weights(config)
    rng = np.random.default_rng(1)
    prompt = rng.integers(0, vocabulary, CONTEXT).tolist()
    model = gpt_numpy.build(config, weights)
    assert isinstance(model, gpt_numpy.Qwen3)
    cache = model.new_cache()
    model.logits(prompt, cache)
    # Of the embedding a token reads one row.
    matrices = [*(m[0] for _, _, *layer in model.layers for m in layer), model.output]
    inputs = [(np.ones(len(m), np.float32), m) for m in matrices]
    flat = [m.reshape(-1) for m in matrices]
    n_bytes = sum(m.nbytes for m in matrices)
    other = np.ones(ELSE_MB * 250_000, np.float32)
    logits = rng.normal(0, 2.5, vocabulary).astype(np.float32)  # about as spread as a small model's
    sampler = Sampler(seed=0)

    def products() -> None:
        for vector, matrix in inputs:
            vector.dot(matrix)

    def squares() -> None:
        for numbers in flat:
            numbers.dot(numbers)

    def forget() -> None:
        other.dot(other)

    def step() -> None:
        model.logits([3], cache, CONTEXT)

    with model.threads():
        products_cached, squares_cached, numpy = best_in_turn(seconds, products, squares, step)
        _, products_cold, _, squares_cold = best_in_turn(seconds / 2, forget, products, forget, squares)
    cold, cached = min(products_cold, squares_cold), min(products_cached, squares_cached)
    (choosing,) = best_in_turn(seconds / 4, lambda: sampler.choose(logits))
    pools = gpt_numpy.blas_threads()
    found = {
        "size": size,
        "parameters": config.parameters,
        "megabytes_read": n_bytes / 1e6,
        "floor_memory_us": cold * 1e6,
        "floor_cache_us": cached * 1e6,
        "numpy_us": numpy * 1e6,
        "numpy_by_memory": numpy / cold,
        "numpy_by_cache": numpy / cached,
        "sampler_us": choosing * 1e6,
        "numpy_tokens_per_second": 1 / (numpy + choosing),
        "threads": 1 if model.threads is gpt_numpy.one_thread else max(threads for _, threads in pools),
    }
    if with_torch:
        import torch

        from llm_nanogpt import gpt_torch
        from llm_nanogpt.gpt_torch import TorchModel

        module = gpt_torch.build(config)
        module.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        on_torch = TorchModel(module.eval())
        past = on_torch.new_cache()
        on_torch.logits(prompt, past)
        (torch_step,) = best_in_turn(seconds, lambda: on_torch.logits([3], past, CONTEXT))
        found |= {
            "torch_us": torch_step * 1e6,
            "torch_tokens_per_second": 1 / (torch_step + choosing),
            "torch_threads": torch.get_num_threads(),
        }
    return found


def cold_start(rounds: int) -> dict:
    """Seconds of a whole `llm -m`, medians, with a model of ours and with one that only draws words."""
    from llm_nanogpt.checkpoint import write_model_files, write_weights
    from llm_nanogpt.config import GPTConfig
    from llm_nanogpt.tokenizer_training import train_bpe

    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "nanogpt-random"
        folder.mkdir()
        words = ("".join(chr(97 + i * n % 26) for i in range(6)) + " " for n in range(40_000))
        tokenizer = train_bpe(words, 4096)
        config = GPTConfig(tokenizer.n_vocab, 256, 4, 2, 128, tied=False)
        write_model_files(folder, config, tokenizer.eot, {"name": folder.name}, "")
        tokenizer.save(folder, config.block_size)
        write_weights(folder / "model.safetensors", random_weights(config), {"step": "0", "val_bpb": "8.0"})
        environment = os.environ | {"NANOGPT_HOME": home, "LLM_USER_PATH": home}
        runs = {
            "ours": ([folder.name, "hi", "-o", "max_tokens", "100"], environment),
            "trivial": (["trivial", "hi"], environment | {"LLM_LOAD_PLUGINS": ""}),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds + 1):
            for name, (arguments, env) in runs.items():
                command = [sys.executable, __file__, "--child", *arguments]
                started = time.perf_counter()
                subprocess.run(command, env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
        ours, trivial = (times[1:] for times in seconds.values())  # the first fills the disk's cache
    return {
        "parameters": config.parameters,
        "ours_seconds": statistics.median(ours),
        "trivial_seconds": statistics.median(trivial),
        "ratio": statistics.median(a / b for a, b in zip(ours, trivial, strict=True)),
    }


def run_llm(arguments: list[str]) -> None:
    """`llm -m`, knowing one more model, which writes 100 words."""
    import random

    import llm
    from llm.cli import cli
    from llm.plugins import pm

    class Trivial(llm.Model):
        model_id = "trivial"
        can_stream = True

        def execute(
            self,
            prompt: llm.Prompt,
            stream: bool,
            response: llm.Response,
            conversation: llm.Conversation | None = None,
        ) -> Iterator[str]:
            for _ in range(100):
                yield random.choice(("the", "quick", "brown", "fox")) + " "

    class Plugin:
        @llm.hookimpl
        def register_models(self, register: Callable[[llm.Model], None]) -> None:
            register(Trivial())

    pm.register(Plugin())
    cli(["-m", *arguments])


def show(rows: list[dict]) -> None:
    cells = [["size", *COLUMNS]]
    for row in rows:
        figures = (f"{row[key]:,.{digits}f}" if key in row else "" for key, digits in COLUMNS.values())
        cells.append([row["size"], *figures])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        run_llm(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help=f"of {' '.join(SHAPES)}  [default: all]")
    parser.add_argument("--skip", nargs="*", choices=["torch", "cold"], default=[], help="leave out")
    parser.add_argument("--seconds", type=float, default=4.0, help="to try each thing for  [default: 4]")
    parser.add_argument("--rounds", type=int, default=9, help="of cold starts  [default: 9]")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    args = parser.parse_args()
    if unknown := set(args.sizes) - SHAPES.keys():
        parser.error(f"no such size: {', '.join(sorted(unknown))}")
    rows = [measure(size, args.seconds, "torch" not in args.skip) for size in args.sizes or SHAPES]
    show(rows)
    found = {"machine": machine(), "context": CONTEXT, "sizes": rows}
    if "cold" not in args.skip:
        found["cold"] = cold = cold_start(args.rounds)
        print(
            f"llm -m, cold, 100 tokens: {cold['ours_seconds']:.2f} s with {cold['parameters'] / 1e6:.1f}M "
            f"parameters, {cold['trivial_seconds']:.2f} s with a model that draws words, "
            f"{cold['ratio']:.2f} times that"
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
