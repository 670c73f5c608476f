"""From a plan and the options to the settings of each model of a run: the recipe it is trained by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions

from .available_memory import available_memory, resident_memory
from .budget import DEFAULT_MINUTES, Budget
from .distributed import rank_and_size
from .memory import Workload, estimate_memory, memory_problem
from .options import TrainOptions
from .plan import Plan, choose_plan
from .population import MAX_EPOCHS, TEACHER_WEIGHTS, Member, workloads
from .rates import RATES, choose_rates
from .reading import Reading
from .sizes import size_is_given

# nanoGPT's train.py, as `--arch gpt2` has it: warmup, then a constant rate, and random windows.
NANOGPT_RECIPE = {
    "learning_rate": 6e-4,
    "weight_decay": 0.1,
    "warmup_steps": 2000,
    "decay_share": 0.0,
    "replacement": True,
}
# The last part of a run, in which the learning rate goes down in a straight line to 0. With 0.75 the score
# was 0.6% worse (LOG.md, "Readings and decay, once more").
DECAY_SHARE = 0.5
# The most tokens of a step on CUDA; a guess: no such run was measured yet.
GPU_STEP_TOKENS = 65_536


@dataclass(frozen=True)
class Settings:
    """How to train one model, as nanogpt.json keeps it: until `minutes` or `max_iters`, the first to come."""

    batch_size: int  # windows of block_size tokens in a step
    learning_rate: float  # the highest
    weight_decay: float
    warmup_steps: int
    decay_share: float  # fraction of the run in which the learning rate goes down to 0; 0: it stays constant
    dropout: float  # fraction of activations
    seed: int
    device: str
    compile: bool | None  # None: where a trial shows that it pays
    bf16: bool | None  # matrix products in bfloat16; None: where a trial shows that it pays
    minutes: float | None = None
    max_iters: int | None = None
    eval_interval: int | None = None  # steps between scores; None: by time
    grad_clip: float = 1.0
    replacement: bool = False  # draw windows at random with replacement, as nanoGPT does
    stage: int = 0  # how many models of the run are trained before this one
    generation: int = 0  # 0: it learns from the text alone; 1: from models of generation 0, too; and so on
    member: int = 0  # which of its generation
    teachers: tuple[int, ...] = ()  # the stages that teach it: what they predict, on average
    teacher_weights: tuple[float, float] = TEACHER_WEIGHTS  # at the beginning and at the end
    share: float = 1.0  # fraction of the run's work that is done when this model is
    run_minutes: float | None = None  # the limit of the whole run; None: `minutes`

    @property
    def model_seed(self) -> int:
        """The seed of weights and batches; each stage has its own, because a student that started like its
        teacher would only become the same model again."""
        return self.seed + self.stage

    def teacher_weight(self, progress: float) -> float:
        """The weight of the teachers in the loss at `progress`, 0 to 1; the text has the rest."""
        first, last = self.teacher_weights
        return first + (last - first) * progress


class Stage(NamedTuple):
    """One of the models that a run trains one after the other, the first ones to teach the others."""

    config: GPTConfig
    settings: Settings

    def changed(self, **settings: Any) -> Stage:
        """The same model with other settings."""
        return Stage(self.config, replace(self.settings, **settings))


def plan_stages(
    options: TrainOptions, train_tokens: int, vocab_size: int, device: str, titles: bool = False
) -> tuple[str, list[Stage]]:
    """The models of a run on a text of `train_tokens` tokens and how each is trained, with a reason in words.
    `titles` says whether its documents have titles.

    Where no steps are given, this measures the speed of the machine, which takes up to 3 seconds. Raises
    InvalidOptions for a model that does not fit in the memory, naming the largest that does.
    """
    from .measure import flops_of_run

    minutes = options.minutes or (None if options.max_iters else DEFAULT_MINUTES)
    flops, of_many, (_, processes) = None, None, rank_and_size()
    # nanoGPT's recipe is the same however many epochs there are: with a size given, nothing is left to plan.
    planned = options.arch != "gpt2" or not size_is_given(options.given())
    if minutes and planned and not options.max_iters:
        flops, of_many = flops_of_run(device, vocab_size, minutes * 60, processes)
    given = {**options.given(), "max_parameters": options.max_parameters}
    memory = available_memory(device)
    memory = memory and memory + _reserved(device)
    largest_step = GPU_STEP_TOKENS if device.startswith("cuda") else 0
    budget = Budget(minutes, options.max_iters, flops, of_many, processes, memory, device, largest_step)
    plan = choose_plan(given, train_tokens, vocab_size, budget)
    plans = [*plan.teachers, plan]
    titles &= options.arch != "gpt2"  # nanoGPT's recipe knows of none
    stages = [
        Stage(replace(p.config, titles=titles), _settings(options, p, i, minutes, device))
        for i, p in enumerate(plans)
    ]
    check_stages(stages, given)
    return plan.why, stages


def largest_workload(stages: Sequence[Stage]) -> Workload:
    """The work of the stage of a run that takes the most memory."""
    s = stages[-1].settings
    members = [Member(c, MAX_EPOCHS, s.generation, teachers=s.teachers, dropout=s.dropout) for c, s in stages]
    return max(workloads(members, s.batch_size, rank_and_size()[1], s.device), key=estimate_memory)


def check_stages(stages: Sequence[Stage], given: Mapping[str, Any]) -> None:
    """Raises InvalidOptions where a run does not fit in the memory, naming the largest that does."""
    workload = largest_workload(stages)
    if problem := memory_problem(workload, given, _reserved(workload.device)):
        raise InvalidOptions([problem])


def _reserved(device: str) -> int:
    """Bytes that this process, the one that will train, holds already."""
    return 0 if device.startswith("cuda") else resident_memory()


def _settings(options: TrainOptions, plan: Plan, stage: int, minutes: float | None, device: str) -> Settings:
    """The settings of one model of a run of `minutes`, with what was set by hand in its place."""
    place = plan.member
    recipe: dict[str, Any] = NANOGPT_RECIPE
    if plan.config.arch != "gpt2":
        decay = plan.weight_decay
        if options.learning_rate:  # the weights decay in an epoch as they would at the rate we choose
            decay *= plan.learning_rate / options.learning_rate
        recipe = {
            "learning_rate": plan.learning_rate,
            "weight_decay": decay,
            "warmup_steps": plan.warmup_steps,
            "decay_share": DECAY_SHARE,
        }
    if options.learning_rate is not None:
        recipe = recipe | {"learning_rate": options.learning_rate}
    return Settings(
        batch_size=plan.batch_size,
        dropout=place.dropout if options.dropout is None else options.dropout,
        seed=options.seed or 0,
        minutes=plan.minutes,
        max_iters=options.max_iters or plan.max_iters,
        eval_interval=options.eval_interval,
        stage=stage,
        generation=place.generation,
        member=place.number,
        teachers=place.teachers,
        teacher_weights=place.weights,
        share=plan.share,
        run_minutes=minutes,
        **device_settings(device, options.compile, plan.config.arch),
        **recipe,
    )


def as_members(stages: Sequence[Stage], train_tokens: int) -> list[Member]:
    """The models of a run as the planner sees them: with epochs instead of steps."""
    members, before = [], 0
    for config, s in stages:
        epochs = MAX_EPOCHS
        if s.max_iters:
            reading = Reading(train_tokens, s.batch_size * config.block_size)
            epochs = (s.max_iters - before) * reading.step_tokens / reading.epoch_tokens(config)
            before = s.max_iters
        place = Member(config, epochs, s.generation, s.member, s.teachers, weights=s.teacher_weights)
        members.append(place)
    return members


def student_settings(settings: Settings, student: Member, reading: Reading) -> Settings:
    """The settings of a student that follows the last model of a run, which had `settings`."""
    epoch = reading.epoch_tokens(student.config)
    rate, decay = choose_rates(student.epochs, epoch, reading.step_tokens, student.decay)
    if settings.learning_rate not in RATES:  # set by hand
        rate, decay = settings.learning_rate, decay * rate / settings.learning_rate
    return replace(settings, learning_rate=rate, weight_decay=decay, teacher_weights=student.weights)


def device_settings(device: str, compiled: bool | None, arch: str) -> dict[str, Any]:
    """The settings that the device decides: `device`, `compile` and `bf16`. None lets the trainer try what is
    faster; nanoGPT's own recipe tries nothing."""
    import torch

    bf16, tried = None, None
    if device.startswith("cuda"):
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.startswith("mps") or arch == "gpt2":
        bf16 = tried = False
    return {"device": device, "compile": tried if compiled is None else compiled, "bf16": bf16}
