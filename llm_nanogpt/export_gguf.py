"""A model as one GGUF file, for llama.cpp, Ollama and LM Studio."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .changes import part_file
from .checkpoint import Checkpoint, read_version, read_weights, verify
from .config import GPTConfig
from .errors import NanogptError, WrongUsage
from .files import open_file
from .home import nanogpt_home
from .tokenizer import EOT, PRE_TOKENIZERS, Tokenizer, spell

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

# Hugging Face's names to GGUF's, without the prefix of a layer and without .weight or .bias.
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
CUT_OFF = "there was room for a part of it"  # numpy's error says only how many bytes that is
DTYPES = ("f32", "f16", "bf16")


def export_gguf(checkpoint: Checkpoint, out: Path, dtype: str = "f32") -> Path:
    """Write a model as one GGUF file, matrices in `dtype`, one of DTYPES. Returns `out`.

    Replaces `out` in one step, or leaves it alone. Raises NanogptError for a file that is not GGUF, and for
    one that cannot be written.
    """
    import gguf

    _check(out, dtype)
    checkpoint, tokenizer, weights = read_version(checkpoint.path, lambda files: _read(checkpoint, files))
    vocab_size = max(checkpoint.config.vocab_size, tokenizer.n_vocab)
    try:
        with part_file(nanogpt_home(), out) as part:
            writer = gguf.GGUFWriter(part, checkpoint.config.arch)
            writer.add_name(checkpoint.name)
            how_many = "ALL" if dtype == "f32" else "MOSTLY"
            writer.add_file_type(getattr(gguf.LlamaFileType, f"{how_many}_{dtype.upper()}"))
            _add_shape(writer, checkpoint.config)
            writer.add_vocab_size(vocab_size)
            _add_tokenizer(writer, tokenizer, vocab_size)
            arch, kind = checkpoint.config.arch, getattr(gguf.GGMLQuantizationType, dtype.upper())
            _add_tensors(writer, arch, weights, vocab_size, kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
    except OSError as ex:
        raise NanogptError(f"Cannot write {out} ({ex.strerror or CUT_OFF}): {_way_out(ex)}") from ex
    return out


def _way_out(ex: OSError) -> str:
    match ex.errno:
        case errno.EFBIG:
            return "allow bigger files (ulimit -f unlimited)"
        case None | errno.ENOSPC | errno.EDQUOT:
            return "make room on that disk, or choose another folder"
    return "choose another folder"


def _read(checkpoint: Checkpoint, files: Path) -> tuple[Checkpoint, Tokenizer, dict[str, np.ndarray]]:
    """Everything that is exported, read from one version of the model."""
    now = verify(checkpoint.path, files)
    return now, Tokenizer.load(files, checkpoint.name), read_weights(replace(now, path=files))


def _check(out: Path, dtype: str) -> None:
    if os.path.lexists(out):
        try:
            with open_file(out) as fp:
                replaceable = fp.read(4) == b"GGUF"
        except (NanogptError, OSError):
            replaceable = False
        if not replaceable:
            raise WrongUsage(f"{out} is not a GGUF file, so it is not replaced: choose another name")
    if dtype not in DTYPES:
        raise WrongUsage(f"Unknown dtype {dtype!r}: use one of {', '.join(DTYPES)}")


def _add_shape(writer: GGUFWriter, c: GPTConfig) -> None:
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


def _add_tensors(
    writer: GGUFWriter,
    arch: str,
    weights: Mapping[str, np.ndarray],
    vocab_size: int,
    kind: GGMLQuantizationType,
) -> None:
    """The weights: matrices as `kind`, (out, in), embeddings with `vocab_size` rows."""
    import gguf

    for name, tensor in weights.items():
        layer, module, suffix = _split(name)
        if module in ("model.embed_tokens", "transformer.wte", "lm_head"):
            # A model without <|endoftext|> gets an empty row for it, since llama.cpp needs one.
            array = np.pad(tensor, ((0, vocab_size - len(tensor)), (0, 0)))
        elif arch == "gpt2" and tensor.ndim == 2 and module != "transformer.wpe":
            array = np.ascontiguousarray(tensor.T)  # GPT-2's are (in, out)
        else:
            array = tensor
        # llama.cpp adds positions, and multiplies by gains, only in f32.
        exact = tensor.ndim == 1 or module == "transformer.wpe"
        stored = gguf.GGMLQuantizationType.F32 if exact else kind
        label = f"{layer}{GGUF_NAMES[arch][module]}.{suffix}"
        writer.add_tensor(label, gguf.quantize(array, stored), raw_dtype=stored)


def _split(name: str) -> tuple[str, str, str]:
    """model.layers.3.mlp.up_proj.weight -> ("blk.3.", "mlp.up_proj", "weight"); "" outside the layers."""
    module, _, suffix = name.rpartition(".")
    for prefix in ("model.layers.", "transformer.h."):
        if module.startswith(prefix):
            number, _, module = module.removeprefix(prefix).partition(".")
            return f"blk.{number}.", module, suffix
    return "", module, suffix


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer, vocab_size: int) -> None:
    """The vocabulary as byte-level BPE, which llama.cpp calls gpt2."""
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
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZERS.get(tokenizer.split or "", "gpt-2"))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(_merges(tokenizer, vocab_size))
    writer.add_bos_token_id(tokenizer.eot)
    writer.add_eos_token_id(tokenizer.eot)
    writer.add_add_bos_token(False)


def _merges(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """The merges of a BPE. For characters, those that put each of several bytes together, left to right."""
    if not tokenizer.is_char:
        merges = tokenizer.spec["model"].get("merges")
        if not isinstance(merges, list) or not all(map(_is_merge, merges)):
            raise NanogptError("tokenizer.json does not have its merges as this program writes them")
        return [" ".join(pair) for pair in merges]
    texts = map(tokenizer.token_bytes, range(vocab_size))
    pairs = [(text[:n], text[n : n + 1]) for text in texts for n in range(1, len(text))]
    # The first pair never occurs: llama.cpp refuses an empty list.
    return [f"{spell(a)} {spell(b)}" for a, b in dict.fromkeys([(b"\xff", b"\xff"), *pairs])]


def _is_merge(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
