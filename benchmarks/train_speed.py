"""How fast a training step is: tokens a second, MFU and peak memory, by size, precision and compiling.

    python benchmarks/train_speed.py            # xs s m l
    python benchmarks/train_speed.py s --seconds 5 --no-compile
    python benchmarks/train_speed.py --json train_speed.json

A whole step is timed, optimizers included, on random ids: a window of 1,024 tokens from a vocabulary of
4,096. Each row runs in a process of its own. MFU is the fraction of the speed of matrix products in float32
(on CUDA in bfloat16), which is measured in the same process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from machine import machine

from datasette_nanogpt.training.flops import flops_per_token
from datasette_nanogpt.training.sizes import SIZES, make_config

VOCABULARY, BLOCK = 4096, 1024


def measure(size: str, device: str, precision: str, compiled: bool, seconds: float, vocabulary: int) -> dict:
    """Warm up, then take the median step of so many seconds."""
    import numpy as np

    from datasette_nanogpt.training.process import set_up_process

    set_up_process()
    from datasette_nanogpt.data.dataloader import Tokens
    from datasette_nanogpt.training.measure import product_speed
    from datasette_nanogpt.training.on_device import synchronize
    from datasette_nanogpt.training.recipe import Settings
    from datasette_nanogpt.training.trainer import Training
    from llm_nanogpt.gpt_torch import build

    config = make_config(size, vocabulary, {"block_size": BLOCK})
    ids = np.random.default_rng(0).integers(vocabulary, size=100 * BLOCK).astype(np.uint16)
    bf16 = precision == "bf16"
    settings = Settings(
        batch_size=1,
        learning_rate=0.001,
        weight_decay=0.0,
        warmup_steps=0,
        decay_share=0.0,
        dropout=0.0,
        seed=0,
        device=device,
        compile=compiled,
        bf16=bf16,
        max_iters=10**9,
    )
    training = Training(build(config), Tokens(ids, ids, 1, 1), settings)
    machine = product_speed(device, bf16)
    began = time.perf_counter()
    for _ in training.tune():
        pass
    for _ in range(3):
        training.train_step(1.0, progress=0.0)
    synchronize(device)
    start_up = time.perf_counter() - began
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        started = time.perf_counter()
        training.train_step(1.0, progress=0.0)
        synchronize(device)
        times.append(time.perf_counter() - started)
    step = statistics.median(times)
    return {
        "size": size,
        "parameters": config.parameters,
        "device": device,
        "precision": precision,
        "compiled": training.forward is not training.model,  # else it could not be
        "step_ms": round(step * 1000, 2),
        "tokens_per_second": round(BLOCK / step),
        "mfu": round(flops_per_token(config) * BLOCK / step / machine, 3),
        "product_gflops": round(machine / 1e9, 1),
        "peak_mb": round(peak_bytes(device) / 1e6),
        "start_up_seconds": round(start_up, 1),
    }


def peak_bytes(device: str) -> int:
    """Of the GPU's memory, or of this process with all that it imported."""
    import torch

    from datasette_nanogpt.training.process import peak_memory

    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else peak_memory() or 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--device", help="cpu, cuda or mps  [default: the best there is]")
    parser.add_argument("--seconds", type=float, default=10.0, help="of steps, for each row")
    parser.add_argument("--vocab-size", type=int, default=VOCABULARY)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="only these rows")
    parser.add_argument("--json", type=argparse.FileType("w"), help="write the figures to this file, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(**json.loads(args.child))))
        return

    from llm_nanogpt.device import choose_device

    device, _ = choose_device(args.device)
    rows, on = [], machine()
    print(
        f"{on['processor']}, {on['cores']} cores, {on['system']}, torch {on['versions']['torch']}, {device}"
    )
    print("size    precision  compiled   step ms  tokens/s    MFU  peak MB  start-up s")
    for size in args.sizes:
        for precision in ("fp32", "bf16"):
            for compiled in (False, True) if args.compile is None else (args.compile,):
                job = {
                    "size": size,
                    "device": device,
                    "precision": precision,
                    "compiled": compiled,
                    "seconds": args.seconds,
                    "vocabulary": args.vocab_size,
                }
                command = [sys.executable, __file__, "--child", json.dumps(job)]
                row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                rows.append(row)
                print(
                    f"{size:8}{precision:11}{'yes' if row['compiled'] else 'no':9}{row['step_ms']:9.1f}"
                    f"{row['tokens_per_second']:10,}{row['mfu']:7.0%}{row['peak_mb']:9,}"
                    f"{row['start_up_seconds']:12.1f}",
                    flush=True,
                )
    if args.json:
        json.dump({"machine": on, "rows": rows}, args.json, indent=1)


if __name__ == "__main__":
    main()
