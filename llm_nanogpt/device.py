"""Which device torch runs on: decided here alone, and always with the reason."""

from __future__ import annotations

from .errors import NanogptError

DEVICES = ("cpu", "cuda", "mps")


def choose_device(requested: str | None = None) -> tuple[str, str]:
    """The device to use and why. Raises NanogptError for one that is unknown or that this machine lacks."""
    import torch

    lacks = {
        "cuda": None if torch.cuda.is_available() else "torch finds no NVIDIA GPU here",
        "mps": None if torch.backends.mps.is_available() else "torch finds no Apple GPU here",
    }
    if requested is None:
        for device, why_not in lacks.items():
            if why_not is None:
                return device, f"torch finds {device}"
        return "cpu", "no GPU found"
    kind, _, number = requested.partition(":")
    if kind not in DEVICES or (number and not number.isdigit()):
        raise NanogptError(f"Unknown device {requested!r}: use one of {', '.join(DEVICES)}")
    if lacks.get(kind):
        raise NanogptError(
            f"No {requested} on this machine ({lacks[kind]}): use cpu, or leave the device out"
        )
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise NanogptError(f"No {requested}: this machine has {torch.cuda.device_count()} CUDA devices")
    return requested, "as asked"
