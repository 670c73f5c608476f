"""Several processes that train one model, as torchrun starts them.

    torchrun --nproc-per-node 2 -m datasette_nanogpt train blog.db blog_entry

Rank 0 reads the table, decides, writes and speaks. The others wait for it, learn from their share of each
batch, and end when it says so or is gone. Each step is one word from rank 0 to all, so that no process waits
for what never comes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # of those that wait; a process that dies is noticed at once
FAILURE_SECONDS = 10.0  # for rank 0 to tell why another process failed, before torchrun ends it
TORCHRUN_SECONDS = 15.0  # of annealing, at most, after Ctrl+C: torchrun kills what has not ended 30 s later
FAILURE = "nanogpt/failure"


@dataclass(frozen=True)
class Ranks:
    """Which process this is, and of how many."""

    rank: int = 0
    size: int = 1
    store: Any = None  # torch.distributed.Store, which torchrun itself keeps

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, what: T | None = None) -> T:
        """What rank 0 gives, in all processes."""
        box = [what]
        if self.size > 1:
            import torch.distributed

            torch.distributed.broadcast_object_list(box, device="cpu")
        return box[0]

    def word(self, word: float = 0.0, progress: float = 0.0) -> tuple[float, float]:
        """The same for two numbers, many times a second."""
        if self.size > 1:
            import torch.distributed

            box = torch.tensor([word, progress], dtype=torch.float64)
            torch.distributed.broadcast(box, 0)
            word, progress = box.tolist()
        return word, progress

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place, of a tensor that each has."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.all_reduce(tensor)
        return tensor

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with rank 0's weights, its gradients being the mean over all processes."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def failure(self, ex: RuntimeError) -> str | None:
        """What rank 0 is to tell if `ex` came from the end of another process; None if it did not."""
        if self.size == 1:
            return None
        if self.store.check([FAILURE]):
            return self.store.get(FAILURE).decode()
        if "gloo" in str(ex):
            return f"One of the {self.size} processes was killed: go on with --resume"
        return None


ALONE = Ranks()


def launched() -> tuple[int, int]:
    """This process's rank and the number of processes: 0 and 1 without torchrun. Does not import torch."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


@contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the other processes. In all but rank 0, whatever goes wrong is left to rank 0 to tell."""
    rank, size = launched()
    if size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    store, *_ = next(dist.rendezvous("env://"))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE
    )
    failed = False
    try:
        yield Ranks(rank, size, store)
    except BaseException as ex:
        if rank == 0:
            raise
        failed = True
        store.compare_set(FAILURE, "", f"Process {rank} of {size} failed: {type(ex).__name__}: {ex}")
        raise SystemExit(1) from None
    finally:
        dist.destroy_process_group()
        if failed:  # torchrun ends all when one has ended: rank 0 shall come first
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(FAILURE_SECONDS)


def leave_signals_to_rank_0() -> None:
    """It tells the others when to end; torchrun sends each signal to all."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
