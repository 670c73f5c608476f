"""Several models of one shape as one wider model, without any training.

The last models of a run predict better together than each does alone, by 2 to 4% (benchmarks/LOG.md, "Models
joined"). Side by side they are one model of the same kind: each keeps its own part of the width, its own
heads and its own part of the MLP, and the logits are the mean of theirs. Nearly: a norm is over the whole
width. So that it suits each of them, all are first brought to the same size: what a model adds up, from its
embedding to its last layer, may be multiplied by any number, as its own norms undo that. All heads share the
gains of queries and keys, which training leaves as they are (optim.py); models of runs that were begun
before it did have gains of their own, and lose 0.2 to 0.6%.

Shapes: V vocabulary, E width of one model, N models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llm_nanogpt.errors import NanogptError
from llm_nanogpt.gpt_torch import GPT, Qwen3

from ..data.dataloader import Windows
from ..events import BestWeights, Busy
from .available_memory import available_memory
from .distributed import SINGLE_PROCESS
from .evaluate import estimate_loss_unless
from .joined_size import joined_config, may_join, most_joined
from .population import alike
from .recipe import Stage
from .train_state import read_teacher
from .trainer import Training

# Bytes that joining takes for each parameter of the joined model: its weights, those of its parts, and a copy
# to be written. A run of 10.7M so took 182 MB more than its training, 17 bytes each.
JOINING_BYTES = 24
# A joined model is several times as big, so its score must be at most that of the best single one times this.
WORTH_JOINING = 0.99
# A model whose score is more than this times the best one's, as it was stopped or read too little, is left
# out: one that was 3% worse made two others 0.4% worse (LOG.md, "Pairs, and groups of small models").
FAR_WORSE = 1.03


@torch.no_grad()
def join(models: Sequence[GPT]) -> Qwen3:
    """One model whose logits are about the mean of those of `models`, which have one shape, not tied."""
    joined = Qwen3(joined_config(models[0].config, len(models)))
    states = _with_same_gains([_of_size_1(model.state_dict()) for model in models])
    joined.load_state_dict(
        {name: _side_by_side(name, [state[name].cpu() for state in states]) for name in joined.state_dict()}
    )
    return joined.eval()


def _of_size_1(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same model with an embedding whose elements have a mean square of 1."""
    scale = 1 / state["model.embed_tokens.weight"].square().mean().sqrt()
    adds = ("embed_tokens.weight", "o_proj.weight", "down_proj.weight")
    return {name: tensor * scale if name.endswith(adds) else tensor for name, tensor in state.items()}


def _with_same_gains(states: Sequence[dict[str, Tensor]]) -> Sequence[dict[str, Tensor]]:
    """The same models with gains of queries and keys that are those of all. What sets a model's own apart
    becomes part of the matrix before the norm, so that only how sharp its attention is changes a little."""
    for name in [name for name in states[0] if name.endswith(("q_norm.weight", "k_norm.weight"))]:
        shared = torch.stack([state[name] for state in states]).square().mean(dim=0).sqrt().clamp(min=1e-6)
        matrix = name.replace("_norm", "_proj")
        for state in states:
            ratio = state[name] / shared  # (D,), for each head of (H D, E)
            state[matrix] = state[matrix] * ratio.repeat(len(state[matrix]) // len(ratio))[:, None]
            state[name] = shared
    return states


def _side_by_side(name: str, parts: list[Tensor]) -> Tensor:
    """The tensor of that name in the joined model, from those of its models."""
    if name.endswith(("q_norm.weight", "k_norm.weight")):  # all heads share it
        return parts[0]
    if parts[0].ndim == 1 or "embed_tokens" in name:  # (E,) or (V, E): each writes its part of the width
        return torch.cat(parts, dim=-1)
    if "lm_head" in name:  # (V, E): a sum over the width, so a mean over the models
        return torch.cat(parts, dim=-1) / len(parts)
    return torch.block_diag(*parts)


def planned_parameters(stages: Sequence[Stage], given: Mapping[str, Any]) -> int:
    """The parameters of the joined model that a run may end with as it is planned; 0 if of none."""
    config = stages[-1].config
    models = min(len(alike([stage.config for stage in stages], len(stages))), most_joined(config))
    return joined_config(config, models).parameters if models > 1 and may_join(given) else 0


def best_alike(stages: Sequence[Stage], last: int, scores: Mapping[int, float]) -> list[int | None]:
    """The stages whose models have the shape of the one of stage `last`, which is None among them: the best
    first, by their `scores`, and then the latest of those that have none. Without those far worse than it."""
    config = stages[last].config
    found = [number for number, stage in enumerate(stages) if stage.config == config]
    best = min((scores[number] for number in found if number in scores), default=math.inf)
    found = [number for number in found if scores.get(number, best) <= FAR_WORSE * best]
    found.sort(key=lambda number: (scores.get(number, math.inf), -number))
    return [None if number == last else number for number in found]


def models_to_join(
    folder: Path, last: GPT, stages: Sequence[int | None], parameters: float = math.inf
) -> list[GPT]:
    """The models to join at the end of a run: the first of those `stages` whose weights are there, all of one
    shape. None is the `last` one, the others are in the model folder `folder`. No models where there are no
    two, or they would be too big: for `parameters`, to write quickly, or for the memory that is left."""
    memory = available_memory()
    most = most_joined(last.config, min(parameters, math.inf if memory is None else memory / JOINING_BYTES))
    models: list[GPT] = []
    for stage in stages:
        if len(models) < most:
            with suppress(NanogptError):  # it was not trained, or somebody has removed it
                models.append(last if stage is None else read_teacher(folder, stage))
    return models if len(models) > 1 else []


def score_joined(
    models: Sequence[GPT], training: Training, was_joined: bool, stopped: Callable[[], bool]
) -> Generator[Busy, None, tuple[Qwen3, BestWeights] | None]:
    """Join the models and score the result on the held-out text of `training`, the last of them. None if it
    is not worth its size, or was `stopped`. `was_joined`: so is the model that is saved."""
    joined, tokens, device = join(models), training.tokens, training.settings.device
    windows = Windows(tokens.val, joined.config.block_size, tokens.titles)
    model = joined.to(device)
    scored = yield from estimate_loss_unless(model, windows, device, training.bf16, SINGLE_PROCESS, stopped)
    if scored is None:
        return None
    weights = training.with_score(model, *scored)
    worth = training.best * (1 if was_joined else WORTH_JOINING)
    return (model, weights) if weights.val_bpb <= worth else None
