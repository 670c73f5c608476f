"""From the size of a text, the minutes at hand and the speed of the machine to a model and its schedule.

A bigger model learns more from each token, but sees fewer of them. For about four epochs a model learns more
from a text, if its weights decay; further time is better spent on a bigger model, and then on teachers for
it. Constants name the section of benchmarks/LOG.md that they come from. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, Problem

from ..data.prepare import choose_vocab_size
from .budget import DEFAULT_MINUTES, SCORING_FRACTION, STEP_TOKENS, Budget, machine_speed
from .choose_members import DELAY, choose_members
from .flops import work_per_step
from .joined_size import may_join, most_joined
from .memory import estimate_memory
from .plan_reasons import describe_budget, describe_choice, describe_members
from .population import MAX_EPOCHS, MEMBERS_OF_JOINED, WIDE_DROPOUT, Member, workloads
from .rates import choose_rates, choose_warmup
from .reading import Reading
from .sizes import SIZES, make_config, size_is_given

# A size is chosen if there is time for this many epochs of the text, or for MIN_TOKENS: with less, a smaller
# size learns more in the same time ("The planner's grid"; xs and s: "Runs of seconds"). Those of l and xl are
# guesses.
MIN_EPOCHS = {"xs": 0.0, "s": 0.25, "m": 2.2, "l": 10.0, "xl": 40.0}
MIN_TOKENS = {"xs": 0.0, "s": 0.125e6, "m": 2.8e6, "l": 17e6, "xl": 100e6}
# The size of the small models that come first in a chain, by the size of the last one. The last size itself
# follows as often as there is time for it ("A model that teaches the next").
TEACHERS = {"xs": "xs", "s": "s", "m": "s", "l": "s", "xl": "m"}
# A text of at most SHORT_TEXT tokens gets steps of half as many tokens, as more steps are worth more there
# than longer ones.
SHORT_TEXT = 100_000
# The tokens that a text must have for a size: in shorter ones m with teachers does better than l ("The
# planner's grid" and "A model that teaches the next"), and on 650,000 tokens xl, with and without dropout, no
# better than l (measured on an H200: "A population").
MIN_TEXT = {"l": SHORT_TEXT, "xl": 1_500_000}
# On a GPU the steps of a text of LONG_TEXT tokens or more are made bigger, as long as a model keeps this many
# of them. Guesses, not measured.
FEWEST_STEPS, LONG_TEXT = 2000, 5_000_000
# A small model comes first in a chain if its steps take at most this fraction of the time of the last
# model's: 0.33 for s before m on a CPU. On an H200 it was 0.6, as launching kernels takes most of the time
# (LOG.md, "On an H200"), and the bigger model teaches better. A guess.
CLEARLY_FASTER = 0.4
# The context is the longest of these that fits into a step and cuts the text into MIN_WINDOWS or more ("The
# planner's grid").
CONTEXTS = (1024, 512, 256, 64)
MIN_WINDOWS = 50
# Assumptions about a text that is not tokenized yet: bytes per token of a vocabulary trained on it, and the
# number of different characters.
BYTES_PER_TOKEN, CHARACTERS = 3, 100

# At least SEVERAL models of this size are better than fewer of a bigger size: two students, one after the
# other, make a model 7% better, and l is only 1% better than m ("A population"). This holds for short texts,
# those whose size MIN_EPOCHS decides.
SMALLEST_OF_MANY, SEVERAL = "m", 3


@dataclass(frozen=True)
class Plan:
    """How a model is trained, as far as it is not set by hand."""

    config: GPTConfig
    batch_size: int  # windows of block_size tokens in a step
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    max_iters: int | None  # steps until MAX_EPOCHS, where there would be time for more
    tokens_seen: float  # in the time there is
    epochs: float  # the same as a multiple of the text
    why: str
    minutes: float | None  # at most
    member: Member  # its place among the models of the run
    share: float = 1.0  # the fraction of the run's work that is done when this model is trained
    teachers: tuple[Plan, ...] = ()  # the models before it; max_iters count from the first one's start
    joined: int = 0  # how many models are joined into one in the end


@dataclass(frozen=True)
class _Run:
    """What the models of a run have in common."""

    given: Mapping[str, Any]  # the options set by hand
    tokens: int  # of the text
    vocab_size: int
    block_size: int
    batch_size: int
    budget: Budget
    flops: float  # of flops.work_per_step that the machine does in a second, beside launching steps
    launch: float  # the FLOPs that it could do while the kernels of a layer are launched; 0 on a CPU

    @property
    def step_tokens(self) -> int:
        return self.batch_size * self.block_size

    @property
    def most_parameters(self) -> float:
        return self.given.get("max_parameters") or math.inf

    def config(self, size: str) -> GPTConfig:
        """The model of that size, except for what was set by hand."""
        return make_config(size, self.vocab_size, {**self.given, "block_size": self.block_size})

    def begin_reason(self, config: GPTConfig) -> str:
        """How a sentence about it begins, with the speed of that model's steps, launching included."""
        speed = work_per_step(config, self.step_tokens) / self.step_seconds(config)
        return describe_budget(self.budget.minutes, self.budget.steps, speed if self.budget.flops else None)

    def step_seconds(self, config: GPTConfig) -> float:
        """How long a step of that model takes."""
        return work_per_step(config, self.step_tokens, self.launch) / self.flops

    @property
    def reading(self) -> Reading:
        """How its models read the text."""
        return Reading(self.tokens, self.step_tokens, self.launch)

    def tokens_seen(self, config: GPTConfig) -> float:
        """How many tokens the budget is enough for."""
        by_steps = self.budget.steps * self.step_tokens if self.budget.steps else math.inf
        seconds = self.budget.minutes * 60 if self.budget.minutes else math.inf
        return min(by_steps, seconds / self.step_seconds(config) * self.step_tokens)

    @property
    def work(self) -> float:
        """How much of flops.work_per_step there is time for, beside scores. inf where nothing limits it."""
        seconds = 60 * self.budget.minutes if self.budget.minutes else math.inf
        return (1 - SCORING_FRACTION) * seconds * self.flops

    def fits(self, members: Sequence[Member]) -> bool:
        """Whether each of these models fits in the memory, with its dropout and what its teachers predict."""
        budget, limit = self.budget, self.budget.memory or math.inf
        each = workloads(members, self.batch_size, budget.processes, budget.device)
        return all(estimate_memory(workload) <= limit for workload in each)

    def plan(self, member: Member, max_iters: int | None, why: str) -> Plan:
        epochs, epoch = member.epochs, self.reading.epoch_tokens(member.config)
        learning_rate, weight_decay = choose_rates(epochs, epoch, self.step_tokens, member.decay)
        return Plan(
            config=member.config,
            batch_size=self.batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warmup_steps=choose_warmup(min(epochs, MAX_EPOCHS) * epoch / self.step_tokens),
            max_iters=max_iters,
            tokens_seen=epochs * epoch,
            epochs=epochs * epoch / self.tokens,
            why=why,
            minutes=self.budget.minutes,
            member=member,
        )


def choose_plan(given: Mapping[str, Any], tokens: int, vocab_size: int, budget: Budget) -> Plan:
    """The best model for a text of `tokens` tokens in that budget. `given` are the options set by hand, with
    the names of options.TrainOptions.

    Raises InvalidOptions where `given` makes no model, or none of at most its `max_parameters`.
    """
    run = _choose_batch(given, tokens, vocab_size, budget)
    size, why = _choose_size(run)
    config = run.config(size)
    if config.parameters > run.most_parameters:
        message = f"A model may have at most {run.most_parameters:,} parameters, not {config.parameters:,}"
        raise InvalidOptions([Problem("size", "too_big", message)])
    run = _choose_steps(run, config)
    epochs = run.tokens_seen(config) / run.reading.epoch_tokens(config)
    # nanoGPT's recipe has no end but the budget.
    if epochs <= MAX_EPOCHS or budget.steps or config.arch == "gpt2":
        return run.plan(Member(config, epochs), None, why)
    sizes = {size: config}
    if not size_is_given(given):
        short = MIN_EPOCHS[size] * run.reading.epoch_tokens(config) <= MIN_TOKENS[size]
        smallest = min(size, SMALLEST_OF_MANY if short else size, key=[*SIZES].index)
        allowed = _allowed_sizes(run)
        sizes = {k: c for k, c in allowed.items() if c.parameters >= allowed[smallest].parameters}
    return _plan_several(run, size, sizes, why)


def _choose_batch(given: Mapping[str, Any], tokens: int, vocab_size: int, budget: Budget) -> _Run:
    """The context and the windows in a step, a multiple of the processes."""
    step_tokens = _choose_step_tokens(tokens)
    block_size = given.get("block_size") or choose_context(tokens)
    batch_size = given.get("batch_size") or max(1, step_tokens // block_size)
    batch_size = -(-batch_size // budget.processes) * budget.processes
    speed = machine_speed(budget, vocab_size)
    return _Run(given, tokens, vocab_size, block_size, batch_size, budget, *speed)


def choose_context(tokens: int) -> int:
    """The context for a text of `tokens` tokens."""
    longest = min(_choose_step_tokens(tokens), tokens / MIN_WINDOWS)
    return max((n for n in CONTEXTS if n <= longest), default=CONTEXTS[-1])


def _choose_step_tokens(tokens: int) -> int:
    return STEP_TOKENS if tokens > SHORT_TEXT else STEP_TOKENS // 2


def _choose_size(run: _Run) -> tuple[str, str]:
    """The biggest size that the text, the budget and `max_parameters` allow, and why it is this one."""
    if size_is_given(run.given):
        size = run.given.get("size")
        return size or "xs", f"Size {size}, as asked." if size else ""
    configs = _allowed_sizes(run)
    runs = {size: _choose_steps(run, config) for size, config in configs.items()}
    seen = {size: runs[size].tokens_seen(config) for size, config in configs.items()}
    least = {s: min(MIN_EPOCHS[s] * run.reading.epoch_tokens(c), MIN_TOKENS[s]) for s, c in configs.items()}
    enough = [s for s in configs if seen[s] >= least[s]]
    size, bigger = enough[-1], [*configs][[*configs].index(enough[-1]) + 1 :][:1]
    epochs = {name: seen[name] / run.tokens for name in (size, *bigger)}
    parameters = {name: configs[name].parameters for name in epochs}
    return size, describe_choice(run.given, runs[size].begin_reason(configs[size]), epochs, parameters)


def _allowed_sizes(run: _Run) -> dict[str, GPTConfig]:
    """The sizes that the text, the memory and `max_parameters` allow, the smallest at least."""
    configs = {name: run.config(name) for name in SIZES if run.tokens > MIN_TEXT.get(name, 0)}
    return {
        name: config
        for name, config in configs.items()
        if config.parameters <= run.most_parameters and run.fits([Member(config, MAX_EPOCHS)])
    } or {"xs": configs["xs"]}


def _choose_steps(run: _Run, config: GPTConfig) -> _Run:
    """The run with steps of up to `largest_step` tokens, if the text is long and enough steps remain."""
    budget = run.budget
    if run.given.get("batch_size") or budget.steps or run.tokens < LONG_TEXT:
        return run
    student = Member(config, MAX_EPOCHS, teachers=(0,), dropout=WIDE_DROPOUT)
    while 2 * run.step_tokens <= budget.largest_step:
        bigger = replace(run, batch_size=2 * run.batch_size)
        read = min(bigger.tokens_seen(config), MAX_EPOCHS * run.tokens)
        if read < FEWEST_STEPS * bigger.step_tokens or not bigger.fits([Member(config, MAX_EPOCHS), student]):
            break
        run = bigger
    return run


def _plan_several(run: _Run, size: str, sizes: Mapping[str, GPTConfig], why: str) -> Plan:
    """The plan where there is more time than MAX_EPOCHS of `size` take: several models of one of `sizes`, or
    one that ends early."""
    name, members, most = _choose_members(run, sizes)
    config = sizes[name]
    if name != size:
        why = f"{run.begin_reason(config)} there is time for several models of size {name}."
    repeats = run.reading.repeats(config)
    enough = f"{(members[0].epochs if members else MAX_EPOCHS) * repeats:.0f} times"
    if not members:
        alone = Member(config, MAX_EPOCHS)
        ends = f"The run ends after {enough}, as more would only memorize the text."
        return run.plan(alone, run.reading.steps(alone), f"{why} {ends}".lstrip())
    described = describe_members(members, members[-1].epochs * repeats, most)
    why = f"{why} Reading the text {enough} is enough, so {described}.".lstrip()
    *before, last = _plan_members(run, members, why)
    return replace(last, teachers=tuple(before), joined=most if most > 1 else 0)


def _choose_members(run: _Run, sizes: Mapping[str, GPTConfig]) -> tuple[str, list[Member], int]:
    """The models of a run: several of the biggest of `sizes` that there is time for, or else of the smallest,
    after smaller ones. Also the name of that size, and how many of them may be joined into one."""
    joins = may_join(run.given) and not run.launch
    for name, config in reversed([*sizes.items()]):  # the last one is used below
        small = run.config(TEACHERS[name])
        faster = run.step_seconds(small) <= CLEARLY_FASTER * run.step_seconds(config)
        most = most_joined(config, run.most_parameters) if joins else 1
        members = choose_members(config, small if faster else config, run.reading, run.work, most > 1)
        members = members if run.fits(members) else []
        of_last_size = sum(member.config == config for member in members)
        # Where they will be joined, two generations of a smaller size are better than fewer models of this
        # one ("Groups of models, joined").
        in_chain = bool(members) and members[0].config != config
        if of_last_size >= (2 * MEMBERS_OF_JOINED if most > 1 and in_chain else SEVERAL):
            break
    return name, members, min(most, of_last_size)


def _plan_members(run: _Run, members: Sequence[Member], why: str) -> list[Plan]:
    """How each of these models is trained; steps and fractions count from the start of the first one."""
    each_work, plans, steps, done = run.reading.works(members), [], 0, 0.0
    for member, work in zip(members, each_work, strict=True):
        done += work
        fraction = done / sum(each_work)
        # The last model ends after all its epochs, too, should the machine become faster.
        steps += run.reading.steps(member, fewest_epochs=MAX_EPOCHS if member is members[-1] else 0.0)
        limit = (run.budget.minutes or math.inf) * min(1, DELAY * fraction)
        plans.append(replace(run.plan(member, steps, why), share=fraction, minutes=limit))
    plans[-1] = replace(plans[-1], share=1.0, minutes=run.budget.minutes)
    return plans


def plan_text(given: Mapping[str, Any], n_bytes: int, flops: float | None = None) -> Plan:
    """The plan for a text of `n_bytes` bytes that was not tokenized yet, with the options `given`."""
    vocabularies = {"char": CHARACTERS, "gpt2": 50_257}
    tokenizer = given.get("tokenizer") or "bpe"
    vocab_size = vocabularies.get(tokenizer) or given.get("vocab_size") or choose_vocab_size(n_bytes)
    tokens = max(1, n_bytes if tokenizer == "char" else n_bytes // BYTES_PER_TOKEN)
    steps = given.get("max_iters")
    minutes = given.get("minutes") or (None if steps else DEFAULT_MINUTES)
    return choose_plan(given, tokens, vocab_size, Budget(minutes, steps, flops))
