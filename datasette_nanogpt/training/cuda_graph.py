"""CUDA graphs: work on a GPU that is launched in one go, instead of one kernel after the other.

Launching the few hundred kernels of a training step takes 11 to 13 ms, whatever the size of the model; a GPU
needs 1 or 2 ms for those of a small one (benchmarks/LOG.md, "A population").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from ..registry.run_log import log

# How often the work runs kernel by kernel before it is captured: meanwhile cuBLAS and the allocator settle,
# and optimizers create their state.
TIMES_BEFORE = 3
_failed: list[torch.cuda.CUDAGraph] = []


class Captured:
    """Work that reads and writes the same tensors each time, as a CUDA graph from the fourth time on.

    Where it cannot be captured it is done as before, and `failure` says why. The work is given each time and
    not kept: in a circle of references only Python's garbage collector would free the graph with all its
    memory, at any time, and so in the midst of another capture.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.graph: torch.cuda.CUDAGraph | None = None
        self.times = 0
        self.failure: str | None = None

    def __call__(self, work: Callable[[], None]) -> None:
        # On a device that is not the current one its kernels would be launched at once, and not captured.
        with torch.cuda.device(self.device):
            self.times += 1
            if self.times > TIMES_BEFORE and not self.graph and not self.failure:
                self._capture(work)
            if self.graph:
                self.graph.replay()
            elif self.failure:
                work()
            else:
                self._on_own_stream(work)

    def _on_own_stream(self, work: Callable[[], None]) -> None:
        """As torch wants it before a capture."""
        stream = _own_stream(self.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            work()
        torch.cuda.current_stream().wait_stream(stream)

    def _capture(self, work: Callable[[], None]) -> None:
        """Record the work without doing it."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        random_state = generator.clone_state()
        try:
            with torch.cuda.graph(graph, stream=_own_stream(self.device)):
                work()
        except RuntimeError as ex:
            self.failure = " ".join(str(ex).split())
            log.warning("This could not become a CUDA graph, so it takes longer: %s", self.failure)
            # What torch leaves behind where the end of the capture fails, too (2.9 to 2.13): its stream as
            # the current one, a generator that takes each further random number for one of the capture, and
            # an allocator that asks the graph whose memory this is.
            torch.cuda.set_stream(stream)
            generator.graphsafe_set_state(random_state)
            graph.reset()
            _failed.append(graph)
        else:
            self.graph = graph


@cache
def _own_stream(device: str) -> torch.cuda.Stream:
    """The stream for all work on that device before and while it is captured: with each stream cuBLAS takes
    memory that it never gives back (32 MiB on an H100), and the allocator keeps memory apart."""
    return torch.cuda.Stream()


def why_not_captured(device: str, processes: int, fits: bool) -> str | None:
    """Why training steps are not graphs; None if they are. `fits` says whether the text is on the GPU."""
    if not device.startswith("cuda"):
        return f"there are no graphs on {device.partition(':')[0]}"
    if processes > 1:
        return "several processes wait for each other within a step"
    return None if fits else "the text does not fit in the memory of the GPU"


def describe_graphs(device: str, processes: int, fits: bool) -> str:
    """How steps on CUDA are launched, and why; "" on another device. As `why_not_captured`."""
    why_not = why_not_captured(device, processes, fits)
    how = f"no CUDA graphs: {why_not}" if why_not else "each step is a CUDA graph"
    return how if device.startswith("cuda") else ""
