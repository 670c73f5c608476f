"""Which device torch runs on. Only this module decides that, and it always gives the reason."""

from __future__ import annotations

from .errors import InvalidOptions, Problem

DEVICES = ("cpu", "cuda", "mps")


def choose_device(requested: str | None = None, processes: int = 1) -> tuple[str, str]:
    """The device to use and why. Raises InvalidOptions for one that is unknown or that this machine lacks.

    `requested` is cpu, cuda, cuda:1, mps or None (a GPU if there is one). Of several `processes` on this
    machine each gets a CUDA device of its own, or they share the CPU.
    """
    import torch

    lacks = {
        "cuda": None if torch.cuda.is_available() else "torch finds no NVIDIA GPU here",
        "mps": None if torch.backends.mps.is_available() else "torch finds no Apple GPU here",
    }
    gpus = torch.cuda.device_count()
    if requested is None:
        for device, why_not in lacks.items():
            if why_not is None and (processes == 1 or (device == "cuda" and processes <= gpus)):
                return device, f"torch finds {device}"
        return "cpu", "no GPU found"
    kind, _, number = requested.partition(":")
    if kind not in DEVICES or (number and not number.isdigit()):
        raise _invalid("choice", f"Unknown device {requested!r}: use one of {', '.join(DEVICES)}")
    if lacks.get(kind):
        raise _invalid(
            "missing", f"No {requested} on this machine ({lacks[kind]}): use cpu, or leave the device out"
        )
    if kind == "cuda" and number and int(number) >= gpus:
        raise _invalid("missing", f"No {requested}: this machine has {gpus} CUDA devices")
    if processes > 1 and kind != "cpu" and (kind == "mps" or number or processes > gpus):
        raise _invalid(
            "processes",
            f"{processes} processes cannot use {requested} here: use cpu, or cuda with a device for each",
        )
    return requested, "as asked"


def _invalid(code: str, message: str) -> InvalidOptions:
    return InvalidOptions([Problem("device", code, message)])
