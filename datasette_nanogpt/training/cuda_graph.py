"""CUDA graphs: work on a GPU that is launched in one go, instead of one kernel after the other.

Launching the few hundred kernels of a training step takes 11 to 13 ms, whatever the size of the model; a GPU
needs 1 or 2 ms for those of a small one (benchmarks/LOG.md, "A population").
"""

from __future__ import annotations

from collections.abc import Callable

import torch

# How often the work runs kernel by kernel before it is captured: meanwhile cuBLAS and the allocator settle,
# and optimizers create their state.
TIMES_BEFORE = 3


class Captured:
    """Work that reads and writes the same tensors each time, as a CUDA graph from the fourth time on.

    Where it cannot be captured it is done as before, and `failure` says why.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.graph: torch.cuda.CUDAGraph | None = None
        self.times = 0
        self.failure: str | None = None

    def __call__(self) -> None:
        self.times += 1
        if self.times > TIMES_BEFORE and not self.graph and not self.failure:
            self._capture()
        if self.graph:
            self.graph.replay()
        elif self.failure:
            self.work()
        else:  # on a stream of its own, as torch wants it before a capture
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self.work()
            torch.cuda.current_stream().wait_stream(stream)

    def _capture(self) -> None:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.work()
        except RuntimeError as ex:
            self.failure = " ".join(str(ex).split())
        else:
            self.graph = graph

    def forget(self) -> None:
        """Capture again at a later call, because some of the tensors have been replaced."""
        self.graph, self.times = None, 0


def why_not_captured(device: str, processes: int, fits: bool) -> str | None:
    """Why training steps are not graphs; None if they are. `fits` says whether the text is on the GPU."""
    if not device.startswith("cuda"):
        return f"there are no graphs on {device.partition(':')[0]}"
    if processes > 1:
        return "several processes wait for each other within a step"
    return None if fits else "the text does not fit in the memory of the GPU"
