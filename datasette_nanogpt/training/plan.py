"""From the size of a corpus, the minutes at hand and the speed of the machine to a vocabulary and a model.

A bigger model learns more from each token, but reads fewer of them. Up to about four readings a text has more
to teach, if the weights shrink meanwhile; the rest of the time goes better into a bigger model, and then into
a teacher for it. All figures are from benchmarks/LOG.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import NanogptError

from .flops import work_per_step

DEFAULT_MINUTES = 10.0
SIZES = {"xs": (2, 64), "s": (2, 128), "m": (3, 256), "l": (4, 384)}  # layers, width; heads of 64
# What a size must have time for, or else a smaller one learns more meanwhile: so many readings of the text,
# or so many tokens of a text too long for that; those of l are a guess, but m after m beats l after four.
MIN_EPOCHS = {"xs": 0.0, "s": 0.25, "m": 2.2, "l": 10.0}
MIN_TOKENS = {"xs": 0.0, "s": 0.125e6, "m": 2.8e6, "l": 17e6}
MAX_EPOCHS = 4.0  # more readings would only teach it by heart
# Where time is left, models come first that the next one learns from as well: as many of its size as there is
# time for, before them small ones, and the last has time for so many readings or more.
TEACHERS = {"xs": "xs", "s": "s", "m": "s", "l": "s"}
MAX_MODELS = 4
STUDENT_EPOCHS = 2.5
STUDENT_DECAY_FACTOR = 0.5  # of the usual: a teacher's guesses are harder to learn by heart than the text
DELAY = 1.25  # times its share of the time that a teacher may take
SCORING_FRACTION = 0.08  # of the time, for scores, where it is divided among models
FLOPS = 100e9  # a second, in training, where it was not measured: two cores
BATCH_TOKENS = 1024  # a step
SHORT_TEXT = 100_000  # tokens, or fewer: half as many a step, as many steps are worth more than long ones,
LONG_TEXT_SIZES = ("l",)  # and not these sizes: with teachers, m is better there
CONTEXTS = (1024, 512, 256, 64)  # the longest is taken that fits in a step and cuts the text
WINDOWS = 50  # into so many windows or more
DECAY_PER_EPOCH = 0.45  # of the weights' logarithm, in one reading at the full rate
WARMUP_STEPS, FEW_STEPS = 20, 16

SHAPE = ("arch", "n_layer", "n_head", "n_embd", "block_size")


@dataclass(frozen=True)
class Plan:
    """What is not set by hand."""

    config: GPTConfig
    batch_size: int  # windows of block_size tokens a step
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    max_iters: int | None  # steps until MAX_EPOCHS, where the time would be enough for more
    tokens_seen: float  # in the time there is
    epochs: float  # the same in readings of the text
    why: str
    minutes: float | None  # at most
    share: float = 1.0  # of the run's work that is done at the end of this model's
    teachers: tuple[Plan, ...] = ()  # of the models before it; max_iters count from the first one's start


def choose_plan(
    given: Mapping[str, Any],
    tokens: int,
    vocab_size: int,
    minutes: float | None,
    *,
    steps: int | None = None,
    flops: float | None = None,
    processes: int = 1,
) -> Plan:
    """The best model for a text of so many `tokens` and so many `minutes` or `steps`, but for what is `given`
    by hand (names as in options.TrainOptions). `flops` is how much of `work_per_step` the machine does in a
    second, where that was measured. Each of the `processes` gets the same number of windows.

    Raises NanogptError where what is given makes no model, or none of `max_parameters` or fewer.
    """
    step_tokens = BATCH_TOKENS if tokens > SHORT_TEXT else BATCH_TOKENS // 2
    fits = [n for n in CONTEXTS if n <= min(step_tokens, tokens / WINDOWS)]
    block_size = max(fits, default=CONTEXTS[-1])
    shape = {"block_size": block_size} | {k: given[k] for k in SHAPE if given.get(k)}
    batch_size = given.get("batch_size") or max(1, step_tokens // shape["block_size"])
    batch_size = -(-batch_size // processes) * processes
    step_tokens = batch_size * shape["block_size"]

    def seen(config: GPTConfig) -> float:
        by_steps = steps * step_tokens if steps else math.inf
        step_seconds = work_per_step(config, step_tokens) / (flops or FLOPS)
        by_time = minutes * 60 / step_seconds * step_tokens if minutes else math.inf
        return min(by_steps, by_time)

    size, most = given.get("size") or "xs", given.get("max_parameters") or math.inf
    why = [f"size {size}, as asked"] if given.get("size") else []
    if not size_is_given(given):
        sizes = [size for size in SIZES if tokens > SHORT_TEXT or size not in LONG_TEXT_SIZES]
        configs = {size: make_config(size, vocab_size, shape) for size in sizes}
        fitting = {size: c for size, c in configs.items() if c.parameters <= most}
        configs = fitting or {"xs": configs["xs"]}
        size, compared = choose_size(configs, tokens, {s: seen(c) for s, c in configs.items()})
        speed = f"{flops / 1e9:,.0f}" if flops else f"some {FLOPS / 1e9:.0f}"
        budget = [f"{minutes:g} minute{'s' if minutes != 1 else ''} at {speed} GFLOP/s"] if minutes else []
        budget += [f"{steps:,} step{'s' if steps != 1 else ''}"] if steps else []
        why = [f"size {size}: {' or '.join(budget)} would read the text {compared}"]
    config = make_config(size, vocab_size, shape)
    if config.parameters > most:
        raise NanogptError(f"A model may have at most {most:,} parameters, not {config.parameters:,}")

    def plan(config: GPTConfig, epochs: float, max_iters: int | None, taught: bool = False, **more) -> Plan:
        learning_rate, weight_decay = choose_rates(epochs, tokens, step_tokens, taught)
        return Plan(
            config=config,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warmup_steps=choose_warmup(epochs * tokens / step_tokens),
            max_iters=max_iters,
            tokens_seen=epochs * tokens,
            epochs=epochs,
            **{"minutes": minutes, "why": "; ".join(why)} | more,
        )

    def time(config: GPTConfig, teacher: GPTConfig | None) -> float:
        """Share of the minutes that MAX_EPOCHS readings take."""
        slower = work_per_step(config, step_tokens, teacher) / work_per_step(config, step_tokens)
        return MAX_EPOCHS * tokens / seen(config) * slower

    epochs = seen(config) / tokens
    if epochs <= MAX_EPOCHS or steps or config.arch == "gpt2":  # nanoGPT's recipe knows no end but the time
        return plan(config, epochs, None)
    enough = steps_for_max_epochs(tokens, step_tokens)
    before = choose_teachers(config, make_config(TEACHERS[size], vocab_size, shape), time)
    if not before:
        why.append(f"the run ends after {MAX_EPOCHS:g} readings, as more would only teach it by heart")
        return plan(config, MAX_EPOCHS, enough)
    why.append(f"{MAX_EPOCHS:g} readings are enough, so {describe_teachers(before)}")
    *times, last = (time(c, teacher) for c, teacher in zip([*before, config], [None, *before], strict=True))
    part = min(
        1.0, (1 - SCORING_FRACTION - sum(times)) / last
    )  # of MAX_EPOCHS, that there is time for at the end
    done = [sum(times[: i + 1]) / (sum(times) + last * part) for i in range(len(times))]
    teachers = tuple(
        plan(c, MAX_EPOCHS, i * enough, i > 1, share=share, minutes=minutes * min(1, DELAY * share))
        for i, (c, share) in enumerate(zip(before, done, strict=True), 1)
    )
    end = (len(before) + 1) * enough  # in case the machine gets faster: more is no better with a teacher, too
    return plan(config, MAX_EPOCHS * part, end, taught=True, teachers=teachers)


def choose_teachers(config: GPTConfig, small: GPTConfig, time: Callable) -> list[GPTConfig]:
    """The models to train before that of `config`, the first one `small`; none where that leaves too little
    time. `time(config, teacher)` is the share of all time that MAX_EPOCHS readings take."""
    left = 1 - SCORING_FRACTION - time(small, None) - time(config, small)
    if left < (STUDENT_EPOCHS / MAX_EPOCHS - 1) * time(config, small):
        return []
    models = [small]
    for place, another in ((1, config), (0, small)):
        while left >= time(another, another) and len(models) < MAX_MODELS - 1:
            models.insert(place, another)
            left -= time(another, another)
    return models


def replan(
    models: Sequence[GPTConfig], at: int, tokens: int, step_tokens: int, flops: float, seconds: float
) -> tuple[int, bool]:
    """What follows when number `at` of the `models` of a run is trained, so many `seconds` are left, and the
    machine turned out to do `flops` of `work_per_step` a second: how many of the next ones are left out, so
    that the last one gets its readings, and whether there is time for one more like the last."""

    def time(config: GPTConfig, teacher: GPTConfig) -> float:
        return steps_for_max_epochs(tokens, step_tokens) * work_per_step(config, step_tokens, teacher) / flops

    left, last, rest = (1 - SCORING_FRACTION) * seconds, models[-1], list(models[at + 1 :])
    if not rest:
        another = STUDENT_EPOCHS / MAX_EPOCHS * time(last, last) <= left
        return 0, another and len(models) < MAX_MODELS
    out = 0  # the small ones, which come first, are worth the least
    while len(rest) - out > 1 and sum(map(time, rest[out:], [models[at], *rest[out:]])) > DELAY * left:
        out += 1
    return out, False


def steps_for_max_epochs(tokens: int, step_tokens: int) -> int:
    """Steps of MAX_EPOCHS readings."""
    return math.ceil(MAX_EPOCHS * tokens / step_tokens)


def describe_teachers(teachers: Sequence[GPTConfig]) -> str:
    """Which models are trained before the one that was chosen, and what for."""
    sizes = ", ".join(f"{config.parameters / 1e6:.1f}M" for config in teachers)
    if len(teachers) == 1:
        return f"another model comes first, of {sizes} parameters, to teach it"
    return f"{len(teachers)} other models come first, of {sizes} parameters, each to teach the next"


def choose_size(configs: Mapping[str, GPTConfig], tokens: int, seen: Mapping[str, float]) -> tuple[str, str]:
    """The biggest size that the text and the time allow, and how often it reads the text beside the next one.
    `seen` is how many tokens each size reads in that time."""

    def times(size: str) -> str:
        readings = seen[size] / tokens
        if readings < 0.1:
            return "less than 0.1 times"
        return f"{readings:,.{0 if readings >= 100 else 1}f} times"

    size = [s for s in configs if seen[s] >= min(MIN_EPOCHS[s] * tokens, MIN_TOKENS[s])][-1]
    bigger = next(iter(list(configs)[list(configs).index(size) + 1 :]), size)
    return size, times(size) + (
        f", with {bigger} only {times(bigger)}" if times(bigger) != times(size) else ""
    )


def size_is_given(given: Mapping[str, Any]) -> bool:
    return bool(given.get("size") or (given.get("n_layer") and (given.get("n_head") or given.get("n_embd"))))


def make_config(size: str, vocab_size: int, given: Mapping[str, Any]) -> GPTConfig:
    """A model of that size, but for what is `given`: width and heads follow each other, 64 to 1."""
    n_layer, width = SIZES[size]
    n_head, n_embd = given.get("n_head"), given.get("n_embd")
    n_embd = n_embd or (64 * n_head if n_head else width)
    arch = given.get("arch") or "qwen3"
    return GPTConfig(
        vocab_size=vocab_size,
        block_size=given["block_size"],
        n_layer=given.get("n_layer") or n_layer,
        n_head=n_head or max(1, n_embd // 64),
        n_embd=n_embd,
        arch=arch,
        tied=arch == "gpt2",
        rope_theta=1e6,  # some components turn so slowly that tokens far apart compare: induction.py
        norm_eps=1e-5 if arch == "gpt2" else 1e-6,
    )


def choose_warmup(steps: float) -> int:
    """Steps of warmup for a model that gets so many: at most a tenth of them, or the full rate comes too late
    for a short text. But the shortest of all, of a few kB, are better without the full rate."""
    return min(WARMUP_STEPS, int(steps / 10)) if steps >= FEW_STEPS else WARMUP_STEPS


def choose_rates(epochs: float, tokens: int, step_tokens: int, taught: bool = False) -> tuple[float, float]:
    """Learning rate and weight decay: what is read more than once is learnt by heart, unless the steps are
    shorter and the weights keep shrinking, by the same share in each reading, however short the text."""
    if epochs <= 1:
        return 0.02, 0.0
    shrinking = DECAY_PER_EPOCH * (STUDENT_DECAY_FACTOR if taught else 1)
    return 0.01, shrinking / 0.01 * step_tokens / tokens
