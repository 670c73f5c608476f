"""Damage files that people get from others, by seeds: is each read, or refused with one line?

    python benchmarks/fuzz_files.py                            # every kind, 60 seconds each
    python benchmarks/fuzz_files.py header ckpt.pt --seconds 600
    python benchmarks/fuzz_files.py header --seed 4711 --tries 1    # one of them again

The kinds are the files of a model folder (nanogpt.json, config.json, the header of model.safetensors,
tokenizer.json) and nanoGPT's (ckpt.pt, meta.pkl). Half of the damages change bytes, the others values, which
become huge, negative, nested, missing or of the wrong type. Then everything that reads the file runs: the
list of models, `info`, writing three tokens; or the import.

Prints a line for each kind with how many files were tried, read as if nothing were wrong, refused with a
reason, ended in a traceback, hung for more than 5 s of the processor, or took more than 1 GB; then the seeds
of the last three. The exit code is 1 if there are any. Works in a temporary folder, in processes that are
forked.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # threads do not survive a fork

import numpy as np
import torch

from llm_nanogpt.checkpoint import read_checkpoint, write_model_files, write_weights
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError
from llm_nanogpt.generate import generate
from llm_nanogpt.import_nanogpt import import_nanogpt
from llm_nanogpt.listing import as_lines, details, facts
from llm_nanogpt.loading import open_model
from llm_nanogpt.tokenizer_training import train_bpe

HANG_SECONDS, MOST_BYTES = 5, 1_000_000_000
WAITS = 6  # times as long, where it is not the processor that is busy: others may be at work on the machine
BATCH = 50  # tries of a process
OUTCOMES = ("read", "refused", "traceback", "hang", "over 1 GB")
TEXTS = [f"Row {i}: quick brown fox {i * 37 % 101} jumps over a lazy dog." for i in range(60)]
# What a value may become.
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
        2**31,
        2**53,
        2**63,
        10**400,
    ),
    *("", "x", "\ud800", "../..", "\0", "9" * 400, "F32", "a" * 100_000, "(a+)+$", "qwen3", "gpt2"),
    *([], {}, [[]], {"a": {}}, [1, 2.5], ["a"], [None], {"weight": 1}, [0, -1], [10**9, 10**9]),
)


# ---- Damage


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, left out, or there twice; or the end of it missing."""
    buffer = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(buffer) or 1)
        length = rng.choice((1, 1, 2, 8, 64))
        match rng.randrange(5):
            case 0:
                buffer[at : at + length] = rng.randbytes(length)
            case 1:
                del buffer[at : at + length]
            case 2:
                buffer[at:at] = buffer[at : at + length] * rng.choice((1, 2, 100))
            case 3:
                buffer[at : at + 1] = bytes([buffer[at] ^ (1 << rng.randrange(8))]) if buffer else b""
            case 4:
                del buffer[at:]
    return bytes(buffer)


def damaged_value(value: Any, rng: random.Random) -> Any:
    """The value with one part of it, at any depth, another, missing, or nested deeply."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        key = rng.choice([*value] if isinstance(value, dict) else range(len(value)))
        changed = value.copy()
        if rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = damaged_value(value[key], rng)
        return changed
    if rng.random() < 0.03:
        for _ in range(rng.choice((10, 300))):
            value = [value]
        return value
    if type(value) in (int, float) and rng.random() < 0.4:
        return rng.choice((value + 1, value - 1, -value, value * 2, value * 10**9, value / 3, str(value)))
    return rng.choice(ODD)


DEEP = b"[" * 100_000 + b"]" * 100_000  # JSON that Python cannot follow


def of_json(file: str) -> Callable[[Path, random.Random], None]:
    """Damages a file of JSON in a folder."""

    def damage(folder: Path, rng: random.Random) -> None:
        data = (folder / file).read_bytes()
        if rng.random() < 0.7:
            text = json.dumps(damaged_value(json.loads(data), rng)).encode()
            data = text.replace(b"null", DEEP, 1) if rng.random() < 0.02 else text
        else:
            data = damaged_bytes(data, rng)
        (folder / file).write_bytes(data)

    return damage


def of_header(folder: Path, rng: random.Random) -> None:
    file = folder / "model.safetensors"
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = data[8 : 8 + length], data[8 + length :]
    match rng.randrange(4):
        case 0:
            data = damaged_bytes(data[: 8 + length], rng) + tensors
        case 1:
            header = json.dumps(damaged_value(json.loads(header), rng)).encode()
            data = struct.pack("<Q", len(header)) + header + tensors
        case 2:
            data = struct.pack("<Q", rng.choice((0, 1, 2**31, 2**40, 2**63, length + 1))) + header + tensors
        case 3:  # numbers that are none
            values = rng.choices((float("nan"), float("inf"), 3e38, -1e30), k=len(tensors) // 4)
            data = data[: 8 + length] + np.array(values, np.float32).tobytes()
    file.write_bytes(data)


def of_ckpt(folder: Path, rng: random.Random) -> None:
    saved = torch.load(folder / "ckpt.pt", weights_only=True)
    buffer = io.BytesIO()
    match rng.randrange(4):
        case 0:
            saved["model_args"] = damaged_value(saved["model_args"], rng)
        case 1:
            key = rng.choice(["iter_num", "best_val_loss", "model", "model_args", "config"])
            saved[key] = rng.choice(
                (*ODD, torch.ones(3), torch.tensor(1.5), np.float32(2), torch.nn.Linear(1, 1))
            )
        case 2:
            name = rng.choice([*saved["model"]])
            tensor = saved["model"].pop(name)
            made = {
                "repeated": lambda: torch.ones(1).expand(rng.choice((10, 10**6, 10**12))),
                "meta": lambda: torch.empty(tensor.shape, device="meta"),
                "sparse": lambda: tensor.to_sparse(),
                "learning": lambda: torch.nn.Parameter(tensor),
                "whole": lambda: tensor.long(),
                "half": lambda: tensor.half(),
                "complex": lambda: tensor.to(torch.complex64),
                "turned": lambda: tensor.T if tensor.ndim == 2 else tensor,
                "cut": lambda: tensor[:1],
                "odd": lambda: rng.choice(ODD),
            }
            saved["model"][rng.choice((name, name, name * 2, 7))] = made[rng.choice([*made])]()
        case 3:
            data = damaged_bytes((folder / "ckpt.pt").read_bytes()[: rng.choice((1500, 4000, 10**9))], rng)
            (folder / "ckpt.pt").write_bytes(data)
            return
    torch.save(saved, buffer)
    (folder / "ckpt.pt").write_bytes(buffer.getvalue())


def of_meta(folder: Path, rng: random.Random) -> None:
    file = folder / "meta.pkl"
    data = file.read_bytes()
    if rng.random() < 0.4:
        data = pickle.dumps(damaged_value(pickle.loads(data), rng), rng.randrange(6))
    elif rng.random() < 0.3:  # any program, of few bytes
        data = b"\x80" + bytes([rng.randrange(6)]) + rng.randbytes(rng.randrange(1, 30)) + b"."
    else:
        data = damaged_bytes(data, rng)
    file.write_bytes(data)


# ---- Reading


def read_model(folder: Path) -> None:
    """All that reads a model folder. Raises NanogptError."""
    checkpoint = read_checkpoint(folder)
    known = facts(folder.name, checkpoint) | details(checkpoint)
    "\n".join(as_lines(known)).encode()
    json.dumps(known).encode()
    assert checkpoint.summary
    assert isinstance(checkpoint.version, str)
    opened = open_model(folder, "cpu")
    "".join(generate(opened.model, opened.tokenizer, "Row 1", max_tokens=3)).encode()


def import_model(folder: Path) -> None:
    import_nanogpt(folder / "ckpt.pt", folder.parent / "imported", folder / "meta.pkl")


Damage = Callable[[Path, random.Random], None]
KINDS: dict[str, tuple[Damage, Callable[[Path], None]]] = {
    "nanogpt.json": (of_json("nanogpt.json"), read_model),
    "config.json": (of_json("config.json"), read_model),
    "header": (of_header, read_model),
    "tokenizer.json": (of_json("tokenizer.json"), read_model),
    "ckpt.pt": (of_ckpt, import_model),
    "meta.pkl": (of_meta, import_model),
}


# ---- What is damaged


def make_whole(folder: Path) -> None:
    """A model folder, with a ckpt.pt and a meta.pkl beside its files."""
    tokenizer = train_bpe(TEXTS, 300)
    config = GPTConfig(vocab_size=tokenizer.n_vocab, block_size=16, n_layer=1, n_head=2, n_embd=16)
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(size=s).astype(np.float32) for name, s in config.tensors().items()}
    table = {"table": "entry", "title": "title", "body": ["body"], "kinds": {"body": {"format": "html"}}}
    settings = {"batch_size": 2, "device": "cpu", "minutes": 3.0, "max_iters": None, "learning_rate": 0.02}
    corpus = dict.fromkeys(("documents", "bytes", "val_bytes", "val_documents", "train_tokens"), 60)
    meta = {
        "name": "m",
        "source": {"database": "/blog.db", "table": "entry", "rows": 60, "body": ["body"], "tables": [table]},
        "corpus": corpus | {"sha256": "0" * 64, "skipped": {"empty": 1}},
        "options": {"minutes": 3},
        "score": {"val_bpb": 2.5, "val_loss": 4.1, "step": 7},
        "training": {"status": "finished", "updated": "2026-11-27T10:00:00Z", "step": 7, "seconds": 3.5},
        "settings": settings,
        "generations": [{"config": {}, "settings": settings}],
        "versions": {"torch": "2.9"},
        "verdict": {"lines": {"score": "2.5 bits per byte"}, "figures": {}},
    }
    folder.mkdir()
    write_model_files(folder, config, tokenizer.eot, meta, "# m\n")
    tokenizer.save(folder, config.block_size)
    write_weights(folder / "model.safetensors", tensors, {"step": "7", "val_bpb": "2.5", "val_loss": "4.1"})
    letters = {letter: i for i, letter in enumerate(sorted(set("".join(TEXTS))))}
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(letters), "stoi": letters, "itos": {}}))
    shapes: dict[str, tuple[int, ...]] = {"wte": (len(letters), 16), "wpe": (8, 16), "ln_f": (16,)}
    shapes |= {"h.0.ln_1": (16,), "h.0.ln_2": (16,), "h.0.attn.c_attn": (48, 16), "h.0.attn.c_proj": (16, 16)}
    shapes |= {"h.0.mlp.c_fc": (64, 16), "h.0.mlp.c_proj": (16, 64)}
    arguments = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8, "vocab_size": len(letters)}
    saved = {
        "model": {f"transformer.{name}.weight": torch.ones(shape) for name, shape in shapes.items()},
        "model_args": arguments | {"bias": False, "dropout": 0.0},
        "iter_num": 7,
        "best_val_loss": torch.tensor(1.5),
        "config": {"learning_rate": 1e-3},
    }
    torch.save(saved, folder / "ckpt.pt")


# ---- Trying


class Hang(BaseException):
    """It took too long."""


def _too_long(*_: object) -> None:
    raise Hang


def one_try(kind: str, whole: Path, box: Path, seed: int) -> tuple[str, str]:
    """Damage a copy of the whole folder and read it. Returns one of OUTCOMES, and the message."""
    damage, read = KINDS[kind]
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    os.environ["NANOGPT_HOME"] = str(box)
    shutil.copytree(whole, box / "m")
    damage(box / "m", random.Random(seed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, timer, seconds in (
        (signal.SIGPROF, signal.ITIMER_PROF, HANG_SECONDS),
        (signal.SIGALRM, signal.ITIMER_REAL, HANG_SECONDS * WAITS),
    ):
        signal.signal(number, _too_long)
        signal.setitimer(timer, seconds)
    try:
        read(box / "m")
        outcome = "read", ""
    except Hang:
        outcome = "hang", ""
    except NanogptError as ex:
        good = "\n" not in str(ex) and len(str(ex)) < 800
        outcome = ("refused", str(ex)) if good else ("traceback", f"no line: {str(ex)[:300]!r}")
    except BaseException as ex:
        outcome = "traceback", repr(ex)[:300]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 > MOST_BYTES:
        outcome = "over 1 GB", outcome[1]
    return outcome


def tries(kind: str, folder: Path, first: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Seed, outcome and message of so many tries in a process of their own. A try that ends the process
    counts as a traceback."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings of libraries
            for seed in range(first, first + count):
                line = json.dumps([seed, *one_try(kind, folder / "whole", folder / "box", seed)]) + "\n"
                os.write(writing, line.encode())
        finally:
            os._exit(0)
    os.close(writing)
    done = first
    with open(reading, encoding="utf-8") as lines:
        for line in lines:
            seed, outcome, told = json.loads(line)
            done = seed + 1
            yield seed, outcome, told
    os.waitpid(pid, 0)
    if done < first + count:
        yield done, "traceback", "the process died"


def fuzz(kind: str, folder: Path, first: int, seconds: float, most: int) -> tuple[Counter[str], list[str]]:
    """How often each outcome came in so many seconds and tries, and a line for each bad one."""
    counts: Counter[str] = Counter()
    bad: list[str] = []
    end, seed = time.monotonic() + seconds, first
    while time.monotonic() < end and seed < first + most:
        for number, outcome, told in tries(kind, folder, seed, min(BATCH, first + most - seed)):
            counts[outcome] += 1
            seed = number + 1
            if outcome not in ("read", "refused"):
                bad.append(f"{kind} --seed {number} --tries 1: {outcome} {told}")
    return counts, bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    parser.add_argument("--seconds", type=float, default=60, help="of each kind")
    parser.add_argument("--tries", type=int, default=10**9, help="of each kind, at most")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(KINDS)}")
    print(f"{'file':15} {'tried':>8} " + " ".join(f"{outcome:>10}" for outcome in OUTCOMES))
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        make_whole(folder / "whole")
        for kind in arguments.kinds or KINDS:
            counts, bad = fuzz(kind, folder, arguments.seed, arguments.seconds, arguments.tries)
            row = " ".join(f"{counts[outcome]:10,}" for outcome in OUTCOMES)
            print(f"{kind:15} {counts.total():8,} {row}", flush=True)
            failed += bad
    print(*failed, sep="\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
