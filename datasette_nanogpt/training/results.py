"""What a run has got so far: its scores and its best weights, in the model folder and in the registry."""

from __future__ import annotations

import json

import numpy as np

from ..events import BestWeights, Evaluation
from ..registry.metrics import JOINED
from ..registry.runs import Run
from .model_folder import ModelFolder
from .replaced import Replaced, describe_better
from .saving import Saver
from .trainer import Training


class Results:
    """Keeps the weights and scores of a run's models. `replaces` is the model whose place they will take."""

    def __init__(self, folder: ModelFolder, run: Run, replaces: Replaced | None):
        self.folder, self.run, self.replaces = folder, run, replaces
        self.saver = Saver(folder)
        self.last: Evaluation | None = None  # of the model that this process trains, or of the joined one
        self.scores: dict[int, float] = {}  # bits per byte: the last score of each stage
        self.curve: list[tuple[float, int, float]] = []  # seconds, step and bits per byte of each score
        self.nats: np.ndarray | None = None  # of each held-out token, by the model that is saved
        self.joined = ""  # what the model is made of, if it was joined

    def weights(self, best: BestWeights) -> None:
        """Keep the best weights so far, whose score follows."""
        self.saver.weights(best)
        self.nats = best.of_tokens

    def score(self, score: Evaluation, training: Training) -> None:
        """Keep a score of the model in training."""
        self.run.evaluation(score)
        self.last, self.scores[training.settings.stage] = score, score.val_bpb
        self.curve.append((score.seconds, score.step, score.val_bpb))
        self.saver.score(score, self._may_replace(score, training))
        self.run.update(verdict=json.dumps(self.replaced_by(training.best)))

    def score_of_member(self, score: Evaluation, stage: int, training: Training) -> None:
        """Keep a score of the model of that stage, which another process has trained."""
        self.scores[stage] = score.val_bpb
        self.run.evaluation(score, stage + 1)
        if score.best:
            self.saver.score(score, self._may_replace(score, training))

    def score_of_joined(self, score: Evaluation, training: Training) -> None:
        """Keep the score of the model that is made of others, the last of which was `training`."""
        self.last = score
        self.run.evaluation(score, JOINED)
        self.saver.score(score, self._may_replace(score, training))

    def _may_replace(self, score: Evaluation, training: Training) -> bool:
        """Whether the model may take the place of the one that is there: only if it knows more than how
        frequent each token is, or is at least as good. A resumed model replaces only itself."""
        knows_something = score.val_loss < training.last_good.unigram
        return self.replaces is None or knows_something or (self.replaces.val_bpb or 0.0) >= score.val_bpb

    def better_before(self, val_bpb: float) -> float | None:
        """The score of the model that is kept, on the same held-out text, if it is better than `val_bpb`."""
        before = self.replaces.val_bpb if self.replaces else None
        return before if before is not None and before < val_bpb else None

    def replaced_by(self, val_bpb: float) -> dict[str, str]:
        """A line for the verdict, if the model that has that score has replaced a better one."""
        better = self.better_before(val_bpb)
        if self.folder.path != self.folder.final or better is None:
            return {}
        return {"replaced": describe_better(better, self.folder.final.name)}
