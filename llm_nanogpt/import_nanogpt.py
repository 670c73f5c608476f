"""nanoGPT's checkpoints: ckpt.pt, and the meta.pkl of a character-level model, become a model folder.

`foreign_pickles.py` reads both files, and runs nothing that is in them.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from .changes import hold, publish
from .checkpoint import Checkpoint, read_checkpoint, write_model_files, write_weights
from .config import GPTConfig, shortened
from .errors import InvalidOptions, NanogptError, WrongUsage
from .foreign_pickles import read_ckpt, read_meta
from .home import invalid_name, valid_name
from .locks import hidden
from .tokenizer import Tokenizer
from .tokenizer_training import characters, gpt2

if TYPE_CHECKING:
    import torch

_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")
LARGEST = 2**53  # a step or loss above this is taken as missing


def import_nanogpt(ckpt: Path, folder: Path, meta: Path | None = None) -> Checkpoint:
    """Turn a checkpoint of nanoGPT's train.py into the model folder `folder`, which must not exist.

    Its vocabulary is GPT-2's, or the characters in `meta`, the meta.pkl beside its data. Raises NanogptError
    that names the obstacle.
    """
    if not valid_name(folder.name):
        raise WrongUsage(f"{invalid_name(folder.name)}, set another with --name")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold(folder):  # a training run may be about to write there
            if folder.exists():
                raise WrongUsage(f"There is a model {folder.name!r} already: set another name with --name")
            _import(ckpt, folder, meta)
    except OSError as ex:
        raise NanogptError(f"Cannot write in {folder.parent}: {ex.strerror or ex}") from ex
    return read_checkpoint(folder)


def _import(ckpt: Path, folder: Path, meta: Path | None) -> None:
    saved = _read_ckpt(ckpt)
    args = saved["model_args"]
    tokenizer = _tokenizer(meta) if meta else gpt2()
    if tokenizer.n_letters > args["vocab_size"]:
        size = f"{ckpt.name} has {args['vocab_size']:,} tokens"
        if meta:
            raise NanogptError(f"{size}, {meta.name} has {tokenizer.n_letters:,}: they are of different runs")
        raise WrongUsage(f"{size}, fewer than GPT-2's: give its characters with --meta data/.../meta.pkl")
    try:
        config = GPTConfig(
            arch="gpt2",
            # nanoGPT pads 50,257 to 50,304 for speed. The tokens beyond mean nothing and are cut off.
            vocab_size=args["vocab_size"] if meta else tokenizer.n_vocab,
            norm_eps=1e-5,
            activation="gelu",
            **{k: args[k] for k in ("block_size", "n_layer", "n_head", "n_embd")},
        )
    except InvalidOptions as ex:
        problems = "; ".join(problem.message for problem in ex.problems)
        raise NanogptError(f"{ckpt.name} describes a model that cannot be: {problems}") from ex
    tensors = _tensors(saved["model"], config, ckpt.name)
    step, loss = int(_number(saved.get("iter_num")) or 0), _number(saved.get("best_val_loss"))
    facts = {
        "name": folder.name,
        "imported": {"from": str(ckpt.resolve()), "meta": str(meta.resolve()) if meta else None},
        "tokenizer": "char" if meta else "gpt2",
        "parameters": config.parameters,
        "score": {} if loss is None else {"val_loss": loss, "step": step},
        "versions": {"datasette-nanogpt": version("datasette-nanogpt")},
    }
    card = (
        f"# {folder.name}\n\nA GPT-2 model of {config.parameters:,} parameters, imported from nanoGPT's "
        f"`{ckpt.name}`.\n\n    llm -m {folder.name} 'Once'\n"
    )
    staging = hidden(folder, "new")  # `hold` deletes it if it is not published
    staging.mkdir(mode=0o700)
    write_model_files(staging, config, tokenizer.eot, facts, card)
    tokenizer.save(staging, config.block_size)
    write_weights(staging / "model.safetensors", tensors, {"step": str(step)})
    publish(staging, folder)


# ---- ckpt.pt


def _read_ckpt(ckpt: Path) -> dict[str, Any]:
    """The dictionary in a ckpt.pt, its model_args and model checked for type."""
    saved = read_ckpt(ckpt)
    if not isinstance(saved, dict) or not {"model", "model_args"} <= saved.keys():
        raise NanogptError(
            f"{ckpt.name} was not written by nanoGPT's train.py: it has no model and model_args"
        )
    args, state = saved["model_args"], saved["model"]
    for name in ("n_layer", "n_head", "n_embd", "block_size", "vocab_size"):
        if not isinstance(args, dict) or type(args.get(name)) is not int or args[name] < 1:
            raise NanogptError(
                f"{ckpt.name} was not written by nanoGPT's train.py: its model_args lack {name}"
            )
    if not isinstance(state, dict):
        raise NanogptError(f"{ckpt.name} is refused: its model is not a table of tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not _is_plain_tensor(value):
            raise NanogptError(f"{ckpt.name} is refused: {shortened(name, 80)} is not a tensor of numbers")
    return saved


def _is_plain_tensor(value: Any) -> TypeGuard[torch.Tensor]:
    """Whether this is a tensor of floats whose numbers are all in the file. A tensor that repeats a few
    numbers could claim any size."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    stored = value.untyped_storage().nbytes()
    return value.is_floating_point() and value.numel() * value.element_size() <= stored


def _number(value: Any) -> float | None:
    """A number beside the weights, which may be stored as a tensor; None if it is not a number."""
    import torch

    if isinstance(value, torch.Tensor):
        value = value.item() if value.numel() == 1 and _is_plain_tensor(value) else None
    known = type(value) in (int, float) and abs(value) < LARGEST  # NaN is not
    return float(value) if known else None


def _tensors(state: dict[str, torch.Tensor], config: GPTConfig, name: str) -> dict[str, np.ndarray]:
    """nanoGPT's state_dict as the tensors of a Hugging Face GPT-2."""
    # torch.compile puts _orig_mod. before each name, DistributedDataParallel module., in either order.
    state = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    # The output matrix is the embedding; attn.bias is the causal mask of runs without flash attention.
    left = {k for k in state if k != "lm_head.weight" and not k.endswith((".attn.bias", ".attn.masked_bias"))}
    tensors = {}
    for key, shape in config.tensors().items():
        if key in left:
            left.remove(key)
            value = state[key].detach().float().numpy()
            if key.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                value = value.T  # nn.Linear's (out, in) to GPT-2's (in, out)
            if key == "transformer.wte.weight":
                value = value[: config.vocab_size]
        elif key.endswith(".bias"):  # trained with bias = False, train.py's default
            value = np.zeros(shape, np.float32)
        else:
            raise NanogptError(f"{name} lacks the tensor {key}")
        if value.shape != shape:
            raise NanogptError(f"{name}: tensor {key} is {list(value.shape)}, not {list(shape)}")
        tensors[key] = np.ascontiguousarray(value)
    if left:
        raise NanogptError(
            f"{name} was not written by nanoGPT's train.py: it has {len(left)} other tensors, "
            f"{min(left)[:80]} among them"
        )
    return tensors


# ---- meta.pkl


def _tokenizer(meta: Path) -> Tokenizer:
    """The characters of a meta.pkl, as nanoGPT's prepare.py for characters writes it."""
    saved = read_meta(meta)
    stoi = saved.get("stoi") if isinstance(saved, dict) else None
    if not _is_alphabet(stoi):
        raise NanogptError(f"{meta.name} is not a meta.pkl of nanoGPT: it has no table of characters (stoi)")
    return characters(stoi, eot=len(stoi))


def _is_alphabet(stoi: Any) -> TypeGuard[dict[str, int]]:
    """Whether this maps single characters to the ids 0, 1, 2, ..., in any order."""
    if not isinstance(stoi, dict) or not stoi:
        return False
    if not all(isinstance(c, str) and len(c) == 1 and type(i) is int for c, i in stoi.items()):
        return False
    if any("\ud800" <= c <= "\udfff" for c in stoi):  # half of a pair of UTF-16 is no character
        return False
    return sorted(stoi.values()) == list(range(len(stoi)))
