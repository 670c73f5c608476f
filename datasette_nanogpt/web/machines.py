"""Whether two runs had machines of the same speed, as far as their times and speeds tell."""

from __future__ import annotations

from typing import Any

from llm_nanogpt.config import GPTConfig

from ..registry.runs import OVER, plan_of

UNEVEN = 1.5  # a run that reads so many times as fast as the other had a faster or less busy machine


def times_as_fast(run: dict[str, Any], other: dict[str, Any]) -> float:
    """How many times as fast as the other run this one read, on the same device with a model of the same
    size; 0 where that says nothing about the machine."""
    plans = [plan_of(each) for each in (run, other)]
    alike = [((plan.get("settings") or {}).get("device"), plan.get("config")) for plan in plans]
    speeds = [float(each["tokens_per_second"] or 0) for each in (run, other)]
    return speeds[0] / speeds[1] if all(speeds) and alike[0] == alike[1] and alike[0][1] else 0


def caution_of(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Why the times and speeds of two runs cannot be compared, in a sentence; "" if they can be."""
    plans = [plan_of(run) for run in (a, b)]
    devices = [(plan.get("settings") or {}).get("device") for plan in plans]
    sizes = [GPTConfig(**plan["config"]).parameters if plan.get("config") else None for plan in plans]
    slow, fast = sorted((a, b), key=lambda run: float(run["tokens_per_second"] or 0))
    if not fast["tokens_per_second"]:
        return ""
    if not slow["tokens_per_second"]:
        over = slow["status"] in OVER
        return f"Run {slow['id']} {'ended before its speed was measured' if over else 'has no speed yet'}."
    if None not in devices and devices[0] != devices[1]:
        trained = f"Run {a['id']} trained on {devices[0]}, run {b['id']} on {devices[1]}"
        return f"{trained}: compare their scores, not their times."
    if sizes[0] != sizes[1]:
        return "Their models differ in size: a larger one reads fewer tokens a second."
    times = fast["tokens_per_second"] / slow["tokens_per_second"]
    if times < UNEVEN:
        return ""
    return (
        f"Run {fast['id']} read {times:.1f} times as many tokens a second, with a model of the same size: it "
        f"had a faster or less busy machine, so after equal times it has trained more than run {slow['id']}."
    )
