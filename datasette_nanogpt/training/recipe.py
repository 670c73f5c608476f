"""From a plan and the options to the settings of each model of a run: the recipe it is trained by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from llm_nanogpt.config import GPTConfig

from .distributed import launched
from .options import TrainOptions
from .plan import DEFAULT_MINUTES, Plan, choose_plan, size_is_given


@dataclass(frozen=True)
class Settings:
    """How to train. `minutes` or `max_iters` limits the run, or both: whichever is reached first."""

    batch_size: int  # windows of block_size tokens a step
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    decay_share: float
    dropout: float
    seed: int
    device: str
    compile: bool | None  # None: where it pays
    bf16: bool | None
    minutes: float | None = None
    max_iters: int | None = None
    eval_interval: int | None = None  # steps; None: EVALUATIONS of them
    grad_clip: float = 1.0
    replacement: bool = False  # draw windows at random, as nanoGPT does
    generation: int = 0  # models before this one, the last of which is its teacher
    share: float = 1.0  # of the run's work that is done at the end of this model's
    run_minutes: float | None = None  # of the whole run, at most; None: `minutes`

    @property
    def model_seed(self) -> int:
        """Of weights and batches: one that starts where its teacher did would only be the same once more."""
        return self.seed + self.generation


class Stage(NamedTuple):
    """One of the models that a run trains one after the other; each teaches the next."""

    config: GPTConfig
    settings: Settings


def resolve(o: TrainOptions, train_tokens: int, vocab_size: int, device: str) -> tuple[str, list[Stage]]:
    """Fill in what was left to us, and say why. `--arch gpt2` brings nanoGPT's own recipe with it."""
    from .autotune import training_flops

    minutes = o.minutes or (None if o.max_iters else DEFAULT_MINUTES)
    flops, (_, processes) = None, launched()
    settled = o.arch == "gpt2" and size_is_given(o.given())  # where no rate depends on how often it is read
    if minutes and not o.max_iters and not settled:
        flops = training_flops(device, vocab_size, minutes * 60) * processes  # that was this one's
    plan = choose_plan(
        {**o.given(), "max_parameters": o.max_parameters},
        train_tokens,
        vocab_size,
        minutes,
        steps=o.max_iters,
        flops=flops,
        processes=processes,
    )
    plans = [*plan.teachers, plan]
    return plan.why, [Stage(p.config, _settings(o, p, i, minutes, device)) for i, p in enumerate(plans)]


def _settings(o: TrainOptions, plan: Plan, generation: int, minutes: float | None, device: str) -> Settings:
    # nanoGPT's train.py: 2,000 steps of warmup, then constant; weight decay 0.1; random windows.
    recipe: dict[str, Any] = (
        {
            "learning_rate": 6e-4,
            "weight_decay": 0.1,
            "warmup_steps": 2000,
            "decay_share": 0.0,
            "replacement": True,
            "dropout": 0.0,
        }
        if o.arch == "gpt2"
        else {
            "learning_rate": plan.learning_rate,
            "weight_decay": plan.weight_decay,
            "warmup_steps": plan.warmup_steps,
            "decay_share": 0.5,
            "dropout": 0.0,
        }
    )
    if o.learning_rate and o.arch != "gpt2":  # the weights shrink as they would at the rate we choose
        recipe["weight_decay"] *= recipe["learning_rate"] / o.learning_rate
    recipe |= {k: v for k in ("learning_rate", "dropout") if (v := getattr(o, k)) is not None}
    return Settings(
        batch_size=plan.batch_size,
        seed=o.seed or 0,
        minutes=plan.minutes,
        max_iters=o.max_iters or plan.max_iters,
        eval_interval=o.eval_interval,
        generation=generation,
        share=plan.share,
        run_minutes=minutes,
        **device_settings(device, o.compile, plan.config.arch),
        **recipe,
    )


def device_settings(device: str, compiled: bool | None, arch: str) -> dict[str, Any]:
    """What the device decides. None is for the trainer to measure: nanoGPT's own recipe is left as it is."""
    import torch

    bf16, measured = None, None
    if device.startswith("cuda"):
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.startswith("mps") or arch == "gpt2":
        bf16 = measured = False
    return {"device": device, "compile": measured if compiled is None else compiled, "bf16": bf16}
