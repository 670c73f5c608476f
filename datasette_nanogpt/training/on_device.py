"""What torch does differently on each device: precision, waiting for its work, and random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def autocast(device: str, bf16: bool) -> AbstractContextManager[object]:
    """Run matrix products in bfloat16, or do nothing."""
    return torch.autocast(device.partition(":")[0], torch.bfloat16) if bf16 else nullcontext()


def synchronize(device: str) -> None:
    """Wait until a GPU has done everything that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


def random_state(device: str) -> dict[str, Tensor]:
    """The state of the random numbers of the CPU and of the GPU that they are drawn on."""
    state = {"rng": torch.get_rng_state()}
    if device.startswith("cuda"):
        state["rng_cuda"] = torch.cuda.get_rng_state(device)
    elif device.startswith("mps"):
        state["rng_mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: str) -> None:
    """Restore what `random_state` returned, which may have been on another device."""
    torch.set_rng_state(state["rng"])
    if device.startswith("cuda") and "rng_cuda" in state:
        torch.cuda.set_rng_state(state["rng_cuda"], device)
    elif device.startswith("mps") and "rng_mps" in state:
        torch.mps.set_rng_state(state["rng_mps"])


def kept_random_state(device: str) -> AbstractContextManager[None]:
    """Restore the state of the random numbers at the end of the block. Only `device` is named, because torch
    would otherwise wake every GPU."""
    devices: list[int] = []
    if device.startswith("cuda"):
        devices = [torch.device(device).index if ":" in device else torch.cuda.current_device()]
    return torch.random.fork_rng(devices)
