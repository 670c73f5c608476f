"""Which device torch runs on. Only this module decides that, and it always gives the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .ctrl_c import waits_for_import
from .errors import InvalidOptions, NanogptError, Problem

DEVICES = ("cpu", "cuda", "mps")
NO_NVIDIA = "torch finds no NVIDIA GPU here"


@contextmanager
def loading_torch() -> Iterator[None]:
    """Import torch, and let Ctrl+C wait for that and for what the block imports. Raises NanogptError where
    torch is missing, or a part of it, as after an installation that was cut short."""
    with waits_for_import("torch"):
        try:
            import torch  # noqa: F401
        except (ImportError, OSError) as ex:
            reason = " ".join(str(ex).split())[:300]
            again = "pip install --force-reinstall torch"
            raise NanogptError(f"torch cannot be loaded ({reason}). To install it again: {again}") from ex
        yield


def choose_device(requested: str | None = None, processes: int = 1) -> tuple[str, str]:
    """The device to use and why. Raises InvalidOptions for one that is unknown or that this machine lacks.

    `requested` is cpu, cuda, cuda:1, mps or None (a GPU if there is one). Of several `processes` on this
    machine each gets a CUDA device of its own, or they share the CPU.
    """
    with loading_torch():
        import torch

    gpus = torch.cuda.device_count()
    if requested is None:
        cuda, mps = _why_no_cuda(), _why_no_mps()
        if cuda is None and processes <= max(gpus, 1):
            return "cuda", "torch finds cuda"
        if mps is None and processes == 1:
            return "mps", "torch finds mps"
        return "cpu", cuda if cuda and cuda != NO_NVIDIA else "no GPU found"
    kind, _, number = requested.partition(":")
    if kind not in DEVICES or (number and not number.isdigit()):
        raise _invalid("choice", f"Unknown device {requested!r}: use one of {', '.join(DEVICES)}")
    if why_not := {"cuda": _why_no_cuda, "mps": _why_no_mps}.get(kind, lambda: None)():
        raise _invalid(
            "missing", f"No {requested} on this machine ({why_not}): use cpu, or leave the device out"
        )
    if kind == "cuda" and number and int(number) >= gpus:
        raise _invalid("missing", f"No {requested}: this machine has {gpus} CUDA devices")
    if processes > 1 and kind != "cpu" and (kind == "mps" or number or processes > gpus):
        raise _invalid(
            "processes",
            f"{processes} processes cannot use {requested} here: use cpu, or cuda with a device for each",
        )
    return requested, "as asked"


def _why_no_cuda() -> str | None:
    """Why torch can compute on no NVIDIA GPU here; None if it can. There may be one that is too old for this
    torch, or that another process has for itself: only using it shows that."""
    import torch

    if not torch.cuda.is_available():
        return NO_NVIDIA
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as ex:
        return f"torch cannot use the NVIDIA GPU: {str(ex).strip().partition(chr(10))[0]}"
    return None


def _why_no_mps() -> str | None:
    import torch

    return None if torch.backends.mps.is_available() else "torch finds no Apple GPU here"


def _invalid(code: str, message: str) -> InvalidOptions:
    return InvalidOptions([Problem("device", code, message)])
