"""What to start again with after a run that ran out of memory: its own settings, or a smaller model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig

from ..formatting import about_memory
from ..registry.runs import plan_of, settings_of
from ..training.available_memory import available_memory
from ..training.memory import Workload, estimate_memory
from ..training.sizes import SIZES, make_config
from .forms import shown_size

# The fields that say how large a model and its steps are: all but the size are left to the planner.
LARGE = ("n_layer", "n_head", "n_embd", "block_size", "batch_size")


# A run starts again as it was where this many times what it needed is free: estimates are within 25%
# (benchmarks/memory.py).
SPARE = 1.25


class MemoryAdvice(NamedTuple):
    """How to start a run again that ran out of memory."""

    fits: bool  # whether what is free now is clearly enough for the same settings
    size: str | None  # of a clearly smaller model; None: there is none
    description: str  # what the run needed, what is free now, and what the smaller model needs


def memory_advice(run: Mapping[str, Any]) -> MemoryAdvice:
    """What helps a run that ran out of memory: the same settings where there is enough now, or else the
    largest model that fits into at most half of what the run needed, and into what is free; where none does,
    the smallest one. A run that ended before it had a model gets the smallest, too."""
    plan = plan_of(run)
    if not plan.get("config"):
        return _before_its_model(settings_of(run))
    config, settings = GPTConfig(**plan["config"]), plan["settings"]

    def memory(config: GPTConfig) -> int:
        return estimate_memory(Workload(config, settings["batch_size"], settings["device"]))

    shape = {"arch": config.arch, "block_size": config.block_size}
    smaller = {size: make_config(size, config.vocab_size, shape) for size in SIZES}
    smaller = {size: each for size, each in smaller.items() if memory(each) < memory(config)}
    needed, free = max(plan.get("memory") or 0, memory(config)), available_memory(settings["device"])
    limit = min(needed / 2, needed if free is None else free)
    size = next(
        reversed([size for size in smaller if memory(smaller[size]) <= limit] or [*smaller][:1]), None
    )
    fits = free is not None and free >= SPARE * needed
    sentences = [_needed_and_free(needed, free, fits)]
    if size:
        parameters = " instead of ".join(f"{of.parameters / 1e6:.1f}M" for of in (smaller[size], config))
        needs = about_memory(memory(smaller[size]))
        sentences.append(f"Size {shown_size(size)}, with {parameters} parameters, needs {needs}.")
    elif not fits:
        sentences.append("There is no smaller size: end other programs first.")
    return MemoryAdvice(fits, size, " ".join(sentences))


def _before_its_model(given: Mapping[str, Any]) -> MemoryAdvice:
    """The advice for a run that ended before it had a model."""
    smallest = next(iter(SIZES))
    if given.get("size") == smallest and not any(given.get(key) for key in LARGE):
        return MemoryAdvice(False, None, "Its size is the smallest one: end other programs first.")
    return MemoryAdvice(False, smallest, f"The smallest size is {shown_size(smallest)}.")


def _needed_and_free(needed: int, free: int | None, fits: bool) -> str:
    if free is None:
        return f"It needed {about_memory(needed)}."
    so = ", so it should fit" if fits else ", which is little more" if free >= needed else ", which is less"
    return f"It needed {about_memory(needed)}; now {about_memory(free)} are free{so}."


def how_much_smaller(run: Mapping[str, Any], estimate: Mapping[str, Any]) -> str:
    """What the `estimate` of a form has less than the run."""
    config = plan_of(run).get("config")
    before = f" instead of {GPTConfig(**config).parameters / 1e6:.1f}M" if config else ""
    parameters = f"{estimate['parameters'] / 1e6:.1f}M parameters{before}"
    return f"Smaller than run {run['id']}: {parameters}, {about_memory(estimate['memory'])} of memory."


def fields_of_size(fields: Mapping[str, str], size: str) -> dict[str, str]:
    """The fields of the form with that size of model in place of the run's; "" leaves it to the planner."""
    return {key: value for key, value in fields.items() if key not in LARGE} | {"size": size}
