"""The model folder of a run under way: the only module that writes in it.

Until there are weights with a score, the files are in a hidden folder beside the model's place, so a model
that is there already stays until then. Each file is replaced in one piece, and weights carry their own score,
so a kill at any moment leaves a folder that loads, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_nanogpt.changes import finish_publishing, publish
from llm_nanogpt.checkpoint import write_meta, write_model_files, write_weights
from llm_nanogpt.config import GPTConfig
from llm_nanogpt.locks import hidden
from llm_nanogpt.tokenizer import Tokenizer

from ..data.prepare import link
from ..events import BestWeights, Evaluation, TrainState
from ..formatting import utc_now
from .joined_size import MOST_JOINED, may_join
from .model_card import model_card
from .open_files import OpenFiles
from .population import alike
from .recipe import Stage
from .train_state import drop_teachers, write_state, write_teacher

if TYPE_CHECKING:
    from torch import Tensor

VERSIONS = ("datasette-nanogpt", "torch", "tokenizers", "tiktoken", "numpy")  # packages noted in nanogpt.json


def staging_folder(final: Path) -> Path:
    """Where the files of a model are until it has its first score."""
    return hidden(final, "new")


class ModelFolder:
    """The files of a run, and what nanogpt.json says of them."""

    def __init__(
        self,
        path: Path,
        config: GPTConfig,
        stages: Sequence[Stage],
        tokenizer: Tokenizer,
        meta: dict[str, Any],
        final: Path | None = None,
    ):
        self.path, self.final = path, final or path  # where the files are now, and where they are to be
        self.keep = False  # whether the model at `final` is kept for a restore; one of the same run is not
        self.config = config  # of the weights in `path`
        self.stages = list(stages)  # of the run
        self.tokenizer = tokenizer
        self.meta = meta  # nanogpt.json, but for what `write_meta` adds
        self.notes: list[str] = []  # sentences for people about the folder
        self._files = OpenFiles()
        self._files.update(self.path)

    def write_weights(self, best: BestWeights) -> None:
        """Write weights and their score. Those of another shape get a folder of their own, with all the rest
        linked into it, until it is published."""
        self.put_back()
        if best.config != self.config:
            staging = staging_folder(self.final)
            if self.path == self.final:
                (staging / "training").mkdir(parents=True, exist_ok=True)
                for file in (self.path / "training").iterdir():
                    link(file, staging / "training" / file.name)
            (staging / "config.json").unlink(missing_ok=True)  # `write_meta` writes a new one
            self.tokenizer.save(staging, best.config.block_size)
            self.path, self.config = staging, best.config
            self._files = OpenFiles()  # README.md and others of that shape are not in it yet
        score = {"step": str(best.step), "val_bpb": repr(best.val_bpb), "val_loss": repr(best.val_loss)}
        write_weights(self.path / "model.safetensors", best.tensors, score)
        self._files.update(self.path)

    def put_back(self) -> None:
        """Put back what somebody has removed of the folder, or all of it.

        If an error of the disk interrupted publishing, that is finished first: the hidden folder may hold the
        replaced model by now.
        """
        if self.path != self.final and finish_publishing(self.final):
            self.path, self.keep = self.final, False
        if self._files.put_back(self.path):
            self._files.update(self.path)
            self.notes.append(f"{self.path} was removed, or files in it: all is put back, and it goes on.")

    def write_state(self, state: TrainState) -> None:
        self.put_back()
        write_state(self.path, state)
        self._files.update(self.path)

    def write_teacher(self, stage: int, config: GPTConfig, tensors: Mapping[str, Tensor]) -> None:
        """Keep the weights of that stage, which was just trained, for those that it teaches. Writes
        nanogpt.json too, as `stages` may have changed."""
        self.put_back()
        write_teacher(self.path, stage, config, tensors)
        self.write_meta()

    def drop_teachers(self, at: int) -> None:
        """Delete the models that are no longer needed once stage `at` begins: no stage from there on learns
        from them, and they will not be joined with it or teach what may be added."""
        teachers = {each.settings.teachers for each in self.stages[at:] if each.settings.teachers}
        needed = {at, *(stage for each in teachers for stage in each)}
        if may_join(self.meta["options"]):
            needed.update(alike([stage.config for stage in self.stages], at)[1 - MOST_JOINED :])
        for file in drop_teachers(self.path, teachers, needed):
            self._files.drop(file.relative_to(self.path))

    def write_score(self, score: Evaluation, replace: bool = True) -> None:
        """Record a score; if it is the best, its weights have been written. Then the folder takes its place,
        unless there is a model that it must not `replace`."""
        self.put_back()
        if score.best:
            self.meta["score"] = {"val_bpb": score.val_bpb, "val_loss": score.val_loss, "step": score.step}
        started = self.meta.get("training", {}).get("started") or utc_now()
        self.meta["training"] = self.meta.get("training", {}) | {
            "status": "running",
            "started": started,
            "updated": utc_now(),
            "step": score.step,
            "seconds": round(score.seconds, 1),
        }
        self.write_meta()
        if self.path != self.final and (replace or not self.final.exists()):
            publish(self.path, self.final, keep=self.keep)
            self.path, self.keep = self.final, False

    def end(self, status: str, step: int, seconds: float) -> None:
        """Note how the run ended. It is written with the verdict: a run that is killed before has not ended,
        and a resume finishes it."""
        self.meta["training"] |= {"status": status, "step": step, "seconds": round(seconds, 1)}

    def write_meta(self) -> None:
        """Write nanogpt.json and the model card; in a new folder also what other programs read."""
        self.put_back()
        stages = [
            {"config": asdict(config), "settings": asdict(settings)} for config, settings in self.stages
        ]
        meta = self.meta | {
            "parameters": self.config.parameters,
            "settings": stages[-1]["settings"],
            "generations": stages,
            "versions": {name: version(name) for name in VERSIONS},
        }
        if (self.path / "config.json").exists():
            write_meta(self.path, meta, model_card(meta))
        else:
            write_model_files(self.path, self.config, self.tokenizer.eot, meta, model_card(meta))
        self._files.update(self.path)
