"""A smaller model to start again with, after a run that ran out of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig

from ..formatting import about_memory
from ..registry.runs import plan_of, settings_of
from ..training.available_memory import available_memory
from ..training.memory import Workload, estimate_memory
from ..training.plan import SIZES, make_config

# The fields that say how large a model and its steps are: all but the size are left to the planner.
LARGE = ("n_layer", "n_head", "n_embd", "block_size", "batch_size")


class Smaller(NamedTuple):
    """A size of model to start again with, and what it needs."""

    size: str
    description: str


def smaller_size(run: Mapping[str, Any]) -> Smaller | None:
    """The largest size of model that takes less memory than the run's and fits into what is there now, or
    else the smallest; None if it had that one already. A run that ended before it had a model gets the
    smallest, too."""
    plan, smallest = plan_of(run), next(iter(SIZES))
    if not plan.get("config"):
        given = settings_of(run)
        if given.get("size") == smallest and not any(given.get(key) for key in LARGE):
            return None
        return Smaller(smallest, f"With the smallest size, {smallest}.")
    config, settings = GPTConfig(**plan["config"]), plan["settings"]

    def memory(config: GPTConfig) -> int:
        return estimate_memory(Workload(config, settings["batch_size"], settings["device"]))

    shape = {"arch": config.arch, "block_size": config.block_size}
    configs = {size: make_config(size, config.vocab_size, shape) for size in SIZES}
    needed = max(plan.get("memory") or 0, memory(config))
    sizes = {size: memory(of) for size, of in configs.items()}
    less = [size for size in sizes if sizes[size] < memory(config)]
    there = available_memory(settings["device"])
    fitting = [size for size in less if there is None or sizes[size] <= there]
    if not (size := next(reversed(fitting or less[:1]), None)):
        return None
    free = f" Now {about_memory(there)} are free." if there is not None else ""
    parameters = f"{configs[size].parameters / 1e6:.1f}M parameters instead of {config.parameters / 1e6:.1f}M"
    needs = f"Size {size}, {parameters}, needs {about_memory(sizes[size])}."
    return Smaller(size, f"This run needed {about_memory(needed)}.{free} {needs}")


def how_much_smaller(run: Mapping[str, Any], estimate: Mapping[str, Any]) -> str:
    """What the `estimate` of a form has less than the run."""
    config = plan_of(run).get("config")
    before = f" instead of {GPTConfig(**config).parameters / 1e6:.1f}M" if config else ""
    parameters = f"{estimate['parameters'] / 1e6:.1f}M parameters{before}"
    return f"Smaller than run {run['id']}: {parameters}, {about_memory(estimate['memory'])} of memory."


def fields_of_size(fields: Mapping[str, str], size: str) -> dict[str, str]:
    """The fields of the form with that size of model in place of the run's; "" leaves it to the planner."""
    return {key: value for key, value in fields.items() if key not in LARGE} | {"size": size}
