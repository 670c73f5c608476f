"""The planner's reasons for its choice of a model, in whole sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llm_nanogpt.counts import counted

from ..formatting import in_minutes
from .population import Member

SHAPE_OPTIONS = ("n_layer", "n_head", "n_embd")
PRECISE_TIMES = 100  # below this, "3.4 times" has a decimal


def describe_budget(minutes: float | None, steps: int | None, flops: float | None) -> str:
    """How a sentence about a run begins: "In 3 minutes, at the 40 GFLOP/s of this machine,". `flops` are
    those that were measured, in a second."""
    limits = [counted(steps, "step")] if steps else []
    limits += [in_minutes(minutes)] if minutes else []
    sooner = ", whichever ends first," if len(limits) == 2 else ""
    speed = f", at the {flops / 1e9:,.0f} GFLOP/s of this machine," if flops and minutes else ""
    return f"In {' or '.join(limits)}{speed or sooner}"


def describe_choice(
    given: Mapping[str, Any], budget: str, epochs: Mapping[str, float], parameters: Mapping[str, int]
) -> str:
    """Why it is the first of these sizes and not the second, if there is one: how often each would read the
    text in that budget, as `describe_budget` has it. `given` are the options set by hand."""
    chosen, *bigger = epochs
    by_hand = any(given.get(option) for option in SHAPE_OPTIONS)  # the model is not that of the size's name

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


def describe_members(members: Sequence[Member], epochs: float) -> str:
    """Which models are trained before the last one, which reads the text `epochs` times, and what for."""
    *before, last = members
    sizes = " and ".join(
        ", ".join(f"{member.config.parameters / 1e6:.1f}M" for member in before).rsplit(", ", 1)
    )
    if len(before) == 1:
        return f"a model of {sizes} parameters is trained first, to teach it"
    if len({member.generation for member in before}) == len(before):
        whom = "the next" if len(last.teachers) == 1 else "those that follow"
        return f"{len(before)} models of {sizes} parameters are trained first, each to teach {whom}"
    size = f"{last.config.parameters / 1e6:.1f}M parameters"
    counts = Counter(member.generation for member in before)
    first, *others = counts.values()
    words = [f"{first} models of {size} are trained first, each from the text alone"]
    if others:
        again = f"{len(others)} times {others[0]}" if len(others) > 1 else f"{others[0]}"
        words.append(f"then {again} that learn from the average of those before them as well")
    return ", ".join([*words, f"and finally one that learns from their average, for {epochs:.0f} epochs"])
