"""nanoGPT's checkpoints: ckpt.pt, and the meta.pkl of a character-level model, become a model folder.

Neither file can run code: both are read by unpicklers that refuse everything but plain data.
"""

from __future__ import annotations

import pickle
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

import numpy as np

from .changes import hold, publish
from .checkpoint import Checkpoint, read_checkpoint, write_model_files, write_weights
from .config import GPTConfig
from .errors import NanogptError
from .home import invalid_name, valid_name
from .locks import hidden
from .tokenizer import Tokenizer
from .tokenizer_training import characters, gpt2

if TYPE_CHECKING:
    import torch

META_BYTES = 10_000_000  # the largest meta.pkl that is read; nanoGPT's own has a few hundred bytes


def import_nanogpt(ckpt: Path, folder: Path, meta: Path | None = None) -> Checkpoint:
    """Turn a checkpoint of nanoGPT's train.py into the model folder `folder`, which must not exist.

    Its text is GPT-2's BPE, or the characters of `meta`, the meta.pkl beside its data. Raises NanogptError
    that names what is in the way.
    """
    if not valid_name(folder.name):
        raise NanogptError(f"{invalid_name(folder.name)}, set another with --name")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold(folder):  # a training run may be about to write there
            if folder.exists():
                raise NanogptError(f"There is a model {folder.name!r} already: set another name with --name")
            _import(ckpt, folder, meta)
    except OSError as ex:
        raise NanogptError(f"Cannot write in {folder.parent}: {ex}") from ex
    return read_checkpoint(folder)


def _import(ckpt: Path, folder: Path, meta: Path | None) -> None:
    saved = _read_ckpt(ckpt)
    args = saved["model_args"]
    tokenizer = _read_meta(meta) if meta else gpt2()
    if tokenizer.n_letters > args["vocab_size"]:
        size = f"{ckpt.name} has {args['vocab_size']:,} tokens"
        if meta:
            raise NanogptError(f"{size}, {meta.name} has {tokenizer.n_letters:,}: they are of different runs")
        raise NanogptError(f"{size}, fewer than GPT-2's: give its characters with --meta data/.../meta.pkl")
    config = GPTConfig(
        arch="gpt2",
        # nanoGPT pads 50,257 to 50,304 for speed. The tokens beyond mean nothing and are cut off.
        vocab_size=args["vocab_size"] if meta else tokenizer.n_vocab,
        norm_eps=1e-5,
        activation="gelu",
        **{k: args[k] for k in ("block_size", "n_layer", "n_head", "n_embd")},
    )
    tensors = _tensors(saved["model"], config, ckpt.name)
    step, loss = int(saved.get("iter_num", 0)), saved.get("best_val_loss")
    facts = {
        "name": folder.name,
        "imported": {"from": str(ckpt.resolve()), "meta": str(meta.resolve()) if meta else None},
        "tokenizer": "char" if meta else "gpt2",
        "parameters": config.parameters,
        "score": {} if loss is None else {"val_loss": float(loss), "step": step},
        "versions": {"datasette-nanogpt": version("datasette-nanogpt")},
    }
    card = (
        f"# {folder.name}\n\nA GPT-2 model of {config.parameters:,} parameters, imported from nanoGPT's "
        f"`{ckpt.name}`.\n\n    llm -m {folder.name} 'Once'\n"
    )
