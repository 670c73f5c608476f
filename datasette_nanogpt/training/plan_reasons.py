"""The planner's reasons for its choice of a model, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from llm_nanogpt.counts import counted

from ..formatting import in_minutes
from .population import Member
from .sizes import SHAPE

PRECISE_TIMES = 100  # below this, "3.4 times" has a decimal


def describe_budget(minutes: float | None, steps: int | None, flops: float | None) -> str:
    """How a sentence about a run begins: "In 3 minutes, at the 40 GFLOP/s of this machine,". `flops` are
    those that were measured, in a second."""
    limits = [counted(steps, "step")] if steps else []
    limits += [in_minutes(minutes)] if minutes else []
    sooner = ", whichever ends first," if len(limits) == 2 else ""
    billions = (flops or 0.0) / 1e9
    number = f"{billions:,.0f}" if billions >= 10 else f"{billions:.1g}"  # not 0 where a machine is very busy
    speed = f", at the {number} GFLOP/s of this machine," if flops and minutes else ""
    return f"In {' or '.join(limits)}{speed or sooner}"


def describe_choice(
    given: Mapping[str, Any], budget: str, epochs: Mapping[str, float], parameters: Mapping[str, int]
) -> str:
    """Why it is the first of these sizes and not the second, if there is one: how often each would read the
    text in that budget, as `describe_budget` has it. `given` are the options set by hand."""
    chosen, *bigger = epochs
    by_hand = any(given.get(option) for option in SHAPE)  # the model is not that of the size's name

    def millions(size: str) -> str:
        return f"{parameters[size] / 1e6:.1f}M parameters"

    name = f"a model of {millions(chosen)}" if by_hand else f"size {chosen}"
    sentence = f"{budget} {name} can read the text {times(epochs[chosen])}"
    if bigger and times(epochs[bigger[0]]) != times(epochs[chosen]):
        other = f"one of {millions(bigger[0])}" if by_hand else f"the next size, {bigger[0]},"
        sentence += f"; {other} could read it {times(epochs[bigger[0]])}"
    return sentence + "."


def times(epochs: float) -> str:
    """How often a text is read: "0.6 times", "once", "1,200 times"."""
    if epochs < 0.1:
        return "less than 0.1 times"
    number = f"{epochs:,.{0 if epochs >= PRECISE_TIMES else 1}f}"
    return "once" if number == "1.0" else f"{number} times"


def describe_members(members: Sequence[Member], epochs: float, joined: int = 0) -> str:
    """Which models are trained before the last one, which reads the text `epochs` times, and what for.
    `joined` of them may be joined."""
    *before, _ = members
    sizes = " and ".join(
        ", ".join(f"{member.config.parameters / 1e6:.1f}M" for member in before).rsplit(", ", 1)
    )
    end = f"; the best {joined} are joined into one if that is better" if joined > 1 else ""
    if len(before) == 1 and not end:
        return f"a model of {sizes} parameters is trained first, to teach it"
    if len({member.generation for member in members}) == len(members):
        whom = "the next" if len(members[-1].teachers) == 1 else "those that follow"
        return f"{len(before)} models of {sizes} parameters are trained first, each to teach {whom}{end}"
    first, *others = (list(group) for _, group in groupby(members, lambda member: member.generation))
    one, size = len(first) == 1, f"{first[0].config.parameters / 1e6:.1f}M parameters"
    words = [f"a model of {size} is" if one else f"{len(first)} models of {size} are"]
    words[0] += f" trained{' first' * bool(others)}, {'' if one else 'each '}from the text alone"
    for then, times_over in _counted(_describe_generation(members, group) for group in others):
        words.append(f"then {f'{times_over} times ' if times_over > 1 else ''}{then}")
    if others and len(others[-1]) == 1:
        words[-1] += f", for {epochs:.0f} epochs"
    return ", ".join(words) + end


def _describe_generation(members: Sequence[Member], group: Sequence[Member]) -> str:
    member, teachers = group[0], group[0].teachers
    smaller = members[teachers[0]].config != member.config
    size = f" of {member.config.parameters / 1e6:.1f}M" if smaller else ""
    verb = "learns" if len(group) == 1 else "learn"
    whom = "that one" if len(teachers) == 1 else "the average of those before"
    return f"{'one' if len(group) == 1 else len(group)}{size} that {verb} from {whom} as well"


def _counted(sentences: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each sentence once, with how often it comes in a row."""
    return ((sentence, len([*again])) for sentence, again in groupby(sentences))
