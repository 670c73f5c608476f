"""Several processes, as torchrun starts them: they train a model together (DDP), or each a model of its own.

    torchrun --nproc-per-node 2 -m datasette_nanogpt train blog.db blog_entry

Rank 0 leads: it reads the table, decides, writes and reports. The others do what it commands, each with its
part of every batch, and end when it says so or is gone. Every step begins with one command from rank 0 to
all, so no process ever waits for something that will not come. members.py has the models that need no other.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch._C._distributed_c10d import Store, Work

T = TypeVar("T")
WAIT_LIMIT = timedelta(days=7)  # to wait for the next command; a process that dies is noticed at once anyway
FAILURE_SECONDS = 10.0  # that rank 0 has to report why another process failed, before torchrun ends it
# The longest early decay after Ctrl+C: torchrun kills whatever has not ended 30 s later.
TORCHRUN_DECAY_SECONDS = 15.0
# In torchrun's store: what went wrong in a process other than rank 0, and that rank 0 has stopped the run.
FAILURE_KEY, STOP_KEY = "nanogpt/failure", "nanogpt/stop"


class Command(IntEnum):
    """What all processes do next."""

    STEP = 0  # train_step(lr_scale, progress)
    LOSS = 1  # add up the training loss
    EVALUATE = 2  # score the validation split, each process its part
    END = 3  # this model is trained: another one may follow
    KEEP = 4  # keep a copy of the state, because the loss is in order
    BACK = 5  # go back to that copy


@dataclass(frozen=True)
class ProcessGroup:
    """Which process this is, and of how many that train a model together."""

    rank: int = 0
    size: int = 1
    store: Store | None = None  # which torchrun itself keeps
    processes: int = 1  # of the run: more than `size` where each trains a model of its own

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    def alone(self) -> ProcessGroup:
        """The same process as one that trains a model of its own."""
        return replace(self, rank=0, size=1)

    def broadcast_object(self, value: T | None = None) -> T:
        """Rank 0's value, in all processes of the run."""
        box = [value]
        if self.processes > 1:
            import torch.distributed

            torch.distributed.broadcast_object_list(box, device=torch.device("cpu"))
        return cast(T, box[0])

    def broadcast_command(
        self, command: Command = Command.STEP, lr_scale: float = 0.0, progress: float = 0.0
    ) -> tuple[Command, float, float]:
        """Rank 0's command, in all processes. A step comes with its fraction of the full learning rate, and
        with how much of the model's training is done, 0 to 1."""
        if self.size > 1:
            import torch.distributed

            numbers = torch.tensor([command, lr_scale, progress], dtype=torch.float64)
            torch.distributed.broadcast(numbers, 0)
            number, lr_scale, progress = numbers.tolist()
            command = Command(int(number))
        return command, lr_scale, progress

    def broadcast_bytes(self, data: bytes, length: int) -> bytes:
        """Rank 0's `length` bytes, in all processes."""
        import torch.distributed

        numbers = torch.empty(length, dtype=torch.uint8)
        if self.is_leader:
            numbers = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        torch.distributed.broadcast(numbers, 0)
        return numbers.numpy().tobytes()

    def gather_objects(self, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks."""
        import torch.distributed

        values: list[T | None] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return cast(list[T], values)

    def barrier(self) -> None:
        """Wait for all processes."""
        self.sum(_one())

    def meet(self) -> Work:
        """The same without waiting: `is_completed` says whether all processes are at their barrier or one is
        gone. `wait` then raises RuntimeError in the second case."""
        import torch.distributed

        return cast("Work", torch.distributed.all_reduce(_one(), async_op=True))

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place, of a tensor that each of them has."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.all_reduce(tensor)
        return tensor

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model in DDP: with rank 0's weights, its gradients being the mean over all processes."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel as DDP  # noqa: N817

        return DDP(model, gradient_as_bucket_view=True)

    def failure(self, ex: RuntimeError) -> str | None:
        """What rank 0 reports if `ex` came from the end of another process; None if it did not."""
        if self.store is None:
            return None
        if self.store.check([FAILURE_KEY]):
            return self.store.get(FAILURE_KEY).decode()
        if "gloo" in str(ex):
            return f"One of the {self.processes} processes was killed: go on with --resume"
        return None


def _one() -> Tensor:
    import torch

    return torch.ones(1)


SINGLE_PROCESS = ProcessGroup()


def rank_and_size() -> tuple[int, int]:
    """The rank of this process, and how many there are: 0 and 1 without torchrun. Does not import torch."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """Join the other processes. Rank 0 reports whatever goes wrong in any of them."""
    rank, size = rank_and_size()
    if size == 1:
        yield SINGLE_PROCESS
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    store, *_ = next(rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=WAIT_LIMIT)
    failed = False
    try:
        yield ProcessGroup(rank, size, store, size)
    except BaseException as ex:
        if rank == 0:
            store.set(STOP_KEY, "1")  # for processes that train models of their own
            raise
        failed = True
        if "gloo" not in str(ex):  # or else another process has gone, which rank 0 sees for itself
            with suppress(RuntimeError):  # the store has gone, with the first machine
                failure = f"Process {rank} of {size} failed: {type(ex).__name__}: {ex}"
                store.compare_set(FAILURE_KEY, "", failure)
        raise SystemExit(1) from None
    finally:
        dist.destroy_process_group()
        if failed:  # torchrun ends all processes once one has ended: leave rank 0 the time to report
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(FAILURE_SECONDS)


def leave_signals_to_rank_0() -> None:
    """Ignore Ctrl+C and SIGTERM, which torchrun passes on to all: rank 0 tells the others when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
