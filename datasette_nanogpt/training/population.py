"""The models of a run that has more time than one model needs: which ones, in which order, who teaches whom.

The words for this, here and everywhere else:

teachers, student  a student learns from the text and from what its teachers, on average, predict for it
generation         models with the same teachers, each from a start of its own, or the first ones, without any
member             one model of a generation
chain              a small model first, then models of the last size: each generation teaches the next one
population         with very much time: big generations of one size, the first of which learns from the text
                   alone, and at the end one student of the last generation, or two that will be joined
joined             the best models of the last size, put side by side as one wider model (join_models.py)

In a chain whose models will be joined, the generations of the last size have MEMBERS_OF_JOINED: such models
differ more than if each taught the next, so that their average is better (benchmarks/LOG.md, "Groups of
models, joined"). Where nothing is joined, as the size was set by hand, and on a GPU, where that was not
tried, they have one, which learns from the last ones before it of its size.

Which of them there is time for, choose_members.py says. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from llm_nanogpt.config import GPTConfig

from .memory import Workload

# How much the logarithm of the weights decays in an epoch at the full learning rate ("Readings and decay,
# once more"). A student of one teacher gets half of that, because a teacher's probabilities are harder to
# memorize than the text ("A model that teaches the next").
DECAY_PER_EPOCH, STUDENT_DECAY_PER_EPOCH = 0.45, 0.225
# Epochs of a model that has no time limit of its own; more would only memorize the text.
MAX_EPOCHS = 4.0
# The weight of the teachers' probabilities in a student's loss at the beginning and at the end of its
# training; the text has the rest. It falls because a student soon knows more than a single teacher (teacher
# annealing, arxiv.org/abs/1907.04829).
TEACHER_WEIGHTS = (0.9, 0.4)
MEMBERS_OF_JOINED = 3  # of a generation in a chain whose models will be joined
MOST_TEACHERS = 4  # of the next model of a chain where none are joined
# The last student learns from an average that is better than itself, so it may trust it longer, read more
# often and decay less: between these epochs, with this decay in all ("A population").
LAST_EPOCHS, LAST_DECAY = (6.0, 12.0), 1.2
LAST_WEIGHTS = {6.0: (0.95, 0.7), 12.0: (1.0, 0.9)}
# From this width on models learn a text by heart so soon that dropout helps, and more epochs with it.
WIDE = 384
WIDE_EPOCHS, WIDE_DECAY, WIDE_DROPOUT, WIDE_STUDENT_DROPOUT = 6.0, 0.6, 0.1, 0.05  # l in "A population"


@dataclass(frozen=True)
class Member:
    """One model of a run: those of its settings that depend on its place among the others."""

    config: GPTConfig
    epochs: float
    generation: int = 0
    number: int = 0  # among those of its generation
    teachers: tuple[int, ...] = ()  # the places in the run of those that teach it
    decay: float = DECAY_PER_EPOCH
    dropout: float = 0.0  # fraction of activations
    weights: tuple[float, float] = TEACHER_WEIGHTS


def at_once(
    run: Sequence[tuple[int, tuple[int, ...]]], at: int, processes: int, trained: Container[int] = ()
) -> list[int]:
    """The models of a run that several processes train at once, each its own: the one at `at` and others of
    its generation, which do not need each other. Only that one, trained by all processes together, where
    fewer of these are left than there are processes. `run` has the generation and the teachers of each model,
    `trained` the places of those that are trained."""
    members = [n for n in range(at, len(run)) if run[n] == run[at] and n not in trained]
    return members[:processes] if len(members) >= processes else [at]


def workloads(members: Sequence[Member], batch_size: int, processes: int, device: str) -> Iterator[Workload]:
    """The steps of `batch_size` windows of each model of a run, as one process has them: whole steps of its
    own model, or its part of the steps that all make together."""
    run = [(member.generation, member.teachers) for member in members]
    for at, m in enumerate(members):
        alone = len(at_once(run, at, processes)) > 1
        teachers = tuple(members[teacher].config for teacher in m.teachers)
        yield Workload(m.config, batch_size // (1 if alone else processes), device, m.dropout, teachers)


def chain(configs: Sequence[GPTConfig], joined: bool = False) -> list[Member]:
    """A chain of these shapes. The small ones, and the first of the last size, learn from the one before; the
    others of that size are as `follower` has them."""
    members: list[Member] = []
    for at, config in enumerate(configs):
        if not at:
            members.append(Member(config, MAX_EPOCHS))
        elif config == configs[-1] and config in configs[:at]:
            members.append(follower(members, joined))
        else:
            members.append(Member(config, MAX_EPOCHS, at, 0, (at - 1,), STUDENT_DECAY_PER_EPOCH))
    return members


def follower(members: Sequence[Member], joined: bool) -> Member:
    """The next model of the size of the last one: one more of its generation where they will be `joined`, or
    else, also when that is complete, the first student of the last ones of that size."""
    last = members[-1]
    if joined and last.number + 1 < MEMBERS_OF_JOINED:
        return replace(last, number=last.number + 1, epochs=epochs_of(members, last))
    most = MEMBERS_OF_JOINED if joined else MOST_TEACHERS
    teachers = alike([member.config for member in members], len(members))[-most:]
    return last_student(last.config, last.generation + 1, tuple(teachers), LAST_EPOCHS[0])


def alike(configs: Sequence[GPTConfig], before: int) -> list[int]:
    """The places before that one of the models that have the last one's shape."""
    return [i for i in range(before) if configs[i] == configs[-1]]


def taught_by_equals(members: Sequence[Member], member: Member) -> bool:
    """Whether its teachers have its own size: such a model may read the text more often."""
    return bool(member.teachers) and members[member.teachers[0]].config == member.config


def epochs_of(members: Sequence[Member], member: Member) -> float:
    """The epochs that a model must have if others follow it."""
    return LAST_EPOCHS[0] if taught_by_equals(members, member) else MAX_EPOCHS


def with_epochs(members: Sequence[Member], member: Member, epochs: float) -> Member:
    """A model with so many epochs, or the most that are worth it."""
    if taught_by_equals(members, member):
        longer = last_student(member.config, member.generation, member.teachers, min(epochs, LAST_EPOCHS[1]))
        return replace(longer, number=member.number)
    return replace(member, epochs=min(epochs, MAX_EPOCHS))


def population(config: GPTConfig, size: int, generations: int, last: int = 1) -> list[Member]:
    """Generations of `size` members, and `last` students of the average of the last one."""
    one, dropout = Member(config, MAX_EPOCHS), 0.0
    if config.n_embd >= WIDE:
        one, dropout = Member(config, WIDE_EPOCHS, decay=WIDE_DECAY), WIDE_DROPOUT
    members: list[Member] = []
    for generation in range(generations):
        members += [replace(one, number=number, dropout=dropout) for number in range(size)]
        teachers = tuple(range(len(members) - size, len(members)))
        one = last_student(config, generation + 1, teachers, LAST_EPOCHS[0])
    return [*members, *(replace(one, number=number) for number in range(last))]


def last_student(config: GPTConfig, generation: int, teachers: tuple[int, ...], epochs: float) -> Member:
    """The student of an average, which reads the text `epochs` times."""
    (few, first), (many, later) = LAST_WEIGHTS.items()
    part = min(1.0, max(0.0, (epochs - few) / (many - few)))
    begin, end = (a + (b - a) * part for a, b in zip(first, later, strict=True))
    dropout = WIDE_STUDENT_DROPOUT if config.n_embd >= WIDE else 0.0
    decay = LAST_DECAY / max(epochs, few)
    return Member(config, epochs, generation, 0, teachers, decay, dropout, (begin, end))
