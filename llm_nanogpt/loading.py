"""From a model folder to a model that is ready to write, on the device that suits it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from . import gpt_numpy
from .checkpoint import Checkpoint, read_version, read_weights, verify
from .errors import BrokenModel
from .habits.table_habits import read_habits
from .language_model import LanguageModel
from .tokenizer import Tokenizer

# Parameters. Below this, numpy writes a page (500 tokens) before torch is imported and a GPU is awake: 3 s of
# import against 1.5 ms a token at 3M parameters and 5 ms at 29M. On the CPU torch takes 3 times as long for
# a token (benchmarks/sample_speed.py; its table is in benchmarks/LOG.md).
SMALL = 50_000_000


def load_model(checkpoint: Checkpoint, device: str | None = None) -> tuple[LanguageModel, str]:
    """The model of a checkpoint, ready to sample, and the reason why it runs where it runs.

    `device` is cpu, mps or cuda. None takes the CPU; for a model of SMALL parameters or more a GPU, if there
    is one. Raises NanogptError for a device that this machine does not have.
    """
    weights = read_weights(checkpoint)
    reason = "as asked"
    if device is None:
        device, reason = "cpu", "the fastest for a model of this size"
        if checkpoint.config.parameters >= SMALL:
            device, reason = "cpu", "no GPU found"
            if sys.platform == "darwin" or shutil.which("nvidia-smi"):  # only then import torch to look
                from .device import choose_device

                device, reason = choose_device(None)
    if device == "cpu":
        return gpt_numpy.build(checkpoint.config, weights), reason
    from .device import choose_device

    device, _ = choose_device(device)
    import torch

    from .gpt_torch import TorchModel, build

    module = build(checkpoint.config)
    module.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return TorchModel(module.eval().to(device)), reason


@dataclass(frozen=True)
class OpenedModel:
    """A model folder that is ready to write."""

    checkpoint: Checkpoint
    model: LanguageModel
    reason: str  # why it runs where it runs
    tokenizer: Tokenizer

    @property
    def version(self) -> str:
        """Which weights these are, for example nanogpt-blog@step500-1a2b3c4d5e6f."""
        return "@".join(filter(None, (self.checkpoint.name, self.checkpoint.version)))


def open_model(folder: Path, device: str | None = None) -> OpenedModel:
    """Read a model folder, or return what was read before if its weights are still the same.

    Raises NanogptError that says what is broken, or why the device cannot be had.
    """
    try:
        stat = (folder / "model.safetensors").stat()
    except OSError:
        return _open(folder, device, None)  # read_checkpoint says what is wrong
    return _open(folder, device, (stat.st_mtime_ns, stat.st_ino, stat.st_size))


@lru_cache(maxsize=4)
def _open(folder: Path, device: str | None, stamp: tuple[int, ...] | None) -> OpenedModel:
    def read(files: Path) -> OpenedModel:
        checkpoint = verify(folder, files)
        tokenizer = Tokenizer.load(files, folder.name)
        if tokenizer.n_letters > checkpoint.config.vocab_size:
            reason = "its tokenizer has more tokens than the model"
            raise BrokenModel(folder.name, f"Model {folder.name!r} is broken: {reason}")
        # A model without <|endoftext|> was imported, and has no rows.
        if tokenizer.n_vocab <= checkpoint.config.vocab_size:
            tokenizer.habits = read_habits(checkpoint.meta.get("corpus") or {})
        model, why = load_model(replace(checkpoint, path=files), device)
        return OpenedModel(checkpoint, model, why, tokenizer)

    return read_version(folder, read)
