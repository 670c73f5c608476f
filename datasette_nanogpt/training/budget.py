"""What a run may take, and how much the machine does in that time.

Constants name the section of benchmarks/LOG.md that they come from. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from .flops import launch_work
from .sizes import make_config

DEFAULT_MINUTES = 10.0
# What a machine that was not measured does in a second, in FLOPs of flops.work_per_step: that of two cores
# ("Runs of seconds").
DEFAULT_FLOPS = 100e9
# The part of a run of several models that scores take ("Ten minutes by default").
SCORING_FRACTION = 0.08
STEP_TOKENS = 1024  # tokens of a step
GPU_WINDOWS = 16  # the speed of a GPU is measured in steps of one window, and of so many


@dataclass(frozen=True)
class Budget:
    """What a run may take: `minutes` or `steps`, or whichever is over first."""

    minutes: float | None
    steps: int | None = None
    flops: float | None = None  # flops.work_per_step that all processes do in a second; None: not measured
    flops_of_many: float | None = None  # the same in steps of GPU_WINDOWS windows, not of one; None: as many
    processes: int = 1  # each gets the same number of windows in a step
    memory: float | None = None  # bytes that each process may take; None: not known
    device: str = "cpu"  # whose memory that is
    largest_step: int = 0  # tokens that a step may have, if the text has enough; 0: STEP_TOKENS, as on a CPU


def machine_speed(budget: Budget, vocab_size: int) -> tuple[float, float]:
    """The FLOP/s of the machine beside launching steps, and the FLOPs that it could do while the kernels of a
    layer are launched: 0 where steps were measured with one window only, as on a CPU."""
    flops = budget.flops or DEFAULT_FLOPS
    if not budget.flops_of_many:
        return flops, 0.0
    measured = make_config("m", vocab_size, {"block_size": STEP_TOKENS})  # as measure.training_flops does
    few, many = (STEP_TOKENS, flops), (GPU_WINDOWS * STEP_TOKENS, budget.flops_of_many)
    flops, launch = launch_work(measured, few, many)
    return flops, launch * budget.processes  # which all launch every step, while each computes its part
