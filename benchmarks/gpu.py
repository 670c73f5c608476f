"""Training on a GPU: a step as a graph, checked and timed, and whole runs. Takes about 12 minutes.

    python benchmarks/gpu.py                                        # steps alone, 3 minutes
    python benchmarks/gpu.py blog.db blog_entry --minutes 0.5 1 5   # and whole runs of the default
    python benchmarks/gpu.py --device cpu --sizes xs --seconds 0.1  # only to see that it runs

Random ids from a vocabulary of 4,096 in windows of 1,024. What is printed goes into LOG.md as it is:
- how far weights in float32 are from those of the same steps kernel by kernel: as a graph, and kernel by
  kernel at rates that are higher by one part in ten million, as much as rounding does; alone and with
  teachers. In bfloat16 such rates alone move the weights of size xs by 1.3e-2 (on a CPU)
- whether dropout differs from step to step
- ms a step and MFU of each size, kernel by kernel, as a graph and as a graph of the compiled model, at 1,024
  tokens a step, and how long compiling took; on a GPU also the memory that it took and in brackets the
  estimate, which is of a process with nothing else
- the same of the biggest size with more tokens a step, for texts that are not read twice
- how fast teachers predict a text
- bits per byte of whole runs, their MFU, and how long the whole command took

If a part fails, such as for lack of memory, the reason stands in place of its figures, and the others still
run. What cannot be begun before `--limit` is over says so.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import machine

from datasette_nanogpt.training.flops import flops_per_token
from datasette_nanogpt.training.memory import CUDA_BYTES, Workload, estimate_memory
from datasette_nanogpt.training.sizes import SIZES, make_config

VOCABULARY, BLOCK = 4096, 1024
COMMAND_SECONDS = 60  # that the command of a whole run takes beside its minutes, roughly
CHECKED_STEPS = 30
WINDOWS = (8, 32, 128)  # in a step of a text that is long enough
HOW = ("kernel by kernel", "as a graph", "compiled, as a graph")


def training_of(
    size: str,
    device: str,
    windows: int,
    teachers: int,
    folder: Path,
    dropout: float = 0.0,
    compiled: bool = False,
    bf16: bool | None = None,
) -> Any:
    """A model on random ids, ready for steps."""
    import numpy as np
    import torch

    from datasette_nanogpt.data.dataloader import Tokens, Windows
    from datasette_nanogpt.training.recipe import Settings
    from datasette_nanogpt.training.teacher_probs import TeacherProbs, write_teacher_probs
    from datasette_nanogpt.training.trainer import Training
    from llm_nanogpt.gpt_torch import build

    torch.manual_seed(0)
    config = make_config(size, VOCABULARY, {"block_size": BLOCK})
    ids = np.random.default_rng(0).integers(VOCABULARY, size=2 * BLOCK * max(windows, 4)).astype(np.uint16)
    teacher, file = None, folder / f"{size}-{teachers}.bin"
    if teachers:
        models = [build(config).to(device).eval() for _ in range(teachers)]
        for _ in write_teacher_probs(file, models, Windows(ids, BLOCK, None), device, device != "cpu"):
            pass
        teacher = TeacherProbs(file, VOCABULARY, len(ids))
    bf16 = device != "cpu" if bf16 is None else bf16
    settings = Settings(windows, 0.01, 0.1, 0, 0.0, dropout, 0, device, False, bf16, max_iters=10**9)
    training = Training(build(config, dropout), Tokens(ids, ids, 1, 1), settings, teacher=teacher)
    training.set_up(settings.bf16 or False, compiled)
    return training


def kernel_by_kernel(training: Any) -> None:
    """Make the next steps run kernel by kernel, not as a graph, on a GPU with rates that are tensors, too."""
    from datasette_nanogpt.training.optim import use_tensor_rates
    from datasette_nanogpt.training.step import TrainStep

    s = training.settings
    if s.device.startswith("cuda"):
        use_tensor_rates(training.optimizers, s.device)
    precision = (s.device, training.bf16)
    step = TrainStep(training.forward, training.params, training.optimizers, s.grad_clip, precision)
    training._step = lambda spans, knobs: step(training.batches.gather(spans), knobs)


class Deadline:
    """The end of the time that the whole benchmark may take."""

    def __init__(self, minutes: float) -> None:
        self.minutes, self.end = minutes, time.monotonic() + 60 * minutes

    def leaves(self, seconds: float) -> bool:
        return time.monotonic() + seconds <= self.end


def attempt(deadline: Deadline, seconds: float, measure: Callable[..., str], *args: Any) -> str:
    """The result of the call, which takes about `seconds`, or why there is none; frees the memory of the
    GPU."""
    import torch

    if not deadline.leaves(seconds):
        return f"not reached in {deadline.minutes:g} minutes"
    try:
        return measure(*args)
    except (Exception, SystemExit) as ex:
        text = " ".join(str(ex).split()) or "no reason given"
        return f"failed, {type(ex).__name__}: {text[:200]}"
    finally:
        gc.collect()
        with suppress(RuntimeError):  # of a GPU that has failed: whole runs begin with one of their own
            torch.cuda.empty_cache()


def weights_after(
    device: str, size: str, teachers: int, folder: Path, graph: bool, rates: float = 1.0
) -> Any:
    """All weights after the same CHECKED_STEPS steps, (N,), at that multiple of the same rates."""
    import torch

    training = training_of(size, device, 1, teachers, folder, bf16=False)
    if not graph:
        kernel_by_kernel(training)
    for i in range(CHECKED_STEPS):
        training.train_step(lr_scale=rates * (i + 1) / CHECKED_STEPS, progress=i / CHECKED_STEPS)
    if graph and hasattr(training.step, "run") and training.step.run.failure:
        raise SystemExit(f"not captured: {training.step.run.failure}")
    return torch.cat([p.detach().float().flatten().cpu() for p in training.params])


def check(device: str, size: str, teachers: int, folder: Path) -> str:
    """The relative distance of the weights after steps as a graph from those kernel by kernel, and of those
    at slightly higher rates."""
    kernels = weights_after(device, size, teachers, folder, graph=False)
    graph = weights_after(device, size, teachers, folder, graph=True)
    higher = weights_after(device, size, teachers, folder, graph=False, rates=1 + 1e-7)
    by_graph, by_rounding = (float((w - kernels).norm() / kernels.norm()) for w in (graph, higher))
    return f"{by_graph:.1e} (at rates that differ as by rounding: {by_rounding:.1e})"


def check_dropout(device: str, size: str, folder: Path) -> str:
    """Whether dropout differs from step to step, by steps on the same windows that change no weight."""
    from datasette_nanogpt.training.step import Knobs

    training = training_of(size, device, 1, 0, folder, dropout=0.1)
    spans, _ = training.batches.next_spans()
    losses = [float(training.step(spans, Knobs(0.0, 1.0, 0.0))) for _ in range(8)]
    return f"{len(set(losses))} of {len(losses)} losses differ"


def step_seconds(training: Any, seconds: float) -> float:
    """Seconds a step: the median of rounds of ten steps, each until the GPU has finished."""
    from datasette_nanogpt.training.on_device import synchronize

    device = training.settings.device
    times: list[float] = []
    for _ in range(6):
        training.train_step(1e-3, progress=0.0)
    synchronize(device)
    while sum(times) < seconds or len(times) < 3:
        started = time.perf_counter()
        for _ in range(10):
            training.train_step(1e-3, progress=0.0)
        synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times) / 10


def time_steps(size: str, windows: int, how: str, args: argparse.Namespace, folder: Path) -> str:
    """`how` is one of HOW."""
    import torch

    graph, compiled = how != HOW[0], how == HOW[2]
    if args.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(args.device)
    training = training_of(size, args.device, windows, 0, folder, compiled=compiled)
    if not graph:
        kernel_by_kernel(training)
    started = time.perf_counter()
    training.train_step(1e-3, progress=0.0)
    begun = time.perf_counter() - started
    seconds = step_seconds(training, args.seconds)
    flops = flops_per_token(training.model.config) * windows * BLOCK
    figures = f"{seconds * 1000:.2f} ms, {flops / seconds / args.machine_flops:.1%}"
    figures += f", first step {begun:.0f} s" if compiled else ""
    if not args.device.startswith("cuda"):
        return figures
    estimate = estimate_memory(Workload(training.model.config, windows, args.device)) - CUDA_BYTES
    figures += f", {torch.cuda.max_memory_reserved(args.device) / 1e9:.2f} GB ({estimate / 1e9:.2f})"
    failure = training.step.run.failure if graph else None
    return f"{figures}, not captured: {failure}" if failure else figures


def time_teachers(size: str, device: str, folder: Path) -> str:
    """How fast four teachers predict a text, without the start."""
    import numpy as np

    from datasette_nanogpt.data.dataloader import Windows
    from datasette_nanogpt.training.on_device import synchronize
    from datasette_nanogpt.training.teacher_probs import write_teacher_probs
    from llm_nanogpt.gpt_torch import build

    config = make_config(size, VOCABULARY, {"block_size": BLOCK})
    ids = np.random.default_rng(0).integers(VOCABULARY, size=256 * BLOCK).astype(np.uint16)
    models = [build(config).to(device).eval() for _ in range(4)]
    for _ in range(2):  # the second time counts
        synchronize(device)
        started = time.perf_counter()
        for _ in write_teacher_probs(
            folder / "rows", models, Windows(ids, BLOCK, None), device, device != "cpu"
        ):
            pass
        took = time.perf_counter() - started
    return f"{len(ids) / took:,.0f} tokens/s"


def whole_run(database: str, table: str, minutes: float, device: str) -> str:
    from vs_nanogpt import train

    started, first = time.perf_counter(), None
    for _, event in train(database, table, minutes=minutes, device=device):
        if event["event"] == "evaluation" and first is None:
            first = time.perf_counter() - started
        if event["event"] == "finished":
            took = time.perf_counter() - started
            return (
                f"{event['val_bpb']:.4f} | {event['models']} | "
                f"{event['mfu'] or math.nan:.1%} | {event['seconds']:.0f} s | {took:.0f} s | "
                f"{first or math.nan:.0f} s"
            )
    raise SystemExit("The run ended before it told its result")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", nargs="?")
    parser.add_argument("table", nargs="?")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--how", nargs="+", choices=HOW, default=HOW, help="  [default: all]")
    parser.add_argument("--seconds", type=float, default=3.0, help="of steps, for each figure")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.5, 1, 5], help="of the whole runs")
    parser.add_argument("--limit", type=float, default=12.0, help="minutes for all of it  [default: 12]")
    args = parser.parse_args()
    deadline = Deadline(args.limit)

    import torch

    from datasette_nanogpt.training.measure import product_speed

    on = machine()
    name = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else on["processor"]
    args.machine_flops = product_speed(args.device, bf16=True)
    print(f"{name}, torch {on['versions']['torch']}, {args.machine_flops / 1e12:.1f} TFLOP/s in products\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for teachers in (0, 4):
            difference = attempt(deadline, 10, check, args.device, args.sizes[0], teachers, folder)
            print(
                f"Graph against kernels, {CHECKED_STEPS} steps, {teachers} teachers: {difference}", flush=True
            )
        told = attempt(deadline, 5, check_dropout, args.device, args.sizes[0], folder)
        print(f"Dropout 0.1, steps at rate 0 on the same windows: {told}", flush=True)
        print(f"\n| size, tokens a step | {' | '.join(args.how)} |\n|---|{'---|' * len(args.how)}")
        jobs = [(size, 1) for size in args.sizes]
        jobs += [(args.sizes[-1], windows) for windows in WINDOWS if args.device.startswith("cuda")]
        for size, windows in jobs:
            each = [
                attempt(deadline, 3 + args.seconds, time_steps, size, windows, how, args, folder)
                for how in args.how
            ]
            print(f"| {size}, {windows * BLOCK:,} | {' | '.join(each)} |", flush=True)
        told = attempt(deadline, 5, time_teachers, args.sizes[-1], args.device, folder)
        print(f"\nFour teachers of size {args.sizes[-1]}: {told}", flush=True)
    if args.database and args.table:
        print("\n| table | minutes | bits per byte | models | MFU | training | command | first score |")
        print("|---|---|---|---|---|---|---|---|")
        for minutes in args.minutes:
            seconds = 60 * minutes + COMMAND_SECONDS
            told = attempt(deadline, seconds, whole_run, args.database, args.table, minutes, args.device)
            print(f"| {args.table} | {minutes:g} | {told} |", flush=True)


if __name__ == "__main__":
    main()
