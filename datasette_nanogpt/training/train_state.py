"""What a resumed run needs, in files of the model folder that are written in one piece and without pickle.

training/state.safetensors     weights, the optimizers' state, torch's random state; its Position as JSON
training/teacher-N.safetensors the weights of the model of stage N, for others to learn from; its shape
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.atomic import write_bytes
from llm_nanogpt.checkpoint import read_safetensors_header
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.errors import InvalidOptions, NanogptError

from ..events import Position, TrainState

if TYPE_CHECKING:
    from torch import Tensor

    from llm_nanogpt.gpt_torch import GPT


def write_state(folder: Path, state: TrainState) -> None:
    """Replace what a resume of the model in `folder` needs."""
    p = state.position
    at = {  # under the names that the first versions gave them
        "step": p.step,
        "seconds": p.seconds,
        "best": p.best,
        "position": p.windows,
        "generation": p.stage,
        "born": [p.start_step, p.start_seconds],
        "lr_factor": p.lr_factor,
    }
    _write(folder, "state", state.tensors, at)


def read_state(folder: Path) -> TrainState:
    """What `write_state` wrote. Raises NanogptError when it is missing or damaged."""
    tensors, at = _read(folder, "state")
    try:
        return TrainState(tensors, _position(at))
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as ex:
        raise _damaged(folder / "training" / "state.safetensors") from ex


def read_position(folder: Path) -> Position:
    """The position in it, without reading the tensors or importing torch. Raises the same."""
    file = folder / "training" / "state.safetensors"
    try:
        return _position(json.loads(read_safetensors_header(file)["__metadata__"]["at"]))
    except (NanogptError, OSError, LookupError, TypeError, ValueError, OverflowError) as ex:
        raise _damaged(file) from ex


def _position(at: Mapping[str, Any]) -> Position:
    start_step, start_seconds = at.get("born", (0, 0.0))
    return Position(
        step=int(at["step"]),
        seconds=float(at["seconds"]),
        best=float(at["best"]),
        windows=int(at["position"]),
        stage=int(at.get("generation", 0)),
        start_step=int(start_step),
        start_seconds=float(start_seconds),
        lr_factor=float(at.get("lr_factor", 1.0)),
    )


def write_teacher(folder: Path, stage: int, config: GPTConfig, tensors: Mapping[str, Tensor]) -> None:
    """Keep the weights of that stage's model, its state_dict, for others to learn from."""
    _write(folder, f"teacher-{stage}", tensors, asdict(config))


def trained_after(folder: Path, stage: int, stages: int) -> set[int]:
    """Which of a run's `stages` after that one are trained: several processes train several at once."""
    files = folder / "training"
    return {n for n in range(stage + 1, stages) if (files / f"teacher-{n}.safetensors").exists()}


def read_teacher(folder: Path, stage: int) -> GPT:
    """What `write_teacher` wrote. Raises NanogptError when it is missing or damaged."""
    from llm_nanogpt.gpt_torch import build

    name = f"teacher-{stage}"
    if not (folder / "training" / f"{name}.safetensors").exists():
        name = "teacher"  # as it was called when each model had one teacher, the model before
    tensors, config = _read(folder, name)
    try:
        teacher = build(GPTConfig(**config))
        teacher.load_state_dict(tensors)
    except (InvalidOptions, RuntimeError, TypeError) as ex:
        raise _damaged(folder / "training" / f"{name}.safetensors") from ex
    return teacher


def teacher_probs_file(folder: Path, teachers: Sequence[int]) -> Path:
    """Where what these stages predict for the training text is kept (teacher_probs.py)."""
    return folder / "training" / f"teachers-{'-'.join(map(str, teachers))}.bin"


def drop_teachers(folder: Path, needed: Collection[Sequence[int]], models: Collection[int]) -> Iterator[Path]:
    """Delete what no model will learn from: all predictions but those of the teachers in `needed`, each as
    a model's settings have them, and all weights but those of the stages in `models`. Yields the files."""
    kept = {teacher_probs_file(folder, teachers).name for teachers in needed}
    kept |= {f"teacher-{stage}.safetensors" for stage in models}
    for file in (folder / "training").glob("teacher*"):
        if file.name not in kept:
            file.unlink()
            yield file


def _write(folder: Path, name: str, tensors: Mapping[str, Tensor], header: dict[str, Any]) -> None:
    from safetensors.torch import save

    file = folder / "training" / f"{name}.safetensors"
    file.parent.mkdir(exist_ok=True)
    on_cpu = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_bytes(file, save(on_cpu, {"at": json.dumps(header)}))


def _read(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    file = folder / "training" / f"{name}.safetensors"
    try:
        read_safetensors_header(file)  # refuses pipes and the like, for which safe_open would wait
        with safe_open(file, "pt") as fp:
            return {k: fp.get_tensor(k) for k in fp.keys()}, json.loads(fp.metadata()["at"])  # noqa: SIM118
    except (NanogptError, OSError, SafetensorError, KeyError, TypeError, ValueError) as ex:
        raise _damaged(file) from ex


def _damaged(file: Path) -> NanogptError:
    return NanogptError(
        f"{file.parent.parent.name} cannot be resumed, because {file.name} is missing or damaged: "
        "train it again without --resume"
    )
