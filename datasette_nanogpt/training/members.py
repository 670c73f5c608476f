"""Members of a generation, each trained by a process of its own at the same time as the others.

Rank 0 trains the first of them as if it were alone. The others put what they have trained into torchrun's
store, where rank 0 finds it between two steps of its own: a member that is finished is kept, whatever becomes
of its process. Rank 0 alone writes into the model folder and the registry. A member that is not finished when
the run is stopped or killed is trained again by a resume.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, cast

from llm_nanogpt.errors import NanogptError

from ..events import BestWeights, Busy, Evaluation, Position
from .distributed import FAILURE_KEY, STOP_KEY, ProcessGroup
from .lr_schedule import Stop
from .population import at_once
from .recipe import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from llm_nanogpt.config import GPTConfig
    from llm_nanogpt.gpt_torch import GPT

    from .trainer import Training

CHUNK = 2**22  # bytes of a value in the store, which refuses those of more than 8 MB
WAIT_SECONDS = 0.2  # between two looks at what the other processes have finished
WAITING = Busy("waiting for the models that other processes train")
Work = tuple[Stage, Position]  # a stage, and where it begins or goes on


@dataclass(frozen=True)
class Trained:
    """A member that another process than rank 0 has trained."""

    config: GPTConfig
    tensors: dict[str, Tensor]  # its last weights, for those that it teaches
    best: BestWeights | None  # its best weights, if they were better than the run's when it began
    scores: list[Evaluation]


# ---- Which members, and where they begin


def start_of(stages: Sequence[Stage], stage: int, position: Position) -> Position:
    """Where a stage begins in a run that is at `position`, if those before it take all their steps."""
    if stage == position.stage:
        return position
    settings = stages[stage - 1].settings
    steps = (settings.max_iters or position.step) - position.step
    windows = position.windows + steps * settings.batch_size
    return replace(position, stage=stage, step=position.step + steps, windows=windows)


def next_position(stages: Sequence[Stage], position: Position, trained: set[int]) -> Position:
    """Where the next stage begins, passing over those that are `trained`, after the one at `position`."""
    following = next(number for number in count(position.stage + 1) if number not in trained)
    if following == position.stage + 1:
        return replace(position, stage=following)
    return start_of(stages, following, position)


def next_work(stages: Sequence[Stage], position: Position, processes: int, trained: set[int]) -> list[Work]:
    """The stage at `position` and where it begins. If there are as many members of its generation left as
    processes, one for each process: they have the time of all of them, as they share it."""
    numbers = at_once([(s.generation, s.teachers) for _, s in stages], position.stage, processes, trained)
    last = stages[numbers[-1]].settings
    shared = {"minutes": last.minutes, "share": last.share} if len(numbers) > 1 else {}
    return [(stages[n].changed(**shared), start_of(stages, n, position)) for n in numbers]


# ---- In the other processes


def train_member(training: Training, group: ProcessGroup, write_sample: Callable[[GPT], str]) -> None:
    """Train a model in this process alone and hand it to rank 0, unless that stops the run before."""
    assert group.store is not None  # noqa: S101  # as several processes have one
    scores: list[Evaluation] = []
    best: BestWeights | None = None
    training.set_up(*group.broadcast_object())
    for event in training.learn(Stop(), write_sample):
        if isinstance(event, Evaluation):
            scores.append(event)
        elif isinstance(event, BestWeights):  # training goes on in these tensors
            best = replace(event, tensors={name: tensor.copy() for name, tensor in event.tensors.items()})
        if group.store.check([STOP_KEY]):
            break
    else:
        tensors = {name: tensor.detach().cpu() for name, tensor in training.model.state_dict().items()}
        _send(group, training.settings.stage, Trained(training.model.config, tensors, best, scores))
    group.barrier()


def _send(group: ProcessGroup, stage: int, member: Trained) -> None:
    assert group.store is not None  # noqa: S101
    data = pickle.dumps(member)
    chunks = range(0, len(data), CHUNK)
    for number, begin in enumerate(chunks):
        # It takes bytes as well, whatever its type says.
        group.store.set(f"{_key(stage)}/{number}", cast(str, data[begin : begin + CHUNK]))
    group.store.set(_key(stage), str(len(chunks)))  # the last one, so that the others are there


def _key(stage: int) -> str:
    return f"nanogpt/member-{stage}"


# ---- In rank 0


class Crew:
    """The members that the other processes train, as rank 0 sees them."""

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self.at_work = False  # whether they train models of their own
        self.waits_for: set[int] = set()  # the stages of these that are not finished
        self.trained: set[int] = set()  # stages that are trained, of those after the one of rank 0

    def begin(self, stages: set[int]) -> None:
        """The other processes are about to train these stages, or none of their own."""
        self.waits_for, self.at_work = stages, bool(stages)

    def describe(self) -> str:
        """What the other processes train, in words that follow what rank 0 trains; "" if nothing."""
        numbers = ", ".join(f"model {stage + 1}" for stage in sorted(self.waits_for))
        where = "another process" if len(self.waits_for) == 1 else "other processes"
        others = " and ".join(numbers.rsplit(", ", 1))
        return f"; at the same time, {others} in {where}" if numbers else ""

    def finished(self) -> Iterator[tuple[int, Trained]]:
        """The members that were finished since this was last asked. Raises NanogptError if one has failed."""
        store = self.group.store
        if not self.waits_for or store is None:
            return
        for stage in sorted(self.waits_for):
            if store.check([_key(stage)]):
                keys = [f"{_key(stage)}/{number}" for number in range(int(store.get(_key(stage))))]
                member: Trained = pickle.loads(b"".join(map(store.get, keys)))  # noqa: S301  # from one of ours
                for key in (*keys, _key(stage)):
                    store.delete_key(key)
                self.waits_for.remove(stage)
                self.trained.add(stage)
                yield stage, member
        if store.check([FAILURE_KEY]):
            raise NanogptError(store.get(FAILURE_KEY).decode())

    def gather(self, stopped: Callable[[], bool]) -> Generator[Busy, None, None]:
        """Wait until all processes have finished their members, or given them up as the run was `stopped`.
        The caller takes what is `finished` each time. Raises RuntimeError if a process is gone."""
        if not self.at_work or self.group.store is None:
            return
        self.at_work = False
        meeting = self.group.meet()
        while not meeting.is_completed():
            if stopped():
                self.group.store.set(STOP_KEY, "1")
            yield WAITING
            time.sleep(WAIT_SECONDS)
        yield WAITING
        meeting.wait()
