"""The models of a run that has more time than one model needs: which ones, in which order, who teaches whom.

The words for this, here and everywhere else:

teachers, student  a student learns from the text and from what its teachers, on average, predict for it
generation         models with the same teachers, each from a start of its own, or the first ones, without any
member             one model of a generation
chain              a small model first, then models of the last size: each generation teaches the next one
population         with very much time: big generations of one size, the first of which learns from the text
                   alone, and at the end one student of the last generation
joined             the best models of the last size, put side by side as one wider model (join_models.py)

In a chain whose models will be joined, the generations of the last size have MEMBERS_OF_JOINED: such models
differ more than if each taught the next, so that their average is better (benchmarks/LOG.md, "Groups of
models, joined"). Where nothing is joined, as the size was set by hand, and on a GPU, where that was not
tried, they have one, which learns from the last ones before it of its size.

Wide models make a population as soon as there is time for one generation ("On an H200"), narrow ones where
nothing is joined ("A population"). Needs no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from llm_nanogpt.config import GPTConfig

from .flops import work_of_teaching, work_per_step
from .memory import Workload

# How much the logarithm of the weights decays in an epoch at the full learning rate ("Readings and decay,
# once more"). A student of one teacher gets half of that, because a teacher's probabilities are harder to
# memorize than the text ("A model that teaches the next").
DECAY_PER_EPOCH, STUDENT_DECAY_PER_EPOCH = 0.45, 0.225
# Epochs of a model that has no time limit of its own; more would only memorize the text.
MAX_EPOCHS = 4.0
# A model needs this many steps, divided by its width, to learn anything. A text of too few tokens for them in
# MAX_EPOCHS is repeated in what counts as an epoch here, at most this often ("A few kilobytes, read more
# often").
NEEDED_STEPS, MOST_REPEATS = 9600, 4.0
# A student has time for this many epochs or is not begun: with fewer it does no better than a model alone in
# all of the time ("A model that teaches the next").
STUDENT_EPOCHS = 2.5
# Each of a pair that will be joined has time for this many, or one of them reads alone: with 2.5 two are 1%
# better than one on a blog, and 2% worse on documentation, whose rows share long passages ("Pairs, and groups
# of small models").
PAIR_EPOCHS = 3.0
# The weight of the teachers' probabilities in a student's loss at the beginning and at the end of its
# training; the text has the rest. It falls because a student soon knows more than a single teacher (teacher
# annealing, arxiv.org/abs/1907.04829).
TEACHER_WEIGHTS = (0.9, 0.4)
MAX_CHAIN = 10  # models; with size s each of the first four improved on those before ("A population")
MAX_MODELS = 40  # in a run; so far each improved on those before
MEMBERS_OF_JOINED = 3  # of a generation in a chain whose models will be joined
# How many members a generation has, and how many generations come before the last student.
FEWEST_MEMBERS, MOST_MEMBERS, FEWEST_GENERATIONS, MOST_GENERATIONS = 3, 4, 3, 3
# Wide models make a population from one generation on: in a minute of an H200, four l and their student had
# 1.523 on a blog, a chain of five 1.545 ("On an H200").
FEWEST_GENERATIONS_OF_WIDE = 1
# The last student learns from an average that is better than itself, so it may trust it longer, read more
# often and decay less: between these epochs, with this decay in all ("A population").
LAST_EPOCHS, LAST_DECAY = (6.0, 12.0), 1.2
LAST_WEIGHTS = {6.0: (0.95, 0.7), 12.0: (1.0, 0.9)}
# From this width on models learn a text by heart so soon that dropout helps, and more epochs with it.
WIDE = 384
WIDE_EPOCHS, WIDE_DECAY, WIDE_DROPOUT, WIDE_STUDENT_DROPOUT = 6.0, 0.6, 0.1, 0.05  # l in "A population"
# A run may take this many times its planned time before models are left out ("The plan, looked at again
# between models"; other values were not tried).
DELAY = 1.25


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


class Placed(Protocol):
    """What a Member and the Settings of a model say of its place in a run."""

    @property
    def generation(self) -> int: ...

    @property
    def teachers(self) -> tuple[int, ...]: ...


def at_once(run: Sequence[Placed], at: int, processes: int, trained: Container[int] = ()) -> list[int]:
    """The models of a run that several processes train at once, each its own: the one at `at` and others of
    its generation, which do not need each other. Only that one, trained by all processes together, where
    fewer of these are left than there are processes. `trained` has the places of those that are trained."""
    places = [(model.generation, model.teachers) for model in run]
    members = [n for n in range(at, len(run)) if places[n] == places[at] and n not in trained]
    return members[:processes] if len(members) >= processes else [at]


def workloads(members: Sequence[Member], batch_size: int, processes: int, device: str) -> Iterator[Workload]:
    """The steps of `batch_size` windows of each model of a run, as one process has them: whole steps of its
    own model, or its part of the steps that all make together."""
    for at, m in enumerate(members):
        alone = len(at_once(members, at, processes)) > 1
        teachers = tuple(members[teacher].config for teacher in m.teachers)
        yield Workload(m.config, batch_size // (1 if alone else processes), device, m.dropout, teachers)


def epoch_tokens(config: GPTConfig, tokens: int, step_tokens: int) -> float:
    """The tokens of an epoch of that model on a text of `tokens`: a short text is repeated in it."""
    repeats = NEEDED_STEPS / config.n_embd * step_tokens / (MAX_EPOCHS * tokens)
    return tokens * min(MOST_REPEATS, max(1.0, repeats))


def steps_of(member: Member, tokens: int, step_tokens: int, fewest_epochs: float = 0.0) -> int:
    """How many steps its epochs are; a last part of a step is one more, unless it is a rounding error."""
    epoch = epoch_tokens(member.config, tokens, step_tokens)
    return math.ceil(max(member.epochs, fewest_epochs) * epoch / step_tokens - 1e-6)


def _epoch_work(config: GPTConfig, tokens: int, step_tokens: int, launch: float) -> float:
    """The FLOPs of flops.work_per_step in an epoch."""
    steps = epoch_tokens(config, tokens, step_tokens) / step_tokens
    return steps * work_per_step(config, step_tokens, launch)


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
    most = MEMBERS_OF_JOINED if joined else MOST_MEMBERS
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


def population(config: GPTConfig, size: int, generations: int) -> list[Member]:
    """Generations of `size` members, and a last student."""
    one, dropout = Member(config, MAX_EPOCHS), 0.0
    if config.n_embd >= WIDE:
        one, dropout = Member(config, WIDE_EPOCHS, decay=WIDE_DECAY), WIDE_DROPOUT
    members: list[Member] = []
    for generation in range(generations):
        members += [replace(one, number=number, dropout=dropout) for number in range(size)]
        teachers = tuple(range(len(members) - size, len(members)))
        one = last_student(config, generation + 1, teachers, LAST_EPOCHS[0])
    return [*members, one]


def last_student(config: GPTConfig, generation: int, teachers: tuple[int, ...], epochs: float) -> Member:
    """The student of an average, which reads the text `epochs` times."""
    (few, first), (many, later) = LAST_WEIGHTS.items()
    part = min(1.0, max(0.0, (epochs - few) / (many - few)))
    begin, end = (a + (b - a) * part for a, b in zip(first, later, strict=True))
    dropout = WIDE_STUDENT_DROPOUT if config.n_embd >= WIDE else 0.0
    decay = LAST_DECAY / max(epochs, few)
    return Member(config, epochs, generation, 0, teachers, decay, dropout, (begin, end))


def works(members: Sequence[Member], tokens: int, step_tokens: int, launch: float = 0.0) -> list[float]:
    """flops.work_per_step of each model of a run, with `launch` as there, and with that of its teachers,
    whose predictions are computed once for all that learn from them."""
    known: set[tuple[int, ...]] = set()
    result = []
    for member in members:
        work = member.epochs * _epoch_work(member.config, tokens, step_tokens, launch)
        if member.teachers and member.teachers not in known:
            known.add(member.teachers)
            work += work_of_teaching([members[at].config for at in member.teachers], tokens, launch)
        result.append(work)
    return result


def choose_members(
    config: GPTConfig,
    small: GPTConfig,
    text: tuple[int, int],
    work: float,
    launch: float = 0.0,
    joined: bool = False,
) -> list[Member]:
    """The models that make the most of `work`, the last of them of the shape `config`; none where one alone
    does better. `text` has the tokens of the text and of a step; the last models may be `joined`."""
    narrow_joined = joined and config.n_embd < WIDE
    members = [] if narrow_joined else choose_population(config, *text, work, launch)
    return members or choose_chain(config, small, text, work, launch, joined)


def choose_population(
    config: GPTConfig, tokens: int, step_tokens: int, work: float, launch: float = 0.0
) -> list[Member]:
    """The biggest population of that model that `work` is enough for; no members where none is."""

    def total(members: Sequence[Member]) -> float:
        return sum(works(members, tokens, step_tokens, launch))

    best: list[Member] = []
    fewest = FEWEST_GENERATIONS_OF_WIDE if config.n_embd >= WIDE else FEWEST_GENERATIONS
    for generations in range(fewest, MOST_GENERATIONS + 1):
        for size in range(FEWEST_MEMBERS, MOST_MEMBERS + 1):
            members = population(config, size, generations)
            if len(members) <= MAX_MODELS and total(members) <= work:
                best = members
    if best:  # the rest of the time goes to the last student
        spare = (work - total(best)) / _epoch_work(config, tokens, step_tokens, launch)
        best[-1] = with_epochs(best, best[-1], LAST_EPOCHS[0] + spare)
    return best


def choose_chain(
    config: GPTConfig,
    small: GPTConfig,
    text: tuple[int, int],
    work: float,
    launch: float = 0.0,
    joined: bool = False,
) -> list[Member]:
    """The longest chain from `small` to `config` that `work` is enough for, its last model with the epochs
    that are left for it; no members where a model alone does better."""
    epoch = _epoch_work(config, *text, launch)

    def cut(configs: Sequence[GPTConfig], fewest: float) -> list[Member]:
        """The chain with at least `fewest` epochs of the last model; none if there is no time for them."""
        if len(configs) > min(MAX_CHAIN, MAX_MODELS):
            return []
        *before, last = chain(configs, joined)
        left = work - sum(works([*before, replace(last, epochs=0.0)], *text, launch))
        if (epochs := left / epoch) < min(fewest, epochs_of(before, last)):
            return []
        return [*before, with_epochs(before, last, epochs)]

    members = cut([small, config], STUDENT_EPOCHS)
    configs = [small, config]
    # A second of the last size must have the epochs of a model alone, later ones those of a last student.
    while more := members and cut([*configs, config], MAX_EPOCHS if len(configs) == 2 else LAST_EPOCHS[0]):
        members, configs = more, [*configs, config]
    if len(configs) > 2 or not members:
        return members
    # Two share the time of one ("Pairs, and groups of small models").
    pair = shared_by_pair(chain([*configs, config], joined), -1, text, work, launch) if joined else []
    return pair or cut([small, *configs], MAX_EPOCHS) or members


def shared_by_pair(
    members: Sequence[Member], at: int, text: tuple[int, int], work: float, launch: float = 0.0
) -> list[Member]:
    """The members whose last two, students of the one before, share evenly what `work` there is time for
    after the model at `at`. None where that is too little for two, or the last ones are no such pair, or not
    both still to be trained."""
    *before, first, second = members
    if at >= len(before) or not first.teachers == second.teachers == (len(before) - 1,):
        return []
    idle = [replace(first, epochs=0.0), replace(second, epochs=0.0)]
    left = work - sum(works([*before, *idle], *text, launch)[at + 1 :])
    each = min(MAX_EPOCHS, left / 2 / _epoch_work(second.config, *text, launch))
    pair = [replace(member, epochs=each) for member in (first, second)]
    return [*before, *pair] if each >= PAIR_EPOCHS else []


def leave_out(
    members: Sequence[Member],
    at: int,
    text: tuple[int, int],
    work: float,
    launch: float = 0.0,
    joined: bool = False,
) -> set[int]:
    """The places of the models to leave out once the model at `at` is trained and there is time for `work`
    more, so that the last one gets its epochs; or not even that one, where the last models are `joined`: its
    teachers are worth more. `text` has the tokens of the text and of a step."""
    out: set[int] = set()

    def works_left() -> list[float]:
        kept = [replace(m, epochs=0.0, teachers=()) if i in out else m for i, m in enumerate(members)]
        return works(kept, *text, launch)[at + 1 :]

    while sum(works_left()) > DELAY * work:
        *rest, end = [i for i in range(at + 1, len(members)) if i not in out]
        if not rest:
            break
        # Small ones first, as they are worth the least; then others of the last one's generation, as nobody
        # learns from them; then the last one of the largest generation.
        smaller = [i for i in rest if members[i].config != members[end].config]
        others = [i for i in rest if members[i].generation == members[end].generation]
        if smaller or others:
            out.add(smaller[0] if smaller else others[-1])
        elif joined:
            out.add(end)
        else:
            sizes = Counter(members[i].generation for i in rest)
            largest = max(sizes, key=lambda number: (sizes[number], number))
            out.add([i for i in rest if members[i].generation == largest][-1])
    return out


def without(members: Sequence[Member], out: set[int]) -> list[Member]:
    """The members without those at the places `out`. A member whose teachers are all left out learns from the
    nearest earlier generation that has any left, as from a teacher that is no better than itself."""
    kept = [member for i, member in enumerate(members) if i not in out]
    new = {i: place for place, i in enumerate(i for i in range(len(members)) if i not in out)}
    generations = sorted({member.generation for member in kept})
    result = []
    for place, member in enumerate(kept):
        teachers = tuple(new[i] for i in member.teachers if i in new)
        if member.teachers and not teachers:
            before = max(m.generation for m in kept[:place] if m.generation < member.generation)
            teachers = tuple(i for i, m in enumerate(kept[:place]) if m.generation == before)
            epochs, decay = min(member.epochs, MAX_EPOCHS), STUDENT_DECAY_PER_EPOCH
            member = replace(member, epochs=epochs, decay=decay, weights=TEACHER_WEIGHTS)  # noqa: PLW2901
        generation = generations.index(member.generation)
        result.append(replace(member, teachers=teachers, generation=generation))
    return result


def lengthen_last(
    members: Sequence[Member], at: int, tokens: int, step_tokens: int, work: float, launch: float = 0.0
) -> list[Member]:
    """The members, with more epochs for a last student if those after `at` leave time for them in `work`."""
    *others, last = members
    spare = work - sum(works(members, tokens, step_tokens, launch)[at + 1 :])
    epochs = last.epochs + spare / _epoch_work(last.config, tokens, step_tokens, launch)
    longer = with_epochs(members, last, epochs)
    return [*others, longer] if longer.epochs > last.epochs else [*members]


def one_more(
    members: Sequence[Member], text: tuple[int, int], work: float, launch: float = 0.0, joined: bool = False
) -> Member | None:
    """The model to add to a run that has time left for `work`; None if that is too little. `joined` as
    `choose_members` has it."""
    more = follower(members, joined)
    epoch = _epoch_work(more.config, *text, launch)
    left = work
    if more.teachers != members[-1].teachers:
        left -= work_of_teaching([members[i].config for i in more.teachers], text[0], launch)
    epochs = left / epoch
    if epochs < STUDENT_EPOCHS or len(members) >= MAX_MODELS:
        return None
    return with_epochs(members, more, epochs)
