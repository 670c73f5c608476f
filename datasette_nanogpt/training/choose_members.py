"""Which models a run trains in the time that it has: chosen before it begins, and again between its models.

Wide models make a population as soon as there is time for one generation ("On an H200" in benchmarks/LOG.md),
narrow ones where nothing is joined ("A population"). All others are a chain. Needs no torch.

In all functions `work` is what there is time for, as flops.work_per_step counts it, `at` the place of the
model that was just trained, and `joined` says whether the last models will be joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from llm_nanogpt.config import GPTConfig

from .population import (
    LAST_EPOCHS,
    MAX_EPOCHS,
    STUDENT_DECAY_PER_EPOCH,
    TEACHER_WEIGHTS,
    WIDE,
    Member,
    chain,
    epochs_of,
    follower,
    population,
    with_epochs,
)
from .reading import Reading

# A student has time for this many epochs or is not begun: with fewer it does no better than a model alone in
# all of the time ("A model that teaches the next").
STUDENT_EPOCHS = 2.5
# Each of a pair that will be joined has time for this many, or one of them reads alone: with 2.5 two are 1%
# better than one on a blog, and 2% worse on documentation, whose rows share long passages ("Pairs, and groups
# of small models").
PAIR_EPOCHS = 3.0
MAX_CHAIN = 10  # models; with size s each of the first four improved on those before ("A population")
MAX_MODELS = 40  # in a run; so far each improved on those before
# A run may take this many times its planned time before models are left out ("The plan, looked at again
# between models"; other values were not tried).
DELAY = 1.25
# How many members a generation of a population has, and how many generations come before the last student.
FEWEST_MEMBERS, MOST_MEMBERS, FEWEST_GENERATIONS, MOST_GENERATIONS = 3, 4, 3, 3
# Where models will be joined, a population ends with two students: no three so wide may be joined, and those
# that they learn from are too far behind them ("Populations that are joined").
LAST_OF_JOINED = 2
# Wide models make a population from one generation on: in a minute of an H200, four l and their student had
# 1.523 on a blog, a chain of five 1.545 ("On an H200").
FEWEST_GENERATIONS_OF_WIDE = 1


def choose_members(
    config: GPTConfig, small: GPTConfig, reading: Reading, work: float, joined: bool
) -> list[Member]:
    """The models that make the most of `work`, the last of them of the shape `config`, a chain's first ones
    of the shape `small`; none where one alone does better."""
    narrow_joined = joined and config.n_embd < WIDE
    members = [] if narrow_joined else choose_population(config, reading, work, joined)
    return members or choose_chain(config, small, reading, work, joined)


def choose_population(config: GPTConfig, reading: Reading, work: float, joined: bool) -> list[Member]:
    """The biggest population of that model that `work` is enough for; no members where none is."""
    best: list[Member] = []
    fewest = FEWEST_GENERATIONS_OF_WIDE if config.n_embd >= WIDE else FEWEST_GENERATIONS
    last = LAST_OF_JOINED if joined else 1
    for generations in range(fewest, MOST_GENERATIONS + 1):
        for size in range(FEWEST_MEMBERS, MOST_MEMBERS + 1):
            members = population(config, size, generations, last)
            if len(members) <= MAX_MODELS and sum(reading.works(members)) <= work:
                best = members
    # The last students share what time is left.
    spare = (work - sum(reading.works(best))) / last / reading.epoch_work(config)
    best[-last:] = [with_epochs(best, student, student.epochs + spare) for student in best[-last:]]
    return best


def choose_chain(
    config: GPTConfig, small: GPTConfig, reading: Reading, work: float, joined: bool
) -> list[Member]:
    """The longest chain from `small` to `config` that `work` is enough for, its last model with the epochs
    that are left for it; no members where a model alone does better."""

    def cut(configs: Sequence[GPTConfig], fewest: float) -> list[Member]:
        """The chain with at least `fewest` epochs of the last model; none if there is no time for them."""
        if len(configs) > min(MAX_CHAIN, MAX_MODELS):
            return []
        *before, last = chain(configs, joined)
        left = work - sum(reading.works([*before, replace(last, epochs=0.0)]))
        if (epochs := left / reading.epoch_work(config)) < min(fewest, epochs_of(before, last)):
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
    pair = shared_by_pair(chain([*configs, config], joined), -1, reading, work) if joined else []
    return pair or cut([small, *configs], MAX_EPOCHS) or members


def shared_by_pair(members: Sequence[Member], at: int, reading: Reading, work: float) -> list[Member]:
    """The members whose last two, students of the one before, share `work` evenly, as far as the others after
    `at` leave it. None where that is too little for two, or the last ones are no such pair, or not both still
    to be trained."""
    *before, first, second = members
    if at >= len(before) or not first.teachers == second.teachers == (len(before) - 1,):
        return []
    idle = [replace(first, epochs=0.0), replace(second, epochs=0.0)]
    left = work - sum(reading.works([*before, *idle])[at + 1 :])
    each = min(MAX_EPOCHS, left / 2 / reading.epoch_work(second.config))
    pair = [replace(member, epochs=each) for member in (first, second)]
    return [*before, *pair] if each >= PAIR_EPOCHS else []


def leave_out(
    members: Sequence[Member], at: int, reading: Reading, work: float, joined: bool = False
) -> set[int]:
    """The places of the models after `at` to leave out, so that the last one gets its epochs; or not even
    that one, where the last models are `joined`: its teachers are worth more."""
    out: set[int] = set()

    def works_left() -> list[float]:
        kept = [replace(m, epochs=0.0, teachers=()) if i in out else m for i, m in enumerate(members)]
        return reading.works(kept)[at + 1 :]

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


def lengthen_last(members: Sequence[Member], at: int, reading: Reading, work: float) -> list[Member]:
    """The members, with more epochs for a last student if those after `at` leave time for them."""
    *others, last = members
    spare = work - sum(reading.works(members)[at + 1 :])
    longer = with_epochs(members, last, last.epochs + spare / reading.epoch_work(last.config))
    return [*others, longer] if longer.epochs > last.epochs else [*members]


def one_more(members: Sequence[Member], reading: Reading, work: float, joined: bool = False) -> Member | None:
    """The model to add to a run that has time left; None if that is too little."""
    more, left = follower(members, joined), work
    if more.teachers != members[-1].teachers:
        left -= reading.teaching_work(members, more.teachers)
    epochs = left / reading.epoch_work(more.config)
    if epochs < STUDENT_EPOCHS or len(members) >= MAX_MODELS:
        return None
    return with_epochs(members, more, epochs)
