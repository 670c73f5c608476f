"""Other people's files: nanoGPT checkpoints in, GGUF out."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .checkpoint import Checkpoint, publish, read_checkpoint, read_weights, write_model_files, write_weights
from .config import GPTConfig
from .errors import NanogptError
from .home import valid_name
from .locks import hold
from .tokenizer import EOT, LLAMA3_SPLIT, Tokenizer, characters, gpt2, spell

if TYPE_CHECKING:
    import torch

META_BYTES = 10_000_000  # of a meta.pkl; nanoGPT's own has a few hundred


# ---- nanoGPT's ckpt.pt


def import_nanogpt(ckpt: Path, folder: Path, meta: Path | None = None) -> Checkpoint:
    """Turn a checkpoint of nanoGPT's train.py into the model folder `folder`, which must not exist.

    Its text is GPT-2's BPE, or the characters of `meta`, the meta.pkl beside its data. Neither file can run
    code: both are read by unpicklers that refuse everything but plain data. Raises NanogptError that names
    what is in the way.
    """
    if not valid_name(folder.name):
        raise NanogptError(f"{folder.name!r} is no name for a model: set one with --name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold(folder):  # a training run may be about to write there
            if folder.exists():
                raise NanogptError(f"There is a model {folder.name!r} already: set another name with --name")
            _import(ckpt, folder, meta)
    except OSError as ex:
        raise NanogptError(f"Cannot write in {folder.parent}: {ex}") from ex
    return read_checkpoint(folder)


def _import(ckpt: Path, folder: Path, meta: Path | None) -> None:
    saved = _load_pickle(ckpt)
    args, state = saved["model_args"], saved["model"]
    tokenizer = _read_meta(meta) if meta else gpt2()
    if tokenizer.n_letters > args["vocab_size"]:
        size = f"{ckpt.name} has {args['vocab_size']:,} tokens"
        if meta:
            raise NanogptError(f"{size}, {meta.name} has {tokenizer.n_letters:,}: they are of different runs")
        raise NanogptError(f"{size}, fewer than GPT-2's: give its characters with --meta data/.../meta.pkl")
    # nanoGPT pads 50,257 to 50,304 for speed. The tokens beyond mean nothing and are cut off.
    used = args["vocab_size"] if meta else tokenizer.n_vocab
    config = GPTConfig(
        arch="gpt2",
        vocab_size=used,
        norm_eps=1e-5,
        activation="gelu",
        **{k: args[k] for k in ("block_size", "n_layer", "n_head", "n_embd")},
    )
    tensors = _tensors(state, config, ckpt.name)
    best = saved.get("best_val_loss")
    score = {} if best is None else {"val_loss": float(best), "step": int(saved.get("iter_num", 0))}
    card = (
        f"# {folder.name}\n\nA GPT-2 model of {config.parameters:,} parameters, imported from nanoGPT's "
        f"`{ckpt.name}`.\n\n    llm -m {folder.name} 'Once'\n"
    )
    facts = {
        "name": folder.name,
        "imported": {"from": str(ckpt.resolve()), "meta": str(meta.resolve()) if meta else None},
        "tokenizer": "char" if meta else "gpt2",
        "parameters": config.parameters,
        "score": score,
        "versions": {"datasette-nanogpt": version("datasette-nanogpt")},
    }
    staging = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir()
        write_model_files(staging, config, tokenizer.eot, facts, card)
        tokenizer.save(staging, config.block_size)
        write_weights(staging / "model.safetensors", tensors, {"step": str(saved.get("iter_num", 0))})
        publish(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _load_pickle(ckpt: Path) -> dict[str, Any]:
    """The dictionary in a ckpt.pt, its model_args and model checked for type."""
    import torch

    try:
        with open(ckpt, "rb") as fp:
            saved = _load_data(fp, ckpt.name)
    except OSError as ex:
        raise NanogptError(f"Cannot read {ckpt}: {ex.strerror}") from ex
    if not isinstance(saved, dict) or not {"model", "model_args"} <= saved.keys():
        raise NanogptError(f"{ckpt.name} is not of nanoGPT's train.py: it has no model and model_args")
    args, state = saved["model_args"], saved["model"]
    for name in ("n_layer", "n_head", "n_embd", "block_size", "vocab_size"):
        if not isinstance(args, dict) or type(args.get(name)) is not int or args[name] < 1:
            raise NanogptError(f"{ckpt.name} is not of nanoGPT's train.py: its model_args lack {name}")
    for name, value in state.items() if isinstance(state, dict) else [("model", state)]:
        if not (isinstance(name, str) and isinstance(value, torch.Tensor) and value.layout == torch.strided):
            raise NanogptError(f"{ckpt.name} is refused: {name!r} is not a tensor")
    return saved


def _load_data(fp: BinaryIO, name: str) -> Any:
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(fp, map_location="cpu", weights_only=True)
    except Exception as ex:  # torch raises whatever its readers do, with advice that must not be taken
        foreign = re.search(r"GLOBAL (\S+)", str(ex))
        raise NanogptError(
            f"{name} is refused: it wants to run {foreign[1]}. nanoGPT's own have data alone"
            if foreign
            else f"{name} is not a checkpoint that torch can read: give a ckpt.pt of nanoGPT's train.py"
        ) from ex


def _tensors(state: dict[str, torch.Tensor], config: GPTConfig, name: str) -> dict[str, np.ndarray]:
    """nanoGPT's state_dict as the tensors of a Hugging Face GPT-2."""
    # torch.compile puts _orig_mod. before each name, DistributedDataParallel module. before that.
    state = {key.removeprefix("module.").removeprefix("_orig_mod."): value for key, value in state.items()}
    # The output matrix is the embedding; attn.bias is the causal mask of runs without flash attention.
    left = {k for k in state if k != "lm_head.weight" and not k.endswith((".attn.bias", ".attn.masked_bias"))}
    tensors = {}
    for key, shape in config.tensors().items():
        if key in left:
            left.remove(key)
            value = state[key].float().numpy()
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
            f"{name} is not of nanoGPT's train.py: it has {len(left)} other tensors, {min(left)} among them"
        )
    return tensors


class _DataOnly(pickle.Unpickler):
    """Unpickles what needs no import: dicts, lists, strings, numbers."""

    def find_class(self, module: str, name: str):
        raise NanogptError(f"meta.pkl is refused: it wants to run {module}.{name}")

    def persistent_load(self, pid):
        raise NanogptError("meta.pkl is refused: it refers to something outside itself")


def _read_meta(meta: Path) -> Tokenizer:
    """The characters of a meta.pkl, as nanoGPT's prepare.py for characters writes it."""
    try:
        if meta.stat().st_size > META_BYTES:
            raise NanogptError(
                f"{meta.name} is refused: {meta.stat().st_size:,} bytes are too many for letters"
            )
        with open(meta, "rb") as fp:
            found = _DataOnly(fp).load()
    except OSError as ex:
        raise NanogptError(f"Cannot read {meta}: {ex.strerror}") from ex
    except NanogptError:
        raise
    except Exception as ex:  # a damaged pickle raises anything
        raise NanogptError(f"{meta.name} is not a meta.pkl of nanoGPT: {ex!r}") from ex
    stoi = found.get("stoi") if isinstance(found, dict) else None
    right = isinstance(stoi, dict) and all(
        isinstance(c, str) and len(c) == 1 and type(i) is int for c, i in stoi.items()
    )
    if not right or sorted(stoi.values()) != list(range(len(stoi))) or not stoi:
        raise NanogptError(f"{meta.name} is not a meta.pkl of nanoGPT: no table of characters (stoi)")
    return characters(stoi, eot=len(stoi))


# ---- GGUF, for llama.cpp, Ollama and LM Studio

# Our names to GGUF's, and whether to turn the matrix: GPT-2's are (in, out), GGUF's (out, in).
GGUF_NAMES = {
    "qwen3": {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "lm_head": "output",
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    "gpt2": {
        "transformer.wte": "token_embd",
        "transformer.wpe": "position_embd",
        "transformer.ln_f": "output_norm",
        "ln_1": "attn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
}
DTYPES = ("f32", "f16", "bf16")


def export_gguf(checkpoint: Checkpoint, out: Path, dtype: str = "f32") -> Path:
    """Write a model as one GGUF file, matrices in `dtype`. Replaces `out` in one step, or leaves it be."""
    import gguf

    if out.exists():
        with open(out, "rb") as fp:  # of which there may be gigabytes
            if fp.read(4) != b"GGUF":
                raise NanogptError(f"{out} is no GGUF file, and is not replaced by one: choose another")
    if dtype not in DTYPES:
        raise NanogptError(f"Unknown dtype {dtype!r}: use one of {', '.join(DTYPES)}")
    c, tokenizer, part = (
        checkpoint.config,
        Tokenizer.load(checkpoint.path),
        out.with_name(f".{out.name}.part"),
    )
    kind = getattr(gguf.GGMLQuantizationType, dtype.upper())
    vocab_size = max(c.vocab_size, tokenizer.n_vocab)
    try:
        writer = gguf.GGUFWriter(part, c.arch)
        writer.add_name(checkpoint.name)
        share = "ALL" if dtype == "f32" else "MOSTLY"
        writer.add_file_type(getattr(gguf.LlamaFileType, f"{share}_{dtype.upper()}"))
        writer.add_context_length(c.block_size)
        writer.add_embedding_length(c.n_embd)
        writer.add_block_count(c.n_layer)
        writer.add_feed_forward_length(c.n_inner)
        writer.add_head_count(c.n_head)
        if c.arch == "gpt2":
            writer.add_layer_norm_eps(c.norm_eps)
        else:
            writer.add_head_count_kv(c.n_kv_head)
            writer.add_key_length(c.head_dim)
            writer.add_value_length(c.head_dim)
            writer.add_rope_freq_base(c.rope_theta)
            writer.add_layer_norm_rms_eps(c.norm_eps)
        writer.add_vocab_size(vocab_size)
        _add_tokenizer(writer, tokenizer, vocab_size)
        for name, tensor in read_weights(checkpoint).items():
            ours, _, suffix = name.rpartition(".")
            block = ""
            for prefix in ("model.layers.", "transformer.h."):
                if ours.startswith(prefix):
                    number, _, ours = ours.removeprefix(prefix).partition(".")
                    block = f"blk.{number}."
            if ours in ("model.embed_tokens", "transformer.wte", "lm_head"):
                # A model without <|endoftext|> gets an empty row for it, since llama.cpp needs one.
                tensor = np.pad(tensor, ((0, vocab_size - len(tensor)), (0, 0)))
            elif c.arch == "gpt2" and tensor.ndim == 2 and ours != "transformer.wpe":
                tensor = np.ascontiguousarray(tensor.T)
            # llama.cpp adds positions, and multiplies by gains, in f32 alone.
            exact = tensor.ndim == 1 or ours == "transformer.wpe"
            stored = gguf.GGMLQuantizationType.F32 if exact else kind
            writer.add_tensor(
                f"{block}{GGUF_NAMES[c.arch][ours]}.{suffix}", gguf.quantize(tensor, stored), raw_dtype=stored
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(part, out)
    except OSError as ex:
        raise NanogptError(f"Cannot write {out}: {ex.strerror or ex}") from ex
    finally:
        part.unlink(missing_ok=True)
    return out


def _add_tokenizer(writer: Any, tokenizer: Tokenizer, vocab_size: int) -> None:
    """The vocabulary as byte-level BPE, which is what llama.cpp calls gpt2."""
    import gguf

    tokens, types = [], []
    for i in range(vocab_size):
        text = tokenizer.token_bytes(i)
        if i == tokenizer.eot:
            tokens.append(EOT)
            types.append(gguf.TokenType.CONTROL)
        elif text:
            tokens.append(spell(text))
            types.append(gguf.TokenType.NORMAL)
        else:
            tokens.append(f"[PAD{i}]")
            types.append(gguf.TokenType.UNUSED)
    if tokenizer.is_char:
        # A character of several bytes is put together from them, left to right. The first pair never
        # occurs: the list must not be empty.
        texts = map(tokenizer.token_bytes, range(vocab_size))
        pairs = [(text[:n], text[n : n + 1]) for text in texts for n in range(1, len(text))]
        merges = [map(spell, pair) for pair in dict.fromkeys([(b"\xff", b"\xff"), *pairs])]
    else:
        merges = tokenizer.spec["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe" if tokenizer.split == LLAMA3_SPLIT else "gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.eot)
    writer.add_eos_token_id(tokenizer.eot)
    writer.add_add_bos_token(False)
