"""Whether a run is far slower than this machine was in earlier runs, as other programs use it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError

from ..registry.db import registry
from ..registry.metrics import speed_of_last_model
from ..registry.runs import find_run, find_runs, plan_of
from .flops import work_per_token

FAR = 4.0  # times as slow: less may be due to the clock rate of a warm machine, or to the steps' size
ENOUGH_SECONDS = 10.0  # of training: the first steps also warm up
SAME_SIZE = 1.5  # a model of the same size has at most this many times as many parameters
RECENT_RUNS = 20  # that are looked at


class Slower(NamedTuple):
    """How much slower a run is than an earlier one."""

    times: float
    run: int  # the earlier one

    def __str__(self) -> str:
        return f"{self.times:.0f} times slower than run {self.run}"


def slower_than(home: Path, number: int) -> Slower | None:
    """How far a run is behind the fastest earlier run with a model of the same size; None where that is less
    than FAR times, or not known. Only for runs on the CPU: how many GPUs a run had is not recorded."""
    try:
        run = find_run(home, number)
        if run is None or not run["plan"] or (fastest := _fastest_before(home, number)) is None:
            return None
        with registry(home) as db:
            speed, seconds = speed_of_last_model(db, number)
        if not speed or seconds < ENOUGH_SECONDS:
            return None
        times = fastest[1] / (work_of_run(run) * speed)
    except (NanogptError, sqlite3.Error):
        return None  # no page and no verdict fails for this
    return Slower(times, fastest[0]) if times >= FAR else None


@lru_cache(maxsize=64)  # the page of a run asks every second
def _fastest_before(home: Path, number: int) -> tuple[int, float] | None:
    """The fastest earlier run with a model of the size of that run, which has a plan, and its FLOP/s."""
    run = find_run(home, number)
    if run is None or _device(run) != "cpu":
        return None
    like = "id < ? and kind = 'train' and status in ('finished', 'stopped') and tokens_per_second > 0"
    recent = f"id in (select id from runs where {like} order by id desc limit ?)"
    parameters, speeds = _config(run).parameters, []
    for other in find_runs(home, recent, number, RECENT_RUNS):
        if _device(other) != "cpu":
            continue
        ratio = _config(other).parameters / parameters
        if 1 / SAME_SIZE <= ratio <= SAME_SIZE:
            with registry(home) as db:
                speed, seconds = speed_of_last_model(db, other["id"])
            if speed and seconds >= ENOUGH_SECONDS:
                speeds.append((work_of_run(other) * speed, other["id"]))
    if not speeds:
        return None
    flops, fastest = max(speeds)
    return fastest, flops


def _device(run: Mapping[str, Any]) -> str | None:
    plan = plan_of(run)
    return plan["settings"].get("device") if plan.get("config") and plan.get("settings") else None


def _config(run: Mapping[str, Any]) -> GPTConfig:
    return GPTConfig(**plan_of(run)["config"])


def work_of_run(run: Mapping[str, Any]) -> float:
    """FLOPs that take as long as training on a token in a run of the registry."""
    config, batch_size = _config(run), plan_of(run)["settings"]["batch_size"]
    return work_per_token(config, batch_size * config.block_size)
